//! A session: one open store in one process. It is active exactly as long as its lock file is locked, so that any process can
//! tell objects of active sessions from those of stale ones.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::local as fs;
use crate::store::identity::random_word;

use crate::store::clock::Uptime;
pub(crate) use crate::store::identity::SHORT;
use crate::store::lock::FileLock;
use crate::store::paths::Paths;
use crate::wait::Wait;

/// How many hex digits a session's id has.
pub(crate) const ID_LENGTH: usize = SHORT + 12;

/// How long the engine may take to finish a request of a killed process. It is the same time as for steps (`note::LATE`).
const LATE: Duration = Duration::from_secs(10 * 60);

/// The start of the file of a session that was found stale, and the maximum size that is read of it.
const DEAD: &str = "docker-store session 1 dead";
const MOST: usize = 256;

/// Whether a session is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Its file is locked.
    Alive,
    /// Its file exists and is not locked: its process has terminated.
    Dead,
    /// The file does not exist. Either the session ended and left nothing, or it is active and its file was removed by another
    /// program. Its objects are left alone.
    Unknown,
}

/// An active session of this process.
#[derive(Debug)]
pub(crate) struct Session {
    id: String,
    next: AtomicU64,
    path: PathBuf,
    lock: Mutex<Option<FileLock>>,
    /// Something could not be removed.
    owes: AtomicBool,
}

impl Session {
    /// Begins a session of the root whose identity starts with `root`; its lock file is created in `folder`.
    pub(crate) fn begin(folder: &Path, root: &str) -> Result<Self> {
        let random = format!("{:016x}", random_word());
        let id = format!("{root}{}", &random[..ID_LENGTH - SHORT]);
        let path = folder.join(&id);
        let lock = locked(&path)?;
        Ok(Session {
            id,
            next: AtomicU64::new(0),
            path,
            lock: Mutex::new(Some(lock)),
            owes: AtomicBool::new(false),
        })
    }

    /// Returns its id, which is unique among all sessions, past ones included.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Returns a name that no other call, session or process uses.
    pub(crate) fn unique(&self) -> String {
        format!("{}-{}", self.id, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Updates the file's time, so that it is not cleaned up as an old file; creates it again if it was removed.
    pub(crate) fn keep(&self, paths: &Paths) {
        let mut lock = self.lock.lock();
        let Some(held) = lock.as_mut() else { return };
        if held.is_in_place() {
            return held.touch();
        }
        let path = self.path.display();
        match paths.in_folders(|| locked(&self.path)) {
            Ok(again) => {
                *held = again;
                log::warn!(
                    "{path}, which shows that this store is open, was removed by something other than this store; it was created again"
                );
            }
            Err(e) => {
                log::warn!("{e}; another open may take objects of this session for leftovers")
            }
        }
    }

    /// Records that something of this session stays on the engine: its file is kept, so that a later open looks for it.
    pub(crate) fn owe(&self) {
        self.owes.store(true, Ordering::Relaxed);
    }

    /// Ends the session. Its lock file is removed, unless something stays on the engine.
    pub(crate) fn end(&self) {
        if let Some(lock) = self.lock.lock().take() {
            if !self.owes.load(Ordering::Relaxed) {
                lock.remove();
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}

/// Creates a locked file at `path`. It is locked under another name first, because a purge must never see it unlocked.
fn locked(path: &Path) -> Result<FileLock> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // A sweep may hold it briefly before it removes it; hence the wait.
    let wait = Wait::unbounded().at_most(Duration::from_secs(10));
    let mut lock = FileLock::take(&path.with_file_name(format!("new-{name}")), wait)?;
    lock.rename(path)?;
    Ok(lock)
}

/// Returns whether the session `id` is active, in this process or another.
pub(crate) fn life(folder: &Path, id: &str) -> Result<Life> {
    // The name comes from a label, which any program can set.
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(Life::Unknown);
    }
    let path = folder.join(id);
    match FileLock::is_held(&path)? {
        true => Ok(Life::Alive),
        false if path.exists() => Ok(Life::Dead),
        false => Ok(Life::Unknown),
    }
}

/// Returns whether any session is stale: only then can there be anything to purge.
pub(crate) fn any_dead(folder: &Path) -> Result<bool> {
    for path in files(folder)? {
        if !FileLock::is_held(&path)? && path.exists() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether any session other than `own` is active.
pub(crate) fn any_other(folder: &Path, own: &str) -> Result<bool> {
    for path in files(folder)? {
        if path.file_name().is_some_and(|name| name != own) && FileLock::is_held(&path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes the files of stale sessions if their leftovers have been removed (`clean`), and no more have appeared for as long as
/// the engine may take to finish requests of a killed process.
pub(crate) fn sweep(folder: &Path, clean: bool) -> Result<()> {
    let now = Uptime::now();
    for path in files(folder)? {
        let Some(dead) = FileLock::try_take_left(&path)? else {
            continue;
        };
        let is_session = path.file_name().is_some_and(|name| name.len() == ID_LENGTH);
        let found = found_dead(&dead.content(MOST)?);
        match found.and_then(|found| now.since(&found)) {
            _ if !is_session => dead.remove(),
            Some(age) if clean && age >= LATE => dead.remove(),
            Some(_) => {}
            None => dead.replace_content(line(&now).as_bytes())?,
        }
    }
    Ok(())
}

/// Returns what is written into the file of a session that is found stale: since when, in this boot.
fn line(now: &Uptime) -> String {
    format!("{DEAD} boot={} at={}\n", now.boot, now.seconds)
}

fn found_dead(content: &[u8]) -> Option<Uptime> {
    let text = std::str::from_utf8(content).ok()?;
    let mut words = text.strip_prefix(DEAD)?.split_ascii_whitespace();
    let found = Uptime {
        boot: words.next()?.strip_prefix("boot=")?.to_owned(),
        seconds: words.next()?.strip_prefix("at=")?.parse().ok()?,
    };
    (line(&found) == text).then_some(found)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let doing =
        |e: io::Error| Error::io(format!("listing the sessions in {}", folder.display()), &e);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(doing)? {
        paths.push(entry.map_err(doing)?.path());
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let name = format!("docker-store-session-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn a_session_is_alive_until_it_ends_and_a_sweep_spares_the_living() {
        let folder = folder("life");
        let begin = || Session::begin(&folder, "01234567").expect("a session");
        let (one, two) = (begin(), begin());
        assert_ne!(one.id(), two.id());
        assert_eq!(one.id().len(), ID_LENGTH);
        assert!(one.id().starts_with("01234567"));
        assert_ne!(one.unique(), one.unique());
        assert!(!any_dead(&folder).expect("a look"));
        let dead = folder.join("0123456789abcdef0123");
        std::fs::write(&dead, "").expect("a dead session's file");
        assert!(any_dead(&folder).expect("a look"));
        let is = |id: &str| life(&folder, id).expect("a look");
        assert_eq!(is("0123456789abcdef0123"), Life::Dead);
        sweep(&folder, true).expect("a sweep");
        assert!(dead.exists(), "the engine may be late");
        let mut ago = Uptime::now();
        ago.seconds -= 2 * i64::try_from(LATE.as_secs()).expect("minutes");
        std::fs::write(&dead, line(&ago)).expect("an old note");
        sweep(&folder, false).expect("a sweep");
        assert!(dead.exists(), "something could not be removed");
        sweep(&folder, true).expect("a sweep");
        assert!(!dead.exists());
        assert_eq!((is(one.id()), is(two.id())), (Life::Alive, Life::Alive));
        let id = one.id().to_owned();
        one.end();
        assert_eq!(is(&id), Life::Unknown);
        for odd in ["", "../x", "a/b"] {
            assert_eq!(is(odd), Life::Unknown);
        }
        let id = two.id().to_owned();
        two.owe();
        two.end();
        assert_eq!(is(&id), Life::Dead);
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    // On Windows, other processes cannot remove an open file, only its name.
    #[cfg(unix)]
    #[test]
    fn a_session_whose_file_was_cleaned_up_is_never_dead_and_makes_it_again() {
        let root = folder("cleaned");
        let paths = Paths::create(&root, None).expect("a root");
        paths.make_folders().expect("folders");
        let folder = paths.sessions();
        let session = Session::begin(&folder, "01234567").expect("a session");
        let is = || life(&folder, session.id()).expect("a look");
        for remove in [
            |path: &Path| std::fs::remove_file(path),
            |path: &Path| std::fs::remove_dir_all(path.parent().expect("a folder")),
        ] {
            remove(&folder.join(session.id())).expect("removed");
            assert_eq!(is(), Life::Unknown);
            session.keep(&paths);
            assert_eq!(is(), Life::Alive);
        }
        session.end();
        std::fs::remove_dir(&folder).expect("nothing left");
        std::fs::remove_dir_all(&root).expect("removed");
    }
}
