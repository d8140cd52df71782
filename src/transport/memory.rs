//! A transport without a system under it, for tests: its peer follows a script, or answers requests from a closure.
//!
//! What a real peer does at the worst moment happens here at a chosen byte: a response split anywhere, an end in its middle, a
//! reset, a peer that accepts no more, accepts little at a time, or is silent forever. What was sent is kept for the test to
//! check.
//!
//! ```text
//! let memory = Memory::scripts([Script::new([
//!     Step::After(b"\r\n\r\n".to_vec()),
//!     Step::Bytes(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
//!     Step::Bytes(b"ngth: 2\r\n\r\n{}".to_vec()),
//! ])]);
//! let client = Client::new(Box::new(memory.clone()));
//! // …
//! assert!(memory.sent(0).starts_with(b"GET /_ping"));
//! ```

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{Connect, Fault, Moved, Stream};
use crate::wait::Wait;

/// What a peer does next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// These bytes arrive, and no single read returns more than them.
    Bytes(Vec<u8>),
    /// The next steps happen only after the client has sent these bytes, searched for after those that the last such step
    /// found.
    After(Vec<u8>),
    /// The stream ends.
    End,
    /// The connection breaks: reads fail from here on.
    Reset,
}

impl Step {
    /// A complete response whose body has a length.
    pub(crate) fn reply(status: u16, body: &str) -> Step {
        let length = body.len();
        let reply = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n{body}");
        Step::Bytes(reply.into_bytes())
    }

    /// The next steps happen after one more head was sent.
    pub(crate) fn after_head() -> Step {
        Step::After(b"\r\n\r\n".to_vec())
    }
}

/// What the peer of one connection does. After the end of its script, the peer is silent.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    steps: VecDeque<Step>,
    /// The maximum number of bytes that one send accepts.
    at_once: usize,
    /// The maximum number of bytes that are accepted in total.
    takes: usize,
    /// What sends get after that: a broken pipe, or a queue that stays full.
    breaks: bool,
}

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Script {
            steps: steps.into_iter().collect(),
            at_once: usize::MAX,
            takes: usize::MAX,
            breaks: false,
        }
    }

    /// The peer accepts at most `n` bytes of each send.
    pub(crate) fn taking_at_once(self, n: usize) -> Self {
        Script { at_once: n, ..self }
    }

    /// The peer accepts `n` bytes and then stops reading.
    pub(crate) fn full_after(self, n: usize) -> Self {
        Script { takes: n, ..self }
    }

    /// The peer accepts `n` bytes and then no more: sends fail with a broken pipe. After the first failure, no [`Step::After`]
    /// is waited for.
    pub(crate) fn broken_after(self, n: usize) -> Self {
        Script {
            takes: n,
            breaks: true,
            ..self
        }
    }
}

/// A complete request, for the closure of [`Memory::answering`].
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    /// The body, with chunks decoded.
    pub(crate) body: Vec<u8>,
}

type Answer = dyn Fn(&Asked) -> Vec<Step> + Send + Sync;

/// The connector, and the test's view of all its connections. Clones share both.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Shared>);

struct Shared {
    connections: Mutex<Vec<Arc<Line>>>,
    /// The remaining scripts; without them, and without an `answer`, connecting is refused.
    scripts: Mutex<VecDeque<Script>>,
    answer: Option<Box<Answer>>,
}

impl Memory {
    /// The first connection follows the first script, and so on; after the last, connections are refused.
    pub(crate) fn scripts(scripts: impl IntoIterator<Item = Script>) -> Self {
        Memory(Arc::new(Shared {
            connections: Mutex::default(),
            scripts: Mutex::new(scripts.into_iter().collect()),
            answer: None,
        }))
    }

    /// Every connection does what `answer` returns after each request. It runs in the sending thread.
    pub(crate) fn answering(answer: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Memory(Arc::new(Shared {
            connections: Mutex::default(),
            scripts: Mutex::default(),
            answer: Some(Box::new(answer)),
        }))
    }

    /// Returns how many connections were ever opened.
    pub(crate) fn connections(&self) -> usize {
        self.0.connections.lock().len()
    }

    /// Returns what was sent on one of them.
    pub(crate) fn sent(&self, connection: usize) -> Vec<u8> {
        self.line(connection).state.lock().sent.clone()
    }

    /// Returns whether the client still holds it.
    pub(crate) fn is_open(&self, connection: usize) -> bool {
        self.line(connection).state.lock().open
    }

    /// Adds a step of the peer after all others.
    pub(crate) fn push(&self, connection: usize, step: Step) {
        let line = self.line(connection);
        line.state.lock().script.steps.push_back(step);
        line.changed.notify_all();
    }

    fn line(&self, connection: usize) -> Arc<Line> {
        Arc::clone(&self.0.connections.lock()[connection])
    }
}

impl Connect for Memory {
    fn connect(&self, wait: Wait<'_>) -> Result<Box<dyn Stream>, Fault> {
        wait.left()?;
        let script = match self.0.scripts.lock().pop_front() {
            Some(script) => script,
            None if self.0.answer.is_some() => Script::new([]),
            None => return Err(Fault::Io(io::ErrorKind::ConnectionRefused.into())),
        };
        let line = Arc::new(Line {
            state: Mutex::new(State {
                script,
                sent: Vec::new(),
                found: 0,
                answered: 0,
                broken: false,
                open: true,
            }),
            changed: Condvar::new(),
        });
        self.0.connections.lock().push(Arc::clone(&line));
        Ok(Box::new(MemoryStream {
            line,
            shared: Arc::clone(&self.0),
        }))
    }

    fn address(&self) -> &str {
        "memory:"
    }
}

/// What the two ends of a connection share.
struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    script: Script,
    sent: Vec<u8>,
    /// How much of `sent` earlier [`Step::After`]s have found.
    found: usize,
    /// How much of `sent` was requests that have been answered.
    answered: usize,
    /// Whether a send has failed with a broken pipe.
    broken: bool,
    open: bool,
}

impl State {
    /// Returns the step that a read would get now.
    fn next(&mut self) -> Option<&mut Step> {
        while let Some(Step::After(bytes)) = self.script.steps.front() {
            let unseen = &self.sent[self.found..];
            match unseen.windows(bytes.len()).position(|w| w == bytes) {
                Some(at) => self.found += at + bytes.len(),
                None if self.broken => {}
                None => {
                    // The next search need not start from the beginning.
                    let seen = self.sent.len().saturating_sub(bytes.len() - 1);
                    self.found = self.found.max(seen);
                    return None;
                }
            }
            self.script.steps.pop_front();
        }
        self.script.steps.front_mut()
    }

    /// Reads what is available now; returns `None` if that is nothing.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.next() {
            None | Some(Step::After(_)) => Ok(None),
            Some(Step::End) => Ok(Some(0)),
            Some(Step::Reset) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(Step::Bytes(bytes)) => {
                let n = bytes.len().min(buffer.len());
                buffer[..n].copy_from_slice(&bytes[..n]);
                bytes.drain(..n);
                if bytes.is_empty() {
                    self.script.steps.pop_front();
                }
                Ok(Some(n))
            }
        }
    }

    /// Sends what is accepted now; returns `None` if that is nothing.
    fn send(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let room = self.script.takes.saturating_sub(self.sent.len());
        match room.min(bytes.len()).min(self.script.at_once) {
            0 if self.script.breaks => {
                self.broken = true;
                Err(io::ErrorKind::BrokenPipe.into())
            }
            0 => Ok(None),
            n => {
                self.sent.extend_from_slice(&bytes[..n]);
                Ok(Some(n))
            }
        }
    }
}

struct MemoryStream {
    line: Arc<Line>,
    shared: Arc<Shared>,
}

impl MemoryStream {
    /// Repeats `act` until it has done something or the wait ends.
    fn until<T>(
        &self,
        wait: Wait<'_>,
        mut act: impl FnMut(&mut State) -> io::Result<Option<T>>,
    ) -> Result<T, Fault> {
        let mut state = self.line.state.lock();
        loop {
            wait.left()?;
            let done = act(&mut state)?;
            self.answer(&mut state);
            if let Some(done) = done {
                return Ok(done);
            }
            self.line
                .changed
                .wait_for(&mut state, Duration::from_millis(1));
        }
    }

    /// Lets the closure answer the complete requests.
    fn answer(&self, state: &mut MutexGuard<'_, State>) {
        let Some(answer) = &self.shared.answer else {
            return;
        };
        while let Some((asked, length)) = asked(&state.sent[state.answered..]) {
            state.answered += length;
            let steps = MutexGuard::unlocked(state, || answer(&asked));
            state.script.steps.extend(steps);
        }
    }
}

/// Returns the request at the start of `sent`, and its length.
fn asked(sent: &[u8]) -> Option<(Asked, usize)> {
    let head = line_end(sent, b"\r\n\r\n")?;
    let text = String::from_utf8(sent[..head].to_vec()).expect("a head is text");
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    let (body, length) = match (value("Transfer-Encoding"), value("Content-Length")) {
        (Some(_), _) => unchunked(&sent[head..])?,
        (_, length) => {
            let length = length.map_or(0, |length| length.parse().expect("a length"));
            (sent[head..].get(..length)?.to_vec(), length)
        }
    };
    let mut words = text.split(' ').map(String::from);
    let asked = Asked {
        method: words.next()?,
        target: words.next()?,
        body,
    };
    Some((asked, head + length))
}

fn unchunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let content = at + line_end(&bytes[at..], b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..content - 2]).expect("a size is text");
        let size = usize::from_str_radix(size, 16).expect("a size is a number");
        body.extend_from_slice(bytes.get(content..content + size)?);
        at = content + size + 2;
        assert_eq!(bytes.get(at - 2..at)?, b"\r\n", "after {size} bytes");
        if size == 0 {
            return Some((body, at));
        }
    }
}

fn line_end(bytes: &[u8], end: &[u8]) -> Option<usize> {
    let at = bytes.windows(end.len()).position(|w| w == end)?;
    Some(at + end.len())
}

impl Stream for MemoryStream {
    fn read(&mut self, buffer: &mut [u8], wait: Wait<'_>) -> Result<usize, Fault> {
        assert!(!buffer.is_empty(), "an empty buffer looks like the end");
        self.until(wait, |state| state.receive(buffer))
    }

    fn read_beside(
        &mut self,
        buffer: &mut [u8],
        other: crate::os::Watched<'_>,
        wait: Wait<'_>,
    ) -> Result<Option<usize>, Fault> {
        // In turn, because the tests need not be fast.
        let glance = || Wait::unbounded().at_most(std::time::Duration::from_millis(1));
        loop {
            wait.left()?;
            match self.read(buffer, glance()) {
                Err(Fault::Stopped(_)) => {}
                done => return done.map(Some),
            }
            match glance().until(other) {
                Err(Fault::Stopped(_)) => {}
                done => return done.map(|_| None),
            }
        }
    }

    fn write_all(&mut self, mut bytes: &[u8], wait: Wait<'_>) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let sent = self.until(wait, |state| state.send(bytes))?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    fn exchange(&mut self, out: &[u8], buffer: &mut [u8], wait: Wait<'_>) -> Result<Moved, Fault> {
        self.until(wait, |state| {
            let received = match buffer.is_empty() {
                true => None,
                false => state.receive(buffer)?,
            };
            let sent = match out.is_empty() {
                true => None,
                false => match (state.send(out), received) {
                    (Err(_), Some(1..)) => None,
                    (sent, _) => sent?,
                },
            };
            let moved = Moved {
                sent: sent.unwrap_or(0),
                received,
            };
            let idle = out.is_empty() && buffer.is_empty();
            Ok((sent.is_some() || received.is_some() || idle).then_some(moved))
        })
    }

    fn close_write(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn is_quiet(&mut self) -> bool {
        self.line
            .state
            .lock()
            .next()
            .is_none_or(|step| matches!(step, Step::After(_)))
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.line.state.lock().open = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(memory: &Memory) -> Box<dyn Stream> {
        memory.connect(Wait::unbounded()).unwrap()
    }

    fn read(stream: &mut dyn Stream) -> Vec<u8> {
        let mut buffer = [0; 100];
        let n = stream.read(&mut buffer, Wait::unbounded()).unwrap();
        buffer[..n].to_vec()
    }

    #[test]
    fn a_script_is_played_step_by_step() {
        let memory = Memory::scripts([Script::new([
            Step::After(b"one".to_vec()),
            Step::Bytes(b"1".to_vec()),
            Step::After(b"two".to_vec()),
            Step::Bytes(b"22".to_vec()),
            Step::End,
        ])]);
        let mut stream = open(&memory);
        assert!(stream.is_quiet());
        stream.write_all(b"onetwo", Wait::unbounded()).unwrap();
        assert!(!stream.is_quiet());
        assert_eq!(read(&mut *stream), b"1");
        assert_eq!(read(&mut *stream), b"22");
        assert_eq!(read(&mut *stream), b"");
        assert_eq!(memory.sent(0), b"onetwo");
        assert!(memory.is_open(0));
        drop(stream);
        assert!(!memory.is_open(0));
        assert!(memory.connect(Wait::unbounded()).is_err());
    }

    #[test]
    fn a_silent_peer_is_waited_for_no_longer_than_the_wait() {
        let memory = Memory::scripts([Script::new([]).full_after(2)]);
        let mut stream = open(&memory);
        let wait = || Wait::unbounded().at_most(Duration::from_millis(5));
        assert!(matches!(
            stream.read(&mut [0; 1], wait()),
            Err(Fault::Stopped(_))
        ));
        assert!(matches!(
            stream.write_all(b"abc", wait()),
            Err(Fault::Stopped(_))
        ));
        assert_eq!(memory.sent(0), b"ab");
        memory.push(0, Step::Bytes(b"x".to_vec()));
        assert_eq!(read(&mut *stream), b"x");
    }

    #[test]
    fn a_closure_sees_whole_requests_only() {
        let memory = Memory::answering(|asked| {
            let said = format!("{} {} {}", asked.method, asked.target, asked.body.len());
            vec![Step::Bytes(said.into_bytes())]
        });
        let mut stream = open(&memory);
        let request = b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for byte in request {
            assert!(stream.is_quiet());
            stream.write_all(&[*byte], Wait::unbounded()).unwrap();
        }
        assert_eq!(read(&mut *stream), b"PUT /x 3");
        let request = b"POST /y HTTP/1.1\r\ncontent-length: 1\r\n\r\nxGET /z HTTP/1.1\r\n\r\n";
        stream.write_all(request, Wait::unbounded()).unwrap();
        assert_eq!(read(&mut *stream), b"POST /y 1");
        assert_eq!(read(&mut *stream), b"GET /z 0");
    }
}
