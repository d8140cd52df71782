//! [`Spool`]: bytes that arrive out of order, kept in an unnamed file.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::local as fs;
use crate::os;
use crate::store::access;

/// A file on the root's disk that disappears when the process ends, however it ends.
pub(super) struct Spool {
    file: File,
    length: u64,
}

impl Spool {
    /// Creates a spool; the file has the name `path` only briefly.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let made = access::open_with(&options, path).and_then(|file| {
            os::remove_open(path)?;
            Ok(Spool { file, length: 0 })
        });
        made.map_err(|e| Error::io(format!("creating the file {}", path.display()), &e))
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Returns the file, positioned at its start.
    pub(super) fn rewound(mut self) -> io::Result<File> {
        self.file.seek(SeekFrom::Start(0))?;
        Ok(self.file)
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        fs::room(self.length, bytes.len())?;
        let n = self.file.write(bytes)?;
        self.length += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
