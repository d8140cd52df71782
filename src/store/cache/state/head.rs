//! The head of a cache: which generation it is at and which volumes that is made of. One small file, replaced as a whole, so
//! that at every instant a reader or a crash finds one generation.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::store::access;
use crate::store::cache::files::look::{RootLook, Size, since_1970};
use crate::store::names;

/// The version of the file's format.
const FORMAT: u32 = 1;

/// No generation and no time is larger.
const LARGEST: u64 = 1 << 53;

/// What a volume of a generation holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The cache's whole tree.
    Whole,
    /// What one release changed, in `upper/`, in the form that the kernel's overlay gives it.
    Layer,
}

/// One volume of a generation. Nothing ever writes to it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) volume: String,
    pub(crate) kind: Kind,
    /// Where its files were on the engine's machine when it was made. Looked up anew where nothing is found there.
    pub(crate) mountpoint: String,
    /// An OBuilder store made it: it carries no labels of ours, and is copied before it is read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) adopted: bool,
    /// How many files it has and what they take on disk, if anybody counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<Size>,
}

/// The state of one cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    format: u32,
    /// The name as it was given, in hex: it is any bytes, and the folder's name may be its digest.
    name: String,
    pub(crate) generation: u64,
    /// A deleted cache keeps its head, so that leases cloned before lose.
    #[serde(default)]
    pub(crate) deleted: bool,
    /// Lowest first; none is an empty cache.
    pub(crate) parts: Vec<Part>,
    pub(crate) root: Option<RootLook>,
    /// Volumes without this store's labels (an OBuilder store made them) that the cache once was and that are still to be
    /// removed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) retired: BTreeSet<String>,
    /// The volume of an OBuilder store that the cache began with, as a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) adopted_from: Option<String>,
    /// Seconds since 1970.
    created: u64,
}

impl Head {
    /// The head of a cache that nobody has released yet.
    pub(crate) fn new(name: &[u8]) -> Self {
        Head {
            format: FORMAT,
            name: names::hex(name),
            generation: 0,
            deleted: false,
            parts: Vec::new(),
            root: None,
            retired: BTreeSet::new(),
            adopted_from: None,
            created: since_1970().as_secs(),
        }
    }

    /// The cache's name; `None` where the file does not hold one.
    pub(crate) fn name(&self) -> Option<Vec<u8>> {
        let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let whole = self.name.len() % 2 == 0;
        whole
            .then(|| {
                self.name
                    .as_bytes()
                    .chunks(2)
                    .map(digits)
                    .collect::<Option<Vec<u8>>>()
            })
            .flatten()
    }

    pub(crate) fn created(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.created)
    }

    /// Makes the cache an empty one, newer than every lease that is out.
    pub(crate) fn empty(&mut self) {
        self.generation += 1;
        self.parts.clear();
        self.root = None;
    }

    /// Makes it that of a deleted cache, and gives the parts that were its own. What OBuilder made goes with it, or the cache would
    /// come back.
    pub(crate) fn bury(&mut self) -> Vec<Part> {
        let parts: Vec<Part> = self.parts.drain(..).collect();
        let (adopted, own): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|p| p.adopted);
        self.empty();
        self.deleted = true;
        let retired = adopted.into_iter().map(|part| part.volume);
        self.retired.extend(retired.chain(self.adopted_from.take()));
        own
    }

    /// Reads the head at `path`; `None` where there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let doing = || format!("reading the head {}", path.display());
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(doing(), &e)),
        };
        let corrupt = |why: String| {
            let healed = "deleting the cache heals it";
            Error::new(ErrorKind::Corrupt, format!("{}: {why}; {healed}", doing()))
        };
        let head: Head = serde_json::from_slice(&text).map_err(|e| corrupt(e.to_string()))?;
        match head.format {
            // Both are counted with: beyond this they are no numbers that this library wrote.
            FORMAT if head.generation.max(head.created) > LARGEST => {
                Err(corrupt(String::from("a number in it is too large")))
            }
            FORMAT => Ok(Some(head)),
            other => Err(corrupt(format!(
                "it has format {other}, and this library knows {FORMAT}"
            ))),
        }
    }

    /// Puts the head at `path`: written beside, synced, renamed over, the directory synced.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let doing = |e: &io::Error| Error::io(format!("writing the head {}", path.display()), e);
        let text = serde_json::to_vec(self).map_err(|e| doing(&e.into()))?;
        // One name is enough: the cache's lock is held. A killed writer's leftover is written over.
        let beside = path.with_extension("new");
        let mut file = access::create(&beside).map_err(|e| doing(&e))?;
        let written = fs::room(0, text.len())
            .and_then(|()| file.write_all(&text))
            .and_then(|()| file.sync_all());
        if let Err(e) = written {
            let _ = fs::remove_file(&beside);
            return Err(doing(&e));
        }
        fs::rename(&beside, path).map_err(|e| doing(&e))?;
        // A folder whose sync fails has the new head all the same, and may only forget it in a power failure.
        match path.parent() {
            Some(folder) => sync_folder(folder).map_err(|e| doing(&e)),
            None => Ok(()),
        }
    }
}

/// Makes the names in a folder survive a power failure.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_head_comes_back_as_it_was_written_and_a_foreign_one_is_refused() {
        let folder = std::env::temp_dir().join(format!("docker-store-head-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("head");
        assert_eq!(Head::read(&path).expect("none"), None);
        let mut head = Head::new(b"a/\xff\0b");
        head.parts.push(Part {
            volume: String::from("v"),
            kind: Kind::Layer,
            mountpoint: String::from("/v/_data"),
            adopted: false,
            size: Some(Size {
                entries: 1,
                bytes: 2,
            }),
        });
        head.root = Some(RootLook {
            mode: 0o1777,
            mtime: (-5, 7),
        });
        head.write(&path).expect("written");
        let read = Head::read(&path).expect("a head").expect("there");
        assert_eq!((read.name(), &read), (Some(b"a/\xff\0b".to_vec()), &head));
        for text in [
            "",
            "{",
            "{}",
            r#"{"format":2,"name":"","generation":0,"parts":[],"root":null,"created":0}"#,
        ] {
            fs::write(&path, text).expect("written");
            assert_eq!(
                Head::read(&path).expect_err(text).kind(),
                ErrorKind::Corrupt
            );
        }
        fs::remove_dir_all(&folder).expect("removed");
    }

    proptest! {
        #[test]
        fn any_head_is_one_that_can_be_counted_with_or_refused(
            generation in prop_oneof![0..9u64, any::<u64>()],
            created in prop_oneof![0..9u64, any::<u64>()],
            name in "[0-9a-fäx]{0,9}",
            spoilt in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let folder = std::env::temp_dir().join(format!("docker-store-any-head-{}", std::process::id()));
            fs::create_dir_all(&folder).expect("a folder");
            let path = folder.join("head");
            let mut text = serde_json::to_vec(&Head { generation, created, name, ..Head::new(b"") }).expect("text");
            if let Some((at, byte)) = spoilt {
                let at = at.index(text.len());
                text[at] = byte;
            }
            std::fs::write(&path, text).expect("written");
            if let Ok(Some(mut head)) = Head::read(&path) {
                let (_, _) = (head.created(), head.name());
                head.empty();
                prop_assert!(head.generation > 0);
            }
            std::fs::remove_dir_all(&folder).expect("removed");
        }
    }
}
