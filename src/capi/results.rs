//! Results: lookup, list, deletion, copying out.

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

/// A list of results, as they were at one moment. It is immutable, so any number of threads may
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

/// Sets `*present` to whether `id` has been built. A broken connection is an error, never false.
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

/// Like dstore_store_result(), limited by `timeout_ms` (0 means no timeout) and `cancel`.
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

/// Removes the result `id` and its log. If it does not exist, returns DSTORE_OK and sets `*deleted`
/// to false. Other tags of the image, and results built on it, are kept. Returns DSTORE_BUSY while
/// `id` is being built, or if a container outside this store was created from it.
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

/// Like dstore_store_delete(), limited by `timeout_ms` (0 means no timeout) and `cancel`. If either
/// stops the call, the result may have been deleted anyway.
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

/// Lists all results, sorted by id. Free the list with dstore_results_free().
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

/// Like dstore_store_results(), limited by `timeout_ms` (0 means no timeout) and `cancel`. Free the
/// list with dstore_results_free().
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

/// Returns the number of results in the list, or 0 if `results` is NULL.
///
/// Does not block. May be NULL: results.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_results_count(results: *const dstore_results) -> usize {
    infallible!(0, |results: &dstore_results| results.0.len())
}

/// Returns the id of the result at `index`, counted from 0. Borrowed from `results`. Returns NULL
/// if `index` is beyond the end.
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

/// Returns when the image of the result at `index` was created, in seconds since 1970, or 0 beyond
/// the end.
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

/// Returns the size of the result at `index` in bytes, including layers that it shares with other
/// images, or 0 beyond the end.
///
/// Does not block. May be NULL: results.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_results_size(results: *const dstore_results, index: usize) -> u64 {
    infallible!(0, |results: &dstore_results| {
        results.0.get(index).map_or(0, |row| row.size)
    })
}

/// Frees a list; no-op if NULL.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_results_free(results: *mut dstore_results) {
    infallible!((), |results: GivenBack<dstore_results>| drop(results))
}

/// Passes the file or directory at `path` in the result `id` to `write`, as a tar stream. Its first
/// entry is named after the last component of `path`. `*bytes` is set to the number of bytes
/// written. `timeout_ms` 0 means no timeout. Returns DSTORE_NOT_FOUND if the result or the path
/// does not exist.
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

/// Like dstore_store_copy_out(), but writes to the local file `tar` (any bytes), which must not be
/// a pipe. The bytes are written to a temporary file next to it, which is renamed to `tar` when it
/// is complete. Until then, and after a failure, an existing file is unchanged. A symbolic link is
/// followed.
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
