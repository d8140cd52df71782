//! A session: one open store in one process. It lives exactly as long as its lock file is locked, so that any process can
//! tell a live one's belongings from a dead one's.

use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::store::lock::FileLock;
use crate::wait::Wait;

/// How many hex digits a session's id has.
pub(crate) const ID_LENGTH: usize = 20;

/// A live session of this process.
#[derive(Debug)]
pub(crate) struct Session {
    id: String,
    next: AtomicU64,
    lock: Mutex<Option<FileLock>>,
}

impl Session {
    /// Begins a session whose lock file is in `folder`.
    pub(crate) fn begin(folder: &Path) -> Result<Self> {
        let id = new_id();
        // Locked under another name first: a purge must never see the file unlocked.
        // A sweep may hold it for an instant before it removes it, hence the wait.
        let wait = Wait::forever().at_most(Duration::from_secs(10));
        let mut lock = FileLock::take(&folder.join(format!("new-{id}")), wait)?;
        lock.rename(&folder.join(&id))?;
        Ok(Session {
            id,
            next: AtomicU64::new(0),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Unique among all sessions that ever were.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// A name that no other call, session or process gets.
    pub(crate) fn unique(&self) -> String {
        format!("{}-{}", self.id, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Ends the session and removes its lock file: what it still owns is anybody's to purge.
    pub(crate) fn end(&self) {
        if let Some(lock) = self.lock.lock().take() {
            lock.remove();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether the session `id` is alive, in this process or another.
pub(crate) fn is_alive(folder: &Path, id: &str) -> Result<bool> {
    // The name comes from a label, which anybody can write.
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(false);
    }
    FileLock::is_held(&folder.join(id))
}

/// Removes the lock files of dead sessions. Theirs were the objects that a purge has removed before.
pub(crate) fn sweep(folder: &Path) -> Result<()> {
    let doing = || format!("listing the sessions in {}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(doing(), &e))? {
        let path = entry.map_err(|e| Error::io(doing(), &e))?.path();
        if let Some(dead) = FileLock::try_take_left(&path)? {
            dead.remove();
        }
    }
    Ok(())
}

/// 80 random bits as hex. The standard library's hash keys are random for each process and differ for each use.
fn new_id() -> String {
    let word = || {
        let mut hasher = std::hash::RandomState::new().build_hasher();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        hasher.write_u128(now.as_nanos());
        hasher.write_u32(std::process::id());
        hasher.finish()
    };
    format!("{:016x}{:04x}", word(), word() & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_alive_until_it_ends_and_a_sweep_spares_the_living() {
        let folder =
            std::env::temp_dir().join(format!("docker-store-session-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let (one, two) = (
            Session::begin(&folder).expect("one"),
            Session::begin(&folder).expect("two"),
        );
        assert_ne!(one.id(), two.id());
        assert_eq!(one.id().len(), ID_LENGTH);
        assert_ne!(one.unique(), one.unique());
        std::fs::write(folder.join("0123456789abcdef0123"), "").expect("a dead session's file");
        sweep(&folder).expect("a sweep");
        assert!(
            is_alive(&folder, one.id()).expect("alive")
                && is_alive(&folder, two.id()).expect("alive")
        );
        assert!(!folder.join("0123456789abcdef0123").exists());
        let id = one.id().to_owned();
        one.end();
        assert!(!is_alive(&folder, &id).expect("dead"));
        for odd in ["", "../x", "a/b"] {
            assert!(!is_alive(&folder, odd).expect("no session"));
        }
        two.end();
        std::fs::remove_dir(&folder).expect("nothing left");
    }
}
