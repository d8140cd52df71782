//! The files of one root. Files that OBuilder's store has, too, have the same paths; the library's own bookkeeping is under
//! `.store`.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::os;
use crate::store::names::Id;
use crate::store::{access, identity};

/// The paths of one root, used with one engine.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    root: PathBuf,
    /// Below `.store`; empty for the first engine that the root was used with.
    engine: PathBuf,
    /// The records of results: read with each hit.
    records: PathBuf,
    /// The group that may use it, besides its owner.
    group: Option<u32>,
}

impl Paths {
    /// Creates the root if it is missing. Its parent must exist: a mistyped path must not become a store.
    pub(crate) fn create(root: &Path, group: Option<u32>) -> Result<Self> {
        make_directory(root, 0o755)?;
        let real = os::real_path(root)
            .map_err(|e| Error::io(format!("resolving {}", root.display()), &e))?;
        Ok(Paths {
            records: real.join(OWN).join(RECORDS),
            root: real,
            engine: PathBuf::new(),
            group,
        })
    }

    /// Creates the library's own directory, which is sufficient for storing the root's identity.
    pub(crate) fn make_own(&self) -> Result<()> {
        access::make_own(&self.own(), self.group)
    }

    /// Returns the paths of the same root, with `folder` for what is known of an engine.
    pub(crate) fn with_engine(self, folder: &str) -> Self {
        Paths {
            records: self.own().join(folder).join(RECORDS),
            engine: PathBuf::from(folder),
            ..self
        }
    }

    /// Creates the missing directories in the root.
    pub(crate) fn make_folders(&self) -> Result<()> {
        make_directory(&self.empty(), 0o000)?;
        access::make_public(&self.state(), self.group)?;
        access::make_public(&self.logs(), self.group)?;
        self.make_own()?;
        if !self.engine.as_os_str().is_empty() {
            self.make_below(&self.own().join(ENGINES))?;
            self.make_below(&self.of_engine())?;
        }
        for folder in [
            self.sessions(),
            self.builds(),
            self.caches(),
            self.records.clone(),
            self.gone(),
            self.pins(),
            self.pins().join(RESULTS),
            self.pins().join(CACHES),
            self.cache_limits(),
        ] {
            self.make_below(&folder)?;
        }
        Ok(())
    }

    /// Does `what` with a file in one of the directories, and once more if the directory was removed by another program in the
    /// meantime: it held nothing that is still needed.
    pub(crate) fn in_folders<T>(&self, mut what: impl FnMut() -> Result<T>) -> Result<T> {
        match what() {
            Err(e) if e.os_errno().is_some_and(os::is_missing) => {
                self.make_folders()?;
                what()
            }
            done => done,
        }
    }

    /// Creates a directory below `.store`, unless it exists.
    fn make_below(&self, path: &Path) -> Result<()> {
        access::check(path, self.group)?;
        match access::create_dir(path) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(Error::io(
                format!("creating the directory {}", path.display()),
                &e,
            )),
            _ => Ok(()),
        }
    }

    /// Removes what the root knows of objects on engines, which belong to another root; or (not `all`) only which sessions and
    /// builds there were.
    pub(crate) fn forget_objects(&self, all: bool) -> Result<()> {
        let own = self.own();
        let mut paths = vec![own.join("sessions"), own.join("builds")];
        if all {
            let more = [
                "caches", RECORDS, "gone", ENGINES, "listed", "network", "probed",
            ];
            paths.extend(more.iter().map(|name| own.join(name)));
        } else if let Ok(engines) = fs::read_dir(own.join(ENGINES)) {
            paths.extend(engines.flatten().map(|engine| engine.path().join("builds")));
        }
        for path in paths {
            let removed = match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => fs::remove_dir_all(&path),
                Ok(_) => fs::remove_file(&path),
                Err(e) => Err(e),
            };
            match removed {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(format!("removing {}", path.display()), &e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns whether version 0.1 has used this root: there are caches or sessions, and no identity.
    pub(crate) fn is_legacy(&self) -> bool {
        let known = self.identity().exists() || identity::spare(&self.identity()).exists();
        self.own().join("sessions").exists() && !known
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns an empty directory without access permissions: for a build without a base.
    pub(crate) fn empty(&self) -> PathBuf {
        self.root.join("empty")
    }

    /// Returns the caller's own directory, for example for a database.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(crate) fn log(&self, id: &Id) -> PathBuf {
        self.logs().join(format!("{}.log", id.as_str()))
    }

    /// Returns the directory of the library's own files.
    pub(crate) fn own(&self) -> PathBuf {
        self.root.join(OWN)
    }

    /// Returns the file with the root's identity.
    pub(crate) fn identity(&self) -> PathBuf {
        self.own().join("identity")
    }

    /// Returns the lock that is held while the identity is read or changed.
    pub(crate) fn identity_lock(&self) -> PathBuf {
        self.own().join("identity.lock")
    }

    /// Returns the directory with one lock file for each open store.
    pub(crate) fn sessions(&self) -> PathBuf {
        self.own().join("sessions")
    }

    /// Returns the directory for what is known of the engine.
    pub(crate) fn of_engine(&self) -> PathBuf {
        self.own().join(&self.engine)
    }

    /// Returns the directory with one lock file for each build in progress.
    pub(crate) fn builds(&self) -> PathBuf {
        self.of_engine().join("builds")
    }

    /// Returns the lock that is held while `id` is built.
    pub(crate) fn build_lock(&self, id: &str) -> PathBuf {
        self.builds().join(id)
    }

    /// Returns the file that exists once everything under the prefix was listed: later, leftovers are found by their locks and
    /// sessions.
    pub(crate) fn listed(&self) -> PathBuf {
        self.of_engine().join("listed")
    }

    /// Returns the directory with a record of each result.
    pub(crate) fn records(&self) -> &Path {
        &self.records
    }

    /// Returns the record of the result `id`. Used with each hit, so it is built with one allocation.
    pub(crate) fn record(&self, id: &str) -> PathBuf {
        let mut path = PathBuf::with_capacity(self.records.as_os_str().len() + 1 + id.len());
        path.push(&self.records);
        path.push(id);
        path
    }

    /// Returns the record's path while the result is being removed: no id starts with a dot.
    pub(crate) fn going(&self, id: &str) -> PathBuf {
        self.records.join(format!(".going-{id}"))
    }

    /// Returns the directory with what is remembered for a while about removed results.
    pub(crate) fn gone(&self) -> PathBuf {
        self.of_engine().join("gone")
    }

    /// Returns the directory of pins, which protect from a prune on any engine.
    fn pins(&self) -> PathBuf {
        self.own().join("pins")
    }

    /// Returns the directory with the pins of results, by id.
    pub(crate) fn pinned_results(&self) -> PathBuf {
        self.pins().join(RESULTS)
    }

    /// Returns the directory with the pins of caches, by escaped name.
    pub(crate) fn pinned_caches(&self) -> PathBuf {
        self.pins().join(CACHES)
    }

    /// Returns the directory with the limits of caches, by escaped name.
    pub(crate) fn cache_limits(&self) -> PathBuf {
        self.own().join("limits")
    }

    /// Returns the directory with the heads, locks and lease records of all caches.
    pub(crate) fn caches(&self) -> PathBuf {
        self.of_engine().join("caches")
    }
}

/// The library's own directory.
const OWN: &str = ".store";

/// The directory of the records of results.
const RECORDS: &str = "results";

/// The directories of pins.
const RESULTS: &str = "results";
const CACHES: &str = "caches";

/// The directory of the directories of further engines.
pub(crate) const ENGINES: &str = "engines";

/// Refuses a path that cannot be or become a root, and creates nothing.
pub(crate) fn check(root: &Path, group: Option<u32>) -> Result<()> {
    let doing = || format!("looking at the root {}", root.display());
    match fs::metadata(root) {
        Ok(found) if found.is_dir() => {
            // The root itself may be named by a link, because the caller chose it.
            let real = os::real_path(root).map_err(|e| Error::io(doing(), &e))?;
            access::check(&real, group)?;
            for name in ["empty", "state", "logs", ".store"] {
                access::check(&real.join(name), group)?;
            }
            Ok(())
        }
        Ok(_) => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("{}: it is not a directory", doing()),
        )),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let parent = root
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            match fs::metadata(parent.unwrap_or(Path::new("."))) {
                Ok(_) => Ok(()),
                Err(e) => Err(Error::io(
                    format!("{}: the directory above it", doing()),
                    &e,
                )),
            }
        }
        Err(e) => Err(Error::io(doing(), &e)),
    }
}

/// Creates a directory, unless it exists.
fn make_directory(path: &Path, mode: u32) -> Result<()> {
    let doing = || format!("creating the directory {}", path.display());
    match os::create_dir(path, mode) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => match fs::metadata(path) {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{}: it exists but is not a directory", doing()),
            )),
            Err(e) => Err(Error::io(doing(), &e)),
        },
        Err(e) => Err(Error::io(doing(), &e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_is_a_file_or_has_no_parent_is_refused_and_left_alone() {
        let folder =
            std::env::temp_dir().join(format!("docker-store-paths-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("file");
        std::fs::write(&file, "precious").expect("a file");
        assert_eq!(
            Paths::create(&file, None).expect_err("a file").kind(),
            ErrorKind::InvalidArgument
        );
        assert_eq!(fs::read(&file).expect("still there"), b"precious");
        let error = Paths::create(&folder.join("no/parent"), None).expect_err("no parent");
        assert_eq!(
            (error.kind(), error.os_errno().is_some()),
            (ErrorKind::Io, true)
        );
        assert!(!folder.join("no").exists());
        let paths = Paths::create(&folder.join("root"), None).expect("a root");
        paths.make_folders().expect("folders");
        let empty = fs::metadata(paths.empty()).expect("empty");
        assert!(empty.is_dir());
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&empty) & 0o7777, 0);
        Paths::create(&folder.join("root"), None).expect("again");
        fs::remove_dir_all(&folder).expect("removed");
    }
}
