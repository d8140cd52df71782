//! Reads a build's log while another process writes it: for `dstore log -f`, and for callers that wait for a build to end.
//!
//! Another attempt of a build creates another file, so output of one attempt is never mixed with the next one's.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::engine::stopped;
use crate::error::{Error, Result};
use crate::local as fs;
use crate::os;
use crate::store::names::Id;
use crate::store::note::Note;
use crate::store::site::Site;
use crate::wait::Wait;

/// The maximum size of a piece of a log. It is smaller than for tar streams, because a follower wants to see output soon.
const PIECE: usize = 64 << 10;

/// A piece of a build's log: as it was written, not split at line boundaries.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LogPiece<'a> {
    /// Which attempt of the build wrote it, from 1. A higher number than before means that the previous attempt ended without a
    /// result, and this is the log of another one, from its start.
    pub attempt: u32,
    /// The bytes; at least one.
    pub bytes: &'a [u8],
}

/// Receives the pieces.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(LogPiece<'_>) -> Result<()>;

/// Reads the log of a build while it grows; see [`Store::follow_log`](crate::Store::follow_log).
#[derive(Debug)]
pub struct LogFollower {
    path: PathBuf,
    file: Option<File>,
    attempt: u32,
    /// Whether anything of this attempt was read.
    begun: bool,
    buffer: Vec<u8>,
}

impl LogFollower {
    pub(crate) fn of(path: PathBuf) -> Self {
        LogFollower {
            path,
            file: None,
            attempt: 1,
            begun: false,
            buffer: Vec::new(),
        }
    }

    /// Returns the next piece of the log; `None` if there is no more yet. A piece of another attempt follows only after the
    /// previous log was read to its end. Does not wait.
    ///
    /// # Errors
    ///
    /// [`Io`](crate::ErrorKind::Io) if the log cannot be read.
    pub fn next_piece(&mut self) -> Result<Option<LogPiece<'_>>> {
        match self.read()? {
            0 => Ok(None),
            length => Ok(Some(self.piece(length))),
        }
    }

    /// Reads the next piece into the buffer; returns its length.
    fn read(&mut self) -> Result<usize> {
        self.buffer.resize(PIECE, 0);
        loop {
            if self.file.is_none() {
                self.file = open(&self.path)?;
            }
            let Some(file) = &mut self.file else {
                return Ok(0);
            };
            // Checked before reading: after another file was created, nothing more is written to this one.
            let replaced = !is_at(file, &self.path)?;
            let length = loop {
                match file.read(&mut self.buffer) {
                    Ok(length) => break length,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(failed("reading", &self.path, &e)),
                }
            };
            if length > 0 {
                self.begun = true;
                return Ok(length);
            }
            match open(&self.path)? {
                Some(next) if replaced => self.go_on_with(next),
                _ => return Ok(0),
            }
        }
    }

    fn go_on_with(&mut self, next: File) {
        self.file = Some(next);
        // An attempt that wrote nothing does not count for the reader.
        self.attempt += u32::from(self.begun);
        self.begun = false;
    }

    fn piece(&self, length: usize) -> LogPiece<'_> {
        LogPiece {
            attempt: self.attempt,
            bytes: &self.buffer[..length],
        }
    }
}

/// Follows the log of another caller's build while waiting for its end.
pub(crate) struct Following<'a> {
    site: &'a Site,
    follower: LogFollower,
    /// The lock of the build.
    lock: PathBuf,
    take: Sink<'a>,
    found: Found,
    /// How many bytes have been read and not passed on yet.
    kept: usize,
}

/// Which file the log is in.
enum Found {
    /// Not checked yet.
    Nothing,
    /// The first file that was seen is of a previous attempt, or there was none: the next new file is that of the build in
    /// progress. The old one is kept open, so that its inode number is not reused.
    Old(Option<File>),
    /// The follower has it.
    Log,
}

impl<'a> Following<'a> {
    pub(crate) fn of(site: &'a Site, id: &Id, lock: &Path, take: Sink<'a>) -> Self {
        Following {
            site,
            follower: LogFollower::of(site.paths.log(id)),
            lock: lock.to_owned(),
            take,
            found: Found::Nothing,
            kept: 0,
        }
    }

    /// Passes on what exists so far of the log of the build in progress.
    pub(crate) fn give(&mut self, wait: Wait<'_>) -> Result<()> {
        while self.has_more()? {
            (self.take)(self.follower.piece(self.kept))?;
            self.kept = 0;
            // A callback may have forked and returned in the child, too.
            self.site.check_process("following a log")?;
            wait.left()
                .map_err(|stop| stopped(&"following a log", stop))?;
        }
        Ok(())
    }

    /// Returns whether there is something to pass on.
    pub(crate) fn has_more(&mut self) -> Result<bool> {
        if self.kept == 0 && self.is_found()? {
            self.kept = self.follower.read()?;
        }
        Ok(self.kept > 0)
    }

    /// The build has ended with a result, so the file at the log's path is its log, however little of it was seen.
    pub(crate) fn has_result(&mut self) {
        self.found = Found::Log;
    }

    /// Returns whether the log of the build is found. A builder removes the log of the previous attempt, notes in the lock's
    /// file that its own begins, and then creates it: a file that exists while the note is there is of this build.
    fn is_found(&mut self) -> Result<bool> {
        let path = &self.follower.path;
        let file = match &self.found {
            Found::Log => return Ok(true),
            Found::Old(Some(old)) if is_at(old, path)? => return Ok(false),
            Found::Old(_) => open(path)?,
            Found::Nothing => {
                let file = open(path)?;
                let is_new = match &file {
                    Some(file) => Note::log_has_begun(&self.lock)? && is_at(file, path)?,
                    None => false,
                };
                if !is_new {
                    self.found = Found::Old(file);
                    return Ok(false);
                }
                file
            }
        };
        if file.is_some() {
            self.follower.file = file;
            self.found = Found::Log;
        }
        Ok(matches!(self.found, Found::Log))
    }
}

fn is_at(file: &File, path: &Path) -> Result<bool> {
    match os::is_at(file, path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        looked => looked.map_err(|e| failed("looking at", path, &e)),
    }
}

fn open(path: &Path) -> Result<Option<File>> {
    match fs::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("opening", path, &e)),
    }
}

fn failed(doing: &str, path: &Path, e: &io::Error) -> Error {
    Error::io(format!("{doing} the log {}", path.display()), e)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn all(follower: &mut LogFollower) -> Vec<(u32, String)> {
        let mut all = Vec::new();
        while let Some(piece) = follower.next_piece().expect("a look") {
            all.push((piece.attempt, String::from_utf8_lossy(piece.bytes).into()));
        }
        all
    }

    fn read(pairs: &[(u32, &str)]) -> Vec<(u32, String)> {
        pairs.iter().map(|(n, text)| (*n, (*text).into())).collect()
    }

    // On Windows, an open file keeps its name.
    #[cfg(unix)]
    #[test]
    fn each_try_is_read_once_to_its_end_and_then_the_next_from_its_start() {
        let path = std::env::temp_dir().join(format!("docker-store-follow-{}", std::process::id()));
        let again = || {
            let _ = std::fs::remove_file(&path);
            File::create_new(&path).expect("a log")
        };
        let mut follower = LogFollower::of(path.clone());
        assert_eq!(all(&mut follower), []);
        let mut log = again();
        assert_eq!(all(&mut follower), []);
        log.write_all(b"one").expect("written");
        assert_eq!(all(&mut follower), read(&[(1, "one")]));
        log.write_all(b" more").expect("written");
        // The end of the first and all of the second were not read.
        drop(again());
        log = again();
        log.write_all(b"three").expect("written");
        assert_eq!(all(&mut follower), read(&[(1, " more"), (2, "three")]));
        assert_eq!(all(&mut follower), []);
        // An attempt that wrote nothing is not counted.
        drop(again());
        assert_eq!(all(&mut follower), []);
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(all(&mut follower), []);
        again().write_all(b"five").expect("written");
        assert_eq!(all(&mut follower), read(&[(3, "five")]));
        std::fs::remove_file(&path).expect("removed");
    }
}
