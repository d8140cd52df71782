//! The log file of a step: everything its commands write, in the order in which it arrives.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::store::names::Id;
use crate::store::paths::Paths;

/// A log that is being written. Followers read the file while it grows: every piece is written at once.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: Option<File>,
    path: PathBuf,
}

impl LogFile {
    /// The log of `id`, which keeps what it has until [`begin`](Self::begin).
    pub(crate) fn of(paths: &Paths, id: &Id) -> Self {
        LogFile {
            file: None,
            path: paths.log(id),
        }
    }

    /// Starts it anew, as another file: who still reads that of the try before reads it to its end.
    pub(crate) fn begin(&mut self, paths: &Paths) -> Result<()> {
        let _ = fs::remove_file(&self.path);
        let file = match fs::create(&self.path) {
            // Somebody removed the folder under our feet; it holds nothing that is still needed.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                paths.make_folders()?;
                fs::create(&self.path)
            }
            made => made,
        };
        let file =
            file.map_err(|e| Error::io(format!("creating the log {}", self.path.display()), &e))?;
        self.file = Some(file);
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(file) = self.file.as_mut() else {
            return Err(Error::new(
                ErrorKind::Internal,
                "a log was written before it began",
            ));
        };
        file.write_all(bytes)
            .map_err(|e| Error::io(format!("writing the log {}", self.path.display()), &e))
    }
}
