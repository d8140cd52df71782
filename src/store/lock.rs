//! Lock files: a lock of the system (`flock`, `LockFileEx`) on a file that exists only for this purpose. The system releases
//! the lock with the last descriptor, so a killed process holds nothing.
//!
//! A child that is forked without exec inherits the descriptors, and with them a share of its parent's locks. So the holder of
//! a lock unlocks it explicitly, instead of closing the file, which would take effect only when the child does so, too. The
//! child unlocks nothing.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::engine::stopped;
use crate::error::{Error, Result};
use crate::local as fs;
use crate::os::{self, Hold};
use crate::store::access;
use crate::store::replace::{beside as unfinished_beside, is_unfinished};
use crate::wait::Wait;

/// The first and the longest pause between two tries. A lock that is held for a build is tried at long intervals; a lock on a
/// head is free again before the second try.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// The age from which on a lock's file is touched when it is taken. Programs that clean up old files count in days.
const OLD: Duration = Duration::from_secs(600);

/// The maximum size of useful content in a lock's file. That is two short lines; what another program has written after them is
/// not kept.
const MOST_KEPT: usize = 4096;

/// A locked file. Dropping it unlocks and keeps the file.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
    path: PathBuf,
    /// Whether the file did not exist before.
    new: bool,
    /// The process that took it: a forked child has a copy.
    process: u32,
}

impl FileLock {
    /// Takes the lock if it is free.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>> {
        FileLock::try_operation(path, Hold::Alone, true)
    }

    /// Takes the lock if its file exists and it is free.
    pub(crate) fn try_take_left(path: &Path) -> Result<Option<Self>> {
        FileLock::try_operation(path, Hold::Alone, false)
    }

    fn try_operation(path: &Path, hold: Hold, make: bool) -> Result<Option<Self>> {
        let failed = |e: &io::Error| Error::io(format!("locking {}", path.display()), e);
        loop {
            let there = fs::open_with(OpenOptions::new().read(true).write(true), path);
            let (file, new) = match there {
                Ok(file) => (file, false),
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(&e)),
                Err(_) if !make => return Ok(None),
                Err(_) => match make_locked(path, hold).map_err(|e| failed(&e))? {
                    Some(file) => (file, true),
                    // Another process was faster.
                    None => continue,
                },
            };
            if !new && !os::lock(&file, hold).map_err(|e| failed(&e))? {
                return Ok(None);
            }
            // From here on, any return unlocks it.
            let lock = FileLock {
                file,
                path: path.to_owned(),
                new,
                process: std::process::id(),
            };
            // The previous holder may have removed the file between the open and the lock: then the lock excludes no other
            // process.
            if is_still(&lock.file, path).map_err(|e| failed(&e))? {
                lock.touch();
                return Ok(Some(lock));
            }
        }
    }

    /// Waits for the lock. The system's own wait has no deadline and cannot be cancelled, so this polls.
    pub(crate) fn take(path: &Path, wait: Wait<'_>) -> Result<Self> {
        FileLock::take_operation(path, Hold::Alone, wait, &mut || Ok(()))
    }

    /// Like `take`, and calls `each` whenever it finds the lock taken.
    pub(crate) fn take_while(
        path: &Path,
        wait: Wait<'_>,
        each: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        FileLock::take_operation(path, Hold::Alone, wait, each)
    }

    /// Acquires the lock in shared mode. Any number of holders may share it; it cannot be held exclusively at the same time.
    pub(crate) fn take_shared(path: &Path, wait: Wait<'_>) -> Result<Self> {
        FileLock::take_operation(path, Hold::Shared, wait, &mut || Ok(()))
    }

    fn take_operation(
        path: &Path,
        hold: Hold,
        wait: Wait<'_>,
        each: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Self> {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(lock) = FileLock::try_operation(path, hold, true)? {
                return Ok(lock);
            }
            each()?;
            wait.sleep(pause).map_err(|stop| {
                stopped(
                    &format_args!("waiting for the lock {}", path.display()),
                    stop,
                )
            })?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Returns whether this process or another holds the lock. Does not disturb the holder.
    pub(crate) fn is_held(path: &Path) -> Result<bool> {
        let failed =
            |e: &io::Error| Error::io(format!("looking at the lock {}", path.display()), e);
        let file = match fs::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(failed(&e)),
        };
        let free = os::lock(&file, Hold::Shared).map_err(|e| failed(&e))?;
        if free {
            unlock(&file);
        }
        Ok(!free)
    }

    /// Returns whether the file existed before, unlocked: its holder was killed, or kept it for a reason.
    pub(crate) fn was_left(&self) -> bool {
        !self.new
    }

    /// Returns whether the file is still at its path: if it is removed, other processes can take the lock.
    pub(crate) fn is_in_place(&self) -> bool {
        is_still(&self.file, &self.path).unwrap_or(true)
    }

    /// Creates the file again if it was removed. Returns `false` if another process has the lock by now.
    pub(crate) fn keep(&mut self) -> Result<bool> {
        if self.is_in_place() {
            return Ok(true);
        }
        let Some(again) = FileLock::try_take(&self.path)? else {
            return Ok(false);
        };
        again.replace_content(&self.content(MOST_KEPT)?)?;
        let new = self.new;
        *self = again;
        self.new = new;
        Ok(true)
    }

    /// Shows programs that clean up old files that it is in use. If it were removed while it is held, it would not exclude
    /// other processes.
    pub(crate) fn touch(&self) {
        let found = self.file.metadata().and_then(|found| found.modified());
        let age = found.map(|modified| SystemTime::now().duration_since(modified));
        // A time in the future counts as new.
        if !matches!(age, Ok(Ok(age)) if age >= OLD) {
            return;
        }
        if let Err(e) = self.file.set_modified(SystemTime::now()) {
            log::debug!("touching the lock {}: {e}", self.path.display());
        }
    }

    /// Returns the content of the file, or its first `most` bytes.
    pub(crate) fn content(&self, most: usize) -> Result<Vec<u8>> {
        let mut content = vec![0; most];
        let mut read = 0;
        while read < most {
            match os::read_at(&self.file, &mut content[read..], read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.failed("reading", &e)),
            }
        }
        content.truncate(read);
        Ok(content)
    }

    /// Replaces the content of the file. If the length does not change, this works on a full disk.
    pub(crate) fn replace_content(&self, content: &[u8]) -> Result<()> {
        let end = content.len() as u64;
        let write = || {
            fs::room(0, content.len())?;
            os::write_all_at(&self.file, content, 0)?;
            match self.file.metadata()?.len() == end {
                true => Ok(()),
                false => self.file.set_len(end),
            }
        };
        write().map_err(|e| self.failed("writing to", &e))
    }

    fn failed(&self, doing: &str, e: &io::Error) -> Error {
        Error::io(format!("{doing} the lock {}", self.path.display()), e)
    }

    /// Moves the locked file to its final name.
    pub(crate) fn rename(&mut self, to: &Path) -> Result<()> {
        fs::rename(&self.path, to)
            .map_err(|e| Error::io(format!("naming the lock {}", to.display()), &e))?;
        self.path = to.to_owned();
        Ok(())
    }

    /// Unlocks, and restores the previous state: removes the file only if this lock created it.
    pub(crate) fn give_back(self) {
        if self.new {
            self.remove();
        }
    }

    /// Removes the file, and then unlocks it, so that lock files do not accumulate.
    pub(crate) fn remove(self) {
        if self.process != std::process::id() {
            return; // The parent process still holds it.
        }
        // A process that waits with the old file open notices that it was removed and opens a new one.
        if let Err(e) = os::remove_open(&self.path) {
            log::debug!("removing the lock {}: {e}", self.path.display());
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            unlock(&self.file);
        }
    }
}

fn unlock(file: &File) {
    if let Err(e) = os::unlock(file) {
        log::debug!("unlocking: {e}");
    }
}

/// Creates the file of a lock, so that it is never visible unlocked: it is locked under a temporary name first. Returns `None`
/// if the file exists by now.
fn make_locked(path: &Path, hold: Hold) -> io::Result<Option<File>> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let beside = unfinished_beside(path, &format!("{}-{number}", std::process::id()));
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true);
        let file = match access::open_with(options, &beside) {
            // The file of a killed process, or of a process in another container with the same number.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made?,
        };
        let placed = match os::lock(&file, hold) {
            // A sweep is about to remove it.
            Ok(false) => continue,
            Ok(true) => place(&beside, path),
            Err(e) => Err(e),
        };
        let Err(e) = placed else {
            return Ok(Some(file));
        };
        let removed = fs::remove_file(&beside);
        let is_gone = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
        return match e.kind() {
            io::ErrorKind::AlreadyExists => Ok(None),
            // It was swept before it was locked, unless the whole directory was removed.
            _ if is_gone(&e) && removed.is_err_and(|e| is_gone(&e)) && is_in_folder(path) => {
                continue;
            }
            _ => Err(e),
        };
    }
}

fn is_in_folder(path: &Path) -> bool {
    path.parent().is_some_and(Path::exists)
}

/// Gives a file its name, unless that exists.
fn place(beside: &Path, path: &Path) -> io::Result<()> {
    match os::rename_new(beside, path)? {
        true => Ok(()),
        // Not every file system can do that, for example NFS. Most of the others can do this, in two steps.
        false => place_by_link(beside, path),
    }
}

fn place_by_link(beside: &Path, path: &Path) -> io::Result<()> {
    std::fs::hard_link(beside, path)?;
    // A file that a killed process leaves in between is swept later.
    fs::remove_file(beside)
}

/// Removes lock files in `folder` that killed processes were creating.
pub(crate) fn sweep_unfinished(folder: &Path) -> Result<()> {
    let failed = |e: io::Error| Error::io(format!("listing {}", folder.display()), &e);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_str().is_some_and(is_unfinished) {
            if let Some(left) = FileLock::try_take_left(&entry.path())? {
                left.remove();
            }
        }
    }
    Ok(())
}

fn is_still(file: &File, path: &Path) -> io::Result<bool> {
    match os::is_at(file, path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        looked => looked,
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
                        let lock = FileLock::take(&path, Wait::unbounded()).expect("the lock");
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
    fn a_new_lock_is_never_seen_unlocked_or_taken_for_one_that_was_left() {
        let folder = path("new");
        std::fs::create_dir(&folder).expect("a folder");
        let path = folder.join("lock");
        let (left, made) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let lock = FileLock::take(&path, Wait::unbounded()).expect("the lock");
                        left.fetch_add(usize::from(lock.was_left()), Ordering::SeqCst);
                        made.fetch_add(1, Ordering::SeqCst);
                        lock.remove();
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
            // As a purge does: a lock that it can take was left by a terminated process.
            scope.spawn(|| {
                while done.load(Ordering::SeqCst) < 2 {
                    let seen = FileLock::try_take_left(&path).expect("a try");
                    left.fetch_add(usize::from(seen.is_some()), Ordering::SeqCst);
                    sweep_unfinished(&folder).expect("a sweep");
                }
            });
        });
        assert_eq!((left.into_inner(), made.into_inner()), (0, 1000));
        std::fs::remove_dir(&folder).expect("nothing is left in it");
    }

    #[test]
    fn what_is_placed_takes_no_name_that_another_has() {
        let (one, two, name) = (path("one"), path("two"), path("placed"));
        for place in [place, place_by_link] {
            std::fs::write(&one, "one").expect("a file");
            std::fs::write(&two, "two").expect("a file");
            place(&one, &name).expect("placed");
            let taken = place(&two, &name).expect_err("taken");
            assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(std::fs::read(&name).expect("placed"), b"one");
            assert!(!one.exists() && two.exists());
            std::fs::remove_file(&two)
                .and_then(|()| std::fs::remove_file(&name))
                .expect("removed");
        }
    }

    #[test]
    fn what_is_in_a_locks_file_is_replaced_whole() {
        let path = path("content");
        let lock = FileLock::try_take(&path).expect("a try").expect("the lock");
        assert_eq!(lock.content(100).expect("nothing"), b"");
        lock.replace_content(b"longer").expect("written");
        lock.replace_content(b"short").expect("written");
        assert_eq!(lock.content(100).expect("read"), b"short");
        assert_eq!(lock.content(2).expect("read"), b"sh");
        assert!(FileLock::try_take_left(&path).expect("a try").is_none());
        drop(lock);
        let lock = FileLock::try_take_left(&path)
            .expect("a try")
            .expect("left");
        assert!(lock.was_left());
        lock.remove();
        assert!(FileLock::try_take_left(&path).expect("a try").is_none() && !path.exists());
    }

    #[test]
    fn the_file_of_a_lock_that_is_in_use_is_never_an_old_one() {
        let path = path("old");
        let month = Duration::from_secs(30 * 24 * 3600);
        let age = || {
            let modified = std::fs::metadata(&path).and_then(|found| found.modified());
            let age = SystemTime::now().duration_since(modified.expect("its time"));
            age.expect("none from the future")
        };
        drop(FileLock::try_take(&path).expect("a try").expect("the lock"));
        let file = File::options().write(true).open(&path).expect("its file");
        file.set_modified(SystemTime::now() - month).expect("older");
        assert!(age() >= month);
        let lock = FileLock::try_take(&path).expect("a try").expect("the lock");
        assert!(age() < OLD);
        file.set_modified(SystemTime::now() - month).expect("older");
        lock.touch();
        assert!(age() < OLD);
        lock.remove();
    }

    #[test]
    fn another_descriptor_of_the_lock_does_not_hold_it_when_its_holder_lets_go() {
        // As in a forked child.
        let path = path("descriptor");
        let lock = FileLock::try_take(&path).expect("a try").expect("the lock");
        let childs = lock.file.try_clone().expect("another descriptor");
        drop(lock);
        assert!(!FileLock::is_held(&path).expect("a look"));
        let again = FileLock::try_take(&path).expect("a try").expect("the lock");
        // And dropping a child's copy does not release its parent's lock.
        let process = again.process.wrapping_add(1);
        let (path_, file) = (path.clone(), again.file.try_clone().expect("a copy"));
        let copy = FileLock {
            file,
            path: path_,
            new: true,
            process,
        };
        copy.give_back();
        assert!(FileLock::is_held(&path).expect("a look"));
        drop(childs);
        again.remove();
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
        let soon = Wait::unbounded().at_most(Duration::from_millis(30));
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
