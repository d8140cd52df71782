//! Strings for C: borrowed from a handle, or owned by the caller and freed with `dstore_string_free`.

use std::ffi::{CString, OsStr, c_char};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::capi::boundary::infallible;
use crate::os;

/// Returns `bytes` as a C string. A NUL inside would truncate it and is replaced by `?`; names and
/// paths contain none.
pub(super) fn c_string(text: impl Into<Vec<u8>>) -> CString {
    let mut text: Vec<u8> = text.into();
    for byte in &mut text {
        if *byte == 0 {
            *byte = b'?';
        }
    }
    CString::new(text).unwrap_or_default()
}

pub(super) fn c_path(path: impl AsRef<OsStr>) -> CString {
    c_string(os::bytes_of(path.as_ref()))
}

/// Frees a string that the library returned; no-op if NULL.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_string_free(string: *mut c_char) {
    infallible!((), |string: Option<CString>| drop(string))
}

/// Returns `time` in seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> i64 {
    let signed = |time: std::time::Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    time.duration_since(UNIX_EPOCH)
        .map_or_else(|before| -signed(before.duration()), signed)
}
