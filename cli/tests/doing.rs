//! What `dstore` does to a store, and how it ends.

mod at;
#[path = "../../tests/common/mod.rs"]
mod common;

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use at::{Terminal, at, json, prints, says};
use common::patience::ended;
use common::registry::Registry;
use common::{ImageStore, Root, begin, build, docker, image_store, names_in, sh, untar, until};
use sha2::{Digest, Sha256};

#[test]
fn results_and_caches_are_removed_and_each_that_is_not_is_told() {
    let root = Root::new("cli-rm");
    let store = root.open_with_base();
    build(&store, "base", "one", "true");
    build(&store, "base", "two", "true");
    let building = begin(&store, "base", "busy");

    let said = says(&root, &["rm", "one", "gone", "two"]);
    assert_eq!(
        (said.status, said.out.as_str()),
        (Some(3), "one\ntwo\n"),
        "{said:?}"
    );
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
    assert!(docker(&["images", "-q", &root.image("one")]).is_empty());
    let (document, status) = json(&root, &["rm", "busy"]);
    assert_eq!(status, Some(4));
    assert_eq!(document["failed"][0]["kind"], "busy");
    building.abort().expect("aborted");

    drop(
        store
            .cache("compiler", &Default::default())
            .expect("a lease"),
    );
    assert_eq!(prints(&root, &["rm", "--cache", "compiler"]), "compiler\n");
    assert!(store.caches().expect("listed").is_empty());
}

#[test]
fn what_a_dead_session_left_is_purged() {
    let root = Root::new("cli-purge");
    let name = format!("{}-container-left", root.prefix());
    // As an OBuilder store leaves it: recognised only by its name, and not while another session is active.
    root.open_with_base().close().expect("closed");
    docker(&["create", "--name", &name, &root.image("base"), "x"]);
    assert_eq!(root.leftovers(), [name.as_str()]);
    let (document, status) = json(&root, &["purge"]);
    assert_eq!(
        (status, &document["containers"]),
        (Some(0), &1.into()),
        "{document}"
    );
    assert_eq!(root.leftovers(), [""; 0]);
    assert_eq!(prints(&root, &["purge"]), "nothing was left\n");
}

#[test]
fn an_export_is_the_files_of_the_result_and_whole_or_not_there() {
    let root = Root::new("cli-export");
    let store = root.open_with_base();
    build(&store, "base", "made", "mkdir /d && echo hello >/d/f");

    let output = at(&root, &["export", "made", "/d"])
        .output()
        .expect("it runs");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let expected = vec![
        ("d/".to_owned(), vec![]),
        ("d/f".to_owned(), b"hello\n".to_vec()),
    ];
    assert_eq!(untar(&output.stdout), expected);

    let file = root.path.join("made.tar");
    let name = file.display().to_string();
    let said = prints(&root, &["export", "made", "/d", "-o", &name]);
    let length = std::fs::metadata(&file).expect("written").len();
    assert!(said.starts_with(&name), "{said}");
    assert_eq!(untar(&std::fs::read(&file).expect("read")), expected);
    let (document, _) = json(&root, &["export", "made", "/d", "-o", &name]);
    assert_eq!(document["bytes"], length);
    let all = at(&root, &["export", "made"]).output().expect("it runs");
    assert!(
        untar(&all.stdout)
            .iter()
            .any(|(name, _)| name.ends_with("d/f"))
    );

    // Unpacked, it belongs to who asked for it.
    let folder = root.path.join("unpacked");
    let name_of_folder = folder.display().to_string();
    let said = prints(
        &root,
        &["export", "made", "/d", "--unpack", &name_of_folder],
    );
    assert_eq!(said, format!("{name_of_folder}: 6 B\n"));
    assert_eq!(std::fs::read(folder.join("f")).expect("a file"), b"hello\n");
    let (document, _) = json(&root, &["export", "made", "/d", "-u", &name_of_folder]);
    assert_eq!(
        (&document["bytes"], &document["file"]),
        (&6.into(), &name_of_folder.clone().into())
    );
    let said = says(
        &root,
        &["export", "made", "-o", &name, "-u", &name_of_folder],
    );
    assert_eq!(said.status, Some(2), "{said:?}");

    // A failure leaves the file as it was, and no other file.
    let before = names_in(&root.path);
    let said = says(&root, &["export", "made", "/nowhere", "-o", &name]);
    assert_eq!(said.status, Some(3), "{said:?}");
    assert_eq!(std::fs::metadata(&file).expect("still there").len(), length);
    assert_eq!(names_in(&root.path), before);
    // A terminal refuses binary data.
    let (shown, status) = Terminal::run(&root, "$DSTORE export made").end();
    assert_eq!(status, Some(2), "{shown}");
    assert!(shown.contains("--output"), "{shown}");
}

#[test]
fn a_log_is_followed_while_another_process_builds_and_ends_with_it() {
    let root = Root::new("cli-follow");
    let store = root.open_with_base();
    let go = root.path.join("go");
    std::fs::create_dir(&go).expect("made");
    for (id, script, status, last) in [
        ("good", "exit 0", 0, ""),
        ("bad", "exit 5", 1, "ended without a result"),
    ] {
        let mut step = begin(&store, "base", id);
        let mut dstore = at(&root, &["log", "-f", id])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut out = dstore.stdout.take().expect("piped");
        let folder = go.join(id);
        std::fs::create_dir(&folder).expect("made");
        let script =
            format!("echo first; until [ -e /go/on ]; do sleep 0.05; done; echo last; {script}");
        let build = {
            let folder = folder.clone();
            std::thread::spawn(move || {
                let ran = step.run(sh(&script).bind(folder.display().to_string(), "/go", true));
                match ran {
                    Ok(_) => step.commit().expect("a commit"),
                    Err(_) => step.abort().expect("aborted"),
                }
            })
        };
        // The first line appears while the build is running.
        let mut first = [0; 6];
        out.read_exact(&mut first).expect("a line");
        assert_eq!(&first, b"first\n");
        assert!(store.building(id).expect("asked"));
        std::fs::write(folder.join("on"), "").expect("written");
        let mut rest = String::new();
        out.read_to_string(&mut rest).expect("the rest");
        build.join().expect("built");
        let ended = ended(&mut dstore, "dstore log -f");
        let mut err = String::new();
        dstore
            .stderr
            .take()
            .expect("piped")
            .read_to_string(&mut err)
            .expect("read");
        assert_eq!(
            (rest.as_str(), ended.code()),
            ("last\n", Some(status)),
            "{err}"
        );
        assert!(err.contains(last), "{err}");
        // And after it has ended, completely.
        let log = store.log_file(id).expect("a path");
        let said = says(&root, &["log", id]);
        assert_eq!(said.out.as_bytes(), std::fs::read(log).expect("a log"));
        assert_eq!(said.status, Some(0));
    }
}

/// A builder that waits for another's build begins immediately when that fails, and creates another log of the same name.
#[test]
fn another_try_of_the_same_build_is_followed_from_its_start() {
    let root = Root::new("cli-again");
    let store = root.open_with_base();
    let mut first = begin(&store, "base", "again");
    first.run(&sh("echo the first try")).expect("a run");
    let mut dstore = at(&root, &["log", "-f", "again"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut out = dstore.stdout.take().expect("piped");
    let mut line = [0; 14];
    out.read_exact(&mut line).expect("a line");
    assert_eq!(&line, b"the first try\n");
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let mut second = begin(&store, "base", "again");
            second
                .run(&sh("echo the second try; sleep 1"))
                .expect("a run");
            second.commit().expect("a commit");
        });
        // So that it waits, even on a busy machine.
        std::thread::sleep(Duration::from_secs(3));
        first.abort().expect("aborted");
        second.join().expect("built");
    });
    let status = ended(&mut dstore, "dstore log -f");
    let (mut rest, mut err) = (String::new(), String::new());
    out.read_to_string(&mut rest).expect("read");
    dstore
        .stderr
        .take()
        .expect("piped")
        .read_to_string(&mut err)
        .expect("read");
    assert_eq!(
        (rest.as_str(), status.code()),
        ("the second try\n", Some(0)),
        "{err}"
    );
    assert!(err.contains("once more"), "{err}");
}

#[test]
fn a_build_that_has_not_begun_is_waited_for_on_request() {
    let root = Root::new("cli-wait");
    let store = root.open_with_base();
    let mut dstore = at(&root, &["log", "-f", "--wait", "later"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        dstore.try_wait().expect("asked").is_none(),
        "it does not wait"
    );
    build(&store, "base", "later", "echo here");
    let status = ended(&mut dstore, "dstore log -f --wait");
    let mut out = String::new();
    dstore
        .stdout
        .take()
        .expect("piped")
        .read_to_string(&mut out)
        .expect("read");
    assert_eq!((out.as_str(), status.code()), ("here\n", Some(0)));
    // With a timeout that is reached first.
    let said = says(&root, &["--timeout", "1s", "log", "-f", "--wait", "never"]);
    assert_eq!(said.status, Some(124), "{said:?}");
}

#[test]
fn ctrl_c_ends_it_with_130_and_leaves_nothing() {
    let root = Root::new("cli-interrupt");
    let store = root.open_with_base();
    let step = begin(&store, "base", "long");
    let mut terminal = Terminal::run(&root, "exec $DSTORE log -f long");
    until("it follows", || {
        names_in(&root.path.join(".store/sessions")).len() > 1
    });
    terminal.press("\x03");
    let (shown, status) = terminal.end();
    assert_eq!(status, Some(130), "{shown}");
    assert!(
        !shown.contains("cancelled") && !shown.contains("dstore:"),
        "{shown}"
    );

    // Through a pipe that is full and not read: a signal still ends it.
    build(&store, "base", "big", "head -c 3000000 /dev/zero >/big");
    let mut dstore = at(&root, &["export", "big"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut byte = [0];
    dstore
        .stdout
        .as_mut()
        .expect("piped")
        .read_exact(&mut byte)
        .expect("a byte");
    let began = Instant::now();
    let id = dstore.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &id])
            .status()
            .expect("kill")
            .success()
    );
    let status = ended(&mut dstore, "dstore export");
    assert!(!status.success());
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );

    step.abort().expect("aborted");
    store.close().expect("closed");
    prints(&root, &["ls"]);
    assert_eq!(root.leftovers(), [""; 0]);
}

#[test]
fn a_reader_that_goes_is_no_news() {
    use std::os::unix::process::ExitStatusExt;

    // A child that inherits the reading end would count as a reader.
    const CLOEXEC: rustix::pipe::PipeFlags = rustix::pipe::PipeFlags::CLOEXEC;
    let root = Root::new("cli-pipe");
    let store = root.open_with_base();
    for arguments in [
        &["ls"][..],
        &["--json", "ls"],
        &["doctor"],
        &["completions", "bash"],
    ] {
        let (reader, writer) = rustix::pipe::pipe_with(CLOEXEC).expect("a pipe");
        drop(reader);
        let output = at(&root, arguments)
            .stdout(writer)
            .output()
            .expect("it runs");
        assert_eq!(
            output.status.signal(),
            Some(13),
            "{arguments:?}: {output:?}"
        );
        assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
    // A follower notices it without waiting for another line.
    let step = begin(&store, "base", "long");
    let (reader, writer) = rustix::pipe::pipe_with(CLOEXEC).expect("a pipe");
    let mut dstore = at(&root, &["log", "-f", "long"])
        .stdout(writer)
        .spawn()
        .expect("it runs");
    until("it follows", || {
        names_in(&root.path.join(".store/sessions")).len() > 1
    });
    drop(reader);
    let status = ended(&mut dstore, "dstore log -f");
    assert_eq!(status.signal(), Some(13), "{status:?}");
    step.abort().expect("aborted");
    let _ = std::io::stdout().flush();
}

#[test]
fn a_full_disk_is_told() {
    let root = Root::new("cli-full");
    let full = || {
        std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("open")
    };
    for arguments in [&["ls"][..], &["--json", "ls"], &["completions", "zsh"]] {
        let output = at(&root, arguments)
            .stdout(full())
            .output()
            .expect("it runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(
            err.contains("standard output") && err.contains("No space left"),
            "{err}"
        );
    }
}

#[test]
fn colours_are_for_terminals_and_no_color_is_heard() {
    let root = Root::new("cli-colours");
    let coloured = |words: &str| {
        let (shown, status) = Terminal::run(&root, words).end();
        assert_eq!(status, Some(0), "{shown}");
        assert!(shown.contains("CREATED"), "{shown}");
        shown.contains('\x1b')
    };
    assert!(coloured("$DSTORE ls"));
    for words in [
        "NO_COLOR=1 $DSTORE ls",
        "TERM=dumb $DSTORE ls",
        "$DSTORE --color never ls",
        "$DSTORE ls | cat",
    ] {
        assert!(!coloured(words), "{words}");
    }
    assert!(coloured("$DSTORE --color always ls | cat"));
    assert!(!prints(&root, &["ls"]).contains('\x1b'));
    assert!(prints(&root, &["--color", "always", "ls"]).contains('\x1b'));
}

#[test]
fn a_prune_removes_what_it_says_and_a_dry_one_nothing() {
    let root = Root::new("cli-prune");
    let store = root.open_with_base();
    for id in ["one", "two", "three"] {
        build(
            &store,
            "base",
            id,
            "head -c 1000000 /dev/zero | tr '\\0' x >/big",
        );
    }
    prints(&root, &["pin", "two"]);
    let ids = || prints(&root, &["ls", "-q", "--sort", "id"]);
    let all = ids();
    let unused = ["prune", "--unused-for", "0s", "--spare", "0s"];
    let dry = [&unused[..], &["-n"]].concat();
    let (would, _) = json(&root, &dry);
    assert_eq!(ids(), all);
    assert_eq!(
        (&would["dry_run"], &would["freed"]),
        (&true.into(), &serde_json::Value::Null)
    );
    let said = says(&root, &dry);
    assert!(
        said.out.contains("would remove result one (1.00 MB"),
        "{said:?}"
    );
    assert!(!said.out.contains("kept"), "{said:?}");
    let said = says(&root, &[&["-v"], &dry[..]].concat());
    assert!(said.out.contains("kept result two: "), "{said:?}");

    let (did, _) = json(&root, &unused);
    let of = |document: &serde_json::Value, fate: &str| {
        let rows = document["rows"].as_array().expect("rows");
        let mut names: Vec<String> = rows
            .iter()
            .filter(|row| row["fate"] == fate)
            .map(|row| row["name"].as_str().expect("a name").to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(of(&did, "removed"), of(&would, "removed"));
    assert_eq!(ids(), "two\n");
    for id in of(&did, "removed") {
        assert!(
            docker(&["images", "-q", &root.image(&id)]).is_empty(),
            "{id}"
        );
    }
    // A bound that cannot be kept is reported.
    let said = says(&root, &["prune", "--most", "1kB", "--spare", "0s"]);
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.out.contains("not what was asked for"), "{said:?}");
    prints(&root, &["unpin", "two"]);
    prints(&root, &["prune", "--most", "0", "--spare", "0s"]);
    assert_eq!(ids(), "");
    // A prune without bounds is probably a mistake.
    assert_eq!(says(&root, &["prune"]).status, Some(2));
    assert_eq!(says(&root, &["prune", "-n"]).status, Some(2));
    store.close().expect("closed");
}

#[test]
fn pins_are_listed_and_taken_away() {
    let root = Root::new("cli-pins");
    assert_eq!(prints(&root, &["pin", "one", "two"]), "one\ntwo\n");
    assert_eq!(prints(&root, &["pin", "--cache", "compiler"]), "compiler\n");
    let table = prints(&root, &["pin"]);
    let firsts = |line: &str| {
        line.split_whitespace()
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let lines: Vec<_> = table.lines().skip(1).map(firsts).collect();
    assert_eq!(
        lines,
        [["result", "one"], ["result", "two"], ["cache", "compiler"]]
    );
    let (document, _) = json(&root, &["pin"]);
    assert_eq!(document["pins"][2]["name_hex"], "636f6d70696c6572");
    let said = says(&root, &["unpin", "one", "three"]);
    assert_eq!(
        (said.status, said.out.as_str()),
        (Some(3), "one\n"),
        "{said:?}"
    );
    let (document, _) = json(&root, &["unpin", "two"]);
    assert_eq!(document["unpinned"], serde_json::json!(["two"]));
    assert_eq!(
        prints(&root, &["unpin", "--cache", "compiler"]),
        "compiler\n"
    );
    assert_eq!(json(&root, &["pin"]).0["pins"], serde_json::json!([]));
}

#[test]
fn a_result_is_tagged_saved_and_loaded_again() {
    let root = Root::new("cli-save");
    let store = root.open_with_base();
    build(&store, "base", "made", "echo hello >/hello");
    let name = format!("example.com/{}:1", root.prefix());
    assert_eq!(prints(&root, &["tag", "made", &name]), format!("{name}\n"));
    let id_of = |image: &str| docker(&["image", "inspect", "--format", "{{.Id}}", image]);
    assert_eq!(id_of(&name), id_of(&root.image("made")));
    let said = says(&root, &["tag", "base", &name]);
    assert!(
        said.status == Some(0) && said.err.contains("had that name before"),
        "{said:?}"
    );
    docker(&["rmi", &name]);

    let file = root.path.join("made.tar").display().to_string();
    prints(&root, &["save", "made", "-o", &file, "--as", &name]);
    let loaded = docker(&["load", "-i", &file]);
    assert!(loaded.concat().contains(&name), "{loaded:?}");
    assert_eq!(id_of(&name), id_of(&root.image("made")));
    docker(&["rmi", &name]);
    assert_eq!(prints(&root, &["load", "again", &file]), "again\n");
    assert_eq!(id_of(&root.image("again")), id_of(&root.image("made")));
    assert_eq!(json(&root, &["load", "again", &file]).0["was_there"], true);
    // From one pipe into another.
    let mut save = at(&root, &["save", "made", "--format", "oci"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let pipe = save.stdout.take().expect("piped");
    let load = at(&root, &["load", "piped", "-"])
        .stdin(pipe)
        .output()
        .expect("it runs");
    assert!(
        load.status.success() && ended(&mut save, "save").success(),
        "{load:?}"
    );
    assert_eq!(id_of(&root.image("piped")), id_of(&root.image("made")));
    let (shown, status) = Terminal::run(&root, "$DSTORE load x -").end();
    assert_eq!(status, Some(2), "{shown}");
    store.close().expect("closed");
}

/// The credentials that an engine receives with a push: an address without a server is enough, with a proxy in between.
#[test]
fn a_push_is_made_as_whom_docker_has_logged_in() {
    let root = Root::new("cli-push");
    let store = root.open_with_base();
    let name = format!("localhost:9/{}:1", root.prefix());
    let folder = root.path.join("docker");
    std::fs::create_dir(&folder).expect("made");
    let push = |arguments: &[&str]| {
        let mut push = at(&root, arguments);
        let output = push
            .env("DOCKER_CONFIG", &folder)
            .env("PATH", &folder)
            .output();
        at::Said::from(output.expect("it runs"))
    };
    // The helper is asked for that registry; if it refuses, there is no login.
    std::fs::write(
        folder.join("config.json"),
        r#"{"credHelpers":{"localhost:9":"test"}}"#,
    )
    .expect("written");
    let helper = folder.join("docker-credential-test");
    let asked = folder.join("asked");
    let script = format!(
        "#!/bin/sh\nread -r registry\necho \"$1 $registry\" >{}\necho '{{\"Username\":\"me\",\"Secret\":\"x\"}}'\n",
        asked.display()
    );
    std::fs::write(&helper, script).expect("written");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).expect("set");
    let said = push(&["push", "base", &name]);
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.err.contains("localhost:9"), "{said:?}");
    assert_eq!(
        std::fs::read_to_string(&asked).expect("asked"),
        "get localhost:9\n"
    );
    // A missing helper is reported.
    std::fs::remove_file(&helper).expect("removed");
    let said = push(&["push", "base", &name]);
    assert!(said.err.contains("docker-credential-test"), "{said:?}");
    let said = push(&["push", "--user", "me", "base", &name]);
    assert_eq!(said.status, Some(1), "{said:?}");
    docker(&["rmi", &name]);
    store.close().expect("closed");
}

#[test]
fn what_is_pushed_is_at_the_registry_under_the_digest_that_is_printed() {
    if image_store() == ImageStore::Podman {
        println!("skipped: this engine speaks to no registry without TLS");
        return;
    }
    let root = Root::new("cli-pushed");
    let store = root.open_with_base();
    build(&store, "base", "made", "echo made >/made");
    let registry = Registry::start(true);
    let name = format!("{}/team/app:1.0", registry.host);
    let folder = root.path.join("docker");
    std::fs::create_dir(&folder).expect("made");
    // As `docker login` leaves it where there is no helper: `builder:hunter2`.
    let login = format!(
        r#"{{"auths":{{"{}":{{"auth":"YnVpbGRlcjpodW50ZXIy"}}}}}}"#,
        registry.host
    );
    std::fs::write(folder.join("config.json"), login).expect("written");
    let push = |arguments: &[&str]| {
        let output = at(&root, arguments).env("DOCKER_CONFIG", &folder).output();
        at::Said::from(output.expect("it runs"))
    };
    let said = push(&["--json", "push", "made", &name]);
    assert_eq!(said.status, Some(0), "{said:?}");
    let told: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let (status, _, manifest) = registry.get("/v2/team/app/manifests/1.0");
    let digest = format!("sha256:{:x}", Sha256::digest(&manifest));
    assert_eq!(status, 200);
    assert_eq!(
        (&told["name"], &told["digest"]),
        (&name.as_str().into(), &digest.as_str().into())
    );
    let said = push(&["push", "made", &name]);
    assert!(said.out.contains(&digest), "{said:?}");
    // Without the login it is refused.
    std::fs::remove_file(folder.join("config.json")).expect("removed");
    let said = push(&["push", "base", &name]);
    assert_eq!(said.status, Some(1), "{said:?}");
    docker(&["rmi", &name]);
    store.close().expect("closed");
}

#[test]
fn a_root_is_given_up_once_somebody_says_yes() {
    let root = Root::new("cli-destroy");
    let store = root.open_with_base();
    build(&store, "base", "made", "true");
    drop(
        store
            .cache("compiler", &Default::default())
            .expect("a lease"),
    );
    let said = says(&root, &["destroy", "--yes"]);
    assert_eq!(said.status, Some(4), "somebody has it open: {said:?}");
    store.close().expect("closed");

    let objects = || {
        let mut all = docker(&[
            "volume",
            "ls",
            "-q",
            "--filter",
            &format!("name={}-", root.prefix()),
        ]);
        all.extend(docker(&[
            "images",
            "--format",
            "{{.Repository}}",
            &format!("{}-*", root.prefix()),
        ]));
        all.sort();
        all
    };
    let before = objects();
    assert!(before.len() >= 4, "{before:?}");
    let (would, _) = json(&root, &["destroy", "-n"]);
    let names: Vec<&str> = would["things"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|thing| thing["name"].as_str())
        .collect();
    for object in &before {
        assert!(
            names.iter().any(|name| name.starts_with(object.as_str())),
            "{object}: {names:?}"
        );
    }
    // Without a user who could confirm; with a user who refuses, or leaves.
    assert_eq!(says(&root, &["destroy"]).status, Some(2));
    for (keys, status) in [("no\n", 1), ("\x03", 130)] {
        let mut terminal = Terminal::run(&root, "exec $DSTORE destroy");
        terminal.until_it_shows("Type yes:");
        terminal.press(keys);
        let (shown, ended) = terminal.end();
        assert_eq!(ended, Some(status), "{shown}");
    }
    assert_eq!(objects(), before);
    let mut terminal = Terminal::run(&root, "exec $DSTORE destroy");
    terminal.until_it_shows("Type yes:");
    terminal.press("yes\n");
    let (shown, ended) = terminal.end();
    assert_eq!(ended, Some(0), "{shown}");
    assert!(shown.contains("all of it is gone"), "{shown}");
    assert_eq!(objects(), [""; 0]);
    assert!(!root.path.exists());
    assert_eq!(says(&root, &["destroy", "--yes"]).status, Some(3));
}

#[test]
fn what_is_left_of_a_root_whose_directory_is_gone_is_found_and_removed() {
    let root = Root::new("cli-remains");
    let store = root.open_with_base();
    store.close().expect("closed");
    let path = root.path.display().to_string();
    std::fs::remove_dir_all(&root.path).expect("removed");
    let (all, _) = json(&root, &["destroy", "--remains"]);
    let things = all["things"].as_array().expect("a list");
    let mine = things
        .iter()
        .find(|thing| thing["root"] == path)
        .expect("it is listed");
    let identity = mine["identity"].as_str().expect("an identity").to_owned();
    let table = prints(&root, &["destroy", "--remains"]);
    let line = table
        .lines()
        .find(|line| line.contains(&identity))
        .expect("it is listed");
    assert!(line.contains(&path) && line.contains("gone"), "{line}");

    assert!(
        says(&root, &["destroy", "--identity", &identity]).status == Some(2),
        "it does not ask"
    );
    let would = prints(&root, &["destroy", "-n", "--identity", &identity]);
    assert!(
        would.contains(&format!("would remove image {}", root.image("base"))),
        "{would}"
    );
    prints(&root, &["destroy", "--yes", "--identity", &identity]);
    assert!(
        docker(&[
            "volume",
            "ls",
            "-q",
            "--filter",
            &format!("name={}-", root.prefix())
        ])
        .is_empty()
    );
    assert!(docker(&["images", "-q", &format!("{}-*", root.prefix())]).is_empty());
    assert_eq!(
        says(&root, &["destroy", "--yes", "--identity", &identity]).status,
        Some(3)
    );
}
