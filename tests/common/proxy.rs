//! A socket between a store and the real engine that does to a request what networks, proxies and engines do to them at the
//! worst moment; and a socket that answers whatever a test specifies. For faults that an engine does not produce on demand.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Pass,
    /// The connection closes; the engine never sees the request.
    CutBefore,
    /// The engine sees the request, and carries it out; the connection closes without its response.
    CutAfter,
    /// The engine's response is truncated after this many bytes.
    Truncate(usize),
    /// The engine's response is truncated this many bytes after its head.
    TruncateBody(usize),
    /// The engine sees this many bytes of the request; then both sides close.
    CutRequest(usize),
    /// The request is delayed by this many milliseconds, and its response, too.
    Delay(u64),
    /// Every byte is sent separately, up to [`SLICED`]; the rest is sent in pieces of an odd length.
    Slices,
    /// The connection is reset; the engine never sees the request.
    Reset,
    /// Nothing more happens; the engine never sees the request.
    Stall,
    /// The engine sees the request, and carries it out; there is no response.
    StallAfter,
    /// The engine sees the request; the response's side of the connection closes before it comes.
    HalfClose,
    /// This response; the engine never sees the request.
    Answer(&'static str),
    /// The engine sees the request, and carries it out; this response replaces its own.
    AnswerAfter(&'static str),
}

/// All heads, and the beginnings of bodies. Megabytes of single bytes would only keep the engine busy, for half a minute.
const SLICED: usize = 64 << 10;

/// Sends `bytes` in slices; `before` bytes were already sent.
fn slice(to: &mut UnixStream, bytes: &[u8], before: &mut usize) -> std::io::Result<()> {
    let (first, rest) = bytes.split_at(bytes.len().min(SLICED.saturating_sub(*before)));
    *before += bytes.len();
    let pieces = first.chunks(1).chain(rest.chunks(997));
    pieces.into_iter().try_for_each(|piece| to.write_all(piece))
}

type Rule = dyn Fn(usize, &str) -> Act + Send + Sync;

/// A proxy in front of an engine. It lives until the test's process ends.
pub struct Proxy {
    pub address: String,
    inner: Arc<Inner>,
}

struct Inner {
    engine: PathBuf,
    rule: Box<Rule>,
    seen: AtomicUsize,
    /// The clients' ends of connections on which nothing more happens.
    stalled: Mutex<Vec<UnixStream>>,
    released: AtomicBool,
}

impl Proxy {
    /// Asks `rule` what to do with each request: its number, from 0, and its first line. In front of the engine in
    /// `DOCKER_HOST`.
    pub fn new(folder: &Path, rule: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> Self {
        Proxy::before(engine_socket(), folder, rule)
    }

    /// The same in front of another engine.
    pub fn before(
        engine: PathBuf,
        folder: &Path,
        rule: impl Fn(usize, &str) -> Act + Send + Sync + 'static,
    ) -> Self {
        let path = fresh(folder, "proxy");
        let listener = UnixListener::bind(&path).expect("a socket");
        let inner = Arc::new(Inner {
            engine,
            rule: Box::new(rule),
            seen: AtomicUsize::new(0),
            stalled: Mutex::default(),
            released: AtomicBool::new(false),
        });
        let serving = Arc::clone(&inner);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let inner = Arc::clone(&serving);
                std::thread::spawn(move || serve(client, &inner));
            }
        });
        Proxy {
            address: format!("unix://{}", path.display()),
            inner,
        }
    }

    /// How many requests have arrived.
    pub fn seen(&self) -> usize {
        self.inner.seen.load(Ordering::SeqCst)
    }

    /// Ends all that stalls, and passes everything on from now on.
    pub fn release(&self) {
        self.inner.released.store(true, Ordering::SeqCst);
        for stalled in self.inner.stalled.lock().expect("unpoisoned").drain(..) {
            let _ = stalled.shutdown(Shutdown::Both);
        }
    }
}

impl Inner {
    fn act(&self, line: &str) -> Act {
        let number = self.seen.fetch_add(1, Ordering::SeqCst);
        match self.released.load(Ordering::SeqCst) {
            true => Act::Pass,
            false => (self.rule)(number, line),
        }
    }

    fn stall(&self, client: &UnixStream) {
        let mut stalled = self.stalled.lock().expect("unpoisoned");
        stalled.push(client.try_clone().expect("a clone"));
        if self.released.load(Ordering::SeqCst) {
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

/// What happens to the engine's responses on one connection.
#[derive(Clone, Copy)]
enum Back {
    Pass,
    Hold,
    Slices,
    Delay(u64),
    Truncate(usize),
    TruncateBody(usize),
    Replace(&'static str),
    /// Left as it is, because the connection is to be reset, not shut down cleanly.
    Leave,
}

fn serve(mut client: UnixStream, inner: &Inner) {
    let Ok(mut upstream) = UnixStream::connect(&inner.engine) else {
        return;
    };
    let mode = Arc::new(Mutex::new(Back::Pass));
    let back = {
        let (mut from, mut to) = (
            upstream.try_clone().expect("a clone"),
            client.try_clone().expect("a clone"),
        );
        let mode = Arc::clone(&mode);
        std::thread::spawn(move || {
            answers(&mut from, &mut to, &mode);
            let leave = matches!(*mode.lock().expect("unpoisoned"), Back::Leave);
            let _ = (!leave).then(|| to.shutdown(Shutdown::Both));
            let _ = from.shutdown(Shutdown::Both);
        })
    };
    let close = |client: &UnixStream, upstream: &UnixStream| {
        let _ = (
            client.shutdown(Shutdown::Both),
            upstream.shutdown(Shutdown::Both),
        );
    };
    let set = |to: Back| *mode.lock().expect("unpoisoned") = to;
    let mut buffer = [0; 64 << 10];
    let (mut slices, mut sliced) = (false, 0);
    // Peeked before it is read: a connection that closes with unread data is reset.
    while let Ok(n) = peek(&client, &mut buffer) {
        if n == 0 {
            let _ = upstream.shutdown(Shutdown::Write);
            break;
        }
        // The library sends the head of a request with its first write, and nothing of another before its response.
        let act = first_line(&buffer[..n]).map(|line| inner.act(line));
        if act == Some(Act::Reset) {
            set(Back::Leave);
            let _ = upstream.shutdown(Shutdown::Both);
            let _ = back.join();
            return;
        }
        if client.read_exact(&mut buffer[..n]).is_err() {
            break;
        }
        slices = act == Some(Act::Slices) || slices && act.is_none();
        match act {
            None | Some(Act::Reset) => {}
            Some(Act::Pass) => set(Back::Pass),
            Some(Act::CutBefore) => return close(&client, &upstream),
            Some(Act::CutAfter) => set(Back::Truncate(0)),
            Some(Act::Truncate(bytes)) => set(Back::Truncate(bytes)),
            Some(Act::TruncateBody(bytes)) => set(Back::TruncateBody(bytes)),
            Some(Act::CutRequest(bytes)) => {
                let _ = upstream.write_all(&buffer[..n.min(bytes)]);
                return close(&client, &upstream);
            }
            Some(Act::Delay(time)) => {
                std::thread::sleep(Duration::from_millis(time));
                set(Back::Delay(time));
            }
            Some(Act::Slices) => set(Back::Slices),
            Some(Act::Stall) => {
                inner.stall(&client);
                while client.read(&mut buffer).is_ok_and(|n| n > 0) {}
                return close(&client, &upstream);
            }
            Some(Act::StallAfter) => {
                inner.stall(&client);
                set(Back::Hold);
            }
            Some(Act::HalfClose) => {
                let _ = client.shutdown(Shutdown::Write);
                set(Back::Hold);
            }
            Some(Act::Answer(answer)) => {
                let _ = client.write_all(answer.as_bytes());
                return close(&client, &upstream);
            }
            Some(Act::AnswerAfter(answer)) => set(Back::Replace(answer)),
        }
        let sent = match slices {
            true => slice(&mut upstream, &buffer[..n], &mut sliced),
            false => upstream.write_all(&buffer[..n]),
        };
        if sent.is_err() {
            break;
        }
    }
    let _ = back.join();
}

/// Passes on the engine's responses.
fn answers(from: &mut UnixStream, to: &mut UnixStream, mode: &Mutex<Back>) {
    let (mut buffer, mut sliced) = ([0; 64 << 10], 0);
    while let Ok(n) = from.read(&mut buffer) {
        let bytes = &buffer[..n];
        let mut now = *mode.lock().expect("unpoisoned");
        if let Back::TruncateBody(may) = now {
            // A head arrives in one piece.
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            now = Back::Truncate(end.map_or(n, |end| end + 4) + may);
        }
        let moved = match now {
            _ if n == 0 => return,
            Back::Pass => to.write_all(bytes),
            Back::Hold => Ok(()),
            Back::Slices => slice(to, bytes, &mut sliced),
            Back::Delay(time) => {
                std::thread::sleep(Duration::from_millis(time));
                *mode.lock().expect("unpoisoned") = Back::Pass;
                to.write_all(bytes)
            }
            Back::TruncateBody(_) => unreachable!("it was made a number of bytes"),
            Back::Truncate(may) => {
                let _ = to.write_all(&bytes[..n.min(may)]);
                if may < n {
                    return;
                }
                *mode.lock().expect("unpoisoned") = Back::Truncate(may - n);
                Ok(())
            }
            Back::Leave => return,
            Back::Replace(answer) => {
                let _ = to.write_all(answer.as_bytes());
                return;
            }
        };
        if moved.is_err() {
            return;
        }
    }
}

fn peek(client: &UnixStream, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match rustix::net::recv(client, &mut *buffer, rustix::net::RecvFlags::PEEK) {
            Err(rustix::io::Errno::INTR) => {}
            done => return Ok(done?.0),
        }
    }
}

/// A response with `status` and a message, followed by the end of the connection.
macro_rules! answer {
    ($status:literal, $message:literal) => {
        concat!(
            "HTTP/1.1 ",
            $status,
            " x\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"message\":\"",
            $message,
            "\"}"
        )
    };
}

/// The responses of a failing engine; and of one that is asked to remove what is being removed.
pub const FAILED: &str = answer!("500", "as a test has it");
pub const DIGEST_GONE: &str = answer!("404", "NotFound: content digest sha256:ec7a: not found");
pub const IN_PROGRESS: &str = answer!("409", "removal of container x is already in progress");

fn first_line(bytes: &[u8]) -> Option<&str> {
    let starts = ["GET /", "POST /", "PUT /", "DELETE /", "HEAD /"]
        .iter()
        .any(|m| bytes.starts_with(m.as_bytes()));
    let end = bytes
        .windows(2)
        .position(|w| w == b"\r\n")
        .filter(|_| starts)?;
    std::str::from_utf8(&bytes[..end]).ok()
}

/// The engine's socket, for requests without the library. An engine that is reached by TLS or ssh has one, too.
pub fn engine_socket() -> PathBuf {
    if let Some(path) = std::env::var_os("DOCKER_STORE_TEST_SOCKET") {
        return path.into();
    }
    let host =
        std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    host.strip_prefix("unix://")
        .expect("an engine on a unix socket")
        .into()
}

/// A socket that passes each connection to `answer`, in a thread of its own.
pub fn fake(folder: &Path, answer: impl Fn(UnixStream) + Send + Sync + 'static) -> String {
    let path = fresh(folder, "fake");
    let listener = UnixListener::bind(&path).expect("a socket");
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || answer(client));
        }
    });
    format!("unix://{}", path.display())
}

/// Reads the head of a request, and returns its first line; `None` at the end.
pub fn read_head(client: &mut UnixStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    first_line(&head).map(str::to_owned)
}

/// Reads one request: its first line, and its body if that has a length.
pub fn read_request(client: &mut UnixStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body).ok()?;
    Some((first_line(&head)?.to_owned(), body))
}

/// What a fake engine answers to the requests of an open; `None` for every other request. A volume that is created is the
/// requested one.
pub fn opened(line: &str, body: &[u8]) -> Option<String> {
    if line.contains("/volumes/create") {
        return Some(String::from_utf8_lossy(body).into_owned());
    }
    let answers = [
        ("/info", r#"{"ID":"fake","DockerRootDir":"/fake"}"#),
        ("-empty/json", r#"{"Id":"sha256:0","Size":0}"#),
        ("/volumes", r#"{"Volumes":[]}"#),
        ("/containers/json", "[]"),
        ("/images/json", "[]"),
    ];
    let found = answers.iter().find(|(path, _)| line.contains(path));
    found.map(|(_, answer)| (*answer).to_owned())
}

fn fresh(folder: &Path, kind: &str) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    folder.join(format!(
        "{kind}{}.sock",
        NEXT.fetch_add(1, Ordering::Relaxed)
    ))
}
