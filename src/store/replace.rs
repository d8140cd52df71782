//! Files that are replaced atomically: written under another name, and renamed. A reader finds either the old content or the
//! new one. A write that fails, for example on a full disk, or is killed, leaves the old content.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::local as fs;
use crate::os;
use crate::store::access;

/// The start of the name of a file that is not complete yet, or not locked yet under its final name. No id, session or cache
/// name starts with it.
const UNFINISHED: &str = ".new-";

/// Returns whether it is the name of a file that a killed writer left.
pub(crate) fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED)
}

/// Returns the temporary name for writing `path` without holding a lock: a name that no other writer uses.
pub(crate) fn beside(path: &Path, unique: &str) -> PathBuf {
    path.with_file_name(format!("{UNFINISHED}{unique}"))
}

/// The same for a writer that holds the lock on the file: the next writer overwrites what a killed one left.
pub(crate) fn beside_locked(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Replaces the file at `path`. A power failure may leave it corrupt, or with the old content.
pub(crate) fn replace(path: &Path, beside: &Path, content: &[u8]) -> io::Result<()> {
    place(path, beside, || access::write(beside, content))
}

/// Replaces the file at `path` and syncs it to disk. If the directory cannot be synced, the file is replaced, but a power
/// failure may undo that.
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
        // A partial file takes up space.
        let _ = fs::remove_file(beside);
    }
    placed
}
