//! The boundary of calls that can fail: they answer a status, and an error object.

use std::ptr;

use crate::capi::boundary::caught;
use crate::capi::error::dstore_error;
use crate::capi::handle;
use crate::capi::status::dstore_status;
use crate::error::Result;

/// Runs the body of a call that can fail.
///
/// `*error` is written in any case, so that a caller may look at it without knowing the status.
///
/// # Safety
///
/// `error` is NULL or may be written to.
pub(super) unsafe fn fallible(
    error: *mut *mut dstore_error,
    body: impl FnOnce() -> Result<()>,
) -> dstore_status {
    let done = caught(body).unwrap_or_else(Err);
    let (status, object) = match done {
        Ok(()) => (dstore_status::DSTORE_OK, None),
        Err(e) => (e.kind().into(), Some(e)),
    };
    if !error.is_null() {
        let object = object.map_or(ptr::null_mut(), |e| handle::give(dstore_error::new(&e)));
        // SAFETY: the caller's promise.
        unsafe { error.write(object) };
    }
    status
}
