//! [`Upgraded`]: a bare connection to which an engine has upgraded a request, for example to a container's standard streams.

use super::{Failure, Response};
use crate::os::Watched;
use crate::transport::{Fault, Moved};
use crate::wait::Wait;

/// A connection in both directions. It is closed when dropped.
///
/// An upgraded connection may be silent for as long as a build is, so only the wait bounds its calls.
pub(crate) struct Upgraded {
    response: Response,
}

impl Upgraded {
    pub(super) fn new(mut response: Response) -> Self {
        response.set_stall(None);
        Upgraded { response }
    }

    /// Waits for bytes and reads some, starting with those that came with the head; 0 is the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8], wait: Wait<'_>) -> Result<usize, Failure> {
        self.response.read(buffer, wait)
    }

    /// Waits until some of `out` (if not empty) can be sent or bytes arrive (if `buffer` is not empty), whichever is first, and
    /// does what is possible. Sending and receiving are combined because two sides that both send first would wait for each
    /// other forever.
    ///
    /// After [`Failure::Send`], [`read`](Self::read) may still return data.
    pub(crate) fn exchange(
        &mut self,
        out: &[u8],
        buffer: &mut [u8],
        wait: Wait<'_>,
    ) -> Result<Moved, Failure> {
        loop {
            let taken = self.response.take(buffer)?;
            if taken > 0 {
                return Ok(Moved {
                    sent: 0,
                    received: Some(taken),
                });
            }
            let pace = self.response.pace(wait);
            let (connection, decoder) = self.response.parts();
            let ended = decoder.is_done();
            if out.is_empty() && (ended || buffer.is_empty()) {
                return Ok(Moved {
                    sent: 0,
                    received: ended.then_some(0),
                });
            }
            // Received into the connection's own buffer, like any small read, and copied from there above.
            let space = match ended || buffer.is_empty() {
                true => &mut [],
                false => connection.received.space(),
            };
            let moved = connection.stream.exchange(out, space, pace.step());
            let moved = moved.map_err(|fault| match fault {
                Fault::Io(error) if out.is_empty() => Failure::Receive(error),
                Fault::Io(error) => Failure::Send(error),
                Fault::Stopped(stop) => pace.ended(stop),
            })?;
            let received = match moved.received {
                _ if ended => Some(0),
                None => None,
                Some(0) => {
                    decoder.ended()?;
                    Some(0)
                }
                Some(n) => {
                    connection.arrived(n);
                    match self.response.take(buffer)? {
                        // Only framing.
                        0 => None,
                        n => Some(n),
                    }
                }
            };
            if moved.sent > 0 || received.is_some() {
                return Ok(Moved {
                    sent: moved.sent,
                    received,
                });
            }
        }
    }

    /// Waits for bytes and reads some, 0 being the end, or until `other` has occurred: `None`.
    pub(crate) fn read_beside(
        &mut self,
        buffer: &mut [u8],
        other: Watched<'_>,
        wait: Wait<'_>,
    ) -> Result<Option<usize>, Failure> {
        loop {
            let taken = self.response.take(buffer)?;
            if taken > 0 {
                return Ok(Some(taken));
            }
            let pace = self.response.pace(wait);
            let (connection, decoder) = self.response.parts();
            if decoder.is_done() {
                return Ok(Some(0));
            }
            let space = connection.received.space();
            let read = connection.stream.read_beside(space, other, pace.step());
            match read.map_err(|fault| pace.receiving(fault))? {
                None => return Ok(None),
                Some(0) => {
                    decoder.ended()?;
                    return Ok(Some(0));
                }
                Some(n) => connection.arrived(n),
            }
        }
    }

    /// Says that no more will be sent: the end of standard input.
    pub(crate) fn close_write(&mut self) -> Result<(), Failure> {
        let (connection, _) = self.response.parts();
        connection
            .stream
            .close_write()
            .map_err(|fault| match fault {
                Fault::Io(error) => Failure::Send(error),
                Fault::Stopped(stop) => Failure::Stopped(stop),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{briefly, bytes, client, request, soon};
    use crate::http::{Client, Method, Request};
    use crate::transport::memory::{Memory, Script, Step};
    use crate::wait::Stop;

    const SWITCHING: &str = "HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n";

    fn upgrade(client: &Client) -> Upgraded {
        let request = Request {
            upgrade: true,
            repeatable: false,
            ..request(Method::Post)
        };
        client.send(request, soon()).unwrap().upgrade()
    }

    fn upgraded(script: Script) -> (Memory, Upgraded) {
        let memory = Memory::scripts([script]);
        let upgraded = upgrade(&client(&memory));
        (memory, upgraded)
    }

    fn read(upgraded: &mut Upgraded) -> Vec<u8> {
        let mut buffer = [0; 100];
        let n = upgraded.read(&mut buffer, soon()).unwrap();
        buffer[..n].to_vec()
    }

    #[test]
    fn bytes_that_came_with_the_head_come_first() {
        // Docker's form, Podman's form, and an old engine's.
        for head in [
            SWITCHING,
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\n",
        ] {
            let steps = [
                Step::after_head(),
                bytes(format!("{head}early")),
                bytes("late"),
                Step::End,
            ];
            let (memory, mut upgraded) = upgraded(Script::new(steps));
            assert_eq!(read(&mut upgraded), b"early");
            let moved = upgraded.exchange(b"input", &mut [], soon()).unwrap();
            assert_eq!(moved.sent, 5);
            upgraded.close_write().unwrap();
            assert!(memory.sent(0).ends_with(b"\r\n\r\ninput"));
            assert_eq!(read(&mut upgraded), b"late");
            assert_eq!(read(&mut upgraded), b"");
            drop(upgraded);
            assert!(!memory.is_open(0));
        }
    }

    #[test]
    fn an_upgrade_begins_on_a_new_connection_and_ends_with_it() {
        let kept = Script::new([Step::after_head(), Step::reply(200, "")]);
        let script = Script::new([Step::after_head(), bytes(SWITCHING)]);
        let memory = Memory::scripts([kept, script]);
        let client = client(&memory);
        drop(client.send(request(Method::Get), soon()).unwrap());
        let upgraded = upgrade(&client);
        assert_eq!(memory.connections(), 2);
        drop(upgraded);
        assert!(memory.is_open(0) && !memory.is_open(1));
    }

    #[test]
    fn both_directions_move_in_one_exchange() {
        let steps = [
            Step::after_head(),
            bytes(format!("{SWITCHING}early")),
            Step::After(b"abc".to_vec()),
            bytes("late"),
            Step::End,
        ];
        let (memory, mut upgraded) = upgraded(Script::new(steps).taking_at_once(200));
        let mut buffer = [0; 3];
        let mut exchange = |out: &[u8], buffer: &mut [u8]| {
            let moved = upgraded.exchange(out, buffer, soon()).unwrap();
            (moved.sent, moved.received)
        };
        assert_eq!(exchange(b"abc", &mut buffer), (0, Some(3)));
        assert_eq!(exchange(b"abc", &mut buffer), (0, Some(2)));
        assert_eq!(exchange(b"", &mut []), (0, None));
        assert_eq!(exchange(b"abc", &mut []), (3, None));
        assert_eq!(exchange(b"d", &mut buffer), (1, Some(3)));
        assert_eq!(exchange(b"", &mut buffer), (0, Some(1)));
        assert_eq!(exchange(b"", &mut buffer), (0, Some(0)));
        // The other side has closed its direction, but may still be reading.
        assert_eq!(exchange(b"e", &mut buffer), (1, Some(0)));
        assert!(memory.sent(0).ends_with(b"\r\n\r\nabcde"));
    }

    #[test]
    fn a_body_with_chunks_is_read_out_of_them() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let steps = [
            Step::after_head(),
            bytes(head),
            bytes("5\r\n"),
            bytes("hello\r\n"),
            bytes("0\r\n"),
            bytes("\r\n"),
        ];
        let (memory, mut upgraded) = upgraded(Script::new(steps));
        let mut buffer = [0; 100];
        let mut received = || {
            upgraded
                .exchange(b"", &mut buffer, soon())
                .unwrap()
                .received
        };
        assert_eq!(
            (received(), received(), received()),
            (Some(5), Some(0), Some(0))
        );
        drop(upgraded);
        assert!(!memory.is_open(0));
    }

    #[test]
    fn silence_is_allowed_for_as_long_as_the_wait() {
        let memory = Memory::scripts([Script::new([Step::after_head(), bytes(SWITCHING)])]);
        let request = Request {
            upgrade: true,
            stall: Some(std::time::Duration::from_millis(1)),
            ..request(Method::Post)
        };
        let mut upgraded = client(&memory).send(request, soon()).unwrap().upgrade();
        let stopped = upgraded.read(&mut [0; 1], briefly());
        assert!(matches!(stopped, Err(Failure::Stopped(Stop::TimedOut))));
        let stopped = upgraded.exchange(b"", &mut [0; 1], briefly());
        assert!(matches!(stopped, Err(Failure::Stopped(Stop::TimedOut))));
    }

    #[test]
    fn a_peer_that_takes_no_more_may_still_have_something_to_say() {
        let steps = [
            Step::after_head(),
            bytes(SWITCHING),
            Step::After(b"never".to_vec()),
            bytes("bye"),
            Step::End,
        ];
        let mut head = Vec::new();
        let request = Request {
            upgrade: true,
            ..request(Method::Post)
        };
        request.write_head(&mut head).unwrap();
        let (_, mut upgraded) = upgraded(Script::new(steps).broken_after(head.len()));
        let broken = upgraded.exchange(b"x", &mut [0; 1], soon());
        assert!(matches!(broken, Err(Failure::Send(_))));
        assert_eq!(read(&mut upgraded), b"bye");
        let broken = upgraded.exchange(b"x", &mut [], soon());
        assert!(matches!(broken, Err(Failure::Send(_))));
    }
}
