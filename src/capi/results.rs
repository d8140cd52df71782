//! Results: look up, list, delete, copy out of.

use std::ffi::{CString, c_char, c_void};
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use crate::capi::arguments::{GivenBack, Out, Owned, Unasked};
use crate::capi::boundary::infallible;
use crate::capi::callback::{Sink, dstore_write_callback};
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::Handle;
use crate::capi::outfile::into_file;
use crate::capi::status::dstore_status;
use crate::capi::store::dstore_store;
use crate::capi::text::{c_string, seconds};
use crate::wait::Limits;

/// A list of results, as they were at one moment. It does not change, so any number of threads may
/// read it.
#[derive(Debug)]
pub struct dstore_results(Vec<Row>);

impl Handle for dstore_results {}

#[derive(Debug)]
struct Row {
    id: CString,
    created: i64,
    size: u64,
}

/// Whether `id` has been built. A broken connection is an error, never false.
///
/// Blocks, for one round trip to the engine.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_result(
    store: *const dstore_store,
    id: *const c_char,
    present: *mut bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      present: Out<bool>| {
        present.set(store.enter()?.result(id)?);
        Ok(())
    })
}

/// dstore_store_result() for as long as `timeout_ms` (0 is none) and `cancel` allow.
///
/// Blocks. May be NULL: cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_result_within(
    store: *const dstore_store,
    id: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    present: *mut bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      limits @ (timeout_ms, cancel): Limits,
                      present: Out<bool>| {
        present.set(store.enter()?.result_within(id, &limits)?);
        Ok(())
    })
}

/// Removes the result `id` and its log. That there is none is no error, and `deleted` then false.
/// Other names of the same image stay, and so do the results that were built on it. DSTORE_BUSY
/// while `id` is being built, or where a container of somebody else's is made of it.
///
/// Blocks. May be NULL: deleted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_delete(
    store: *const dstore_store,
    id: *const c_char,
    deleted: *mut bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      deleted: Unasked<bool>| {
        deleted.set(store.enter()?.delete(id)?);
        Ok(())
    })
}

/// dstore_store_delete() for as long as `timeout_ms` (0 is none) and `cancel` allow. Told to end,
/// it may have deleted all the same.
///
/// Blocks. May be NULL: cancel, deleted.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_delete_within(
    store: *const dstore_store,
    id: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    deleted: *mut bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      limits @ (timeout_ms, cancel): Limits,
                      deleted: Unasked<bool>| {
        deleted.set(store.enter()?.delete_within(id, &limits)?);
        Ok(())
    })
}

/// Lists all results, by id. Free the list with dstore_results_free().
///
/// Blocks, for one round trip to the engine.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_results(
    store: *const dstore_store,
    results: *mut *mut dstore_results,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |store: Arc<dstore_store>, results: Owned<dstore_results>| {
            let rows = store.enter()?.results()?.into_iter();
            let rows = rows.map(|row| Row {
                id: c_string(row.id),
                created: seconds(row.created),
                size: row.size,
            });
            results.set(dstore_results(rows.collect()));
            Ok(())
        }
    )
}

/// dstore_store_results() for as long as `timeout_ms` (0 is none) and `cancel` allow.
/// Free what it gives with dstore_results_free().
///
/// Blocks. May be NULL: cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_results_within(
    store: *const dstore_store,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    results: *mut *mut dstore_results,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |store: Arc<dstore_store>,
         limits @ (timeout_ms, cancel): Limits,
         results: Owned<dstore_results>| {
            let rows = store.enter()?.results_within(&limits)?.into_iter();
            let rows = rows.map(|row| Row {
                id: c_string(row.id),
                created: seconds(row.created),
                size: row.size,
            });
            results.set(dstore_results(rows.collect()));
            Ok(())
        }
    )
}

/// How many results are in the list; 0 for NULL.
///
/// Does not block. May be NULL: results.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_results_count(results: *const dstore_results) -> usize {
    infallible!(0, |results: &dstore_results| results.0.len())
}

/// The id of the result at `index`, from 0 on. Borrowed from `results`; NULL beyond the end.
///
/// Does not block. May be NULL: results.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_results_id(
    results: *const dstore_results,
    index: usize,
) -> *const c_char {
    infallible!(ptr::null(), |results: &dstore_results| {
        results
            .0
            .get(index)
            .map_or(ptr::null(), |row| row.id.as_ptr())
    })
}

/// When the image of the result at `index` was made, in seconds since 1970; 0 beyond the end.
///
/// Does not block. May be NULL: results.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_results_created(
    results: *const dstore_results,
    index: usize,
) -> i64 {
    infallible!(0, |results: &dstore_results| {
        results.0.get(index).map_or(0, |row| row.created)
    })
}

/// The size of the result at `index` in bytes, counting layers that it shares with others; 0 beyond
/// the end.
///
/// Does not block. May be NULL: results.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_results_size(results: *const dstore_results, index: usize) -> u64 {
    infallible!(0, |results: &dstore_results| {
        results.0.get(index).map_or(0, |row| row.size)
    })
}

/// Frees a list. NULL is fine.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_results_free(results: *mut dstore_results) {
    infallible!((), |results: GivenBack<dstore_results>| drop(results))
}

/// Writes the file or directory at `path` of the result `id` as a tar stream, whose first entry is
/// the last component of `path`, to `write`; `bytes` is how many that were. `timeout_ms` 0 is none.
/// DSTORE_NOT_FOUND where there is no such result or no such path in it.
///
/// Blocks. May be NULL: cancel, user_data, bytes.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_copy_out(
    store: *const dstore_store,
    id: *const c_char,
    path: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    write: dstore_write_callback,
    user_data: *mut c_void,
    bytes: *mut u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      path: &str,
                      limits @ (timeout_ms, cancel): Limits,
                      write @ (write, user_data): Sink,
                      bytes: Unasked<u64>| {
        let copy = |write: &mut Sink<'_>| store.enter()?.copy_out(id, path, write, &limits);
        bytes.set(write.during(copy)?);
        Ok(())
    })
}

/// dstore_store_copy_out() to the file `tar` of this machine (any bytes), which must not be a pipe.
/// It is written beside its name, and put there when it is whole: until then, and after a failure, what
/// was there stays. A link is followed.
///
/// Blocks. May be NULL: cancel, bytes.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_copy_out_file(
    store: *const dstore_store,
    id: *const c_char,
    path: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    tar: *const c_char,
    bytes: *mut u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      path: &str,
                      limits @ (timeout_ms, cancel): Limits,
                      tar: &Path,
                      bytes: Unasked<u64>| {
        bytes.set(into_file(tar, |tar| {
            store.enter()?.copy_out(id, path, tar, &limits)
        })?);
        Ok(())
    })
}
