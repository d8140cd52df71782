//! [`Connection`]: a stream, and what has arrived on it but has not been read yet.

use std::io;
use std::time::Duration;

use super::head::{self, Head};
use super::{Failure, Method};
use crate::transport::{Fault, Stream};
use crate::wait::{Stop, Wait};

/// The initial buffer size: an ordinary response of an engine fits.
const SMALL: usize = 16 << 10;

/// The size to which it grows while bytes arrive faster than they are read. Larger than the limit of a head, so a head always
/// fits.
const LARGE: usize = 128 << 10;

/// A wait, and how long one send or receive within it may stall.
#[derive(Clone, Copy)]
pub(super) struct Pace<'a> {
    pub(super) wait: Wait<'a>,
    pub(super) stall: Option<Duration>,
}

impl<'a> Pace<'a> {
    /// Returns the wait of one send or receive.
    pub(super) fn step(&self) -> Wait<'a> {
        match self.stall {
            Some(stall) => self.wait.at_most(stall),
            None => self.wait,
        }
    }

    /// Returns why such a wait ended.
    pub(super) fn ended(&self, stop: Stop) -> Failure {
        match (stop, self.stall, self.wait.left()) {
            (Stop::TimedOut, Some(_), Ok(_)) => Failure::Stalled,
            (_, _, Err(stop)) | (stop, _, Ok(_)) => Failure::Stopped(stop),
        }
    }

    pub(super) fn receiving(&self, fault: Fault) -> Failure {
        match fault {
            Fault::Io(error) if is_refusal(&error) => Failure::Connect(error),
            Fault::Io(error) => Failure::Receive(error),
            Fault::Stopped(stop) => self.ended(stop),
        }
    }
}

/// Returns whether a stream's error means that the other end was never there. Some streams find out only when they are used:
/// `ssh` runs before it is authenticated, and a TLS 1.3 connection is set up before the engine has verified the client's
/// certificate.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

/// One connection, with the buffers that all its requests share.
pub(super) struct Connection {
    pub(super) stream: Box<dyn Stream>,
    pub(super) received: Received,
    /// The head of the last response.
    head: Vec<u8>,
    /// How many bytes the interim heads of this response took.
    interim: usize,
    /// Whether anything has arrived since the last request was started.
    heard: bool,
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        Connection {
            stream,
            received: Received::default(),
            head: Vec::new(),
            interim: 0,
            heard: false,
        }
    }

    /// Prepares for another request.
    pub(super) fn begin(&mut self) {
        self.head.clear();
        self.interim = 0;
        self.heard = false;
    }

    /// Returns whether any byte of a response to the current request has arrived.
    pub(super) fn has_heard(&self) -> bool {
        self.heard
    }

    /// Waits for bytes and stores them; returns `false` at the end of the stream.
    pub(super) fn fill(&mut self, pace: Pace<'_>) -> Result<bool, Failure> {
        let space = self.received.space();
        let n = self
            .stream
            .read(space, pace.step())
            .map_err(|fault| pace.receiving(fault))?;
        self.arrived(n);
        Ok(n > 0)
    }

    /// Stores the first `n` bytes that were written into [`Received::space`].
    pub(super) fn arrived(&mut self, n: usize) {
        self.heard |= n > 0;
        self.received.grow(n);
    }

    /// Parses the head of the response to a `method` from what has arrived; returns `None` while it is incomplete.
    pub(super) fn take_head(&mut self, method: Method) -> Result<Option<Head>, Failure> {
        loop {
            let bytes = self.received.bytes();
            if bytes.is_empty() {
                return Ok(None);
            }
            let Some(head) = Head::parse(bytes, method)? else {
                return Ok(None);
            };
            if !head.is_interim() {
                self.head.clear();
                self.head.extend_from_slice(&bytes[..head.length]);
                self.received.consume(head.length);
                return Ok(Some(head));
            }
            self.interim += head.length;
            if self.interim > head::LIMIT {
                return Err(Failure::TooLarge("number of interim responses"));
            }
            self.received.consume(head.length);
        }
    }

    /// Waits for the head of the response to a `method`.
    pub(super) fn read_head(&mut self, method: Method, pace: Pace<'_>) -> Result<Head, Failure> {
        loop {
            if let Some(head) = self.take_head(method)? {
                return Ok(head);
            }
            if !self.fill(pace)? {
                return Err(Failure::CutShort);
            }
        }
    }

    /// Returns a header of the last response.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        head::header(&self.head, name)
    }

    /// Frees the memory that only a large body needed.
    pub(super) fn shrink(&mut self) {
        self.received.shrink();
    }
}

/// The bytes that have arrived and were not read yet.
#[derive(Default)]
pub(super) struct Received {
    /// All of it is initialised, so its length is its capacity.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Received {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.end - self.start);
        self.start += n;
    }

    /// Returns the space for more bytes: never empty while at most half of the largest size is unread.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                let larger = (self.buffer.len() * 2).clamp(SMALL, LARGE);
                self.buffer.resize(larger, 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    fn grow(&mut self, n: usize) {
        let full = self.end == 0 && n == self.buffer.len();
        self.end += n;
        debug_assert!(self.end <= self.buffer.len());
        // More arrives than fits: a larger buffer needs fewer receives.
        if full && self.buffer.len() < LARGE {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    fn shrink(&mut self) {
        if self.is_empty() && self.buffer.len() > SMALL {
            *self = Received::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::cancel::Cancel;

    #[test]
    fn a_buffer_keeps_what_was_not_read_and_grows_only_under_load() {
        let mut received = Received::default();
        let space = received.space();
        assert_eq!(space.len(), SMALL);
        space[..5].copy_from_slice(b"hello");
        received.grow(5);
        received.consume(2);
        assert_eq!(received.bytes(), b"llo");
        assert_eq!(received.space().len(), SMALL - 5);
        // Nothing is unread, so all of it is free again.
        received.consume(3);
        assert!(received.is_empty());
        for size in [SMALL, 2 * SMALL, 4 * SMALL, LARGE, LARGE] {
            assert_eq!(received.space().len(), size);
            received.grow(size);
            received.consume(size);
        }
        received.shrink();
        assert_eq!(received.space().len(), SMALL);
    }

    #[test]
    fn a_full_buffer_makes_room_before_it_gives_up() {
        let mut received = Received::default();
        let mut arrived = 0;
        loop {
            let space = received.space().len();
            if space == 0 {
                break;
            }
            // One less than fits, so that the buffer does not grow.
            let n = (space - 1).max(1);
            received.grow(n);
            arrived += n;
        }
        assert_eq!(arrived, LARGE);
        received.consume(10);
        assert_eq!(received.space().len(), 10);
        assert_eq!(received.bytes().len(), LARGE - 10);
    }

    #[test]
    fn a_stall_is_told_from_the_end_of_the_wait() {
        let past = Instant::now();
        let cancel = Cancel::new();
        let stall = Some(Duration::from_secs(1));
        let ended = |wait, stall, stop| format!("{:?}", Pace { wait, stall }.ended(stop));
        let open = Wait::unbounded();
        let over = Wait::new(Some(past), None);
        assert_eq!(ended(open, stall, Stop::TimedOut), "Stalled");
        assert_eq!(ended(over, stall, Stop::TimedOut), "Stopped(TimedOut)");
        assert_eq!(ended(over, None, Stop::TimedOut), "Stopped(TimedOut)");
        cancel.cancel();
        let cancelled = Wait::new(None, Some(&cancel));
        assert_eq!(
            ended(cancelled, stall, Stop::TimedOut),
            "Stopped(Cancelled)"
        );
        assert_eq!(
            ended(cancelled, stall, Stop::Cancelled),
            "Stopped(Cancelled)"
        );
    }
}
