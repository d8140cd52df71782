//! `dstore_pruned`: what a prune did.

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

/// What a prune did: a row for each thing that it looked at, first what had to stay, then what was
/// tried, in that order. It does not change, so any number of threads may read it.
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

/// Brings the store to the bounds of `policy`: removes results, caches and logs until they hold, for
/// as long as `timeout_ms` (0 is none) and `cancel` allow. Any number of processes may do so at once,
/// while others build. What is being built stays, and the base of a step under way, what is leased or
/// pinned, and results that somebody was told of just now (dstore_policy_spare()).
///
/// `each` is called with every row as it comes, and ends the prune by another answer than 0. What was
/// removed by then is gone. Each thing is tried once; that one could not be removed is no error, but
/// a row. Free what it gives with dstore_pruned_free().
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

/// How many rows there are; 0 for NULL.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_count(pruned: *const dstore_pruned) -> usize {
    infallible!(0, |pruned: &dstore_pruned| pruned.rows.len())
}

/// What the row at `index` is about, from 0 on: a dstore_item; 0 beyond the end.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_item(pruned: *const dstore_pruned, index: usize) -> i32 {
    infallible!(0, |pruned: &dstore_pruned| {
        pruned.get(index, 0, |row| row.kind as i32)
    })
}

/// The name of what the row at `index` is about: `*length` bytes, and a zero after them. Borrowed from
/// `pruned`; NULL beyond the end.
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

/// How many bytes go with what the row at `index` is about, as a dstore_usage counts them: of a
/// result what no other holds; 0 beyond the end.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_bytes(pruned: *const dstore_pruned, index: usize) -> u64 {
    infallible!(0, |pruned: &dstore_pruned| {
        pruned.get(index, 0, |row| row.bytes)
    })
}

/// When what the row at `index` is about was used last, in seconds since 1970; 0 beyond the end.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_last_use(pruned: *const dstore_pruned, index: usize) -> i64 {
    infallible!(0, |pruned: &dstore_pruned| {
        pruned.get(index, 0, |row| row.last_use)
    })
}

/// What became of what the row at `index` is about: a dstore_fate; 0 beyond the end.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_fate(pruned: *const dstore_pruned, index: usize) -> i32 {
    infallible!(0, |pruned: &dstore_pruned| {
        pruned.get(index, 0, |row| row.fate as i32)
    })
}

/// Why what the row at `index` is about stayed; "" for what went. Borrowed from `pruned`; NULL
/// beyond the end.
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

/// By how many bytes the engine's disk has more free than before, whoever did that; 0 where it has
/// less, and -1 where that disk is not in sight, in a dry run, and for NULL.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_freed(pruned: *const dstore_pruned) -> i64 {
    infallible!(-1, |pruned: &dstore_pruned| pruned.freed)
}

/// How many bytes are kept now of the kinds that may go, as a dstore_usage counts them; 0 for NULL.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_kept(pruned: *const dstore_pruned) -> u64 {
    infallible!(0, |pruned: &dstore_pruned| pruned.kept)
}

/// Whether all that was asked for is reached; in a dry run, would be. false for NULL.
///
/// Does not block. May be NULL: pruned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_reached(pruned: *const dstore_pruned) -> bool {
    infallible!(false, |pruned: &dstore_pruned| pruned.reached)
}

/// Frees what a prune told. NULL is fine.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pruned_free(pruned: *mut dstore_pruned) {
    infallible!((), |pruned: GivenBack<dstore_pruned>| drop(pruned))
}
