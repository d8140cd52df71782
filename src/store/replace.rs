//! Files that are there whole or not at all: written beside, and renamed over. Whoever reads one finds what was there before, or what
//! is there now; a write that fails, on a full disk, say, or is killed, leaves what was there.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::local as fs;
use crate::os;
use crate::store::access;

/// What the name of a file begins with that is not whole yet, or not yet the locked one that it is to be. No id, session or name of a
/// cache begins so.
const UNFINISHED: &str = ".new-";

/// Whether it is the name of a file that a killed writer left.
pub(crate) fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED)
}

/// Where `path` is written until it is whole, by somebody who holds no lock: under a name that nobody else has.
pub(crate) fn beside(path: &Path, unique: &str) -> PathBuf {
    path.with_file_name(format!("{UNFINISHED}{unique}"))
}

/// The same for who holds the lock on it: the next one writes over what a killed writer left.
pub(crate) fn beside_locked(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Puts the file at `path`. A power failure may leave it torn, or without what is new.
pub(crate) fn replace(path: &Path, beside: &Path, content: &[u8]) -> io::Result<()> {
    place(path, beside, || access::write(beside, content))
}

/// Puts the file at `path`, and on the disk. Where the folder cannot be synced it is there, and only a power failure may forget it.
pub(crate) fn replace_for_good(path: &Path, beside: &Path, content: &[u8]) -> io::Result<()> {
    place(path, beside, || {
        let mut file = access::create(beside)?;
        fs::room(0, content.len())?;
        file.write_all(content)?;
        file.sync_all()
    })?;
    path.parent().map_or(Ok(()), os::sync_folder)
}

fn place(path: &Path, beside: &Path, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let placed = write().and_then(|()| fs::rename(beside, path));
    if placed.is_err() {
        // Part of it takes room.
        let _ = fs::remove_file(beside);
    }
    placed
}
