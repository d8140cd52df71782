//! Helpers that the tests of this layer share.

use std::time::Duration;

use super::{Body, Client, Failure, Method, Request, Response, Target};
use crate::transport::memory::{Memory, Script, Step};
use crate::wait::Wait;

/// A repeatable request without a body.
pub(super) fn request(method: Method) -> Request<'static> {
    Request {
        method,
        target: Target::new("/x"),
        headers: &[],
        body: Body::Empty,
        repeatable: true,
        upgrade: false,
        stall: None,
    }
}

pub(super) fn client(memory: &Memory) -> Client {
    Client::new(Box::new(memory.clone()))
}

/// A wait that ends a test that would otherwise hang.
pub(super) fn soon() -> Wait<'static> {
    Wait::unbounded().at_most(Duration::from_secs(20))
}

/// A short wait.
pub(super) fn briefly() -> Wait<'static> {
    Wait::unbounded().at_most(Duration::from_millis(20))
}

pub(super) fn bytes(bytes: impl AsRef<[u8]>) -> Step {
    Step::Bytes(bytes.as_ref().to_vec())
}

/// A peer that receives a request, sends `pieces`, and closes.
pub(super) fn saying<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Script {
    let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
    let steps = std::iter::once(Step::after_head())
        .chain(pieces.map(bytes))
        .chain([Step::End]);
    Script::new(steps)
}

/// Returns the response to a `request` to a peer that sends `pieces` and closes.
pub(super) fn answer<'a>(
    request: Request<'_>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Response, Failure> {
    client(&Memory::scripts([saying(pieces)])).send(request, soon())
}
