//! The crate's error type: a kind to act on, and one line that says what was being done, to what, and what the engine answered.

use std::fmt;

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The kinds of failure that a caller can tell apart and act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The library or the engine does not accept an argument. Nothing has changed.
    InvalidArgument,
    /// A base, an image, a path in a container, or another thing that was named does not exist.
    NotFound,
    /// An object is in the wrong state for this call: for example, the step has failed, or the engine answered HTTP 409.
    Conflict,
    /// The engine is already doing it: for example, another call has started the same removal.
    InProgress,
    /// Another caller, thread or process is using it. Try again later.
    Busy,
    /// [`Cancel::cancel`](crate::Cancel::cancel) was called.
    Cancelled,
    /// The deadline passed. The operation may or may not have happened.
    TimedOut,
    /// No engine answers at the address.
    Unreachable,
    /// The server at the address is not an engine that this library can use: it is not a Docker engine, or it is too old.
    Unsupported,
    /// The engine failed (HTTP 5xx, or an error in the middle of a stream), or its response is invalid or endless.
    Engine,
    /// A connection or a stream was interrupted before its end.
    CutShort,
    /// The host's file system or operating system refused an operation.
    Io,
    /// The command of a step exited with a status other than zero; see [`Error::exit_code`].
    CommandFailed,
    /// The kernel killed the command of a step because its memory ran out.
    OutOfMemory,
    /// A callback stopped the call.
    Callback,
    /// The store, step or lease has already been closed, committed, aborted, released or discarded.
    Closed,
    /// A file of the store or of Docker's client configuration is invalid.
    Corrupt,
    /// An internal error: a bug in the library. The handle that was in use is unusable.
    Internal,
    /// The call that decides was interrupted, and the engine does not say whether it took effect: the result may or may not
    /// exist. Query the result again, or begin the same id again, to find out.
    OutcomeUnknown,
    /// The command of a step was ended from outside: its container was killed, stopped or removed, or the engine went down.
    /// This says nothing about the command itself; it may be tried again.
    Killed,
    /// The command of a step was never started. The exit code is that of a shell: 127 if the program does not exist, 126 if it
    /// cannot be executed; see [`Error::exit_code`].
    NotStarted,
}

/// A failed call: its [kind](Error::kind) and a human-readable line.
///
/// Small (one pointer), `Send` and `Sync`, so it can be handed to another thread.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    http_status: Option<u16>,
    os_errno: Option<i32>,
    exit_code: Option<i64>,
    said: Option<String>,
}

impl Error {
    /// Creates an error of `kind` with the text `message`. For errors that a build callback returns.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            message: for_people(message.into()),
            http_status: None,
            os_errno: None,
            exit_code: None,
            said: None,
        }))
    }

    /// Creates the error of a refused system call. `doing` says what was tried, and on what.
    pub(crate) fn io(doing: impl fmt::Display, error: &std::io::Error) -> Self {
        let mut made = Error::new(ErrorKind::Io, format!("{doing}: {error}"));
        made.0.os_errno = error.raw_os_error();
        made
    }

    pub(crate) fn with_http_status(mut self, status: u16) -> Self {
        self.0.http_status = Some(status);
        self
    }

    pub(crate) fn with_os_errno(mut self, errno: Option<i32>) -> Self {
        self.0.os_errno = errno;
        self
    }

    pub(crate) fn with_exit_code(mut self, code: i64) -> Self {
        self.0.exit_code = Some(code);
        self
    }

    /// Adds the engine's own message from its response: verbatim, but on one line.
    pub(crate) fn with_said(mut self, said: String) -> Self {
        self.0.said = Some(said);
        self
    }

    /// Returns the engine's own message, without the text around it.
    pub(crate) fn said(&self) -> Option<&str> {
        self.0.said.as_deref()
    }

    /// Returns the same error with the caller's operation in front of its text.
    pub(crate) fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message);
        self
    }

    /// Returns the same error with `name` in place of the engine's id of a container: 64 digits mean nothing to a person.
    pub(crate) fn naming_container(mut self, name: &str) -> Self {
        self.0.message = without_ids(&self.0.message, name);
        self
    }

    /// Returns whether a local disk was full.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.os_errno().is_some_and(crate::os::is_disk_full)
    }

    /// Returns whether the operation may have happened, or may still happen: the engine did not refuse it. An engine that
    /// failed in the middle (5xx) may have done it, too.
    pub(crate) fn may_go_on(&self) -> bool {
        use ErrorKind::{
            Callback, Cancelled, CutShort, Engine, OutcomeUnknown, TimedOut, Unreachable,
            Unsupported,
        };
        matches!(
            self.kind(),
            Callback
                | Cancelled
                | CutShort
                | Engine
                | OutcomeUnknown
                | TimedOut
                | Unreachable
                | Unsupported
        )
    }

    /// Returns the kind of this failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns one line: what was being done, to what, and what the engine or the system answered.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the HTTP status of the engine's response, if there was a response.
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// Returns the operating system's error number, if there was one.
    pub fn os_errno(&self) -> Option<i32> {
        self.0.os_errno
    }

    /// Returns the exit status of the command, for [`ErrorKind::CommandFailed`] and [`ErrorKind::OutOfMemory`]. For
    /// [`ErrorKind::NotStarted`] it is the status that a shell would return.
    pub fn exit_code(&self) -> Option<i64> {
        self.0.exit_code
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("http_status", &self.0.http_status)
            .field("os_errno", &self.0.os_errno)
            .field("exit_code", &self.0.exit_code)
            .finish()
    }
}

impl std::error::Error for Error {}

/// How many digits an engine's id has, and how many of them are shown where an id cannot be avoided.
const ID: usize = 64;
const SHORT_ID: usize = 12;

/// Returns `text` with `name` in place of "container" and an id, and with other ids (except digests) shortened.
fn without_ids(text: &str, name: &str) -> String {
    let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_digit) {
        let end = rest[at..]
            .find(|c| !is_digit(c))
            .map_or(rest.len(), |n| at + n);
        made.push_str(&rest[..at]);
        let digits = &rest[at..end];
        rest = &rest[end..];
        match digits.len() == ID && !made.ends_with("sha256:") {
            false => made.push_str(digits),
            true => match made.strip_suffix("container ").map(str::len) {
                Some(before) => {
                    made.truncate(before);
                    made.push_str(name);
                }
                None => made.push_str(&digits[..SHORT_ID]),
            },
        }
    }
    made.push_str(rest);
    made
}

/// The maximum length of a message; an engine may send megabytes. A message is one line of a log; this is several screens of
/// text.
const LONGEST: usize = 4000;

/// Returns `text` on one line, without characters that a terminal interprets. The text may come from the engine, a file's name
/// or the caller.
pub(crate) fn for_people(mut text: String) -> String {
    // Control characters, line and paragraph separators, characters that change the writing direction, and invisible ones.
    let is_odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' | '\u{feff}')
    };
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&n| text.is_char_boundary(n));
        text.truncate(end.unwrap_or(0));
        text.push_str(" ...");
    }
    if !text.contains(is_odd) {
        return text;
    }
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_whitespace() && is_odd(c) => line.push(' '),
            c if is_odd(c) => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_and_crosses_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn an_id_of_a_container_is_not_in_a_message() {
        let id = "0123456789abcdef".repeat(4);
        for (said, shown) in [
            (
                format!("copying to /a of container {id}: no"),
                "copying to /a of it: no".to_owned(),
            ),
            (
                format!("No such container: {id}"),
                "No such container: 0123456789ab".to_owned(),
            ),
            (
                format!("sha256:{id} {id}0 {}", &id[1..]),
                format!("sha256:{id} {id}0 {}", &id[1..]),
            ),
            ("no digits: äöü".to_owned(), "no digits: äöü".to_owned()),
        ] {
            let error = Error::new(ErrorKind::Engine, said).naming_container("it");
            assert_eq!(error.message(), shown);
        }
    }

    #[test]
    fn a_message_is_one_line_of_some_length_that_gives_a_terminal_no_orders() {
        let odd = Error::new(
            ErrorKind::Engine,
            "a\nb\tc\u{1b}[2Jd\u{9b}e\u{202e}f\u{2028}g",
        );
        assert_eq!(odd.message(), "a b c\\u{1b}[2Jd\\u{9b}e\\u{202e}f g");
        let plain = "Größe: 5 µs → “ok”";
        assert_eq!(Error::new(ErrorKind::Engine, plain).message(), plain);
        let long = Error::new(ErrorKind::Engine, "ä\n".repeat(1 << 20));
        assert!(long.message().len() <= LONGEST + 4 && long.message().ends_with(" ..."));
    }
}
