//! Lock files: `flock` on a file that exists for no other reason. The kernel drops the lock with the last descriptor, so a
//! killed process holds nothing; a child forked without exec holds its parent's until it ends.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};

use crate::engine::stopped;
use crate::error::{Error, Result};
use crate::wait::Wait;

/// How long the first and the longest pause between two tries are. A lock held for a build is tried at a slow beat; one
/// held for a head is free again before the second try.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// The length of a lock's file whose holder was found dead is at least this; what is beyond it is the number that was noted.
const DEAD: u64 = 1 << 16;

/// How long the engine may be finishing what a killed process asked it for, a commit at the longest. The file of its lock stays for
/// that time after anything was there last, and whoever opens the root looks again.
pub(crate) const LATE: Duration = Duration::from_secs(10 * 60);

/// What was left with a lock.
#[derive(Debug)]
pub(crate) struct Noted {
    /// The number, or 0.
    pub(crate) number: u16,
    /// Whether its holder was found dead.
    pub(crate) dead: bool,
    /// How long ago either was noted last.
    pub(crate) unchanged_for: Duration,
}

/// A locked file. Dropping it unlocks and leaves the file.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
    path: PathBuf,
    /// Whether the file was not there before.
    new: bool,
    /// Whose it is: a forked child has a copy.
    process: u32,
}

impl FileLock {
    /// Takes the lock if nobody has it.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>> {
        FileLock::try_operation(path, FlockOperation::NonBlockingLockExclusive)
    }

    fn try_operation(path: &Path, operation: FlockOperation) -> Result<Option<Self>> {
        let doing = || format!("locking {}", path.display());
        loop {
            let open = |new| {
                let mut options = OpenOptions::new();
                options.read(true).write(true).create_new(new).open(path)
            };
            let (opened, new) = match open(true) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => (open(false), false),
                opened => (opened, true),
            };
            let file = match opened {
                Err(e) if e.kind() == io::ErrorKind::NotFound && !new => continue,
                opened => opened.map_err(|e| Error::io(doing(), &e))?,
            };
            match flock(&file, operation) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(rustix::io::Errno::INTR) => continue,
                Err(e) => return Err(Error::io(doing(), &e.into())),
            }
            // The holder before us may have removed the file between our open and our lock: then it locks nothing.
            if is_still(&file, path).map_err(|e| Error::io(doing(), &e))? {
                return Ok(Some(FileLock {
                    file,
                    path: path.to_owned(),
                    new,
                    process: std::process::id(),
                }));
            }
        }
    }

    /// Waits for the lock. `flock` itself cannot be given a deadline or be cancelled, so it is tried again and again.
    pub(crate) fn take(path: &Path, wait: Wait<'_>) -> Result<Self> {
        FileLock::take_operation(path, FlockOperation::NonBlockingLockExclusive, wait)
    }

    /// Waits for a share of the lock: any number hold it together, and nobody alone meanwhile.
    pub(crate) fn take_shared(path: &Path, wait: Wait<'_>) -> Result<Self> {
        FileLock::take_operation(path, FlockOperation::NonBlockingLockShared, wait)
    }

    fn take_operation(path: &Path, operation: FlockOperation, wait: Wait<'_>) -> Result<Self> {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(lock) = FileLock::try_operation(path, operation)? {
                return Ok(lock);
            }
            wait.sleep(pause).map_err(|stop| {
                stopped(
                    &format_args!("waiting for the lock {}", path.display()),
                    stop,
                )
            })?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether somebody, in this process or another, has this lock. Takes nothing away from anybody.
    pub(crate) fn is_held(path: &Path) -> Result<bool> {
        let doing = || format!("looking at the lock {}", path.display());
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(Error::io(doing(), &e)),
        };
        loop {
            match flock(&file, FlockOperation::NonBlockingLockShared) {
                Ok(()) => return Ok(false),
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(true),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Error::io(doing(), &e.into())),
            }
        }
    }

    /// Whether the file was there before, unlocked: its holder was killed, or had a reason to leave it.
    pub(crate) fn was_left(&self) -> bool {
        !self.new
    }

    /// Leaves a number with the lock, for whoever finds it after our death.
    pub(crate) fn note(&self, number: u16) -> Result<()> {
        self.set_length(u64::from(number))
    }

    /// Notes that the holder before was found dead, if nobody has yet; or, with `again`, that it was found so just now.
    pub(crate) fn note_dead(&self, again: bool) -> Result<()> {
        let length = self.metadata()?.len();
        if again && length >= DEAD {
            let now = self.file.set_modified(SystemTime::now());
            return now.map_err(|e| self.failed("writing to", &e));
        }
        self.set_length(length | DEAD)
    }

    /// What was left with the lock.
    pub(crate) fn noted(&self) -> Result<Noted> {
        let file = self.metadata()?;
        let since = file.modified().map_err(|e| self.failed("reading", &e))?;
        Ok(Noted {
            number: (file.len() % DEAD) as u16,
            dead: file.len() >= DEAD,
            unchanged_for: since.elapsed().unwrap_or_default(),
        })
    }

    /// The length of the file is all that is ever written: it takes no space of a full disk, and is never half there.
    fn set_length(&self, length: u64) -> Result<()> {
        // Even to what it is, that would change the time of the file.
        if length == self.metadata()?.len() {
            return Ok(());
        }
        let set = self.file.set_len(length);
        set.map_err(|e| self.failed("writing to", &e))
    }

    fn metadata(&self) -> Result<Metadata> {
        self.file.metadata().map_err(|e| self.failed("reading", &e))
    }

    fn failed(&self, doing: &str, e: &io::Error) -> Error {
        Error::io(format!("{doing} the lock {}", self.path.display()), e)
    }

    /// Moves the locked file to its final name.
    pub(crate) fn rename(&mut self, to: &Path) -> Result<()> {
        std::fs::rename(&self.path, to)
            .map_err(|e| Error::io(format!("naming the lock {}", to.display()), &e))?;
        self.path = to.to_owned();
        Ok(())
    }

    /// Unlocks, and leaves what there was before.
    pub(crate) fn give_back(self) {
        if self.new {
            self.remove();
        }
    }

    /// Unlocks, and removes the file first, so that locks do not pile up.
    pub(crate) fn remove(self) {
        if self.process != std::process::id() {
            return; // Our parent still holds it.
        }
        // Whoever waits with the old file open sees that it is gone and opens a new one.
        if let Err(e) = std::fs::remove_file(&self.path) {
            log::debug!("removing the lock {}: {e}", self.path.display());
        }
        drop(self.file);
    }
}

fn is_still(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok(there.ino() == ours.ino() && there.dev() == ours.dev()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use super::*;
    use crate::Cancel;
    use crate::error::ErrorKind;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("docker-store-lock-{name}-{}", std::process::id()))
    }

    #[test]
    fn one_holds_while_the_lock_file_is_removed_and_made_again() {
        let path = path("remove");
        let (inside, total) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let lock = FileLock::take(&path, Wait::forever()).expect("the lock");
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        total.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        lock.remove();
                    }
                });
            }
        });
        assert_eq!((total.into_inner(), path.exists()), (800, false));
    }

    #[test]
    fn what_is_noted_with_a_lock_is_read_by_the_next_holder() {
        let path = path("noted");
        let take = || FileLock::try_take(&path).expect("a try").expect("the lock");
        let read = || take().noted().expect("a note");
        let is = |number, dead| (read().number, read().dead) == (number, dead);
        assert!(is(0, false));
        take().note(u16::MAX).expect("noted");
        assert!(is(65_535, false));
        take().note_dead(false).expect("noted");
        assert!(is(65_535, true));
        let hour = Duration::from_secs(3600);
        let ago = SystemTime::now() - hour;
        take().file.set_modified(ago).expect("back");
        take().note_dead(false).expect("noted before");
        assert!(is(65_535, true) && read().unchanged_for >= hour);
        take().note_dead(true).expect("once more");
        assert!(is(65_535, true) && read().unchanged_for < hour);
        take().give_back();
        assert_eq!(read().number, 65_535, "it was there before");
        // Who builds next begins anew.
        take().note(1).expect("noted");
        assert!(is(1, false));
        take().remove();
        take().give_back();
        assert!(!path.exists());
    }

    #[test]
    fn a_lock_is_seen_held_and_waiting_for_it_ends_by_deadline_and_cancel() {
        let path = path("wait");
        assert!(!FileLock::is_held(&path).expect("absent"));
        let lock = FileLock::try_take(&path).expect("a try").expect("the lock");
        assert!(
            FileLock::is_held(&path).expect("held")
                && FileLock::is_held(&path).expect("still held")
        );
        assert!(FileLock::try_take(&path).expect("a try").is_none());
        let soon = Wait::forever().at_most(Duration::from_millis(30));
        assert_eq!(
            FileLock::take(&path, soon).expect_err("a deadline").kind(),
            ErrorKind::TimedOut
        );
        let cancel = Cancel::new();
        let began = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                cancel.cancel();
            });
            let error =
                FileLock::take(&path, Wait::new(None, Some(&cancel))).expect_err("cancelled");
            assert_eq!(error.kind(), ErrorKind::Cancelled);
        });
        assert!(began.elapsed() < Duration::from_secs(5));
        lock.remove();
        assert!(!FileLock::is_held(&path).expect("gone"));
    }
}
