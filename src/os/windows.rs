//! Windows. Errors are the numbers of `GetLastError`; texts are UTF-8.

mod events;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::os::windows::io::{AsHandle, AsRawHandle};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use windows_sys::Win32::Foundation::{
    ERROR_CANT_RESOLVE_FILENAME, ERROR_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED, ERROR_FILE_NOT_FOUND,
    ERROR_HANDLE_DISK_FULL, ERROR_LOCK_VIOLATION, ERROR_NOT_SAME_DEVICE, ERROR_PATH_NOT_FOUND,
    HANDLE,
};
use windows_sys::Win32::Networking::WinSock::WSAETIMEDOUT;
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_READ_ATTRIBUTES, FILE_TYPE_DISK, GetDiskFreeSpaceExW, GetFileInformationByHandle,
    GetFileType, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, MoveFileExW,
    UnlockFileEx,
};
use windows_sys::Win32::System::IO::OVERLAPPED;
use windows_sys::Win32::System::SystemInformation::GetTickCount64;

use super::{Facts, Hold, Numbers, Other, Sort, Stamp};
use crate::local as fs;

pub(crate) use events::{Event, PollFlags, Wake, Watched, first_of};

/// Docker's default address.
pub(crate) const USUAL_ADDRESS: &str = "npipe:////./pipe/docker_engine";

/// The variable with the user's home directory.
pub(crate) const HOME: &str = "USERPROFILE";

/// The error number for a timeout.
pub(crate) const TIMED_OUT: i32 = WSAETIMEDOUT;

/// The error number for too many links in a path.
pub(crate) const TOO_MANY_LINKS: i32 = ERROR_CANT_RESOLVE_FILENAME as i32;

/// The position of the locked byte: beyond everything that a lock's file will ever contain, because other processes cannot read
/// a locked byte.
const LOCKED: u64 = 1 << 62;

fn handle(file: &File) -> HANDLE {
    file.as_raw_handle()
}

/// Returns the error of a system call that returns 0 on failure.
fn done(answer: i32) -> io::Result<()> {
    match answer {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Returns a path in the system's form, NUL-terminated.
fn wide(path: &Path) -> io::Result<Vec<u16>> {
    let mut wide: Vec<u16> = path.as_os_str().encode_wide().collect();
    match wide.contains(&0) {
        true => Err(io::Error::new(
            ErrorKind::InvalidInput,
            "the path contains a NUL",
        )),
        false => {
            wide.push(0);
            Ok(wide)
        }
    }
}

fn locked_place() -> OVERLAPPED {
    let mut place = OVERLAPPED::default();
    place.Anonymous.Anonymous.Offset = LOCKED as u32;
    place.Anonymous.Anonymous.OffsetHigh = (LOCKED >> 32) as u32;
    place
}

/// Takes a lock on a file, if that is possible without waiting. The lock belongs to the open file: the system releases it when
/// the file is closed.
pub(crate) fn lock(file: &File, hold: Hold) -> io::Result<bool> {
    let flags = match hold {
        Hold::Alone => LOCKFILE_FAIL_IMMEDIATELY | LOCKFILE_EXCLUSIVE_LOCK,
        Hold::Shared => LOCKFILE_FAIL_IMMEDIATELY,
    };
    let mut place = locked_place();
    // SAFETY: the handle is open as long as `file` is, and the structure lives until the call returns: on a handle that is not
    // overlapped, the operation is complete then.
    match done(unsafe { LockFileEx(handle(file), flags, 0, 1, 0, &mut place) }) {
        Ok(()) => Ok(true),
        Err(e) if e.raw_os_error() == Some(ERROR_LOCK_VIOLATION as i32) => Ok(false),
        Err(e) => Err(e),
    }
}

pub(crate) fn unlock(file: &File) -> io::Result<()> {
    let mut place = locked_place();
    // SAFETY: as for taking it.
    done(unsafe { UnlockFileEx(handle(file), 0, 1, 0, &mut place) })
}

/// Gives a file a name that is not in use; returns `false` if the file system does not support that.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<bool> {
    let (from, to) = (wide(from)?, wide(to)?);
    // SAFETY: both texts are NUL-terminated and outlive the call. No flag: an existing file is not replaced.
    match done(unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), 0) }) {
        Ok(()) => Ok(true),
        Err(e) if e.raw_os_error() == Some(ERROR_NOT_SAME_DEVICE as i32) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Removes a file that may be open: its name is free immediately. If a file were only deleted, its name would be in use until
/// the last process closes it, and no process could open it.
pub(crate) fn remove_open(path: &Path) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let gone = path.with_file_name(format!(".new-{}-gone-{number}", std::process::id()));
    match fs::rename(path, &gone) {
        Ok(()) => fs::remove_file(&gone),
        Err(_) => fs::remove_file(path),
    }
}

/// Returns the attributes of an open file.
fn known(file: &File) -> io::Result<BY_HANDLE_FILE_INFORMATION> {
    let mut known = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and the structure may be written to.
    done(unsafe { GetFileInformationByHandle(handle(file), &mut known) })?;
    Ok(known)
}

/// Opens the file or directory at a path to read its attributes.
fn look_at(path: &Path, follow: bool) -> io::Result<File> {
    let mut flags = FILE_FLAG_BACKUP_SEMANTICS;
    if !follow {
        flags |= FILE_FLAG_OPEN_REPARSE_POINT;
    }
    let mut options = OpenOptions::new();
    options
        .access_mode(FILE_READ_ATTRIBUTES)
        .custom_flags(flags);
    fs::open_with(&options, path)
}

/// Returns whether the file at a path is this file.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let there = look_at(path, true).map_err(|e| match e.kind() {
        // It was just opened: it is being deleted.
        ErrorKind::PermissionDenied => ErrorKind::NotFound.into(),
        _ => e,
    })?;
    let (ours, there) = (of_known(&known(file)?), of_known(&known(&there)?));
    // Wine does not know the volume of a file that was renamed after it was opened.
    let unknown = (0, 0);
    let same_volume = ours.device == there.device || ours.device == unknown;
    Ok(ours.inode == there.inode && same_volume)
}

impl Facts {
    /// The modes are those that Docker uses for files of Windows. There are no owners, and hard links are not detected.
    pub(crate) fn of(found: &Metadata) -> Self {
        let kind = found.file_type();
        let sort = match () {
            () if kind.is_symlink() => Sort::Link,
            () if kind.is_dir() => Sort::Folder,
            () => Sort::File,
        };
        let written = found.modified().ok();
        let written = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let written = written.unwrap_or_default();
        Facts {
            sort,
            mode: 0o755,
            owner: (0, 0),
            size: found.len(),
            changed: (
                i64::try_from(written.as_secs()).unwrap_or(i64::MAX),
                written.subsec_nanos(),
            ),
            device: (0, 0),
            number: (0, 0),
            shared: None,
        }
    }
}

pub(crate) fn stamp(found: &Metadata) -> Stamp {
    (
        found.file_size(),
        found.last_write_time() as i64,
        found.creation_time() as i64,
    )
}

/// Returns the identity of the file at a path; of a link itself, unless it is followed.
pub(crate) fn numbers(path: &Path, follow: bool) -> io::Result<Numbers> {
    Ok(of_known(&known(&look_at(path, follow)?)?))
}

fn of_known(known: &BY_HANDLE_FILE_INFORMATION) -> Numbers {
    const DIRECTORY: u32 = 0x10;
    let both = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    Numbers {
        inode: both(known.nFileIndexHigh, known.nFileIndexLow),
        // Not needed, because NTFS does not reuse the numbers. (And Wine reports the time of the last change.)
        born: None,
        // It stays with the volume, whichever disk of the machine that is.
        device: (0, known.dwVolumeSerialNumber),
        is_directory: known.dwFileAttributes & DIRECTORY != 0,
    }
}

/// Returns the path with links and `..` resolved; without the `\\?\` prefix, if it starts with a drive.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    let real = fs::canonicalize(path)?;
    let plain = real
        .to_str()
        .and_then(|text| text.strip_prefix(r"\\?\"))
        .filter(|text| text.as_bytes().get(1) == Some(&b':'))
        .map(PathBuf::from);
    Ok(plain.unwrap_or(real))
}

/// Creates a directory with the access of its parent directory: there are no modes.
pub(crate) fn create_dir(path: &Path, _mode: u32) -> io::Result<()> {
    fs::create_dir(path)
}

/// Syncs the names in a directory to disk: this file system does that by itself.
pub(crate) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Opens a file for reading. A file that would have to be waited for is refused, because a read cannot be interrupted.
pub(crate) fn open_silent(path: &Path) -> io::Result<File> {
    let file = fs::open(path)?;
    // SAFETY: the handle is open.
    match unsafe { GetFileType(handle(&file)) } {
        FILE_TYPE_DISK => Ok(file),
        _ => Err(io::Error::new(
            ErrorKind::Unsupported,
            "on Windows only what is on a disk is read by its path: a pipe or a device could not be waited for",
        )),
    }
}

/// Returns whether a read would return something: on a disk always.
pub(crate) fn has_arrived(_file: &File) -> io::Result<bool> {
    Ok(true)
}

/// Returns what to wait for until a read would return something.
pub(crate) fn watched(file: &File) -> Watched<'_> {
    file.as_handle()
}

pub(crate) fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    file.seek_read(buffer, position)
}

pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut position: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = file.seek_write(bytes, position)?;
        if written == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        position += written as u64;
    }
    Ok(())
}

/// Returns the kind of a file that is not a regular file, directory or link.
pub(crate) fn other(_found: &Metadata) -> Option<Other> {
    None
}

/// Gives a new file the attributes of the file that it replaces: here, it inherits its access from its directory.
pub(crate) fn dress(_file: &File, _model: &Metadata) {}

/// Returns how many bytes of a file system this user has or may have, and how many of them are free.
pub(crate) fn space(path: &Path) -> io::Result<(u64, u64)> {
    let path = wide(path)?;
    let (mut free, mut all) = (0, 0);
    let nobody = std::ptr::null_mut();
    // SAFETY: the text is NUL-terminated, both numbers may be written to, and the third is not requested.
    done(unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &mut free, &mut all, nobody) })?;
    Ok((all, free))
}

/// Sets a file's time to now. Any user who may write to it may do this.
pub(crate) fn touch(path: &Path) -> io::Result<()> {
    fs::open_with(OpenOptions::new().write(true), path)?.set_modified(std::time::SystemTime::now())
}

/// Returns whether the error with this number says that a disk, or a quota on it, is full.
pub(crate) fn is_disk_full(number: i32) -> bool {
    [
        ERROR_DISK_FULL,
        ERROR_HANDLE_DISK_FULL,
        ERROR_DISK_QUOTA_EXCEEDED,
    ]
    .contains(&(number as u32))
}

/// Returns whether the error with this number says that something does not exist.
pub(crate) fn is_missing(number: i32) -> bool {
    [ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND].contains(&(number as u32))
}

/// Returns the seconds since this machine was started.
pub(crate) fn uptime() -> i64 {
    // SAFETY: it takes no arguments and cannot fail.
    let milliseconds = unsafe { GetTickCount64() };
    (milliseconds / 1000) as i64
}

/// Returns the system's identifier of the current boot: it has none.
pub(crate) fn boot() -> Option<String> {
    None
}

/// Returns the number of the user that this process acts for. Users have no numbers here.
pub(crate) fn user() -> u32 {
    0
}

/// Returns a name or path given as bytes: as UTF-8.
pub(crate) fn text_of(bytes: &[u8]) -> Option<&OsStr> {
    std::str::from_utf8(bytes).ok().map(OsStr::new)
}

/// Returns a name or path as UTF-8; invalid parts become replacement characters.
pub(crate) fn bytes_of(text: &OsStr) -> Cow<'_, [u8]> {
    match text.to_string_lossy() {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}
