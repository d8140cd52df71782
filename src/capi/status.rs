//! `dstore_status`: the kinds of failure as numbers that never change.

use std::ffi::{CStr, c_char};

use crate::capi::boundary::infallible;
use crate::error::ErrorKind;

/// How a call went. The numbers never change, and later versions may add some: take one that you do
/// not know for a failure.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum dstore_status {
    /// It did what was asked.
    DSTORE_OK = 0,
    /// An argument that the library or the engine cannot take. Nothing has changed.
    DSTORE_INVALID_ARGUMENT = 1,
    /// What was named does not exist: a base, an image, a path in a container.
    DSTORE_NOT_FOUND = 2,
    /// Something is not in the state that this needs: a step that has failed, or whatever the engine
    /// says so of (HTTP 409).
    DSTORE_CONFLICT = 3,
    /// The engine is doing it already, such as a removal that another call began.
    DSTORE_IN_PROGRESS = 4,
    /// Somebody else is using it: try again later.
    DSTORE_BUSY = 5,
    /// dstore_cancel_trigger() was called.
    DSTORE_CANCELLED = 6,
    /// A timeout passed. What was asked may or may not have happened.
    DSTORE_TIMED_OUT = 7,
    /// No engine answers at the address.
    DSTORE_UNREACHABLE = 8,
    /// Something answers, but it is no engine that this library can use: not an engine, or too old.
    DSTORE_UNSUPPORTED = 9,
    /// The engine failed (HTTP 5xx, or an error in the middle of a stream), or its answer makes no
    /// sense or has no end.
    DSTORE_ENGINE = 10,
    /// A connection or a stream ended in the middle.
    DSTORE_CUT_SHORT = 11,
    /// This machine's file system or operating system refused.
    DSTORE_IO = 12,
    /// The command of a step ended with a status other than zero: see dstore_error_exit_code().
    DSTORE_COMMAND_FAILED = 13,
    /// The kernel killed the command of a step because its memory ran out.
    DSTORE_OUT_OF_MEMORY = 14,
    /// A callback returned something other than zero.
    DSTORE_CALLBACK = 15,
    /// The store, step or lease was closed, committed, aborted or released before.
    DSTORE_CLOSED = 16,
    /// A file of the store's own, or of docker's configuration, makes no sense.
    DSTORE_CORRUPT = 17,
    /// A fault of the library's own. The handle that was in use can only be freed from now on.
    DSTORE_INTERNAL = 18,
    /// The engine was cut off in the call that decides, and does not tell what came of it: the result
    /// may or may not be there. The next look, or the next begin of the same id, finds the truth.
    DSTORE_OUTCOME_UNKNOWN = 19,
    /// The command of a step did not end by itself: somebody killed, stopped or removed its container
    /// from outside, or the engine went down. That says nothing about the command: try again.
    DSTORE_KILLED = 20,
    /// The command of a step was never started: its program is not there, or cannot be executed.
    /// dstore_error_exit_code() is what a shell would give, 127 and 126.
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
        DSTORE_CALLBACK => c"ended by a callback",
        DSTORE_CLOSED => c"closed",
        DSTORE_CORRUPT => c"corrupt",
        DSTORE_INTERNAL => c"fault in docker-store",
        DSTORE_OUTCOME_UNKNOWN => c"outcome unknown",
        DSTORE_KILLED => c"killed from outside",
        DSTORE_NOT_STARTED => c"command not started",
    }
}

/// A status in a word or two, for a person: "not found". A constant that nobody frees; never NULL,
/// whatever the number.
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
