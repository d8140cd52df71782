//! The files of one root. What OBuilder's store has keeps its place; the library's own bookkeeping is under `.store`.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::store::names::Id;

/// The paths of one root.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    root: PathBuf,
}

impl Paths {
    /// Makes what is missing of the root. Its parent must exist: a mistyped path must not become a store.
    pub(crate) fn create(root: &Path) -> Result<Self> {
        make_directory(root, 0o755)?;
        let real = fs::canonicalize(root)
            .map_err(|e| Error::io(format!("resolving {}", root.display()), &e))?;
        let paths = Paths { root: real };
        paths.make_folders()?;
        Ok(paths)
    }

    /// Makes the folders in the root that are missing.
    pub(crate) fn make_folders(&self) -> Result<()> {
        make_directory(&self.empty(), 0o000)?;
        make_directory(&self.state(), 0o755)?;
        make_directory(&self.logs(), 0o755)?;
        make_directory(&self.own(), 0o755)?;
        for folder in [self.sessions(), self.builds(), self.caches()] {
            make_directory(&folder, 0o755)?;
        }
        Ok(())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// An empty directory that nobody may enter: what a build without a base is given.
    pub(crate) fn empty(&self) -> PathBuf {
        self.root.join("empty")
    }

    /// The caller's own: a database, say.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(crate) fn log(&self, id: &Id) -> PathBuf {
        self.logs().join(format!("{}.log", id.as_str()))
    }

    /// The library's own files.
    pub(crate) fn own(&self) -> PathBuf {
        self.root.join(".store")
    }

    /// One lock file for each open store.
    pub(crate) fn sessions(&self) -> PathBuf {
        self.own().join("sessions")
    }

    /// One lock file for each build under way.
    pub(crate) fn builds(&self) -> PathBuf {
        self.own().join("builds")
    }

    /// Held by whoever builds `id`.
    pub(crate) fn build_lock(&self, id: &str) -> PathBuf {
        self.builds().join(id)
    }

    /// There once the tags of all steps were listed: later ones are found by their locks.
    pub(crate) fn listed(&self) -> PathBuf {
        self.own().join("listed")
    }

    /// Heads, locks and lease records of all caches.
    pub(crate) fn caches(&self) -> PathBuf {
        self.own().join("caches")
    }
}

/// Makes a directory, or finds it made.
fn make_directory(path: &Path, mode: u32) -> Result<()> {
    let doing = || format!("making the directory {}", path.display());
    match fs::DirBuilder::new().mode(mode).create(path) {
        // The umask may have taken bits away; `empty` needs none at all, so only that is set right.
        Ok(()) if mode == 0 => fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|e| Error::io(doing(), &e)),
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => match fs::metadata(path) {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{}: it is there, but no directory", doing()),
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
        fs::write(&file, "precious").expect("a file");
        assert_eq!(
            Paths::create(&file).expect_err("a file").kind(),
            ErrorKind::InvalidArgument
        );
        assert_eq!(fs::read(&file).expect("still there"), b"precious");
        let error = Paths::create(&folder.join("no/parent")).expect_err("no parent");
        assert_eq!(
            (error.kind(), error.os_errno().is_some()),
            (ErrorKind::Io, true)
        );
        assert!(!folder.join("no").exists());
        let paths = Paths::create(&folder.join("root")).expect("a root");
        assert_eq!(
            fs::metadata(paths.empty())
                .expect("empty")
                .permissions()
                .mode()
                & 0o7777,
            0
        );
        Paths::create(&folder.join("root")).expect("again");
        fs::remove_dir_all(&folder).expect("removed");
    }
}
