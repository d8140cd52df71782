//! Caches: strategy, list, deletion, limits.

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

/// A list of caches, as they were at one moment. It is immutable, so any number of threads may read
/// it.
#[derive(Debug)]
pub struct dstore_caches(Vec<Row>);

impl Handle for dstore_caches {}

#[derive(Debug)]
struct Row {
    /// NUL-terminated. Names may be any bytes, but those from C contain no NUL.
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

/// Sets `*strategy` to how caches are cloned, and `*reason` to a human-readable explanation; free
/// it with dstore_string_free(). If this engine has not been probed yet, probes it. Returns
/// DSTORE_UNSUPPORTED if an option requests a strategy that does not work on this engine.
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

/// Like dstore_store_strategy(), limited by `timeout_ms` (0 means no timeout) and `cancel`. Free
/// `*reason` with dstore_string_free().
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

/// Deletes the cache `name` (any non-empty byte string). Outstanding leases continue, and their
/// releases are discarded. If the cache does not exist, returns DSTORE_OK and sets `*deleted` to
/// false. Returns DSTORE_BUSY if a container outside this store mounts it.
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

/// Like dstore_store_delete_cache(), limited by `timeout_ms` (0 means no timeout) and `cancel`. If
/// either stops the call, the cache may have been deleted anyway.
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

/// Sets the size limit of the cache `name` (any non-empty byte string) in bytes; 0 removes it. The
/// limit applies to all processes from now on, and may be set before the cache exists. A release
/// that would make the cache exceed the limit gives DSTORE_RELEASE_TOO_LARGE and is counted; the
/// lease is discarded and the cache is unchanged. The size is that of the cache's layers. A file
/// that is rewritten in several layers counts in each of them until they are merged in the
/// background. Has an effect only if this process can access the engine's volumes directly;
/// otherwise a release logs that it did not check the size.
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

/// Lists all caches, sorted by name. Free the list with dstore_caches_free().
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

/// Like dstore_store_caches(), limited by `timeout_ms` (0 means no timeout) and `cancel`. Free the
/// list with dstore_caches_free().
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

/// Returns the number of caches in the list, or 0 if `caches` is NULL.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_count(caches: *const dstore_caches) -> usize {
    infallible!(0, |caches: &dstore_caches| caches.0.len())
}

/// Returns the name of the cache at `index`, counted from 0: `*length` bytes, followed by a NUL.
/// Borrowed from `caches`. Returns NULL if `index` is beyond the end.
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

/// Returns the generation that a lease of the cache at `index` would be cloned from. Returns 0 if
/// it has never been released, and beyond the end.
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

/// Returns what the newest generation of the cache at `index` consists of: overlay layers, or one
/// whole copy. Returns DSTORE_STRATEGY_AUTOMATIC beyond the end.
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

/// Returns the number of volumes that the newest generation of the cache at `index` consists of, or
/// 0 beyond the end.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_layers(caches: *const dstore_caches, index: usize) -> usize {
    infallible!(0, |caches: &dstore_caches| {
        caches.get(index, 0, |row| row.info.layers)
    })
}

/// Returns the disk usage of the cache at `index` in bytes. Returns -1 if it is unknown, and beyond
/// the end.
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

/// Returns when the cache at `index` was created, in seconds since 1970, or 0 beyond the end.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_created(caches: *const dstore_caches, index: usize) -> i64 {
    infallible!(0, |caches: &dstore_caches| {
        caches.get(index, 0, |row| seconds(row.info.created))
    })
}

/// Returns when the cache at `index` was last leased or released, in seconds since 1970, or 0
/// beyond the end.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_last_use(caches: *const dstore_caches, index: usize) -> i64 {
    infallible!(0, |caches: &dstore_caches| {
        caches.get(index, 0, |row| seconds(row.info.last_use))
    })
}

/// Returns the number of outstanding leases of the cache at `index`, in all processes, or 0 beyond
/// the end.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_leases(caches: *const dstore_caches, index: usize) -> usize {
    infallible!(0, |caches: &dstore_caches| {
        caches.get(index, 0, |row| row.info.leases)
    })
}

/// Returns the size limit of the cache at `index` in bytes. Returns 0 if it has no limit, and
/// beyond the end.
///
/// Does not block. May be NULL: caches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_limit(caches: *const dstore_caches, index: usize) -> u64 {
    infallible!(0, |caches: &dstore_caches| {
        caches.get(index, 0, |row| row.info.limit.unwrap_or(0))
    })
}

/// Frees a list; no-op if NULL.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_caches_free(caches: *mut dstore_caches) {
    infallible!((), |caches: GivenBack<dstore_caches>| drop(caches))
}
