//! Walking a directory tree by descriptors, never by path: no symlink in it can lead out of it, names may be any bytes, and the
//! depth and the length of a path are limited only by memory.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::vec;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, statat, syncfs};
use sha2::{Digest, Sha256};

use crate::engine::stopped;
use crate::error::Error;
use crate::local::{aside, openat};
use crate::store::cache::files::look::{Look, RootLook, Size};
use crate::store::names::hex;
use crate::store::points::Restored;
use crate::wait::{Stop, Wait};

/// How a directory in a tree is opened.
pub(crate) const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Why a visit failed; the walk adds what was being done, and to which file.
#[derive(Debug)]
pub(crate) enum Fault {
    Io(io::Error),
    Stopped(Stop),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Io(error)
    }
}

impl From<rustix::io::Errno> for Fault {
    fn from(error: rustix::io::Errno) -> Self {
        Fault::Io(error.into())
    }
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        Fault::Stopped(stop)
    }
}

impl Fault {
    pub(crate) fn into_error(self, doing: &str, path: &Path) -> Error {
        match self {
            Fault::Io(e) => Error::io(format_args!("{doing} {}", path.display()), &e),
            Fault::Stopped(stop) => stopped(&format_args!("{doing} {}", path.display()), stop),
        }
    }
}

/// One step of a walk.
pub(crate) enum Visit<'a> {
    /// An entry of `folder`. If it is a directory, it is entered next.
    Entry {
        folder: BorrowedFd<'a>,
        name: &'a CStr,
        stat: &'a Stat,
    },
    /// The directory `folder`, after everything in it. The last one is the root.
    Leave {
        folder: BorrowedFd<'a>,
        stat: &'a Stat,
    },
}

/// A directory that the walk is in.
struct Level {
    stat: Stat,
    names: vec::IntoIter<CString>,
}

/// Visits everything below `root`, each directory's entries sorted by name.
pub(crate) fn walk(
    root: OwnedFd,
    wait: Wait<'_>,
    visit: &mut dyn FnMut(Visit<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut folder = root;
    let mut levels = vec![Level {
        stat: fstat(&folder)?,
        names: names(&folder)?.into_iter(),
    }];
    while let Some(level) = levels.last_mut() {
        wait.left()?;
        match level.names.next() {
            Some(name) => {
                let stat = statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW)?;
                visit(Visit::Entry {
                    folder: folder.as_fd(),
                    name: &name,
                    stat: &stat,
                })?;
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    // Only the current directory is open: a tree may be deeper than the number of descriptors.
                    folder = openat(&folder, &name, FOLDER, Mode::empty())?;
                    levels.push(Level {
                        stat,
                        names: names(&folder)?.into_iter(),
                    });
                }
            }
            None => {
                visit(Visit::Leave {
                    folder: folder.as_fd(),
                    stat: &level.stat,
                })?;
                levels.pop();
                if let Some(parent) = levels.last() {
                    folder = up(&folder, &parent.stat)?;
                }
            }
        }
    }
    Ok(())
}

/// Returns the parent of `folder`, which must be the directory that `expected` describes.
pub(crate) fn up(folder: &OwnedFd, expected: &Stat) -> Result<OwnedFd, Fault> {
    let parent = openat(folder, c"..", FOLDER, Mode::empty())?;
    let found = fstat(&parent)?;
    if (found.st_dev, found.st_ino) != (expected.st_dev, expected.st_ino) {
        return Err(io::Error::other("a directory was moved while it was being read").into());
    }
    Ok(parent)
}

/// Returns the names in a directory, sorted.
pub(crate) fn names(folder: &OwnedFd) -> Result<Vec<CString>, Fault> {
    let mut names = Vec::new();
    for entry in aside(|| Dir::read_from(folder))? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Opens the root of a tree.
pub(crate) fn open_root(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, FOLDER, Mode::empty())?)
}

/// Examines the metadata of every file of the tree at `path`, without reading contents.
pub(crate) fn look(path: &Path, wait: Wait<'_>) -> Result<Look, Error> {
    look_as_before(path, &[], wait)
}

/// The same, with the `restored` directories as they were.
pub(crate) fn look_as_before(
    path: &Path,
    restored: &[Restored],
    wait: Wait<'_>,
) -> Result<Look, Error> {
    let mut digest = Sha256::new();
    let mut size = Size::default();
    let mut root = RootLook {
        mode: 0,
        mtime: (0, 0),
    };
    let mut take = |stat: &Stat, name: Option<&CStr>| {
        let folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let before = restored
            .iter()
            .find(|before| folder && before.inode == stat.st_ino);
        let changed = before.map_or(
            (i128::from(stat.st_ctime), i128::from(stat.st_ctime_nsec)),
            |before| (before.changed.0.into(), before.changed.1.into()),
        );
        digest.update(name.map_or(&b""[..], CStr::to_bytes));
        digest.update([0]);
        // The change time shows what the others do not: new contents of the same length, with the old time restored.
        let numbers = [
            i128::from(stat.st_mode),
            i128::from(stat.st_uid),
            i128::from(stat.st_gid),
            i128::from(stat.st_ino),
            i128::from(stat.st_rdev),
            if folder { 0 } else { i128::from(stat.st_nlink) },
            if folder { 0 } else { i128::from(stat.st_size) },
            i128::from(stat.st_mtime),
            i128::from(stat.st_mtime_nsec),
            changed.0,
            changed.1,
        ];
        numbers.iter().for_each(|n| digest.update(n.to_le_bytes()));
    };
    let open = open_root(path).map_err(Fault::from);
    open.and_then(|open| {
        walk(open, wait, &mut |visit| {
            match visit {
                Visit::Entry { name, stat, .. } => {
                    size.entries += 1;
                    size.bytes += blocks(stat);
                    take(stat, Some(name));
                }
                Visit::Leave { stat, .. } => {
                    take(stat, None);
                    root = root_look(stat);
                }
            }
            Ok(())
        })
    })
    .map_err(|fault| fault.into_error("examining the files of", path))?;
    Ok(Look {
        digest: hex(&digest.finalize()),
        size,
        root,
    })
}

/// Counts what is below `path`.
pub(crate) fn size(path: &Path, wait: Wait<'_>) -> Result<Size, Error> {
    let mut size = Size::default();
    let counted = open_root(path).map_err(Fault::from).and_then(|root| {
        walk(root, wait, &mut |visit| {
            if let Visit::Entry { stat, .. } = visit {
                size.entries += 1;
                size.bytes += blocks(stat);
            }
            Ok(())
        })
    });
    counted.map_err(|fault| fault.into_error("counting the files of", path))?;
    Ok(size)
}

/// Syncs everything on the file system of `path` to its disk.
pub(crate) fn sync(path: &Path) -> Result<(), Error> {
    let synced = open_root(path).and_then(|root| Ok(syncfs(root)?));
    synced.map_err(|e| Error::io(format!("syncing {}", path.display()), &e))
}

/// Returns the number that identifies the file system of `path`.
pub(crate) fn disk(path: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    Ok(crate::local::metadata(path)?.dev())
}

/// Returns the attributes of the root directory at `path`, if they are accessible.
pub(crate) fn root_look_at(path: &Path) -> Option<RootLook> {
    Some(root_look(&fstat(open_root(path).ok()?).ok()?))
}

/// Returns the `stat` data of a root directory that clones keep.
pub(crate) fn root_look(stat: &Stat) -> RootLook {
    RootLook {
        mode: stat.st_mode & 0o7777,
        mtime: (
            stat.st_mtime,
            u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
        ),
    }
}

/// Returns the size of a file on disk. `stat` counts in units of 512 bytes, whatever the file system's block size is.
pub(crate) fn blocks(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or_default() * 512
}
