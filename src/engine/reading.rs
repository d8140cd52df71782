//! An answer's body as a [`Read`], for what is streamed on: tar files, exports.

use std::io::{self, Read};

use crate::engine::Engine;
use crate::error::Error;
use crate::http::{Failure, Response};
use crate::wait::Wait;

/// Reads a body under a [`Wait`]. An error keeps what really happened for [`BodyReader::why`], since [`Read`] can only
/// carry an [`io::Error`].
pub(crate) struct BodyReader<'a> {
    engine: &'a Engine,
    response: Response,
    wait: Wait<'a>,
    doing: String,
    failure: Option<Failure>,
}

impl<'a> BodyReader<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        doing: String,
        response: Response,
        wait: Wait<'a>,
    ) -> Self {
        BodyReader {
            engine,
            response,
            wait,
            doing,
            failure: None,
        }
    }

    /// The error that a read ended with, if one did.
    pub(crate) fn why(&mut self) -> Option<Error> {
        self.failure
            .take()
            .map(|f| self.engine.failed(&self.doing, f))
    }
}

impl Read for BodyReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.response.read(buffer, self.wait).map_err(|failure| {
            self.failure = Some(failure);
            io::Error::other("the engine's answer ended early")
        })
    }
}
