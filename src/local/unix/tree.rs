//! [`Tree`]: a directory in which files are created by relative paths. No link in such a path is ever followed, so nothing is
//! created outside.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, RawMode, Timespec, Timestamps, UTIME_OMIT, Uid, chownat, fchmod,
    fchown, fstat, futimens, linkat, mkdirat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::{openat, opened};
use crate::local::Dress;

/// A path is names joined by `/`: not empty, and none of them is `.` or `..`.
pub(crate) struct Tree {
    root: OwnedFd,
    /// The directory that was used last: most files come one after another.
    last: Option<(Vec<u8>, OwnedFd)>,
    /// The directories that were created only because a file in them was.
    implied: Vec<Vec<u8>>,
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW);

impl Tree {
    /// Opens the directory at `path`; if it is a link, the directory that it leads to.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = opened(|| rustix::fs::open(path, flags, Mode::empty()))?;
        Ok(Tree {
            root,
            last: None,
            implied: Vec::new(),
        })
    }

    /// Creates the directory at `path`, in which only this user can create files until it is [dressed](Self::dress_folder).
    /// Returns whether it is new. A link in its place is removed.
    pub(crate) fn folder(&mut self, path: &[u8], mode: u32) -> io::Result<bool> {
        let (within, name) = self.place(path)?;
        let mode = Mode::from_raw_mode((mode & 0o777 | 0o700) as RawMode);
        let made = match mkdirat(within, name, mode) {
            Err(Errno::EXIST) => match openat(within, name, FOLDER, Mode::empty()) {
                Ok(_) => Err(Errno::EXIST),
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    unlinkat(within, name, AtFlags::empty())?;
                    mkdirat(within, name, mode)
                }
                Err(e) => Err(e),
            },
            made => made,
        };
        match made {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => {
                let at = self.implied.iter().position(|one| one == path);
                Ok(at.map(|at| self.implied.swap_remove(at)).is_some())
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Creates a file at `path`. What has the name is removed before, unless it is a directory.
    pub(crate) fn file(&mut self, path: &[u8], mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode((mode & 0o777) as RawMode);
        let file = self.create(path, |within, name| openat(within, name, flags, mode))?;
        Ok(File::from(file))
    }

    /// Creates a symbolic link.
    pub(crate) fn link(&mut self, path: &[u8], target: &[u8], dress: &Dress) -> io::Result<()> {
        self.create(path, |within, name| symlinkat(target, within, name))?;
        self.dress_name(path, dress)
    }

    /// Gives the file at `target` another name.
    pub(crate) fn hard_link(&mut self, path: &[u8], target: &[u8]) -> io::Result<()> {
        let (within, name) = self.place(target)?;
        let within = within.try_clone()?;
        if path == target {
            return Ok(());
        }
        self.create(path, |folder, new| {
            linkat(&within, name, folder, new, AtFlags::empty())
        })
    }

    /// Creates a named pipe.
    #[cfg(not(target_vendor = "apple"))]
    pub(crate) fn pipe(&mut self, path: &[u8], dress: &Dress) -> io::Result<()> {
        let mode = Mode::from_raw_mode((dress.mode & 0o777) as RawMode);
        self.create(path, |within, name| {
            rustix::fs::mkfifoat(within, name, mode)
        })?;
        self.dress_name(path, dress)?;
        if dress.exact {
            let (within, name) = self.place(path)?;
            let mode = Mode::from_raw_mode(dress.mode as RawMode);
            rustix::fs::chmodat(within, name, mode, AtFlags::empty())?;
        }
        Ok(())
    }

    /// This system has no call for it that cannot be led astray by a link.
    #[cfg(target_vendor = "apple")]
    pub(crate) fn pipe(&mut self, _path: &[u8], _dress: &Dress) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sets what a directory is to have in the end.
    pub(crate) fn dress_folder(&mut self, path: &[u8], dress: &Dress) -> io::Result<()> {
        let (within, name) = self.place(path)?;
        put_on(openat(within, name, FOLDER, Mode::empty())?, dress)
    }

    /// The same for the directory of the tree itself.
    pub(crate) fn dress_root(&self, dress: &Dress) -> io::Result<()> {
        put_on(&self.root, dress)
    }

    fn dress_name(&mut self, path: &[u8], dress: &Dress) -> io::Result<()> {
        let (within, name) = self.place(path)?;
        if let Some((user, group)) = owner(dress) {
            chownat(within, name, user, group, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(utimensat(
            within,
            name,
            &times(dress),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Runs `create` for a name, once more after removing what has it.
    fn create<T>(
        &mut self,
        path: &[u8],
        create: impl Fn(&OwnedFd, &[u8]) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        let (within, name) = self.place(path)?;
        match create(within, name) {
            Err(Errno::EXIST) => {
                unlinkat(within, name, AtFlags::empty())?;
                Ok(create(within, name)?)
            }
            created => Ok(created?),
        }
    }

    /// Returns the directory of `path`, opened, and the last name. Missing directories are created.
    fn place<'a, 'p>(&'a mut self, path: &'p [u8]) -> io::Result<(&'a OwnedFd, &'p [u8])> {
        let Some(end) = path.iter().rposition(|byte| *byte == b'/') else {
            return Ok((&self.root, path));
        };
        let (folder, name) = (&path[..end], &path[end + 1..]);
        if self.last.as_ref().is_none_or(|(last, _)| last != folder) {
            let found = self.walk(folder)?;
            self.last = Some((folder.to_vec(), found));
        }
        let found = self.last.as_ref().map_or(&self.root, |(_, found)| found);
        Ok((found, name))
    }

    fn walk(&mut self, folder: &[u8]) -> io::Result<OwnedFd> {
        let mut at = self.root.try_clone()?;
        let mut walked = 0;
        for name in folder.split(|byte| *byte == b'/') {
            walked += name.len() + 1;
            at = match openat(&at, name, FOLDER, Mode::empty()) {
                Err(Errno::NOENT) => {
                    mkdirat(&at, name, Mode::from_raw_mode(0o755))?;
                    self.implied.push(folder[..walked - 1].to_vec());
                    openat(&at, name, FOLDER, Mode::empty())?
                }
                found => found?,
            };
        }
        Ok(at)
    }
}

/// Sets what a file is to have in the end.
pub(crate) fn dress_file(file: &File, dress: &Dress) -> io::Result<()> {
    put_on(file, dress)
}

fn put_on(file: impl AsFd, dress: &Dress) -> io::Result<()> {
    // The owner first: changing it removes bits of the mode.
    if let Some((user, group)) = owner(dress) {
        fchown(&file, user, group)?;
    }
    let now = Mode::from_raw_mode(fstat(&file)?.st_mode);
    let mode = Mode::from_raw_mode(dress.mode as RawMode);
    // It was created with at least these permissions, less the umask, which cannot be read without changing it for all threads.
    let wanted = if dress.exact { mode } else { mode & now };
    if wanted != now {
        fchmod(&file, wanted)?;
    }
    Ok(futimens(&file, &times(dress))?)
}

fn owner(dress: &Dress) -> Option<(Option<Uid>, Option<Gid>)> {
    let (user, group) = dress.owner?;
    Some((Some(Uid::from_raw(user)), Some(Gid::from_raw(group))))
}

fn times(dress: &Dress) -> Timestamps {
    let (seconds, nanos) = dress.changed;
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: seconds,
            tv_nsec: nanos.into(),
        },
    }
}
