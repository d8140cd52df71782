//! `dstore_store`: opening, closing, and the getters of a store.

use std::ffi::{CString, c_char};
use std::ops::Deref;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use crate::capi::arguments::{GivenBack, Owned};
use crate::capi::boundary::infallible;
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::{Entered, Handle, Poison};
use crate::capi::options::dstore_options;
use crate::capi::settings::Settable;
use crate::capi::status::dstore_status;
use crate::capi::text::{c_path, c_string};
use crate::error::Result;
use crate::store::{Options, Store};
use crate::wait::Limits;

/// An open store. Thread-safe, except for dstore_store_free(). Any number of processes may have the
/// same root open. In a child process that is forked without `exec`, its calls return
/// DSTORE_CLOSED; the child may open a store of its own.
#[derive(Debug)]
pub struct dstore_store {
    store: Store,
    poison: Poison,
    root: CString,
    prefix: CString,
    state_dir: CString,
    empty_dir: CString,
    engine: CString,
    api_version: CString,
}

impl Handle for dstore_store {}

/// A store in use by a call.
pub(super) struct Inside<'a> {
    store: &'a Store,
    _entered: Entered<'a>,
}

impl Deref for Inside<'_> {
    type Target = Store;

    fn deref(&self) -> &Store {
        self.store
    }
}

impl dstore_store {
    fn new(store: Store) -> Self {
        dstore_store {
            root: c_path(store.root()),
            prefix: c_string(store.prefix()),
            state_dir: c_path(store.state_dir()),
            empty_dir: c_path(store.empty_dir()),
            engine: c_string(store.engine()),
            api_version: c_string(store.api_version()),
            poison: Poison::default(),
            store,
        }
    }

    pub(super) fn enter(&self) -> Result<Inside<'_>> {
        Ok(Inside {
            _entered: self.poison.enter("store")?,
            store: &self.store,
        })
    }
}

/// Opens the store at `root`, a local directory (any bytes). Creates the directory if its parent
/// exists. Removes what terminated processes have left behind. Free the store with
/// dstore_store_free().
///
/// Blocks, for a few engine calls and the removal of leftovers. May be NULL: options.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_open(
    root: *const c_char,
    options: *const dstore_options,
    store: *mut *mut dstore_store,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |root: &Path,
                      options: Option<Arc<dstore_options>>,
                      store: Owned<dstore_store>| {
        let options = match options {
            Some(options) => options.settings().get()?,
            None => Options::new(),
        };
        store.set(dstore_store::new(Store::open(root, &options)?));
        Ok(())
    })
}

/// Like dstore_store_open(), limited by `timeout_ms` (0 means no timeout) and `cancel`. If either
/// stops the call, nothing stays open, and the next open continues the removal of leftovers. Free
/// the store with dstore_store_free().
///
/// Blocks. May be NULL: cancel, options.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_open_within(
    root: *const c_char,
    options: *const dstore_options,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    store: *mut *mut dstore_store,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |root: &Path,
                      options: Option<Arc<dstore_options>>,
                      limits @ (timeout_ms, cancel): Limits,
                      store: Owned<dstore_store>| {
        let options = match options {
            Some(options) => options.settings().get()?,
            None => Options::new(),
        };
        store.set(dstore_store::new(Store::open_within(
            root, &options, &limits,
        )?));
        Ok(())
    })
}

/// Closes the store and waits for pending removals, for up to ten seconds. An engine that takes
/// longer completes them later, and the next open of this root removes what is left. Also waits,
/// for up to two seconds, for cache layers that are being merged and for released files to reach
/// the disk.
///
/// Calls already running on the store, its steps and its leases continue. Later calls return
/// DSTORE_CLOSED, except getters, dstore_step_limit(), dstore_store_log_file(),
/// dstore_store_count(), dstore_store_complete_deletes(), dstore_lease_discard() and the ..._free()
/// functions. dstore_step_abort() cleans up and still returns DSTORE_CLOSED. What open steps and
/// leases hold on the engine is removed when they are freed; dstore_store_complete_deletes() waits
/// for that. The handle must still be freed.
///
/// Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_close(
    store: *const dstore_store,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>| store
        .enter()?
        .shut(&Limits::none()))
}

/// Like dstore_store_close(), limited by `timeout_ms` (0 means no timeout) and `cancel`. If either
/// stops the call, the store is closed anyway, and removals are still pending.
///
/// Blocks. May be NULL: cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_close_within(
    store: *const dstore_store,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |store: Arc<dstore_store>, limits @ (timeout_ms, cancel): Limits| store
            .enter()?
            .shut(&limits)
    )
}

/// Frees a store; no-op if NULL. If the store is still open, closes it without waiting.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_free(store: *mut dstore_store) {
    infallible!((), |store: GivenBack<dstore_store>| drop(store))
}

/// Returns the root directory, with symbolic links resolved. Borrowed from `store`. Returns NULL if
/// `store` is NULL.
///
/// Does not block. May be NULL: store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_root(store: *const dstore_store) -> *const c_char {
    infallible!(ptr::null(), |store: &dstore_store| store.root.as_ptr())
}

/// Returns the prefix of every name that this store uses on the engine. Borrowed from `store`.
/// Returns NULL if `store` is NULL.
///
/// Does not block. May be NULL: store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_prefix(store: *const dstore_store) -> *const c_char {
    infallible!(ptr::null(), |store: &dstore_store| store.prefix.as_ptr())
}

/// Returns a directory for the caller's own files. Borrowed from `store`. Returns NULL if `store`
/// is NULL.
///
/// Does not block. May be NULL: store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_state_dir(store: *const dstore_store) -> *const c_char {
    infallible!(ptr::null(), |store: &dstore_store| store.state_dir.as_ptr())
}

/// Returns an empty directory without access permissions. Borrowed from `store`. Returns NULL if
/// `store` is NULL.
///
/// Does not block. May be NULL: store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_empty_dir(store: *const dstore_store) -> *const c_char {
    infallible!(ptr::null(), |store: &dstore_store| store.empty_dir.as_ptr())
}

/// Returns the address of the engine. Borrowed from `store`. Returns NULL if `store` is NULL.
///
/// Does not block. May be NULL: store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_engine(store: *const dstore_store) -> *const c_char {
    infallible!(ptr::null(), |store: &dstore_store| store.engine.as_ptr())
}

/// Returns the version of the Engine API in use, such as "1.41". Borrowed from `store`. Returns
/// NULL if `store` is NULL.
///
/// Does not block. May be NULL: store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_api_version(store: *const dstore_store) -> *const c_char {
    infallible!(ptr::null(), |store: &dstore_store| store
        .api_version
        .as_ptr())
}

/// Returns in `*path` the path of the log of the build of `id`, whether the file exists yet or not.
/// The file grows while the build runs; another attempt creates a new file. Free the path with
/// dstore_string_free().
///
/// Does not block.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_log_file(
    store: *const dstore_store,
    id: *const c_char,
    path: *mut *mut c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      path: Owned<c_char>| {
        let file = store.enter()?.log_file(id)?;
        path.set_text(c_path(file));
        Ok(())
    })
}
