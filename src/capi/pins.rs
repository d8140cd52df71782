//! Pins: what no prune removes. Also, what is known about results that no longer exist.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::capi::arguments::{GivenBack, Out, Owned, Unasked};
use crate::capi::boundary::infallible;
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::Handle;
use crate::capi::item::{dstore_item, parts};
use crate::capi::status::dstore_status;
use crate::capi::store::dstore_store;
use crate::capi::text::seconds;
use crate::store::Went;
use crate::wait::Limits;

/// How a result that no longer exists was removed.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum dstore_went {
    /// No such result is known, or it still exists.
    DSTORE_WENT_UNKNOWN = 0,
    /// A caller deleted it.
    DSTORE_WENT_DELETED = 1,
    /// A prune removed it.
    DSTORE_WENT_PRUNED = 2,
    /// Something other than a store removed it from the engine. When is unknown; the time is when
    /// that was noticed.
    DSTORE_WENT_VANISHED = 3,
}

use dstore_went::*;

/// A list of pins, as they were at one moment. It is immutable, so any number of threads may read
/// it.
#[derive(Debug)]
pub struct dstore_pins(Vec<Row>);

impl Handle for dstore_pins {}

#[derive(Debug)]
struct Row {
    kind: dstore_item,
    /// NUL-terminated.
    name: Vec<u8>,
    since: i64,
}

impl dstore_pins {
    fn get<T>(&self, index: usize, otherwise: T, get: impl FnOnce(&Row) -> T) -> T {
        self.0.get(index).map_or(otherwise, get)
    }
}

/// Pins the result `id`, whether it exists or not: from now on no prune of any process removes it.
/// Limited by `timeout_ms` (0 means no timeout) and `cancel`. `*pinned` is set to false if it was
/// already pinned. A delete removes the result anyway, and the pin is kept.
///
/// Blocks, while a prune is removing the result. May be NULL: cancel, pinned.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_pin(
    store: *const dstore_store,
    id: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    pinned: *mut bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      limits @ (timeout_ms, cancel): Limits,
                      pinned: Unasked<bool>| {
        pinned.set(store.enter()?.pin(id, &limits)?);
        Ok(())
    })
}

/// Removes the pin of the result `id`. If there is none, returns DSTORE_OK and sets `*unpinned` to
/// false.
///
/// Does not block. May be NULL: unpinned.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_unpin(
    store: *const dstore_store,
    id: *const c_char,
    unpinned: *mut bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      unpinned: Unasked<bool>| {
        unpinned.set(store.enter()?.unpin(id)?);
        Ok(())
    })
}

/// Like dstore_store_pin(), for the cache `name` (any non-empty byte string).
///
/// Blocks, while another call uses the cache. May be NULL: cancel, pinned.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_pin_cache(
    store: *const dstore_store,
    name: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    pinned: *mut bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      name: &[u8],
                      limits @ (timeout_ms, cancel): Limits,
                      pinned: Unasked<bool>| {
        pinned.set(store.enter()?.pin_cache(name, &limits)?);
        Ok(())
    })
}

/// Like dstore_store_unpin(), for the cache `name`.
///
/// Does not block. May be NULL: unpinned.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_unpin_cache(
    store: *const dstore_store,
    name: *const c_char,
    unpinned: *mut bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      name: &[u8],
                      unpinned: Unasked<bool>| {
        unpinned.set(store.enter()?.unpin_cache(name)?);
        Ok(())
    })
}

/// Lists all pins: results sorted by id, then caches sorted by name, whether they exist or not.
/// Pins are stored in the root, for all engines that it is used with. Free the list with
/// dstore_pins_free().
///
/// Does not block.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_pins(
    store: *const dstore_store,
    pins: *mut *mut dstore_pins,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      pins: Owned<dstore_pins>| {
        let rows = store.enter()?.pins()?.into_iter().map(|pin| {
            let (kind, name) = parts(&pin.item);
            let since = seconds(pin.since);
            Row { kind, name, since }
        });
        pins.set(dstore_pins(rows.collect()));
        Ok(())
    })
}

/// Sets `*went` to how the result `id` was removed, if it once existed and no longer does. `*when`
/// is set to the time of the removal, in seconds since 1970, or 0 if it is unknown. Remembered for
/// thirty days.
///
/// Does not block. May be NULL: when.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_went(
    store: *const dstore_store,
    id: *const c_char,
    went: *mut dstore_went,
    when: *mut i64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      went: Out<dstore_went>,
                      when: Unasked<i64>| {
        let (how, at) = told(store.enter()?.went(id)?);
        went.set(how);
        when.set(at);
        Ok(())
    })
}

/// Does what dstore_store_went() does, and asks the engine if the store has no record of how the
/// result `id` went. So it also reports a result that another program removed on the engine.
///
/// Blocks. May be NULL: cancel, when.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_why_gone(
    store: *const dstore_store,
    id: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    went: *mut dstore_went,
    when: *mut i64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      limits @ (timeout_ms, cancel): Limits,
                      went: Out<dstore_went>,
                      when: Unasked<i64>| {
        let (how, at) = told(store.enter()?.why_gone(id, &limits)?);
        went.set(how);
        when.set(at);
        Ok(())
    })
}

fn told(known: Option<(Went, SystemTime)>) -> (dstore_went, i64) {
    match known {
        None => (DSTORE_WENT_UNKNOWN, 0),
        Some((Went::Deleted, at)) => (DSTORE_WENT_DELETED, seconds(at)),
        Some((Went::Pruned, at)) => (DSTORE_WENT_PRUNED, seconds(at)),
        Some((Went::Vanished, at)) => (DSTORE_WENT_VANISHED, seconds(at)),
    }
}

/// How many pins are in the list; 0 for NULL.
/// Returns the number of pins in the list, or 0 if `pins` is NULL.
///
/// Does not block. May be NULL: pins.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pins_count(pins: *const dstore_pins) -> usize {
    infallible!(0, |pins: &dstore_pins| pins.0.len())
}

/// Returns the kind of what is pinned at `index`, counted from 0: DSTORE_ITEM_RESULT or
/// DSTORE_ITEM_CACHE, as a number, or 0 beyond the end.
///
/// Does not block. May be NULL: pins.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pins_item(pins: *const dstore_pins, index: usize) -> i32 {
    infallible!(0, |pins: &dstore_pins| {
        pins.get(index, 0, |row| row.kind as i32)
    })
}

/// Returns the name of what is pinned at `index`: `*length` bytes, followed by a NUL. Borrowed from
/// `pins`. Returns NULL if `index` is beyond the end.
///
/// Does not block. May be NULL: pins, length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pins_name(
    pins: *const dstore_pins,
    index: usize,
    length: *mut usize,
) -> *const c_char {
    infallible!(ptr::null(), |pins: &dstore_pins, length: Unasked<usize>| {
        pins.get(index, ptr::null(), |row| {
            length.set(row.name.len() - 1);
            row.name.as_ptr().cast()
        })
    })
}

/// Returns when the pin at `index` was set, in seconds since 1970, or 0 beyond the end.
///
/// Does not block. May be NULL: pins.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pins_since(pins: *const dstore_pins, index: usize) -> i64 {
    infallible!(0, |pins: &dstore_pins| {
        pins.get(index, 0, |row| row.since)
    })
}

/// Frees a list; no-op if NULL.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pins_free(pins: *mut dstore_pins) {
    infallible!((), |pins: GivenBack<dstore_pins>| drop(pins))
}
