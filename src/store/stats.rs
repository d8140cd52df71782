//! Counters of what a store has done since it was opened.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters since the store was opened, for this handle only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Builds that found an existing result.
    pub result_hits: u64,
    /// Builds that did not find one.
    pub result_misses: u64,
    /// Results that were committed.
    pub results_committed: u64,
    /// Leases of a cache that was not empty.
    pub cache_hits: u64,
    /// Leases of a cache that was new or empty.
    pub cache_misses: u64,
    /// Leases cloned by mounting layers.
    pub clones_overlay: u64,
    /// Bytes that clones copied, as far as this process copied them itself.
    pub clones_copy: u64,
    /// Time spent on cloning.
    pub bytes_copied: u64,
    /// Time spent on releasing.
    pub clone_time: Duration,
    /// Time spent in releasing.
    pub release_time: Duration,
    /// Releases that became the next generation.
    pub releases_won: u64,
    /// Releases that were discarded: another release had won since the clone, the cache was deleted, or something outside the
    /// store had removed the lease's volume.
    pub releases_lost: u64,
    /// Releases of a lease in which nothing had changed.
    pub releases_unchanged: u64,
    /// Releases that were discarded because the cache would have exceeded its limit.
    pub releases_too_large: u64,
    /// Jobs done in the background after the call that queued them had returned: the removal of a volume or a container, and the
    /// discarding of a lease.
    pub deferred_deletes: u64,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) result_hits: Counter,
    pub(crate) result_misses: Counter,
    pub(crate) results_committed: Counter,
    pub(crate) cache_hits: Counter,
    pub(crate) cache_misses: Counter,
    pub(crate) clones_overlay: Counter,
    pub(crate) clones_copy: Counter,
    pub(crate) bytes_copied: Counter,
    pub(crate) clone_nanos: Counter,
    pub(crate) release_nanos: Counter,
    pub(crate) releases_won: Counter,
    pub(crate) releases_lost: Counter,
    pub(crate) releases_unchanged: Counter,
    pub(crate) releases_too_large: Counter,
    pub(crate) deferred_deletes: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn add_time(&self, time: Duration) {
        self.add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn read(&self) -> Stats {
        Stats {
            result_hits: self.result_hits.get(),
            result_misses: self.result_misses.get(),
            results_committed: self.results_committed.get(),
            cache_hits: self.cache_hits.get(),
            cache_misses: self.cache_misses.get(),
            clones_overlay: self.clones_overlay.get(),
            clones_copy: self.clones_copy.get(),
            bytes_copied: self.bytes_copied.get(),
            clone_time: Duration::from_nanos(self.clone_nanos.get()),
            release_time: Duration::from_nanos(self.release_nanos.get()),
            releases_won: self.releases_won.get(),
            releases_lost: self.releases_lost.get(),
            releases_unchanged: self.releases_unchanged.get(),
            releases_too_large: self.releases_too_large.get(),
            deferred_deletes: self.deferred_deletes.get(),
        }
    }
}
