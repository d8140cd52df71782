//! One request: the versioned path, the limits on its time, and a failure converted to an [`Error`] that says what was being
//! done, to what, and what the engine answered.

use std::fmt::Display;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::engine::Engine;
use crate::engine::answer::{self, Fault};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Body, Failure, Method, Request, Response, Target};
use crate::wait::{Stop, Wait};

/// The maximum time of a request that only looks something up or changes a name. It takes milliseconds, and seconds on a
/// machine that swaps. A longer time would only hold up a caller whose engine hangs.
pub(crate) const QUICK: Duration = Duration::from_secs(60);

/// The maximum time to wait for a removal: the engine kills, unmounts and unlinks. One that takes longer hangs. It is longer
/// than for other requests because a volume may contain millions of files.
pub(crate) const REMOVAL: Duration = Duration::from_secs(300);

/// The maximum size of an error's text. It is more than a message shows, because the text is also searched for known phrases.
const ERROR_LIMIT: usize = 64 << 10;

/// The body of a request.
pub(crate) enum Send<'a> {
    Nothing,
    Json(&'a serde_json::Value),
    /// A tar stream, and how long the engine may stall.
    Tar(&'a mut dyn std::io::Read, Duration),
}

/// A request, without its time limits.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) send: Send<'a>,
    /// Whether repeating the request has the same effect as sending it once.
    pub(crate) repeatable: bool,
    pub(crate) upgrade: bool,
    /// The value of `X-Registry-Auth`, for pulls and pushes.
    pub(crate) registry_auth: Option<&'a str>,
}

impl<'a> Call<'a> {
    fn new(method: Method, target: Target, repeatable: bool) -> Self {
        Call {
            method,
            target,
            send: Send::Nothing,
            repeatable,
            upgrade: false,
            registry_auth: None,
        }
    }

    pub(crate) fn get(target: Target) -> Self {
        Call::new(Method::Get, target, true)
    }

    pub(crate) fn head(target: Target) -> Self {
        Call::new(Method::Head, target, true)
    }

    pub(crate) fn post(target: Target) -> Self {
        Call::new(Method::Post, target, false)
    }

    pub(crate) fn put(target: Target) -> Self {
        Call::new(Method::Put, target, false)
    }

    /// Repeating a deletion has the same effect; [`Engine::removes`] interprets the second response (404).
    pub(crate) fn delete(target: Target) -> Self {
        Call::new(Method::Delete, target, true)
    }

    pub(crate) fn sending(mut self, send: Send<'a>) -> Self {
        self.send = send;
        self
    }

    pub(crate) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    pub(crate) fn upgrading(mut self) -> Self {
        self.upgrade = true;
        self
    }
}

impl Engine {
    /// Sends `call` and returns the response if its status is below 400. `doing` is only formatted for an error.
    pub(super) fn call(
        &self,
        doing: &dyn Display,
        call: Call<'_>,
        wait: Wait<'_>,
    ) -> Result<Response> {
        let response = self.answer(doing, call, wait)?;
        self.good(doing, response, wait)
    }

    /// Sends the request and returns any response.
    fn answer(&self, doing: &dyn Display, call: Call<'_>, wait: Wait<'_>) -> Result<Response> {
        let json;
        let mut stall = None;
        let body = match call.send {
            Send::Nothing => Body::Empty,
            Send::Json(value) => {
                json = value.to_string();
                Body::Bytes {
                    content_type: "application/json",
                    bytes: json.as_bytes(),
                }
            }
            Send::Tar(source, limit) => {
                stall = Some(limit);
                Body::Stream {
                    content_type: "application/x-tar",
                    source,
                }
            }
        };
        let auth = call.registry_auth.map(|auth| ("X-Registry-Auth", auth));
        let mut sending = body;
        let mut target = call.target;
        let mut is_again = false;
        loop {
            let again = match sending {
                Body::Empty => Some(Body::Empty),
                Body::Bytes {
                    content_type,
                    bytes,
                } => Some(Body::Bytes {
                    content_type,
                    bytes,
                }),
                // It can be read only once.
                Body::Stream { .. } => None,
            };
            let request = Request {
                method: call.method,
                target: target.clone(),
                headers: auth.as_slice(),
                body: sending,
                repeatable: call.repeatable,
                upgrade: call.upgrade,
                stall,
            };
            let response = self.client.send(request, wait);
            let response = response.map_err(|f| self.failed(doing, f))?;
            let is_refused = response.status() == 400;
            if response.is_first() || is_refused {
                self.heard(&response);
            }
            // Another engine may answer than the one with which the version was agreed on, and may have refused the request
            // unread because of the version.
            let other = (is_refused && !is_again)
                .then(|| target.clone().at_version(&self.path_start()))
                .filter(|other| *other != target);
            match (again, other) {
                (Some(again), Some(other)) => {
                    response.drain(wait).map_err(|f| self.failed(doing, f))?;
                    (sending, target, is_again) = (again, other, true);
                }
                _ => return Ok(response),
            }
        }
    }

    fn good(&self, doing: &dyn Display, response: Response, wait: Wait<'_>) -> Result<Response> {
        match response.status() {
            // 101 is an upgrade, 304 "started already". Any other redirection means that a path was misinterpreted.
            101 | 200..=299 | 304 => Ok(response),
            status => Err(self.refused(doing, status, response, wait)),
        }
    }

    /// Sends a request whose response contains only a status.
    pub(super) fn done(&self, doing: &dyn Display, call: Call<'_>, wait: Wait<'_>) -> Result<()> {
        let response = self.call(doing, call, wait)?;
        response.drain(wait).map_err(|f| self.failed(doing, f))
    }

    /// Returns whether the object of the request exists: a 404 is a valid response.
    pub(super) fn exists(
        &self,
        doing: &dyn Display,
        call: Call<'_>,
        wait: Wait<'_>,
    ) -> Result<bool> {
        let is_head = matches!(call.method, Method::Head);
        let mut response = self.answer(doing, call, wait)?;
        let is_there = response.status() != 404;
        if is_there {
            response = self.good(doing, response, wait)?;
        } else if !is_head {
            self.words_of_absence(doing, &mut response, wait)?;
        }
        response.drain(wait).map_err(|f| self.failed(doing, f))?;
        Ok(is_there)
    }

    /// Reads the body of a 404, which has one unless the request was a HEAD. The body shows that the engine itself says that
    /// the object does not exist, and not another server in its place, or an engine that does not know the request.
    fn words_of_absence(
        &self,
        doing: &dyn Display,
        response: &mut Response,
        wait: Wait<'_>,
    ) -> Result<Vec<u8>> {
        // Without the message it is unknown what was not found.
        let body = response.read_whole(ERROR_LIMIT, wait);
        let body = body.map_err(|f| self.failed(doing, f))?;
        if is_of_an_object(&body) {
            return Ok(body);
        }
        let why = format!(
            "{doing}: the server at {} does not know this request: 404: {}",
            self.address(),
            said(&body)
        );
        Err(Error::new(ErrorKind::Unsupported, why).with_http_status(404))
    }

    /// Sends a request that removes something. Returns `false` if it did not exist; except if the request had to be sent twice,
    /// because the first may have removed what the second does not find.
    pub(super) fn removes(
        &self,
        doing: &dyn Display,
        call: Call<'_>,
        wait: Wait<'_>,
    ) -> Result<bool> {
        let mut response = self.answer(doing, call, wait)?;
        let removed = match response.status() {
            404 => {
                self.words_of_absence(doing, &mut response, wait)?;
                response.was_repeated()
            }
            _ => {
                response = self.good(doing, response, wait)?;
                true
            }
        };
        response.drain(wait).map_err(|f| self.failed(doing, f))?;
        Ok(removed)
    }

    /// The same for a request that may take at most `limit`. If there was no response in that time, or it failed, the engine
    /// may have removed the object anyway: so it is checked whether the object still exists.
    pub(super) fn removes_for_sure(
        &self,
        doing: &dyn Display,
        call: Call<'_>,
        limit: Duration,
        wait: Wait<'_>,
        is_there: impl FnOnce() -> Result<bool>,
    ) -> Result<bool> {
        match self.removes(doing, call, wait.at_most(limit)) {
            Err(e) if e.may_go_on() && wait.left().is_ok() => match is_there() {
                Ok(false) => Ok(true),
                _ => Err(e),
            },
            removed => removed,
        }
    }

    /// Sends a request whose response is one JSON value.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        doing: &dyn Display,
        call: Call<'_>,
        wait: Wait<'_>,
    ) -> Result<T> {
        let response = self.call(doing, call, wait)?;
        self.parse(doing, response, wait)
    }

    /// Parses the JSON value of a response whose head was read.
    pub(super) fn parse<T: DeserializeOwned>(
        &self,
        doing: &dyn Display,
        response: Response,
        wait: Wait<'_>,
    ) -> Result<T> {
        answer::value(response, wait).map_err(|fault| match fault {
            Fault::Failure(failure) => self.failed(doing, failure),
            Fault::Senseless(e) => {
                let why = format!(
                    "{doing}: unexpected response from the engine at {}: {e}",
                    self.address()
                );
                // The response is complete: a retry would return the same one.
                Error::new(ErrorKind::Engine, why)
            }
        })
    }

    /// Returns the error for a request without a complete response.
    pub(super) fn failed(&self, doing: &dyn Display, failure: Failure) -> Error {
        let at = self.address();
        let io = |kind, what: &str, e: &std::io::Error| {
            Error::new(kind, format!("{doing}: {what} the engine at {at}: {e}"))
                .with_os_errno(e.raw_os_error())
        };
        match failure {
            Failure::Unsendable(why) => {
                Error::new(ErrorKind::InvalidArgument, format!("{doing}: {why}"))
            }
            Failure::Connect(e) => io(ErrorKind::Unreachable, "cannot reach", &e),
            Failure::Send(e) => io(
                ErrorKind::CutShort,
                "lost the connection while sending to",
                &e,
            ),
            Failure::Receive(e) => io(
                ErrorKind::CutShort,
                "lost the connection while receiving from",
                &e,
            ),
            Failure::Source(e) => {
                Error::io(format_args!("{doing}: reading what was to be sent"), &e)
            }
            Failure::CutShort => Error::new(
                ErrorKind::CutShort,
                format!(
                    "{doing}: the engine at {at} closed the connection in the middle of its response"
                ),
            ),
            Failure::Malformed(why) => Error::new(
                ErrorKind::Unsupported,
                format!("{doing}: the server at {at} does not speak HTTP: {why}"),
            ),
            Failure::TooLarge(what) => Error::new(
                ErrorKind::Engine,
                format!("{doing}: the response of the engine at {at} is too large: {what}"),
            ),
            Failure::Stalled => Error::new(
                ErrorKind::TimedOut,
                format!("{doing}: the engine at {at} stopped receiving or sending data"),
            ),
            Failure::Stopped(stop) => stopped(doing, stop),
        }
    }

    /// Returns the error for a response whose status is 400 or more.
    fn refused(
        &self,
        doing: &dyn Display,
        status: u16,
        mut response: Response,
        wait: Wait<'_>,
    ) -> Error {
        let wait = wait.at_most(QUICK);
        let text = match status {
            404 => match self.words_of_absence(doing, &mut response, wait) {
                Ok(body) => said(&body),
                Err(e) => return e,
            },
            // The status alone still says what happened.
            _ => response.read_whole(ERROR_LIMIT, wait).map_or_else(
                |_| String::from("(its message could not be read)"),
                |body| said(&body),
            ),
        };
        let kind = match status {
            // The engine's oldest API is newer than this library's, or its newest is older.
            400 if text.contains("client version") && text.contains("API version") => {
                ErrorKind::Unsupported
            }
            400 => ErrorKind::InvalidArgument,
            404 => ErrorKind::NotFound,
            // Docker's own words for a second removal of one container (moby daemon/delete.go).
            409 if text.contains("is already in progress") => ErrorKind::InProgress,
            409 => ErrorKind::Conflict,
            _ => ErrorKind::Engine,
        };
        Error::new(
            kind,
            format!("{doing}: the engine answered {status}: {text}"),
        )
        .with_http_status(status)
        .with_said(text)
    }
}

/// Returns whether this 404 says that some object does not exist: it has a message, as Docker's and Podman's have, and not that
/// of an unknown request (`page not found` in moby's `api/server/server.go`; Podman sends it as plain text).
fn is_of_an_object(body: &[u8]) -> bool {
    let has = |part: &[u8]| body.windows(part.len()).any(|window| window == part);
    has(b"\"message\"") && !has(b"page not found")
}

/// Returns the error of a wait that was ended.
pub(crate) fn stopped(doing: &dyn Display, stop: Stop) -> Error {
    match stop {
        Stop::Cancelled => Error::new(ErrorKind::Cancelled, format!("{doing}: cancelled")),
        Stop::TimedOut => Error::new(ErrorKind::TimedOut, format!("{doing}: the deadline passed")),
    }
}

/// Returns the engine's message, from `{"message": …}` (Docker), `{"cause", "message", "response"}` (Podman) or plain text.
fn said(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    let text = match serde_json::from_slice::<Said>(body) {
        Ok(said) => said.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    one_line(&text)
}

/// Returns a message on one line, whatever the engine put in it.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn the_daemons_message_is_kept_as_one_line_in_every_shape_it_comes_in() {
        assert_eq!(
            said(br#"{"message":"No such image: x\n"}"#),
            "No such image: x"
        );
        assert_eq!(said(br#"{"cause":"a","message":"b","response":404}"#), "b");
        assert_eq!(said(b"page not found\r\n"), "page not found");
        assert_eq!(said(b"\xff"), "\u{fffd}");
    }
}
