//! What real programs do to a cache, generation after generation, each in its own directory: the same in the lease and in a
//! plain directory.

mod kinds;
mod programs;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, XattrFlags, lremovexattr, lsetxattr, mknodat};

use super::changes::{self, Pair};

/// One of them.
pub struct Workload {
    pub name: &'static str,
    /// What is done in the `n`-th generation.
    step: fn(&At<'_>, usize),
    /// The names, of files with several names, that the step changes, links or moves: in an overlay they become separate files.
    parts: fn(&Path, usize) -> Vec<PathBuf>,
}

const fn workload(name: &'static str, step: fn(&At<'_>, usize)) -> Workload {
    Workload {
        name,
        step,
        parts: |_, _| Vec::new(),
    }
}

pub fn all() -> impl Iterator<Item = &'static Workload> {
    programs::ALL.iter().chain(&kinds::ALL)
}

/// Does the `n`-th step of all of them in both trees.
pub fn step_all(pair: &Pair, n: usize) {
    for workload in all() {
        let name = Path::new(workload.name);
        for path in (workload.parts)(&pair.plain.join(name), n) {
            pair.part(&name.join(path));
        }
        for tree in [&pair.shown, &pair.plain] {
            let at = tree.join(name);
            if n == 0 {
                fs::create_dir(&at).expect("made");
            }
            (workload.step)(&At(&at), n);
        }
    }
}

/// The directory of a workload. Everything here must succeed.
pub struct At<'a>(&'a Path);

impl At<'_> {
    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    fn has(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok()
    }

    /// Writes a file, and makes the directories above it.
    fn write(&self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(&path, text).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    }

    /// As careful programs do: written under another name, and renamed.
    fn replace(&self, name: &str, text: impl AsRef<[u8]>) {
        let beside = format!("{name}.tmp-1a2b");
        self.write(&beside, text);
        self.rename(&beside, name);
    }

    fn append(&self, name: &str, text: &str) {
        let file = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path(name));
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("appended");
    }

    fn folder(&self, name: impl AsRef<Path>) {
        fs::create_dir_all(self.path(name)).expect("made");
    }

    /// Removes whatever it is, if it exists.
    fn remove(&self, name: impl AsRef<Path>) {
        let path = self.path(name);
        let Ok(stat) = fs::symlink_metadata(&path) else {
            return;
        };
        let removed = if stat.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.unwrap_or_else(|e| panic!("{path:?}: {e}"));
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to))
            .unwrap_or_else(|e| panic!("{from} to {to}: {e}"));
    }

    fn link(&self, from: &str, to: &str) {
        fs::hard_link(self.path(from), self.path(to))
            .unwrap_or_else(|e| panic!("{from} as {to}: {e}"));
    }

    fn symlink(&self, target: impl AsRef<Path>, name: &str) {
        symlink(target, self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("set");
    }

    fn owner(&self, name: &str, user: u32, group: u32) {
        lchown(self.path(name), Some(user), Some(group)).expect("owned");
    }

    fn attribute(&self, name: &str, attribute: &str, value: &[u8]) {
        lsetxattr(self.path(name), attribute, value, XattrFlags::empty())
            .unwrap_or_else(|e| panic!("{attribute} of {name}: {e}"));
    }

    fn no_attribute(&self, name: &str, attribute: &str) {
        // It may have been lost in an archive.
        let _ = lremovexattr(self.path(name), attribute);
    }

    fn time(&self, name: &str, seconds: i64, nanos: i64) {
        changes::set_time(&self.path(name), (seconds, nanos));
    }

    fn node(&self, name: &str, kind: FileType, device: u64) {
        mknodat(
            CWD,
            self.path(name),
            kind,
            Mode::from_raw_mode(0o640),
            device,
        )
        .expect("made");
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = names
            .map(|name| name.into_string().expect("text"))
            .collect();
        names.sort();
        names
    }

    /// Runs a shell script in it.
    fn sh(&self, script: &str) {
        let all = format!("set -e; umask 022; {script}");
        changes::run("sh", self.0, &["-c", &all]).unwrap_or_else(|e| panic!("{e}"));
    }
}

/// The names of `folder` in `root` that are of files with several names.
fn linked(root: &Path, folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("an entry"));
    let many = paths.filter(|entry| {
        entry
            .metadata()
            .is_ok_and(|stat| stat.nlink() > 1 && !stat.is_dir())
    });
    many.map(|entry| Path::new(folder).join(entry.file_name()))
        .collect()
}
