//! [`Client`]: requests to one engine, over connections that are reused.

use std::sync::Arc;
use std::time::Duration;

use super::connection::{Connection, Pace};
use super::head::Head;
use super::pool::Pool;
use super::sending::Outgoing;
use super::{Failure, Method, Request, Response};
use crate::process::Process;
use crate::transport::{Connect, Fault};
use crate::wait::Wait;

/// Speaks HTTP with one engine. Shared by all threads; each request uses a connection exclusively.
pub(crate) struct Client {
    /// Dropped before the connector, which may have to wait until its connections have ended.
    pool: Arc<Pool>,
    connector: Box<dyn Connect>,
    /// A forked child does not send requests to the engine: cleaning up is its parent's task.
    process: Process,
}

impl Client {
    /// Creates a client without connections.
    pub(crate) fn new(connector: Box<dyn Connect>) -> Client {
        Client {
            connector,
            pool: Arc::default(),
            process: Process::this(),
        }
    }

    /// Returns the engine's address in human-readable form.
    pub(crate) fn address(&self) -> &str {
        self.connector.address()
    }

    /// Closes the idle connections.
    pub(crate) fn close_idle(&self) {
        self.pool.clear();
    }

    /// Sends `request` and waits for the head of the response, whatever its status.
    ///
    /// An engine may close a kept connection at any moment, so that the request on it is lost. It may also have been carried
    /// out, so only a [repeatable](Request::repeatable) one is sent once more, on a new connection.
    pub(crate) fn send(&self, request: Request<'_>, wait: Wait<'_>) -> Result<Response, Failure> {
        self.process.check().map_err(Failure::Connect)?;
        let pace = Pace {
            wait,
            stall: request.stall,
        };
        let repeatable = request.repeatable;
        let acts = !matches!(request.method, Method::Get | Method::Head);
        let upgrade = request.upgrade;
        let mut outgoing = Outgoing::new(request)?;
        // An upgraded connection is never reused, and a source cannot be read twice: such requests start on a new connection.
        let kept = match outgoing.is_replayable() && !upgrade {
            true => self.pool.take(),
            false => None,
        };
        // The outcome of the first try, if it may have had an effect.
        let mut first = None;
        if let Some(mut connection) = kept {
            match outgoing.converse(&mut connection, pace) {
                Err(failure @ (Failure::Send(_) | Failure::Receive(_) | Failure::CutShort))
                    if repeatable && !connection.has_heard() =>
                {
                    log::debug!("{}: a kept connection was closed", self.address());
                    // The other connections are as old, and most likely from before the same restart.
                    self.pool.clear();
                    first = Some(failure).filter(|_| acts);
                }
                head => return self.response(connection, head?, upgrade, pace.stall),
            }
        }
        let stream = match (self.connector.connect(pace.step()), &mut first) {
            (Ok(stream), _) => stream,
            // "Nothing was sent" would not be true.
            (Err(Fault::Io(_)), Some(_)) => return Err(first.take().unwrap_or(Failure::CutShort)),
            (Err(Fault::Io(error)), None) => return Err(Failure::Connect(error)),
            (Err(Fault::Stopped(stop)), _) => return Err(pace.ended(stop)),
        };
        let mut connection = Connection::new(stream);
        let head = outgoing.converse(&mut connection, pace)?;
        let mut response = self.response(connection, head, upgrade, pace.stall)?;
        response.set_repeated(first.is_some());
        response.set_first();
        Ok(response)
    }

    /// Returns the response that starts with `head`, unless that is not a valid one.
    fn response(
        &self,
        connection: Connection,
        head: Head,
        upgrade: bool,
        stall: Option<Duration>,
    ) -> Result<Response, Failure> {
        if head.status == 101 && !upgrade {
            return Err(Failure::Malformed(String::from(
                "an upgrade that was not requested",
            )));
        }
        Ok(Response::new(
            connection,
            head,
            stall,
            Arc::clone(&self.pool),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use super::*;
    use crate::cancel::Cancel;
    use crate::http::testing::{bytes, client, request, soon};
    use crate::http::{Body, Target};
    use crate::transport::memory::{Memory, Script, Step};
    use crate::wait::Stop;

    /// A peer that answers one request, and does `then` when it receives another.
    fn once_and_then(then: impl IntoIterator<Item = Step>) -> Script {
        let first = [
            Step::after_head(),
            Step::reply(200, "one"),
            Step::after_head(),
        ];
        Script::new(first.into_iter().chain(then))
    }

    fn ask(client: &Client, request: Request<'_>) -> Result<String, Failure> {
        let mut response = client.send(request, soon())?;
        let body = response.read_whole(1000, soon())?;
        Ok(String::from_utf8(body).unwrap())
    }

    fn get() -> Request<'static> {
        request(Method::Get)
    }

    fn post() -> Request<'static> {
        Request {
            repeatable: false,
            ..request(Method::Post)
        }
    }

    #[test]
    fn a_connection_is_used_again() {
        let memory = Memory::answering(|asked| vec![Step::reply(200, &asked.target)]);
        let client = client(&memory);
        for _ in 0..3 {
            assert_eq!(ask(&client, get()).unwrap(), "/x");
        }
        assert_eq!(memory.connections(), 1);
        client.close_idle();
        assert!(!memory.is_open(0));
        assert_eq!(ask(&client, get()).unwrap(), "/x");
        assert_eq!(memory.connections(), 2);
    }

    #[test]
    fn a_kept_connection_that_dies_unheard_is_replaced_for_what_may_be_repeated() {
        for death in [Step::End, Step::Reset] {
            let two = Script::new([Step::after_head(), Step::reply(200, "two")]);
            let memory = Memory::scripts([once_and_then([death]), two]);
            let client = client(&memory);
            assert_eq!(ask(&client, get()).unwrap(), "one");
            assert_eq!(ask(&client, get()).unwrap(), "two");
            assert_eq!(memory.connections(), 2);
            let request = String::from_utf8(memory.sent(1)).unwrap();
            assert_eq!(
                String::from_utf8(memory.sent(0)).unwrap(),
                request.repeat(2)
            );
        }
    }

    #[test]
    fn a_kept_connection_that_takes_nothing_any_more_is_replaced() {
        let mut sent = Vec::new();
        get().write_head(&mut sent).unwrap();
        let one = once_and_then([Step::End]).broken_after(sent.len());
        let two = Script::new([Step::after_head(), Step::reply(200, "two")]);
        let memory = Memory::scripts([one, two]);
        let client = client(&memory);
        assert_eq!(ask(&client, get()).unwrap(), "one");
        assert_eq!(ask(&client, get()).unwrap(), "two");
    }

    #[test]
    fn a_large_body_at_hand_is_repeated_whole() {
        let body = vec![b'x'; 300_000];
        let large = || Request {
            body: Body::Bytes {
                content_type: "text/plain",
                bytes: &body,
            },
            ..request(Method::Put)
        };
        let two = Script::new([Step::after_head(), Step::reply(200, "two")]);
        let memory = Memory::scripts([once_and_then([Step::End]), two]);
        let client = client(&memory);
        assert_eq!(ask(&client, get()).unwrap(), "one");
        assert_eq!(ask(&client, large()).unwrap(), "two");
        assert!(memory.sent(1).ends_with(&body));
    }

    #[test]
    fn what_may_not_be_repeated_is_not() {
        for (death, failed) in [(Step::End, "CutShort"), (Step::Reset, "Receive")] {
            let memory = Memory::scripts([once_and_then([death]), Script::new([])]);
            let client = client(&memory);
            assert_eq!(ask(&client, get()).unwrap(), "one");
            let failure = format!("{:?}", ask(&client, post()).unwrap_err());
            assert!(failure.starts_with(failed), "{failure}");
            assert_eq!(memory.connections(), 1);
        }
    }

    #[test]
    fn nothing_is_repeated_once_a_byte_was_heard() {
        for heard in ["H", "HTTP/1.1 100 Continue\r\n\r\n"] {
            let memory = Memory::scripts([once_and_then([bytes(heard), Step::End])]);
            let client = client(&memory);
            assert_eq!(ask(&client, get()).unwrap(), "one");
            assert!(matches!(ask(&client, get()), Err(Failure::CutShort)));
            assert_eq!(memory.connections(), 1);
        }
    }

    #[test]
    fn a_new_connection_that_dies_is_a_failure_at_once() {
        let memory = Memory::scripts([Script::new([Step::after_head(), Step::End])]);
        assert!(matches!(
            ask(&client(&memory), get()),
            Err(Failure::CutShort)
        ));
        assert_eq!(memory.connections(), 1);
    }

    #[test]
    fn a_second_death_is_not_answered_with_a_third_try() {
        let dead = Script::new([Step::after_head(), Step::End]);
        let memory = Memory::scripts([once_and_then([Step::End]), dead.clone(), dead]);
        let client = client(&memory);
        assert_eq!(ask(&client, get()).unwrap(), "one");
        assert!(matches!(ask(&client, get()), Err(Failure::CutShort)));
        assert_eq!(memory.connections(), 2);
    }

    #[test]
    fn a_connection_seen_to_be_dead_costs_even_the_unrepeatable_nothing() {
        let one = Script::new([Step::after_head(), Step::reply(200, "one"), Step::End]);
        let two = Script::new([Step::after_head(), Step::reply(200, "two")]);
        let memory = Memory::scripts([one, two]);
        let client = client(&memory);
        assert_eq!(ask(&client, get()).unwrap(), "one");
        assert_eq!(ask(&client, post()).unwrap(), "two");
    }

    #[test]
    fn no_engine_at_the_address_is_a_failure_to_connect() {
        let memory = Memory::scripts([]);
        assert!(matches!(
            ask(&client(&memory), get()),
            Err(Failure::Connect(_))
        ));
    }

    #[test]
    fn what_cannot_be_sent_asks_for_no_connection() {
        let memory = Memory::scripts([]);
        let hostile = Request {
            target: Target::new("/images").segment(".."),
            ..get()
        };
        assert!(matches!(
            ask(&client(&memory), hostile),
            Err(Failure::Unsendable(_))
        ));
    }

    #[test]
    fn a_call_that_is_over_sends_nothing() {
        let memory = Memory::answering(|_| vec![Step::reply(200, "")]);
        let client = client(&memory);
        assert_eq!(ask(&client, get()).unwrap(), "");
        let before = memory.sent(0);
        let cancel = Cancel::new();
        cancel.cancel();
        for (wait, stop) in [
            (Wait::new(None, Some(&cancel)), Stop::Cancelled),
            (Wait::new(Some(Instant::now()), None), Stop::TimedOut),
        ] {
            let failure = client.send(get(), wait).err();
            assert_eq!(format!("{failure:?}"), format!("Some(Stopped({stop:?}))"));
        }
        assert_eq!(memory.sent(0), before);
    }

    #[test]
    fn silence_is_a_stall_only_where_a_stall_is_bounded() {
        let silent = Script::new([]);
        let memory = Memory::scripts([silent.clone(), silent]);
        let client = client(&memory);
        let patient = Request {
            stall: Some(Duration::from_millis(20)),
            ..get()
        };
        assert!(matches!(
            client.send(patient, soon()),
            Err(Failure::Stalled)
        ));
        let briefly = Wait::unbounded().at_most(Duration::from_millis(20));
        let failure = client.send(get(), briefly).err();
        assert!(matches!(failure, Some(Failure::Stopped(Stop::TimedOut))));
        assert!(!memory.is_open(0) && !memory.is_open(1));
    }

    #[test]
    fn an_upgrade_that_nobody_asked_for_is_no_answer() {
        let upgrade = "HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n";
        let memory = Memory::scripts([Script::new([Step::after_head(), bytes(upgrade)])]);
        assert!(matches!(
            ask(&client(&memory), get()),
            Err(Failure::Malformed(_))
        ));
        assert!(!memory.is_open(0));
    }

    #[test]
    fn many_threads_share_few_connections() {
        let memory = Memory::answering(|asked| vec![Step::reply(200, &asked.target)]);
        let client = client(&memory);
        let served = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..64 {
                let (client, served) = (&client, &served);
                scope.spawn(move || {
                    for call in 0..50 {
                        let name = format!("{thread}-{call}");
                        let request = Request {
                            target: Target::new("/t").segment(&name),
                            ..get()
                        };
                        assert_eq!(ask(client, request).unwrap(), format!("/t/{name}"));
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(served.into_inner(), 3200);
        assert!(memory.connections() < 320, "{}", memory.connections());
    }
}
