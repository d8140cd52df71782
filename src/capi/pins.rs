//! Pins: what no prune removes. And what is known of results that have gone.

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

/// How a result that is not there any more has gone.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum dstore_went {
    /// Nobody knows of one that was there, or it is there still.
    DSTORE_WENT_UNKNOWN = 0,
    /// Somebody deleted it.
    DSTORE_WENT_DELETED = 1,
    /// A prune removed it.
    DSTORE_WENT_PRUNED = 2,
    /// Somebody removed it on the engine, past the store: when is not known, but when that was
    /// noticed.
    DSTORE_WENT_VANISHED = 3,
}

use dstore_went::*;

/// A list of pins, as they were at one moment. It does not change, so any number of threads may read
/// it.
#[derive(Debug)]
pub struct dstore_pins(Vec<Row>);

impl Handle for dstore_pins {}

#[derive(Debug)]
struct Row {
    kind: dstore_item,
    /// With a zero byte at the end.
    name: Vec<u8>,
    since: i64,
}

impl dstore_pins {
    fn get<T>(&self, index: usize, otherwise: T, get: impl FnOnce(&Row) -> T) -> T {
        self.0.get(index).map_or(otherwise, get)
    }
}

/// Pins the result `id`, whether it is there or not, for as long as `timeout_ms` (0 is none) and
/// `cancel` allow: no prune of any process removes it from now on. `pinned` is false where it was
/// pinned before. A delete removes it all the same, and the pin stays.
///
/// Blocks, while a prune is just removing it. May be NULL: cancel, pinned.
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

/// Takes the pin of the result `id` away. That there is none is no error, and `unpinned` then false.
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

/// dstore_store_pin() of the cache `name` (any bytes but none).
///
/// Blocks, while somebody else works on the cache. May be NULL: cancel, pinned.
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

/// dstore_store_unpin() of the cache `name`.
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

/// Lists what is pinned: results by id, then caches by name, whether they are there or not. Kept in
/// the root, for all engines that it is used with. Free the list with dstore_pins_free().
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

/// How the result `id` has gone, if it was there once and is not any more, and when, in seconds since
/// 1970 (0 where that is not known). Remembered for thirty days.
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
///
/// Does not block. May be NULL: pins.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pins_count(pins: *const dstore_pins) -> usize {
    infallible!(0, |pins: &dstore_pins| pins.0.len())
}

/// What is pinned at `index`, from 0 on: DSTORE_ITEM_RESULT or DSTORE_ITEM_CACHE, as a number; 0
/// beyond the end.
///
/// Does not block. May be NULL: pins.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pins_item(pins: *const dstore_pins, index: usize) -> i32 {
    infallible!(0, |pins: &dstore_pins| {
        pins.get(index, 0, |row| row.kind as i32)
    })
}

/// The name of what is pinned at `index`: `*length` bytes, and a zero after them. Borrowed from
/// `pins`; NULL beyond the end.
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

/// Since when the one at `index` is pinned, in seconds since 1970; 0 beyond the end.
///
/// Does not block. May be NULL: pins.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pins_since(pins: *const dstore_pins, index: usize) -> i64 {
    infallible!(0, |pins: &dstore_pins| {
        pins.get(index, 0, |row| row.since)
    })
}

/// Frees a list. NULL is fine.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_pins_free(pins: *mut dstore_pins) {
    infallible!((), |pins: GivenBack<dstore_pins>| drop(pins))
}
