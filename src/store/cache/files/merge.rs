//! Merging layers into one, as files. A file stays the same file (a hard link), so no contents are copied, and the cost is
//! proportional to the number of names.
//!
//! The result is what the kernel would have written if all changes had been made in one mount over the layers below. This
//! matters because the kernel lists whiteouts in a directory that it does not merge with one below. So a whiteout is written
//! only if the layers below have a file of that name to hide, and a directory is made opaque only in that case. An opaque or
//! new directory contains neither.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, Stat, XattrFlags, fsetxattr, fstat, linkat, mknodat, statat,
};
use rustix::io::Errno;

use crate::error::Error;
use crate::local::openat;
use crate::store::cache::files::copy_direct::{Copier, dress_folder};
use crate::store::cache::files::look::Marks;
use crate::store::cache::files::walk::{self, FOLDER, Fault};
use crate::store::cache::files::xattr;
use crate::wait::Wait;

/// Merges the trees `sources`, topmost first, into the empty directory `to`. They are on top of `below`, also topmost first.
pub(crate) fn merge(
    sources: &[PathBuf],
    below: &[PathBuf],
    to: &Path,
    marks: &Marks,
    wait: Wait<'_>,
) -> Result<(), Error> {
    let all = || Merge::of(sources, below, to, marks, wait)?.run(sources.len());
    let merged = all().map(drop);
    merged.map_err(|fault| fault.into_error("merging layers into", to))
}

/// Copies what an overlay of the trees `layers`, topmost first, shows into the empty directory `to`, whose owner becomes
/// `owner`. Returns how many bytes of contents were copied.
pub(crate) fn copy(
    layers: &[PathBuf],
    to: &Path,
    owner: (u32, u32),
    marks: &Marks,
    wait: Wait<'_>,
) -> Result<u64, Error> {
    let all = || {
        let mut merge = Merge::of(layers, &[], to, marks, wait)?;
        merge.copies_for = Some(owner);
        merge.copier = merge.copier.leaving(marks.is_own);
        merge.run(layers.len())
    };
    all().map_err(|fault| fault.into_error("copying layers into", to))
}

/// A merge in progress. Each layer has one open directory: the one that corresponds to the current level, or, if the layer does
/// not have it, the deepest ancestor that it has.
struct Merge<'a> {
    layers: Vec<OwnedFd>,
    copier: Copier<'a>,
    levels: Vec<Level>,
    /// A file with several names was copied, and some of its names may have been linked before.
    torn: bool,
    /// If files are copied instead of linked, because they will be written to: the owner of the whole tree.
    copies_for: Option<(u32, u32)>,
    marks: &'a Marks,
    wait: Wait<'a>,
}

struct Level {
    /// The sources that have this directory, topmost first.
    active: Vec<(usize, Stat)>,
    /// The layers below whose directory of this name shows through, topmost first.
    under: Vec<(usize, Stat)>,
    /// There is something below, and none of it shows through.
    opaque: bool,
    /// The names in it, with the sources (of `active`) that have each.
    names: std::collections::btree_map::IntoIter<CString, Vec<usize>>,
}

/// What a layer has under a name.
enum Found {
    Nothing,
    Whiteout,
    Folder,
    Other(Stat),
}

impl<'a> Merge<'a> {
    fn of(
        sources: &[PathBuf],
        below: &[PathBuf],
        to: &Path,
        marks: &'a Marks,
        wait: Wait<'a>,
    ) -> Result<Self, Fault> {
        let mut layers = Vec::new();
        for layer in sources.iter().chain(below) {
            layers.push(walk::open_root(layer)?);
        }
        Ok(Merge {
            layers,
            copier: Copier::new(walk::open_root(to)?, wait)?,
            levels: Vec::new(),
            torn: false,
            copies_for: None,
            marks,
            wait,
        })
    }

    /// Merges the first `sources` layers. Returns how many bytes of contents were copied.
    fn run(mut self, sources: usize) -> Result<u64, Fault> {
        let under = (sources..self.layers.len()).collect();
        self.enter((0..sources).collect(), under, false)?;
        while let Some(level) = self.levels.last_mut() {
            self.wait.left()?;
            match level.names.next() {
                Some((name, sources)) => self.entry(&name, &sources)?,
                None => self.leave()?,
            }
        }
        if self.torn {
            self.copier.gather()?;
        }
        Ok(self.copier.bytes())
    }

    /// Enters the level whose directories these layers and the result have open.
    fn enter(&mut self, active: Vec<usize>, under: Vec<usize>, opaque: bool) -> Result<(), Fault> {
        let mut names: BTreeMap<CString, Vec<usize>> = BTreeMap::new();
        for source in &active {
            for name in walk::names(&self.layers[*source])? {
                names.entry(name).or_default().push(*source);
            }
        }
        let stats = |layers: Vec<usize>| -> Result<Vec<(usize, Stat)>, Fault> {
            let stats = layers
                .into_iter()
                .map(|layer| Ok((layer, fstat(&self.layers[layer])?)));
            stats.collect()
        };
        let level = Level {
            active: stats(active)?,
            under: stats(under)?,
            opaque,
            names: names.into_iter(),
        };
        self.levels.push(level);
        Ok(())
    }

    /// Merges one name. The topmost source that has it decides what it is.
    fn entry(&mut self, name: &CStr, sources: &[usize]) -> Result<(), Fault> {
        let under: Vec<usize> = match self.levels.last() {
            Some(level) => level.under.iter().map(|(layer, _)| *layer).collect(),
            None => Vec::new(),
        };
        let (mut folders, mut hidden) = (Vec::new(), false);
        for source in sources {
            match (self.look(*source, name)?, folders.is_empty()) {
                (Found::Nothing, _) => {}
                (Found::Whiteout, true) => return self.whiteout(name, &under),
                (Found::Other(stat), true) => return self.other(*source, name, &stat),
                (Found::Folder, _) => {
                    folders.push(*source);
                    hidden = self.is_opaque(*source, name)?;
                }
                // It hides what shows through from the layers below.
                (Found::Whiteout | Found::Other(_), false) => hidden = true,
            }
            if hidden {
                break;
            }
        }
        if folders.is_empty() {
            return Ok(());
        }
        let opaque = hidden && self.is_there(name, &under)?;
        let mut through = Vec::new();
        for layer in under.iter().filter(|_| !hidden) {
            match self.look(*layer, name)? {
                Found::Nothing => {}
                Found::Folder => {
                    through.push(*layer);
                    if self.is_opaque(*layer, name)? {
                        break;
                    }
                }
                Found::Whiteout | Found::Other(_) => break,
            }
        }
        self.copier.enter(name)?;
        for layer in folders.iter().chain(&through) {
            self.layers[*layer] = openat(&self.layers[*layer], name, FOLDER, Mode::empty())?;
        }
        self.enter(folders, through, opaque)
    }

    /// Returns what a layer has under a name, as the kernel interprets it.
    fn look(&self, layer: usize, name: &CStr) -> Result<Found, Fault> {
        let folder = &self.layers[layer];
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            stat => stat?,
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Found::Folder,
            FileType::CharacterDevice if stat.st_rdev == 0 => Found::Whiteout,
            FileType::RegularFile
                if stat.st_size == 0
                    && xattr::has_unopened(folder.as_fd(), name, &self.marks.whiteout) =>
            {
                Found::Whiteout
            }
            _ => Found::Other(stat),
        })
    }

    fn is_opaque(&self, layer: usize, name: &CStr) -> Result<bool, Fault> {
        let folder = openat(&self.layers[layer], name, FOLDER, Mode::empty())?;
        Ok(xattr::get(folder.as_fd(), &self.marks.opaque)?.as_deref() == Some(b"y"))
    }

    /// Returns whether the layers `under` show a file of that name.
    fn is_there(&self, name: &CStr, under: &[usize]) -> Result<bool, Fault> {
        for layer in under {
            match self.look(*layer, name)? {
                Found::Nothing => {}
                Found::Whiteout => return Ok(false),
                Found::Folder | Found::Other(_) => return Ok(true),
            }
        }
        Ok(false)
    }

    fn whiteout(&self, name: &CStr, under: &[usize]) -> Result<(), Fault> {
        if self.is_there(name, under)? {
            let (device, none) = (FileType::CharacterDevice, Mode::empty());
            mknodat(self.copier.folder(), name, device, none, 0)?;
        }
        Ok(())
    }

    fn other(&mut self, source: usize, name: &CStr, stat: &Stat) -> Result<(), Fault> {
        let from = &self.layers[source];
        if self.copies_for.is_none() && !self.copier.has_copy(stat) {
            match linkat(from, name, self.copier.folder(), name, AtFlags::empty()) {
                Ok(()) => return Ok(()),
                // Too many links, another quota project, or another file system.
                Err(Errno::MLINK | Errno::XDEV | Errno::PERM) => self.torn |= stat.st_nlink > 1,
                Err(e) => return Err(e.into()),
            }
        }
        self.copier.copy(from.as_fd(), name, stat)
    }

    fn leave(&mut self) -> Result<(), Fault> {
        let Some(level) = self.levels.pop() else {
            return Ok(());
        };
        let folder = self.copier.folder().as_fd();
        // The topmost layer decides the directory's attributes.
        if let Some((top, stat)) = level.active.first() {
            let is_root = self.levels.is_empty();
            let owner = self.copies_for.filter(|_| is_root);
            let owner = owner.unwrap_or((stat.st_uid, stat.st_gid));
            let from = self.layers[*top].as_fd();
            dress_folder(from, folder, stat, owner, |name| !(self.marks.is_own)(name))?;
            if level.opaque {
                // Setting an attribute changes no modification time.
                fsetxattr(folder, &self.marks.opaque, b"y", XattrFlags::empty())?;
            }
        }
        if let Some(parent) = self.levels.last() {
            for (layer, _) in level.active.iter().chain(&level.under) {
                let mut above = parent.active.iter().chain(&parent.under);
                // A layer that has a directory also has its parent.
                let Some((_, stat)) = above.find(|(other, _)| other == layer) else {
                    continue;
                };
                self.layers[*layer] = walk::up(&self.layers[*layer], stat)?;
            }
        }
        self.copier.leave()
    }
}

#[cfg(test)]
mod tests;
