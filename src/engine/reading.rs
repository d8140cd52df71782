//! A response's body as a [`Read`], for data that is passed on as a stream: tar files, exports.

use std::io::{self, Read};

use crate::engine::Engine;
use crate::error::Error;
use crate::http::{Failure, Response};
use crate::wait::Wait;

/// Reads a body, bounded by a [`Wait`]. Keeps the actual error for [`BodyReader::why`], because [`Read`] can only return an
/// [`io::Error`].
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

    /// Returns the error that a read ended with, if there was one.
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
            io::Error::other("the engine's response ended early")
        })
    }
}
