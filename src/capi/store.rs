//! `dstore_store`: open, close, and what a store is called.

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

/// An open store. All its calls may be made from any number of threads at once, short of a free;
/// and any number of processes may have the same root open. A child process that is forked without
/// `exec` is answered DSTORE_CLOSED, and may open a store of its own.
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

/// Opens the store at `root`, a directory of this machine (any bytes), which is made if its parent
/// exists; and removes what dead processes left behind. Free the store with dstore_store_free().
///
/// Blocks, for a handful of engine calls and the removal of leftovers. May be NULL: options.
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

/// dstore_store_open() for as long as `timeout_ms` (0 is none) and `cancel` allow. Told to end, it
/// leaves nothing open, and another open goes on with what was left.
/// Free what it gives with dstore_store_free().
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

/// Closes the store, and waits for removals under way, and for at most two seconds for layers of caches
/// that are being merged and for released files to reach the disk. Calls on it, its steps and its leases that are
/// under way go on. Those that come after this return DSTORE_CLOSED, short of those that ask the
/// engine nothing. What steps and leases hold is removed when they are freed, and
/// dstore_store_complete_deletes() waits for that. The handle itself is still to be freed.
///
/// Removals are waited for ten seconds at most: an engine that takes longer goes on with them, and the
/// next open of this root looks for what is left.
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

/// dstore_store_close() for as long as `timeout_ms` (0 is none) and `cancel` allow. Where that ends
/// it the store is closed all the same, and removals are still under way.
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

/// Frees a store, and closes it without waiting if nobody has closed it. NULL is fine.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_free(store: *mut dstore_store) {
    infallible!((), |store: GivenBack<dstore_store>| drop(store))
}

/// The root directory, without symbolic links. Borrowed from `store`; NULL for NULL.
///
/// Does not block. May be NULL: store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_root(store: *const dstore_store) -> *const c_char {
    infallible!(ptr::null(), |store: &dstore_store| store.root.as_ptr())
}

/// What every name of this store on the engine begins with. Borrowed from `store`; NULL for NULL.
///
/// Does not block. May be NULL: store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_prefix(store: *const dstore_store) -> *const c_char {
    infallible!(ptr::null(), |store: &dstore_store| store.prefix.as_ptr())
}

/// A directory for the caller's own files. Borrowed from `store`; NULL for NULL.
///
/// Does not block. May be NULL: store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_state_dir(store: *const dstore_store) -> *const c_char {
    infallible!(ptr::null(), |store: &dstore_store| store.state_dir.as_ptr())
}

/// A directory that is empty and that nobody may enter. Borrowed from `store`; NULL for NULL.
///
/// Does not block. May be NULL: store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_empty_dir(store: *const dstore_store) -> *const c_char {
    infallible!(ptr::null(), |store: &dstore_store| store.empty_dir.as_ptr())
}

/// The address of the engine. Borrowed from `store`; NULL for NULL.
///
/// Does not block. May be NULL: store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_engine(store: *const dstore_store) -> *const c_char {
    infallible!(ptr::null(), |store: &dstore_store| store.engine.as_ptr())
}

/// The version of the Engine API that is spoken: "1.41". Borrowed from `store`; NULL for NULL.
///
/// Does not block. May be NULL: store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_api_version(store: *const dstore_store) -> *const c_char {
    infallible!(ptr::null(), |store: &dstore_store| store
        .api_version
        .as_ptr())
}

/// The path of the log of the build of `id`, whether it exists yet or not. It grows while the build
/// runs, and another try makes a new file. Free it with dstore_string_free().
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
