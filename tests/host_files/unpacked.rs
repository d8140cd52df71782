//! Files copied out of a container into a local directory: as `tar` unpacks them, and never outside.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use docker_store::{Cancel, ErrorKind, HostFiles, HostFolder, Limits};

use super::{all_kinds, folder};
use crate::common::{ImageStore, Root, begin, build, image_store, is_long, names_in, sh};

/// What there is to say of everything in a directory, by `find` and `sha256sum`.
fn described(at: &Path) -> String {
    // The length of a directory is the file system's own.
    let script = "find . -mindepth 1 -printf '%P|%y|%m|%U:%G|%T@|%l|' \\( -type d -printf '\\n' -o -printf '%n|%s\\n' \\) | sort; \
                  find . -type f -print0 | sort -z | xargs -0r sha256sum";
    let mut shell = Process::new("sh");
    shell.args(["-c", script]).current_dir(at);
    let output = shell.output().expect("sh");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn same(found: &str, expected: &str) {
    let beside = |one: &str, other: &str| -> Vec<String> {
        let other: Vec<_> = other.lines().collect();
        let lines = one.lines().filter(|line| !other.contains(line));
        lines.map(str::to_owned).collect()
    };
    let (more, less) = (beside(found, expected), beside(expected, found));
    assert!(
        more.is_empty() && less.is_empty(),
        "found {more:#?} in place of {less:#?}"
    );
}

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("Linux").uid() == 0
}

#[test]
fn a_directory_comes_out_as_tar_unpacks_it() {
    let root = Root::new("unpacked");
    let store = root.open_with_base();
    let here = folder(&root, "here");
    all_kinds(&here);
    let mut step = begin(&store, "base", "kinds");
    let mut files = HostFiles::new(&here);
    files.owner(7, 8);
    step.copy_in_host("/a/files", &files).expect("copied");
    // What only a program makes: other owners, and a directory that its owner may not read.
    step.run(&sh("cd /a/files && chown 3:4 tool link d && chmod 4755 tool && mkdir closed && touch closed/in && chmod 0 closed"))
        .expect("ran");

    let oracle = folder(&root, "oracle");
    let mut tar = Vec::new();
    step.copy_out("/a/files", &mut tar).expect("copied out");
    let file = root.path.join("oracle.tar");
    fs::write(&file, tar).expect("written");
    let mut unpack = Process::new("tar");
    unpack.args(["--strip-components=1", "--numeric-owner", "-C"]);
    unpack.arg(&oracle).args(["-x", "-f"]).arg(&file);
    if is_root() {
        unpack.args(["-p", "--same-owner"]);
    }
    assert!(unpack.status().expect("tar").success());

    let ours = root.path.join("new/ours");
    let mut into = HostFolder::new(&ours);
    if is_root() {
        into.keep_owners().keep_modes();
    }
    let bytes = step.copy_out_host("/a/files", &into).expect("unpacked");
    let expected = described(&oracle);
    assert!(expected.lines().count() > 30, "{expected}");
    same(&described(&ours), &expected);
    // Once more over what is there, which changes nothing.
    assert_eq!(step.copy_out_host("/a/files", &into).expect("again"), bytes);
    same(&described(&ours), &expected);
    step.commit().expect("committed");

    // Out of a result, and with this user's owner and permissions.
    let plain = root.path.join("plain");
    let again = store.copy_out_host(
        "kinds",
        "/a/files",
        &HostFolder::new(&plain),
        &Limits::none(),
    );
    assert_eq!(again.expect("unpacked"), bytes);
    let tool = fs::metadata(plain.join("tool")).expect("a file");
    let user = fs::metadata(&root.path).expect("a directory").uid();
    assert_eq!(
        (tool.uid(), tool.mode() & 0o7777),
        (user, 0o755 & !umask(&root))
    );
    let names = |at: &Path| {
        let found = described(at);
        let names = found.lines().filter_map(|line| line.split_once('|'));
        names.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&plain), names(&oracle));
    let owned = |at: &Path, owner: &str| {
        let others = described(at);
        others
            .lines()
            .filter(|line| line.contains('|'))
            .all(|line| line.contains(owner))
    };
    if is_root() {
        assert!(owned(&plain, "|0:0|"));
        let mut given = HostFolder::new(root.path.join("given"));
        given.owner(5, 6);
        store
            .copy_out_host("kinds", "/a/files", &given, &Limits::none())
            .expect("unpacked");
        assert!(owned(&root.path.join("given"), "|5:6|"));
    }
    set_open(&[&oracle, &ours, &plain]);
}

/// The bits that this process does not give to new files.
fn umask(root: &Root) -> u32 {
    let path = root.path.join("mask");
    fs::write(&path, "").expect("a file");
    0o666 & !fs::metadata(path).expect("it").mode() & 0o777
}

/// Opens the directories that could not be removed otherwise.
fn set_open(all: &[&Path]) {
    for at in all {
        let _ = fs::set_permissions(at.join("closed"), fs::Permissions::from_mode(0o755));
    }
}

#[test]
fn a_file_a_link_and_everything_have_their_places() {
    let root = Root::new("places");
    let store = root.open_with_base();
    build(
        &store,
        "base",
        "made",
        "mkdir -p /d/e && echo 12345 >/d/f && ln -s e/../f /d/l && ln -s d /to-d",
    );
    let out = |path: &str| {
        let into = root.path.join("out");
        let copied = store.copy_out_host("made", path, &HostFolder::new(&into), &Limits::none());
        let names = names_in(&into);
        fs::remove_dir_all(&into).expect("removed");
        copied.map(|bytes| (bytes, names.join(" ")))
    };
    assert_eq!(out("/d").expect("a directory"), (6, "e f l".to_owned()));
    assert_eq!(out("/d/").expect("a directory"), (6, "e f l".to_owned()));
    assert_eq!(out("/d/.").expect("a directory"), (6, "e f l".to_owned()));
    assert_eq!(out("/d/f").expect("a file"), (6, "f".to_owned()));
    // Podman follows it.
    let length = if image_store() == ImageStore::Podman {
        6
    } else {
        0
    };
    assert_eq!(out("/d/l").expect("a link"), (length, "l".to_owned()));
    assert_eq!(out("/to-d/").expect("a link"), (6, "e f l".to_owned()));
    assert_eq!(out("/to-d/.").expect("a link"), (6, "e f l".to_owned()));
    let (bytes, all) = out("/").expect("everything");
    assert!(bytes > 100_000 && all.contains("bin d "), "{bytes}: {all}");
    for (path, kind) in [
        ("/nowhere", ErrorKind::NotFound),
        ("relative", ErrorKind::InvalidArgument),
        ("/d/..", ErrorKind::InvalidArgument),
    ] {
        assert_eq!(out(path).expect_err(path).kind(), kind, "{path}");
    }
    let none = HostFolder::new(root.path.join("none"));
    let missing = store.copy_out_host("none", "/d", &none, &Limits::none());
    assert_eq!(missing.expect_err("no result").kind(), ErrorKind::NotFound);
}

#[test]
fn no_link_leads_out_of_the_directory_now_or_later() {
    let root = Root::new("led-out");
    let store = root.open_with_base();
    let victim = folder(&root, "victim");
    fs::write(victim.join("f"), "mine").expect("a file");
    let there = victim.display();
    // A link to the victim; then, in another result, a directory with files in its place.
    build(
        &store,
        "base",
        "one",
        &format!("mkdir /d && ln -s {there} /d/sub && ln -s {there}/f /d/f"),
    );
    build(
        &store,
        "base",
        "two",
        "mkdir -p /d/sub && echo theirs >/d/sub/f && echo theirs >/d/f",
    );
    let into = root.path.join("into");
    let copy = |id: &str, into: &Path| {
        store.copy_out_host(id, "/d", &HostFolder::new(into), &Limits::none())
    };
    copy("one", &into).expect("unpacked");
    assert_eq!(fs::read_link(into.join("sub")).expect("a link"), victim);
    copy("two", &into).expect("unpacked");
    assert_eq!(
        fs::read_to_string(into.join("sub/f")).expect("a file"),
        "theirs\n"
    );
    assert_eq!(
        fs::read_to_string(into.join("f")).expect("a file"),
        "theirs\n"
    );
    // And back: a directory is not removed for a link.
    let refused = copy("one", &into).expect_err("a directory is there");
    assert_eq!(refused.kind(), ErrorKind::Io, "{refused}");
    assert!(refused.message().contains("into/sub"), "{refused}");
    assert_eq!(
        fs::read_to_string(victim.join("f")).expect("a file"),
        "mine"
    );
    assert_eq!(fs::read_dir(&victim).expect("it").count(), 1);
    // The directory itself may be a link: that is the caller's.
    let real = folder(&root, "real");
    symlink(&real, root.path.join("to-real")).expect("a link");
    copy("two", &root.path.join("to-real")).expect("unpacked");
    assert!(real.join("sub/f").exists());
}

#[test]
fn a_device_is_not_created_and_says_so() {
    let root = Root::new("device");
    let store = root.open_with_base();
    let here = folder(&root, "here");
    let mut mknod = Process::new("mknod");
    let made = mknod.arg(here.join("null")).args(["c", "1", "3"]).output();
    if !made.expect("mknod").status.success() {
        println!("skipped: this user cannot make a device");
        return;
    }
    let mut step = begin(&store, "base", "device");
    step.copy_in_host("/d", &HostFiles::new(&here))
        .expect("copied");
    let into = HostFolder::new(root.path.join("into"));
    let refused = step.copy_out_host("/d", &into).expect_err("a device");
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.message().contains("d/null"), "{refused}");
    assert_eq!(fs::read_dir(root.path.join("into")).expect("it").count(), 0);
    // A directory that cannot be used is refused before the step is touched.
    let mut step = begin(&store, "base", "usable");
    fs::write(root.path.join("file"), "").expect("a file");
    let refused = step.copy_out_host("/bin", &HostFolder::new(root.path.join("file")));
    assert_eq!(refused.expect_err("a file").kind(), ErrorKind::Io);
    step.run(&sh("true")).expect("ran");
    step.commit().expect("committed");
}

#[test]
fn a_cancel_and_a_timeout_end_it_in_the_middle() {
    let root = Root::new("cut-off");
    let store = root.open_with_base();
    let size = if is_long() { 2000 } else { 400 };
    build(
        &store,
        "base",
        "big",
        &format!("mkdir /d && dd if=/dev/zero of=/d/big bs=1M count={size} 2>/dev/null"),
    );
    let into = root.path.join("into");
    let cancel = Cancel::new();
    let limits = Limits::none().cancel(&cancel);
    let (copied, waited) = std::thread::scope(|scope| {
        let copy = scope.spawn(|| {
            let copied = store.copy_out_host("big", "/d", &HostFolder::new(&into), &limits);
            (copied, Instant::now())
        });
        let begun = Instant::now();
        let size = || fs::metadata(into.join("big")).map_or(0, |found| found.len());
        while size() == 0 && begun.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let told = Instant::now();
        cancel.cancel();
        let (copied, ended) = copy.join().expect("joined");
        (copied, ended.saturating_duration_since(told))
    });
    let failed = copied.expect_err("it was cancelled");
    assert_eq!(failed.kind(), ErrorKind::Cancelled, "{failed}");
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    let limits = Limits::none().timeout(Duration::from_millis(1));
    let failed = store.copy_out_host("big", "/d", &HostFolder::new(&into), &limits);
    assert_eq!(failed.expect_err("too long").kind(), ErrorKind::TimedOut);
}
