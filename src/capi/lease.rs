//! `dstore_lease`: a private writable copy of a cache.

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::Arc;

use crate::capi::arguments::{GivenBack, Owned, Unasked, named};
use crate::capi::boundary::infallible;
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::{Exclusive, Handle};
use crate::capi::status::dstore_status;
use crate::capi::store::dstore_store;
use crate::capi::text::c_string;
use crate::error::{Error, ErrorKind, Result};
use crate::store::cache::{CacheMode, CacheRequest, Lease, Released};
use crate::wait::Limits;

/// A writable copy of a cache, valid until it is released or discarded. Any number of threads may
/// mount it and query it concurrently. Releasing or discarding it requires exclusive use; a
/// conflicting call returns DSTORE_BUSY.
#[derive(Debug)]
pub struct dstore_lease {
    state: Exclusive<State>,
    volume: CString,
    generation: u64,
}

impl Handle for dstore_lease {}

#[derive(Debug)]
struct State {
    lease: Lease,
    ended: bool,
}

/// How concurrent leases of one cache relate.
#[repr(i32)]
#[derive(Clone, Copy, Debug)]
pub enum dstore_cache_mode {
    /// Each lease is a separate copy. Among leases cloned from the same generation, the first
    /// release that contains changes wins.
    DSTORE_CACHE_PRIVATE = 0,
    /// One holder at a time, across all processes. Other callers wait, and each sees what the
    /// previous holder released. A private lease may still win in the meantime.
    DSTORE_CACHE_LOCKED = 1,
    /// Concurrent holders, in any process, share one lease, and their containers mount it at the
    /// same time. When the last holder releases or discards it, it is published if any holder
    /// released it. Shared and locked leases of a cache wait for each other.
    DSTORE_CACHE_SHARED = 2,
}

use dstore_cache_mode::*;

/// The outcome of releasing a lease.
#[repr(i32)]
#[derive(Clone, Copy, Debug)]
pub enum dstore_released {
    /// The lease is now the newest generation of the cache.
    DSTORE_RELEASE_WON = 1,
    /// The lease was discarded: another release came first, the cache was deleted, or something
    /// other than this store removed the lease's volume.
    DSTORE_RELEASE_LOST = 2,
    /// Nothing in the lease had changed. The cache is unchanged.
    DSTORE_RELEASE_UNCHANGED = 3,
    /// Other holders still use this shared lease. It is published when the last of them releases or
    /// discards it.
    DSTORE_RELEASE_SHARED = 4,
    /// The cache would exceed its limit. The lease was discarded, and the cache is unchanged.
    DSTORE_RELEASE_TOO_LARGE = 5,
}

use dstore_released::*;

impl From<Released> for dstore_released {
    fn from(released: Released) -> Self {
        match released {
            Released::Won(_) => DSTORE_RELEASE_WON,
            Released::Lost => DSTORE_RELEASE_LOST,
            Released::Unchanged => DSTORE_RELEASE_UNCHANGED,
            Released::Shared => DSTORE_RELEASE_SHARED,
            Released::TooLarge => DSTORE_RELEASE_TOO_LARGE,
        }
    }
}

const MODES: [(i32, CacheMode); 3] = [
    (DSTORE_CACHE_PRIVATE as i32, CacheMode::Private),
    (DSTORE_CACHE_LOCKED as i32, CacheMode::Locked),
    (DSTORE_CACHE_SHARED as i32, CacheMode::Shared),
];

impl dstore_lease {
    fn new(lease: Lease) -> Self {
        dstore_lease {
            volume: c_string(lease.volume()),
            generation: lease.generation(),
            state: Exclusive::new(
                "lease",
                State {
                    lease,
                    ended: false,
                },
            ),
        }
    }

    fn release(&self, limits: &Limits, released: Unasked<dstore_released>) -> Result<()> {
        let mut state = self.state.enter()?;
        released.set(state.lease.release_within(limits)?.into());
        state.ended = true;
        Ok(())
    }

    /// Returns the volume to mount. An ended lease has none: the engine would create an empty
    /// volume of that name.
    pub(super) fn volume_of_open(&self) -> Result<String> {
        let state = self.state.read()?;
        match state.ended {
            true => Err(Error::new(
                ErrorKind::Closed,
                "mounting a lease: it has already been released or discarded",
            )),
            false => Ok(state.lease.volume().to_owned()),
        }
    }
}

/// Leases a writable copy of the newest generation of the cache `name`, any non-empty byte string.
/// A cache that does not exist is created, empty. The copy's root directory is owned by `uid` and
/// `gid`. `mode` is a dstore_cache_mode. `timeout_ms` (0 means no timeout) and `cancel` apply to
/// waiting and copying. Free the lease with dstore_lease_free().
///
/// Blocks. May be NULL: cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_cache(
    store: *const dstore_store,
    name: *const c_char,
    uid: u32,
    gid: u32,
    mode: i32,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    lease: *mut *mut dstore_lease,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      name: &[u8],
                      limits @ (timeout_ms, cancel): Limits,
                      lease: Owned<dstore_lease>| {
        let mut request = CacheRequest::new();
        request
            .owner(uid, gid)
            .mode(named(mode, MODES, "mode")?)
            .limits(limits);
        lease.set(dstore_lease::new(store.enter()?.cache(name, &request)?));
        Ok(())
    })
}

/// Returns the name of the engine's volume that dstore_command_lease() mounts. Borrowed from
/// `lease`. Returns NULL if `lease` is NULL.
///
/// Does not block. May be NULL: lease.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_lease_volume(lease: *const dstore_lease) -> *const c_char {
    infallible!(ptr::null(), |lease: &dstore_lease| lease.volume.as_ptr())
}

/// Returns the generation that the lease was cloned from. 0 means that the cache has never been
/// released.
///
/// Does not block. May be NULL: lease.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_lease_generation(lease: *const dstore_lease) -> u64 {
    infallible!(0, |lease: &dstore_lease| lease.generation)
}

/// Releases the lease. If its files have changed and the cache is still at the generation that was
/// cloned, the lease atomically becomes the next generation. `*released`, a dstore_released, is set
/// to the outcome. Returns DSTORE_BUSY while a container, running or not, mounts the lease. After
/// any error except DSTORE_CLOSED, the lease stays open and can be released again. The handle must
/// still be freed.
///
/// Blocks, for as long as it takes to detect changes. With the copy strategy this examines every
/// file, or every byte if only the engine can access the volume. May be NULL: released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_lease_release(
    lease: *mut dstore_lease,
    released: *mut dstore_released,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |lease: Arc<dstore_lease>, released: Unasked<dstore_released>| {
            lease.release(&Limits::none(), released)
        }
    )
}

/// Like dstore_lease_release(), limited by `timeout_ms` (0 means no timeout) and `cancel`. If
/// either stops the call, the lease stays open.
///
/// Blocks. May be NULL: cancel, released.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_lease_release_within(
    lease: *mut dstore_lease,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    released: *mut dstore_released,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |lease: Arc<dstore_lease>,
         limits @ (timeout_ms, cancel): Limits,
         released: Unasked<dstore_released>| lease.release(&limits, released)
    )
}

/// Discards the lease: nothing of it is kept. The handle must still be freed.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_lease_discard(
    lease: *mut dstore_lease,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |lease: Arc<dstore_lease>| {
        let mut state = lease.state.enter()?;
        state.lease.discard()?;
        state.ended = true;
        Ok(())
    })
}

/// Frees a lease; no-op if NULL. A lease that is neither released nor discarded is discarded in the
/// background.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_lease_free(lease: *mut dstore_lease) {
    infallible!((), |lease: GivenBack<dstore_lease>| drop(lease))
}
