//! [`Progress`]: reports the progress of a long call.

use std::io::{self, Read};

use crate::engine::progress::Message;
use crate::error::{Error, Result};

/// The progress of a long call.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// The engine's description of what it does: `Downloading`, `Extracting`, …
    pub status: &'a str,
    /// The layer that it applies to; empty for all.
    pub item: &'a str,
    /// Bytes done.
    pub current: u64,
    /// Bytes in total, or 0 if unknown.
    pub total: u64,
}

/// Receives reports between reads, on the calling thread. If it returns an error, the call ends.
pub(crate) type Report<'a> = &'a mut dyn FnMut(Progress<'_>) -> Result<()>;

impl<'a> Progress<'a> {
    /// Returns what an engine's message reports; `None` if it reports no progress.
    pub(crate) fn of(message: &'a Message) -> Option<Self> {
        (!message.status.is_empty()).then(|| Progress {
            status: &message.status,
            item: &message.id,
            current: message.detail.current,
            total: message.detail.total,
        })
    }
}

/// Reports the bytes that pass, and ends the stream if the report returns an error.
pub(crate) struct Counted<'a, 'b> {
    source: &'a mut dyn Read,
    status: &'static str,
    bytes: u64,
    report: Report<'b>,
    stopped: Option<Error>,
}

impl<'a, 'b> Counted<'a, 'b> {
    pub(crate) fn new(source: &'a mut dyn Read, status: &'static str, report: Report<'b>) -> Self {
        Counted {
            source,
            status,
            bytes: 0,
            report,
            stopped: None,
        }
    }

    /// Returns the error with which the report ended the stream, if it did.
    pub(crate) fn stopped(&mut self) -> Option<Error> {
        self.stopped.take()
    }
}

impl Read for Counted<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.bytes += n as u64;
        let progress = Progress {
            status: self.status,
            item: "",
            current: self.bytes,
            total: 0,
        };
        match (self.report)(progress) {
            Ok(()) => Ok(n),
            Err(e) => {
                self.stopped = Some(e);
                Err(io::Error::other("the caller ended it"))
            }
        }
    }
}
