//! Mount points: directories and empty files that an engine creates only as the targets of mounts. They are owned by root, and
//! no user has asked for them. They are removed again if this process can access the layer that they are in.

use std::collections::VecDeque;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, fgetxattr,
    flistxattr, fstat, readlinkat, statat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::engine::containers::GraphDriver;
use crate::local::openat;

/// The maximum number of links to follow on the way to a target, as in the kernel.
const LINKS_MAX: usize = 40;

/// How much later than a file in it a directory may be changed by the file's creation: a tick of the kernel's clock.
const TICK: i128 = 10_000_000;

/// A stack of directories as an overlay shows them, or a single one. Paths in it are relative, and never leave it, because its
/// contents were written by the program in the container.
#[derive(Debug)]
pub(crate) struct Layers {
    /// The layer that contains the changes.
    pub(crate) upper: PathBuf,
    /// The layers below it, topmost first.
    pub(crate) lowers: Vec<PathBuf>,
}

/// A directory in which a mount point was created.
struct Above {
    path: PathBuf,
    folder: OwnedFd,
    /// Its state before that, its time now, and the time of the last mount point created in it.
    before: Before,
    now: i128,
    made: i128,
}

/// A mount point that did not exist before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Point {
    path: PathBuf,
    /// How many directories on the way to it existed, and the state of the last of them.
    above: usize,
    before: Option<Before>,
}

/// A directory before a mount point was created in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Before {
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A directory that is as it was before, except for its change time, which no program can set. This is what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Restored {
    pub(crate) inode: u64,
    pub(crate) changed: (i64, i64),
}

impl Point {
    /// Returns the last directory on the way to it that existed.
    fn above(&self) -> PathBuf {
        self.path.iter().take(self.above).collect()
    }

    /// Creates a point in layers whose upper layer was empty.
    fn in_fresh(path: PathBuf) -> Self {
        Point {
            path,
            above: 0,
            before: None,
        }
    }
}

impl Layers {
    /// Returns the layers of a container, if the engine keeps them as directories that this process can access. They are named
    /// by random numbers, so a directory found by such a name is the right one.
    pub(crate) fn of_container(driver: &GraphDriver) -> Option<Self> {
        let path = |name: &str| driver.data.as_ref()?.get(name)?.as_str();
        let upper = PathBuf::from(path("UpperDir")?);
        let lowers = path("LowerDir").unwrap_or_default();
        let lowers = lowers.split(':').filter(|lower| !lower.is_empty());
        let layers = Layers {
            upper,
            lowers: lowers.map(PathBuf::from).collect(),
        };
        layers.upper.is_dir().then_some(layers)
    }

    /// Removes the mount points at `targets` in a container that has ended, whose upper layer was empty before.
    pub(crate) fn uncover(&self, targets: &[String]) {
        let resolved = targets
            .iter()
            .filter_map(|target| match self.resolve(target) {
                Ok(path) => Some(path),
                Err(e) => {
                    log::debug!("the mount point {target} stays in the result: {e}");
                    None
                }
            });
        let mut paths: Vec<PathBuf> = resolved.collect();
        // The deepest last: it may be inside one that was created for another mount.
        paths.sort_by_key(|path| path.components().count());
        let points: Vec<Point> = paths.into_iter().map(Point::in_fresh).collect();
        if let Err(e) = self.remove(&points) {
            log::debug!("mount points stay in the result: {e}");
        }
    }

    /// Records `path` before something is mounted there; returns `None` if a mount point exists already.
    pub(crate) fn point(&self, path: &Path) -> io::Result<Option<Point>> {
        let mut folder = open(&self.upper)?;
        for (above, name) in path.iter().enumerate() {
            match openat(&folder, name, FOLDER, Mode::empty()) {
                Ok(next) => folder = next,
                Err(Errno::NOENT) => {
                    let stat = fstat(&folder)?;
                    return Ok(Some(Point {
                        path: path.to_owned(),
                        above,
                        before: Some(Before {
                            inode: stat.st_ino,
                            modified: (stat.st_mtime, nanos(stat.st_mtime_nsec)),
                            changed: (stat.st_ctime, nanos(stat.st_ctime_nsec)),
                        }),
                    }));
                }
                // It is a file; or a mount is not possible there, which the engine has to report.
                Err(Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(None)
    }

    /// Removes the mount points for `points`, which must be in the order of their creation, if they are still empty, and the
    /// directories that were created on the way to them. Returns the directories that are as they were.
    pub(crate) fn remove(&self, points: &[Point]) -> io::Result<Vec<Restored>> {
        // Before anything is removed, because a removal changes directories, too.
        let mut above: Vec<Above> = Vec::new();
        for point in points {
            let (Some(before), Some(made)) = (point.before, self.made(point)?) else {
                continue;
            };
            let path = point.above();
            let Some(folder) = self.open_folder(&path)? else {
                continue;
            };
            let at = match above.iter().position(|other| other.path == path) {
                Some(at) => at,
                None => {
                    let now = time_of(&fstat(&folder)?);
                    above.push(Above {
                        path,
                        folder,
                        before,
                        now,
                        made: i128::MIN,
                    });
                    above.len() - 1
                }
            };
            above[at].made = above[at].made.max(time_of(&made));
        }
        // The last first: it may be inside one that was created earlier.
        for point in points.iter().rev() {
            self.remove_one(point)?;
        }
        let mut restored = Vec::new();
        for above in above {
            // If only the mount point has changed the directory, it gets its earlier time back.
            if above.now <= above.made + TICK {
                set_time(&above.folder, above.before.modified)?;
                restored.push(Restored {
                    inode: above.before.inode,
                    changed: above.before.changed,
                });
            }
        }
        Ok(restored)
    }

    /// Returns what was created for a point.
    fn made(&self, point: &Point) -> io::Result<Option<Stat>> {
        let parent = point.path.parent().unwrap_or(Path::new(""));
        let (Some(name), Some(folder)) = (point.path.file_name(), self.open_folder(parent)?) else {
            return Ok(None);
        };
        match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            made => Ok(Some(made?)),
        }
    }

    fn remove_one(&self, point: &Point) -> io::Result<()> {
        let Some(made) = self.made(point)? else {
            return Ok(());
        };
        let how = match FileType::from_raw_mode(made.st_mode) {
            FileType::Directory => AtFlags::REMOVEDIR,
            FileType::RegularFile if made.st_size == 0 => AtFlags::empty(),
            _ => return Ok(()),
        };
        // If a layer below has it, it existed before, whatever it looks like.
        if find(&self.lowers, &point.path)?.is_some() {
            return Ok(());
        }
        let (mut path, mut how) = (point.path.as_path(), how);
        while let Some((name, parent)) = path.file_name().zip(path.parent()) {
            let Some(folder) = self.open_folder(parent)? else {
                return Ok(());
            };
            if !is_removed(&folder, name, how)?
                || parent.iter().count() <= point.above
                || !self.is_untouched(&folder, parent, &made)?
            {
                return Ok(());
            }
            (path, how) = (parent, AtFlags::REMOVEDIR);
        }
        Ok(())
    }

    /// Returns whether a directory looks like one that the engine created for a mount below it, like `made`; or, if mounting
    /// has only copied it from a layer below, whether it is as it was there.
    fn is_untouched(&self, folder: &OwnedFd, path: &Path, made: &Stat) -> io::Result<bool> {
        let now = fstat(folder)?;
        let look = |stat: &Stat| (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777);
        let Some(below) = find(&self.lowers, path)? else {
            return Ok(look(&now) == (made.st_uid, made.st_gid, 0o755));
        };
        if !below.is(FileType::Directory) || is_opaque(folder) || look(&now) != look(&below.stat) {
            return Ok(false);
        }
        let below = openat(&below.folder, &below.name, FOLDER, Mode::empty())?;
        Ok(attributes(folder)? == attributes(&below)?)
    }

    /// Opens the directory `path` of the upper layer, without following links.
    fn open_folder(&self, path: &Path) -> io::Result<Option<OwnedFd>> {
        let mut folder = open(&self.upper)?;
        for name in path {
            match openat(&folder, name, FOLDER, Mode::empty()) {
                Ok(next) => folder = next,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(Some(folder))
    }

    /// Returns the path below the root to which `target` leads, with all links followed.
    fn resolve(&self, target: &str) -> io::Result<PathBuf> {
        let layers: Vec<PathBuf> = [&self.upper]
            .into_iter()
            .chain(&self.lowers)
            .cloned()
            .collect();
        let names = |path: &Path| -> Vec<PathBuf> {
            path.components()
                .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
                .map(|part| PathBuf::from(part.as_os_str()))
                .collect()
        };
        let mut left: VecDeque<PathBuf> = names(Path::new(target)).into();
        let (mut path, mut links) = (PathBuf::new(), 0);
        while let Some(name) = left.pop_front() {
            if name == Path::new("..") {
                path.pop();
                continue;
            }
            let next = path.join(&name);
            let link = match find(&layers, &next)? {
                Some(found) if found.is(FileType::Symlink) => found.link()?,
                _ => {
                    path = next;
                    continue;
                }
            };
            links += 1;
            if links > LINKS_MAX {
                return Err(Errno::LOOP.into());
            }
            if link.is_absolute() {
                path.clear();
            }
            for name in names(&link).into_iter().rev() {
                left.push_front(name);
            }
        }
        Ok(path)
    }
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

fn open(folder: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, folder, FOLDER, Mode::empty())?)
}

/// A file in one of several layers.
struct Found {
    folder: OwnedFd,
    name: PathBuf,
    stat: Stat,
}

impl Found {
    fn is(&self, kind: FileType) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == kind
    }

    fn link(&self) -> io::Result<PathBuf> {
        let link = readlinkat(&self.folder, &self.name, Vec::new())?;
        let link: OsString = std::os::unix::ffi::OsStringExt::from_vec(link.into_bytes());
        Ok(link.into())
    }
}

/// Returns what an overlay of `layers`, topmost first, shows at `path`, which has no link on the way.
fn find(layers: &[PathBuf], path: &Path) -> io::Result<Option<Found>> {
    'layers: for layer in layers {
        let mut folder = open(layer)?;
        let mut hides_below = false;
        let mut names = path.iter().peekable();
        while let Some(name) = names.next() {
            let stat = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) if hides_below => return Ok(None),
                Err(Errno::NOENT) => continue 'layers,
                Err(e) => return Err(e.into()),
            };
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
                return Ok(None);
            }
            if names.peek().is_none() {
                let name = PathBuf::from(name);
                return Ok(Some(Found { folder, name, stat }));
            }
            if kind != FileType::Directory {
                return Ok(None);
            }
            folder = openat(&folder, name, FOLDER, Mode::empty())?;
            hides_below |= is_opaque(&folder);
        }
    }
    Ok(None)
}

fn is_opaque(folder: &OwnedFd) -> bool {
    let mut value = [0; 1];
    ["trusted.overlay.opaque", "user.overlay.opaque"]
        .iter()
        .any(|name| matches!(fgetxattr(folder, *name, &mut value[..]), Ok(1)) && value == *b"y")
}

/// Returns the extended attributes of a directory, except the overlay's own.
fn attributes(folder: &OwnedFd) -> io::Result<Vec<(CString, Vec<u8>)>> {
    let mut names = vec![0; 64 << 10];
    let length = match flistxattr(folder, &mut names[..]) {
        Err(Errno::NOTSUP) => 0,
        length => length?,
    };
    let mut found = Vec::new();
    for name in names[..length].split_inclusive(|b| *b == 0) {
        let is_own = |prefix: &str| name.starts_with(prefix.as_bytes());
        if let (false, Ok(name)) = (
            is_own("trusted.overlay.") || is_own("user.overlay."),
            CStr::from_bytes_with_nul(name),
        ) {
            let mut value = vec![0; 64 << 10];
            let length = fgetxattr(folder, name, &mut value[..])?;
            value.truncate(length);
            found.push((name.to_owned(), value));
        }
    }
    found.sort();
    Ok(found)
}

/// Removes an empty file or directory. Returns `false` if the directory is not empty.
fn is_removed(folder: &OwnedFd, name: &OsStr, how: AtFlags) -> io::Result<bool> {
    match unlinkat(folder, name, how) {
        Ok(()) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn nanos(nanos: impl TryInto<i64>) -> i64 {
    nanos.try_into().unwrap_or_default()
}

fn time_of(stat: &Stat) -> i128 {
    i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(nanos(stat.st_mtime_nsec))
}

fn set_time(folder: &OwnedFd, (tv_sec, tv_nsec): (i64, i64)) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec { tv_sec, tv_nsec },
    };
    Ok(utimensat(folder, c".", &times, AtFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn layers(name: &str) -> Layers {
        let folder =
            std::env::temp_dir().join(format!("docker-store-points-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let at = |name: &str| folder.join(name);
        for name in ["upper", "top", "bottom"] {
            fs::create_dir_all(at(name)).expect("a layer");
        }
        Layers {
            upper: at("upper"),
            lowers: vec![at("top"), at("bottom")],
        }
    }

    fn done(layers: &Layers) {
        fs::remove_dir_all(layers.upper.parent().expect("a folder")).expect("removed");
    }

    fn make(folder: &Path, path: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, "").expect("made");
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_made_for_a_mount_goes_and_all_that_anybody_wrote_stays() {
        let layers = layers("remove");
        let upper = &layers.upper;
        let remove = |path: &str| {
            layers
                .remove(&[Point::in_fresh(path.into())])
                .expect("removed")
        };
        fs::create_dir_all(upper.join("a/b/c")).expect("made");
        remove("a/b/c");
        assert_eq!(names(upper), Vec::<String>::new());
        // Next to files of a command, in a directory that it changed, and a file that is not empty.
        make(upper, "a/b/c");
        make(upper, "a/kept");
        remove("a/b/c");
        assert_eq!(
            (names(upper), names(&upper.join("a"))),
            (vec!["a".into()], vec!["kept".into()])
        );
        fs::create_dir_all(upper.join("own/d")).expect("made");
        fs::set_permissions(upper.join("own"), PermissionsExt::from_mode(0o700)).expect("set");
        remove("own/d");
        assert_eq!(names(&upper.join("own")), Vec::<String>::new());
        fs::write(upper.join("full"), "text").expect("made");
        remove("full");
        // What is in the image stays as it was.
        make(&layers.lowers[1], "lower/there");
        make(upper, "lower/there");
        remove("lower/there");
        fs::create_dir(layers.lowers[0].join("empty")).expect("made");
        fs::create_dir_all(upper.join("empty/point")).expect("made");
        remove("empty/point");
        remove("none/at/all");
        assert_eq!(names(upper), ["a", "full", "lower", "own"]);
        done(&layers);
    }

    #[test]
    fn nothing_is_removed_through_a_link() {
        let layers = layers("links");
        let outside = layers.upper.with_file_name("outside");
        make(&outside, "there/file");
        symlink(&outside, layers.upper.join("a")).expect("a link");
        layers
            .remove(&[Point::in_fresh("a/there/file".into())])
            .expect("looked at");
        assert!(outside.join("there/file").exists() && layers.upper.join("a").exists());
        done(&layers);
    }

    #[test]
    fn targets_are_resolved_in_all_layers_together() {
        let layers = layers("resolve");
        let (top, bottom) = (&layers.lowers[0], &layers.lowers[1]);
        fs::create_dir_all(bottom.join("run/deep")).expect("made");
        fs::create_dir_all(bottom.join("var")).expect("made");
        symlink("/run", bottom.join("var/run")).expect("a link");
        symlink("../run/deep", top.join("rel")).expect("a link");
        symlink("loop", top.join("loop")).expect("a link");
        let resolve = |target: &str| {
            layers
                .resolve(target)
                .map(|path| path.display().to_string())
        };
        for (target, path) in [
            ("/var/run/secrets/x", "run/secrets/x"),
            ("/rel/x", "run/deep/x"),
            ("//var/./run/", "run"),
            ("/none/here", "none/here"),
            ("/../../etc", "etc"),
            ("/", ""),
        ] {
            assert_eq!(resolve(target).expect("resolved"), path);
        }
        assert!(resolve("/loop/x").is_err());
        // An opaque directory hides what is below it.
        fs::create_dir(top.join("var")).expect("made");
        if rustix::fs::setxattr(
            top.join("var"),
            c"trusted.overlay.opaque",
            b"y",
            rustix::fs::XattrFlags::empty(),
        )
        .is_ok()
        {
            assert_eq!(resolve("/var/run/x").expect("resolved"), "var/run/x");
        }
        done(&layers);
    }

    #[test]
    fn a_directory_that_only_got_a_place_to_mount_on_looks_as_before() {
        let layers = layers("time");
        let folder = layers.upper.join("there");
        fs::create_dir(&folder).expect("made");
        let old =
            std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_000_000, 123_456_789);
        let age = || {
            fs::File::open(&folder)
                .and_then(|file| file.set_modified(old))
                .expect("older")
        };
        let time = || {
            fs::metadata(&folder)
                .map(|found| (found.mtime(), found.mtime_nsec()))
                .expect("there")
        };
        let path = Path::new("there/new/secret");
        age();
        let before = time();
        let point = layers.point(path).expect("looked at").expect("not there");
        make(&layers.upper, "there/new/secret");
        assert_ne!(time(), before);
        layers.remove(&[point]).expect("removed");
        assert_eq!((names(&folder), time()), (Vec::new(), before));
        // What existed before is not a mount point, and an empty directory that existed is kept.
        fs::create_dir(folder.join("new")).expect("made");
        let point = layers.point(path).expect("looked at").expect("not there");
        make(&layers.upper, "there/new/secret");
        assert_eq!(layers.point(path).expect("looked at"), None);
        layers.remove(&[point]).expect("removed");
        assert_eq!(names(&folder), ["new"]);
        // After a write in the meantime, its time is the time of the write.
        age();
        let point = layers
            .point(Path::new("there/x"))
            .expect("looked at")
            .expect("not there");
        make(&layers.upper, "there/x");
        std::thread::sleep(std::time::Duration::from_millis(30));
        make(&layers.upper, "there/written");
        layers.remove(&[point]).expect("removed");
        assert!(time() > before && names(&folder) == ["new", "written"]);
        done(&layers);
    }
}
