//! Local files, opened so that no descriptor of the library is 0, 1 or 2, and none survives an `exec`. (Windows keeps the
//! standard streams apart from other files; its own problem is replacing files that are open.)
//!
//! A program that has closed its standard output prints into whatever gets that descriptor number next: a lock's file, or the
//! connection to the engine. Rust's runtime opens all three for Rust programs; a library in another program's process has to do
//! that itself.
//!
//! Everything in this crate that opens a file does so here or in [`aside`]; a test searches the sources for code that does not.
//! The names are those of `std::fs`, so that a file says `use crate::local as fs`.

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

/// What a file is given when its contents are complete. On Windows only the time counts.
#[cfg_attr(windows, allow(dead_code))]
pub(crate) struct Dress {
    /// A user's and a group's number.
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) mode: u32,
    /// All bits of the mode; otherwise the permissions, less the umask.
    pub(crate) exact: bool,
    /// When it was last written: seconds since 1970, and nanoseconds.
    pub(crate) changed: (i64, u32),
}

impl Dress {
    /// Returns the same without an owner and a mode: these stay as they are.
    pub(crate) fn only_time(self) -> Self {
        Dress {
            owner: None,
            mode: 0o7777,
            exact: false,
            ..self
        }
    }
}

// Functions that open nothing.
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

/// Returns an error if `length` bytes must not be written at `position` of a file. Beyond the limit of this process (`ulimit
/// -f`) a write would raise SIGXFSZ, which kills a host that does not expect it.
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
