//! [`Tree`]: a directory in which files are created by relative paths. Nothing is created through a link, and no link is
//! created: a user needs a privilege for that.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::local::Dress;

/// A path is names joined by `/`: not empty, and none of them is `.` or `..`.
pub(crate) struct Tree {
    root: PathBuf,
}

impl Tree {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        match std::fs::metadata(path)?.is_dir() {
            true => Ok(Tree { root: path.into() }),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Creates the directory at `path`. Returns whether it is new.
    pub(crate) fn folder(&mut self, path: &[u8], _mode: u32) -> io::Result<bool> {
        let path = self.place(path)?;
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => return Ok(false),
            Ok(_) => std::fs::remove_file(&path)?,
            Err(_) => {}
        }
        std::fs::create_dir(&path).map(|()| true)
    }

    /// Creates a file at `path`. What has the name is removed before, unless it is a directory.
    pub(crate) fn file(&mut self, path: &[u8], _mode: u32) -> io::Result<File> {
        let path = self.free(path)?;
        File::create_new(path)
    }

    pub(crate) fn link(&mut self, _path: &[u8], _target: &[u8], _dress: &Dress) -> io::Result<()> {
        Err(unsupported("a symbolic link"))
    }

    /// Gives the file at `target` another name.
    pub(crate) fn hard_link(&mut self, path: &[u8], target: &[u8]) -> io::Result<()> {
        if path == target {
            return Ok(());
        }
        let target = self.place(target)?;
        std::fs::hard_link(target, self.free(path)?)
    }

    pub(crate) fn pipe(&mut self, _path: &[u8], _dress: &Dress) -> io::Result<()> {
        Err(unsupported("a named pipe"))
    }

    /// A directory's time cannot be set without opening it in a way of its own; it has no mode and no such owner.
    pub(crate) fn dress_folder(&mut self, _path: &[u8], _dress: &Dress) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn dress_root(&self, _dress: &Dress) -> io::Result<()> {
        Ok(())
    }

    /// Returns the path of a file that does not exist, or no longer.
    fn free(&self, path: &[u8]) -> io::Result<PathBuf> {
        let path = self.place(path)?;
        if std::fs::symlink_metadata(&path).is_ok() {
            std::fs::remove_file(&path)?;
        }
        Ok(path)
    }

    /// Returns the whole path. Missing directories above it are created.
    fn place(&self, path: &[u8]) -> io::Result<PathBuf> {
        let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let mut whole = self.root.clone();
        for (at, name) in names.iter().enumerate() {
            whole.push(checked(name)?);
            if at + 1 == names.len() {
                break;
            }
            match std::fs::symlink_metadata(&whole) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
                Err(_) => std::fs::create_dir(&whole)?,
            }
        }
        Ok(whole)
    }
}

/// Sets what a file is to have in the end: its time.
pub(crate) fn dress_file(file: &File, dress: &Dress) -> io::Result<()> {
    let (seconds, nanos) = dress.changed;
    let time = match u64::try_from(seconds) {
        Ok(seconds) => UNIX_EPOCH + Duration::new(seconds, nanos),
        Err(_) => SystemTime::UNIX_EPOCH,
    };
    file.set_modified(time)
}

/// Returns the name, if this system can have it, and it means nothing else here.
fn checked(name: &[u8]) -> io::Result<&str> {
    let refused = || {
        let name = String::from_utf8_lossy(name);
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("Windows has no file name {name:?}"),
        )
    };
    let name = std::str::from_utf8(name).map_err(|_| refused())?;
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    let device = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device));
    let numbered = stem
        .get(..3)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("COM") || kind.eq_ignore_ascii_case("LPT"))
        && stem.chars().count() == 4;
    let wrong = |c: char| c < ' ' || "\\/:*?\"<>|".contains(c);
    match device || numbered || name.ends_with(['.', ' ']) || name.contains(wrong) {
        true => Err(refused()),
        false => Ok(name),
    }
}

fn unsupported(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!("{what} is not created on Windows"),
    )
}
