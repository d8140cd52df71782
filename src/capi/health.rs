//! `dstore_health`: how the engine is, and how the store gets along with it.

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

/// What was found out about the engine at one moment. It does not change, so any number of threads
/// may read it.
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
    /// What each trouble is, and the advice.
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

/// Asks whether the engine answers, for as long as `timeout_ms` (0 is none) and `cancel` allow. One
/// that was upgraded or replaced since the last call is spoken to in its own version from now on.
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

/// Finds out how the engine is, how the store gets along with it, and what is not as well as it
/// could be, for as long as `timeout_ms` (0 is none) and `cancel` allow. An engine that does not
/// answer is an error; what is merely slow or missing is told by dstore_health_trouble(). Free what
/// it gives with dstore_health_free().
///
/// Blocks, for some engine calls; the first time on an engine, for a trial of how caches can be
/// cloned. May be NULL: cancel.
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

/// What answers: "Docker", "Podman", or what else it calls itself. Borrowed from `health`; NULL for
/// NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_engine(health: *const dstore_health) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| health.engine.as_ptr())
}

/// The engine's version: "28.5.2". Borrowed from `health`; NULL for NULL.
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

/// The version of the Engine API that is spoken with it now: "1.47". Borrowed from `health`; NULL
/// for NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_api_version(health: *const dstore_health) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| health
        .api_version
        .as_ptr())
}

/// The newest version of the Engine API that the engine speaks: "1.51". Borrowed from `health`; NULL
/// for NULL.
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

/// The address at which it was reached. Borrowed from `health`; NULL for NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_address(health: *const dstore_health) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| health
        .address
        .as_ptr())
}

/// Where the engine keeps images: its storage driver, "overlay2"; or "containerd (overlayfs)".
/// Borrowed from `health`; NULL for NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_image_store(health: *const dstore_health) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| health
        .image_store
        .as_ptr())
}

/// How caches are cloned. DSTORE_STRATEGY_AUTOMATIC where they cannot be, and for NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_strategy(health: *const dstore_health) -> dstore_strategy {
    let none = dstore_strategy::DSTORE_STRATEGY_AUTOMATIC;
    infallible!(none, |health: &dstore_health| {
        health.found.strategy.map_or(none, Into::into)
    })
}

/// Why they are cloned so, or cannot be. Borrowed from `health`; NULL for NULL.
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

/// Who sets up the network of steps that have none, the runtime or the engine, and why. Borrowed from
/// `health`; NULL for NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_network(health: *const dstore_health) -> *const c_char {
    infallible!(ptr::null(), |health: &dstore_health| health
        .network
        .as_ptr())
}

/// By how many milliseconds the engine's clock is ahead of this machine's; negative where it is
/// behind. INT64_MIN where that is not known, and for NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_clock_ahead_ms(health: *const dstore_health) -> i64 {
    infallible!(i64::MIN, |health: &dstore_health| {
        health.found.clock_ahead_ms.unwrap_or(i64::MIN)
    })
}

/// How much is free on the file system of the store's root, in percent; -1 for NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_free_root(health: *const dstore_health) -> f64 {
    infallible!(-1.0, |health: &dstore_health| health.found.free.root)
}

/// How much is free on the file system of the engine's data, in percent; -1 where that is not on
/// this machine or not to be seen, and for NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_free_engine(health: *const dstore_health) -> f64 {
    infallible!(-1.0, |health: &dstore_health| {
        health.found.free.engine.unwrap_or(-1.0)
    })
}

/// How many things are not as well as they could be; 0 for NULL.
///
/// Does not block. May be NULL: health.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_troubles(health: *const dstore_health) -> usize {
    infallible!(0, |health: &dstore_health| health.troubles.len())
}

/// What is not well, at `index` from 0 on: one line for a person. Borrowed from `health`; NULL beyond
/// the end.
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

/// What to do about the trouble at `index`. Borrowed from `health`; NULL beyond the end.
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

/// Frees what was found. NULL is fine.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_health_free(health: *mut dstore_health) {
    infallible!((), |health: GivenBack<dstore_health>| drop(health))
}
