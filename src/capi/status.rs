//! `dstore_status`: the kinds of failure, as numbers that never change.

use std::ffi::{CStr, c_char};

use crate::capi::boundary::infallible;
use crate::error::ErrorKind;

/// The result of a call. The numbers never change. Later versions may add new ones; treat an
/// unknown status as a failure.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum dstore_status {
    /// The call succeeded.
    DSTORE_OK = 0,
    /// The library or the engine does not accept an argument. Nothing has changed.
    DSTORE_INVALID_ARGUMENT = 1,
    /// The named object does not exist: for example, a base, an image, or a path in a container.
    DSTORE_NOT_FOUND = 2,
    /// An object is in the wrong state for this call: for example, the step has failed, or the
    /// engine answered HTTP 409.
    DSTORE_CONFLICT = 3,
    /// The engine is already doing it: for example, another call has started the same removal.
    DSTORE_IN_PROGRESS = 4,
    /// Another call or process is using the object. Try again later.
    DSTORE_BUSY = 5,
    /// dstore_cancel_trigger() was called.
    DSTORE_CANCELLED = 6,
    /// A timeout expired. The operation may or may not have been carried out.
    DSTORE_TIMED_OUT = 7,
    /// No engine answers at the address.
    DSTORE_UNREACHABLE = 8,
    /// The server at the address is not an engine that this library can use (not a Docker engine,
    /// or too old), or what was requested is not possible with this engine.
    DSTORE_UNSUPPORTED = 9,
    /// The engine failed (HTTP 5xx, or an error inside a stream), or its response is invalid or
    /// endless.
    DSTORE_ENGINE = 10,
    /// A connection or a stream ended before it was complete.
    DSTORE_CUT_SHORT = 11,
    /// The local file system or operating system reported an error.
    DSTORE_IO = 12,
    /// The command of a step exited with a non-zero status. See dstore_error_exit_code().
    DSTORE_COMMAND_FAILED = 13,
    /// The kernel killed the command of a step because its memory ran out.
    DSTORE_OUT_OF_MEMORY = 14,
    /// A callback returned a value other than zero.
    DSTORE_CALLBACK = 15,
    /// The store, step or lease has already been closed, committed, aborted, released or discarded.
    DSTORE_CLOSED = 16,
    /// A file of the store or of Docker's client configuration is invalid.
    DSTORE_CORRUPT = 17,
    /// An internal error: a bug in the library. The handle passed to the call is unusable; only
    /// free it.
    DSTORE_INTERNAL = 18,
    /// The connection to the engine was lost during the deciding request, and the engine does not
    /// report the outcome. The result may or may not exist. Look the result up, or begin the same
    /// id again, to find out.
    DSTORE_OUTCOME_UNKNOWN = 19,
    /// The command of a step did not exit by itself: its container was killed, stopped or removed
    /// from outside, or the engine went down. This says nothing about the command. Try again.
    DSTORE_KILLED = 20,
    /// The command of a step was never started: its program does not exist or cannot be executed.
    /// dstore_error_exit_code() returns what a shell would report: 127 or 126.
    DSTORE_NOT_STARTED = 21,
}

use dstore_status::*;

impl From<ErrorKind> for dstore_status {
    /// A new kind does not compile until it has a number.
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidArgument => DSTORE_INVALID_ARGUMENT,
            ErrorKind::NotFound => DSTORE_NOT_FOUND,
            ErrorKind::Conflict => DSTORE_CONFLICT,
            ErrorKind::InProgress => DSTORE_IN_PROGRESS,
            ErrorKind::Busy => DSTORE_BUSY,
            ErrorKind::Cancelled => DSTORE_CANCELLED,
            ErrorKind::TimedOut => DSTORE_TIMED_OUT,
            ErrorKind::Unreachable => DSTORE_UNREACHABLE,
            ErrorKind::Unsupported => DSTORE_UNSUPPORTED,
            ErrorKind::Engine => DSTORE_ENGINE,
            ErrorKind::CutShort => DSTORE_CUT_SHORT,
            ErrorKind::Io => DSTORE_IO,
            ErrorKind::CommandFailed => DSTORE_COMMAND_FAILED,
            ErrorKind::OutOfMemory => DSTORE_OUT_OF_MEMORY,
            ErrorKind::Callback => DSTORE_CALLBACK,
            ErrorKind::Closed => DSTORE_CLOSED,
            ErrorKind::Corrupt => DSTORE_CORRUPT,
            ErrorKind::Internal => DSTORE_INTERNAL,
            ErrorKind::OutcomeUnknown => DSTORE_OUTCOME_UNKNOWN,
            ErrorKind::Killed => DSTORE_KILLED,
            ErrorKind::NotStarted => DSTORE_NOT_STARTED,
        }
    }
}

const ALL: [dstore_status; 22] = [
    DSTORE_OK,
    DSTORE_INVALID_ARGUMENT,
    DSTORE_NOT_FOUND,
    DSTORE_CONFLICT,
    DSTORE_IN_PROGRESS,
    DSTORE_BUSY,
    DSTORE_CANCELLED,
    DSTORE_TIMED_OUT,
    DSTORE_UNREACHABLE,
    DSTORE_UNSUPPORTED,
    DSTORE_ENGINE,
    DSTORE_CUT_SHORT,
    DSTORE_IO,
    DSTORE_COMMAND_FAILED,
    DSTORE_OUT_OF_MEMORY,
    DSTORE_CALLBACK,
    DSTORE_CLOSED,
    DSTORE_CORRUPT,
    DSTORE_INTERNAL,
    DSTORE_OUTCOME_UNKNOWN,
    DSTORE_KILLED,
    DSTORE_NOT_STARTED,
];

fn words(status: dstore_status) -> &'static CStr {
    match status {
        DSTORE_OK => c"ok",
        DSTORE_INVALID_ARGUMENT => c"invalid argument",
        DSTORE_NOT_FOUND => c"not found",
        DSTORE_CONFLICT => c"conflict",
        DSTORE_IN_PROGRESS => c"in progress",
        DSTORE_BUSY => c"busy",
        DSTORE_CANCELLED => c"cancelled",
        DSTORE_TIMED_OUT => c"timed out",
        DSTORE_UNREACHABLE => c"engine unreachable",
        DSTORE_UNSUPPORTED => c"engine not supported",
        DSTORE_ENGINE => c"engine failed",
        DSTORE_CUT_SHORT => c"cut short",
        DSTORE_IO => c"input/output",
        DSTORE_COMMAND_FAILED => c"command failed",
        DSTORE_OUT_OF_MEMORY => c"command out of memory",
        DSTORE_CALLBACK => c"stopped by a callback",
        DSTORE_CLOSED => c"closed",
        DSTORE_CORRUPT => c"corrupt",
        DSTORE_INTERNAL => c"internal error",
        DSTORE_OUTCOME_UNKNOWN => c"outcome unknown",
        DSTORE_KILLED => c"killed from outside",
        DSTORE_NOT_STARTED => c"command not started",
    }
}

/// Returns a short human-readable name of a status, such as "not found". A constant; do not free
/// it. Never returns NULL, whatever the number.
///
/// Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn dstore_status_name(status: i32) -> *const c_char {
    infallible!(c"".as_ptr(), || {
        let known = ALL.into_iter().find(|known| *known as i32 == status);
        known.map_or(c"unknown status", words).as_ptr()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_for_ever() {
        for (number, status) in ALL.into_iter().enumerate() {
            assert_eq!(status as usize, number);
        }
        // No status is missing from the list: each is declared in this file with its number.
        let declared = include_str!("status.rs").lines().filter(|line| {
            let line = line.trim_start();
            line.starts_with("DSTORE_") && line.contains(" = ") && line.ends_with(',')
        });
        assert_eq!(declared.count(), ALL.len());
    }

    #[test]
    fn any_number_has_a_name() {
        for number in [i32::MIN, -1, 0, 7, 21, 22, i32::MAX] {
            // SAFETY: a constant.
            let name = unsafe { CStr::from_ptr(dstore_status_name(number)) };
            assert_eq!(
                name == c"unknown status",
                !(0..=21).contains(&number),
                "{number}"
            );
        }
    }
}
