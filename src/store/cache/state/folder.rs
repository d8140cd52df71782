//! The directory of one cache, and its lock: a mutex orders the threads of this process, `flock` orders processes. Neither is
//! held while a caller's code runs or while data is copied for a lease.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, MutexGuard};

use crate::engine::stopped;
use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::os;
use crate::store::access;
use crate::store::cache::state::group::Group;
use crate::store::cache::state::head::{Head, sync_folder};
use crate::store::cache::state::record::{COMPACTION, Record};
use crate::store::lock::{self, FileLock};
use crate::store::session::{self, Life};
use crate::store::site::Site;
use crate::wait::Wait;

/// How often a thread that waits for the mutex checks its cancel. The cancel is noticed late by up to this much.
const LOOK: Duration = Duration::from_millis(20);

/// One cache on disk. There is one value for each cache and open store, because it contains the mutex.
pub(crate) struct Folder {
    /// The escaped name, as in labels and volume names.
    pub(crate) escaped: String,
    path: PathBuf,
    mutex: Mutex<()>,
}

/// The held lock of a cache. Every decision about the cache's state is made through it.
pub(crate) struct Guard<'a> {
    folder: &'a Folder,
    _process: FileLock,
    _thread: MutexGuard<'a, ()>,
}

impl Folder {
    /// Returns the directory of the cache whose escaped name is `escaped`. Creates nothing.
    pub(crate) fn new(site: &Site, escaped: &str) -> Self {
        Folder {
            escaped: escaped.to_owned(),
            path: site.paths.caches().join(escaped),
            mutex: Mutex::new(()),
        }
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    fn head(&self) -> PathBuf {
        self.path.join("head")
    }

    /// Returns the new name of the head of a cache that was deleted when the disk was too full to write another head.
    fn grave(&self) -> PathBuf {
        self.path.join("dead")
    }

    fn leases(&self) -> PathBuf {
        self.path.join("leases")
    }

    fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }

    fn group_file(&self) -> PathBuf {
        self.path.join("shared")
    }

    /// Returns the lock that holders of locked and shared leases hold as long as they have them.
    pub(crate) fn turn_file(&self) -> PathBuf {
        self.path.join("turn")
    }

    /// Returns the lock that is held during a compaction.
    pub(crate) fn compaction_file(&self) -> PathBuf {
        self.path.join("compaction")
    }

    /// Waits for the lock.
    pub(crate) fn lock(&self, wait: Wait<'_>) -> Result<Guard<'_>> {
        let doing = || format!("waiting for the lock of the cache {}", self.escaped);
        let thread = loop {
            let pause = wait
                .left()
                .map_err(|stop| stopped(&doing(), stop))?
                .map_or(LOOK, |left| left.min(LOOK));
            if let Some(thread) = self.mutex.try_lock_for(pause) {
                break thread;
            }
        };
        let process = self.in_folder(|| FileLock::take(&self.lock_file(), wait))?;
        Ok(Guard {
            folder: self,
            _process: process,
            _thread: thread,
        })
    }

    /// Does `what` with files in the directory, which is created if it is missing: a purge may remove the directory of a
    /// deleted cache whenever its lock is free.
    pub(crate) fn in_folder<T>(&self, mut what: impl FnMut() -> Result<T>) -> Result<T> {
        loop {
            match what() {
                Err(e) if e.os_errno().is_some_and(os::is_missing) => self.make()?,
                other => return other,
            }
        }
    }

    fn make(&self) -> Result<()> {
        let doing =
            |e: &io::Error| Error::io(format!("creating the directory {}", self.path.display()), e);
        let mut made = access::create_dir(&self.path);
        if made
            .as_ref()
            .is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
        {
            // The directory of all caches was removed by another program.
            made = self
                .path
                .parent()
                .map_or(Ok(()), access::create_dir)
                .and_then(|()| access::create_dir(&self.path));
        }
        match made {
            Ok(()) => self
                .path
                .parent()
                .map_or(Ok(()), sync_folder)
                .map_err(|e| doing(&e)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(e) => Err(doing(&e)),
        }
    }

    /// Returns the current head. Without the lock it may be outdated at any time.
    pub(crate) fn read_head(&self) -> Result<Option<Head>> {
        if let Some(head) = Head::read(&self.head())? {
            return Ok(Some(head));
        }
        let mut dead = Head::read(&self.grave())?;
        dead.iter_mut().for_each(|dead| drop(dead.bury()));
        Ok(dead)
    }

    /// Returns the ids of all lease records, of active and stale sessions.
    pub(crate) fn record_ids(&self) -> Result<Vec<String>> {
        Record::list(&self.leases())
    }

    /// Returns how many outstanding leases there are, in all processes.
    pub(crate) fn leases_out(&self, site: &Site) -> Result<usize> {
        let mut leases = 0;
        for id in self.record_ids()? {
            let whole = !id.ends_with(".new") && !id.ends_with(COMPACTION);
            leases += usize::from(whole && life(site, &id)? != Life::Dead);
        }
        Ok(leases)
    }

    /// Returns the newest generation that any lease was cloned from, as far as the records can be read.
    pub(crate) fn newest_base(&self) -> Result<u64> {
        let records = self
            .record_ids()?
            .into_iter()
            .filter_map(|id| Record::read(&self.leases(), &id).ok().flatten());
        Ok(records.map(|record| record.base).max().unwrap_or_default())
    }

    /// Returns the file whose time is the cache's last use: the head need not be written for that. (The lock's file cannot
    /// serve, because it is touched whenever the lock is taken.)
    fn used_file(&self) -> PathBuf {
        self.path.join("used")
    }

    /// Records that the cache is being used now.
    pub(crate) fn touch(&self) {
        let path = self.used_file();
        let touched = match os::touch(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => access::create(&path).map(drop),
            touched => touched,
        };
        if let Err(e) = touched {
            log::debug!("noting the use of the cache {}: {e}", self.escaped);
        }
    }

    /// Returns when the cache was last used, if that was recorded.
    pub(crate) fn noted_use(&self) -> Option<SystemTime> {
        fs::metadata(self.used_file())
            .and_then(|found| found.modified())
            .ok()
    }

    /// Returns when the cache was last used. If only version 0.1.0 has used it, the time of its lock is returned.
    pub(crate) fn last_use(&self) -> Option<SystemTime> {
        let by_lock = || {
            let found = fs::metadata(self.lock_file());
            found.and_then(|found| found.modified()).ok()
        };
        self.noted_use().or_else(by_lock)
    }
}

impl Guard<'_> {
    pub(crate) fn head(&self) -> Result<Option<Head>> {
        self.folder.read_head()
    }

    /// Replaces the head: from here on, this is the cache.
    pub(crate) fn write_head(&self, head: &Head) -> Result<()> {
        head.write(&self.folder.head())?;
        match fs::remove_file(self.folder.grave()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                log::debug!("{}: {e}", self.folder.grave().display());
            }
            _ => {}
        }
        Ok(())
    }

    /// Deletes the cache on a disk that has no room for another head: renames the existing one.
    pub(crate) fn bury_head(&self) -> Result<()> {
        let (head, grave) = (self.folder.head(), self.folder.grave());
        let buried = fs::rename(&head, grave).and_then(|()| sync_folder(&self.folder.path));
        buried.map_err(|e| Error::io(format!("putting away the head {}", head.display()), &e))
    }

    pub(crate) fn write_record(&self, record: &Record) -> Result<()> {
        record.write(&self.folder.leases())
    }

    pub(crate) fn record(&self, id: &str) -> Result<Option<Record>> {
        Record::read(&self.folder.leases(), id)
    }

    /// Removes a record. Returns `false` if it did not exist.
    pub(crate) fn remove_record(&self, id: &str) -> Result<bool> {
        Record::remove(&self.folder.leases(), id)
    }

    /// Returns the outstanding shared lease, if it still has a holder.
    pub(crate) fn group(&self, site: &Site) -> Result<Option<Group>> {
        let Some(mut group) = Group::read(&self.folder.group_file())? else {
            return Ok(None);
        };
        // Starting with the last holder, because the latest is usually still active.
        while let Some(id) = group.holders.last() {
            if self.holds(site, id)? {
                return Ok(Some(group));
            }
            group.holders.pop();
        }
        Ok(None)
    }

    /// Returns a hold on the shared lease that one of its holders has released and that has no active holder: the last one was
    /// killed.
    pub(crate) fn kept(&self, site: &Site) -> Result<Option<Record>> {
        let Some(group) = Group::read(&self.folder.group_file())?.filter(|group| group.keep) else {
            return Ok(None);
        };
        if self.group(site)?.is_some() {
            return Ok(None);
        }
        for id in &group.holders {
            if self.folder.leases().join(id).exists() {
                // As it was created: the creator's own record was written before that.
                let id = id.clone();
                return Ok(Some(Record { id, ..group.lease }));
            }
        }
        Ok(None)
    }

    /// Returns whether the session of the record `id` is active.
    fn holds(&self, site: &Site, id: &str) -> Result<bool> {
        Ok(self.folder.leases().join(id).exists() && life(site, id)? != Life::Dead)
    }

    pub(crate) fn write_group(&self, group: &Group) -> Result<()> {
        group.write(&self.folder.group_file())
    }

    /// Removes the holder `id` from the shared lease `group`. Returns the group if it still has other holders.
    pub(crate) fn leave_group(&self, site: &Site, group: &str, id: &str) -> Result<Option<Group>> {
        let Some(mut found) = Group::read(&self.folder.group_file())? else {
            return Ok(None);
        };
        if found.id() != group {
            return Ok(None);
        }
        found.holders.retain(|holder| holder != id);
        while let Some(other) = found.holders.last() {
            if self.holds(site, other)? {
                return Ok(Some(found));
            }
            found.holders.pop();
        }
        Ok(None)
    }

    /// Forgets the shared lease `group`, which has no holder.
    pub(crate) fn end_group(&self, group: &str) -> Result<()> {
        match Group::read(&self.folder.group_file())? {
            Some(found) if found.id() == group => Group::remove(&self.folder.group_file()),
            _ => Ok(()),
        }
    }

    /// Returns the records of all leases whose session is not stale.
    fn live_records(&self, site: &Site) -> Result<Vec<Record>> {
        let mut lives: HashMap<String, bool> = HashMap::new();
        let mut live = Vec::new();
        for id in self.folder.record_ids()? {
            if id.ends_with(".new") {
                continue;
            }
            // An unknown session may be active, too.
            let session = Record::session_of(&id);
            let lives = match lives.get(session) {
                Some(known) => *known,
                None => {
                    let found = life(site, &id)? != Life::Dead;
                    lives.insert(session.to_owned(), found);
                    found
                }
            };
            if lives {
                live.extend(self.record(&id)?);
            }
        }
        Ok(live)
    }

    /// Returns those of `candidates` that neither the head nor a lease of an active session needs.
    pub(crate) fn unneeded(
        &self,
        site: &Site,
        candidates: impl IntoIterator<Item = String>,
    ) -> Result<Vec<String>> {
        let mut left = self.not_in_head(candidates)?;
        // Most releases leave nothing over, and need not read any record to find that out.
        if !left.is_empty() {
            let records = self.live_records(site)?;
            let needed: HashSet<&str> = records.iter().flat_map(Record::names).collect();
            left.retain(|name| !needed.contains(name.as_str()));
        }
        Ok(left)
    }

    /// After the lease of `record` has ended, returns those of its volumes and of `others` that are not needed. Volumes that
    /// were created for the lease are named nowhere else.
    pub(crate) fn left_of(
        &self,
        site: &Site,
        record: &Record,
        others: impl IntoIterator<Item = String>,
    ) -> Result<Vec<String>> {
        let mut left = self.not_in_head(record.volumes.iter().cloned())?;
        let is_own = |name: &String| record.volumes.contains(name);
        let others = record.parts.iter().cloned().chain(others);
        left.extend(self.unneeded(site, others.filter(|name| !is_own(name)))?);
        Ok(left)
    }

    fn not_in_head(&self, names: impl IntoIterator<Item = String>) -> Result<Vec<String>> {
        let head = self.head()?;
        let needed: HashSet<&str> = head.iter().flat_map(Head::volumes).collect();
        let names = names.into_iter();
        Ok(names
            .filter(|name| !needed.contains(name.as_str()))
            .collect())
    }

    /// Removes the records of stale sessions, and returns what they named.
    pub(crate) fn bury_records(&self, site: &Site) -> Result<Vec<String>> {
        let mut named = Vec::new();
        for id in self.folder.record_ids()? {
            if life(site, &id)? != Life::Dead {
                continue;
            }
            // A corrupt record names nothing; its volumes carry the stale session's label.
            if let Ok(Some(record)) = self.record(&id) {
                named.extend(record.names().map(str::to_owned));
            }
            self.remove_record(&id)?;
        }
        Ok(named)
    }

    /// Removes lock files that killed processes were creating.
    pub(crate) fn sweep(&self) -> Result<()> {
        lock::sweep_unfinished(&self.folder.path)
    }

    /// Removes the directory of a deleted cache that is no longer used. Returns `false` if it is still used.
    pub(crate) fn remove_folder(self, unique: &str) -> Result<bool> {
        let path = &self.folder.path;
        let doing =
            |e: &io::Error| Error::io(format!("removing the directory {}", path.display()), e);
        // A caller that waits for the mode lock without a lease yet holds this lock. It is held until the directory is removed.
        let Some(_turn) = FileLock::try_take(&self.folder.turn_file())? else {
            return Ok(false);
        };
        // Processes that wait for a lock in it find that the path is missing, and start again.
        let away = path.with_file_name(format!("gone-{unique}"));
        fs::rename(path, &away).map_err(|e| doing(&e))?;
        fs::remove_dir_all(&away).map_err(|e| doing(&e))?;
        Ok(true)
    }
}

/// Returns whether the session of the record `id` is active.
pub(crate) fn life(site: &Site, id: &str) -> Result<Life> {
    session::life(&site.paths.sessions(), Record::session_of(id))
}

/// Returns the escaped names of all caches that have a directory.
pub(crate) fn all(caches: &Path) -> Result<Vec<String>> {
    let doing = |e: &io::Error| Error::io(format!("listing the caches in {}", caches.display()), e);
    let mut names = Vec::new();
    for entry in fs::read_dir(caches).map_err(|e| doing(&e))? {
        let name = entry.map_err(|e| doing(&e))?.file_name();
        if let Some(name) = name.to_str().filter(|name| is_escaped(name)) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Returns whether a directory's name or a label can be a cache's escaped name.
pub(crate) fn is_escaped(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (name.starts_with("c-") || name.starts_with("h-")) && name.bytes().all(plain)
}

/// Returns the error for a lease that no longer exists.
pub(crate) fn closed(doing: &str, cache: &str) -> Error {
    Error::new(
        ErrorKind::Closed,
        format!("{doing} a lease of the cache {cache}: it has already been released or discarded"),
    )
}
