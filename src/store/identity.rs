//! Who a root is: a random identity, made once and kept in the root, so that neither its path nor its name on an engine has to
//! say it. A root that was moved stays who it was; one that was copied becomes another.

use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::store::access;

/// The version of the file's format.
const FORMAT: u32 = 1;

/// How many hex digits of an identity begin the id of each of its sessions: a name on the engine then says whose it is.
pub(crate) const SHORT: usize = 8;

/// A directory as the file system knows it, whatever its path is. A rename keeps this; a copy does not.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    inode: u64,
    /// When the directory was made: seconds since 1970, and nanoseconds. Not every file system tells.
    born: Option<(i64, u32)>,
    /// Says something only where `born` is not known: devices are numbered anew at each boot.
    device: u64,
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        let found = statx(
            CWD,
            path,
            AtFlags::empty(),
            StatxFlags::INO | StatxFlags::BTIME,
        )?;
        let knows_birth = found.stx_mask & StatxFlags::BTIME.bits() != 0;
        Ok(Place {
            inode: found.stx_ino,
            born: knows_birth.then_some((found.stx_btime.tv_sec, found.stx_btime.tv_nsec)),
            device: (u64::from(found.stx_dev_major) << 32) | u64::from(found.stx_dev_minor),
        })
    }

    fn is(&self, other: &Place) -> bool {
        let same = match (self.born, other.born) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => self.device == other.device,
        };
        self.inode == other.inode && same
    }
}

/// One engine that the root has been used with. Each has results, caches and names of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EngineEntry {
    /// What the engine says that it is: its id (`/info`) and where it keeps its data.
    pub(crate) engine: String,
    /// The word that the names there begin with.
    pub(crate) word: String,
    /// What all names there begin with.
    pub(crate) prefix: String,
    /// The mark of the volume that claims the prefix: by it the engine is known again in one short call.
    pub(crate) claim: String,
    /// The folder below `.store` for what is known of this engine; empty for the first, which has `.store` itself.
    pub(crate) folder: String,
    /// Where it was reached last.
    pub(crate) address: String,
}

/// What is kept of a root.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    format: u32,
    /// 128 random bits as hex.
    pub(crate) id: String,
    place: Place,
    /// The real path of the root, and the directory above it, when it was looked at last.
    path: PathBuf,
    parent: Option<Place>,
    /// The root was made by version 0.1, whose objects carry the prefix and no identity.
    #[serde(default)]
    pub(crate) legacy: bool,
    pub(crate) engines: Vec<EngineEntry>,
}

/// What became of a root since it was used last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Same,
    Moved,
    Copied,
}

impl Identity {
    /// Reads who the root at `root` is, or decides it. `file` is where that is kept; the caller holds a lock on it. `legacy`: the
    /// root has what version 0.1 leaves in one. `forget` removes what a copied root knows of the original's objects.
    pub(crate) fn of(
        root: &Path,
        file: &Path,
        legacy: bool,
        forget: impl FnOnce() -> Result<()>,
    ) -> Result<Self> {
        let doing = |e: io::Error| Error::io(format!("looking at the root {}", root.display()), &e);
        let place = Place::of(root).map_err(doing)?;
        let parent = root.parent().and_then(|parent| Place::of(parent).ok());
        let made = |legacy| Identity {
            format: FORMAT,
            id: random(),
            place,
            path: root.to_owned(),
            parent,
            legacy,
            engines: Vec::new(),
        };
        let Some(known) = Identity::read(file)? else {
            let new = made(legacy);
            new.write(file)?;
            return Ok(new);
        };
        let fate = known.fate(root, &place, file);
        let identity = match fate {
            Fate::Same => return Ok(known),
            Fate::Moved => Identity {
                place,
                path: root.to_owned(),
                parent,
                ..known
            },
            Fate::Copied => {
                log::warn!(
                    "the root {} is a copy of {}: it becomes a store of its own, without the other's results and caches",
                    root.display(),
                    known.path.display()
                );
                // The old identity stays until this is done: killed in between, it is done again.
                forget()?;
                made(false)
            }
        };
        identity.write(file)?;
        Ok(identity)
    }

    fn fate(&self, root: &Path, place: &Place, file: &Path) -> Fate {
        let same_place = self.place.is(place);
        if self.path == root {
            // Otherwise put back from a backup, or copied to where another container sees the same path: either way the
            // original may live.
            return if same_place { Fate::Same } else { Fate::Copied };
        }
        let below = file.strip_prefix(root).unwrap_or(file);
        let there = Identity::read(&self.path.join(below));
        let has_ours = matches!(there, Ok(Some(there)) if there.id == self.id);
        if has_ours && is_one_directory(&self.path, root) {
            return Fate::Same; // mounted at two places
        }
        if same_place {
            // A snapshot of a file system has the same places once more.
            let twice = Place::of(&self.path).is_ok_and(|there| there.is(place));
            return match has_ours && twice {
                true => Fate::Copied,
                false => Fate::Moved,
            };
        }
        if has_ours {
            return Fate::Copied;
        }
        // To another file system, which is a copy whose original was removed; if this process would see it there.
        let parent = self.path.parent().map(Place::of);
        let sees_parent =
            matches!((&self.parent, parent), (Some(then), Some(Ok(now))) if then.is(&now));
        let is_gone = matches!(fs::symlink_metadata(&self.path), Err(e) if e.kind() == io::ErrorKind::NotFound);
        match sees_parent && is_gone {
            true => Fate::Moved,
            false => Fate::Copied,
        }
    }

    /// What is kept in `file`; `None` where nothing is.
    fn read(file: &Path) -> Result<Option<Self>> {
        let doing = || format!("reading the identity {}", file.display());
        let text = match fs::read(file) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(doing(), &e)),
        };
        let corrupt = |why: String| {
            let remedy = "removing the file makes the root a new store, which keeps the old one's objects on the engine";
            Error::new(ErrorKind::Corrupt, format!("{}: {why}; {remedy}", doing()))
        };
        let identity: Identity =
            serde_json::from_slice(&text).map_err(|e| corrupt(e.to_string()))?;
        match identity.format {
            FORMAT => Ok(Some(identity)),
            other => Err(corrupt(format!(
                "it has format {other}, and this library knows {FORMAT}"
            ))),
        }
    }

    /// Written beside, synced, renamed over, and the directory synced: a root must never forget who it is.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let doing =
            |e: io::Error| Error::io(format!("writing the identity {}", file.display()), &e);
        let text = serde_json::to_vec_pretty(self).map_err(|e| doing(e.into()))?;
        // One name is enough: the caller holds the lock.
        let beside = file.with_extension("new");
        let mut new = access::create(&beside).map_err(doing)?;
        new.write_all(&text)
            .and_then(|()| new.sync_all())
            .and_then(|()| fs::rename(&beside, file))
            .map_err(doing)?;
        match file.parent() {
            Some(folder) => fs::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(doing),
            None => Ok(()),
        }
    }

    /// What the ids of this root's sessions begin with.
    pub(crate) fn short(&self) -> &str {
        &self.id[..SHORT.min(self.id.len())]
    }
}

fn is_one_directory(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// 128 random bits as hex.
pub(crate) fn random() -> String {
    format!("{:016x}{:016x}", random_word(), random_word())
}

/// 64 random bits. The standard library's hash keys are random for each process and differ for each use.
pub(crate) fn random_word() -> u64 {
    let mut hasher = std::hash::RandomState::new().build_hasher();
    let now: Duration = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    hasher.write_u128(now.as_nanos());
    hasher.write_u32(std::process::id());
    hasher.finish()
}

#[cfg(test)]
mod tests {
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
            let identity = Identity::of(&root, &root.join("identity"), false, || {
                forgot = true;
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
    fn a_root_that_was_copied_and_then_removed_has_been_moved() {
        let folder = Folder::new("filesystems");
        let (first, _) = folder.look("root");
        folder.run("cp -a root other && rm -r root");
        assert_eq!(folder.look("other").0.id, first.id);
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
            fs::write(&file, text).expect("written");
            let error = Identity::of(&folder.0.join("root"), &file, false, || Ok(()))
                .expect_err("no identity");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert_eq!(fs::read_to_string(&file).expect("the file"), text);
        }
    }

    #[test]
    fn identities_are_not_made_twice() {
        let made: std::collections::HashSet<String> = (0..1000).map(|_| random()).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|id| id.len() == 32));
    }
}
