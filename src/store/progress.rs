//! [`Progress`]: how far a long call has come, told to whoever wants to know.

use std::io::{self, Read};

use crate::engine::progress::Message;
use crate::error::{Error, Result};

/// How far a long call has come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// What is being done, in the engine's words: `Downloading`, `Extracting`, …
    pub status: &'a str,
    /// To which layer; empty where it concerns all.
    pub item: &'a str,
    /// Bytes done.
    pub current: u64,
    /// Bytes to do, or 0 where nobody knows.
    pub total: u64,
}

/// Takes reports between reads, on the calling thread. An error that it returns ends the call.
pub(crate) type Report<'a> = &'a mut dyn FnMut(Progress<'_>) -> Result<()>;

impl<'a> Progress<'a> {
    /// What an engine's message says; `None` where it says nothing.
    pub(crate) fn of(message: &'a Message) -> Option<Self> {
        (!message.status.is_empty()).then(|| Progress {
            status: &message.status,
            item: &message.id,
            current: message.detail.current,
            total: message.detail.total,
        })
    }
}

/// Reports what passes, and ends the stream when the report says so.
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

    /// The error with which the report ended the stream, if it did.
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
