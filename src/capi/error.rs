//! `dstore_error`: why a call failed.

use std::ffi::{CString, c_char};
use std::ptr;

use crate::capi::arguments::GivenBack;
use crate::capi::boundary::infallible;
use crate::capi::handle::Handle;
use crate::capi::status::dstore_status;
use crate::capi::text::c_string;
use crate::error::Error;

/// Why a call failed. It is immutable, so any number of threads may read it, and any thread may
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

/// Returns the status of the failed call, or DSTORE_OK if `error` is NULL.
///
/// Does not block. May be NULL: error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_error_status(error: *const dstore_error) -> dstore_status {
    infallible!(dstore_status::DSTORE_OK, |error: &dstore_error| error
        .status)
}

/// Returns one human-readable line of UTF-8: the operation, its object, and what the engine or the
/// system reported. Borrowed from `error`. Returns NULL if `error` is NULL.
///
/// Does not block. May be NULL: error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_error_message(error: *const dstore_error) -> *const c_char {
    infallible!(ptr::null(), |error: &dstore_error| error.message.as_ptr())
}

/// Returns the HTTP status of the engine's response, or 0 if the engine did not respond.
///
/// Does not block. May be NULL: error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_error_http_status(error: *const dstore_error) -> i32 {
    infallible!(0, |error: &dstore_error| error.http_status)
}

/// Returns the operating system's error number (an `errno`), or 0 if there was none.
///
/// Does not block. May be NULL: error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_error_os_errno(error: *const dstore_error) -> i32 {
    infallible!(0, |error: &dstore_error| error.os_errno)
}

/// Returns the exit status of the command after DSTORE_COMMAND_FAILED, DSTORE_OUT_OF_MEMORY and
/// DSTORE_NOT_STARTED. Returns -1 otherwise.
///
/// Does not block. May be NULL: error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_error_exit_code(error: *const dstore_error) -> i64 {
    infallible!(-1, |error: &dstore_error| error.exit_code)
}

/// Frees an error; no-op if NULL.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_error_free(error: *mut dstore_error) {
    infallible!((), |error: GivenBack<dstore_error>| drop(error))
}
