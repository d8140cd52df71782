//! `dstore_usage`: what takes the space.

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

/// What takes the space of a store, as it was at one moment. It does not change, so any number of
/// threads may read it.
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

/// Finds out what takes the space: a row for each result, cache and log, what dead processes left,
/// and sums that count shared layers once; for as long as `timeout_ms` (0 is none) and `cancel`
/// allow. Free what it gives with dstore_usage_free().
///
/// Blocks, for three listings of the engine's. May be NULL: cancel.
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

/// How many bytes all results hold, layers that they share counted once, also those of bases that
/// have lost their name; 0 for NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_results_bytes(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.totals[0])
}

/// How many bytes all caches hold, as far as that is known; 0 for NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_caches_bytes(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.totals[1])
}

/// How many bytes all logs hold; 0 for NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_logs_bytes(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.totals[2])
}

/// Of how many results nobody knows what they share with others: each is counted as a whole; 0 for
/// NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_results_unknown(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.totals[3])
}

/// The bytes of how many caches nobody has counted yet: they are not in the sum; 0 for NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_caches_unknown(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.totals[4])
}

/// How the sums were found, in words for a person. Borrowed from `usage`; NULL for NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_how(usage: *const dstore_usage) -> *const c_char {
    infallible!(ptr::null(), |usage: &dstore_usage| usage.how.as_ptr())
}

/// How many containers dead processes left; 0 for NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_left_containers(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.left[0])
}

/// How many images only dead steps hold; 0 for NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_left_images(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.left[1])
}

/// How many volumes dead processes left that no cache names; 0 for NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_left_volumes(usage: *const dstore_usage) -> u64 {
    infallible!(0, |usage: &dstore_usage| usage.left[2])
}

/// How many results there are; 0 for NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_results(usage: *const dstore_usage) -> usize {
    infallible!(0, |usage: &dstore_usage| usage.results.len())
}

/// The id of the result at `index`, from 0 on; they are in the order of their ids. Borrowed from
/// `usage`; NULL beyond the end.
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

/// The engine's id of the image that the result at `index` is. Borrowed from `usage`; NULL beyond
/// the end.
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

/// The id of the result that the one at `index` was built on, whether that is still there or not.
/// Borrowed from `usage`; NULL where it was built on nothing or nobody knows, and beyond the end.
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

/// How many bytes the result at `index` holds beside what its base holds; 0 beyond the end.
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

/// How many bytes the result at `index` has, counting layers that it shares with others; 0 beyond
/// the end.
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

/// When the image of the result at `index` was made, in seconds since 1970; 0 beyond the end.
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

/// When the result at `index` was used last, in seconds since 1970: committed, found by a look or a
/// build, begun with, or copied out of. Where there is no record of that, when its image was made;
/// 0 beyond the end.
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

/// How many milliseconds it took to build the result at `index`; -1 where nobody knows, and beyond
/// the end.
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

/// Whether the result at `index` is pinned; false beyond the end.
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

/// Whether somebody builds the id of the result at `index` now; false beyond the end.
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

/// Whether a step under way is built on the result at `index`; false beyond the end.
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

/// How many bytes the log of the result at `index` has; 0 beyond the end.
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

/// All caches, by name, for the calls on a dstore_caches; bytes are known only where somebody has
/// counted them before. Borrowed from `usage`: not to be freed. NULL for NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_caches(usage: *const dstore_usage) -> *const dstore_caches {
    infallible!(ptr::null(), |usage: &dstore_usage| Arc::as_ptr(
        &usage.caches
    ))
}

/// Whether the cache at `index` of dstore_usage_caches() is pinned; false beyond the end.
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

/// How many logs there are; 0 for NULL.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_logs(usage: *const dstore_usage) -> usize {
    infallible!(0, |usage: &dstore_usage| usage.logs.len())
}

/// Of which build the log at `index` is, from 0 on; they are in the order of their ids. Borrowed
/// from `usage`; NULL beyond the end.
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

/// How many bytes the log at `index` has; 0 beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_log_bytes(usage: *const dstore_usage, index: usize) -> u64 {
    infallible!(0, |usage: &dstore_usage| {
        usage.log(index, 0, |row| row.found.bytes)
    })
}

/// When the log at `index` was written last, in seconds since 1970; 0 beyond the end.
///
/// Does not block. May be NULL: usage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_log_written(usage: *const dstore_usage, index: usize) -> i64 {
    infallible!(0, |usage: &dstore_usage| {
        usage.log(index, 0, |row| seconds(row.found.written))
    })
}

/// Whether there is a result of the log at `index`; false beyond the end.
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

/// Frees what was found. NULL is fine.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_usage_free(usage: *mut dstore_usage) {
    infallible!((), |usage: GivenBack<dstore_usage>| drop(usage))
}
