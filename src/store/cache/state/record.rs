//! Lease records: one small file for each outstanding lease, so that every process knows which volumes are in use. A record is
//! valid as long as its session is active; until then, the volumes in it must not be removed.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::store::access;
use crate::store::cache::files::look::RootLook;
use crate::store::cache::state::head::Head;
use crate::store::replace::replace;

/// The end of the id of a record that is not of a lease: a compaction has one, too, so that the volumes it merges are not
/// removed.
pub(crate) const COMPACTION: &str = ".compaction";

/// The contents of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The session's id, a dash and a number. It is also the file's name, so that even a corrupt file shows its session.
    pub(crate) id: String,
    /// The generation that was cloned.
    pub(crate) base: u64,
    /// The volumes that it was cloned from. Empty once it does not need them any more.
    pub(crate) parts: Vec<String>,
    /// The volumes created for it; the first is the one to mount.
    pub(crate) volumes: Vec<String>,
    /// The shared lease that this is a hold on: the id of the record of its creator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    /// The fingerprint of the clone, for detecting changes later. `None` while the clone is being created.
    #[serde(default)]
    pub(crate) looks: Option<Looks>,
}

/// The fingerprint of a clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Looks {
    /// A digest of the `stat` data of every file.
    Tree(String),
    /// A digest of its tar stream.
    Tar(String),
    /// An empty directory with these attributes.
    Upper {
        owner: (u32, u32),
        root: RootLook,
        /// A digest of its extended attributes.
        #[serde(default)]
        attributes: String,
        /// The layer's path on the engine's host.
        mountpoint: String,
    },
}

impl Record {
    /// Returns the session in a record's id.
    pub(crate) fn session_of(id: &str) -> &str {
        id.split_once('-').map_or(id, |(session, _)| session)
    }

    /// Creates a record that only keeps the current volumes of the cache from being removed.
    pub(crate) fn pin(id: String, head: &Head) -> Self {
        Record {
            id,
            base: head.generation,
            parts: head.parts.iter().map(|part| part.volume.clone()).collect(),
            volumes: Vec::new(),
            group: None,
            looks: None,
        }
    }

    /// Returns all volumes that this record keeps from being removed.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().chain(&self.volumes).map(String::as_str)
    }

    /// Writes the record into `folder`. The caller holds the cache's lock.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(&self.id);
        let doing =
            |e: &io::Error| Error::io(format!("writing the lease record {}", path.display()), e);
        let text = serde_json::to_vec(self).map_err(|e| doing(&e.into()))?;
        // Replaced atomically, because a kill in the middle would corrupt a record that others of its group need. Not synced,
        // because a power failure ends every session.
        let beside = folder.join(format!("{}.new", self.id));
        let write = || replace(&path, &beside, &text);
        let written = match write() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                access::create_dir(folder).and_then(|()| write())
            }
            written => written,
        };
        written.map_err(|e| doing(&e))
    }

    /// Reads the record `id` in `folder`; returns `None` if it does not exist.
    pub(crate) fn read(folder: &Path, id: &str) -> Result<Option<Self>> {
        let path = folder.join(id);
        let doing = || format!("reading the lease record {}", path.display());
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|e| Error::new(ErrorKind::Corrupt, format!("{}: {e}", doing()))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(doing(), &e)),
        }
    }

    /// Removes the record `id`. Returns `false` if it did not exist.
    pub(crate) fn remove(folder: &Path, id: &str) -> Result<bool> {
        let path = folder.join(id);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::io(
                format!("removing the lease record {}", path.display()),
                &e,
            )),
        }
    }

    /// Returns the ids of all records in `folder`.
    pub(crate) fn list(folder: &Path) -> Result<Vec<String>> {
        let doing = |e: &io::Error| {
            Error::io(
                format!("listing the lease records in {}", folder.display()),
                e,
            )
        };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(doing(&e)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            // A name that is not valid text is not one of ours.
            if let Ok(name) = entry.map_err(|e| doing(&e))?.file_name().into_string() {
                ids.push(name);
            }
        }
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn looks() -> impl Strategy<Value = Looks> {
        let upper = (
            any::<(u32, u32)>(),
            any::<u32>(),
            any::<(i64, u32)>(),
            ".{0,9}",
        );
        prop_oneof![
            ".{0,9}".prop_map(Looks::Tree),
            ".{0,9}".prop_map(Looks::Tar),
            upper.prop_map(|(owner, mode, mtime, mountpoint)| Looks::Upper {
                owner,
                root: RootLook { mode, mtime },
                attributes: mountpoint.clone(),
                mountpoint,
            }),
        ]
    }

    prop_compose! {
        fn any_record()(
            session in "[0-9a-f]{1,9}",
            number: u32,
            base: u64,
            parts in prop::collection::vec(".{0,9}", 0..4),
            volumes in prop::collection::vec(".{0,9}", 0..4),
            group in prop::option::of(".{0,9}"),
            looks in prop::option::of(looks()),
        ) -> Record {
            Record { id: format!("{session}-{number}"), base, parts, volumes, group, looks }
        }
    }

    proptest! {
        #[test]
        fn any_record_comes_back_as_it_was_written_and_a_torn_one_is_refused(
            record in any_record(),
            at in any::<prop::sample::Index>(),
            byte: u8,
        ) {
            let folder = std::env::temp_dir().join(format!("docker-store-any-record-{}", std::process::id()));
            fs::create_dir_all(&folder).expect("a folder");
            record.write(&folder).expect("written");
            let back = Record::read(&folder, &record.id).expect("read");
            let listed = Record::list(&folder).expect("listed");
            let path = folder.join(&record.id);
            let whole = std::fs::read(&path).expect("its text");
            let at = at.index(whole.len());
            std::fs::write(&path, &whole[..at]).expect("cut");
            let cut = Record::read(&folder, &record.id);
            let mut spoilt = whole;
            spoilt[at] = byte;
            std::fs::write(&path, &spoilt).expect("spoilt");
            let spoilt = Record::read(&folder, &record.id);
            std::fs::remove_dir_all(&folder).expect("removed");

            prop_assert_eq!(back.as_ref(), Some(&record));
            prop_assert_eq!(listed, vec![record.id.clone()]);
            // Even a corrupt file shows its session.
            let whose = format!("{}-", Record::session_of(&record.id));
            prop_assert!(record.id.starts_with(&whose));
            prop_assert_eq!(cut.expect_err("torn").kind(), ErrorKind::Corrupt);
            match spoilt {
                Ok(read) => prop_assert!(read.expect("there").names().count() <= 8),
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt),
            }
        }
    }
}
