//! A result on its way out: its id is locked, and its record has another name, so that who is just told that it is there notices.

use std::io;
use std::time::SystemTime;

use crate::error::{Error, Result};
use crate::local as fs;
use crate::store::access;
use crate::store::bounds::record::{self, Went};
use crate::store::lock::FileLock;
use crate::store::names::Id;
use crate::store::site::Site;

/// A removal that was begun: [`undo`](Self::undo) or [`done`](Self::done).
pub(crate) struct Removal<'a> {
    site: &'a Site,
    id: &'a Id,
    lock: FileLock,
    /// When the result was used last, where there is a record of it.
    pub(crate) last_use: Option<SystemTime>,
}

impl<'a> Removal<'a> {
    /// `None`: it is being built, or somebody else is at it.
    pub(crate) fn begin(site: &'a Site, id: &'a Id) -> Result<Option<Self>> {
        let path = site.paths.build_lock(id.as_str());
        let Some(lock) = site.paths.in_folders(|| FileLock::try_take(&path))? else {
            return Ok(None);
        };
        // Of one that was killed in the middle.
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

    /// Whether somebody else has begun to remove it.
    pub(crate) fn is_begun(site: &Site, id: &Id) -> bool {
        fs::symlink_metadata(site.paths.going(id.as_str())).is_ok()
    }

    /// Whether somebody was told since that the result is there.
    pub(crate) fn is_marked(&self) -> bool {
        fs::symlink_metadata(self.site.paths.record(self.id.as_str())).is_ok()
    }

    /// The result stays.
    pub(crate) fn undo(self) {
        match self.last_use {
            Some(_) => record::put_back(&self.site.paths, self.id),
            // There was none, but for one that somebody has made since.
            None => drop(fs::remove_file(self.site.paths.going(self.id.as_str()))),
        }
        self.lock.give_back();
    }

    /// Nobody knows whether it is gone: the engine may be at it still. Whoever looks next finds out.
    pub(crate) fn leave(self) {
        self.lock.give_back();
    }

    /// The result is gone.
    pub(crate) fn done(self, how: Went) {
        record::gone(self.site, self.id, how);
        self.lock.give_back();
    }
}
