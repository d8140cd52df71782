//! The upkeep of a store: space, counters, leftovers.

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

/// What a store counts from the moment it is opened, for this handle alone.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum dstore_counter {
    /// Builds that found their result there.
    DSTORE_COUNT_RESULT_HITS = 1,
    /// Builds that did not.
    DSTORE_COUNT_RESULT_MISSES = 2,
    /// Results that were committed.
    DSTORE_COUNT_RESULTS_COMMITTED = 3,
    /// Leases of a cache that had something in it.
    DSTORE_COUNT_CACHE_HITS = 4,
    /// Leases of a cache that was new or empty.
    DSTORE_COUNT_CACHE_MISSES = 5,
    /// Leases cloned by mounting layers.
    DSTORE_COUNT_CLONES_OVERLAY = 6,
    /// Leases cloned by copying files.
    DSTORE_COUNT_CLONES_COPY = 7,
    /// Bytes that clones copied, as far as this process saw them pass.
    DSTORE_COUNT_BYTES_COPIED = 8,
    /// Nanoseconds spent in cloning.
    DSTORE_COUNT_CLONE_NANOSECONDS = 9,
    /// Nanoseconds spent in releasing.
    DSTORE_COUNT_RELEASE_NANOSECONDS = 10,
    /// Releases that became the next generation.
    DSTORE_COUNT_RELEASES_WON = 11,
    /// Releases discarded because another had won since the clone.
    DSTORE_COUNT_RELEASES_LOST = 12,
    /// Releases of a lease in which nothing had changed.
    DSTORE_COUNT_RELEASES_UNCHANGED = 13,
    /// Volumes and containers removed after the call that gave them up had returned.
    DSTORE_COUNT_DEFERRED_DELETES = 14,
    /// Releases given up because the cache would hold more than its limit.
    DSTORE_COUNT_RELEASES_TOO_LARGE = 15,
}

use dstore_counter::*;

/// Every counter and where it stands.
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

/// How much space is free, in percent. `percent` is the scarcer of the other two: `root` is the
/// file system of the store's root, `engine` that of the engine's data, or -1 where that is not on
/// this machine or not to be seen. The percentages are those of df(1), from the other end: what is
/// available of what is used and available. What only root may use is not counted.
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

/// dstore_store_df() for as long as `timeout_ms` (0 is none) and `cancel` allow.
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

/// What a counter stands at: `counter` is a dstore_counter.
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

/// Removes what dead processes left, as opening does, and counts it: containers of steps and
/// copies, tags of steps, leases and other volumes that no cache needs. What a live process holds
/// stays.
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

/// dstore_store_purge() for as long as `timeout_ms` (0 is none) and `cancel` allow. What was not
/// removed in time is left to the next.
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

/// Waits until everything that was given up (freed steps, released leases, deleted caches) has left
/// the engine. `timeout_ms` 0 is none. Also after dstore_store_close().
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
