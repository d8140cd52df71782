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

/// A copy of a cache, lent until it is released or discarded. Any number of threads at once may ask
/// and mount it; it is released or discarded by one thread, with none of the others in between.
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

/// How leases of one cache that are out at the same time relate.
#[repr(i32)]
#[derive(Clone, Copy, Debug)]
pub enum dstore_cache_mode {
    /// Each lease is a copy of its own; of those cloned from one generation, the first changed one
    /// that is released wins.
    DSTORE_CACHE_PRIVATE = 0,
    /// One holder at a time, in all processes: others wait, and each sees what the one before
    /// released. A private lease may still win in between.
    DSTORE_CACHE_LOCKED = 1,
    /// Those who hold a lease at the same time, in all processes, hold the same one, mounted by all
    /// their containers at once. The last release publishes it. Waits for a locked lease, and the
    /// other way round.
    DSTORE_CACHE_SHARED = 2,
}

use dstore_cache_mode::*;

/// What became of a lease that was released.
#[repr(i32)]
#[derive(Clone, Copy, Debug)]
pub enum dstore_released {
    /// It is now the newest generation of the cache.
    DSTORE_RELEASE_WON = 1,
    /// The cache is no longer the generation that was cloned: another release came first, or the
    /// cache was deleted.
    DSTORE_RELEASE_LOST = 2,
    /// Nothing in it had changed, so the cache stays as it is.
    DSTORE_RELEASE_UNCHANGED = 3,
    /// Others still hold this shared lease; the last of them publishes it.
    DSTORE_RELEASE_SHARED = 4,
    /// With it the cache would hold more than its limit: it is given up, and the cache stays as it is.
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

    /// The volume to mount. Of a lease that has ended there is none: the engine would make an empty
    /// one of that name.
    pub(super) fn volume_of_open(&self) -> Result<String> {
        let state = self.state.read()?;
        match state.ended {
            true => Err(Error::new(
                ErrorKind::Closed,
                "mounting a lease: it was released or discarded before",
            )),
            false => Ok(state.lease.volume().to_owned()),
        }
    }
}

/// Lends a writable copy of the newest generation of the cache `name`, which is any bytes but none.
/// A cache that does not exist is created, empty. The copy's root directory belongs to `uid` and
/// `gid`; `mode` is a dstore_cache_mode; `timeout_ms` (0 is none) and `cancel` hold for the waiting
/// and the copying. Free the lease with dstore_lease_free().
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

/// The name of the engine's volume, which dstore_command_lease() mounts. Borrowed from `lease`;
/// NULL for NULL.
///
/// Does not block. May be NULL: lease.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_lease_volume(lease: *const dstore_lease) -> *const c_char {
    infallible!(ptr::null(), |lease: &dstore_lease| lease.volume.as_ptr())
}

/// The generation that it was cloned from; 0 is a cache that nobody has released yet.
///
/// Does not block. May be NULL: lease.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_lease_generation(lease: *const dstore_lease) -> u64 {
    infallible!(0, |lease: &dstore_lease| lease.generation)
}

/// Gives the lease back: if the cache is still at the generation that was cloned, and anything was
/// changed, the lease becomes the next generation, atomically. `released`, a dstore_released, is
/// what became of it. DSTORE_BUSY while any container, running or not, still mounts it; after that,
/// as after any error but DSTORE_CLOSED, it can be released again. The handle is still to be freed.
///
/// Blocks, for as long as it takes to look for changes: where leases are copies, that is a look at
/// every file. May be NULL: released.
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

/// dstore_lease_release() for as long as `timeout_ms` (0 is none) and `cancel` allow. A lease that
/// could not be released in time is open still.
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

/// Gives the lease back without keeping anything of it. The handle is still to be freed.
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

/// Frees a lease. NULL is fine. One that is neither released nor discarded is discarded in the
/// background.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_lease_free(lease: *mut dstore_lease) {
    infallible!((), |lease: GivenBack<dstore_lease>| drop(lease))
}
