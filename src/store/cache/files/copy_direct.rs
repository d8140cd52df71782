//! Copying a tree where its files are in reach of this process: contents are shared with the source where the file system can
//! (reflinks) and copied by the kernel elsewhere; holes stay holes.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid, chmodat,
    chownat, copy_file_range, fchmod, fchown, fstat, ftruncate, futimens, ioctl_ficlone, linkat,
    mkdirat, mknodat, openat, readlinkat, seek, symlinkat, utimensat,
};
use rustix::io::Errno;

use crate::error::Error;
use crate::store::cache::files::look::RootLook;
use crate::store::cache::files::walk::{self, FOLDER, Fault, Visit};
use crate::store::cache::files::xattr;
use crate::wait::Wait;

/// How much is copied between two looks at the deadline.
const PIECE: usize = 16 << 20;

/// Copies what is in the directory `from` into the directory `to`, which is empty, and makes its root look the same, but
/// for the `owner`. Gives how many bytes of contents there were.
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
        Visit::Entry { folder, name, stat } => copier.entry(folder, name, stat),
        Visit::Leave { folder, stat } => copier.leave(folder, stat, owner),
    })?;
    Ok(copier.bytes)
}

/// Copies one file, or whatever else is no directory, from one directory to another.
pub(crate) fn copy_file(
    from: BorrowedFd<'_>,
    to: &OwnedFd,
    name: &CStr,
    stat: &Stat,
    wait: Wait<'_>,
) -> Result<(), Fault> {
    Copier::new(to.try_clone()?, wait)?.entry(from, name, stat)
}

/// The copy under way.
struct Copier<'a> {
    root: OwnedFd,
    /// The directory that corresponds to the one the walk is in.
    folder: OwnedFd,
    /// It and those above it, and where each one's name ends in `path`.
    parents: Vec<Stat>,
    /// Its path below the root, with a slash at the end.
    path: Vec<u8>,
    /// Where the copy of a file with more than one name is, by the file's device and number.
    links: HashMap<(u64, u64), CString>,
    /// Whether sharing contents has not failed yet.
    reflink: bool,
    bytes: u64,
    wait: Wait<'a>,
}

impl<'a> Copier<'a> {
    fn new(root: OwnedFd, wait: Wait<'a>) -> Result<Self, Fault> {
        Ok(Copier {
            folder: root.try_clone()?,
            parents: vec![fstat(&root)?],
            path: Vec::new(),
            root,
            links: HashMap::new(),
            reflink: true,
            bytes: 0,
            wait,
        })
    }

    fn entry(&mut self, source: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<(), Fault> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            // Open to us alone until everything is in it.
            mkdirat(&self.folder, name, Mode::RWXU)?;
            self.folder = openat(&self.folder, name, FOLDER, Mode::empty())?;
            self.parents.push(fstat(&self.folder)?);
            self.path.extend(name.to_bytes());
            self.path.push(b'/');
            return Ok(());
        }
        if stat.st_nlink > 1 && self.linked(name, stat)? {
            return Ok(());
        }
        match kind {
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

    /// Makes a further name of a file that was copied under another one.
    fn linked(&mut self, name: &CStr, stat: &Stat) -> Result<bool, Fault> {
        let key = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.links.get(&key) {
            return match linkat(&self.root, first, &self.folder, name, AtFlags::empty()) {
                Ok(()) => Ok(true),
                // A path too long to name, or too many names: a file of its own then.
                Err(Errno::NAMETOOLONG | Errno::MLINK) => Ok(false),
                Err(e) => Err(e.into()),
            };
        }
        let mut path = self.path.clone();
        path.extend(name.to_bytes());
        // A name from a directory holds no zero byte.
        self.links
            .insert(key, CString::new(path).map_err(io::Error::from)?);
        Ok(false)
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
        self.contents(&from, &to, stat)?;
        // The owner before the mode and the attributes: changing it takes setuid bits and capabilities away.
        fchown(
            &to,
            Some(Uid::from_raw(stat.st_uid)),
            Some(Gid::from_raw(stat.st_gid)),
        )?;
        fchmod(&to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
        xattr::copy(from.as_fd(), to.as_fd(), |_| true)?;
        futimens(&to, &times(stat))?;
        Ok(())
    }

    fn contents(&mut self, from: &OwnedFd, to: &OwnedFd, stat: &Stat) -> Result<(), Fault> {
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        self.bytes += size;
        if size == 0 {
            return Ok(());
        }
        if self.reflink {
            match ioctl_ficlone(to, from) {
                Ok(()) => return Ok(()),
                // Not here: other file systems, or two of them.
                Err(_) => self.reflink = false,
            }
        }
        if walk::blocks(stat) >= size {
            self.extent(from, to, 0, size)?;
        } else {
            self.extents(from, to, size)?;
        }
        Ok(())
    }

    /// Copies the parts of a file that are not holes.
    fn extents(&self, from: &OwnedFd, to: &OwnedFd, size: u64) -> Result<(), Fault> {
        let mut at = 0;
        while at < size {
            let data = match seek(from, SeekFrom::Data(at)) {
                Ok(data) => data,
                // Nothing but a hole to the end.
                Err(Errno::NXIO) => break,
                Err(e) => return Err(e.into()),
            };
            let hole = seek(from, SeekFrom::Hole(data))?.min(size);
            self.extent(from, to, data, hole)?;
            at = hole;
        }
        ftruncate(to, size)?;
        Ok(())
    }

    fn extent(&self, from: &OwnedFd, to: &OwnedFd, start: u64, end: u64) -> Result<(), Fault> {
        let (mut read_at, mut write_at) = (start, start);
        while read_at < end {
            self.wait.left()?;
            let piece = usize::try_from(end - read_at).unwrap_or(PIECE).min(PIECE);
            match copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), piece) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(_) => {}
                Err(Errno::INTR) => {}
                Err(Errno::NOSYS | Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM) => {
                    return self.extent_by_hand(from, to, read_at, end);
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn extent_by_hand(
        &self,
        from: &OwnedFd,
        to: &OwnedFd,
        start: u64,
        end: u64,
    ) -> Result<(), Fault> {
        let (mut from, mut to) = (File::from(from.try_clone()?), File::from(to.try_clone()?));
        seek(&from, SeekFrom::Start(start))?;
        seek(&to, SeekFrom::Start(start))?;
        let mut buffer = vec![0; 256 << 10];
        let mut left = end - start;
        while left > 0 {
            self.wait.left()?;
            let piece = usize::try_from(left)
                .unwrap_or(buffer.len())
                .min(buffer.len());
            let n = match from.read(&mut buffer[..piece]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if n == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            to.write_all(&buffer[..n])?;
            left -= n as u64;
        }
        Ok(())
    }

    /// Owner, mode, attributes and times of what cannot be opened: links, fifos, devices, sockets.
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
            // Follows links, but this is none: it was just made, and nobody else can write here.
            chmodat(
                &self.folder,
                name,
                Mode::from_raw_mode(stat.st_mode & 0o7777),
                AtFlags::empty(),
            )?;
        }
        xattr::copy_unopened(source, self.folder.as_fd(), name)?;
        utimensat(&self.folder, name, &times(stat), link)?;
        Ok(())
    }

    /// Dresses the directory that is done, and goes up.
    fn leave(
        &mut self,
        source: BorrowedFd<'_>,
        stat: &Stat,
        root_owner: (u32, u32),
    ) -> Result<(), Fault> {
        let owner = if self.parents.len() == 1 {
            root_owner
        } else {
            (stat.st_uid, stat.st_gid)
        };
        dress_folder(source, self.folder.as_fd(), stat, owner, |_| true)?;
        self.parents.pop();
        if let Some(parent) = self.parents.last() {
            self.folder = walk::up(&self.folder, parent)?;
            self.path.pop();
            self.path.truncate(
                self.path
                    .iter()
                    .rposition(|b| *b == b'/')
                    .map_or(0, |slash| slash + 1),
            );
        }
        Ok(())
    }
}

/// Gives a directory an owner, a mode and a time.
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

/// Gives the directory `to` the mode, attributes and times of `from`, and an owner.
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

/// The access and modification times of a file.
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
