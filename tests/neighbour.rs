//! What another user on this machine can do to a root: nothing, as far as modes prevent it; and what an engine or a command can
//! do to the process: no more than allowed.

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use common::proxy::{Act, Proxy};
use common::{Root, begin, import_base};
use docker_store::{Command, ErrorKind, Limits, LogFull, Options, Store};

/// A path for a root that does not exist.
fn nowhere(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!(
        "docker-store-neighbour-{name}-{}",
        std::process::id()
    ))
}

/// Everything below a directory, itself included, with its mode.
fn modes(path: &Path, all: &mut Vec<(PathBuf, u32)>) {
    let found = fs::symlink_metadata(path).expect("there");
    all.push((path.to_owned(), found.mode() & 0o7777));
    if found.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            modes(&entry.expect("an entry").path(), all);
        }
    }
}

#[test]
fn nobody_else_can_read_or_lock_what_is_the_librarys_own() {
    let root = Root::new("modes");
    let store = root.open_with_base();
    let lease = store
        .cache("c", &docker_store::CacheRequest::new())
        .expect("a lease");
    let under_way = begin(&store, "base", "one");
    let mut all = Vec::new();
    modes(&root.path.join(".store"), &mut all);
    assert!(all.len() > 8, "{all:?}");
    for (path, mode) in &all {
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
    if rustix::process::geteuid().is_root() {
        for (path, _) in &all {
            let tried = Process::new("flock")
                .arg("-n")
                .arg(path)
                .arg("true")
                .uid(65534)
                .output();
            let tried = tried.expect("flock of util-linux or busybox");
            assert!(!tried.status.success(), "nobody locked {}", path.display());
        }
    }
    under_way.abort().expect("aborted");
    drop(lease);
    store.close().expect("closed");
}

#[test]
fn folders_that_somebody_removed_while_a_store_is_open_are_made_again() {
    let root = Root::new("removed");
    let store = root.open_with_base();
    let below = |name: &str| root.path.join(name);
    let request = docker_store::CacheRequest::new();
    for (n, removed) in [
        ".store/sessions",
        ".store/builds",
        ".store/caches",
        "logs",
        "state",
        "empty",
    ]
    .into_iter()
    .enumerate()
    {
        fs::remove_dir_all(below(removed)).expect(removed);
        let id = format!("step-{n}");
        let lease = store.cache("c", &request).expect(removed);
        let mut step = begin(&store, "base", &id);
        let mut write = common::sh("echo x >>/c/file; echo said");
        step.run(write.lease(&lease, "/c")).expect(removed);
        step.commit().expect(removed);
        let won = lease.release().expect(removed);
        assert!(
            matches!(won, docker_store::Released::Won(_)),
            "{removed}: {won:?}"
        );
        let log = fs::read_to_string(store.log_file(&id).expect("a path")).expect(removed);
        assert_eq!(log, "said\n", "{removed}");
        // The file that shows that the store is open exists again, with access for all.
        assert_eq!(
            fs::read_dir(below(".store/sessions"))
                .expect(removed)
                .count(),
            1
        );
        let other = root.open();
        assert!(other.result(&id).expect("a look"), "{removed}");
        other.close().expect("closed");
    }
    store.close().expect("closed");
}

#[test]
fn a_root_that_somebody_else_prepared_is_refused_before_anything_is_written() {
    for name in ["logs", "state", ".store", "empty"] {
        let (root, far) = (
            nowhere(&format!("planted{name}")),
            nowhere(&format!("far{name}")),
        );
        fs::create_dir(&root).expect("a root");
        fs::create_dir(&far).expect("a folder");
        symlink(&far, root.join(name)).expect("a link");
        let refused = Store::open(&root, &Options::new()).expect_err("a planted link");
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        assert!(
            refused.message().contains(name) && refused.message().contains("symbolic link"),
            "{refused}"
        );
        assert_eq!(fs::read_dir(&far).expect("the folder").count(), 0);
        assert_eq!(fs::read_dir(&root).expect("the root").count(), 1);
        fs::remove_dir_all(&root).expect("removed");
        fs::remove_dir(&far).expect("removed");
    }
    let root = nowhere("foreign");
    fs::create_dir(&root).expect("a root");
    fs::set_permissions(&root, Permissions::from_mode(0o777)).expect("a mode");
    let refused = Store::open(&root, &Options::new()).expect_err("anybody's");
    assert!(refused.message().contains("chmod o-w"), "{refused}");
    fs::set_permissions(&root, Permissions::from_mode(0o755)).expect("a mode");
    if rustix::process::geteuid().is_root() {
        chown(&root, Some(65534), None).expect("given away");
        let refused = Store::open(&root, &Options::new()).expect_err("somebody's");
        assert!(
            refused.message().contains("belongs to user 65534"),
            "{refused}"
        );
    }
    assert_eq!(fs::read_dir(&root).expect("the root").count(), 0);
    fs::remove_dir(&root).expect("removed");
}

#[test]
fn an_open_that_fails_leaves_nothing_behind() {
    let root = nowhere("fails");
    for spoil in [
        |options: &mut Options| {
            options.engine("unix:///nowhere/docker.sock");
        },
        |options: &mut Options| {
            options.name("Not A Word");
        },
        |options: &mut Options| {
            options.engine("gopher://engine");
        },
    ] {
        let mut options = Options::new();
        spoil(&mut options);
        Store::open(&root, &options).expect_err("cannot be opened");
        assert!(!root.exists());
    }
}

#[test]
fn a_root_for_a_group_is_that_groups_and_no_others() {
    let root = Root::new("group");
    let group = match rustix::process::geteuid().is_root() {
        true => 4242,
        false => rustix::process::getegid().as_raw(),
    };
    let mut options = Options::new();
    options.group(group);
    // It was created without access for others.
    let store = root.open_with(&options);
    let mut all = Vec::new();
    for name in [".store", "logs", "state"] {
        modes(&root.path.join(name), &mut all);
    }
    for (path, mode) in all {
        let found = fs::metadata(&path).expect("there");
        assert_eq!(
            (found.gid(), mode & 0o007),
            (group, 0),
            "{}: {mode:o}",
            path.display()
        );
        assert_eq!(mode & 0o060, 0o060, "{}: {mode:o}", path.display());
    }
    store.close().expect("closed");
    // Again, and once without naming the group.
    for options in [options, Options::new()] {
        root.open_with(&options).close().expect("closed");
    }
    let own = fs::metadata(root.path.join(".store")).expect("there");
    assert_eq!(own.mode() & 0o7777, 0o2770);
}

/// The last line of a log that was full.
const NOT_KEPT: &str = "bytes were not kept: the log is full]\n";

#[test]
fn a_log_is_as_long_as_it_may_be_and_then_the_step_fails_or_the_rest_is_counted() {
    let root = Root::new("full-log");
    let store = root.open();
    import_base(&store, "base");
    store.close().expect("closed");
    let write = Command::new([
        "sh",
        "-c",
        "i=0; while [ $i -lt 2000 ]; do echo 123456789; i=$((i+1)); done",
    ]);
    let mut options = Options::new();

    options.log_limit(4000, LogFull::Fail);
    let store = root.open_with(&options);
    let mut failing = begin(&store, "base", "fails");
    let failed = failing.run(&write).expect_err("the log is full");
    assert_eq!(failed.kind(), ErrorKind::Io);
    assert!(failed.message().contains("limit of 4000 bytes"), "{failed}");
    failing.abort().expect("aborted");
    let log = fs::read(store.log_file("fails").expect("a path")).expect("a log");
    assert_eq!(log.len(), 4000);
    store.close().expect("closed");

    options.log_limit(4000, LogFull::Drop);
    let store = root.open_with(&options);
    let mut going_on = begin(&store, "base", "goes-on");
    let mut seen = 0;
    let done = going_on.run_with(&write, &mut |output| {
        seen += output.bytes.len();
        Ok(())
    });
    assert_eq!(done.expect("it goes on").code, 0);
    going_on.commit().expect("committed");
    assert_eq!(seen, 20_000);
    let log = fs::read_to_string(store.log_file("goes-on").expect("a path")).expect("a log");
    assert!(log.len() <= 4000 && log.ends_with(NOT_KEPT), "{log}");
    let (kept, last) = log.rsplit_once("\n[").expect("a last line");
    let dropped: usize = last
        .split(' ')
        .next()
        .expect("a number")
        .parse()
        .expect("a number");
    assert_eq!(kept.len() + dropped, 20_000);
    assert!(
        store
            .begin(Some("base"), "goes-on", &Limits::none())
            .is_ok()
    );
    store.close().expect("closed");
}

fn answer(body: &str) -> &'static str {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    Box::leak((head + body).into_boxed_str())
}

/// In a separate process, because the peak is per process.
#[test]
fn an_engine_that_answers_without_end_does_not_take_the_memory() {
    if let Some(root) =
        common::child_of("an_engine_that_answers_without_end_does_not_take_the_memory")
    {
        return endless_answers(&root);
    }
    let root = Root::new("endless");
    common::spawn(
        "an_engine_that_answers_without_end_does_not_take_the_memory",
        &root,
        "asks",
    )
    .pass();
}

fn endless_answers(root: &Path) {
    let entry = |label: usize| {
        format!(
            "{{\"Id\":\"sha256:{:064}\",\"Created\":1,\"Size\":1,\"RepoTags\":[\"x:y\"],\"Labels\":{{\"l\":\"{}\"}}}},",
            7,
            "x".repeat(label)
        )
    };
    let list = |entries: usize, label| {
        let entries = entry(label).repeat(entries);
        answer(&format!("[{}]", entries.trim_end_matches(',')))
    };
    let (long, longer) = (list(30_000, 600), list(200_001, 0));
    // One line, as far as it goes.
    let progress = answer(&"{}".repeat(8 << 20));
    let silent = answer(&format!("{{\"status\":\"{}", "x".repeat(16 << 20)));
    let turn = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let now = std::sync::Arc::clone(&turn);
    let proxy = Proxy::new(root, move |_, line| {
        let turn = now.load(std::sync::atomic::Ordering::SeqCst);
        match (turn, line) {
            (1, line) if line.contains("/images/json") => Act::Answer(long),
            (2, line) if line.contains("/images/json") => Act::Answer(longer),
            (3, line) if line.contains("/images/create") => Act::Answer(progress),
            (4, line) if line.contains("/images/create") => Act::Answer(silent),
            _ => Act::Pass,
        }
    });
    let mut options = Options::new();
    options.engine(&proxy.address);
    let store = Store::open(root, &options).expect("a store");
    let cost = |number: usize, call: &mut dyn FnMut() -> docker_store::Result<()>| {
        turn.store(number, std::sync::atomic::Ordering::SeqCst);
        // The peak is reset here.
        fs::write("/proc/self/clear_refs", "5").expect("Linux");
        let (before, _) = common::memory();
        let done = call();
        turn.store(0, std::sync::atomic::Ordering::SeqCst);
        let (_, most) = common::memory();
        (done, most.saturating_sub(before) / 1024)
    };
    let pull = || match store.begin(None, "pulled", &Limits::none())? {
        docker_store::Begun::Step(mut step) => {
            let pulled = step.pull("nothing/there:1", None, &mut |_| Ok(()));
            step.abort()?;
            pulled
        }
        docker_store::Begun::Present => Ok(()),
    };
    let costs = [
        cost(1, &mut || store.results().map(drop)),
        cost(2, &mut || store.results().map(drop)),
        cost(3, &mut || pull()),
        cost(4, &mut || pull()),
    ];
    println!("answers without end, and MB that they took: {costs:?}");
    assert!(costs[0].0.is_ok(), "{costs:?}");
    for (done, _) in &costs[1..] {
        let e = done.as_ref().expect_err("refused");
        assert_eq!(e.kind(), ErrorKind::Engine, "{e}");
        assert!(e.message().len() < 1000);
    }
    // Most of the first, which has 23 MB, is not needed. Of the second, the maximum is kept.
    let most = [15, 100, 8, 8];
    assert!(
        costs.iter().zip(most).all(|((_, mb), most)| *mb < most),
        "{costs:?}"
    );
    store.close().expect("closed");
}
