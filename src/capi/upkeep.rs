//! The maintenance of a store: space, counters, leftovers.

use std::sync::Arc;
use std::time::Duration;

use crate::capi::arguments::{Out, Unasked, named};
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::status::dstore_status;
use crate::capi::store::dstore_store;
use crate::store::Stats;
use crate::wait::Limits;

/// What a store counts from when it is opened. Each handle has its own counters.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum dstore_counter {
    /// Builds whose result already existed.
    DSTORE_COUNT_RESULT_HITS = 1,
    /// Builds whose result did not exist yet.
    DSTORE_COUNT_RESULT_MISSES = 2,
    /// Results that were committed.
    DSTORE_COUNT_RESULTS_COMMITTED = 3,
    /// Leases of a cache that had contents.
    DSTORE_COUNT_CACHE_HITS = 4,
    /// Leases of a cache that was new or empty.
    DSTORE_COUNT_CACHE_MISSES = 5,
    /// Leases cloned by mounting layers.
    DSTORE_COUNT_CLONES_OVERLAY = 6,
    /// Leases cloned by copying files.
    DSTORE_COUNT_CLONES_COPY = 7,
    /// Bytes copied by clones, as far as they passed through this process.
    DSTORE_COUNT_BYTES_COPIED = 8,
    /// Nanoseconds spent in cloning.
    DSTORE_COUNT_CLONE_NANOSECONDS = 9,
    /// Nanoseconds spent in releasing.
    DSTORE_COUNT_RELEASE_NANOSECONDS = 10,
    /// Releases that became the next generation.
    DSTORE_COUNT_RELEASES_WON = 11,
    /// Releases discarded because another release came first, the cache was deleted, or the lease's
    /// volume was removed from outside.
    DSTORE_COUNT_RELEASES_LOST = 12,
    /// Releases of a lease in which nothing had changed.
    DSTORE_COUNT_RELEASES_UNCHANGED = 13,
    /// Jobs done in the background, after the call that queued them had returned: the removal of a
    /// volume or a container, and the discarding of a lease.
    DSTORE_COUNT_DEFERRED_DELETES = 14,
    /// Releases discarded because the cache would exceed its limit.
    DSTORE_COUNT_RELEASES_TOO_LARGE = 15,
}

use dstore_counter::*;

/// Every counter and its value.
fn counters(stats: &Stats) -> [(i32, u64); 15] {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    [
        (DSTORE_COUNT_RESULT_HITS, stats.result_hits),
        (DSTORE_COUNT_RESULT_MISSES, stats.result_misses),
        (DSTORE_COUNT_RESULTS_COMMITTED, stats.results_committed),
        (DSTORE_COUNT_CACHE_HITS, stats.cache_hits),
        (DSTORE_COUNT_CACHE_MISSES, stats.cache_misses),
        (DSTORE_COUNT_CLONES_OVERLAY, stats.clones_overlay),
        (DSTORE_COUNT_CLONES_COPY, stats.clones_copy),
        (DSTORE_COUNT_BYTES_COPIED, stats.bytes_copied),
        (
            DSTORE_COUNT_CLONE_NANOSECONDS,
            nanoseconds(stats.clone_time),
        ),
        (
            DSTORE_COUNT_RELEASE_NANOSECONDS,
            nanoseconds(stats.release_time),
        ),
        (DSTORE_COUNT_RELEASES_WON, stats.releases_won),
        (DSTORE_COUNT_RELEASES_LOST, stats.releases_lost),
        (DSTORE_COUNT_RELEASES_UNCHANGED, stats.releases_unchanged),
        (DSTORE_COUNT_DEFERRED_DELETES, stats.deferred_deletes),
        (DSTORE_COUNT_RELEASES_TOO_LARGE, stats.releases_too_large),
    ]
    .map(|(name, value)| (name as i32, value))
}

/// Returns the free space, in percent. `*root` is the free space on the file system of the store's
/// root. `*engine` is the free space on the file system of the engine's data, or -1 if that is not
/// on the local machine or not accessible. `*percent` is the lower of the two. The percentages are
/// those of df(1), reversed: the available space as a share of used plus available space. Space
/// reserved for the superuser is not counted.
///
/// Blocks, for one engine call. May be NULL: percent, root, engine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_df(
    store: *const dstore_store,
    percent: *mut f64,
    root: *mut f64,
    engine: *mut f64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      percent: Unasked<f64>,
                      root: Unasked<f64>,
                      engine: Unasked<f64>| {
        let free = store.enter()?.df()?;
        percent.set(free.percent());
        root.set(free.root);
        engine.set(free.engine.unwrap_or(-1.0));
        Ok(())
    })
}

/// Like dstore_store_df(), limited by `timeout_ms` (0 means no timeout) and `cancel`.
///
/// Blocks. May be NULL: cancel, percent, root, engine.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_df_within(
    store: *const dstore_store,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    percent: *mut f64,
    root: *mut f64,
    engine: *mut f64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      limits @ (timeout_ms, cancel): Limits,
                      percent: Unasked<f64>,
                      root: Unasked<f64>,
                      engine: Unasked<f64>| {
        let free = store.enter()?.df_within(&limits)?;
        percent.set(free.percent());
        root.set(free.root);
        engine.set(free.engine.unwrap_or(-1.0));
        Ok(())
    })
}

/// Sets `*value` to the value of a counter. `counter` is a dstore_counter.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_count(
    store: *const dstore_store,
    counter: i32,
    value: *mut u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>, value: Out<u64>| {
        let stats = store.enter()?.stats();
        value.set(named(counter, counters(&stats), "counter")?);
        Ok(())
    })
}

/// Removes what terminated processes have left behind, as opening does, and counts it. It removes
/// containers of steps and copies, tags of steps, leases, and other volumes that no cache needs.
/// What a running process holds is kept.
///
/// Blocks. May be NULL: containers, images, volumes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_purge(
    store: *const dstore_store,
    containers: *mut u64,
    images: *mut u64,
    volumes: *mut u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      containers: Unasked<u64>,
                      images: Unasked<u64>,
                      volumes: Unasked<u64>| {
        let purged = store.enter()?.purge()?;
        containers.set(purged.containers);
        images.set(purged.images);
        volumes.set(purged.volumes);
        Ok(())
    })
}

/// Like dstore_store_purge(), limited by `timeout_ms` (0 means no timeout) and `cancel`. What is
/// not removed in time is left for the next purge or open.
///
/// Blocks. May be NULL: cancel, containers, images, volumes.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_purge_within(
    store: *const dstore_store,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    containers: *mut u64,
    images: *mut u64,
    volumes: *mut u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      limits @ (timeout_ms, cancel): Limits,
                      containers: Unasked<u64>,
                      images: Unasked<u64>,
                      volumes: Unasked<u64>| {
        let purged = store.enter()?.purge_within(&limits)?;
        containers.set(purged.containers);
        images.set(purged.images);
        volumes.set(purged.volumes);
        Ok(())
    })
}

/// Waits until everything queued for removal (from freed steps, released leases and deleted caches)
/// is gone from the engine. `timeout_ms` 0 means no timeout. May also be called after
/// dstore_store_close().
///
/// Blocks. May be NULL: cancel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_complete_deletes(
    store: *const dstore_store,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |store: Arc<dstore_store>, limits @ (timeout_ms, cancel): Limits| {
            store.enter()?.complete_deletes(&limits)
        }
    )
}
