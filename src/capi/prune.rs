//! `dstore_pruned`: the report of a prune.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use crate::capi::arguments::{GivenBack, Owned, Unasked};
use crate::capi::boundary::infallible;
use crate::capi::callback::{OnPruned, dstore_prune_callback};
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::Handle;
use crate::capi::item::Row;
use crate::capi::policy::dstore_policy;
use crate::capi::status::dstore_status;
use crate::capi::store::dstore_store;
use crate::store::PruneReport;
use crate::wait::Limits;

/// The report of a prune: a row for each item that it considered. Items that must be kept come
/// first, then the items that it tried to remove, in that order. It is immutable, so any number of
/// threads may read it.
#[derive(Debug)]
pub struct dstore_pruned {
    rows: Vec<Row>,
    freed: i64,
    kept: u64,
    reached: bool,
}

impl Handle for dstore_pruned {}

impl dstore_pruned {
    fn new(report: &PruneReport) -> Self {
        dstore_pruned {
            rows: report.rows.iter().map(Row::from).collect(),
            freed: report
                .freed
                .and_then(|bytes| bytes.try_into().ok())
                .unwrap_or(-1),
            kept: report.kept,
            reached: report.reached,
        }
    }

    fn get<T>(&self, index: usize, otherwise: T, get: impl FnOnce(&Row) -> T) -> T {
        self.rows.get(index).map_or(otherwise, get)
    }
}

/// Reduces the store to the limits of `policy`: removes results, caches and logs until the limits
/// are met. Limited by `timeout_ms` (0 means no timeout) and `cancel`. Any number of processes may
/// prune concurrently, while others build. The following are kept: what is being built, the base of
/// a step in progress, what is leased or pinned, and results that a caller has just been told about
/// (dstore_policy_spare()).
///
/// `each` is called with every row as it happens, and stops the prune if it does not return 0. What
/// was removed by then stays removed. Each item is tried once. If an item cannot be removed, that
/// is not an error but a row. Free the report with dstore_pruned_free().
///
/// Blocks. May be NULL: cancel, each, user_data.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_prune(
    store: *const dstore_store,
    policy: *const dstore_policy,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    each: dstore_prune_callback,
    user_data: *mut c_void,
    pruned: *mut *mut dstore_pruned,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      policy: Arc<dstore_policy>,
                      limits @ (timeout_ms, cancel): Limits,
                      each @ (each, user_data): OnPruned,
                      pruned: Owned<dstore_pruned>| {
        let policy = policy.get()?;
        let report = store.enter()?.prune(&policy, &limits, |row| each.take(row));
        pruned.set(dstore_pruned::new(&report?));
        Ok(())
    })
}

/// Returns the number of rows, or 0 if `pruned` is NULL.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_count(pruned: *const dstore_pruned) -> usize {
    infallible!(0, |pruned: &dstore_pruned| pruned.rows.len())
}

/// Returns the kind of the item in the row at `index`, counted from 0: a dstore_item, or 0 beyond
/// the end.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_item(pruned: *const dstore_pruned, index: usize) -> i32 {
    infallible!(0, |pruned: &dstore_pruned| {
        pruned.get(index, 0, |row| row.kind as i32)
    })
}

/// Returns the name of the item in the row at `index`: `*length` bytes, followed by a NUL. Borrowed
/// from `pruned`. Returns NULL if `index` is beyond the end.
///
/// Does not block. May be NULL: pruned, length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_name(
    pruned: *const dstore_pruned,
    index: usize,
    length: *mut usize,
) -> *const c_char {
    infallible!(
        ptr::null(),
        |pruned: &dstore_pruned, length: Unasked<usize>| {
            pruned.get(index, ptr::null(), |row| {
                length.set(row.name.len() - 1);
                row.name.as_ptr().cast()
            })
        }
    )
}

/// Returns how many bytes the removal of the item in the row at `index` frees, as counted by a
/// dstore_usage. For a result, this is what no other result holds. Returns 0 beyond the end.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_bytes(pruned: *const dstore_pruned, index: usize) -> u64 {
    infallible!(0, |pruned: &dstore_pruned| {
        pruned.get(index, 0, |row| row.bytes)
    })
}

/// Returns when the item in the row at `index` was last used, in seconds since 1970, or 0 beyond
/// the end.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_last_use(pruned: *const dstore_pruned, index: usize) -> i64 {
    infallible!(0, |pruned: &dstore_pruned| {
        pruned.get(index, 0, |row| row.last_use)
    })
}

/// Returns what the prune did with the item in the row at `index`: a dstore_fate, or 0 beyond the
/// end.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_fate(pruned: *const dstore_pruned, index: usize) -> i32 {
    infallible!(0, |pruned: &dstore_pruned| {
        pruned.get(index, 0, |row| row.fate as i32)
    })
}

/// Returns why the item in the row at `index` was kept, or "" if it was removed. Borrowed from
/// `pruned`. Returns NULL if `index` is beyond the end.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_why(
    pruned: *const dstore_pruned,
    index: usize,
) -> *const c_char {
    infallible!(ptr::null(), |pruned: &dstore_pruned| {
        pruned.get(index, ptr::null(), |row| row.why.as_ptr())
    })
}

/// Returns by how many bytes the free space on the engine's disk has grown, whatever caused it, or
/// 0 if it has shrunk. Returns -1 if that disk is not accessible, in a dry run, and if `pruned` is
/// NULL.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_freed(pruned: *const dstore_pruned) -> i64 {
    infallible!(-1, |pruned: &dstore_pruned| pruned.freed)
}

/// Returns the size, in bytes, of what is kept of the kinds that may be removed, as counted by a
/// dstore_usage. Returns 0 if `pruned` is NULL.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_kept(pruned: *const dstore_pruned) -> u64 {
    infallible!(0, |pruned: &dstore_pruned| pruned.kept)
}

/// Returns whether all limits of the policy are met or, in a dry run, would be met. Returns false
/// if `pruned` is NULL.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_reached(pruned: *const dstore_pruned) -> bool {
    infallible!(false, |pruned: &dstore_pruned| pruned.reached)
}

/// Frees the report; no-op if NULL.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_free(pruned: *mut dstore_pruned) {
    infallible!((), |pruned: GivenBack<dstore_pruned>| drop(pruned))
}
