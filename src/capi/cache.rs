//! Caches as such: list, delete.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

use crate::capi::arguments::{GivenBack, Out, Owned, Unasked};
use crate::capi::boundary::infallible;
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::Handle;
use crate::capi::options::dstore_strategy;
use crate::capi::status::dstore_status;
use crate::capi::store::dstore_store;
use crate::capi::text::{c_string, seconds};
use crate::store::cache::CacheInfo;
use crate::wait::Limits;

/// A list of caches, as they were at one moment. It does not change, so any number of threads may
/// read it.
#[derive(Debug)]
pub struct dstore_caches(Vec<Row>);

impl Handle for dstore_caches {}

#[derive(Debug)]
struct Row {
    /// With a zero byte at the end: names are any bytes, but those that C gave have no other.
    name: Vec<u8>,
    info: CacheInfo,
}

impl Row {
    fn bytes(&self) -> i64 {
        self.info
            .bytes
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or(-1)
    }
}

impl dstore_caches {
    pub(super) fn of(rows: impl Iterator<Item = CacheInfo>) -> Self {
        let rows = rows.map(|info| Row {
            name: [&info.name[..], b"\0"].concat(),
            info,
        });
        dstore_caches(rows.collect())
    }

    fn get<T>(&self, index: usize, otherwise: T, get: impl FnOnce(&Row) -> T) -> T {
        self.0.get(index).map_or(otherwise, get)
    }
}

/// How caches are cloned, and `reason`, why so, for people. Free that with dstore_string_free(). Finds
/// out what works on this engine if nobody has yet. DSTORE_UNSUPPORTED where an option asks for a
/// strategy that does not work here.
///
/// Blocks.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_strategy(
    store: *const dstore_store,
    strategy: *mut dstore_strategy,
    reason: *mut *mut c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      strategy: Out<dstore_strategy>,
                      reason: Owned<c_char>| {
        let (found, why) = store.enter()?.strategy()?;
        strategy.set(found.into());
        reason.set_text(c_string(why));
        Ok(())
    })
}

/// dstore_store_strategy() for as long as `timeout_ms` (0 is none) and `cancel` allow.
/// Free what it gives with dstore_string_free().
///
/// Blocks. May be NULL: cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_strategy_within(
    store: *const dstore_store,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    strategy: *mut dstore_strategy,
    reason: *mut *mut c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      limits @ (timeout_ms, cancel): Limits,
                      strategy: Out<dstore_strategy>,
                      reason: Owned<c_char>| {
        let (found, why) = store.enter()?.strategy_within(&limits)?;
        strategy.set(found.into());
        reason.set_text(c_string(why));
        Ok(())
    })
}

/// Removes the cache `name` (any bytes but none). Leases in flight go on, and their releases are
/// discarded. That there is none is no error, and `deleted` then false. DSTORE_BUSY where a
/// container that is not of this store mounts it.
///
/// Blocks. May be NULL: deleted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_delete_cache(
    store: *const dstore_store,
    name: *const c_char,
    deleted: *mut bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      name: &[u8],
                      deleted: Unasked<bool>| {
        deleted.set(store.enter()?.delete_cache(name)?);
        Ok(())
    })
}

/// dstore_store_delete_cache() for as long as `timeout_ms` (0 is none) and `cancel` allow. Told to
/// end, it may have deleted all the same.
///
/// Blocks. May be NULL: cancel, deleted.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_delete_cache_within(
    store: *const dstore_store,
    name: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    deleted: *mut bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      name: &[u8],
                      limits @ (timeout_ms, cancel): Limits,
                      deleted: Unasked<bool>| {
        deleted.set(store.enter()?.delete_cache_within(name, &limits)?);
        Ok(())
    })
}

/// Gives the cache `name` (any bytes but none) a limit of its own, in bytes, or takes it away (0);
/// for all processes, from now on, also where the cache is not there yet. What is released and would make the cache hold more is given
/// up (DSTORE_RELEASE_TOO_LARGE, which is counted), and the cache stays as it was. Bytes are those of
/// its layers, so a file that is written anew in each of them counts in each until they are merged,
/// which then is done in the background. Only where this process reaches the engine's volumes as
/// files; elsewhere a release says in the log that it has not looked.
///
/// Does not block.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_limit_cache(
    store: *const dstore_store,
    name: *const c_char,
    bytes: u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>, name: &[u8]| {
        store
            .enter()?
            .limit_cache(name, (bytes > 0).then_some(bytes))
    })
}

/// Lists all caches, by name. Free the list with dstore_caches_free().
///
/// Blocks.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_caches(
    store: *const dstore_store,
    caches: *mut *mut dstore_caches,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      caches: Owned<dstore_caches>| {
        let rows = store.enter()?.caches()?.into_iter();
        caches.set(dstore_caches::of(rows));
        Ok(())
    })
}

/// dstore_store_caches() for as long as `timeout_ms` (0 is none) and `cancel` allow.
/// Free what it gives with dstore_caches_free().
///
/// Blocks. May be NULL: cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_caches_within(
    store: *const dstore_store,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    caches: *mut *mut dstore_caches,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      limits @ (timeout_ms, cancel): Limits,
                      caches: Owned<dstore_caches>| {
        let rows = store.enter()?.caches_within(&limits)?.into_iter();
        caches.set(dstore_caches::of(rows));
        Ok(())
    })
}

/// How many caches are in the list; 0 for NULL.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_count(caches: *const dstore_caches) -> usize {
    infallible!(0, |caches: &dstore_caches| caches.0.len())
}

/// The name of the cache at `index`, from 0 on: `*length` bytes, and a zero after them. Borrowed
/// from `caches`; NULL beyond the end.
///
/// Does not block. May be NULL: caches, length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_name(
    caches: *const dstore_caches,
    index: usize,
    length: *mut usize,
) -> *const c_char {
    infallible!(
        ptr::null(),
        |caches: &dstore_caches, length: Unasked<usize>| {
            caches.get(index, ptr::null(), |row| {
                length.set(row.info.name.len());
                row.name.as_ptr().cast()
            })
        }
    )
}

/// The generation that a lease of the cache at `index` would be cloned from; 0 where none was
/// released yet, and beyond the end.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_generation(
    caches: *const dstore_caches,
    index: usize,
) -> u64 {
    infallible!(0, |caches: &dstore_caches| {
        caches.get(index, 0, |row| row.info.generation)
    })
}

/// What the newest generation of the cache at `index` is made of: overlay layers, or one whole
/// copy. DSTORE_STRATEGY_AUTOMATIC beyond the end.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_strategy(
    caches: *const dstore_caches,
    index: usize,
) -> dstore_strategy {
    let none = dstore_strategy::DSTORE_STRATEGY_AUTOMATIC;
    infallible!(none, |caches: &dstore_caches| {
        caches.get(index, none, |row| row.info.strategy.into())
    })
}

/// How many volumes the newest generation of the cache at `index` is made of; 0 beyond the end.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_layers(caches: *const dstore_caches, index: usize) -> usize {
    infallible!(0, |caches: &dstore_caches| {
        caches.get(index, 0, |row| row.info.layers)
    })
}

/// How many bytes the cache at `index` has on disk; -1 where that is not known, and beyond the end.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_bytes(caches: *const dstore_caches, index: usize) -> i64 {
    infallible!(-1, |caches: &dstore_caches| caches.get(
        index,
        -1,
        Row::bytes
    ))
}

/// When the cache at `index` was made, in seconds since 1970; 0 beyond the end.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_created(caches: *const dstore_caches, index: usize) -> i64 {
    infallible!(0, |caches: &dstore_caches| {
        caches.get(index, 0, |row| seconds(row.info.created))
    })
}

/// When the cache at `index` was last lent or released, in seconds since 1970; 0 beyond the end.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_last_use(caches: *const dstore_caches, index: usize) -> i64 {
    infallible!(0, |caches: &dstore_caches| {
        caches.get(index, 0, |row| seconds(row.info.last_use))
    })
}

/// How many leases of the cache at `index` are out, in all processes; 0 beyond the end.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_leases(caches: *const dstore_caches, index: usize) -> usize {
    infallible!(0, |caches: &dstore_caches| {
        caches.get(index, 0, |row| row.info.leases)
    })
}

/// The most bytes that the cache at `index` may hold; 0 where it has no limit, and beyond the end.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_limit(caches: *const dstore_caches, index: usize) -> u64 {
    infallible!(0, |caches: &dstore_caches| {
        caches.get(index, 0, |row| row.info.limit.unwrap_or(0))
    })
}

/// Frees a list. NULL is fine.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_free(caches: *mut dstore_caches) {
    infallible!((), |caches: GivenBack<dstore_caches>| drop(caches))
}
