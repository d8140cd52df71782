//! The one shared lease that a cache may have: its holders, and its record. It is one small file, so that joining and leaving
//! cost the same however many holders it has, and however many private leases of the cache there are.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::local as fs;
use crate::store::cache::state::record::Record;
use crate::store::replace::{beside_locked, replace};

/// The contents of the file. Only read and written under the cache's lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// The record of the holder that created the lease, as it was created; the clone is complete once `looks` is set. Each
    /// holder has a copy under an id of its own, which keeps the volumes from being removed.
    pub(crate) lease: Record,
    /// The ids of the records of the holders, as far as they have not left explicitly.
    pub(crate) holders: Vec<String>,
    /// One of the holders has released it: it has to be published, even if the last one discards it.
    pub(crate) keep: bool,
    /// The last holder is publishing it: it can no longer be joined.
    pub(crate) closing: bool,
}

impl Group {
    pub(crate) fn new(lease: &Record) -> Self {
        Group {
            lease: lease.clone(),
            holders: vec![lease.id.clone()],
            keep: false,
            closing: false,
        }
    }

    /// Returns its id.
    pub(crate) fn id(&self) -> &str {
        &self.lease.id
    }

    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let doing = || format!("reading the shared lease {}", path.display());
        match fs::read(path) {
            // Corrupted by a power failure, which also ended every session that could hold it.
            Ok(text) => Ok(serde_json::from_slice(&text)
                .inspect_err(|e| log::debug!("{}: {e}", doing()))
                .ok()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(doing(), &e)),
        }
    }

    /// Replaces the whole file. Not synced, because a power failure ends every session.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let doing =
            |e: &io::Error| Error::io(format!("writing the shared lease {}", path.display()), e);
        let text = serde_json::to_vec(self).map_err(|e| doing(&e.into()))?;
        replace(path, &beside_locked(path), &text).map_err(|e| doing(&e))
    }

    pub(crate) fn remove(path: &Path) -> Result<()> {
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                let doing = format!("removing the shared lease {}", path.display());
                Err(Error::io(doing, &e))
            }
            _ => Ok(()),
        }
    }
}
