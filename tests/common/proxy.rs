//! A socket between a store and the real engine that can cut a connection at any request, before or after the engine has
//! seen it; and a socket that answers whatever a test says. For faults that an engine does not produce on demand.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Pass,
    /// The connection closes; the engine never sees the request.
    CutBefore,
    /// The engine sees the request; the connection closes without its answer.
    CutAfter,
    /// The engine's answer is cut off after this many bytes.
    Truncate(usize),
}

/// A proxy in front of the engine in `DOCKER_HOST`. It lives until the test's process ends.
pub struct Proxy {
    pub address: String,
    seen: Arc<AtomicUsize>,
}

impl Proxy {
    /// Asks `rule` what to do with each request: its number, from 0, and its first line.
    pub fn new(folder: &Path, rule: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> Self {
        let engine = engine_socket();
        let path = fresh(folder, "proxy");
        let listener = UnixListener::bind(&path).expect("a socket");
        let seen = Arc::new(AtomicUsize::new(0));
        let (rule, count) = (Arc::new(rule), Arc::clone(&seen));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (rule, count, engine) = (Arc::clone(&rule), Arc::clone(&count), engine.clone());
                std::thread::spawn(move || serve(client, &engine, &count, &*rule));
            }
        });
        Proxy {
            address: format!("unix://{}", path.display()),
            seen,
        }
    }

    /// How many requests have come.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

fn serve(
    mut client: UnixStream,
    engine: &Path,
    count: &AtomicUsize,
    rule: &dyn Fn(usize, &str) -> Act,
) {
    let Ok(mut upstream) = UnixStream::connect(engine) else {
        return;
    };
    // How much of the engine's answers still passes.
    let allowance = Arc::new(AtomicUsize::new(usize::MAX));
    let back = {
        let (mut from, mut to) = (
            upstream.try_clone().expect("a clone"),
            client.try_clone().expect("a clone"),
        );
        let allowance = Arc::clone(&allowance);
        std::thread::spawn(move || {
            let mut buffer = [0; 64 << 10];
            while let Ok(n) = from.read(&mut buffer) {
                let may = allowance.load(Ordering::SeqCst);
                let pass = n.min(may);
                if n == 0 || to.write_all(&buffer[..pass]).is_err() || pass < n {
                    break;
                }
                if may != usize::MAX {
                    allowance.store(may - pass, Ordering::SeqCst);
                }
            }
            let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
        })
    };
    let mut buffer = [0; 64 << 10];
    while let Ok(n) = client.read(&mut buffer) {
        if n == 0 {
            let _ = upstream.shutdown(Shutdown::Write);
            break;
        }
        // The library sends the head of a request with its first write, and nothing of another before its answer.
        if let Some(line) = first_line(&buffer[..n]) {
            match rule(count.fetch_add(1, Ordering::SeqCst), line) {
                Act::Pass => {}
                Act::CutBefore => {
                    let _ = (
                        client.shutdown(Shutdown::Both),
                        upstream.shutdown(Shutdown::Both),
                    );
                    return;
                }
                Act::CutAfter => allowance.store(0, Ordering::SeqCst),
                Act::Truncate(bytes) => allowance.store(bytes, Ordering::SeqCst),
            }
        }
        if upstream.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = back.join();
}

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

fn engine_socket() -> PathBuf {
    let host =
        std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    host.strip_prefix("unix://")
        .expect("an engine on a unix socket")
        .into()
}

/// A socket that gives each connection to `answer`, in a thread of its own.
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

/// Reads the head of a request, and gives its first line; `None` at the end.
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

fn fresh(folder: &Path, kind: &str) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    folder.join(format!(
        "{kind}{}.sock",
        NEXT.fetch_add(1, Ordering::Relaxed)
    ))
}
