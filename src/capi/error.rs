//! `dstore_error`: why a call failed.

use std::ffi::{CString, c_char};
use std::ptr;

use crate::capi::arguments::GivenBack;
use crate::capi::boundary::infallible;
use crate::capi::handle::Handle;
use crate::capi::status::dstore_status;
use crate::capi::text::c_string;
use crate::error::Error;

/// Why a call failed. It does not change, so any number of threads may read it, and any thread may
/// free it.
#[derive(Debug)]
pub struct dstore_error {
    status: dstore_status,
    message: CString,
    http_status: i32,
    os_errno: i32,
    exit_code: i64,
}

impl Handle for dstore_error {}

impl dstore_error {
    pub(super) fn new(error: &Error) -> Self {
        dstore_error {
            status: error.kind().into(),
            message: c_string(error.message()),
            http_status: error.http_status().map_or(0, i32::from),
            os_errno: error.os_errno().unwrap_or(0),
            exit_code: error.exit_code().unwrap_or(-1),
        }
    }
}

/// The status that the failed call returned; DSTORE_OK for NULL.
///
/// Does not block. May be NULL: error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_error_status(error: *const dstore_error) -> dstore_status {
    infallible!(dstore_status::DSTORE_OK, |error: &dstore_error| error
        .status)
}

/// One line for a person: what was being done, to what, and what the engine or the system answered.
/// UTF-8. Borrowed from `error`; NULL for NULL.
///
/// Does not block. May be NULL: error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_error_message(error: *const dstore_error) -> *const c_char {
    infallible!(ptr::null(), |error: &dstore_error| error.message.as_ptr())
}

/// The HTTP status that the engine answered with; 0 where it did not.
///
/// Does not block. May be NULL: error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_error_http_status(error: *const dstore_error) -> i32 {
    infallible!(0, |error: &dstore_error| error.http_status)
}

/// The operating system's error number, an `errno`; 0 where there was none.
///
/// Does not block. May be NULL: error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_error_os_errno(error: *const dstore_error) -> i32 {
    infallible!(0, |error: &dstore_error| error.os_errno)
}

/// The exit status of the command, for DSTORE_COMMAND_FAILED and DSTORE_OUT_OF_MEMORY; else -1.
///
/// Does not block. May be NULL: error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_error_exit_code(error: *const dstore_error) -> i64 {
    infallible!(-1, |error: &dstore_error| error.exit_code)
}

/// Frees an error. NULL is fine.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_error_free(error: *mut dstore_error) {
    infallible!((), |error: GivenBack<dstore_error>| drop(error))
}
