//! A local file as input. A file that may be silent (a pipe, a terminal) is waited for like a socket, so that a deadline or a
//! cancel ends the read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::engine::stopped;
use crate::error::{Error, Result};
use crate::os::{self, Watched};
use crate::wait::{Fault, Stop, Wait};

/// A file that is being read.
pub(crate) struct InputFile {
    file: File,
    path: PathBuf,
    /// Whether a read may have to wait.
    waits: bool,
    size: u64,
}

impl InputFile {
    /// Opens the file. If no process writes to a pipe yet, the read waits for that, and not the open.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let file = os::open_silent(path)?;
        let found = file.metadata()?;
        Ok(InputFile {
            file,
            path: path.to_owned(),
            waits: !found.is_file() && !found.is_dir(),
            size: found.len(),
        })
    }

    /// Returns its size in bytes; 0 if unknown.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Returns what to wait for until there is more to read.
    pub(crate) fn watched(&self) -> Watched<'_> {
        os::watched(&self.file)
    }

    /// Reads what is available. Returns `None` if nothing is available yet, and `Some(0)` at the end.
    pub(crate) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        // A pipe that no process has written to yet reads as if it had ended; a poll shows the difference.
        if self.waits && !os::has_arrived(&self.file)? {
            return Ok(None);
        }
        loop {
            match self.file.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                done => return done.map(Some),
            }
        }
    }

    /// Returns the file as a [`Read`] that is bounded by `wait`.
    pub(crate) fn reading<'a>(&'a mut self, wait: Wait<'a>) -> Reading<'a> {
        Reading {
            file: self,
            wait,
            stop: None,
        }
    }
}

/// Reads a file for as long as a wait allows.
pub(crate) struct Reading<'a> {
    file: &'a mut InputFile,
    wait: Wait<'a>,
    stop: Option<Stop>,
}

impl Reading<'_> {
    /// Returns the error of a read that ended because the wait did.
    pub(crate) fn why(&self) -> Option<Error> {
        let doing = format!("reading {}", self.file.path.display());
        self.stop.map(|stop| stopped(&doing, stop))
    }
}

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(n) = self.file.try_read(buffer)? {
                return Ok(n);
            }
            match self.wait.until(self.file.watched()) {
                Ok(()) => {}
                Err(Fault::Io(e)) => return Err(e),
                Err(Fault::Stopped(stop)) => {
                    let told = self.stop.replace(stop).is_some();
                    // The reader has the same wait, and checks it before the next try.
                    return Err(match told {
                        false => io::ErrorKind::Interrupted.into(),
                        true => io::Error::other("told to end"),
                    });
                }
            }
        }
    }
}

/// Like [`InputFile::at`], with an error that names the file.
pub(super) fn open(path: &Path) -> Result<InputFile> {
    InputFile::at(path).map_err(|e| Error::io(format!("opening {}", path.display()), &e))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::Cancel;

    struct Pipe(PathBuf);

    impl Pipe {
        fn new(name: &str) -> Self {
            let name = format!("docker-store-local-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = std::fs::remove_file(&path);
            rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).expect("a pipe");
            Pipe(path)
        }
    }

    impl Drop for Pipe {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_no_empty_file_and_ends_with_the_wait() {
        let pipe = Pipe::new("silent");
        let mut file = InputFile::at(&pipe.0).expect("opened at once");
        assert_eq!(file.try_read(&mut [0; 8]).expect("a try"), None);
        let mut reading = file.reading(Wait::unbounded().at_most(Duration::from_millis(50)));
        assert!(reading.read(&mut [0; 8]).is_err() && reading.why().is_some());
        let cancel = Cancel::new();
        let began = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                cancel.cancel();
            });
            let mut reading = file.reading(Wait::new(None, Some(&cancel)));
            let read = reading.read(&mut [0; 8]).expect_err("told to end");
            assert_eq!(read.kind(), io::ErrorKind::Interrupted);
        });
        assert!(began.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn what_comes_late_through_a_pipe_is_read_to_its_end() {
        let pipe = Pipe::new("late");
        let mut file = InputFile::at(&pipe.0).expect("opened at once");
        let mut all = String::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                let mut to = OpenOptions::new().write(true).open(&pipe.0).expect("open");
                for part in ["one ", "two"] {
                    to.write_all(part.as_bytes()).expect("written");
                    std::thread::sleep(Duration::from_millis(30));
                }
            });
            let mut reading = file.reading(Wait::unbounded().at_most(Duration::from_secs(20)));
            reading.read_to_string(&mut all).expect("all of it");
        });
        assert_eq!(all, "one two");
    }

    #[test]
    fn a_plain_file_is_read_and_its_size_is_known() {
        let path = std::env::temp_dir().join(format!("docker-store-plain-{}", std::process::id()));
        std::fs::write(&path, "plain").expect("written");
        let mut file = InputFile::at(&path).expect("opened");
        let mut all = String::new();
        file.reading(Wait::unbounded())
            .read_to_string(&mut all)
            .expect("all of it");
        assert_eq!((all.as_str(), file.size()), ("plain", 5));
        std::fs::remove_file(&path).expect("removed");
    }
}
