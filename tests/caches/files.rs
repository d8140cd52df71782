//! Files of every kind, through clones and compactions.

use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use docker_store::{CacheRequest, ErrorKind, Released};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, mkdirat, mknodat, openat};

use super::ground::{Root, View, Way, here, in_all_ways, lease, settle};
use super::snapshot::{self, Tree};
use crate::common::amount;

/// Files of all kinds, in the directory `root`.
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

/// What a tar stream of the engine keeps of a tree: whole seconds, no sockets, no attributes other than capabilities.
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
                // Only the root is recreated, and an archive keeps less of it.
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
    // The release that makes the chain too long, and one more of the same generation as the compacted one.
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

#[test]
fn an_archive_way_refuses_gigabytes_of_holes_and_the_cache_stays_what_it_was() {
    // The engine reads and sends all of them, which takes long.
    if amount(0, 1) == 0 {
        return;
    }
    for way in here([Way::ALL[2], Way::ALL[3]]) {
        let root = Root::new("hollow");
        let store = root.open(way);
        super::ground::change(&store, "a", |view| view.write("x", "x"));
        let hole = |view: &View| {
            let file = fs::File::create(view.path.join("hole")).expect("made");
            file.set_len(20 << 30).expect("grown");
        };
        let held = lease(&store, "a");
        hole(&View::of(&held));
        let released = held.release();
        if way.strategy == docker_store::Strategy::Copy {
            let refused = released.expect_err("refused");
            assert_eq!(refused.kind(), ErrorKind::Unsupported);
            assert!(refused.to_string().contains("sparse"), "{refused}");
            held.discard().expect("discarded");
            assert_eq!(super::ground::newest(&store, "a").len(), 1);
        } else {
            // Nothing is copied until layers are merged, which is then refused.
            assert_eq!(released.expect("released"), Released::Won(2));
            store.close().expect("closed");
            let store = root.open(Way::ALL[2]);
            let refused = store.cache("a", &CacheRequest::new()).expect_err("refused");
            assert_eq!(refused.kind(), ErrorKind::Unsupported);
            store.delete_cache("a").expect("deleted");
            assert_eq!(lease(&store, "a").generation(), 3);
        }
    }
}
