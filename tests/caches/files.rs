//! Files of every kind, through clones and compactions.

use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use docker_store::{CacheRequest, Released};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, mkdirat, mknodat, openat};

use super::ground::{Root, View, Way, amount, in_all_ways, lease, settle};
use super::snapshot::{self, Tree};

/// Some of everything, in the directory `root`.
fn fill(root: &Path) {
    let at = |name: &str| root.join(name);
    fs::write(at("plain"), "contents").expect("written");
    chown(at("plain"), Some(5), Some(4_000_000_000)).expect("owned");
    mode(&at("plain"), 0o640);
    fs::write(at("setuid"), "#!/bin/sh\n").expect("written");
    chown(at("setuid"), Some(7), Some(7)).expect("owned");
    mode(&at("setuid"), 0o6755);
    fs::write(at("empty"), "").expect("written");

    fs::create_dir(at("links")).expect("made");
    fs::write(at("links/a"), "one file").expect("written");
    fs::hard_link(at("links/a"), at("links/b")).expect("linked");
    fs::hard_link(at("links/a"), at("c")).expect("linked");
    symlink("/nowhere/../etc/passwd", at("symlink")).expect("linked");
    lchown(at("symlink"), Some(9), Some(10)).expect("owned");
    symlink("links", at("to-folder")).expect("linked");

    for (name, kind, device) in [
        ("fifo", FileType::Fifo, 0),
        ("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
        ("socket", FileType::Socket, 0),
        ("disk", FileType::BlockDevice, rustix::fs::makedev(7, 200)),
    ] {
        mknodat(CWD, at(name), kind, Mode::from_raw_mode(0o604), device).expect("made");
        mode(&at(name), 0o604);
    }

    let mut sparse = fs::File::create(at("sparse")).expect("made");
    sparse
        .seek(SeekFrom::Start(5 << 20))
        .and_then(|_| sparse.write_all(b"middle"))
        .expect("written");
    sparse.set_len(32 << 20).expect("grown");

    for name in [
        &b"\xff\xfe bytes"[..],
        b"new\nline",
        b" ",
        b"-rf",
        b"%2f",
        "\u{1f600}".as_bytes(),
        &[b'n'; 255],
    ] {
        fs::write(root.join(OsStr::from_bytes(name)), name).expect("written");
    }
    fs::create_dir(at("sticky")).expect("made");
    mode(&at("sticky"), 0o1777);
    fs::create_dir_all(at("closed/inner")).expect("made");
    fs::write(at("closed/inner/file"), "in").expect("written");
    mode(&at("closed"), 0);

    set_attribute(&at("plain"), "user.name", b"value");
    set_attribute(&at("links"), "user.folder", &[0, 1, 2]);
    set_attribute(&at("plain"), "trusted.secret", b"t");
    set_attribute(&at("symlink"), "trusted.link", b"l");
    set_attribute(root, "user.root", b"r");
    // cap_net_raw, as setcap writes it.
    set_attribute(&at("setuid"), "security.capability", &CAPABILITY);
    // user::rw- user:8:r-- group::r-- mask::r-- other::---
    set_attribute(&at("plain"), "system.posix_acl_access", &ACL);

    // Times last, the deepest first.
    let time = |n: u64| UNIX_EPOCH + Duration::new(1_000_000_000 + n, 123_456_789);
    for (n, name) in [
        "closed/inner",
        "closed",
        "links",
        "sticky",
        "plain",
        "sparse",
        ".",
    ]
    .iter()
    .enumerate()
    {
        fs::File::open(at(name))
            .and_then(|f| f.set_modified(time(n as u64)))
            .expect("set");
    }
}

const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
const ACL: [u8; 44] = [
    2, 0, 0, 0, //
    1, 0, 6, 0, 255, 255, 255, 255, //
    2, 0, 4, 0, 8, 0, 0, 0, //
    4, 0, 4, 0, 255, 255, 255, 255, //
    16, 0, 4, 0, 255, 255, 255, 255, //
    32, 0, 0, 0, 255, 255, 255, 255,
];

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

fn set_attribute(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty())
        .unwrap_or_else(|e| panic!("{name} of {path:?}: {e}"));
}

/// What a tar stream of the engine keeps of a tree: whole seconds, no sockets, no attributes but capabilities.
fn through_archive(mut tree: Tree, root_owner: (u32, u32)) -> Tree {
    tree.retain(|_, item| item.kind != "socket");
    for (path, item) in &mut tree {
        item.mtime.1 = 0;
        item.attributes
            .retain(|name, _| name == b"security.capability");
        if path.as_os_str().is_empty() {
            item.owner = root_owner;
        }
    }
    tree
}

#[test]
fn files_of_every_kind_survive_a_clone() {
    in_all_ways(|way| {
        let root = Root::new("kinds");
        let store = root.open(way);
        let first = lease(&store, "a");
        let before = {
            let view = View::of(&first);
            fill(&view.path);
            snapshot::of(&view.path)
        };
        assert_eq!(first.release().expect("released"), Released::Won(1));
        let second = store
            .cache("a", CacheRequest::new().owner(11, 12))
            .expect("a lease");
        let view = View::of(&second);
        let after = snapshot::of(&view.path);
        let mut expected = before.clone();
        expected.get_mut(Path::new("")).expect("the root").owner = (11, 12);
        match (way.direct, way.strategy) {
            (false, docker_store::Strategy::Copy) => {
                expected = through_archive(expected, (11, 12));
                snapshot::assert_same(
                    &expected,
                    &through_archive(after, (11, 12)),
                    "through archives",
                );
            }
            (false, _) => {
                // Only the root is made anew, and of that an archive keeps less.
                let top = expected.get_mut(Path::new("")).expect("the root");
                top.mtime.1 = 0;
                top.attributes.clear();
                snapshot::assert_same(&expected, &after, "mounted");
            }
            (true, _) => {
                snapshot::assert_same(&expected, &after, "directly");
                let sparse = fs::metadata(view.path.join("sparse")).expect("there");
                assert!(
                    sparse.blocks() * 512 < 1 << 20,
                    "the holes were filled: {} blocks",
                    sparse.blocks()
                );
            }
        }
        drop(view);
        assert_eq!(second.release().expect("released"), Released::Unchanged);
    });
}

#[test]
fn a_tree_deeper_than_any_path_survives_a_clone_and_a_compaction() {
    for way in Way::ALL.into_iter().filter(|way| way.direct) {
        let root = Root::new("deep");
        let store = root.open(way);
        let name = "d".repeat(200);
        let levels = 400;
        let first = lease(&store, "a");
        {
            let view = View::of(&first);
            let mut folder =
                rustix::fs::open(&view.path, rustix::fs::OFlags::DIRECTORY, Mode::empty())
                    .expect("open");
            for _ in 0..levels {
                mkdirat(&folder, &name, Mode::from_raw_mode(0o755)).expect("made");
                folder = openat(&folder, &name, rustix::fs::OFlags::DIRECTORY, Mode::empty())
                    .expect("open");
            }
            mkdirat(&folder, "bottom", Mode::from_raw_mode(0o755)).expect("made");
        }
        first.release().expect("released");
        for n in 0..14 {
            super::ground::change(&store, "a", |view| view.write("n", &n.to_string()));
            settle(&store);
        }
        let last = lease(&store, "a");
        let view = View::of(&last);
        let mut folder = rustix::fs::open(&view.path, rustix::fs::OFlags::DIRECTORY, Mode::empty())
            .expect("open");
        for _ in 0..levels {
            folder =
                openat(&folder, &name, rustix::fs::OFlags::DIRECTORY, Mode::empty()).expect("open");
        }
        openat(
            &folder,
            "bottom",
            rustix::fs::OFlags::DIRECTORY,
            Mode::empty(),
        )
        .expect("the bottom");
        drop((folder, view));
        drop(last);
        store.delete_cache("a").expect("deleted");
        settle(&store);
        assert_eq!(root.left(), Vec::<String>::new());
    }
}

/// Changes of every kind to what is there already, one for each release.
const CHANGES: [fn(&Path); 16] = [
    |at| fs::remove_file(at.join("plain")).expect("removed"),
    |at| fs::remove_dir_all(at.join("links")).expect("removed"),
    |at| {
        // A directory in the place of a deleted one hides what was below.
        fs::remove_dir_all(at.join("closed")).expect("removed");
        fs::create_dir(at.join("closed")).expect("made");
        fs::write(at.join("closed/new"), "new").expect("written");
    },
    |at| {
        fs::remove_file(at.join("setuid")).expect("removed");
        fs::create_dir(at.join("setuid")).expect("made");
        fs::write(at.join("setuid/x"), "x").expect("written");
    },
    |at| {
        fs::remove_dir(at.join("sticky")).expect("removed");
        symlink("setuid", at.join("sticky")).expect("linked");
    },
    |at| fs::write(at.join("c"), "changed").expect("written"),
    |at| {
        fs::create_dir_all(at.join("deep/er/est")).expect("made");
        fs::write(at.join("deep/er/est/file"), "1").expect("written");
        fs::write(at.join("deep/er/file"), "2").expect("written");
    },
    |at| fs::remove_file(at.join("deep/er/est/file")).expect("removed"),
    |at| {
        fs::remove_dir_all(at.join("deep/er")).expect("removed");
        fs::create_dir_all(at.join("deep/er/est")).expect("made");
    },
    |at| fs::write(at.join("deep/er/est/file"), "3").expect("written"),
    |at| mode(&at.join("empty"), 0o400),
    |at| {
        set_attribute(&at.join("deep"), "user.late", b"late");
        set_attribute(at, "user.root", b"changed");
        mode(at, 0o1700);
    },
    |at| {
        fs::rename(at.join("null"), at.join("moved")).expect("moved");
        fs::rename(at.join("sparse"), at.join("deep/sparse")).expect("moved");
    },
    |at| {
        fs::write(at.join("la"), "la").expect("written");
        fs::hard_link(at.join("la"), at.join("deep/lb")).expect("linked");
    },
    |at| fs::remove_dir_all(at.join("setuid")).expect("removed"),
    |at| fs::write(at.join("plain"), "back").expect("written"),
];

#[test]
fn deleted_and_replaced_files_stay_so_through_releases_and_compactions() {
    for way in [Way::ALL[1], Way::ALL[3]] {
        let root = Root::new("whiteouts");
        let store = root.open(way);
        super::ground::change(&store, "a", |view| fill(&view.path));
        let (mut deepest, mut compactions, mut layers) = (0, 0, 1);
        // Twice, so that the second round meets what the first left in merged layers.
        for round in 0..2 {
            for (n, change) in CHANGES.iter().enumerate() {
                if round == 1 && n == 0 {
                    super::ground::change(&store, "a", |view| {
                        for entry in fs::read_dir(&view.path).expect("a directory") {
                            let path = entry.expect("an entry").path();
                            let gone =
                                fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
                            gone.expect("removed");
                        }
                        fill(&view.path);
                    });
                }
                let lease = lease(&store, "a");
                let view = View::of(&lease);
                change(&view.path);
                let before = snapshot::of(&view.path);
                drop(view);
                assert!(matches!(
                    lease.release().expect("released"),
                    Released::Won(_)
                ));
                // Compactions run in the background: with them done, everything must still be the same.
                settle(&store);
                let lease = store.cache("a", &CacheRequest::new()).expect("a lease");
                let view = View::of(&lease);
                let mut after = snapshot::of(&view.path);
                let mut before = before;
                if !way.direct {
                    // The root goes through an archive each time, and everything else with each compaction.
                    before = through_archive(before, (0, 0));
                    after = through_archive(after, (0, 0));
                }
                snapshot::assert_same(
                    &before,
                    &after,
                    &format!("round {round}, change {n}, {way:?}"),
                );
                drop((view, lease));
                let now = store.caches().expect("a listing")[0].layers;
                compactions += usize::from(now < layers);
                (layers, deepest) = (now, deepest.max(now));
            }
        }
        println!("{way:?}: at most {deepest} layers, {compactions} compactions");
        assert!(
            compactions > 0 && deepest <= 24,
            "{deepest} layers, {compactions} compactions"
        );
        settle(&store);
        assert_eq!(root.volumes().len(), layers);
    }
}

/// A small source of numbers that are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// One random change below `at`, with few names, so that they meet.
fn change_at_random(at: &Path, numbers: &mut Numbers) {
    let name =
        |numbers: &mut Numbers| ["a", "b", "c"][usize::try_from(numbers.below(3)).expect("small")];
    let mut folder = at.to_owned();
    for _ in 0..numbers.below(3) {
        folder.push(name(numbers));
        if !folder.is_dir() || folder.is_symlink() {
            let _ = fs::remove_file(&folder);
            fs::create_dir(&folder).expect("made");
        }
    }
    let (path, other) = (folder.join(name(numbers)), folder.join(name(numbers)));
    let clear = |path: &Path| {
        let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
    };
    match numbers.below(8) {
        0 | 1 => clear(&path),
        2 | 3 => {
            clear(&path);
            fs::write(&path, numbers.below(1000).to_string()).expect("written");
        }
        4 => {
            clear(&path);
            fs::create_dir(&path).expect("made");
        }
        5 => {
            clear(&path);
            symlink(name(numbers), &path).expect("linked");
        }
        6 if path != other && path.exists() && !path.is_symlink() => {
            clear(&other);
            // A directory that lies in a lower layer cannot be renamed, only copied.
            let _ = fs::rename(&path, &other);
        }
        7 if path != other && path.is_file() && !path.is_symlink() => {
            clear(&other);
            fs::hard_link(&path, &other).expect("linked");
        }
        _ => mode(
            &folder,
            0o700 + u32::try_from(numbers.below(0o77)).expect("small"),
        ),
    }
}

#[test]
fn random_changes_read_the_same_before_and_after_compaction() {
    let releases = amount(60, 1000) as u64;
    let way = Way::ALL[1];
    let root = Root::new("random");
    let store = root.open(way);
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut compactions, mut layers) = (0, 0);
    // One that is out all the time keeps its layers, whatever becomes of the cache.
    let early = lease(&store, "a");
    for n in 0..releases {
        let lease = lease(&store, "a");
        let view = View::of(&lease);
        for _ in 0..=numbers.below(6) {
            change_at_random(&view.path, &mut numbers);
        }
        let before = snapshot::of(&view.path);
        drop(view);
        lease.release().expect("released");
        settle(&store);
        let lease = store.cache("a", &CacheRequest::new()).expect("a lease");
        let view = View::of(&lease);
        snapshot::assert_same(&before, &snapshot::of(&view.path), &format!("release {n}"));
        let now = store.caches().expect("a listing")[0].layers;
        compactions += usize::from(now < layers);
        layers = now;
    }
    assert!(
        compactions as u64 >= releases / 20,
        "{compactions} compactions in {releases} releases"
    );
    assert!(View::of(&early).files().is_empty());
}

#[test]
fn a_lease_that_was_taken_before_a_compaction_can_still_win() {
    let way = Way::ALL[1];
    let root = Root::new("compacted");
    let store = root.open(way);
    for n in 0..6 {
        super::ground::change(&store, "a", |view| view.write(&n.to_string(), ""));
    }
    settle(&store);
    assert_eq!(store.caches().expect("a listing")[0].layers, 6);
    // The one that makes the chain too long, and one more of the same generation as the compacted.
    super::ground::change(&store, "a", |view| view.remove("3"));
    let before = lease(&store, "a");
    settle(&store);
    let layers = store.caches().expect("a listing")[0].layers;
    assert!(layers < 6, "{layers} layers: not compacted");
    {
        let view = View::of(&before);
        view.remove("4");
        view.write("new", "");
    }
    assert_eq!(before.release().expect("released"), Released::Won(8));
    let files = super::ground::newest(&store, "a");
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["0", "1", "2", "5", "new"]);
    settle(&store);
    assert_eq!(root.volumes().len(), layers + 1);
}
