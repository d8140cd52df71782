//! How a command ends: what went wrong, and the exit status for it. docs/dstore.md lists them.

use std::io;

use docker_store::{Error, ErrorKind};
use serde_json::json;

/// Success.
pub(crate) const DONE: u8 = 0;
/// The engine, the system or a build failed; or `doctor` found a problem.
pub(crate) const FAILED: u8 = 1;
/// Invalid arguments, including those that clap rejects.
pub(crate) const USAGE: u8 = 2;
/// What was named does not exist.
pub(crate) const NOT_FOUND: u8 = 3;
/// Another process uses it.
pub(crate) const BUSY: u8 = 4;
/// No usable engine responds.
pub(crate) const NO_ENGINE: u8 = 5;
/// The time of `--timeout` was up: the same status as of `timeout(1)`.
pub(crate) const TIMED_OUT: u8 = 124;
/// Standard output is no longer read: the shell's status for a program killed by SIGPIPE.
pub(crate) const BROKEN_PIPE: u8 = 141;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the library.
    Store(Error),
    /// Standard output, or a file of the user's, could not be written or read.
    Io(String, io::Error),
    /// An error of this program itself.
    Said(u8, String),
}

impl Failure {
    pub(crate) fn usage(why: impl Into<String>) -> Self {
        Failure::Said(USAGE, why.into())
    }

    pub(crate) fn not_found(why: impl Into<String>) -> Self {
        Failure::Said(NOT_FOUND, why.into())
    }

    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Failure::Said(FAILED, why.into())
    }

    pub(crate) fn output(error: io::Error) -> Self {
        Failure::Io("writing to standard output".to_owned(), error)
    }

    pub(crate) fn status(&self) -> u8 {
        match self {
            Failure::Store(error) => status_of(error.kind()),
            Failure::Io(..) if self.is_broken_pipe() => BROKEN_PIPE,
            Failure::Io(..) => FAILED,
            Failure::Said(status, _) => *status,
        }
    }

    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Failure::Io(_, e) if e.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Prints one line on standard error.
    pub(crate) fn tell(&self, json: bool) {
        if json {
            let error = json!({ "error": {
                "kind": kind_of(self.status()), "message": self.to_string(), "status": self.status(),
            }});
            eprintln!("{error}");
        } else {
            eprintln!("dstore: {self}");
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Store(error) => f.write_str(error.message()),
            Failure::Io(doing, error) => write!(f, "{doing}: {error}"),
            Failure::Said(_, why) => f.write_str(why),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Store(error)
    }
}

pub(crate) fn status_of(kind: ErrorKind) -> u8 {
    use ErrorKind::{
        Busy, Conflict, InProgress, InvalidArgument, NotFound, TimedOut, Unreachable, Unsupported,
    };
    match kind {
        InvalidArgument => USAGE,
        NotFound => NOT_FOUND,
        Busy | Conflict | InProgress => BUSY,
        Unreachable | Unsupported => NO_ENGINE,
        TimedOut => TIMED_OUT,
        _ => FAILED,
    }
}

/// Returns the kind of error for programs that read JSON.
pub(crate) fn kind_of(status: u8) -> &'static str {
    match status {
        USAGE => "usage",
        NOT_FOUND => "not-found",
        BUSY => "busy",
        NO_ENGINE => "no-engine",
        TIMED_OUT => "timed-out",
        _ => "failed",
    }
}
