//! Lease records: one small file for each lease that is out, so that every process knows which volumes are in use. A record
//! counts for as long as its session lives; what is in it may not be removed until then.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::store::access;
use crate::store::cache::files::look::RootLook;
use crate::store::cache::state::head::Head;
use crate::store::replace::replace;

/// How the id of a record ends that is not of a lease: a compaction has one, too, so that nobody removes what it merges.
pub(crate) const COMPACTION: &str = ".compaction";

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The session's id, a dash and a number: also the file's name, so that even a torn file tells whose it is.
    pub(crate) id: String,
    /// The generation that was cloned.
    pub(crate) base: u64,
    /// The volumes it was cloned from. Empty once they are of no more use to it.
    pub(crate) parts: Vec<String>,
    /// The volumes made for it; the first is the one to mount.
    pub(crate) volumes: Vec<String>,
    /// The shared lease that this is a hold on: the id of the record of who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    /// How the clone looked, to tell later whether it was changed. `None` while it is being made.
    #[serde(default)]
    pub(crate) looks: Option<Looks>,
}

/// How a clone looked when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Looks {
    /// A digest over what `stat` says of every file.
    Tree(String),
    /// A digest over the tar stream of it.
    Tar(String),
    /// An empty directory that looks like this.
    Upper {
        owner: (u32, u32),
        root: RootLook,
        /// A digest over its extended attributes.
        #[serde(default)]
        attributes: String,
        /// The layer's place on the engine's machine.
        mountpoint: String,
    },
}

impl Record {
    /// The session that a record's id names.
    pub(crate) fn session_of(id: &str) -> &str {
        id.split_once('-').map_or(id, |(session, _)| session)
    }

    /// A record that does nothing but keep what the cache is now from being removed.
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

    /// All volumes that this record keeps from being removed.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().chain(&self.volumes).map(String::as_str)
    }

    /// Puts the record into `folder`. Only ever under the cache's lock.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(&self.id);
        let doing =
            |e: &io::Error| Error::io(format!("writing the lease record {}", path.display()), e);
        let text = serde_json::to_vec(self).map_err(|e| doing(&e.into()))?;
        // Renamed over, or a kill in the middle would tear a record that others of its group need. Not synced: a power
        // failure ends every session.
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

    /// The record `id` in `folder`; `None` where there is none.
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

    /// Removes the record `id`. `false`: there was none.
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

    /// The ids of all records in `folder`.
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
            // A name that is no text is none of ours.
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
            // Even a torn file tells whose it is.
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
