//! Who may use a root, on Windows: whom the directory above it is for, as its access list says, which all that is made below takes
//! over. There are no modes to look at or to set, and no groups by number.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::local::{self as fs, OpenOptions};

/// Refuses a root, or a folder of one, that is a link or no directory; and a group, of which there are none.
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
        Ok(found) if !found.is_dir() => refused("it is there, but no directory"),
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io(format!("looking at {}", path.display()), &e)),
    }
}

fn make(path: &Path, group: Option<u32>) -> Result<()> {
    check(path, group)?;
    match create_dir(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(Error::io(
            format!("making the directory {}", path.display()),
            &e,
        )),
        _ => check(path, group),
    }
}

/// Makes the library's own folder of a root.
pub(crate) fn make_own(path: &Path, group: Option<u32>) -> Result<()> {
    make(path, group)
}

/// Makes `state` or `logs`. Finds it made.
pub(crate) fn make_public(path: &Path, group: Option<u32>) -> Result<()> {
    make(path, group)
}

/// Makes a directory for whom the one above is for.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Opens a file of the library's own. One that `options` makes is for whom the folder is for.
pub(crate) fn open_with(options: &OpenOptions, path: &Path) -> io::Result<File> {
    fs::open_with(options, path)
}

/// Makes a file of the library's own, or empties it.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    open_with(
        OpenOptions::new().write(true).create(true).truncate(true),
        path,
    )
}

/// Writes a file of the library's own.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    create(path)?.write_all(content)
}

/// Makes the log of a step. Never through a link, and never one that was there.
pub(crate) fn create_log(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().write(true).create_new(true), path)
}
