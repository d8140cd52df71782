//! The standard input of a command: bytes, or a file that may be silent.

use crate::error::{Error, ErrorKind, Result};
use crate::os::Watched;
use crate::store::step::command::Stdin;
use crate::store::step::input::InputFile;

/// The input of a command, and how much of it has been sent.
pub(super) struct Reader<'a> {
    source: Source<'a>,
    buffer: Vec<u8>,
    pub(super) sent: usize,
    filled: usize,
}

enum Source<'a> {
    Bytes(&'a [u8]),
    File(InputFile),
}

/// What to send next.
pub(super) enum Next<'a> {
    Bytes(&'a [u8]),
    /// Nothing yet: wait for this.
    Later(Watched<'a>),
    End,
}

impl<'a> Reader<'a> {
    /// Opens a command's input; returns `None` if there is none.
    pub(super) fn open(stdin: &'a Stdin) -> Result<Option<Self>> {
        let source = match stdin {
            Stdin::Nothing => return Ok(None),
            Stdin::Bytes(bytes) => Source::Bytes(bytes),
            Stdin::File(path) => {
                let bad = |e: std::io::Error| {
                    let why = format!("opening {}: {e}", path.display());
                    Error::new(ErrorKind::InvalidArgument, why).with_os_errno(e.raw_os_error())
                };
                Source::File(InputFile::at(path).map_err(bad)?)
            }
        };
        Ok(Some(Reader {
            source,
            buffer: vec![0; 64 << 10],
            sent: 0,
            filled: 0,
        }))
    }

    pub(super) fn next(&mut self) -> Result<Next<'_>> {
        if self.sent == self.filled {
            let n = match &mut self.source {
                Source::Bytes(bytes) => {
                    let (now, later) = bytes.split_at(bytes.len().min(self.buffer.len()));
                    self.buffer[..now.len()].copy_from_slice(now);
                    *bytes = later;
                    Some(now.len())
                }
                Source::File(file) => file
                    .try_read(&mut self.buffer)
                    .map_err(|e| Error::io("reading the command's input", &e))?,
            };
            self.sent = 0;
            self.filled = n.unwrap_or_default();
            match (n, &self.source) {
                (Some(0), _) => return Ok(Next::End),
                (None, Source::File(file)) => return Ok(Next::Later(file.watched())),
                _ => {}
            }
        }
        Ok(Next::Bytes(&self.buffer[self.sent..self.filled]))
    }
}
