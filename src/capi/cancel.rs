//! `dstore_cancel`: ends calls from another thread.

use crate::cancel::Cancel;
use crate::capi::boundary::{free, getter, infallible};
use crate::capi::handle::give;

/// A switch that ends the calls and steps it was given to, from any thread. Once on, it stays on.
/// All its calls may be made from any thread at any time, short of a free.
#[derive(Debug)]
pub struct dstore_cancel(pub(super) Cancel);

/// A new switch, which is off. Free it with dstore_cancel_free(). NULL only where the library
/// itself is at fault.
///
/// Does not block.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn dstore_cancel_new() -> *mut dstore_cancel {
    infallible(std::ptr::null_mut(), || give(dstore_cancel(Cancel::new())))
}

/// Turns the switch on: calls that wait wake at once, clean up, and return DSTORE_CANCELLED.
///
/// Does not block. May be NULL: cancel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_cancel_trigger(cancel: *const dstore_cancel) {
    // SAFETY: what the header says of the pointers.
    unsafe { getter(cancel, (), |cancel| cancel.0.cancel()) }
}

/// Whether the switch is on.
///
/// Does not block. May be NULL: cancel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_cancel_is_triggered(cancel: *const dstore_cancel) -> bool {
    // SAFETY: what the header says of the pointers.
    unsafe { getter(cancel, false, |cancel| cancel.0.is_cancelled()) }
}

/// Frees a switch. NULL is fine. What it was given to goes on, and can no longer be cancelled by
/// it.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_cancel_free(cancel: *mut dstore_cancel) {
    // SAFETY: what the header says of the pointers.
    unsafe { free(cancel) }
}
