//! The identity of a root: a random number, created once and stored in the root, so that it does not depend on the root's path
//! or its name on an engine. A root that was moved keeps its identity; one that was copied gets a new one.

use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::os;
use crate::store::place::{Ancestry, Place};
use crate::store::replace::{beside_locked, replace_for_good};

/// The version of the file's format.
const FORMAT: u32 = 1;

/// How many hex digits of an identity start the id of each of its sessions: a name on the engine then shows which root it
/// belongs to.
pub(crate) const SHORT: usize = 8;

/// One engine that the root has been used with. On each, the root has separate results, caches and names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EngineEntry {
    /// What identifies the engine: its id (`/info`) and where it keeps its data.
    pub(crate) engine: String,
    /// The word that the names on it start with.
    pub(crate) word: String,
    /// What all names on it start with.
    pub(crate) prefix: String,
    /// The mark of the volume that claims the prefix: it recognises the engine in one short request.
    pub(crate) claim: String,
    /// The directory below `.store` for what is known of this engine; empty for the first, which uses `.store` itself.
    pub(crate) folder: String,
    /// The last address at which it was reached.
    pub(crate) address: String,
}

/// What is stored about a root.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    format: u32,
    /// 128 random bits as hex.
    pub(crate) id: String,
    place: Place,
    /// The marks of the directories where it was before.
    #[serde(default)]
    pub(crate) before: Vec<String>,
    /// The real path of the root when it was last checked.
    at: Ancestry,
    /// The root was created by version 0.1, whose objects carry the prefix and no identity.
    #[serde(default)]
    pub(crate) legacy: bool,
    pub(crate) engines: Vec<EngineEntry>,
}

/// What happened to a root since it was last used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is where it was, or was renamed.
    Same,
    /// It was copied to another file system, and the original removed.
    Moved,
    Copied,
}

impl Identity {
    /// Reads the identity of the root at `root`, or creates it. `file` is where it is stored; the caller holds a lock on it.
    /// `legacy` says that the root has files of version 0.1. `forget(true)` removes what the root knows of objects on engines;
    /// `forget(false)` removes only which of them are in use.
    pub(crate) fn of(
        root: &Path,
        file: &Path,
        legacy: bool,
        forget: impl FnOnce(bool) -> Result<()>,
    ) -> Result<Self> {
        let doing = |e: io::Error| Error::io(format!("looking at the root {}", root.display()), &e);
        let place = Place::of(root).map_err(doing)?;
        let at = Ancestry::of(root);
        let Some(known) = Identity::read_either(file)? else {
            let new = Identity::new(place, at, legacy);
            new.write(file)?;
            return Ok(new);
        };
        let identity = match known.fate(root, &place, file) {
            Fate::Same if known.place == place && known.at.path() == root => return Ok(known),
            Fate::Same => Identity { place, at, ..known },
            Fate::Moved => {
                // Any process that used it before used the original.
                forget(false)?;
                let mut before = known.before;
                before.push(known.place.mark(&known.id));
                Identity {
                    place,
                    at,
                    before,
                    ..known
                }
            }
            Fate::Copied => return known.copied(root, file, forget),
        };
        identity.write(file)?;
        Ok(identity)
    }

    fn new(place: Place, at: Ancestry, legacy: bool) -> Self {
        Identity {
            format: FORMAT,
            id: random(),
            place,
            before: Vec::new(),
            at,
            legacy,
            engines: Vec::new(),
        }
    }

    /// Creates another identity for the root, which is a copy of the root that this identity is of.
    pub(crate) fn copied(
        &self,
        root: &Path,
        file: &Path,
        forget: impl FnOnce(bool) -> Result<()>,
    ) -> Result<Self> {
        log::warn!(
            "the root {} is a copy of one that was at {}: it becomes a store of its own, without the other's results and caches",
            root.display(),
            self.at.path().display()
        );
        let doing = |e: io::Error| Error::io(format!("looking at the root {}", root.display()), &e);
        let place = Place::of(root).map_err(doing)?;
        // The old identity is kept until this is done: if the process is killed in between, it is done again.
        forget(true)?;
        let new = Identity::new(place, Ancestry::of(root), false);
        new.write(file)?;
        Ok(new)
    }

    fn fate(&self, root: &Path, place: &Place, file: &Path) -> Fate {
        let same_place = self.place.is(place);
        let old = self.at.path();
        if old == root {
            // Otherwise it was restored from a backup, or copied to where another container sees the same path: in both cases
            // the original may still be in use.
            return if same_place { Fate::Same } else { Fate::Copied };
        }
        let below = file.strip_prefix(root).unwrap_or(file);
        let there = Identity::read(&old.join(below));
        let has_ours = matches!(there, Ok(Some(there)) if there.id == self.id);
        if has_ours && is_one_directory(old, root) {
            return Fate::Same; // mounted at two places
        }
        if same_place {
            // In a snapshot of a file system, every directory exists a second time with the same metadata.
            let twice = Place::of(old).is_ok_and(|there| there.is(place));
            return match has_ours && twice {
                true => Fate::Copied,
                false => Fate::Same,
            };
        }
        match !has_ours && self.at.has_gone_to(place) {
            true => Fate::Moved,
            false => Fate::Copied,
        }
    }

    /// Returns what tells this root's directory from its copies, on an engine.
    pub(crate) fn mark(&self) -> String {
        self.place.mark(&self.id)
    }

    /// Returns where the root was when it was last checked.
    pub(crate) fn path(&self) -> &Path {
        self.at.path()
    }

    /// Returns whether the root of `file` still has the identity `id`.
    pub(crate) fn is_still(file: &Path, id: &str) -> Result<bool> {
        Ok(Identity::read_either(file)?.is_some_and(|there| there.id == id))
    }

    /// Returns what is stored in `file`, or in its spare copy if `file` was removed.
    fn read_either(file: &Path) -> Result<Option<Self>> {
        match Identity::read(file)? {
            None => Identity::read(&spare(file)),
            there => Ok(there),
        }
    }

    /// Returns what is stored in `file`; `None` if it does not exist.
    fn read(file: &Path) -> Result<Option<Self>> {
        let doing = || format!("reading the identity {}", file.display());
        let text = match fs::read(file) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(doing(), &e)),
        };
        let corrupt = |why: String| {
            let remedy = "remove it to use its copy, identity.spare; if both are removed, the root becomes a new store, \
                          and the old one's objects stay on the engine";
            Error::new(ErrorKind::Corrupt, format!("{}: {why}; {remedy}", doing()))
        };
        let identity: Identity =
            serde_json::from_slice(&text).map_err(|e| corrupt(e.to_string()))?;
        match identity.format {
            // Names on the engine are derived from it.
            FORMAT if !is_an_id(&identity.id) => Err(corrupt(String::from("it holds no identity"))),
            FORMAT => Ok(Some(identity)),
            other => Err(corrupt(format!(
                "unsupported format {other}; this version of the library supports {FORMAT}"
            ))),
        }
    }

    /// Stores the identity in two files, because a root must never lose it.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        self.write_one(file)?;
        self.write_one(&spare(file))
    }

    fn write_one(&self, file: &Path) -> Result<()> {
        let doing =
            |e: io::Error| Error::io(format!("writing the identity {}", file.display()), &e);
        let text = serde_json::to_vec_pretty(self).map_err(|e| doing(e.into()))?;
        // The caller holds the lock.
        replace_for_good(file, &beside_locked(file), &text).map_err(doing)
    }

    /// Returns what the ids of this root's sessions start with.
    pub(crate) fn short(&self) -> &str {
        &self.id[..SHORT]
    }
}

/// Returns whether it has the form that [`random`] returns.
fn is_an_id(id: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    id.len() == 32 && id.bytes().all(is_digit)
}

/// Returns the path of the second file.
pub(crate) fn spare(file: &Path) -> PathBuf {
    file.with_extension("spare")
}

fn is_one_directory(a: &Path, b: &Path) -> bool {
    match (os::numbers(a, true), os::numbers(b, true)) {
        (Ok(a), Ok(b)) => a.is(&b),
        _ => false,
    }
}

/// Returns 128 random bits as hex.
pub(crate) fn random() -> String {
    format!("{:016x}{:016x}", random_word(), random_word())
}

/// Returns 64 random bits. The standard library's hash keys are random for each process and differ for each use.
pub(crate) fn random_word() -> u64 {
    let mut hasher = std::hash::RandomState::new().build_hasher();
    let now: Duration = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    hasher.write_u128(now.as_nanos());
    hasher.write_u32(std::process::id());
    hasher.finish()
}

#[cfg(all(test, unix))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("docker-store-identity-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(path.join("root")).expect("a folder");
            Folder(path)
        }

        fn look(&self, name: &str) -> (Identity, bool) {
            let root = self.0.join(name);
            let mut forgot = false;
            let identity = Identity::of(&root, &root.join("identity"), false, |all| {
                forgot = all;
                Ok(())
            });
            (identity.expect("an identity"), forgot)
        }

        fn run(&self, command: &str) {
            let done = std::process::Command::new("sh")
                .args(["-c", command])
                .current_dir(&self.0)
                .status();
            assert!(done.expect("sh runs").success(), "{command}");
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_root_that_is_moved_stays_who_it_was_and_one_that_is_copied_does_not() {
        let folder = Folder::new("moves");
        let (first, _) = folder.look("root");
        assert_eq!(folder.look("root").0.id, first.id, "the next time");
        folder.run("mv root moved");
        assert_eq!(folder.look("moved").0.id, first.id, "moved");
        folder.run("cp -a moved copy");
        let (copy, forgot) = folder.look("copy");
        assert!(copy.id != first.id && forgot, "copied");
        assert_eq!(folder.look("copy").0.id, copy.id, "the copy again");
        assert_eq!(folder.look("moved").0.id, first.id, "the original again");
    }

    #[test]
    fn a_copy_whose_original_was_renamed_or_removed_is_a_copy() {
        let folder = Folder::new("renamed");
        let (first, _) = folder.look("root");
        folder.run("cp -a root copy && mv root elsewhere");
        assert_ne!(folder.look("copy").0.id, first.id);
        assert_eq!(folder.look("elsewhere").0.id, first.id);
        folder.run("cp -a elsewhere one && cp -a elsewhere two && rm -r elsewhere");
        let (one, two) = (folder.look("one").0.id, folder.look("two").0.id);
        assert!(one != two && one != first.id && two != first.id);
    }

    #[test]
    fn a_root_that_is_moved_to_another_file_system_with_what_is_above_it_stays_who_it_was() {
        let other = Path::new("/dev/shm");
        if !other.is_dir() {
            println!("there is no /dev/shm to move to: not tried");
            return;
        }
        let folder = Folder::new("filesystems");
        folder.run("mkdir project && mv root project");
        let (first, _) = folder.look("project/root");
        let there = other.join(format!("docker-store-identity-{}", std::process::id()));
        folder.run(&format!("mv project {}", there.display()));
        let root = there.join("root");
        let moved = Identity::of(&root, &root.join("identity"), false, |_| Ok(()));
        std::fs::remove_dir_all(&there).expect("removed");
        let moved = moved.expect("an identity");
        assert_eq!(moved.id, first.id);
        assert_eq!(moved.before, [first.mark()]);
        assert_ne!(moved.mark(), first.mark());
    }

    #[test]
    fn an_identity_whose_file_was_removed_is_found_in_the_other() {
        let folder = Folder::new("spare");
        let (first, _) = folder.look("root");
        folder.run("rm root/identity");
        assert_eq!(folder.look("root").0.id, first.id);
    }

    #[test]
    fn a_copy_that_is_seen_at_the_originals_path_is_a_copy() {
        let folder = Folder::new("backup");
        let (first, _) = folder.look("root");
        folder.run("cp -a root other && mv root elsewhere && mv other root");
        assert_eq!(folder.look("elsewhere").0.id, first.id);
        assert_ne!(folder.look("root").0.id, first.id);
    }

    #[test]
    fn a_file_that_holds_no_identity_is_refused_and_left_as_it_is() {
        let folder = Folder::new("corrupt");
        for text in ["", "{}", "{\"format\":2}"] {
            let file = folder.0.join("root/identity");
            std::fs::write(&file, text).expect("written");
            let error = Identity::of(&folder.0.join("root"), &file, false, |_| Ok(()))
                .expect_err("no identity");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert_eq!(fs::read_to_string(&file).expect("the file"), text);
        }
    }

    proptest! {
        #[test]
        fn any_file_is_an_identity_that_names_can_be_made_of_or_refused(
            id in prop_oneof!["[0-9a-f]{32}", "[0-9a-fA-F\u{e4}]{0,40}"],
            at in any::<prop::sample::Index>(),
            spoilt in prop::option::of(any::<u8>()),
        ) {
            let folder = Folder::new("any");
            let file = folder.0.join("root/identity");
            let (place, at_root) = (Place::of(&folder.0).expect("a place"), Ancestry::of(&folder.0));
            let identity = Identity { id: id.clone(), ..Identity::new(place, at_root, false) };
            let mut text = serde_json::to_vec(&identity).expect("JSON");
            if let Some(byte) = spoilt {
                let at = at.index(text.len());
                text[at] = byte;
            }
            std::fs::write(&file, &text).expect("written");
            match Identity::read(&file) {
                Ok(Some(read)) => {
                    prop_assert_eq!(read.short().len(), SHORT);
                    prop_assert!(names_are_made_of(&read.id));
                }
                Ok(None) => prop_assert!(false, "there is a file"),
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt),
            }
            let whole = id.len() == 32 && names_are_made_of(&id);
            prop_assert!(spoilt.is_some() || Identity::read(&file).is_ok() == whole);
        }
    }

    fn names_are_made_of(id: &str) -> bool {
        id.chars()
            .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
    }

    #[test]
    fn identities_are_not_made_twice() {
        let made: std::collections::HashSet<String> = (0..1000).map(|_| random()).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|id| id.len() == 32));
    }
}
