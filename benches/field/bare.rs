//! The physical limit: a client that writes prepared bytes to a socket and reads until the response is complete. It allocates
//! nothing, checks almost nothing, and has no deadlines.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// What is sent repeatedly: the whole request, as the library writes it.
pub(crate) fn request(method: &str, target: &str, body: &str) -> Vec<u8> {
    let agent = concat!("User-Agent: docker-store/", env!("CARGO_PKG_VERSION"));
    let length = match (method, body) {
        ("GET" | "DELETE" | "HEAD", _) => String::new(),
        (_, "") => String::from("Content-Length: 0\r\n"),
        (_, body) => {
            format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            )
        }
    };
    format!("{method} {target} HTTP/1.1\r\nHost: docker\r\n{agent}\r\n{length}\r\n{body}").into()
}

/// The same for an attach, which upgrades the connection.
pub(crate) fn attach(target: &str) -> Vec<u8> {
    let request = String::from_utf8(request("POST", target, "")).expect("text");
    request
        .replace(
            "\r\n\r\n",
            "\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
        )
        .into_bytes()
}

/// One connection: a socket, or a layer on one.
pub(crate) struct Bare<S = UnixStream> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
    filled: usize,
}

impl Bare {
    pub(crate) fn connect(socket: &Path) -> Self {
        Bare::over(UnixStream::connect(socket).expect("the engine's socket"))
    }
}

impl<S: Read + Write> Bare<S> {
    pub(crate) fn over(stream: S) -> Self {
        Bare {
            stream,
            buffer: vec![0; 256 << 10],
            filled: 0,
        }
    }

    /// Sends a request and waits for the whole response; returns its status.
    pub(crate) fn ask(&mut self, request: &[u8]) -> u16 {
        self.send(request);
        self.finish()
    }

    pub(crate) fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).expect("sent");
        self.stream.flush().expect("sent");
    }

    /// Waits for the head of a response; returns its status and where the body starts.
    pub(crate) fn head(&mut self) -> (u16, usize) {
        self.filled = 0;
        loop {
            self.more();
            if let Some(end) = find(&self.buffer[..self.filled], b"\r\n\r\n") {
                return (number(&self.buffer[9..12]) as u16, end + 4);
            }
        }
    }

    /// Waits for the head and the body of a response. The body is small; its end is searched for, not parsed.
    pub(crate) fn finish(&mut self) -> u16 {
        let (status, start) = self.head();
        self.body(start);
        status
    }

    /// Waits for the body after its head has arrived.
    pub(crate) fn body(&mut self, start: usize) {
        let head = &self.buffer[..start];
        let length = find(head, b"\r\nContent-Length: ").map(|at| number(&head[at + 18..]));
        let chunked = find(head, b"\r\nTransfer-Encoding: chunked").is_some();
        loop {
            let whole = match length {
                Some(length) => self.filled >= start + length,
                None => !chunked || self.buffer[start..self.filled].ends_with(b"0\r\n\r\n"),
            };
            if whole {
                return;
            }
            self.more();
        }
    }

    /// The value of `"Id":"…"` in the last response.
    pub(crate) fn id(&self) -> String {
        let text = &self.buffer[..self.filled];
        let at = find(text, b"\"Id\":\"").expect("an id") + 6;
        String::from_utf8(text[at..at + 64].to_vec()).expect("an id")
    }

    /// What has arrived after the head of the last response.
    pub(crate) fn arrived(&self, start: usize) -> &[u8] {
        &self.buffer[start..self.filled]
    }

    fn more(&mut self) {
        let n = self
            .stream
            .read(&mut self.buffer[self.filled..])
            .expect("received");
        assert!(n > 0, "the engine closed the connection");
        self.filled += n;
    }
}

/// Two kept connections, as the library's pool has for one thread: a wait occupies one while the other is used.
pub(crate) struct Pair {
    pub(crate) socket: PathBuf,
    pub(crate) first: Bare,
    pub(crate) second: Bare,
}

impl Pair {
    pub(crate) fn connect(socket: &Path) -> Self {
        Pair {
            socket: socket.to_owned(),
            first: Bare::connect(socket),
            second: Bare::connect(socket),
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn number(digits: &[u8]) -> usize {
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |n, digit| n * 10 + usize::from(digit - b'0'))
}
