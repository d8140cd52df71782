//! Local files in a step: in the form of `tar`, chosen as by `docker build`, and with a digest that identifies them. And the files
//! of a step here.

#![cfg(unix)]

mod common;
#[path = "host_files/reading.rs"]
mod reading;
#[path = "host_files/unpacked.rs"]
mod unpacked;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use common::registry::Registry;
use common::{Root, begin, docker, output_in};
use docker_store::{Begun, ErrorKind, HostFiles, Limits};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A directory beside the root, which is removed with it.
fn folder(root: &Root, name: &str) -> PathBuf {
    let path = root.path.join(name);
    fs::create_dir(&path).expect("a folder");
    path
}

fn write(path: PathBuf, content: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    fs::write(path, content).expect("a file");
}

fn set_mode(path: PathBuf, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// All kinds of files; the times of most have a fraction.
fn all_kinds(at: &Path) {
    write(at.join("plain"), "plain\n");
    write(at.join("tool"), "#!/bin/sh\n");
    set_mode(at.join("tool"), 0o4755);
    write(at.join("private"), "private");
    set_mode(at.join("private"), 0o600);
    fs::create_dir(at.join("empty")).expect("a folder");
    set_mode(at.join("empty"), 0o1777);
    write(at.join("d/e/f"), "deep");
    fs::hard_link(at.join("d/e/f"), at.join("another")).expect("a link");
    symlink("d/e/f", at.join("link")).expect("a link");
    symlink("/nowhere/at/all", at.join("dangling")).expect("a link");
    symlink("x".repeat(180), at.join("far")).expect("a link");
    write(at.join("n".repeat(99)), "99");
    write(at.join("n".repeat(100)), "100");
    write(at.join("n".repeat(101)), "101");
    write(at.join("l".repeat(200)).join("m".repeat(200)), "long");
    fs::hard_link(
        at.join("l".repeat(200)).join("m".repeat(200)),
        at.join("short"),
    )
    .expect("a link");
    write(at.join(OsStr::from_bytes(b"caf\xe9 \xff\n")), "no text");
    write(at.join("d/größe"), "text");
    let mut sparse = fs::File::create(at.join("sparse")).expect("a file");
    sparse.seek(SeekFrom::Start(3_000_000)).expect("a hole");
    sparse.write_all(b"end").expect("its end");
    sparse.set_len(5_000_001).expect("a hole");
    let old = fs::File::create(at.join("old")).expect("a file");
    old.set_modified(UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789))
        .expect("a time");
    let made = Process::new("mkfifo").arg(at.join("pipe")).status();
    assert!(made.expect("mkfifo").success());
    drop(UnixListener::bind(at.join("socket")).expect("a socket"));
}

/// `tar`'s listing of the entries of a stream, sorted by name; without the outermost, which is the engine's.
fn listing(tar: &[u8]) -> Vec<String> {
    let mut child = Process::new("tar")
        .args(["-tv", "--full-time", "--numeric-owner"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tar");
    let mut input = child.stdin.take().expect("its input");
    let bytes = tar.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().expect("its output");
    writer.join().expect("a writer").expect("written");
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.retain(|line| !line.ends_with(" files/"));
    lines.sort();
    lines
}

#[test]
fn a_folder_comes_out_of_a_step_as_one_that_tar_put_in() {
    let root = Root::new("kinds");
    let store = root.open_with_base();
    let here = folder(&root, "here");
    all_kinds(&here);
    let tar = root.path.join("oracle.tar");
    let made = Process::new("tar")
        .args([
            "--owner=7",
            "--group=8",
            "--numeric-owner",
            "--format=posix",
            "-C",
        ])
        .arg(&here)
        .arg("-cf")
        .arg(&tar)
        .arg(".")
        .output();
    assert!(made.expect("tar").status.success());
    let mut step = begin(&store, "base", "kinds");
    step.copy_in_file("/oracle/files", &tar).expect("copied");
    let mut files = HostFiles::new(&here);
    files.owner(7, 8);
    let sent = step.copy_in_host("/ours/files", &files).expect("copied");
    assert_eq!(files.digest(&Limits::none()).expect("a digest"), sent);
    let mut out = |path: &str| {
        let mut tar = Vec::new();
        step.copy_out(path, &mut tar).expect("copied out");
        listing(&tar)
    };
    let (ours, oracle) = (out("/ours/files"), out("/oracle/files"));
    assert!(ours.len() > 20, "{ours:?}");
    assert_eq!(ours, oracle);
    step.commit().expect("committed");
    let sums = |path| {
        let script = format!(
            "cd {path}/files && {{ find . -type f -exec sha256sum {{}} + | sort; stat -c %h d/e/f; }} | cat -v"
        );
        output_in(&store, "kinds", &script)
    };
    let ours = sums("/ours");
    assert!(ours.ends_with("\n2\n"), "{ours}");
    assert_eq!(ours, sums("/oracle"));
}

/// The paths in `/files` of an image that `docker build` creates from `context` with its own copy.
fn as_docker_build(root: &Root, context: &Path) -> BTreeSet<String> {
    let name = format!("docker-store-test-{}", root.prefix());
    let mut build = Process::new("docker")
        .env("DOCKER_BUILDKIT", "0")
        .args(["build", "-q", "--no-cache", "-t", &name, "-f", "-"])
        .arg(context)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker");
    let mut input = build.stdin.take().expect("its input");
    input
        .write_all(format!("FROM {}\nCOPY . /files/\n", root.image("base")).as_bytes())
        .expect("a Dockerfile");
    drop(input);
    let built = build.wait_with_output().expect("its end");
    assert!(built.status.success(), "{built:?}");
    let container = docker(&["create", &name, "x"]).remove(0);
    let tar = Process::new("docker").args(["export", &container]).output();
    docker(&["rm", &container]);
    docker(&["rmi", &name]);
    names(&tar.expect("docker export").stdout)
}

/// The names below `files/`, without those that the builder adds.
fn names(tar: &[u8]) -> BTreeSet<String> {
    let names = common::untar(tar).into_iter().map(|(name, _)| name);
    let names = names.filter_map(|name| {
        let name = name.strip_prefix("files/")?.trim_end_matches('/');
        let own =
            name.is_empty() || name.starts_with(".dockerignore") || name.starts_with(".dockerfile");
        (!own).then(|| name.to_owned())
    });
    names.collect()
}

#[test]
fn patterns_choose_what_docker_build_chooses() {
    if common::image_store() == common::ImageStore::Podman {
        println!("skipped: Podman's own builder takes other patterns");
        return;
    }
    let root = Root::new("patterns");
    let store = root.open_with_base();
    let here = folder(&root, "here");
    for path in [
        "a.o",
        "b.c",
        "README.md",
        "README-secret.md",
        "src/a.o",
        "src/b.c",
        "src/deep/a.o",
        "src/deep/er/keep.txt",
        "src/node_modules/x",
        "node_modules/y/z",
        "build/out",
        "build/keep/it",
        "build/keep/not",
        "docs/a/b/c.md",
        "docs/a/c.md",
        ".git/config",
        "x y/z",
        "[odd]",
        "größe",
        "foobar/x",
        "foo/bar/x",
        "temp1",
        "temp12",
        "c++",
    ] {
        write(here.join(path), path);
    }
    fs::create_dir(here.join("src/void")).expect("a folder");
    for (number, lines) in [
        "# nothing\n\n",
        "*.o\n/src/b.c\n.git",
        "**/*.o\n**/node_modules\n!src/deep/a.o\n",
        "*\n!src\n!README*.md\nREADME-secret.md\nsrc/deep/er",
        "build\n!build/keep\nbuild/keep/not",
        "**\n!docs/**/c.md\n!src/deep\n! /c++",
        "docs/**/b\nfoo**\ntemp?\n[a-b].*\n  gr*  \nx\\ y\n\\[odd\\]",
        "*/*\n!**/keep.txt\n!foo/../build/./keep/",
        "src/*/\n!src/deep/er/keep.txt\n!src/void\n..\n/\n.",
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(here.join(".dockerignore"), lines).expect("written");
        let oracle = as_docker_build(&root, &here);
        let mut files = HostFiles::new(&here);
        files.dockerignore(lines).expect("patterns");
        let mut step = begin(&store, "base", &format!("patterns-{number}"));
        step.copy_in_host("/files", &files).expect("copied");
        let mut tar = Vec::new();
        step.copy_out("/files", &mut tar).expect("copied out");
        step.abort().expect("aborted");
        assert_eq!(names(&tar), oracle, "{lines:?}");
    }
}

#[test]
fn the_digest_is_of_what_is_sent_and_not_of_where_it_was() {
    let root = Root::new("digest");
    let digest = |files: &HostFiles| files.digest(&Limits::none()).expect("a digest");
    let make = |name: &str, backwards: bool| {
        let here = folder(&root, name);
        let mut all = ["a", "b", "c/d", "c/e"];
        if backwards {
            all.reverse();
        }
        for path in all {
            write(here.join(path), path);
        }
        here
    };
    let (one, two) = (make("one", false), make("two", true));
    let fixed = |path: &Path| {
        let mut files = HostFiles::new(path);
        files.fixed_times(0);
        files
    };
    let first = digest(&fixed(&one));
    assert_eq!(first.len(), 64);
    assert_eq!(first, digest(&fixed(&two)));
    let old = fs::File::options()
        .write(true)
        .open(two.join("a"))
        .expect("a");
    old.set_modified(UNIX_EPOCH + Duration::from_secs(5))
        .expect("a time");
    assert_eq!(first, digest(&fixed(&two)));
    assert_ne!(digest(&HostFiles::new(&one)), digest(&HostFiles::new(&two)));
    // A hole consists of zeros, wherever the file system has it.
    fs::File::create(one.join("zeros"))
        .expect("a file")
        .set_len(2_000_000)
        .expect("a hole");
    fs::write(two.join("zeros"), vec![0; 2_000_000]).expect("zeros");
    let with_zeros = digest(&fixed(&one));
    assert_eq!(with_zeros, digest(&fixed(&two)));
    assert_ne!(with_zeros, first);
    let changes: [&dyn Fn(); 6] = [
        &|| fs::write(two.join("b"), "B").expect("written"),
        &|| set_mode(two.join("b"), 0o755),
        &|| fs::rename(two.join("b"), two.join("bb")).expect("renamed"),
        &|| fs::hard_link(two.join("bb"), two.join("x")).expect("a link"),
        &|| symlink("a", two.join("y")).expect("a link"),
        &|| fs::create_dir(two.join("z")).expect("a folder"),
    ];
    let mut seen = BTreeSet::from([with_zeros]);
    for change in changes {
        change();
        assert!(seen.insert(digest(&fixed(&two))));
    }
    let settings: [fn(&mut HostFiles); 4] = [
        |files| _ = files.owner(1, 2),
        |files| _ = files.name("other"),
        |files| _ = files.exclude("a").expect("a pattern"),
        |files| _ = files.fixed_times(1),
    ];
    for set in settings {
        let mut files = fixed(&two);
        set(&mut files);
        assert!(seen.insert(digest(&files)));
    }
}

#[test]
fn a_file_and_a_folder_get_the_name_that_they_are_given() {
    let root = Root::new("names");
    let store = root.open_with_base();
    let here = folder(&root, "here");
    write(here.join("a"), "content of a");
    symlink("a", here.join("to-a")).expect("a link");
    let mut step = begin(&store, "base", "names");
    let mut put = |path: PathBuf, name: Option<&str>| {
        let mut files = HostFiles::new(path);
        if let Some(name) = name {
            files.name(name);
        }
        step.copy_in_host("/in", &files)
    };
    put(here.join("a"), None).expect("copied");
    put(here.join("a"), Some("b")).expect("copied");
    put(here.join("to-a"), None).expect("copied");
    put(here.clone(), Some("all")).expect("copied");
    for bad in ["", ".", "..", "x/y", "/"] {
        let refused = put(here.clone(), Some(bad)).expect_err(bad);
        assert_eq!(
            refused.kind(),
            ErrorKind::InvalidArgument,
            "{bad}: {refused}"
        );
    }
    let missing = put(here.join("nothing"), None).expect_err("nothing there");
    assert_eq!(missing.kind(), ErrorKind::Io);
    assert!(missing.message().contains("/here/nothing"), "{missing}");
    // None of these fail the step.
    step.commit().expect("committed");
    let found = output_in(
        &store,
        "names",
        "cd /in; find . | sort; cat b to-a; readlink all/to-a",
    );
    assert_eq!(
        found,
        ".\n./a\n./all\n./all/a\n./all/to-a\n./b\n./to-a\ncontent of acontent of aa\n"
    );
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

/// Puts the image of `base` into a registry for two platforms, of which the second is only a name, and one for a single
/// platform.
fn of_two_platforms(root: &Root, registry: &Registry) {
    let name = format!("{}/app:one", registry.host);
    docker(&["tag", &root.image("base"), &name]);
    docker(&["push", &name]);
    docker(&["rmi", &name]);
    let manifest_type = "application/vnd.docker.distribution.manifest.v2+json";
    let (_, _, one) = registry.get("/v2/app/manifests/one");
    let mut manifest: Value = serde_json::from_slice(&one).expect("JSON");
    let config = manifest["config"]["digest"].as_str().expect("a digest");
    let (_, _, config) = registry.get(&format!("/v2/app/blobs/{config}"));
    let mut config: Value = serde_json::from_slice(&config).expect("JSON");
    config["architecture"] = json!("arm");
    config["variant"] = json!("v7");
    let config = config.to_string().into_bytes();
    registry.put_blob("app", &sha256(&config), &config);
    manifest["config"]["digest"] = json!(sha256(&config));
    manifest["config"]["size"] = json!(config.len());
    let other = manifest.to_string().into_bytes();
    registry.put_manifest("app", "other", manifest_type, &other);
    let entry = |manifest: &[u8], platform: Value| json!({ "mediaType": manifest_type, "size": manifest.len(), "digest": sha256(manifest), "platform": platform });
    let list_type = "application/vnd.docker.distribution.manifest.list.v2+json";
    let list = json!({
        "schemaVersion": 2,
        "mediaType": list_type,
        "manifests": [
            entry(&one, json!({ "os": "linux", "architecture": "amd64" })),
            entry(&other, json!({ "os": "linux", "architecture": "arm", "variant": "v7" })),
        ],
    });
    registry.put_manifest("app", "both", list_type, list.to_string().as_bytes());
}

#[test]
fn a_pull_is_of_the_platform_that_was_asked_for_or_says_that_there_is_none() {
    if !cfg!(target_arch = "x86_64") || common::image_store() != common::ImageStore::Docker {
        return;
    }
    let root = Root::new("platforms");
    let store = root.open_with_base();
    let registry = Registry::start(false);
    of_two_platforms(&root, &registry);
    let pull = |id: &str, tag: &str, platform: &str| {
        let Begun::Step(mut step) = store.begin(None, id, &Limits::none()).expect("begun") else {
            panic!("{id} is there already");
        };
        let reference = format!("{}/app:{tag}", registry.host);
        let pulled = step.pull_platform(&reference, platform, None, &mut |_| Ok(()));
        docker(&["rmi", &reference]);
        match pulled {
            Ok(()) => step.commit(),
            Err(e) => step.abort().and(Err(e)),
        }
    };
    let platform_of = |id: &str| {
        let format = "{{.Os}}/{{.Architecture}}/{{.Variant}}";
        docker(&["image", "inspect", "--format", format, &root.image(id)]).concat()
    };
    for (platform, has) in [
        ("linux/amd64", "linux/amd64/"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/amd64", "linux/amd64/"),
    ] {
        pull("pulled", "both", platform).expect(platform);
        assert_eq!(platform_of("pulled"), has);
        store.delete("pulled").expect("deleted");
    }
    // A list without the platform, and an image for one platform, which the engine would accept for any.
    for (tag, platform) in [
        ("both", "linux/s390x"),
        ("both", "linux/arm/v6"),
        ("one", "linux/arm64"),
        ("other", "linux/amd64"),
    ] {
        let missing = pull("missing", tag, platform).expect_err("no such platform");
        assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
        let says = format!("does not exist for the platform {platform}");
        assert!(missing.message().contains(&says), "{missing}");
    }
    for bad in ["linux", "linux/", "a/b/c/d"] {
        let refused = pull("bad", "both", bad).expect_err(bad);
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    }
}
