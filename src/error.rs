//! What can go wrong, once for the whole crate: a kind to act on, and one line that says what was being
//! done, to what, and what the engine answered.

use std::fmt;

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The kinds of failure a caller can tell apart and act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument the library or the engine cannot take. Nothing was sent or changed.
    InvalidArgument,
    /// What was named does not exist: a base, an image, a path in a container.
    NotFound,
    /// The engine refused because of the state something is in (HTTP 409).
    Conflict,
    /// The engine is doing it already, such as a removal that another call began.
    InProgress,
    /// Somebody else is using it: try again later.
    Busy,
    /// [`Cancel::cancel`](crate::Cancel::cancel) was called.
    Cancelled,
    /// A deadline passed. What was asked may or may not have happened.
    TimedOut,
    /// No engine answers at the address.
    Unreachable,
    /// Something answers, but it is no engine that this library can use: not an engine, or too old.
    Unsupported,
    /// The engine failed (HTTP 5xx, or an error in the middle of a stream), or its answer makes no sense or has no end.
    Engine,
    /// A connection or a stream ended in the middle.
    CutShort,
    /// The host's file system or operating system refused.
    Io,
    /// The command of a step ended with a status other than zero; see [`Error::exit_code`].
    CommandFailed,
    /// The kernel killed the command of a step because its memory ran out.
    OutOfMemory,
    /// A callback asked for the call to end.
    Callback,
    /// The store, step or lease was closed, committed, aborted or released before.
    Closed,
    /// A file the store wrote itself cannot be read back.
    Corrupt,
    /// The library has a fault of its own; the handle that was in use is unusable from now on.
    Internal,
    /// The engine was cut off in the call that decides, and does not tell what came of it: the result may or may not be there.
    /// The next look, or the next begin of the same id, finds the truth.
    OutcomeUnknown,
    /// The command of a step did not end by itself: somebody killed, stopped or removed its container from outside, or the engine
    /// went down. That says nothing about the command, which may be tried again.
    Killed,
    /// The command of a step was never started: its program is not there, which a shell calls 127, or cannot be executed, 126; see
    /// [`Error::exit_code`].
    NotStarted,
}

/// A failed call: its [kind](Error::kind) and one line for a person.
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
    /// Makes an error of `kind` whose text is `message`: for errors a build callback returns.
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

    /// An operating system's refusal: `doing` says what was tried, and on what.
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

    /// With what the engine said in its answer, word for word, but on one line.
    pub(crate) fn with_said(mut self, said: String) -> Self {
        self.0.said = Some(said);
        self
    }

    /// What the engine said, without what is said about it.
    pub(crate) fn said(&self) -> Option<&str> {
        self.0.said.as_deref()
    }

    /// The same error, with what the caller was doing put in front of its text.
    pub(crate) fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message);
        self
    }

    /// The same error with `name` for a container that an engine's id stands for: 64 digits say nothing to a person.
    pub(crate) fn naming_container(mut self, name: &str) -> Self {
        self.0.message = without_ids(&self.0.message, name);
        self
    }

    /// Whether there was no room for it on a disk of this machine.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.os_errno().is_some_and(crate::os::is_disk_full)
    }

    /// Whether what was asked may have been done, or may come yet: nobody said "no". An engine that failed in the middle (5xx) may
    /// have got that far, too.
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

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// One line: what was being done, to what, and what the engine or the system answered.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The HTTP status the engine answered with, where it answered at all.
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The operating system's error number, where there was one.
    pub fn os_errno(&self) -> Option<i32> {
        self.0.os_errno
    }

    /// The exit status of the command, for [`ErrorKind::CommandFailed`] and [`ErrorKind::OutOfMemory`]; what a shell would give, for
    /// [`ErrorKind::NotStarted`].
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

/// How many digits an engine's id has, and how many of them are shown where they must be.
const ID: usize = 64;
const SHORT_ID: usize = 12;

/// `text` with `name` for "container" and an id, and other ids (but digests) cut short.
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

/// No message is longer; an engine may answer megabytes. A message is for a line of a log: this is some screens of text.
const LONGEST: usize = 4000;

/// One line without what a terminal takes for orders, whoever wrote it: the engine, a file's name, the caller.
pub(crate) fn for_people(mut text: String) -> String {
    // Control characters, ends of lines and paragraphs, and what turns the direction of writing or is not seen.
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
