//! Copying a tree whose files this process can access directly. Hard links stay hard links.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, chmodat, chownat,
    fchmod, fchown, fstat, futimens, linkat, mkdirat, mknodat, readlinkat, symlinkat, unlinkat,
    utimensat,
};
use rustix::io::Errno;

use crate::error::Error;
use crate::local::openat;
use crate::store::cache::files::contents::Contents;
use crate::store::cache::files::look::RootLook;
use crate::store::cache::files::walk::{self, FOLDER, Fault, Visit};
use crate::store::cache::files::xattr;
use crate::wait::Wait;

/// Copies the contents of the directory `from` into the empty directory `to`, and gives its root the same attributes, except
/// the `owner`. Returns how many bytes of contents were copied.
pub(crate) fn copy_tree(
    from: &Path,
    to: &Path,
    owner: (u32, u32),
    wait: Wait<'_>,
) -> Result<u64, Error> {
    let source =
        walk::open_root(from).map_err(|e| Error::io(format!("opening {}", from.display()), &e))?;
    copy_open_tree(source, to, owner, wait)
        .map_err(|fault| fault.into_error("copying the files of", from))
}

fn copy_open_tree(
    from: OwnedFd,
    to: &Path,
    owner: (u32, u32),
    wait: Wait<'_>,
) -> Result<u64, Fault> {
    let mut copier = Copier::new(walk::open_root(to)?, wait)?;
    walk::walk(from, wait, &mut |visit| match visit {
        Visit::Entry { folder, name, stat } => match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => copier.enter(name),
            _ => copier.copy(folder, name, stat),
        },
        Visit::Leave { folder, stat } => {
            let owner = match copier.parents.len() {
                1 => owner,
                _ => (stat.st_uid, stat.st_gid),
            };
            dress_folder(folder, copier.folder.as_fd(), stat, owner, |_| true)?;
            copier.leave()
        }
    })?;
    Ok(copier.bytes())
}

/// A tree that is being written.
pub(crate) struct Copier<'a> {
    root: OwnedFd,
    /// The directory that is being filled.
    folder: OwnedFd,
    /// This directory and its parents.
    parents: Vec<Stat>,
    /// Its path below the root, with a slash at the end.
    path: Vec<u8>,
    /// The path of the copy of a file with several names, by the file's device and inode number.
    links: HashMap<(u64, u64), CString>,
    contents: Contents<'a>,
    /// Which extended attributes of files are not copied.
    leaves: fn(&[u8]) -> bool,
    wait: Wait<'a>,
}

impl<'a> Copier<'a> {
    pub(crate) fn new(root: OwnedFd, wait: Wait<'a>) -> Result<Self, Fault> {
        Ok(Copier {
            folder: root.try_clone()?,
            parents: vec![fstat(&root)?],
            path: Vec::new(),
            root,
            links: HashMap::new(),
            contents: Contents::new(wait),
            leaves: |_| false,
            wait,
        })
    }

    /// Sets which extended attributes of files are not copied.
    pub(crate) fn leaving(mut self, leaves: fn(&[u8]) -> bool) -> Self {
        self.leaves = leaves;
        self
    }

    /// Returns how many bytes of contents were copied.
    pub(crate) fn bytes(&self) -> u64 {
        self.contents.bytes
    }

    pub(crate) fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    /// Creates a directory, and enters it.
    pub(crate) fn enter(&mut self, name: &CStr) -> Result<(), Fault> {
        // Accessible only to this process's user until everything is in it.
        mkdirat(&self.folder, name, Mode::RWXU)?;
        self.folder = openat(&self.folder, name, FOLDER, Mode::empty())?;
        self.parents.push(fstat(&self.folder)?);
        self.path.extend(name.to_bytes());
        self.path.push(b'/');
        Ok(())
    }

    /// Finishes the current directory, and goes up.
    pub(crate) fn leave(&mut self) -> Result<(), Fault> {
        self.parents.pop();
        if let Some(parent) = self.parents.last() {
            self.folder = walk::up(&self.folder, parent)?;
            self.path.pop();
            let slash = self.path.iter().rposition(|b| *b == b'/');
            self.path.truncate(slash.map_or(0, |slash| slash + 1));
        }
        Ok(())
    }

    /// Copies anything but a directory.
    pub(crate) fn copy(
        &mut self,
        source: BorrowedFd<'_>,
        name: &CStr,
        stat: &Stat,
    ) -> Result<(), Fault> {
        if stat.st_nlink > 1 && self.linked(name, stat)? {
            return Ok(());
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.file(source, name, stat),
            FileType::Symlink => {
                let target = readlinkat(source, name, Vec::new())?;
                symlinkat(&target, &self.folder, name)?;
                self.dress(source, name, stat)
            }
            other => {
                mknodat(&self.folder, name, other, Mode::empty(), stat.st_rdev)?;
                self.dress(source, name, stat)
            }
        }
    }

    /// Returns whether a file with several names was already copied.
    pub(crate) fn has_copy(&self, stat: &Stat) -> bool {
        self.links.contains_key(&key(stat))
    }

    /// Creates another name of a file that was copied under a different one.
    fn linked(&mut self, name: &CStr, stat: &Stat) -> Result<bool, Fault> {
        if let Some(first) = self.links.get(&key(stat)) {
            match link_below(&self.root, first, self.folder.as_fd(), name) {
                // The file has the maximum number of links: the next names link to the copy that is made now.
                Err(Errno::MLINK) => {}
                linked => return Ok(linked.map(|()| true)?),
            }
        }
        let mut path = self.path.clone();
        path.extend(name.to_bytes());
        // A name from a directory contains no NUL byte.
        let path = CString::new(path).map_err(io::Error::from)?;
        self.links.insert(key(stat), path);
        Ok(false)
    }

    /// Finds names of copied files that the tree has by other means, as links to the originals, and links them to the copies.
    pub(crate) fn gather(&self) -> Result<(), Fault> {
        let mut touched = false;
        // The walk shows a directory again when it leaves it, with its earlier times.
        walk::walk(
            self.root.try_clone()?,
            self.wait,
            &mut |visit| match visit {
                Visit::Entry { folder, name, stat } => {
                    let Some(copy) = self.links.get(&key(stat)) else {
                        return Ok(());
                    };
                    touched = true;
                    unlinkat(folder, name, AtFlags::empty())?;
                    Ok(link_below(&self.root, copy, folder, name)?)
                }
                Visit::Leave { folder, stat } if touched => Ok(futimens(folder, &times(stat))?),
                Visit::Leave { .. } => Ok(()),
            },
        )
    }

    fn file(&mut self, source: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<(), Fault> {
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let from = openat(
            source,
            name,
            OFlags::RDONLY | OFlags::NONBLOCK | flags,
            Mode::empty(),
        )?;
        let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let to = openat(&self.folder, name, create | flags, Mode::RUSR | Mode::WUSR)?;
        self.contents.copy(&from, &to, stat)?;
        // The owner before the mode and the attributes: changing it clears setuid bits and capabilities.
        fchown(
            &to,
            Some(Uid::from_raw(stat.st_uid)),
            Some(Gid::from_raw(stat.st_gid)),
        )?;
        fchmod(&to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
        xattr::copy(from.as_fd(), to.as_fd(), |name| !(self.leaves)(name))?;
        futimens(&to, &times(stat))?;
        Ok(())
    }

    /// Sets the owner, mode, attributes and times of files that cannot be opened: links, fifos, devices, sockets.
    fn dress(&self, source: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<(), Fault> {
        let link = AtFlags::SYMLINK_NOFOLLOW;
        chownat(
            &self.folder,
            name,
            Some(Uid::from_raw(stat.st_uid)),
            Some(Gid::from_raw(stat.st_gid)),
            link,
        )?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            // This follows links, but the file is not a link: it was just created, and no other user can write here.
            chmodat(
                &self.folder,
                name,
                Mode::from_raw_mode(stat.st_mode & 0o7777),
                AtFlags::empty(),
            )?;
        }
        let keep = |attribute: &[u8]| !(self.leaves)(attribute);
        xattr::copy_unopened(source, self.folder.as_fd(), name, keep)?;
        utimensat(&self.folder, name, &times(stat), link)?;
        Ok(())
    }
}

fn key(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// Creates `folder/name` as another name of the file at `path` below `root`, however long the path is.
fn link_below(
    root: &OwnedFd,
    path: &CStr,
    folder: BorrowedFd<'_>,
    name: &CStr,
) -> rustix::io::Result<()> {
    match linkat(root, path, folder, name, AtFlags::empty()) {
        Err(Errno::NAMETOOLONG) => {}
        done => return done,
    }
    let mut above = openat(root, c".", FOLDER, Mode::empty())?;
    let mut steps = path.to_bytes().split(|b| *b == b'/').peekable();
    while let Some(step) = steps.next() {
        if steps.peek().is_none() {
            return linkat(&above, step, folder, name, AtFlags::empty());
        }
        above = openat(&above, step, FOLDER, Mode::empty())?;
    }
    Err(Errno::NOENT)
}

/// Sets the owner and the attributes of the directory at `place`.
pub(crate) fn set_root(place: &Path, owner: (u32, u32), look: RootLook) -> Result<(), Error> {
    let set = walk::open_root(place)
        .map_err(Fault::from)
        .and_then(|root| set_look(&root, owner, look));
    set.map_err(|fault| fault.into_error("setting the owner of", place))
}

/// Sets the owner, mode and time of a directory.
pub(crate) fn set_look(folder: &OwnedFd, owner: (u32, u32), look: RootLook) -> Result<(), Fault> {
    fchown(
        folder,
        Some(Uid::from_raw(owner.0)),
        Some(Gid::from_raw(owner.1)),
    )?;
    fchmod(folder, Mode::from_raw_mode(look.mode))?;
    let time = Timespec {
        tv_sec: look.mtime.0,
        tv_nsec: look.mtime.1.into(),
    };
    futimens(
        folder,
        &Timestamps {
            last_access: time,
            last_modification: time,
        },
    )?;
    Ok(())
}

/// Gives the directory `to` the mode, attributes and times of `from`, and sets its owner.
pub(crate) fn dress_folder(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    stat: &Stat,
    owner: (u32, u32),
    keep: impl Fn(&[u8]) -> bool,
) -> Result<(), Fault> {
    fchown(
        to,
        Some(Uid::from_raw(owner.0)),
        Some(Gid::from_raw(owner.1)),
    )?;
    fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    xattr::copy(from, to, keep)?;
    futimens(to, &times(stat))?;
    Ok(())
}

/// Returns the access and modification times of a file.
pub(crate) fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanos| Timespec {
        tv_sec: seconds,
        tv_nsec: nanos,
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec as _),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec as _),
    }
}
