//! The removal of a result: its id is locked, and its record is renamed, so that a process that has just found the result
//! notices.

use std::io;
use std::time::SystemTime;

use crate::error::{Error, Result};
use crate::local as fs;
use crate::store::access;
use crate::store::bounds::record::{self, Went};
use crate::store::lock::FileLock;
use crate::store::names::Id;
use crate::store::site::Site;

/// A removal that was begun; end it with [`undo`](Self::undo) or [`done`](Self::done).
pub(crate) struct Removal<'a> {
    site: &'a Site,
    id: &'a Id,
    lock: FileLock,
    /// When the result was last used, if there is a record of it.
    pub(crate) last_use: Option<SystemTime>,
}

impl<'a> Removal<'a> {
    /// Returns `None` if the result is being built, or another process is removing it.
    pub(crate) fn begin(site: &'a Site, id: &'a Id) -> Result<Option<Self>> {
        let path = site.paths.build_lock(id.as_str());
        let Some(lock) = site.paths.in_folders(|| FileLock::try_take(&path))? else {
            return Ok(None);
        };
        // Left by a removal that was killed.
        record::put_back(&site.paths, id);
        let (path, going) = (
            site.paths.record(id.as_str()),
            site.paths.going(id.as_str()),
        );
        let begun = match fs::rename(&path, &going) {
            Ok(()) => fs::symlink_metadata(&going)
                .and_then(|found| found.modified())
                .map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                access::write(&going, b"").map(|()| None)
            }
            Err(e) => Err(e),
        };
        match begun {
            Ok(last_use) => Ok(Some(Removal {
                site,
                id,
                lock,
                last_use,
            })),
            Err(e) => {
                lock.give_back();
                let doing = format!("putting away the record {}", path.display());
                Err(Error::io(doing, &e))
            }
        }
    }

    /// Returns whether another process has begun to remove it.
    pub(crate) fn is_begun(site: &Site, id: &Id) -> bool {
        fs::symlink_metadata(site.paths.going(id.as_str())).is_ok()
    }

    /// Returns whether a caller was told since then that the result exists.
    pub(crate) fn is_marked(&self) -> bool {
        fs::symlink_metadata(self.site.paths.record(self.id.as_str())).is_ok()
    }

    /// Ends the removal; the result is kept.
    pub(crate) fn undo(self) {
        match self.last_use {
            Some(_) => record::put_back(&self.site.paths, self.id),
            // There was no record; if there is one now, another caller has created it.
            None => drop(fs::remove_file(self.site.paths.going(self.id.as_str()))),
        }
        self.lock.give_back();
    }

    /// Ends the removal with an unknown outcome: the engine may still be removing the result. The next check finds out.
    pub(crate) fn leave(self) {
        self.lock.give_back();
    }

    /// Ends the removal; the result was removed. `bytes` is the size that its image had in the engine's listing, if that is
    /// known.
    pub(crate) fn done(self, how: Went, bytes: Option<u64>) {
        record::gone(self.site, self.id, how, bytes);
        self.lock.give_back();
    }
}
