//! [`Outgoing`]: a request that is being sent, while a response may already be arriving.
//!
//! An engine that refuses an upload responds before it has read all of it, and closes the connection. Then the response counts,
//! not the failure to send the rest.

use std::io::{self, ErrorKind, Read};

use super::connection::{Connection, Pace, is_refusal};
use super::head::Head;
use super::{Body, Failure, Method, Request};
use crate::transport::Fault;

/// A body up to this size is sent together with the head, in one send.
const TOGETHER: usize = 32 << 10;

/// How much is read from a source, and sent as one chunk.
const CHUNK: usize = 128 << 10;

/// A chunk's size line. It always has eight digits, so that the position of the content is known before its size is.
const SIZE_LINE: usize = "0001ffff\r\n".len();

/// The end of a chunk's content, and the end of the body.
const CHUNK_END: &[u8] = b"\r\n";
const BODY_END: &[u8] = b"0\r\n\r\n";

/// A request in its form on the wire.
pub(super) struct Outgoing<'a> {
    method: Method,
    /// The head, and the part of the body that is sent with it.
    first: Vec<u8>,
    rest: Rest<'a>,
}

enum Rest<'a> {
    Nothing,
    Bytes(&'a [u8]),
    Stream(&'a mut dyn Read),
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(request: Request<'a>) -> Result<Self, Failure> {
        let mut first = Vec::with_capacity(512);
        request.write_head(&mut first)?;
        let rest = match request.body {
            Body::Empty => Rest::Nothing,
            Body::Bytes { bytes, .. } => {
                let (with_head, rest) = bytes.split_at(bytes.len().min(TOGETHER));
                first.extend_from_slice(with_head);
                match rest {
                    [] => Rest::Nothing,
                    _ => Rest::Bytes(rest),
                }
            }
            Body::Stream { source, .. } => Rest::Stream(source),
        };
        Ok(Outgoing {
            method: request.method,
            first,
            rest,
        })
    }

    /// Returns whether sending it a second time would send the same.
    pub(super) fn is_replayable(&self) -> bool {
        !matches!(self.rest, Rest::Stream(_))
    }

    /// Sends it, and waits for the head of the response.
    pub(super) fn converse(
        &mut self,
        connection: &mut Connection,
        pace: Pace<'_>,
    ) -> Result<Head, Failure> {
        connection.begin();
        let mut sending = Sending {
            method: self.method,
            pace,
            connection,
            answer: None,
            whole: true,
            broken: None,
        };
        match &mut self.rest {
            Rest::Nothing => sending.only(&self.first)?,
            Rest::Bytes(rest) => {
                let _ = sending.part(&self.first)? && sending.part(rest)?;
            }
            Rest::Stream(source) => sending.chunks(&self.first, *source)?,
        }
        sending.answer()
    }
}

struct Sending<'c, 'w> {
    method: Method,
    pace: Pace<'w>,
    connection: &'c mut Connection,
    /// The head of a response that came before everything was sent.
    answer: Option<Head>,
    /// Whether everything was sent.
    whole: bool,
    /// Why the rest could not be sent.
    broken: Option<io::Error>,
}

impl Sending<'_, '_> {
    /// Sends a request that consists of one part: no response can arrive before it is sent.
    fn only(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self.connection.stream.write_all(bytes, self.pace.step()) {
            Ok(()) => Ok(()),
            Err(Fault::Io(error)) => {
                self.broken = Some(error);
                Ok(())
            }
            Err(Fault::Stopped(stop)) => Err(self.pace.ended(stop)),
        }
    }

    /// Sends one part of several, and checks for a response at the same time; returns `false` if the engine accepts no more.
    fn part(&mut self, mut bytes: &[u8]) -> Result<bool, Failure> {
        while !bytes.is_empty() {
            // A response that fills this has to wait for the end of the sending, as with any client that sends first.
            let space = self.connection.received.space();
            let moved = self
                .connection
                .stream
                .exchange(bytes, space, self.pace.step());
            let wanted = match moved {
                Ok(moved) => {
                    bytes = &bytes[moved.sent..];
                    self.hear(moved.received)?
                }
                Err(Fault::Io(error)) => {
                    self.broken = Some(error);
                    false
                }
                Err(Fault::Stopped(stop)) => return Err(self.pace.ended(stop)),
            };
            if !wanted {
                self.whole = false;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Examines what arrived while sending; returns `false` if that ends the sending.
    fn hear(&mut self, received: Option<usize>) -> Result<bool, Failure> {
        match received {
            None => return Ok(true),
            // The end of the stream: no peer is left to respond to the rest.
            Some(0) => return Ok(false),
            Some(n) => self.connection.arrived(n),
        }
        if self.answer.is_none() {
            self.answer = self.connection.take_head(self.method)?;
        }
        // A successful response that starts early reports progress, and needs the rest. Any other response does not.
        Ok(self.answer.is_none_or(|head| head.status < 300))
    }

    /// Sends `head` and then all of `source`, in chunks.
    ///
    /// The first chunk is read before the head is sent, so that no engine takes a lock for a source that is slow to start.
    fn chunks(&mut self, head: &[u8], source: &mut dyn Read) -> Result<(), Failure> {
        let content = head.len() + SIZE_LINE;
        let mut piece = vec![0; content + CHUNK + CHUNK_END.len() + BODY_END.len()];
        piece[..head.len()].copy_from_slice(head);
        let mut unsent = 0;
        loop {
            let n = self.fill(source, &mut piece[content..content + CHUNK])?;
            let mut end = head.len();
            if n > 0 {
                piece[end..content].copy_from_slice(format!("{n:08x}\r\n").as_bytes());
                end = content + n;
                end = put(&mut piece, end, CHUNK_END);
            }
            if n < CHUNK {
                end = put(&mut piece, end, BODY_END);
            }
            if !self.part(&piece[unsent..end])? || n < CHUNK {
                return Ok(());
            }
            unsent = head.len();
        }
    }

    /// Reads from `source` until `buffer` is full or the source has ended.
    fn fill(&self, source: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, Failure> {
        let mut filled = 0;
        while filled < buffer.len() {
            self.pace.wait.left().map_err(Failure::Stopped)?;
            match source.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The caller drops the connection, so the engine sees a truncated body and not a complete one.
                Err(error) => return Err(Failure::Source(error)),
            }
        }
        Ok(filled)
    }

    /// Returns the head of the response, waiting for it if necessary.
    fn answer(self) -> Result<Head, Failure> {
        let head = match self.answer {
            Some(head) => Ok(head),
            None => self.connection.read_head(self.method, self.pace),
        };
        match (head, self.broken) {
            (Ok(head), broken) => Ok(Head {
                reusable: head.reusable && self.whole && broken.is_none(),
                ..head
            }),
            (Err(Failure::CutShort | Failure::Receive(_)), Some(error)) if is_refusal(&error) => {
                Err(Failure::Connect(error))
            }
            // No response explains why the rest could not be sent.
            (Err(Failure::CutShort | Failure::Receive(_)), Some(error)) => {
                Err(Failure::Send(error))
            }
            (Err(failure), _) => Err(failure),
        }
    }
}

/// Copies `bytes` to `at`, and returns their end.
fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let end = at + bytes.len();
    buffer[at..end].copy_from_slice(bytes);
    end
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cancel::Cancel;
    use crate::http::Response;
    use crate::http::testing::{bytes, client, request, soon};
    use crate::transport::memory::{Memory, Script, Step};
    use crate::wait::{Stop, Wait};

    /// A source that supplies `pieces`, one with each read, and then the end or a failure.
    struct Pieces {
        pieces: Vec<Vec<u8>>,
        fails: bool,
        /// The number of reads.
        reads: usize,
    }

    impl Pieces {
        fn new(pieces: Vec<Vec<u8>>) -> Self {
            Pieces {
                pieces,
                fails: false,
                reads: 0,
            }
        }

        fn large() -> Self {
            Pieces::new(vec![vec![b'x'; CHUNK]; 10])
        }
    }

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.reads += 1;
            if self.reads % 2 == 0 {
                return Err(ErrorKind::Interrupted.into());
            }
            if self.pieces.is_empty() {
                return match self.fails {
                    true => Err(io::Error::other("the disk is gone")),
                    false => Ok(0),
                };
            }
            let piece = &mut self.pieces[0];
            let n = piece.len().min(buffer.len());
            buffer[..n].copy_from_slice(&piece[..n]);
            piece.drain(..n);
            if piece.is_empty() {
                self.pieces.remove(0);
            }
            Ok(n)
        }
    }

    fn upload(source: &mut dyn Read) -> Request<'_> {
        Request {
            body: Body::Stream {
                content_type: "application/x-tar",
                source,
            },
            repeatable: false,
            ..request(Method::Put)
        }
    }

    fn at_hand(bytes: &[u8]) -> Request<'_> {
        Request {
            body: Body::Bytes {
                content_type: "text/plain",
                bytes,
            },
            repeatable: false,
            ..request(Method::Put)
        }
    }

    fn send(script: Script, request: Request<'_>) -> (Memory, Result<Response, Failure>) {
        let memory = Memory::scripts([script]);
        let response = client(&memory).send(request, soon());
        (memory, response)
    }

    fn body(response: Result<Response, Failure>) -> String {
        let body = response.unwrap().read_whole(100, soon()).unwrap();
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn a_body_arrives_as_it_was_whatever_its_size() {
        for size in [
            0,
            1,
            TOGETHER - 1,
            TOGETHER,
            TOGETHER + 1,
            CHUNK - 1,
            CHUNK,
            CHUNK + 1,
            300_000,
        ] {
            let data: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let expected = data.clone();
            let memory = Memory::answering(move |asked| {
                assert!(asked.body == expected);
                vec![Step::reply(200, "taken")]
            });
            let client = client(&memory);
            assert_eq!(body(client.send(at_hand(&data), soon())), "taken");
            assert_eq!(body(client.send(upload(&mut &data[..]), soon())), "taken");
            let mut pieces = Pieces::new(data.chunks(1000).map(<[u8]>::to_vec).collect());
            assert_eq!(body(client.send(upload(&mut pieces), soon())), "taken");
        }
    }

    #[test]
    fn a_slow_peer_gets_all_of_it() {
        let data = vec![b'x'; 3 * CHUNK];
        for request in [at_hand(&data), upload(&mut &data[..])] {
            let end = match request.body {
                Body::Stream { .. } => Step::After(BODY_END.to_vec()),
                _ => Step::After(b"xx".to_vec()),
            };
            let script = Script::new([end, Step::reply(200, "ok")]).taking_at_once(777);
            let (_, response) = send(script, request);
            assert_eq!(body(response), "ok");
        }
    }

    #[test]
    fn a_refusal_ends_an_upload_at_once() {
        let mut source = Pieces::large();
        let script = Script::new([Step::after_head(), Step::reply(404, "no such container")]);
        let (memory, response) = send(script, upload(&mut source));
        assert_eq!(response.as_ref().unwrap().status(), 404);
        assert_eq!(body(response), "no such container");
        assert!(
            source.pieces.len() >= 8,
            "{} pieces left",
            source.pieces.len()
        );
        // It is unknown how the peer interprets the rest, so the connection is closed.
        assert!(!memory.is_open(0));
        assert!(!memory.sent(0).ends_with(BODY_END));
    }

    #[test]
    fn a_refusal_in_two_pieces_ends_an_upload_as_well() {
        let steps = [
            Step::after_head(),
            bytes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 x\r\nConten"),
            bytes("t-Length: 2\r\n\r\nno"),
        ];
        let (_, response) = send(Script::new(steps), upload(&mut Pieces::large()));
        assert_eq!(response.as_ref().unwrap().status(), 500);
        assert_eq!(body(response), "no");
    }

    #[test]
    fn progress_that_begins_early_does_not_end_an_upload() {
        let data = vec![b'x'; 3 * CHUNK];
        let steps = [
            Step::after_head(),
            bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"),
            bytes("3\r\ntwo\r\n"),
            Step::After(BODY_END.to_vec()),
            bytes("5\r\nthree\r\n0\r\n\r\n"),
        ];
        let (memory, response) = send(Script::new(steps), upload(&mut &data[..]));
        assert_eq!(body(response), "onetwothree");
        assert!(memory.sent(0).ends_with(BODY_END));
    }

    #[test]
    fn an_answer_is_preferred_to_a_broken_pipe() {
        for request in [at_hand(&[b'x'; 300_000]), upload(&mut Pieces::large())] {
            let never = Step::After(b"never".to_vec());
            let script = Script::new([never, Step::reply(507, "full"), Step::End]);
            let (_, response) = send(script.broken_after(100_000), request);
            assert_eq!(response.as_ref().unwrap().status(), 507);
            assert_eq!(body(response), "full");
        }
    }

    #[test]
    fn a_broken_pipe_that_no_answer_explains_is_a_failure_to_send() {
        for end in [Step::End, Step::Reset, bytes("HTTP/1.1 200")] {
            let never = Step::After(b"never".to_vec());
            let script = Script::new([never, end, Step::End]).broken_after(100_000);
            let (_, response) = send(script, upload(&mut Pieces::large()));
            assert!(matches!(response, Err(Failure::Send(_))));
        }
        let script = Script::new([Step::After(b"never".to_vec()), Step::End]).broken_after(0);
        let (_, response) = send(script, at_hand(b""));
        assert!(matches!(response, Err(Failure::Send(_))));
    }

    #[test]
    fn a_peer_that_ends_in_the_middle_has_given_no_answer() {
        let script = Script::new([Step::after_head(), Step::End]);
        let (_, response) = send(script, upload(&mut Pieces::large()));
        assert!(matches!(response, Err(Failure::CutShort)));
    }

    #[test]
    fn what_is_no_answer_ends_an_upload() {
        let script = Script::new([Step::after_head(), bytes("SSH-2.0-x\r\n")]);
        let (_, response) = send(script, upload(&mut Pieces::large()));
        assert!(matches!(response, Err(Failure::Malformed(_))));
    }

    #[test]
    fn a_source_that_fails_does_not_look_like_one_that_ended() {
        for pieces in [vec![], vec![b"abc".to_vec()], vec![vec![b'x'; CHUNK]; 2]] {
            let mut source = Pieces::new(pieces);
            source.fails = true;
            let (memory, response) = send(Script::new([]), upload(&mut source));
            match response.err() {
                Some(Failure::Source(error)) => assert_eq!(error.to_string(), "the disk is gone"),
                other => panic!("{other:?}"),
            }
            assert!(!memory.sent(0).ends_with(BODY_END));
            assert!(!memory.is_open(0));
        }
    }

    #[test]
    fn an_upload_that_stands_still_is_stalled_and_one_that_crawls_is_not() {
        let stalled = |script: Script| {
            let mut source = Pieces::large();
            let request = Request {
                stall: Some(Duration::from_millis(100)),
                ..upload(&mut source)
            };
            send(script, request).1
        };
        let failure = stalled(Script::new([]).full_after(200_000));
        assert!(matches!(failure, Err(Failure::Stalled)));
        let script = Script::new([Step::After(BODY_END.to_vec()), Step::reply(200, "ok")]);
        assert_eq!(body(stalled(script.taking_at_once(5_000))), "ok");
    }

    #[test]
    fn a_cancel_ends_an_upload_even_between_two_reads_of_its_source() {
        struct Endless<'c>(&'c Cancel, usize);
        impl Read for Endless<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.1 += 1;
                if self.1 == 5 {
                    self.0.cancel();
                }
                assert!(self.1 < 6, "read again after the cancel");
                buffer[0] = b'x';
                Ok(1)
            }
        }
        let cancel = Cancel::new();
        let memory = Memory::scripts([Script::new([])]);
        let mut source = Endless(&cancel, 0);
        let response = client(&memory).send(upload(&mut source), Wait::new(None, Some(&cancel)));
        assert!(matches!(response, Err(Failure::Stopped(Stop::Cancelled))));
    }

    #[cfg(unix)]
    #[test]
    fn an_engine_that_refuses_and_closes_with_most_of_it_unread_is_heard() {
        use std::io::Write;
        use std::os::unix::net::UnixListener;

        use crate::http::Client;
        use crate::transport::unix::UnixConnector;

        let path = format!("docker-store-sending-{}", std::process::id());
        let path = std::env::temp_dir().join(path);
        let listener = UnixListener::bind(&path).unwrap();
        let client = Client::new(Box::new(UnixConnector::new(&path)));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20 {
                    let (mut peer, _) = listener.accept().unwrap();
                    peer.read_exact(&mut [0; 100]).unwrap();
                    peer.write_all(b"HTTP/1.1 409 x\r\nContent-Length: 4\r\n\r\nbusy")
                        .unwrap();
                }
            });
            for _ in 0..10 {
                assert_eq!(
                    body(client.send(upload(&mut Pieces::large()), soon())),
                    "busy"
                );
                let large = vec![b'x'; 2_000_000];
                assert_eq!(body(client.send(at_hand(&large), soon())), "busy");
            }
        });
        std::fs::remove_file(&path).unwrap();
    }
}
