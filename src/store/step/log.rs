//! The log file of a step: everything that its commands write, in the order of arrival, up to the maximum size.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::store::access;
use crate::store::names::Id;
use crate::store::options::{LogFull, LogOptions};
use crate::store::paths::Paths;

/// How many bytes are reserved for the last line, which says how much was dropped.
const LAST_LINE: u64 = 120;

/// A log that is being written. Other processes may follow the file while it grows, so every piece is written immediately.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: Option<File>,
    path: PathBuf,
    options: LogOptions,
    begun: bool,
    written: u64,
    dropped: u64,
}

impl LogFile {
    /// Returns the log of `id`. The file is left unchanged until [`begin`](Self::begin).
    pub(crate) fn of(paths: &Paths, id: &Id, options: LogOptions) -> Self {
        LogFile {
            file: None,
            path: paths.log(id),
            options,
            begun: false,
            written: 0,
            dropped: 0,
        }
    }

    /// Removes the log of the previous attempt. A process that has it open can still read it to its end.
    pub(crate) fn remove_old(&self) {
        let _ = fs::remove_file(&self.path);
    }

    /// Starts the log again, as a new file.
    pub(crate) fn begin(&mut self, paths: &Paths) -> Result<()> {
        let file = paths.in_folders(|| {
            access::create_log(&self.path)
                .map_err(|e| Error::io(format!("creating the log {}", self.path.display()), &e))
        })?;
        self.file = Some(file);
        self.begun = true;
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(file) = self.file.as_mut() else {
            return Err(Error::new(
                ErrorKind::Internal,
                "a log was written before it began",
            ));
        };
        // Checked each time, because the host may change its limit; and before the write, which would otherwise raise SIGXFSZ.
        let (system, asked) = (fs::longest_file(), self.options.most.unwrap_or(u64::MAX));
        let most = match self.options.full {
            LogFull::Drop => system.min(asked).saturating_sub(LAST_LINE),
            LogFull::Fail => system.min(asked),
        };
        let room = usize::try_from(most.saturating_sub(self.written)).unwrap_or(usize::MAX);
        // Once something was dropped, nothing is written after it.
        let kept = match self.dropped {
            0 => bytes.len().min(room),
            _ => 0,
        };
        file.write_all(&bytes[..kept])
            .map_err(|e| Error::io(format!("writing the log {}", self.path.display()), &e))?;
        self.written += kept as u64;
        let over = (bytes.len() - kept) as u64;
        match self.options.full {
            _ if over == 0 => Ok(()),
            LogFull::Drop => {
                self.dropped += over;
                Ok(())
            }
            LogFull::Fail => Err(self.is_full(system, asked)),
        }
    }

    fn is_full(&self, system: u64, asked: u64) -> Error {
        let why = match system < asked {
            true => {
                format!("this process may write files of up to {system} bytes (RLIMIT_FSIZE)")
            }
            false => format!("the store was opened with a limit of {asked} bytes"),
        };
        let text = format!("writing the log {}: {why}", self.path.display());
        Error::new(ErrorKind::Io, text).with_os_errno(Some(fs::TOO_LARGE))
    }

    /// Returns whether it was started.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Ends the log: writes how much was dropped.
    pub(crate) fn end(&mut self) {
        if let (Some(mut file), 1..) = (self.file.take(), self.dropped) {
            let line = format!(
                "\n[{} more bytes were not kept: the log is full]\n",
                self.dropped
            );
            let fits = fs::room(self.written, line.len()).is_ok()
                && self.options.most.unwrap_or(u64::MAX) >= self.written + line.len() as u64;
            if let (true, Err(e)) = (fits, file.write_all(line.as_bytes())) {
                ::log::warn!("writing the log {}: {e}", self.path.display());
            }
        }
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        self.end();
    }
}
