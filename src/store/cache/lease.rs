//! [`Lease`]: one writable copy of a cache, lent to the caller until released or discarded.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::engine::stopped;
use crate::error::Result;
use crate::store::cache::Caches;
use crate::store::cache::request::Released;
use crate::store::cache::state::folder::{Folder, closed};
use crate::store::cache::state::record::Record;
use crate::store::lock::FileLock;
use crate::store::site::Site;
use crate::wait::Limits;

/// How long a thread waits for another's release between looks at its cancel: by so much that is heard late.
const LOOK: Duration = Duration::from_millis(20);

/// A lease of a cache: mount [`volume`](Self::volume) into containers, then [`release`](Self::release) it so that what they
/// changed becomes the cache's next generation.
///
/// Dropping it discards it, without waiting. It may be used from any thread. It works on after [`Store::close`](crate::Store::close)
/// only to be dropped.
pub struct Lease {
    site: Arc<Site>,
    caches: Arc<Caches>,
    held: Arc<Held>,
    open: Mutex<bool>,
}

/// What a lease holds.
pub(super) struct Held {
    pub(super) folder: Arc<Folder>,
    pub(super) record: Record,
    /// The turn that a locked or shared lease waited for.
    pub(super) turn: Mutex<Option<FileLock>>,
}

impl Lease {
    pub(super) fn new(site: &Arc<Site>, caches: &Arc<Caches>, held: Held) -> Self {
        Lease {
            site: Arc::clone(site),
            caches: Arc::clone(caches),
            held: Arc::new(held),
            open: Mutex::new(true),
        }
    }

    /// The name of the engine's volume to mount.
    pub fn volume(&self) -> &str {
        self.held.record.volumes.first().map_or("", String::as_str)
    }

    /// The generation that it was cloned from; 0 is a cache that nobody has released yet.
    pub fn generation(&self) -> u64 {
        self.held.record.base
    }

    /// Gives the lease back. If the cache is still at the generation that was cloned, and anything was changed, the lease
    /// becomes the next generation, atomically. After that, and after any other outcome, it is closed.
    ///
    /// Waits for as long as it takes to look for changes: with the copy strategy that is a look at every file, or, where only the
    /// engine reaches them, at every byte.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::ErrorKind::Busy) while any container, running or not, still mounts it; the lease stays open then, as after
    /// every error but [`Closed`](crate::ErrorKind::Closed), and can be released again.
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where it would have to move through the engine's archive calls, and holds more
    /// than 4 GiB of zeros, as sparse files do.
    pub fn release(&self) -> Result<Released> {
        self.release_within(&Limits::none())
    }

    /// [`release`](Self::release), for as long as `limits` allows.
    ///
    /// # Errors
    ///
    /// Those of `release`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled), after
    /// which the lease is open still.
    pub fn release_within(&self, limits: &Limits) -> Result<Released> {
        // First: a forked child may have the lock as another thread held it.
        self.site.check_process("releasing a lease")?;
        let wait = limits.wait();
        // Another thread may be releasing it, for as long as its own limits allow.
        let mut open = loop {
            let left = wait
                .left()
                .map_err(|stop| stopped(&"releasing a lease", stop))?;
            let pause = left.map_or(LOOK, |left| left.min(LOOK));
            if let Some(open) = self.open.try_lock_for(pause) {
                break open;
            }
        };
        if !*open {
            return Err(closed("releasing", &self.held.folder.escaped));
        }
        self.site.check_open("releasing a lease")?;
        let released = self.caches.release(&self.site, &self.held, wait)?;
        *open = false;
        Ok(released)
    }

    /// Gives the lease back without keeping anything. Never waits for the engine.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed) where it was released or discarded before.
    pub fn discard(&self) -> Result<()> {
        self.site.check_process("discarding a lease")?;
        let mut open = self.open.lock();
        if !*open {
            return Err(closed("discarding", &self.held.folder.escaped));
        }
        *open = false;
        self.caches.discard(&self.site, &self.held);
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.site.abandon() && *self.open.get_mut() {
            self.caches.discard(&self.site, &self.held);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("cache", &self.held.folder.escaped)
            .field("generation", &self.generation())
            .field("volume", &self.volume())
            .finish_non_exhaustive()
    }
}
