//! Which users may use a root, on Windows: those that the access list of its parent directory allows, which everything created
//! below inherits. There are no modes to check or set, and no groups by number.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::local::{self as fs, OpenOptions};

/// Refuses a root, or a directory of one, that is a link or not a directory; and any group, because there are none.
pub(crate) fn check(path: &Path, group: Option<u32>) -> Result<()> {
    if let Some(group) = group {
        let why = format!(
            "opening {} for the group {group}: groups have no numbers on Windows; let the access list of the directory say who may use \
             it",
            path.display()
        );
        return Err(Error::new(ErrorKind::Unsupported, why));
    }
    let refused = |what: &str| {
        let why = format!("refusing to use {}: {what}", path.display());
        Err(Error::new(ErrorKind::InvalidArgument, why))
    };
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => refused(
            "it is a symbolic link, which leads out of the root; put a directory there, or mount one",
        ),
        Ok(found) if !found.is_dir() => refused("it exists but is not a directory"),
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io(format!("looking at {}", path.display()), &e)),
    }
}

fn make(path: &Path, group: Option<u32>) -> Result<()> {
    check(path, group)?;
    match create_dir(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(Error::io(
            format!("creating the directory {}", path.display()),
            &e,
        )),
        _ => check(path, group),
    }
}

/// Creates the library's own directory of a root.
pub(crate) fn make_own(path: &Path, group: Option<u32>) -> Result<()> {
    make(path, group)
}

/// Creates `state` or `logs`, unless it exists.
pub(crate) fn make_public(path: &Path, group: Option<u32>) -> Result<()> {
    make(path, group)
}

/// Creates a directory with the access of its parent directory.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Opens one of the library's own files. If `options` create it, it gets the access of its directory.
pub(crate) fn open_with(options: &OpenOptions, path: &Path) -> io::Result<File> {
    fs::open_with(options, path)
}

/// Creates or truncates one of the library's own files.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    open_with(
        OpenOptions::new().write(true).create(true).truncate(true),
        path,
    )
}

/// Writes one of the library's own files.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    create(path)?.write_all(content)
}

/// Creates the log of a step. Never through a link, and never an existing file.
pub(crate) fn create_log(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().write(true).create_new(true), path)
}
