//! [`Lease`]: a writable copy of a cache, valid until it is released or discarded.

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

/// How often a thread that waits for another's release checks its cancel. The cancel is noticed late by up to this much.
const LOOK: Duration = Duration::from_millis(20);

/// A lease of a cache: mount [`volume`](Self::volume) into containers, then [`release`](Self::release) it so that their changes
/// become the cache's next generation.
///
/// Dropping a lease discards it without blocking. It may be used from any thread. After [`Store::close`](crate::Store::close)
/// it can only be discarded or dropped.
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
    /// The lock on the cache's mode, which a locked or shared lease waited for.
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

    /// Returns the name of the engine's volume to mount.
    pub fn volume(&self) -> &str {
        self.held.record.volumes.first().map_or("", String::as_str)
    }

    /// Returns the generation that it was cloned from; 0 for a cache that has never been released.
    pub fn generation(&self) -> u64 {
        self.held.record.base
    }

    /// Releases the lease. If its files have changed and the cache is still at the generation that was cloned, the lease
    /// atomically becomes the next generation. After any outcome the lease is closed.
    ///
    /// Blocks for as long as it takes to detect changes. With the copy strategy this examines every file, or every byte if only
    /// the engine can access the volume.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::ErrorKind::Busy) while a container, running or not, mounts the lease. After any error except
    /// [`Closed`](crate::ErrorKind::Closed), the lease stays open and can be released again.
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if the lease would be copied through the engine's archive calls and
    /// contains more than 4 GiB of zeros, as sparse files do.
    pub fn release(&self) -> Result<Released> {
        self.release_within(&Limits::none())
    }

    /// Like [`release`](Self::release), but bounded by `limits`.
    ///
    /// # Errors
    ///
    /// The errors of `release`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled),
    /// after which the lease is still open.
    pub fn release_within(&self, limits: &Limits) -> Result<Released> {
        // First, because a forked child may have a copy of a mutex that another thread held.
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

    /// Discards the lease without keeping any changes. Never waits for the engine.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed) if it has already been released or discarded.
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
