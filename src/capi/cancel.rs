//! `dstore_cancel`: stops calls from another thread.

use crate::cancel::Cancel;
use std::sync::Arc;

use crate::capi::arguments::{GivenBack, timeout};
use crate::capi::boundary::{Argument, Call, infallible};
use crate::capi::handle::{Handle, give};
use crate::error::Result;
use crate::wait::Limits;

/// A cancellation token. Triggering it stops every call and step that it was passed to. It cannot
/// be reset. Thread-safe, except for dstore_cancel_free().
#[derive(Debug)]
pub struct dstore_cancel(pub(super) Cancel);

impl Handle for dstore_cancel {}

/// Creates a cancellation token. Free it with dstore_cancel_free(). Returns NULL only on an
/// internal error.
///
/// Does not block.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn dstore_cancel_new() -> *mut dstore_cancel {
    infallible!(std::ptr::null_mut(), || give(dstore_cancel(Cancel::new())))
}

/// Triggers the token. Calls that are waiting wake up, clean up and return DSTORE_CANCELLED. May be
/// called from a signal handler: it takes no lock, allocates nothing and preserves `errno`.
///
/// Does not block. May be NULL: cancel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_cancel_trigger(cancel: *const dstore_cancel) {
    infallible!((), |cancel: Option<&dstore_cancel>| {
        if let Some(cancel) = cancel {
            cancel.0.cancel();
        }
    })
}

/// Returns whether the token has been triggered. May be called from a signal handler, like
/// dstore_cancel_trigger().
///
/// Does not block. May be NULL: cancel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_cancel_is_triggered(cancel: *const dstore_cancel) -> bool {
    infallible!(false, |cancel: Option<&dstore_cancel>| {
        cancel.is_some_and(|cancel| cancel.0.is_cancelled())
    })
}

/// Frees a cancellation token; no-op if NULL. Calls and steps that were given it continue and can
/// no longer be cancelled with it.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_cancel_free(cancel: *mut dstore_cancel) {
    infallible!((), |cancel: GivenBack<dstore_cancel>| drop(cancel))
}

/// The limits of a call: a timeout in milliseconds, where 0 means none, and a token, which may be NULL.
///
/// # Safety
///
/// The requirements for any object apply to the token.
impl<'call> Argument<'call, (u64, *const dstore_cancel)> for Limits {
    unsafe fn take(
        (timeout_ms, cancel): (u64, *const dstore_cancel),
        _: &str,
        call: &'call Call,
    ) -> Result<Self> {
        let mut limits = Limits::none();
        if let Some(time) = timeout(timeout_ms) {
            limits = limits.timeout(time);
        }
        // SAFETY: NULL, or a token that has not been freed. It is retained here, so a concurrent free does not destroy it.
        let cancel: Option<Arc<dstore_cancel>> = unsafe { Argument::take(cancel, "cancel", call) }?;
        if let Some(cancel) = cancel {
            limits = limits.cancel(&cancel.0);
        }
        Ok(limits)
    }
}
