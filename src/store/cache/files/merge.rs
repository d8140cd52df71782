//! Merging layers into one, as files: what is the same file stays the same file (a hard link), so no contents are copied and
//! the cost is that of the names. What a layer says about the layers *below* the merged ones (whiteouts, opaque directories) is
//! said by the result, too.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, Stat, XattrFlags, fsetxattr, fstat, linkat, mkdirat, mknodat, openat,
    statat,
};
use rustix::io::Errno;

use crate::error::Error;
use crate::store::cache::files::copy_direct::{self, dress_folder};
use crate::store::cache::files::walk::{self, FOLDER, Fault};
use crate::store::cache::files::xattr;
use crate::wait::Wait;

/// What an overlay mount keeps in extended attributes.
pub(crate) struct Marks {
    /// On a directory whose like in the layers below is hidden.
    pub(crate) opaque: CString,
    /// Whether a name is one of the overlay's own.
    pub(crate) is_own: fn(&[u8]) -> bool,
}

/// Merges the trees `sources`, topmost first, into the empty directory `to`. If `bottom`, there is nothing below them.
pub(crate) fn merge(
    sources: &[PathBuf],
    to: &Path,
    bottom: bool,
    marks: &Marks,
    wait: Wait<'_>,
) -> Result<(), Error> {
    let merged = || -> Result<(), Fault> {
        let mut open = Vec::new();
        for source in sources {
            open.push(walk::open_root(source)?);
        }
        let folder = walk::open_root(to)?;
        Merge {
            sources: open,
            folder,
            levels: Vec::new(),
            bottom,
            marks,
            wait,
        }
        .run()
    };
    merged().map_err(|fault| fault.into_error("merging layers into", to))
}

/// The merge under way. Each source has one open directory: the one that corresponds to the current level, or, where it has
/// no such, the deepest that does.
struct Merge<'a> {
    sources: Vec<OwnedFd>,
    folder: OwnedFd,
    levels: Vec<Level>,
    bottom: bool,
    marks: &'a Marks,
    wait: Wait<'a>,
}

struct Level {
    /// The sources that have this directory, topmost first.
    active: Vec<(usize, Stat)>,
    folder: Stat,
    /// Nothing of the directory in the layers below shows through.
    opaque: bool,
    /// The names in it, with the sources (of `active`) that have each.
    names: std::collections::btree_map::IntoIter<CString, Vec<usize>>,
}

/// What a source has under a name.
enum Found {
    Nothing,
    Whiteout,
    Folder,
    Other(Stat),
}

impl Merge<'_> {
    fn run(mut self) -> Result<(), Fault> {
        let all: Vec<usize> = (0..self.sources.len()).collect();
        self.enter(all, false)?;
        while let Some(level) = self.levels.last_mut() {
            self.wait.left()?;
            match level.names.next() {
                Some((name, sources)) => self.entry(&name, &sources)?,
                None => self.leave()?,
            }
        }
        Ok(())
    }

    /// Begins the level of which the sources `active` have their directories open, and `folder` is the result's.
    fn enter(&mut self, active: Vec<usize>, opaque: bool) -> Result<(), Fault> {
        let mut names: BTreeMap<CString, Vec<usize>> = BTreeMap::new();
        let mut stats = Vec::new();
        for source in active {
            for name in walk::names(&self.sources[source])? {
                names.entry(name).or_default().push(source);
            }
            stats.push((source, fstat(&self.sources[source])?));
        }
        self.levels.push(Level {
            active: stats,
            folder: fstat(&self.folder)?,
            opaque,
            names: names.into_iter(),
        });
        Ok(())
    }

    /// Merges one name. The topmost source that has it decides what it is.
    fn entry(&mut self, name: &CStr, sources: &[usize]) -> Result<(), Fault> {
        let mut folders = Vec::new();
        let mut hidden = false;
        for source in sources {
            match (self.look(*source, name)?, folders.is_empty()) {
                (Found::Nothing, _) => {}
                (Found::Whiteout, true) => return self.whiteout(name),
                (Found::Other(stat), true) => return self.other(*source, name, &stat),
                (Found::Folder, _) => {
                    folders.push(*source);
                    let folder = openat(&self.sources[*source], name, FOLDER, Mode::empty())?;
                    if xattr::get(folder.as_fd(), &self.marks.opaque)?.as_deref() == Some(b"y") {
                        hidden = true;
                        break;
                    }
                }
                // It ends what shows through of the directory above it.
                (Found::Whiteout | Found::Other(_), false) => {
                    hidden = true;
                    break;
                }
            }
        }
        if folders.is_empty() {
            return Ok(());
        }
        mkdirat(&self.folder, name, Mode::RWXU)?;
        self.folder = openat(&self.folder, name, FOLDER, Mode::empty())?;
        for source in &folders {
            self.sources[*source] = openat(&self.sources[*source], name, FOLDER, Mode::empty())?;
        }
        self.enter(folders, hidden)
    }

    fn look(&self, source: usize, name: &CStr) -> Result<Found, Fault> {
        let stat = match statat(&self.sources[source], name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            stat => stat?,
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Found::Folder,
            FileType::CharacterDevice if stat.st_rdev == 0 => Found::Whiteout,
            _ => Found::Other(stat),
        })
    }

    fn whiteout(&self, name: &CStr) -> Result<(), Fault> {
        // With nothing below there is nothing to hide.
        if !self.bottom {
            mknodat(
                &self.folder,
                name,
                FileType::CharacterDevice,
                Mode::empty(),
                0,
            )?;
        }
        Ok(())
    }

    fn other(&self, source: usize, name: &CStr, stat: &Stat) -> Result<(), Fault> {
        match linkat(
            &self.sources[source],
            name,
            &self.folder,
            name,
            AtFlags::empty(),
        ) {
            Ok(()) => Ok(()),
            // Too many names already, or another quota project, or another file system.
            Err(Errno::MLINK | Errno::XDEV | Errno::PERM) => copy_direct::copy_file(
                self.sources[source].as_fd(),
                &self.folder,
                name,
                stat,
                self.wait,
            ),
            Err(e) => Err(e.into()),
        }
    }

    fn leave(&mut self) -> Result<(), Fault> {
        let Some(level) = self.levels.pop() else {
            return Ok(());
        };
        // The topmost decides how the directory looks.
        if let Some((top, stat)) = level.active.first() {
            let owner = (stat.st_uid, stat.st_gid);
            dress_folder(
                self.sources[*top].as_fd(),
                self.folder.as_fd(),
                stat,
                owner,
                |name| !(self.marks.is_own)(name),
            )?;
            if level.opaque && !self.bottom {
                fsetxattr(&self.folder, &self.marks.opaque, b"y", XattrFlags::empty())?;
                // Setting an attribute changes no modification time.
            }
        }
        if let Some(parent) = self.levels.last() {
            for (source, _) in &level.active {
                let above = parent.active.iter().find(|(other, _)| other == source);
                // Who has a directory has the one above it.
                let Some((_, stat)) = above else { continue };
                self.sources[*source] = walk::up(&self.sources[*source], stat)?;
            }
            self.folder = walk::up(&self.folder, &parent.folder)?;
        }
        Ok(())
    }
}
