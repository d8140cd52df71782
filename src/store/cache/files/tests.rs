//! Merged layers in real mounts, compared with a plain directory that saw the same changes: the listings must be the same,
//! whichever layers are merged. Needs root, for mounting; does nothing for other users.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{fstat, lgetxattr};

use crate::store::cache::facts::{EXTRAS, Facts, Overlays};
use crate::store::cache::files::copy_direct::{copy_tree, dress_folder};
use crate::store::cache::files::merge::merge;
use crate::store::cache::files::walk;
use crate::store::options::Strategy;
use crate::wait::Wait;

use self::changes::{Numbers, Pair, set_time};

#[allow(dead_code, unreachable_pub)]
#[path = "../../../../tests/caches/changes.rs"]
mod changes;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../tests/caches/snapshot.rs"]
mod snapshot;

/// A directory that is removed with everything in it.
struct Place(PathBuf);

impl Place {
    fn new(above: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = above.join(format!(
            "docker-store-merge-{}-{number}",
            std::process::id()
        ));
        fs::create_dir(&path).expect("made");
        Place(path)
    }

    fn folder(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir(&path).expect("made");
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A mount that exists as long as this value.
struct Mount(PathBuf);

impl Mount {
    /// Mounts `layers`, lowest first, with `upper` on top; read-only if there is none.
    fn new(at: &Path, layers: &[PathBuf], empty: &Path, upper: Option<(&Path, &Path)>) -> Self {
        // At least two, if the mount is read-only.
        let mut lowers: Vec<String> = layers
            .iter()
            .rev()
            .map(|p| p.display().to_string())
            .collect();
        let least: usize = if upper.is_some() { 1 } else { 2 };
        for name in ["a", "b"].iter().take(least.saturating_sub(layers.len())) {
            lowers.push(empty.join(name).display().to_string());
        }
        let mut options = format!("lowerdir={},{}", lowers.join(":"), EXTRAS[0]);
        if let Some((upper, work)) = upper {
            options = format!(
                "{options},upperdir={},workdir={}",
                upper.display(),
                work.display()
            );
        }
        let mount = Command::new("mount")
            .args(["-t", "overlay", "-o", &options, "overlay"])
            .arg(at)
            .output()
            .expect("mount runs");
        assert!(
            mount.status.success(),
            "{options}: {}",
            String::from_utf8_lossy(&mount.stderr)
        );
        Mount(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A process that another test is just starting may have it open briefly.
        for _ in 0..500 {
            let done = Command::new("umount")
                .arg(&self.0)
                .output()
                .expect("umount runs");
            if done.status.success() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{} stays mounted", self.0.display());
    }
}

fn may_mount() -> bool {
    let may = rustix::process::geteuid().is_root() && {
        let place = Place::new(&std::env::temp_dir());
        let (at, a, b) = (place.folder("at"), place.folder("a"), place.folder("b"));
        let options = format!("lowerdir={}:{}", a.display(), b.display());
        let mount = Command::new("mount")
            .args(["-t", "overlay", "-o", &options, "overlay"])
            .arg(&at)
            .output();
        let mounted = mount.is_ok_and(|done| done.status.success());
        if mounted {
            drop(Mount(at));
        }
        mounted
    };
    if !may {
        eprintln!("not tried: overlays cannot be mounted here");
    }
    may
}

fn facts() -> Facts {
    Facts {
        reach: true,
        archives: None,
        overlay: Some(Overlays {
            extra: EXTRAS[0].to_owned(),
            each: false,
        }),
        strategy: Strategy::Overlay,
        why: String::new(),
    }
}

/// Merges `layers[from..to]`, lowest first, into `into`.
fn merge_range(layers: &[PathBuf], from: usize, to: usize, into: &Path) {
    let topmost = |layers: &[PathBuf]| layers.iter().rev().cloned().collect::<Vec<_>>();
    merge(
        &topmost(&layers[from..to]),
        &topmost(&layers[..from]),
        into,
        &facts().marks(),
        Wait::unbounded(),
    )
    .expect("merged");
}

/// Gives `to` the attributes of `from`: the root of a mount has those of its topmost layer.
fn dress(from: &Path, to: &Path) {
    let (from, to) = (
        walk::open_root(from).expect("open"),
        walk::open_root(to).expect("open"),
    );
    let stat = fstat(&from).expect("looked at");
    let marks = facts().marks();
    let owner = (stat.st_uid, stat.st_gid);
    use std::os::fd::AsFd;
    dress_folder(from.as_fd(), to.as_fd(), &stat, owner, |name| {
        !(marks.is_own)(name)
    })
    .expect("dressed");
}

fn is_opaque(path: &Path) -> bool {
    lgetxattr(path, "trusted.overlay.opaque", &mut [0; 1]).is_ok()
}

/// Fails if a layer hides more than the kernel's would: `below` is what the layers below it show.
fn assert_tight(layer: &Path, below: Option<&Path>, what: &str) {
    for entry in fs::read_dir(layer).expect("a directory") {
        let path = entry.expect("an entry").path();
        let stat = fs::symlink_metadata(&path).expect("there");
        let like = below.map(|below| below.join(path.file_name().expect("a name")));
        let like = like.filter(|path| fs::symlink_metadata(path).is_ok());
        if stat.file_type().is_char_device() && stat.rdev() == 0 {
            assert!(like.is_some(), "{what}: {path:?} hides nothing");
        } else if stat.is_dir() {
            assert!(
                like.is_some() || !is_opaque(&path),
                "{what}: {path:?} is opaque over nothing"
            );
            let through =
                like.filter(|like| !is_opaque(&path) && !like.is_symlink() && like.is_dir());
            assert_tight(&path, through.as_deref(), what);
        }
    }
}

/// One run: some generations of random changes, occasionally a merge, and at the end every possible merge.
fn run(seed: u64) -> usize {
    let place = Place::new(&std::env::temp_dir());
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (plain, at, empty) = (
        place.folder("plain"),
        place.folder("at"),
        place.folder("empty"),
    );
    for name in ["a", "b"] {
        fs::create_dir(empty.join(name)).expect("made");
    }
    let mut layers: Vec<PathBuf> = Vec::new();
    let mut said = Vec::new();
    for generation in 0..6 {
        let (upper, work) = (
            place.folder(&format!("u{generation}")),
            place.folder(&format!("w{generation}")),
        );
        dress(layers.last().unwrap_or(&plain), &upper);
        {
            let mount = Mount::new(&at, &layers, &empty, Some((&upper, &work)));
            if generation == 0 {
                set_time(&mount.0, (1, 1));
                set_time(&plain, (1, 1));
            }
            let pair = Pair::new(&at, &plain, Some(upper.clone()));
            for _ in 0..=numbers.below(12) {
                said.push(pair.change(&mut numbers));
            }
            pair.settle(generation);
            said.push(String::from("--"));
            let what = || format!("seed {seed}, generation {generation}\n{}", said.join("\n"));
            snapshot::assert_same(&snapshot::of(&plain), &snapshot::of(&at), &what());
        }
        layers.push(upper);
        // Later generations are also written over merged layers, which are then merged again.
        if numbers.below(3) == 0 && layers.len() > 1 {
            let from = usize::try_from(numbers.below(layers.len() as u64 - 1)).expect("small");
            let into = place.folder(&format!("m{generation}"));
            merge_range(&layers, from, layers.len(), &into);
            layers.splice(from.., [into]);
            said.push(format!("-- merged from {from}"));
        }
    }
    let what = format!("seed {seed}\n{}", said.join("\n"));
    every_merge(&place, &layers, &plain, &what)
}

/// Makes every possible merge of `layers`, and compares each mount with a plain directory that saw the same changes.
fn every_merge(place: &Place, layers: &[PathBuf], plain: &Path, what: &str) -> usize {
    let (at, empty) = (place.0.join("at"), place.0.join("empty"));
    let expected = snapshot::of(plain);
    let mut merges = 0;
    let shown = place.folder("below");
    for from in 0..layers.len() {
        let below = Mount::new(&shown, &layers[..from], &empty, None);
        for to in from + 1..=layers.len() {
            merges += 1;
            let into = place.folder(&format!("r{from}-{to}"));
            merge_range(layers, from, to, &into);
            let what = format!("{} layers, merged {from}..{to}, {what}", layers.len());
            assert_tight(&into, Some(&below.0), &what);
            if (from, to) == (0, layers.len()) {
                // With nothing below it, it is a plain tree, and copied as one.
                snapshot::assert_same(&expected, &snapshot::of(&into), &what);
                let copy = place.folder("copy");
                let stat = fs::metadata(&into).expect("there");
                copy_tree(&into, &copy, (stat.uid(), stat.gid()), Wait::unbounded())
                    .expect("copied");
                snapshot::assert_same(&expected, &snapshot::of(&copy), &what);
            }
            let mut stack = layers.to_vec();
            stack.splice(from..to, [into]);
            let mount = Mount::new(&at, &stack, &empty, None);
            snapshot::assert_same(&expected, &snapshot::of(&mount.0), &what);
        }
    }
    merges
}

/// Marks a layer that is merged by itself: marks that hide nothing are removed.
const TIDIED: &str = "# tidied";

/// Runs these scripts in one layer each, and in a plain directory: every merge of the layers is tried.
fn scripted(scripts: &[&str]) {
    let place = Place::new(&std::env::temp_dir());
    let (plain, at, empty) = (
        place.folder("plain"),
        place.folder("at"),
        place.folder("empty"),
    );
    for name in ["a", "b"] {
        fs::create_dir(empty.join(name)).expect("made");
    }
    let mut layers: Vec<PathBuf> = Vec::new();
    for (n, script) in scripts.iter().enumerate() {
        let (upper, work) = (
            place.folder(&format!("u{n}")),
            place.folder(&format!("w{n}")),
        );
        dress(layers.last().unwrap_or(&plain), &upper);
        let mount = Mount::new(&at, &layers, &empty, Some((&upper, &work)));
        for folder in [&at, &plain] {
            let mut shell = Command::new("sh");
            shell.args(["-ec", script]).current_dir(folder);
            assert!(shell.status().expect("sh runs").success(), "{script}");
            set_time(folder, (1, 1));
        }
        drop(mount);
        layers.push(upper);
        if script.ends_with(TIDIED) {
            let into = place.folder(&format!("m{n}"));
            merge_range(&layers, n, n + 1, &into);
            layers[n] = into;
        }
    }
    every_merge(&place, &layers, &plain, &scripts.join("\n"));
}

#[test]
fn what_an_opaque_directory_below_hides_is_nothing_to_hide_again() {
    if !may_mount() {
        return;
    }
    // `p` is created again in the second: nothing of what the first has below it remains.
    scripted(&[
        "mkdir -p p/d; touch -d @1 p/d/gone p/d p",
        "rm -r p; mkdir -p p/d; touch -d @2 p/d/x p/d p",
        "touch -d @3 p/d/gone p/d/kept p/d p",
        "rm p/d/gone; touch -d @4 p/d p",
    ]);
    // `p/d` exists only where the third created it, and a mark in it would be listed.
    let mut again = [
        "mkdir -p p/d/e; touch -d @1 p/d/e/gone p/d/gone p/d/e p/d p",
        "rm -r p; mkdir p; touch -d @2 p",
        "mkdir -p p/d/e; touch -d @3 p/d/e/gone p/d/gone p/d/e p/d p # tidied",
        "rm -r p/d/gone p/d/e/gone; touch -d @4 p/d/e p/d p",
    ];
    scripted(&again);
    // The same if not all of `p` is hidden: by a mark, and by a file.
    again[1] = "rm -r p/d; touch -d @2 p";
    scripted(&again);
    again[1] = "rm -r p/d; touch -d @2 p/d p";
    again[2] = "rm p/d; mkdir -p p/d/e; touch -d @3 p/d/e/gone p/d/gone p/d/e p/d p # tidied";
    scripted(&again);
}

#[test]
fn whichever_layers_are_merged_the_mount_lists_what_a_plain_directory_lists() {
    if !may_mount() {
        return;
    }
    let long = std::env::var_os("DOCKER_STORE_TEST_LONG").is_some();
    let seeds = if long { 1000 } else { 32 };
    // Most of the time is spent waiting for unmounts.
    let merges: usize = std::thread::scope(|scope| {
        let threads = (0..4)
            .map(|first| scope.spawn(move || (first..seeds).step_by(4).map(run).sum::<usize>()));
        let threads: Vec<_> = threads.collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended.map(|merges| merges.expect("no difference")).sum()
    });
    println!("{merges} merges");
}

/// Returns the inode numbers of the files below a path: how many files there are, whatever names they have.
fn files(path: &Path) -> std::collections::BTreeSet<u64> {
    let entries = fs::read_dir(path).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let numbers = paths.flat_map(|path| match path.is_dir() {
        true => files(&path),
        false => [fs::metadata(&path).expect("there").ino()].into(),
    });
    numbers.collect()
}

#[test]
fn names_of_one_file_stay_names_of_one_file_where_links_are_refused() {
    // Another file system, if there is one; and more names than a file of ext4 can have, twice over.
    for (above, names) in [("/dev/shm", 5), ("/tmp", 5), ("/tmp", 33_000)] {
        let (Ok(_), temp) = (fs::metadata(above), std::env::temp_dir()) else {
            continue;
        };
        let (from, to) = (Place::new(Path::new(above)), Place::new(&temp));
        let layer = from.folder("layer");
        for folder in ["a", "b"] {
            fs::create_dir(layer.join(folder)).expect("made");
        }
        fs::write(layer.join("a/first"), "one").expect("written");
        for n in 1..names {
            let folder = if n % 3 == 0 { "b" } else { "a" };
            fs::hard_link(
                layer.join("a/first"),
                layer.join(folder).join(n.to_string()),
            )
            .expect("linked");
        }
        for folder in ["a", "b"] {
            set_time(&layer.join(folder), (1, 0));
        }
        let into = to.folder("into");
        merge_range(std::slice::from_ref(&layer), 0, 1, &into);
        assert_eq!(files(&into).len(), 1, "{names} names in {above}");
        let stat = fs::metadata(into.join("b/3")).expect("there");
        assert!(stat.nlink() >= names);
        assert_eq!(fs::read(into.join("b/3")).expect("read"), b"one");
        assert_eq!(fs::metadata(into.join("a")).expect("there").mtime(), 1);
        assert_eq!(fs::metadata(into.join("b")).expect("there").mtime(), 1);
    }
}

#[test]
fn names_of_one_file_stay_so_in_a_copy_however_long_their_paths_are() {
    use rustix::fs::{AtFlags, Mode, linkat, mkdirat, openat};
    let place = Place::new(&std::env::temp_dir());
    let (from, to) = (place.folder("from"), place.folder("to"));
    let name = "d".repeat(250);
    let mut folder = walk::open_root(&from).expect("open");
    for _ in 0..20 {
        mkdirat(&folder, &*name, Mode::RWXU).expect("made");
        folder = openat(&folder, &*name, walk::FOLDER, Mode::empty()).expect("open");
    }
    fs::write(from.join("file"), "one").expect("written");
    let root = walk::open_root(&from).expect("open");
    linkat(&root, c"file", &folder, c"far", AtFlags::empty()).expect("linked");
    linkat(&root, c"file", &folder, c"further", AtFlags::empty()).expect("linked");
    let stat = fs::metadata(&from).expect("there");
    copy_tree(&from, &to, (stat.uid(), stat.gid()), Wait::unbounded()).expect("copied");
    assert_eq!(fs::metadata(to.join("file")).expect("there").nlink(), 3);
}
