//! The head of a cache: its current generation, and the volumes that it consists of. It is one small file that is replaced
//! atomically, so that at any time a reader, or a process after a crash, finds one generation.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::os;
use crate::store::cache::files::look::{RootLook, since_1970};
pub(crate) use crate::store::cache::state::part::{Durable, Kind, Part, Unsure};
use crate::store::names::unhex;
use crate::store::replace::{beside_locked, replace_for_good};
use crate::store::{clock, names};

/// The version of the file's format.
const FORMAT: u32 = 1;

/// The maximum of a generation and of a time.
const LARGEST: u64 = 1 << 53;

/// The state of one cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    format: u32,
    /// The name as the caller passed it, in hex, because it is any bytes, and the directory's name may be its digest.
    name: String,
    pub(crate) generation: u64,
    /// A deleted cache keeps its head, so that leases cloned before lose.
    #[serde(default)]
    pub(crate) deleted: bool,
    /// Lowest first; an empty list is an empty cache.
    pub(crate) parts: Vec<Part>,
    pub(crate) root: Option<RootLook>,
    /// Set while the files of the newest parts may not be on disk. Also absent if that is unknown: in a head of version 0.1.0,
    /// and if this process cannot access the engine's volumes directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unsure: Option<Unsure>,
    /// Volumes without this store's labels (created by an OBuilder store) that the cache once used and that are still to be
    /// removed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) retired: BTreeSet<String>,
    /// The volume of an OBuilder store that the cache started from, as a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) adopted_from: Option<String>,
    /// Seconds since 1970.
    created: u64,
}

/// How the newest parts were written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Written<'a> {
    /// Synced to disk.
    Synced,
    /// Written in this boot of the machine, and possibly not on disk yet.
    InBoot(&'a str),
    /// Written on the engine's host, which this process cannot access.
    OutOfReach,
}

impl Head {
    /// Creates the head of a cache that has never been released.
    pub(crate) fn new(name: &[u8]) -> Self {
        Head {
            format: FORMAT,
            name: names::hex(name),
            generation: 0,
            deleted: false,
            parts: Vec::new(),
            root: None,
            unsure: None,
            retired: BTreeSet::new(),
            adopted_from: None,
            created: since_1970().as_secs(),
        }
    }

    /// Returns the cache's name; `None` if the file does not contain one.
    pub(crate) fn name(&self) -> Option<Vec<u8>> {
        unhex(self.name.as_bytes())
    }

    pub(crate) fn created(&self) -> SystemTime {
        clock::time(self.created)
    }

    /// Makes the cache empty, and newer than every outstanding lease.
    pub(crate) fn empty(&mut self) {
        self.generation += 1;
        self.parts.clear();
        self.root = None;
        self.unsure = None;
    }

    /// Returns the current state of the cache, for going back to it.
    pub(crate) fn state(&self) -> Durable {
        Durable {
            generation: self.generation,
            parts: self.parts.clone(),
            root: self.root,
        }
    }

    /// Returns all parts that must not be removed: those of the newest generation, and those to go back to.
    pub(crate) fn all_parts(&self) -> impl Iterator<Item = &Part> {
        let durable = self.unsure.iter().flat_map(|unsure| &unsure.durable.parts);
        let known = |part: &&Part| !self.parts.iter().any(|p| p.volume == part.volume);
        self.parts.iter().chain(durable.filter(known))
    }

    /// Returns the volumes of [`all_parts`](Self::all_parts).
    pub(crate) fn volumes(&self) -> impl Iterator<Item = &str> {
        self.all_parts().map(|part| part.volume.as_str())
    }

    /// Records how the parts were written: all are on disk, or that is unknown, or `before` is the state to go back to.
    pub(crate) fn note(&mut self, written: Written<'_>, before: Durable) {
        self.unsure = match written {
            Written::Synced | Written::OutOfReach => None,
            Written::InBoot(boot) => Some(Unsure {
                boot: boot.to_owned(),
                durable: self.unsure.take().map_or(before, |unsure| unsure.durable),
            }),
        };
    }

    /// Records that `synced`, an earlier state of the cache all volumes of which still exist, is on disk. Returns `false` if
    /// that is known, or no longer of use.
    pub(crate) fn mark(&mut self, synced: &Durable) -> bool {
        let Some(unsure) = &mut self.unsure else {
            return false;
        };
        let same = |parts: &[Part]| {
            parts.len() == synced.parts.len()
                && parts
                    .iter()
                    .zip(&synced.parts)
                    .all(|(a, b)| a.volume == b.volume)
        };
        if same(&self.parts) {
            self.unsure = None;
            return true;
        }
        if same(&unsure.durable.parts) || synced.generation < unsure.durable.generation {
            return false;
        }
        unsure.durable = synced.clone();
        true
    }

    /// If this is another boot, goes back to what was certainly on disk when the power failed. Returns the generation that this
    /// was.
    ///
    /// The generation number still increases: no outstanding lease, of any process, may take the result for the generation that
    /// it was cloned from.
    pub(crate) fn go_back(&mut self, boot: &str) -> Option<u64> {
        let unsure = self.unsure.take_if(|unsure| unsure.boot != boot)?;
        let durable = unsure.durable;
        if durable.generation != self.generation {
            self.generation += 1;
        }
        self.parts = durable.parts;
        self.root = durable.root;
        Some(durable.generation)
    }

    /// Makes it the head of a deleted cache, and returns the parts that were its own. A volume that OBuilder created is removed
    /// as well, or the cache would reappear.
    pub(crate) fn bury(&mut self) -> Vec<Part> {
        let parts: Vec<Part> = self.all_parts().cloned().collect();
        let (adopted, own): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|p| p.adopted);
        self.empty();
        self.deleted = true;
        let retired = adopted.into_iter().map(|part| part.volume);
        self.retired.extend(retired.chain(self.adopted_from.take()));
        own
    }

    /// Reads the head at `path`; returns `None` if it does not exist.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let doing = || format!("reading the head {}", path.display());
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(doing(), &e)),
        };
        let corrupt = |why: String| {
            let healed = "delete the cache to recover";
            Error::new(ErrorKind::Corrupt, format!("{}: {why}; {healed}", doing()))
        };
        let head: Head = serde_json::from_slice(&text).map_err(|e| corrupt(e.to_string()))?;
        match head.format {
            // They are used in arithmetic: a larger number was not written by this library.
            FORMAT if head.numbers().any(|number| number > LARGEST) => {
                Err(corrupt(String::from("a number in it is too large")))
            }
            FORMAT => Ok(Some(head)),
            other => Err(corrupt(format!(
                "unsupported format {other}; this version of the library supports {FORMAT}"
            ))),
        }
    }

    /// Returns all numbers that are used in arithmetic.
    fn numbers(&self) -> impl Iterator<Item = u64> {
        let durable = self.unsure.as_ref().map(|unsure| &unsure.durable);
        let parts = self.parts.iter();
        let parts = parts.chain(durable.into_iter().flat_map(|durable| &durable.parts));
        let sizes = parts.filter_map(|part| part.size);
        [self.generation, self.created]
            .into_iter()
            .chain(durable.map(|durable| durable.generation))
            .chain(sizes.flat_map(|size| [size.entries, size.bytes]))
    }

    /// Replaces the head at `path`. The caller holds the cache's lock.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let doing = |e: &io::Error| Error::io(format!("writing the head {}", path.display()), e);
        let text = serde_json::to_vec(self).map_err(|e| doing(&e.into()))?;
        replace_for_good(path, &beside_locked(path), &text).map_err(|e| doing(&e))
    }
}

/// Makes the names in a directory survive a power failure.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    os::sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::cache::files::look::Size;

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
            birth: None,
            generation: 0,
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
            std::fs::write(&path, text).expect("written");
            assert_eq!(
                Head::read(&path).expect_err(text).kind(),
                ErrorKind::Corrupt
            );
        }
        fs::remove_dir_all(&folder).expect("removed");
    }

    /// Numbers that this library writes, and arbitrary ones.
    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![4 => 0..9u64, 1 => Just(LARGEST), 1 => any::<u64>()]
    }

    prop_compose! {
        fn any_part()(
            volume in ".{0,9}",
            mountpoint in ".{0,9}",
            generation in number(),
            adopted: bool,
            is_layer: bool,
            size in prop::option::of((number(), number())),
        ) -> Part {
            let kind = if is_layer { Kind::Layer } else { Kind::Whole };
            let size = size.map(|(entries, bytes)| Size { entries, bytes });
            Part { volume, kind, mountpoint, birth: None, generation, adopted, size }
        }
    }

    prop_compose! {
        fn any_durable()(
            generation in number(),
            parts in prop::collection::vec(any_part(), 0..4),
            root in prop::option::of((any::<u32>(), any::<(i64, u32)>())),
        ) -> Durable {
            let root = root.map(|(mode, mtime)| RootLook { mode, mtime });
            Durable { generation, parts, root }
        }
    }

    prop_compose! {
        fn any_head()(
            state in any_durable(),
            unsure in prop::option::of(any_durable()),
            created in number(),
            name in "[0-9a-f\u{e4}x]{0,9}",
            retired in prop::collection::btree_set(".{0,9}", 0..3),
            adopted_from in prop::option::of(".{0,9}"),
            deleted: bool,
        ) -> Head {
            let Durable { generation, parts, root } = state;
            let unsure = unsure.map(|durable| Unsure { boot: String::from("one"), durable });
            Head { generation, parts, root, unsure, created, name, retired, adopted_from, deleted, ..Head::new(b"") }
        }
    }

    proptest! {
        #[test]
        fn any_head_is_one_that_can_be_counted_with_or_refused(
            head in any_head(),
            spoilt in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let folder = std::env::temp_dir().join(format!("docker-store-any-head-{}", std::process::id()));
            fs::create_dir_all(&folder).expect("a folder");
            let path = folder.join("head");
            let mut text = serde_json::to_vec(&head).expect("text");
            if let Some((at, byte)) = spoilt {
                let at = at.index(text.len());
                text[at] = byte;
            }
            std::fs::write(&path, text).expect("written");
            let read = Head::read(&path);
            std::fs::remove_dir_all(&folder).expect("removed");
            if let Ok(Some(mut read)) = read {
                prop_assert!(spoilt.is_some() || read == head);
                let (_, _) = (read.created(), read.name());
                let sizes = || read.all_parts().filter_map(|part| part.size);
                let _: (u64, u64) = (sizes().map(|s| s.bytes).sum(), sizes().map(|s| s.entries).sum());
                let mut back = read.clone();
                if let Some(generation) = back.go_back("two") {
                    prop_assert!(generation <= LARGEST && back.generation >= read.generation);
                }
                let volumes = read.volumes().map(str::to_owned).collect::<BTreeSet<_>>();
                prop_assert!(read.parts.iter().all(|part| volumes.contains(&part.volume)));
                read.bury();
                prop_assert!(read.generation > 0 && read.volumes().next().is_none());
            }
        }
    }

    fn part(name: &str, generation: u64) -> Part {
        Part {
            volume: name.to_owned(),
            kind: Kind::Layer,
            mountpoint: format!("/{name}/_data"),
            birth: None,
            generation,
            adopted: false,
            size: None,
        }
    }

    fn names<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Vec<&'a str> {
        parts.into_iter().map(|part| part.volume.as_str()).collect()
    }

    /// A release, as far as it affects a head.
    fn release(head: &mut Head, name: &str, written: Written<'_>) {
        let before = head.state();
        head.generation += 1;
        head.parts.push(part(name, head.generation));
        head.note(written, before);
    }

    #[test]
    fn in_another_boot_a_cache_is_what_was_certainly_on_disk() {
        let one = Written::InBoot("one");
        let mut head = Head::new(b"a");
        release(&mut head, "a", one);
        release(&mut head, "b", one);
        let synced = head.state();
        release(&mut head, "c", one);
        assert!(head.mark(&synced) && !head.mark(&synced), "news but once");
        // A merge, after which `c` is part of neither: the layer is only in the state to go back to.
        let before = head.state();
        head.parts.splice(1..3, [part("bc", 3)]);
        head.note(one, before);
        assert_eq!(names(head.all_parts()), ["a", "bc", "b"]);

        let mut same = head.clone();
        assert_eq!((same.go_back("one"), &same), (None, &head));
        let mut other = head.clone();
        assert_eq!(other.go_back("two"), Some(2));
        assert_eq!((names(&other.parts), other.generation), (vec!["a", "b"], 4));
        assert_eq!(
            (other.go_back("three"), other.unsure.as_ref()),
            (None, None)
        );

        let all = head.state();
        assert!(head.mark(&all));
        assert_eq!((head.go_back("two"), head.unsure.as_ref()), (None, None));
        assert_eq!(names(head.all_parts()), ["a", "bc"]);
    }

    #[test]
    fn what_is_marked_is_never_older_than_what_was_marked_before() {
        let one = Written::InBoot("one");
        let mut head = Head::new(b"a");
        release(&mut head, "a", one);
        let early = head.state();
        release(&mut head, "c", one);
        let newest = head.state();
        release(&mut head, "d", one);
        assert!(head.mark(&newest) && !head.mark(&early));
        // A sync also writes what is below; if that is unknown, nothing is claimed.
        release(&mut head, "e", Written::Synced);
        assert_eq!(head.unsure, None);
        release(&mut head, "f", one);
        release(&mut head, "g", Written::OutOfReach);
        assert_eq!(head.unsure, None);
    }

    #[test]
    fn a_head_that_0_1_0_wrote_is_read_and_what_is_written_now_is_read_by_it() {
        let folder =
            std::env::temp_dir().join(format!("docker-store-0.1.0-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("head");
        let old = r#"{"format":1,"name":"61","generation":3,"deleted":false,"parts":[{"volume":"v","kind":"layer",
            "mountpoint":"/v/_data"}],"root":{"mode":493,"mtime":[5,0]},"created":7}"#;
        std::fs::write(&path, old).expect("written");
        let mut head = Head::read(&path).expect("a head").expect("there");
        // It is unknown when it was written, so it is left as it is.
        assert_eq!((head.clone().go_back("two"), head.parts.len()), (None, 1));
        release(&mut head, "w", Written::InBoot("one"));
        head.write(&path).expect("written");
        let text: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
        // Everything that version 0.1.0 requires, in its form; it ignores unknown fields.
        for (field, is) in [
            ("format", serde_json::json!(1)),
            ("generation", serde_json::json!(4)),
            ("deleted", serde_json::json!(false)),
            ("created", serde_json::json!(7)),
        ] {
            assert_eq!(text[field], is, "{field}");
        }
        assert_eq!(text["parts"][1]["kind"], "layer");
        assert_eq!(head.clone().go_back("two"), Some(3));
        fs::remove_dir_all(&folder).expect("removed");
    }
}
