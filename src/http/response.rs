//! [`Response`]: a response whose head has arrived, and whose body is read as it comes.

use std::sync::Arc;
use std::time::Duration;

use super::body::{Decoder, Framing};
use super::connection::{Connection, Pace};
use super::head::Head;
use super::pool::Pool;
use super::{Failure, Upgraded};
use crate::wait::Wait;

/// A caller's buffer of this size is received into directly. Smaller reads are served from the connection's buffer, which takes
/// fewer system calls.
const DIRECT: usize = 32 << 10;

/// The first allocation for a body that is read completely: the minimum if its length is unknown, and the maximum if its length
/// is declared.
const LEAST: usize = 4 << 10;
const CLAIMED: usize = 1 << 20;

/// A response. It owns its connection, which can be used for other requests once the body has been read to its end.
///
/// If it is dropped earlier, the connection is closed, unless the rest had already arrived.
pub(crate) struct Response {
    /// Set until `drop` takes it.
    connection: Option<Connection>,
    head: Head,
    decoder: Decoder,
    stall: Option<Duration>,
    pool: Arc<Pool>,
    repeated: bool,
    first: bool,
}

impl Response {
    pub(super) fn new(
        connection: Connection,
        head: Head,
        stall: Option<Duration>,
        pool: Arc<Pool>,
    ) -> Self {
        Response {
            connection: Some(connection),
            head,
            decoder: Decoder::new(head.framing),
            stall,
            pool,
            repeated: false,
            first: false,
        }
    }

    /// Returns whether its request was sent twice, because it is unknown whether the first was received.
    pub(crate) fn was_repeated(&self) -> bool {
        self.repeated
    }

    pub(super) fn set_repeated(&mut self, repeated: bool) {
        self.repeated = repeated;
    }

    /// Returns whether it is the first on its connection: a peer that was replaced is noticed on a new connection.
    pub(crate) fn is_first(&self) -> bool {
        self.first
    }

    pub(super) fn set_first(&mut self) {
        self.first = true;
    }

    /// Returns the status code.
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    /// Returns the value of a header, if it is text. If there are several of the name, returns the first.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.connection.as_ref()?.header(name)
    }

    /// Changes how long one receive may stall, which the [request](super::Request::stall) had set.
    pub(crate) fn set_stall(&mut self, stall: Option<Duration>) {
        self.stall = stall;
    }

    /// Waits for bytes of the body and reads some; 0 is the end of a complete body, never of a truncated one.
    ///
    /// After [`Failure::Stopped`] and [`Failure::Stalled`] nothing is lost, and reading may continue.
    pub(crate) fn read(&mut self, buffer: &mut [u8], wait: Wait<'_>) -> Result<usize, Failure> {
        let pace = self.pace(wait);
        loop {
            let taken = self.take(buffer)?;
            if taken > 0 || buffer.is_empty() || self.decoder.is_done() {
                return Ok(taken);
            }
            let direct = self.decoder.content().min(buffer.len());
            if direct < DIRECT {
                if !self.connection().fill(pace)? {
                    self.decoder.ended()?;
                }
                continue;
            }
            let stream = &mut self.connection().stream;
            let received = stream.read(&mut buffer[..direct], pace.step());
            match received.map_err(|fault| pace.receiving(fault))? {
                0 => self.decoder.ended()?,
                n => {
                    self.decoder.took(n);
                    return Ok(n);
                }
            }
        }
    }

    /// Reads the rest of the body, which may be at most `limit` bytes long.
    pub(crate) fn read_whole(&mut self, limit: usize, wait: Wait<'_>) -> Result<Vec<u8>, Failure> {
        // One byte more than allowed, to notice that there is more.
        let most = limit.saturating_add(1);
        let arrived = self.connection().received.bytes().len();
        let first = match self.head.framing {
            Framing::Length(_) => self.decoder.content().min(CLAIMED.max(arrived)),
            Framing::Chunked | Framing::UntilEnd => arrived.max(LEAST),
        };
        let mut body = vec![0; first.min(most)];
        let mut filled = 0;
        while !self.decoder.is_done() {
            if filled == body.len() {
                body.resize(body.len().saturating_mul(2).max(LEAST).min(most), 0);
            }
            filled += self.read(&mut body[filled..], wait)?;
            if filled > limit {
                return Err(Failure::TooLarge("body"));
            }
        }
        body.truncate(filled);
        Ok(body)
    }

    /// Skips the rest of the body, only so that the connection can be reused.
    pub(crate) fn drain(mut self, wait: Wait<'_>) -> Result<(), Failure> {
        let pace = self.pace(wait);
        loop {
            self.skip()?;
            if self.decoder.is_done() {
                return Ok(());
            }
            if !self.connection().fill(pace)? {
                self.decoder.ended()?;
            }
        }
    }

    /// Skips what has arrived of the body, in place.
    fn skip(&mut self) -> Result<(), Failure> {
        let Some(Connection { received, .. }) = &mut self.connection else {
            return Ok(());
        };
        loop {
            let (framing, content) = self.decoder.next(received.bytes())?;
            received.consume(framing + content);
            self.decoder.took(content);
            if content == 0 {
                return Ok(());
            }
        }
    }

    /// Returns the bare connection, for a response that upgrades it: a 101, or a 200 without a length, which older engines and
    /// Podman send. (A body with a length is still read as one.)
    pub(crate) fn upgrade(mut self) -> Upgraded {
        self.head.reusable = false;
        Upgraded::new(self)
    }

    /// Copies content that has arrived, without waiting for more.
    pub(super) fn take(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let Some(Connection { received, .. }) = &mut self.connection else {
            return Ok(0);
        };
        let mut taken = 0;
        loop {
            let (framing, content) = match self.decoder.next(received.bytes()) {
                // The decoder reports it again, after the caller has received the earlier data.
                Err(_) if taken > 0 => return Ok(taken),
                next => next?,
            };
            received.consume(framing);
            let n = content.min(buffer.len() - taken);
            if n == 0 {
                return Ok(taken);
            }
            buffer[taken..taken + n].copy_from_slice(&received.bytes()[..n]);
            received.consume(n);
            self.decoder.took(n);
            taken += n;
        }
    }

    /// Returns the stream to use, and the decoder of its bytes.
    pub(super) fn parts(&mut self) -> (&mut Connection, &mut Decoder) {
        let connection = self.connection.as_mut().expect("only drop takes it");
        (connection, &mut self.decoder)
    }

    pub(super) fn pace<'w>(&self, wait: Wait<'w>) -> Pace<'w> {
        Pace {
            wait,
            stall: self.stall,
        }
    }

    fn connection(&mut self) -> &mut Connection {
        self.parts().0
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        // The end may have arrived without having been read.
        let whole = self.head.reusable && self.skip().is_ok() && self.decoder.is_done();
        let Some(connection) = self.connection.take() else {
            return;
        };
        // Bytes beyond the end belong to no response.
        if whole && connection.received.is_empty() {
            self.pool.park(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cancel::Cancel;
    use crate::http::Method;
    use crate::http::testing::{answer, briefly, bytes, client, request, soon};
    use crate::transport::memory::{Memory, Script, Step};
    use crate::wait::Stop;

    fn get<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Response, Failure> {
        answer(request(Method::Get), pieces)
    }

    /// Returns everything that a caller sees of a conversation.
    fn outcome<'a>(method: Method, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut response = match answer(request(method), pieces) {
            Ok(response) => response,
            Err(failure) => return format!("{failure:?}"),
        };
        let mut seen = format!("{} {:?}", response.status(), response.header("X"));
        // With a buffer this small, the data before a failure is seen as well.
        let mut buffer = [0; 7];
        loop {
            match response.read(&mut buffer, soon()) {
                Ok(0) => return seen + " end",
                Ok(n) => seen.push_str(&format!(" {:?}", &buffer[..n])),
                Err(failure) => return seen + &format!(" {failure:?}"),
            }
        }
    }

    /// The same without what depends on how the bytes were split.
    fn essence<'a>(method: Method, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
        outcome(method, pieces).replace("] [", ", ")
    }

    const ANSWERS: &[(Method, &str, &str)] = &[
        (
            Method::Get,
            "HTTP/1.1 200 OK\r\nX: a b\r\nContent-Length: 5\r\n\r\nhello",
            "200 Some(\"a b\") [104, 101, 108, 108, 111] end",
        ),
        (
            Method::Get,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             2;x=\"y\"\r\nhe\r\n03\r\nllo\r\n0\r\nT: t\r\nU: u\r\n\r\n",
            "200 None [104, 101, 108, 108, 111] end",
        ),
        (
            Method::Get,
            "HTTP/1.1 200 OK\r\n\r\nhello",
            "200 None [104, 101, 108, 108, 111] end",
        ),
        (
            Method::Get,
            "HTTP/1.0 404 Not Found\nX: y\nContent-Length: 2\n\n{}",
            "404 Some(\"y\") [123, 125] end",
        ),
        (
            Method::Post,
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 x\r\nX: no\r\n\r\n\
             HTTP/1.1 201 Created\r\nX: yes\r\nContent-Length: 1\r\n\r\n!",
            "201 Some(\"yes\") [33] end",
        ),
        (
            Method::Head,
            "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\n",
            "200 Some(\"y\") end",
        ),
        (
            Method::Post,
            "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
            "204 None end",
        ),
        (
            Method::Get,
            "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
            "304 None end",
        ),
        (
            Method::Get,
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
            "200 None [104, 101, 108, 108, 111] CutShort",
        ),
        (
            Method::Get,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "200 None [104, 101, 108, 108, 111] CutShort",
        ),
        (
            Method::Get,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
            "200 None [104, 101] Malformed(\"a chunk longer than its size\")",
        ),
        (Method::Get, "HTTP/1.1 200 OK\r\nContent-Len", "CutShort"),
        (Method::Get, "", "CutShort"),
        (
            Method::Get,
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            "Malformed(\"two different content lengths\")",
        ),
    ];

    #[test]
    fn an_answer_split_anywhere_is_the_same_answer() {
        for &(method, wire, expected) in ANSWERS {
            let wire = wire.as_bytes();
            for cut in 0..=wire.len() {
                let (a, b) = wire.split_at(cut);
                assert_eq!(essence(method, [a, b]), expected, "{cut}");
            }
            assert_eq!(essence(method, wire.chunks(1)), expected);
        }
    }

    #[test]
    fn a_body_cut_short_is_an_error_not_an_end() {
        for wire in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ] {
            for cut in 0..wire.len() {
                let read = get([&wire[..cut]]).and_then(|mut r| r.read_whole(100, soon()));
                assert!(matches!(read, Err(Failure::CutShort)), "{cut}");
            }
            let body = get([wire]).unwrap().read_whole(100, soon()).unwrap();
            assert_eq!(body, b"hello");
        }
    }

    #[test]
    fn a_reset_in_the_body_is_an_error_even_where_the_end_would_be_the_end() {
        for head in [
            "",
            "Content-Length: 9\r\n",
            "Transfer-Encoding: chunked\r\n",
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n");
            let script = Script::new([Step::after_head(), bytes(head), Step::Reset]);
            let client = client(&Memory::scripts([script]));
            let mut response = client.send(request(Method::Get), soon()).unwrap();
            let read = response.read_whole(100, soon());
            assert!(matches!(read, Err(Failure::Receive(_))));
        }
    }

    #[test]
    fn a_body_read_whole_has_a_limit() {
        let exact = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let chunks =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        let ended = b"HTTP/1.1 200 OK\r\n\r\nhello";
        for wire in [&exact[..], chunks, ended] {
            for limit in 0..8 {
                let read = get([wire]).unwrap().read_whole(limit, soon());
                match limit {
                    ..5 => assert!(matches!(read, Err(Failure::TooLarge(_))), "{limit}"),
                    _ => assert_eq!(read.unwrap(), b"hello"),
                }
            }
        }
        // A length that is only declared costs no memory.
        let claimed = b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx";
        let read = get([&claimed[..]]).unwrap().read_whole(usize::MAX, soon());
        assert!(matches!(read, Err(Failure::CutShort)));
    }

    #[test]
    fn a_large_body_comes_whole_through_every_buffer() {
        let body: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();
        let length = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut length = length.into_bytes();
        length.extend_from_slice(&body);
        let mut chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in body.chunks(100_000) {
            chunks.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunks.extend_from_slice(chunk);
            chunks.extend_from_slice(b"\r\n");
        }
        chunks.extend_from_slice(b"0\r\n\r\n");
        for wire in [length, chunks] {
            for size in [1000, DIRECT - 1, DIRECT, 10 * DIRECT] {
                let mut response = get(wire.chunks(70_001)).unwrap();
                let mut buffer = vec![0; size];
                let mut read = Vec::new();
                loop {
                    match response.read(&mut buffer, soon()).unwrap() {
                        0 => break,
                        n => read.extend_from_slice(&buffer[..n]),
                    }
                }
                assert!(read == body, "{size}");
            }
            let whole = get(wire.chunks(70_001))
                .unwrap()
                .read_whole(1 << 20, soon());
            assert!(whole.unwrap() == body);
        }
    }

    /// Sends a request, does `with` the response, and returns whether the connection is kept.
    fn is_kept(wire: impl AsRef<[u8]>, with: impl FnOnce(Response)) -> bool {
        let memory = Memory::scripts([Script::new([Step::after_head(), bytes(wire)])]);
        let client = client(&memory);
        with(client.send(request(Method::Get), soon()).unwrap());
        memory.is_open(0)
    }

    fn read(mut response: Response) {
        response.read_whole(100, soon()).unwrap();
    }

    #[test]
    fn a_connection_is_kept_once_the_body_has_arrived_read_or_not() {
        for wire in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: t\r\n\r\n",
        ] {
            assert!(is_kept(wire, read));
            assert!(is_kept(wire, drop));
            // Bytes that follow belong to no request.
            let more = format!("{wire}HTTP/1.1 200 OK\r\n\r\n");
            assert!(!is_kept(&more, read));
            assert!(!is_kept(&more, drop));
        }
    }

    #[test]
    fn a_connection_is_not_kept_while_its_answer_is_under_way() {
        for wire in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx",
            "HTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert!(!is_kept(wire, drop));
        }
        for closing in ["1.0 200 OK\r\n", "1.1 200 OK\r\nConnection: close\r\n"] {
            assert!(!is_kept(
                format!("HTTP/{closing}Content-Length: 0\r\n\r\n"),
                read
            ));
        }
    }

    #[test]
    fn a_read_that_was_stopped_may_go_on() {
        let head = bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
        let memory = Memory::scripts([Script::new([Step::after_head(), head])]);
        let client = client(&memory);
        let mut response = client.send(request(Method::Get), soon()).unwrap();
        let mut buffer = [0; 10];
        assert_eq!(response.read(&mut buffer, soon()).unwrap(), 2);
        let cancel = Cancel::new();
        cancel.cancel();
        let cancelled = response.read(&mut buffer, Wait::new(None, Some(&cancel)));
        assert!(matches!(cancelled, Err(Failure::Stopped(Stop::Cancelled))));
        let over = response.read(&mut buffer, briefly());
        assert!(matches!(over, Err(Failure::Stopped(Stop::TimedOut))));
        response.set_stall(Some(Duration::from_millis(20)));
        let stalled = response.read(&mut buffer, soon());
        assert!(matches!(stalled, Err(Failure::Stalled)));
        memory.push(0, bytes("llo"));
        assert_eq!(response.read_whole(10, soon()).unwrap(), b"llo");
        drop(response);
        assert!(memory.is_open(0));
    }

    #[test]
    fn interim_answers_without_end_are_refused() {
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000);
        let refused = get(interim.chunks(1000));
        assert!(matches!(refused, Err(Failure::TooLarge(_))));
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let head = [&b"HTTP/1.1 200 OK\r\nX: "[..], &[b'x'; 200_000]].concat();
        assert!(matches!(get(head.chunks(999)), Err(Failure::TooLarge(_))));
    }

    /// Bytes that are almost responses, so that random ones get past the first line.
    fn nearly() -> impl Strategy<Value = Vec<u8>> {
        const PARTS: [&str; 14] = [
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 100 x\r\n\r\n",
            "HTTP/1.1 204 x\r\n",
            "Content-Length: 3\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Connection: close\r\n",
            "X: y\r\n",
            "\r\n",
            "\n",
            "3\r\nabc\r\n",
            "0\r\n",
            "abc",
            ";",
            "\0",
        ];
        let parts = prop::collection::vec(prop::sample::select(&PARTS[..]), 0..12)
            .prop_map(|parts| parts.concat().into_bytes());
        prop_oneof![
            4 => parts,
            1 => prop::collection::vec(any::<u8>(), 0..40),
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_give_one_answer_however_they_are_split(
            wire in nearly(),
            sizes in prop::collection::vec(1..20usize, 1..20),
        ) {
            let whole = essence(Method::Get, [&wire[..]]);
            let mut pieces = Vec::new();
            let mut rest = &wire[..];
            for size in sizes {
                let (piece, after) = rest.split_at(size.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            prop_assert_eq!(essence(Method::Get, pieces), whole);
        }
    }
}
