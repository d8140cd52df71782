//! Extended attributes: POSIX ACLs, capabilities, the users' own and the overlay's.

use std::ffi::{CStr, CString, OsStr};
use std::fmt::Write;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr, lgetxattr, llistxattr, lsetxattr};
use rustix::io::Errno;

use crate::store::cache::files::walk::Fault;

/// The kernel's limit on a value, and on the list of names (linux/limits.h).
const MOST: usize = 64 << 10;

/// Returns what `read` writes into a buffer. First a small buffer, because most files have no attributes or short ones, and a
/// buffer of the maximum size if that is too small.
fn read_all(
    mut read: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 256];
    loop {
        match read(&mut buffer) {
            Err(Errno::RANGE) if buffer.len() < MOST => buffer.resize(MOST, 0),
            Err(e) => return Err(e),
            Ok(n) => {
                buffer.truncate(n);
                return Ok(buffer);
            }
        }
    }
}

/// Returns the names of an open file's attributes.
pub(crate) fn list(file: BorrowedFd<'_>) -> Result<Vec<CString>, Fault> {
    match read_all(|buffer| flistxattr(file, buffer)) {
        // A file system without attributes.
        Err(Errno::OPNOTSUPP) => Ok(Vec::new()),
        list => Ok(split(&list?)),
    }
}

/// Returns the value of an open file's attribute; `None` if it does not exist.
pub(crate) fn get(file: BorrowedFd<'_>, name: &CStr) -> Result<Option<Vec<u8>>, Fault> {
    match read_all(|buffer| fgetxattr(file, name, buffer)) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        value => Ok(Some(value?)),
    }
}

/// Returns whether `folder/name`, which is not opened, has an attribute of that name.
pub(crate) fn has_unopened(folder: BorrowedFd<'_>, name: &CStr, attribute: &CStr) -> bool {
    let path = path(folder, name);
    path.is_ok_and(|path| lgetxattr(path, attribute, &mut [0; 0]).is_ok())
}

/// Copies the attributes of `from` that `keep` selects to `to`.
pub(crate) fn copy(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    keep: impl Fn(&[u8]) -> bool,
) -> Result<(), Fault> {
    for name in list(from)? {
        if !keep(name.to_bytes()) {
            continue;
        }
        if let Some(value) = get(from, &name)? {
            settle(fsetxattr(to, &name, &value, XattrFlags::empty()), &name)?;
        }
    }
    Ok(())
}

/// Gives `to/name` the attributes of `from/name`, neither of which can be opened.
pub(crate) fn copy_unopened(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &CStr,
    keep: impl Fn(&[u8]) -> bool,
) -> Result<(), Fault> {
    // There is no system call relative to a directory for these, but /proc has a path for a descriptor.
    let Ok(source) = path(from, name) else {
        return Ok(());
    };
    let names = match read_all(|buffer| llistxattr(&source, buffer)) {
        Ok(list) => split(&list),
        // Neither has any, or /proc is not mounted.
        Err(Errno::OPNOTSUPP | Errno::PERM | Errno::NOENT | Errno::NAMETOOLONG) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    for attribute in names {
        if !keep(attribute.to_bytes()) {
            continue;
        }
        match read_all(|buffer| lgetxattr(&source, &attribute, buffer)) {
            Ok(value) => settle(
                lsetxattr(path(to, name)?, &attribute, &value, XattrFlags::empty()),
                &attribute,
            )?,
            Err(Errno::NODATA) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Ignores that a security module refuses one of its own labels: it gives new files a label anyway.
fn settle(set: rustix::io::Result<()>, name: &CStr) -> Result<(), Fault> {
    match set {
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL)
            if name.to_bytes().starts_with(b"security.") =>
        {
            if name == c"security.capability" {
                set.map_err(Fault::from)
            } else {
                Ok(())
            }
        }
        other => other.map_err(Fault::from),
    }
}

fn path(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<PathBuf> {
    let mut text = String::new();
    write!(text, "/proc/self/fd/{}", folder.as_raw_fd()).map_err(io::Error::other)?;
    Ok(PathBuf::from(text).join(OsStr::from_bytes(name.to_bytes())))
}

fn split(list: &[u8]) -> Vec<CString> {
    list.split(|b| *b == 0)
        .filter(|name| !name.is_empty())
        .filter_map(|name| CString::new(name).ok())
        .collect()
}
