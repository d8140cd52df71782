//! Changes that are made to two trees at the same time: to one that an overlay may show, and to a plain directory, which says
//! what it should show. They are random, with few names, so that they collide.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, RenameFlags, Timespec, Timestamps, XattrFlags, lgetxattr,
    llistxattr, lremovexattr, lsetxattr, mknodat, renameat_with, utimensat,
};

/// A source of numbers that are the same in each run.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).expect("small")]
    }
}

/// Few, so that changes collide.
const NAMES: [&str; 3] = ["a", "b", "c"];

/// The two trees, for the time of one generation.
pub struct Pair {
    pub shown: PathBuf,
    pub plain: PathBuf,
    /// If the shown tree is a mount: the directory that it stores its changes in.
    upper: Option<PathBuf>,
}

/// A range of times that no clock has: a file with a later time gets one of these, so that the two trees can be compared.
const OURS: std::ops::Range<i64> = 1_700_000_000..4_000_000_000;

impl Pair {
    pub fn new(shown: &Path, plain: &Path, upper: Option<PathBuf>) -> Self {
        let (shown, plain) = (shown.to_owned(), plain.to_owned());
        Pair {
            shown,
            plain,
            upper,
        }
    }

    /// Does the same in both, which must have the same outcome.
    pub fn both<T: Debug>(&self, what: &str, act: impl Fn(&Path) -> io::Result<T>) -> bool {
        let (shown, plain) = (act(&self.shown), act(&self.plain));
        let number = |result: &io::Result<T>| result.as_ref().err().map(io::Error::raw_os_error);
        assert_eq!(
            number(&shown),
            number(&plain),
            "{what}: {shown:?} where it is shown, {plain:?} where it is plain"
        );
        plain.is_ok()
    }

    /// Writes a small file in both.
    pub fn both_write(&self, name: &str, n: usize) {
        assert!(self.both("write", |at| fs::write(at.join(name), n.to_string())));
    }

    /// A file of a lower layer that is changed, linked or moved is copied first, and so is no longer the same file as its other
    /// names: in the plain tree the same is done.
    pub fn part(&self, path: &Path) {
        let Some(upper) = &self.upper else { return };
        let full = self.plain.join(path);
        let Ok(stat) = fs::symlink_metadata(&full) else {
            return;
        };
        if stat.is_dir() || stat.nlink() < 2 || fs::symlink_metadata(upper.join(path)).is_ok() {
            return;
        }
        let parent = full.parent().expect("a parent");
        let before = fs::metadata(parent).expect("there");
        let beside = parent.join(".parted");
        twin(&full, &beside).expect("copied");
        fs::rename(&beside, &full).expect("renamed");
        set_time(parent, (before.mtime(), before.mtime_nsec()));
    }

    /// Gives everything that changed since the last time the same times in both.
    pub fn settle(&self, round: i64) {
        let mut paths = BTreeSet::new();
        list(&self.plain, Path::new(""), &mut paths);
        let mut next = 0;
        for path in paths {
            let stat = fs::symlink_metadata(self.plain.join(&path)).expect("there");
            if !OURS.contains(&stat.mtime()) {
                continue;
            }
            next += 1;
            // Some at whole seconds, and some not.
            let time = (
                1_000_000_000 + round * 1000 + next,
                (next % 3) * 123_456_789,
            );
            for tree in [&self.shown, &self.plain] {
                set_time(&tree.join(&path), time);
            }
        }
    }

    /// Moves something as `mv` does: by renaming, or, if that is refused because part of it lies in a lower layer, by copying
    /// it.
    pub fn move_to(&self, from: &Path, to: &Path) {
        self.part(from);
        let (old, new) = (self.shown.join(from), self.shown.join(to));
        match fs::rename(old, new) {
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::XDEV.raw_os_error()) => {
                self.both("mv", |at| {
                    run("cp", at, &["-a", "--", path(from), path(to)])?;
                    run("rm", at, &["-rf", "--", path(from)])
                });
            }
            shown => {
                let plain = fs::rename(self.plain.join(from), self.plain.join(to));
                assert_eq!(
                    shown.is_ok(),
                    plain.is_ok(),
                    "mv {from:?} {to:?}: {shown:?}, {plain:?}"
                );
            }
        }
    }

    /// Makes one random change. Returns its name.
    pub fn change(&self, numbers: &mut Numbers) -> String {
        let mut folder = PathBuf::new();
        for _ in 0..numbers.below(4) {
            let next = folder.join(numbers.one_of(&NAMES));
            let stat = fs::symlink_metadata(self.plain.join(&next));
            if stat.is_ok_and(|stat| stat.is_dir()) || numbers.below(3) == 0 {
                self.replace(&next, |at| fs::create_dir_all(at));
                folder = next;
            }
        }
        let (one, other) = (folder.join(numbers.one_of(&NAMES)), self.any(numbers));
        let number = numbers.below(1000);
        let text = number.to_string();
        let kind = numbers.below(20);
        let what = format!("change {kind} of {one:?}, {other:?}, {number}");
        let stat = fs::symlink_metadata(self.plain.join(&one));
        let is_file = stat.as_ref().is_ok_and(|stat| stat.is_file());
        let is_there = stat.is_ok();
        match kind {
            0..3 => self.clear(&one),
            3 | 4 => {
                self.part(&one);
                self.replace(&one, |at| fs::write(at, &text));
            }
            5 => self.replace(&one, |at| fs::create_dir(at)),
            6 => {
                // A directory in place of another: the contents of the old one disappear, except names that the new one has,
                // too.
                self.clear(&one);
                self.both(&what, |at| fs::create_dir(at.join(&one)));
                for name in NAMES.iter().take(1 + (number % 3) as usize) {
                    self.both(&what, |at| fs::write(at.join(&one).join(name), &text));
                }
            }
            7 if is_file => {
                self.part(&one);
                self.both(&what, |at| {
                    fs::File::options()
                        .append(true)
                        .open(at.join(&one))?
                        .write_all(text.as_bytes())
                });
            }
            8 if is_file => {
                self.part(&one);
                let length = number * 77;
                self.both(&what, |at| {
                    fs::File::options()
                        .write(true)
                        .open(at.join(&one))?
                        .set_len(length)
                });
            }
            9 => self.replace(&one, |at| symlink(&text, at)),
            10 | 11 if is_there && !other.starts_with(&one) && !one.starts_with(&other) => {
                // Over a file, or to a free name.
                let (a, b) = (self.plain.join(&one), self.plain.join(&other));
                if a.is_dir() && !a.is_symlink() || b.is_dir() && !b.is_symlink() {
                    self.clear(&other);
                }
                self.move_to(&one, &other);
            }
            12 if is_file && one != other => {
                self.clear(&other);
                if fs::symlink_metadata(self.plain.join(&one)).is_ok() {
                    self.part(&one);
                    self.both(&what, |at| fs::hard_link(at.join(&one), at.join(&other)));
                }
            }
            13 if is_there => {
                self.part(&one);
                let mode = u32::try_from(number * 7 % 0o10000).expect("small");
                self.both(&what, |at| match at.join(&one).is_symlink() {
                    true => Ok(()),
                    false => fs::set_permissions(at.join(&one), fs::Permissions::from_mode(mode)),
                });
            }
            14 if is_there => {
                self.part(&one);
                let id = u32::try_from(number).expect("small");
                self.both(&what, |at| lchown(at.join(&one), Some(id), Some(id + 1)));
            }
            15 if is_there => {
                self.part(&one);
                let name = numbers.one_of(&[
                    "trusted.a",
                    "trusted.b",
                    "user.c",
                    "system.posix_acl_access",
                ]);
                let value: &[u8] = if name.starts_with("system") {
                    &ACL
                } else {
                    text.as_bytes()
                };
                self.both(&what, |at| {
                    Ok(lsetxattr(at.join(&one), name, value, XattrFlags::empty())?)
                });
            }
            16 if is_there => {
                self.part(&one);
                self.both(&what, |at| Ok(lremovexattr(at.join(&one), "trusted.a")?));
            }
            17 if is_there => {
                self.part(&one);
                // Before 1970, and in the far future.
                let time = (numbers.one_of(&[-5, 0, 1, 999_999_999, 4_100_000_000]), 7);
                for at in [&self.shown, &self.plain] {
                    set_time(&at.join(&one), time);
                }
            }
            18 => {
                let (kind, device) = numbers.one_of(&[
                    (FileType::Fifo, 0),
                    (FileType::Socket, 0),
                    (FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
                    (FileType::BlockDevice, rustix::fs::makedev(7, 99)),
                ]);
                let mode = Mode::from_raw_mode(0o640);
                self.replace(&one, |at| Ok(mknodat(CWD, at, kind, mode, device)?));
            }
            19 if is_file && self.plain.join(&other).is_file() && one != other => {
                self.part(&one);
                self.part(&other);
                let swap = RenameFlags::EXCHANGE;
                self.both(&what, |at| {
                    Ok(renameat_with(
                        CWD,
                        at.join(&one),
                        CWD,
                        at.join(&other),
                        swap,
                    )?)
                });
            }
            // The root, too, has a mode and attributes.
            _ => {
                let mode = 0o700 + u32::try_from(number % 0o77).expect("small");
                let folder = if number < 300 { Path::new("") } else { &folder };
                self.both(&what, |at| {
                    fs::set_permissions(at.join(folder), fs::Permissions::from_mode(mode))
                });
                self.both(&what, |at| {
                    Ok(lsetxattr(
                        at.join(folder),
                        "trusted.folder",
                        text.as_bytes(),
                        XattrFlags::empty(),
                    )?)
                });
            }
        }
        what
    }

    /// A path in an existing directory.
    fn any(&self, numbers: &mut Numbers) -> PathBuf {
        let mut paths = BTreeSet::new();
        list(&self.plain, Path::new(""), &mut paths);
        let folders: Vec<PathBuf> = paths
            .into_iter()
            .filter(|path| {
                let stat = fs::symlink_metadata(self.plain.join(path));
                stat.is_ok_and(|stat| stat.is_dir()) && path.components().count() < 4
            })
            .collect();
        let at = usize::try_from(numbers.below(folders.len() as u64)).expect("small");
        folders[at].join(numbers.one_of(&NAMES))
    }

    fn clear(&self, path: &Path) {
        self.both("rm -r", |at| clear(&at.join(path)));
    }

    /// Creates something in place of whatever exists; a directory is kept if one is needed.
    fn replace(&self, path: &Path, make: impl Fn(&Path) -> io::Result<()>) {
        self.both("replace", |at| {
            let full = at.join(path);
            match make(&full) {
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::AlreadyExists
                            | io::ErrorKind::IsADirectory
                            | io::ErrorKind::NotADirectory
                    ) =>
                {
                    clear(&full)?;
                    make(&full)
                }
                made => made,
            }
        });
    }
}

/// `user::rwx user:8:r-- group::r-- mask::r-- other::---`, in the kernel's form.
pub const ACL: [u8; 44] = [
    2, 0, 0, 0, //
    1, 0, 7, 0, 255, 255, 255, 255, //
    2, 0, 4, 0, 8, 0, 0, 0, //
    4, 0, 4, 0, 255, 255, 255, 255, //
    16, 0, 4, 0, 255, 255, 255, 255, //
    32, 0, 0, 0, 255, 255, 255, 255,
];

fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(stat) if stat.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// Runs a program in a directory; it must succeed.
pub fn run(program: &str, folder: &Path, arguments: &[&str]) -> io::Result<()> {
    let done = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()?;
    match done.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        ))),
    }
}

pub fn set_time(path: &Path, (seconds, nanos): (i64, i64)) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanos,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("set");
}

/// All paths below `root`, which is "".
fn list(root: &Path, folder: &Path, paths: &mut BTreeSet<PathBuf>) {
    paths.insert(folder.to_owned());
    for entry in fs::read_dir(root.join(folder)).expect("a directory") {
        let entry = entry.expect("an entry");
        let path = folder.join(entry.file_name());
        match entry.file_type().expect("a kind").is_dir() {
            true => list(root, &path, paths),
            false => drop(paths.insert(path)),
        }
    }
}

/// Copies anything but a directory, with all visible metadata.
fn twin(from: &Path, to: &Path) -> io::Result<()> {
    let stat = fs::symlink_metadata(from)?;
    let kind = FileType::from_raw_mode(stat.mode());
    match kind {
        FileType::RegularFile => drop(fs::copy(from, to)?),
        FileType::Symlink => symlink(fs::read_link(from)?, to)?,
        _ => mknodat(CWD, to, kind, Mode::from_raw_mode(0o600), stat.rdev())?,
    }
    match kind {
        FileType::Symlink => lchown(to, Some(stat.uid()), Some(stat.gid()))?,
        _ => {
            chown(to, Some(stat.uid()), Some(stat.gid()))?;
            fs::set_permissions(to, fs::Permissions::from_mode(stat.mode() & 0o7777))?;
        }
    }
    for name in attribute_names(from) {
        let mut value = vec![0; 64 << 10];
        let n = lgetxattr(from, &*name, &mut value[..])?;
        lsetxattr(to, &*name, &value[..n], XattrFlags::empty())?;
    }
    set_time(to, (stat.mtime(), stat.mtime_nsec()));
    Ok(())
}

fn attribute_names(path: &Path) -> Vec<std::ffi::OsString> {
    use std::os::unix::ffi::OsStrExt;
    let mut list = vec![0; 64 << 10];
    let n = llistxattr(path, &mut list[..]).unwrap_or(0);
    let names = list[..n].split(|b| *b == 0).filter(|name| !name.is_empty());
    names
        .map(|name| OsStr::from_bytes(name).to_owned())
        .collect()
}
