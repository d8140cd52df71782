//! `dstore_health`: the state of the engine, and how the store uses it.

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::Arc;

use crate::capi::arguments::{GivenBack, Owned};
use crate::capi::boundary::infallible;
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::Handle;
use crate::capi::options::dstore_strategy;
use crate::capi::status::dstore_status;
use crate::capi::store::dstore_store;
use crate::capi::text::c_string;
use crate::store::Health;
use crate::wait::Limits;

/// The state of the engine at one moment. It is immutable, so any number of threads may read it.
#[derive(Debug)]
pub struct dstore_health {
    found: Health,
    engine: CString,
    engine_version: CString,
    api_version: CString,
    newest_api_version: CString,
    address: CString,
    image_store: CString,
    strategy_reason: CString,
    network: CString,
    /// Each problem, and the advice.
    troubles: Vec<(CString, CString)>,
}

impl Handle for dstore_health {}

impl dstore_health {
    fn new(found: Health) -> Self {
        let text = |text: &String| c_string(text.as_str());
        let troubles = found.troubles.iter();
        dstore_health {
            engine: text(&found.engine),
            engine_version: text(&found.engine_version),
            api_version: text(&found.api_version),
            newest_api_version: text(&found.newest_api_version),
            address: text(&found.address),
            image_store: text(&found.image_store),
            strategy_reason: text(&found.strategy_reason),
            network: text(&found.network),
            troubles: troubles
                .map(|trouble| (text(&trouble.what), text(&trouble.advice)))
                .collect(),
            found,
        }
    }
}

/// Checks whether the engine answers, limited by `timeout_ms` (0 means no timeout) and `cancel`. If
/// the engine was upgraded or replaced since the last call, its API version is used from now on.
///
/// Blocks, for one round trip to the engine. May be NULL: cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_ping(
    store: *const dstore_store,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |store: Arc<dstore_store>, limits @ (timeout_ms, cancel): Limits| {
            store.enter()?.ping(&limits)
        }
    )
}

/// Collects the state of the engine, how this store uses it, and a list of problems, limited by
/// `timeout_ms` (0 means no timeout) and `cancel`. If the engine does not answer, returns an error.
/// What is only slow or missing is reported by dstore_health_trouble(). Free the object with
/// dstore_health_free().
///
/// Blocks, for some engine calls; the first time on an engine, also for a probe of how caches can
/// be cloned. May be NULL: cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_health(
    store: *const dstore_store,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    health: *mut *mut dstore_health,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      limits @ (timeout_ms, cancel): Limits,
                      health: Owned<dstore_health>| {
        let found = store.enter()?.health(&limits)?;
        health.set(dstore_health::new(found));
        Ok(())
    })
}

/// Returns the engine's product name: "Docker", "Podman", or what it reports. Borrowed from
/// `health`. Returns NULL if `health` is NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_engine(health: *const dstore_health) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| health.engine.as_ptr())
}

/// Returns the engine's version, such as "28.5.2". Borrowed from `health`. Returns NULL if `health`
/// is NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_engine_version(
    health: *const dstore_health,
) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| health
        .engine_version
        .as_ptr())
}

/// Returns the version of the Engine API in use, such as "1.47". Borrowed from `health`. Returns
/// NULL if `health` is NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_api_version(health: *const dstore_health) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| health
        .api_version
        .as_ptr())
}

/// Returns the newest version of the Engine API that the engine supports, such as "1.51". Borrowed
/// from `health`. Returns NULL if `health` is NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_newest_api_version(
    health: *const dstore_health,
) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| health
        .newest_api_version
        .as_ptr())
}

/// Returns the address at which the engine was reached. Borrowed from `health`. Returns NULL if
/// `health` is NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_address(health: *const dstore_health) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| health
        .address
        .as_ptr())
}

/// Returns where the engine stores images: its storage driver, such as "overlay2", or "containerd
/// (overlayfs)". Borrowed from `health`. Returns NULL if `health` is NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_image_store(health: *const dstore_health) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| health
        .image_store
        .as_ptr())
}

/// Returns how caches are cloned. Returns DSTORE_STRATEGY_AUTOMATIC if they cannot be cloned, and
/// if `health` is NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_strategy(health: *const dstore_health) -> dstore_strategy {
    let none = dstore_strategy::DSTORE_STRATEGY_AUTOMATIC;
    infallible!(none, |health: &dstore_health| {
        health.found.strategy.map_or(none, Into::into)
    })
}

/// Returns why caches are cloned this way, or cannot be cloned. Borrowed from `health`. Returns
/// NULL if `health` is NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_strategy_reason(
    health: *const dstore_health,
) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| health
        .strategy_reason
        .as_ptr())
}

/// Returns what sets up the network of steps without a network, the runtime or the engine, and why.
/// Borrowed from `health`. Returns NULL if `health` is NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_network(health: *const dstore_health) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| health
        .network
        .as_ptr())
}

/// Returns by how many milliseconds the engine's clock is ahead of the local clock; negative if it
/// is behind. Returns INT64_MIN if it is unknown, and if `health` is NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_clock_ahead_ms(health: *const dstore_health) -> i64 {
    infallible!(i64::MIN, |health: &dstore_health| {
        health.found.clock_ahead_ms.unwrap_or(i64::MIN)
    })
}

/// Returns the free space on the file system of the store's root, in percent, or -1 if `health` is
/// NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_free_root(health: *const dstore_health) -> f64 {
    infallible!(-1.0, |health: &dstore_health| health.found.free.root)
}

/// Returns the free space on the file system of the engine's data, in percent. Returns -1 if that
/// is not on the local machine or not accessible, and if `health` is NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_free_engine(health: *const dstore_health) -> f64 {
    infallible!(-1.0, |health: &dstore_health| {
        health.found.free.engine.unwrap_or(-1.0)
    })
}

/// Returns the number of problems, or 0 if `health` is NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_troubles(health: *const dstore_health) -> usize {
    infallible!(0, |health: &dstore_health| health.troubles.len())
}

/// Returns the problem at `index`, counted from 0, as one human-readable line. Borrowed from
/// `health`. Returns NULL if `index` is beyond the end.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_trouble(
    health: *const dstore_health,
    index: usize,
) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| {
        let trouble = health.troubles.get(index);
        trouble.map_or(ptr::null(), |(what, _)| what.as_ptr())
    })
}

/// Returns what to do about the problem at `index`. Borrowed from `health`. Returns NULL if `index`
/// is beyond the end.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_advice(
    health: *const dstore_health,
    index: usize,
) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| {
        let trouble = health.troubles.get(index);
        trouble.map_or(ptr::null(), |(_, advice)| advice.as_ptr())
    })
}

/// Frees the object; no-op if NULL.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_free(health: *mut dstore_health) {
    infallible!((), |health: GivenBack<dstore_health>| drop(health))
}
