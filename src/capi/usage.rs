//! `dstore_usage`: the disk usage of a store.

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::Arc;

use crate::capi::arguments::{GivenBack, Owned};
use crate::capi::boundary::infallible;
use crate::capi::cache::dstore_caches;
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::Handle;
use crate::capi::status::dstore_status;
use crate::capi::store::dstore_store;
use crate::capi::text::{c_string, seconds};
use crate::store::{LogUsage, ResultUsage, Usage};
use crate::wait::Limits;

/// The disk usage of a store at one moment. It is immutable, so any number of threads may read it.
#[derive(Debug)]
pub struct dstore_usage {
    results: Vec<ResultRow>,
    /// Shared with C, which borrows it.
    caches: Arc<dstore_caches>,
    pinned_caches: Vec<bool>,
    logs: Vec<LogRow>,
    left: [u64; 3],
    totals: [u64; 5],
    how: CString,
}

impl Handle for dstore_usage {}

#[derive(Debug)]
struct ResultRow {
    found: ResultUsage,
    id: CString,
    image: CString,
    base: Option<CString>,
}

#[derive(Debug)]
struct LogRow {
    found: LogUsage,
    id: CString,
}

impl dstore_usage {
    fn new(found: Usage) -> Self {
        let (left, totals) = (found.leftovers, found.totals);
        let results = found.results.into_iter().map(|found| ResultRow {
            id: c_string(found.id.as_str()),
            image: c_string(found.image.as_str()),
            base: found.base.as_deref().map(c_string),
            found,
        });
        let logs = found.logs.into_iter().map(|found| LogRow {
            id: c_string(found.id.as_str()),
            found,
        });
        let pinned = found.caches.iter().map(|cache| cache.pinned).collect();
        let infos = found.caches.into_iter().map(|cache| cache.info);
        dstore_usage {
            results: results.collect(),
            caches: Arc::new(dstore_caches::of(infos)),
            pinned_caches: pinned,
            logs: logs.collect(),
            left: [left.containers, left.images, left.volumes],
            totals: [
                totals.results,
                totals.caches,
                totals.logs,
                totals.results_unknown,
                totals.caches_unknown,
            ],
            how: c_string(totals.how),
        }
    }

    fn result<T>(&self, index: usize, otherwise: T, get: impl FnOnce(&ResultRow) -> T) -> T {
        self.results.get(index).map_or(otherwise, get)
    }

    fn log<T>(&self, index: usize, otherwise: T, get: impl FnOnce(&LogRow) -> T) -> T {
        self.logs.get(index).map_or(otherwise, get)
    }
}

/// Collects the disk usage: a row for each result, cache and log, the leftovers of terminated
/// processes, and sums that count shared layers once. Limited by `timeout_ms` (0 means no timeout)
/// and `cancel`. Free the object with dstore_usage_free().
///
/// Blocks, for three lists from the engine. May be NULL: cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_usage(
    store: *const dstore_store,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    usage: *mut *mut dstore_usage,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      limits @ (timeout_ms, cancel): Limits,
                      usage: Owned<dstore_usage>| {
        let found = store.enter()?.usage(&limits)?;
        usage.set(dstore_usage::new(found));
        Ok(())
    })
}

/// Returns the size of all results in bytes. Layers that results share are counted once, and layers
/// of untagged bases are included. Returns 0 if `usage` is NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_results_bytes(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.totals[0])
}

/// Returns the size of all caches in bytes, as far as it is known, or 0 if `usage` is NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_caches_bytes(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.totals[1])
}

/// Returns the size of all logs in bytes, or 0 if `usage` is NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_logs_bytes(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.totals[2])
}

/// Returns the number of results for which it is unknown what they share with others; each of them
/// is counted in full. Returns 0 if `usage` is NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_results_unknown(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.totals[3])
}

/// Returns the number of caches whose size is unknown; they are not in the sum. Returns 0 if
/// `usage` is NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_caches_unknown(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.totals[4])
}

/// Returns a human-readable text that says how the sums were computed. Borrowed from `usage`.
/// Returns NULL if `usage` is NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_how(usage: *const dstore_usage) -> *const c_char {
    infallible!(ptr::null(), |usage: &dstore_usage| usage.how.as_ptr())
}

/// Returns the number of containers that terminated processes have left behind, or 0 if `usage` is
/// NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_left_containers(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.left[0])
}

/// Returns the number of images that only steps of terminated processes hold, or 0 if `usage` is
/// NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_left_images(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.left[1])
}

/// Returns the number of volumes that terminated processes have left behind and no cache names, or
/// 0 if `usage` is NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_left_volumes(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.left[2])
}

/// Returns the number of results, or 0 if `usage` is NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_results(usage: *const dstore_usage) -> usize {
    infallible!(0, |usage: &dstore_usage| usage.results.len())
}

/// Returns the id of the result at `index`, counted from 0. Results are sorted by id. Borrowed from
/// `usage`. Returns NULL if `index` is beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_result_id(
    usage: *const dstore_usage,
    index: usize,
) -> *const c_char {
    infallible!(ptr::null(), |usage: &dstore_usage| {
        usage.result(index, ptr::null(), |row| row.id.as_ptr())
    })
}

/// Returns the engine's id of the image of the result at `index`. Borrowed from `usage`. Returns
/// NULL if `index` is beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_result_image(
    usage: *const dstore_usage,
    index: usize,
) -> *const c_char {
    infallible!(ptr::null(), |usage: &dstore_usage| {
        usage.result(index, ptr::null(), |row| row.image.as_ptr())
    })
}

/// Returns the id of the result that the result at `index` was built on, whether that still exists
/// or not. Borrowed from `usage`. Returns NULL if it was built on nothing or the base is unknown,
/// and beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_result_base(
    usage: *const dstore_usage,
    index: usize,
) -> *const c_char {
    infallible!(ptr::null(), |usage: &dstore_usage| {
        usage.result(index, ptr::null(), |row| {
            row.base.as_ref().map_or(ptr::null(), |base| base.as_ptr())
        })
    })
}

/// Returns the size of the result at `index` in bytes, without its base, or 0 beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_result_own_bytes(
    usage: *const dstore_usage,
    index: usize,
) -> u64 {
    infallible!(0, |usage: &dstore_usage| {
        usage.result(index, 0, |row| row.found.own_bytes)
    })
}

/// Returns the size of the result at `index` in bytes, including layers that it shares with other
/// images, or 0 beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_result_bytes(
    usage: *const dstore_usage,
    index: usize,
) -> u64 {
    infallible!(0, |usage: &dstore_usage| {
        usage.result(index, 0, |row| row.found.bytes)
    })
}

/// Returns when the image of the result at `index` was created, in seconds since 1970, or 0 beyond
/// the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_result_created(
    usage: *const dstore_usage,
    index: usize,
) -> i64 {
    infallible!(0, |usage: &dstore_usage| {
        usage.result(index, 0, |row| seconds(row.found.created))
    })
}

/// Returns when the result at `index` was last used, in seconds since 1970. A use is a commit, a
/// lookup or begin that found it, a begin on top of it, or a copy out of it. If no use is recorded,
/// returns when its image was created. Returns 0 beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_result_last_use(
    usage: *const dstore_usage,
    index: usize,
) -> i64 {
    infallible!(0, |usage: &dstore_usage| {
        usage.result(index, 0, |row| seconds(row.found.last_use))
    })
}

/// Returns how many milliseconds it took to build the result at `index`. Returns -1 if it is
/// unknown, and beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_result_build_ms(
    usage: *const dstore_usage,
    index: usize,
) -> i64 {
    infallible!(-1, |usage: &dstore_usage| {
        usage.result(index, -1, |row| {
            let time = row.found.build_time;
            time.and_then(|time| time.as_millis().try_into().ok())
                .unwrap_or(-1)
        })
    })
}

/// Returns whether the result at `index` is pinned, or false beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_result_pinned(
    usage: *const dstore_usage,
    index: usize,
) -> bool {
    infallible!(false, |usage: &dstore_usage| {
        usage.result(index, false, |row| row.found.pinned)
    })
}

/// Returns whether the id of the result at `index` was being built, by this process or another, or
/// false beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_result_building(
    usage: *const dstore_usage,
    index: usize,
) -> bool {
    infallible!(false, |usage: &dstore_usage| {
        usage.result(index, false, |row| row.found.building)
    })
}

/// Returns whether a step in progress was built on the result at `index`, or false beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_result_held(
    usage: *const dstore_usage,
    index: usize,
) -> bool {
    infallible!(false, |usage: &dstore_usage| {
        usage.result(index, false, |row| row.found.held)
    })
}

/// Returns the size of the log of the result at `index` in bytes, or 0 beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_result_log_bytes(
    usage: *const dstore_usage,
    index: usize,
) -> u64 {
    infallible!(0, |usage: &dstore_usage| {
        usage.result(index, 0, |row| row.found.log_bytes)
    })
}

/// Returns all caches, sorted by name, for the functions that take a dstore_caches. Their sizes are
/// known only if they have been counted before. Borrowed from `usage`: do not free it. Returns NULL
/// if `usage` is NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_caches(usage: *const dstore_usage) -> *const dstore_caches {
    infallible!(ptr::null(), |usage: &dstore_usage| Arc::as_ptr(
        &usage.caches
    ))
}

/// Returns whether the cache at `index` of dstore_usage_caches() is pinned, or false beyond the
/// end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_cache_pinned(
    usage: *const dstore_usage,
    index: usize,
) -> bool {
    infallible!(false, |usage: &dstore_usage| {
        usage.pinned_caches.get(index).copied().unwrap_or(false)
    })
}

/// Returns the number of logs, or 0 if `usage` is NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_logs(usage: *const dstore_usage) -> usize {
    infallible!(0, |usage: &dstore_usage| usage.logs.len())
}

/// Returns the id of the build whose log is at `index`, counted from 0. Logs are sorted by id.
/// Borrowed from `usage`. Returns NULL if `index` is beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_log_id(
    usage: *const dstore_usage,
    index: usize,
) -> *const c_char {
    infallible!(ptr::null(), |usage: &dstore_usage| {
        usage.log(index, ptr::null(), |row| row.id.as_ptr())
    })
}

/// Returns the size of the log at `index` in bytes, or 0 beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_log_bytes(usage: *const dstore_usage, index: usize) -> u64 {
    infallible!(0, |usage: &dstore_usage| {
        usage.log(index, 0, |row| row.found.bytes)
    })
}

/// Returns when the log at `index` was last written, in seconds since 1970, or 0 beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_log_written(usage: *const dstore_usage, index: usize) -> i64 {
    infallible!(0, |usage: &dstore_usage| {
        usage.log(index, 0, |row| seconds(row.found.written))
    })
}

/// Returns whether the result of the log at `index` exists, or false beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_log_has_result(
    usage: *const dstore_usage,
    index: usize,
) -> bool {
    infallible!(false, |usage: &dstore_usage| {
        usage.log(index, false, |row| row.found.has_result)
    })
}

/// Frees the object; no-op if NULL.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_free(usage: *mut dstore_usage) {
    infallible!((), |usage: GivenBack<dstore_usage>| drop(usage))
}
