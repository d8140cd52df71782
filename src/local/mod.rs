//! Files of this machine, opened so that no descriptor of ours is 0, 1 or 2; and none outlives an `exec`. (Windows keeps the standard
//! streams apart from what is opened, and has its own trouble with files that are open.)
//!
//! A program that has closed its standard output prints into whatever takes that number next: a lock's file, or the connection to
//! the engine. Rust's runtime opens all three for programs in Rust; a library in somebody else's process has to look for itself.
//!
//! All that opens anything in this crate does so in here or in [`aside`]; a test reads the sources for what goes past it. Names are
//! those of `std::fs`, so that a file says `use crate::local as fs`.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::fs::{File, ReadDir};
use std::io;
use std::path::Path;

#[cfg(unix)]
pub(crate) use self::unix::*;
#[cfg(windows)]
pub(crate) use self::windows::*;

// What opens nothing.
#[allow(unused_imports)]
pub(crate) use std::fs::{
    DirBuilder, OpenOptions, Permissions, canonicalize, create_dir, create_dir_all, metadata,
    read_link, remove_dir, remove_file, set_permissions, symlink_metadata,
};

/// `File::open`.
pub(crate) fn open(path: impl AsRef<Path>) -> io::Result<File> {
    opened(|| File::open(path))
}

/// `options.open(path)`.
pub(crate) fn open_with(options: &OpenOptions, path: impl AsRef<Path>) -> io::Result<File> {
    opened(|| options.open(path))
}

/// Whether `length` bytes may be written at `position` of a file: beyond the limit of this process (`ulimit -f`) a write would raise
/// SIGXFSZ, which ends a host that does not expect it.
pub(crate) fn room(position: u64, length: usize) -> io::Result<()> {
    match position.saturating_add(length as u64) > longest_file() {
        true => Err(io::Error::from_raw_os_error(TOO_LARGE)),
        false => Ok(()),
    }
}

pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    aside(|| std::fs::read(path))
}

pub(crate) fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    aside(|| std::fs::read_to_string(path))
}

pub(crate) fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    aside(|| std::fs::read_dir(path))
}

pub(crate) fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    aside(|| std::fs::remove_dir_all(path))
}
