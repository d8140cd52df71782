//! The boundary of calls that can fail: they return a status and an error object.

use std::ptr;

use crate::capi::boundary::caught;
use crate::capi::error::dstore_error;
use crate::capi::handle;
use crate::capi::status::dstore_status;
use crate::error::Result;

/// Runs the body of a call that can fail.
///
/// `*error` is always written, so that a caller may read it without checking the status.
///
/// # Safety
///
/// `error` is NULL or may be written to.
pub(super) unsafe fn answer(
    error: *mut *mut dstore_error,
    body: impl FnOnce() -> Result<()>,
) -> dstore_status {
    let done = caught(body);
    let (status, object) = match done {
        Ok(()) => (dstore_status::DSTORE_OK, None),
        Err(e) => (e.kind().into(), Some(e)),
    };
    if !error.is_null() {
        let object = object.map_or(ptr::null_mut(), |e| handle::give(dstore_error::new(&e)));
        // SAFETY: it is not NULL, so it may be written to. The previous value belongs to C and is not dropped.
        unsafe { error.write(object) };
    }
    status
}

/// The body of a call that can fail: returns a status, and always writes `*error`.
macro_rules! fallible {
    ($error:ident, || $body:expr) => {
        $crate::capi::fallible::fallible!(@ $error, $body)
    };
    ($error:ident, |$($name:ident $(@ $parts:tt)? : $type:ty),*| $body:expr) => {
        $crate::capi::fallible::fallible!(@ $error, $body $(, $name $(@ $parts)? : $type)*)
    };
    (@ $error:ident, $body:expr $(, $name:ident $(@ $parts:tt)? : $type:ty)*) => {{
        let body = || -> $crate::error::Result<()> {
            let _call = $crate::capi::boundary::Call::new();
            $crate::capi::boundary::taken!(_call $(, $name $(@ $parts)? : $type)*);
            $body
        };
        // SAFETY: `$error` is NULL or the output parameter for an error, as the header requires.
        unsafe { $crate::capi::fallible::answer($error, body) }
    }};
}

pub(super) use fallible;
