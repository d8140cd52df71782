//! Linux, macOS and similar systems.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{
    DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown,
};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, Timespec, poll};
use rustix::fs::{
    AtFlags, CWD, FlockOperation, OFlags, RenameFlags, Timestamps, UTIME_NOW, flock, renameat_with,
    utimensat,
};
use rustix::io::Errno;

use super::{Facts, Hold, Numbers, Other, Sort, Stamp};
use crate::local::{self as fs, aside};

pub(crate) use rustix::event::PollFlags;

/// Docker's default address.
pub(crate) const USUAL_ADDRESS: &str = "unix:///var/run/docker.sock";

/// The variable with the user's home directory.
pub(crate) const HOME: &str = "HOME";

/// The error number for a timeout.
pub(crate) const TIMED_OUT: i32 = Errno::TIMEDOUT.raw_os_error();

/// The error number for too many links in a path.
pub(crate) const TOO_MANY_LINKS: i32 = Errno::LOOP.raw_os_error();

/// What can be waited for: it becomes readable when the event has occurred.
pub(crate) type Watched<'a> = BorrowedFd<'a>;

/// Wakes other threads. Stays signalled.
pub(crate) struct Wake {
    tx: UnixStream,
    rx: UnixStream,
}

impl Wake {
    pub(crate) fn new() -> io::Result<Self> {
        let (tx, rx) = aside(UnixStream::pair)?;
        Ok(Wake { tx, rx })
    }

    /// Wakes all current and future waiters.
    pub(crate) fn ring(&self) {
        // One byte that is never read: the other end stays readable for all current and later waiters. Written only once, so
        // there is room. By a direct system call, because this may run in a signal handler.
        while rustix::io::write(&self.tx, &[1]).is_err_and(|error| error == Errno::INTR) {}
    }

    pub(crate) fn watched(&self) -> Watched<'_> {
        self.rx.as_fd()
    }
}

/// Takes a lock on a file, if that is possible without waiting.
pub(crate) fn lock(file: &File, hold: Hold) -> io::Result<bool> {
    let operation = match hold {
        Hold::Alone => FlockOperation::NonBlockingLockExclusive,
        Hold::Shared => FlockOperation::NonBlockingLockShared,
    };
    loop {
        match flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

pub(crate) fn unlock(file: &File) -> io::Result<()> {
    Ok(flock(file, FlockOperation::Unlock)?)
}

/// Gives a file a name that is not in use; returns `false` if the file system does not support that.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<bool> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Removes a file that may be open: its name is free immediately.
pub(crate) fn remove_open(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// Sets a file's time to now. Any user who may write to it may do this.
pub(crate) fn touch(path: &Path) -> io::Result<()> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let both = Timestamps {
        last_access: now,
        last_modification: now,
    };
    Ok(utimensat(CWD, path, &both, AtFlags::empty())?)
}

/// Returns whether the file at a path is this file.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (ours, there) = (file.metadata()?, fs::metadata(path)?);
    Ok(there.ino() == ours.ino() && there.dev() == ours.dev())
}

pub(crate) fn stamp(found: &Metadata) -> Stamp {
    (found.ino(), found.mtime(), found.mtime_nsec())
}

impl Facts {
    pub(crate) fn of(found: &Metadata) -> Self {
        let kind = found.file_type();
        let sort = match () {
            () if kind.is_dir() => Sort::Folder,
            () if kind.is_symlink() => Sort::Link,
            () if kind.is_fifo() => Sort::Pipe,
            () if kind.is_socket() => Sort::Socket,
            () if kind.is_char_device() => Sort::CharDevice,
            () if kind.is_block_device() => Sort::BlockDevice,
            () => Sort::File,
        };
        let device = match sort {
            Sort::CharDevice | Sort::BlockDevice => {
                // As wide as the system has it: macOS keeps it in 32 bits.
                let device = found.rdev() as rustix::fs::Dev;
                (rustix::fs::major(device), rustix::fs::minor(device))
            }
            _ => (0, 0),
        };
        let number = (found.dev(), found.ino());
        Facts {
            sort,
            mode: found.mode() & 0o7777,
            owner: (found.uid(), found.gid()),
            size: found.size(),
            changed: (
                found.mtime(),
                u32::try_from(found.mtime_nsec()).unwrap_or_default(),
            ),
            device,
            number,
            shared: (sort != Sort::Folder && found.nlink() > 1).then_some(number),
        }
    }
}

/// Returns the identity of the file at a path; of a link itself, unless it is followed.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn numbers(path: &Path, follow: bool) -> io::Result<Numbers> {
    use rustix::fs::{FileType, RawMode, StatxFlags, statx};
    let flags = match follow {
        true => AtFlags::empty(),
        false => AtFlags::SYMLINK_NOFOLLOW,
    };
    let wanted = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::BTIME;
    let found = statx(CWD, path, flags, wanted)?;
    let knows_birth = found.stx_mask & StatxFlags::BTIME.bits() != 0;
    let kind = FileType::from_raw_mode(RawMode::from(found.stx_mode));
    Ok(Numbers {
        inode: found.stx_ino,
        born: knows_birth.then_some((found.stx_btime.tv_sec, found.stx_btime.tv_nsec)),
        device: (found.stx_dev_major, found.stx_dev_minor),
        is_directory: kind == FileType::Directory,
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn numbers(path: &Path, follow: bool) -> io::Result<Numbers> {
    use std::time::UNIX_EPOCH;
    let found = match follow {
        true => fs::metadata(path)?,
        false => fs::symlink_metadata(path)?,
    };
    let born = found.created().ok();
    let born = born.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Ok(Numbers {
        inode: found.ino(),
        born: born.and_then(|at| Some((i64::try_from(at.as_secs()).ok()?, at.subsec_nanos()))),
        // This system may change the numbers of disks at any time.
        device: (0, found.dev() as u32),
        is_directory: found.is_dir(),
    })
}

/// Returns the path with links and `..` resolved.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// Creates a directory with this mode, less the bits in the umask.
pub(crate) fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        // If the parent directory passes on more bits.
        Ok(()) if mode == 0 => fs::set_permissions(path, fs::Permissions::from_mode(mode)),
        made => made,
    }
}

/// Syncs the names in a directory to disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::open(folder)?.sync_all()
}

/// Opens a file for reading, without waiting for a writer.
pub(crate) fn open_silent(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(flags.bits() as i32);
    fs::open_with(&options, path)
}

/// Returns whether a read of a pipe or a terminal would return something, including its end.
pub(crate) fn has_arrived(file: &File) -> io::Result<bool> {
    let mut fds = [PollFd::new(file, PollFlags::IN)];
    match poll(&mut fds, Some(&Timespec::default())) {
        Ok(_) => Ok(!fds[0].revents().is_empty()),
        Err(Errno::INTR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Returns what to wait for until a read would return something.
pub(crate) fn watched(file: &File) -> Watched<'_> {
    file.as_fd()
}

pub(crate) fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    file.read_at(buffer, position)
}

pub(crate) fn write_all_at(file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
    file.write_all_at(bytes, position)
}

/// Returns the kind of a file that is not a regular file, directory or link.
pub(crate) fn other(found: &Metadata) -> Option<Other> {
    let kind = found.file_type();
    match kind.is_fifo() {
        true => Some(Other::Pipe),
        false => (kind.is_char_device() || kind.is_block_device()).then_some(Other::Device),
    }
}

/// Gives a new file the owner and mode of the file that it replaces, as far as this user may.
pub(crate) fn dress(file: &File, model: &Metadata) {
    let _ = fchown(file, Some(model.uid()), Some(model.gid()));
    let _ = file.set_permissions(fs::Permissions::from_mode(model.mode() & 0o777));
}

/// Returns how many bytes of a file system are used or may be used, and how many of them are free for this user.
pub(crate) fn space(path: &Path) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    // Space reserved for root is not counted, as in df(1) and OBuilder.
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    Ok((bytes(used + stat.f_bavail), bytes(stat.f_bavail)))
}

/// Returns whether the error with this number says that a disk, or a quota on it, is full.
pub(crate) fn is_disk_full(number: i32) -> bool {
    [Errno::NOSPC, Errno::DQUOT]
        .map(Errno::raw_os_error)
        .contains(&number)
}

/// Returns whether the error with this number says that something does not exist.
pub(crate) fn is_missing(number: i32) -> bool {
    number == Errno::NOENT.raw_os_error()
}

/// Returns the seconds since this machine was started.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn uptime() -> i64 {
    // Not `clock_gettime`: rustix reads the kernel's vDSO page for it, which crashes under valgrind, under which users run
    // their tests.
    rustix::system::sysinfo().uptime as i64
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn uptime() -> i64 {
    rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec
}

/// Returns the system's identifier of the current boot, if it has one.
pub(crate) fn boot() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    boot.split_ascii_whitespace().next().map(str::to_owned)
}

/// Returns the number of the user that this process acts for.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns a name or path given as bytes: any are valid.
pub(crate) fn text_of(bytes: &[u8]) -> Option<&OsStr> {
    Some(OsStr::from_bytes(bytes))
}

/// Returns a name or path as bytes.
pub(crate) fn bytes_of(text: &OsStr) -> Cow<'_, [u8]> {
    Cow::Borrowed(text.as_bytes())
}
