//! Several stores on one root, in threads and in processes: what an active store holds is never removed, and leftovers of a
//! terminated one never remain.

mod common;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{
    Root, base_tar, begin, build, child_of, docker, import_base, nameless, output_in, role, sh,
    spawn, until,
};
use docker_store::{
    Begun, CacheMode, CacheRequest, ErrorKind, Limits, Options, Outcome, Released, Store,
};

fn touch(path: impl AsRef<Path>) {
    std::fs::write(path, "").expect("written");
}

#[test]
fn a_second_process_opens_amid_the_steps_of_the_first_and_both_finish() {
    const TEST: &str = "a_second_process_opens_amid_the_steps_of_the_first_and_both_finish";
    if let Some(root) = child_of(TEST) {
        let store = Store::open(&root, &Options::new()).expect("a store");
        let lease = store.cache("shared", &Default::default()).expect("a lease");
        let mut step = begin(&store, "base", "first");
        let script = "echo running; echo kept > /cache/kept; while [ ! -e /go ] && [ ! -e /cache/go ]; do sleep 0.1; done; echo ok > /made";
        let mut told = false;
        step.run_with(sh(script).lease(&lease, "/cache"), &mut |_| {
            if !told {
                touch(root.join("first-runs"));
                told = true;
            }
            Ok(())
        })
        .expect("a run");
        step.commit().expect("a commit");
        lease.release().expect("a release");
        return;
    }
    let root = Root::new("amid");
    import_base(&root.open(), "base");
    let first = spawn(TEST, &root, "");
    until("the first process runs its step", || {
        root.path.join("first-runs").exists()
    });
    // Two opens and a purge at the same time.
    let store = root.open();
    assert_eq!(store.purge().expect("a purge").containers, 0);
    let running = docker(&[
        "ps",
        "--filter",
        &format!("name={}-container-first", root.prefix()),
        "--format",
        "{{.Names}}",
    ]);
    assert_eq!(running.len(), 1, "the first one's container runs on");
    build(&store, "base", "second", "echo too > /made");
    docker(&[
        "exec",
        &format!("{}-container-first", root.prefix()),
        "touch",
        "/go",
    ]);
    first.pass();
    assert_eq!(output_in(&store, "first", "cat /made"), "ok\n");
    // What the first one wrote into the cache is there for the next.
    let lease = store.cache("shared", &Default::default()).expect("a lease");
    let mut step = begin(&store, "base", "third");
    step.run(sh("cat /cache/kept").lease(&lease, "/cache"))
        .expect("kept");
    step.abort().expect("aborted");
    drop(lease);
    store.complete_deletes(&Limits::none()).expect("done");
    assert_eq!(root.leftovers_beside_caches(), Vec::<String>::new());
}

#[test]
fn what_a_killed_process_left_is_purged_by_the_next_open() {
    const TEST: &str = "what_a_killed_process_left_is_purged_by_the_next_open";
    if let Some(root) = child_of(TEST) {
        let store = Store::open(&root, &Options::new()).expect("a store");
        let lease = store.cache("c", &Default::default()).expect("a lease");
        let mut step = begin(&store, "base", "one");
        step.run_with(
            sh("echo running; sleep 60")
                .lease(&lease, "/cache")
                .secret("/s", "x", (0, 0), 0o400),
            &mut |_| {
                touch(root.join("runs"));
                Ok(())
            },
        )
        .expect("killed before");
        return;
    }
    let root = Root::new("killed");
    import_base(&root.open(), "base");
    let child = spawn(TEST, &root, "");
    until("the child runs its step", || {
        root.path.join("runs").exists()
    });
    child.kill();
    let before = root.leftovers();
    assert!(before.len() >= 3, "a container, a tag, volumes: {before:?}");
    let store = root.open();
    assert_eq!(root.leftovers(), Vec::<String>::new());
    let volumes = docker(&[
        "volume",
        "ls",
        "-q",
        "--filter",
        &format!("name={}-", root.prefix()),
    ]);
    assert_eq!(
        volumes,
        [format!("{}-store", root.prefix())],
        "an untouched new cache has no volumes"
    );
    assert!(!store.result("one").expect("a look"));
    build(&store, "base", "one", "true");
}

#[test]
fn what_one_holder_of_a_shared_lease_released_is_kept_although_the_last_one_is_killed() {
    const TEST: &str =
        "what_one_holder_of_a_shared_lease_released_is_kept_although_the_last_one_is_killed";
    let mut shared = CacheRequest::new();
    shared.mode(CacheMode::Shared);
    if let Some(root) = child_of(TEST) {
        let store = Store::open(&root, &Options::new()).expect("a store");
        let _lease = store.cache("c", &shared).expect("a lease");
        touch(root.join(role()));
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    // The next open publishes it, and so does the next shared lease of a store that was open all the time.
    for reopen in [true, false] {
        let root = Root::new("kept");
        let store = root.open_with_base();
        let child = spawn(TEST, &root, "holds");
        until("the child has the lease", || {
            root.path.join("holds").exists()
        });
        let lease = store.cache("c", &shared).expect("a lease");
        let mut step = begin(&store, "base", "one");
        step.run(sh("echo released > /cache/x").lease(&lease, "/cache"))
            .expect("a run");
        step.commit().expect("a commit");
        assert_eq!(lease.release().expect("released"), Released::Shared);
        child.kill();
        let store = match reopen {
            true => {
                store.close().expect("closed");
                root.open()
            }
            false => store,
        };
        let lease = store.cache("c", &shared).expect("a lease");
        assert_eq!(lease.generation(), 1);
        let mut step = begin(&store, "base", "two");
        step.run(sh("cat /cache/x").lease(&lease, "/cache"))
            .expect("what was released");
        step.abort().expect("aborted");
        lease.discard().expect("discarded");
    }
}

#[test]
fn a_live_process_may_build_what_a_killed_one_began_without_a_purge() {
    const TEST: &str = "a_live_process_may_build_what_a_killed_one_began_without_a_purge";
    if let Some(root) = child_of(TEST) {
        let store = Store::open(&root, &Options::new()).expect("a store");
        begin(&store, "base", "one")
            .run_with(&sh("echo running; sleep 60"), &mut |_| {
                touch(root.join("runs"));
                Ok(())
            })
            .expect("killed before");
        return;
    }
    let root = Root::new("rebuild");
    let store = root.open_with_base();
    let child = spawn(TEST, &root, "");
    until("the child runs its step", || {
        root.path.join("runs").exists()
    });
    child.kill();
    build(&store, "base", "one", "echo again > /made");
    assert_eq!(output_in(&store, "one", "cat /made"), "again\n");
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn two_threads_and_two_processes_that_build_one_id_build_it_once() {
    const TEST: &str = "two_threads_and_two_processes_that_build_one_id_build_it_once";
    let work = |store: &Store, built: &AtomicU32| {
        let outcome = store.build(Some("base"), "one", &Limits::none(), |step| {
            step.run(&sh("sleep 1; echo built >> /made")).map(drop)
        });
        if outcome.expect("a build") == Outcome::Built {
            built.fetch_add(1, Ordering::SeqCst);
        }
    };
    if let Some(root) = child_of(TEST) {
        let built = AtomicU32::new(0);
        work(
            &Store::open(&root, &Options::new()).expect("a store"),
            &built,
        );
        if built.into_inner() > 0 {
            touch(root.join(format!("built-by-{}", role())));
        }
        return;
    }
    let root = Root::new("once");
    let store = root.open_with_base();
    let built = AtomicU32::new(0);
    let children = [spawn(TEST, &root, "a"), spawn(TEST, &root, "b")];
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| work(&store, &built));
        }
    });
    for child in children {
        child.pass();
    }
    let by_children = ["a", "b"]
        .iter()
        .filter(|c| root.path.join(format!("built-by-{c}")).exists())
        .count();
    assert_eq!(built.into_inner() as usize + by_children, 1);
    assert_eq!(output_in(&store, "one", "cat /made"), "built\n");
}

#[test]
fn waiting_for_anothers_build_ends_by_deadline() {
    let root = Root::new("waiting");
    let store = root.open_with_base();
    let step = begin(&store, "base", "one");
    let limits = Limits::none().timeout(Duration::from_millis(200));
    let error = store
        .begin(Some("base"), "one", &limits)
        .expect_err("a wait");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.message().contains("under way"), "{error}");
    let error = store.delete("one").expect_err("being built");
    assert_eq!(error.kind(), ErrorKind::Busy);
    step.abort().expect("aborted");
    assert!(matches!(
        store.begin(Some("base"), "one", &limits),
        Ok(Begun::Step(_)) | Err(_)
    ));
}

#[test]
fn who_follows_a_log_sees_its_build_end_and_another_try_in_another_file() {
    let root = Root::new("follow");
    let store = root.open_with_base();
    let other = root.open();
    let log = other.log_file("one").expect("a path");
    assert!(!other.building("one").expect("a look"));
    let mut step = begin(&store, "base", "one");
    step.write_log(b"first\n").expect("written");
    assert!(other.building("one").expect("a look"));
    let mut follower = File::open(&log).expect("a log");
    step.abort().expect("aborted");
    assert!(!other.building("one").expect("a look"));
    let mut step = begin(&store, "base", "one");
    step.write_log(b"second\n").expect("written");
    assert_eq!(std::fs::read(&log).expect("a log"), b"second\n");
    let mut seen = String::new();
    follower.read_to_string(&mut seen).expect("the rest");
    assert_eq!(seen, "first\n");
    step.abort().expect("aborted");
}

#[test]
fn a_strangers_object_whose_name_starts_alike_is_left_alone() {
    let root = Root::new("stranger");
    let store = root.open_with_base();
    let p = root.prefix();
    let strange = [format!("{p}xyz-precious"), format!("{p}-precious")];
    for name in &strange {
        docker(&["create", "--name", name, &root.image("base"), "/bin/true"]);
        docker(&["volume", "create", name]);
        docker(&[
            "tag",
            &root.image("base"),
            &name.replace("precious", "image-tmp-x_"),
        ]);
    }
    drop(store);
    let store = root.open();
    store.purge().expect("a purge");
    for name in &strange {
        assert_eq!(
            docker(&["ps", "-aq", "--filter", &format!("name=^/?{name}$")]).len(),
            1,
            "{name}"
        );
        assert_eq!(
            docker(&["volume", "ls", "-q", "--filter", &format!("name=^{name}$")]).len(),
            1,
            "{name}"
        );
        docker(&["rm", name]);
        docker(&["volume", "rm", name]);
    }
}

#[test]
fn leftovers_of_an_obuilder_store_are_purged() {
    let root = Root::new("seed");
    let store = root.open_with_base();
    let p = root.prefix();
    // As OBuilder names them: without labels.
    docker(&[
        "create",
        "--name",
        &format!("{p}-container-abc"),
        &root.image("base"),
        "/bin/true",
    ]);
    docker(&["tag", &root.image("base"), &format!("{p}-image-tmp-abc")]);
    docker(&["volume", "create", &format!("{p}-cache-tmp-0-c-opam")]);
    let purged = store.purge().expect("a purge");
    assert_eq!(
        (purged.containers, purged.images, purged.volumes),
        (1, 1, 1)
    );
    assert_eq!(root.leftovers(), Vec::<String>::new());
    assert_eq!(store.purge().expect("again"), Default::default());
}

#[test]
fn an_empty_image_that_lost_its_name_is_purged() {
    let root = Root::new("nameless");
    let store = root.open();
    // As every object of this root carries it.
    let claim = format!("{}-store", root.prefix());
    let format = "{{index .Labels \"docker-store.root\"}}";
    let identity = docker(&["volume", "inspect", "--format", format, &claim]).remove(0);
    let label = format!("docker-store.root={identity}");
    let change = format!("LABEL {label}");
    let tar = base_tar();
    docker(&["import", "-c", &change, tar.to_str().expect("text")]);
    assert_eq!(nameless(&label).len(), 1);
    store.purge().expect("a purge");
    assert_eq!(nameless(&label), Vec::<String>::new());
}

#[test]
fn results_are_found_under_the_seeds_names_and_the_other_way_round() {
    let root = Root::new("names");
    let store = root.open_with_base();
    docker(&["tag", &root.image("base"), &root.image("theirs")]);
    assert!(store.result("theirs").expect("a look"));
    build(&store, "theirs", "ours", "true");
    assert_eq!(docker(&["images", "-q", &root.image("ours")]).len(), 1);
    let ids: Vec<String> = store
        .results()
        .expect("a list")
        .into_iter()
        .map(|r| r.id)
        .collect();
    assert_eq!(ids, ["base", "ours", "theirs"]);
}

#[test]
fn a_deleted_result_is_gone_with_its_log_and_other_names_stay() {
    let root = Root::new("delete");
    let store = root.open_with_base();
    build(&store, "base", "one", "echo x");
    docker(&["tag", &root.image("one"), &root.image("other")]);
    assert!(store.delete("one").expect("deleted"));
    assert!(!store.delete("one").expect("absent is fine"));
    assert!(!store.log_file("one").expect("a path").exists());
    assert!(!store.result("one").expect("a look") && store.result("other").expect("a look"));
    // A base with results on it, and one from which another program's container was created.
    build(&store, "other", "child", "true");
    assert!(store.delete("other").expect("deleted"));
    assert_eq!(output_in(&store, "child", "echo fine"), "fine\n");
    docker(&[
        "create",
        "--name",
        &format!("{}-user", root.prefix()),
        &root.image("child"),
        "/bin/true",
    ]);
    let error = store.delete("child").expect_err("used");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert!(store.result("child").expect("a look"));
    docker(&["rm", &format!("{}-user", root.prefix())]);
    assert!(store.delete("child").expect("deleted"));
}

#[test]
fn a_closed_store_answers_that_it_is_closed() {
    let root = Root::new("closed");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    step.run(&sh("true")).expect("a run");
    let path = store.root().to_owned();
    store.close().expect("closed");
    assert_eq!(
        step.run(&sh("true")).expect_err("closed").kind(),
        ErrorKind::Closed
    );
    assert_eq!(step.commit().expect_err("closed").kind(), ErrorKind::Closed);
    // What the step held is removed in the background, or by the next open.
    until("the step's lock is free", || {
        !path.join(".store/builds/one").exists()
    });
    let store = root.open();
    assert_eq!(root.leftovers(), Vec::<String>::new());
    assert!(!store.result("one").expect("a look"));
}

#[test]
fn a_log_folder_removed_under_our_feet_costs_nothing() {
    let root = Root::new("logs");
    let store = root.open_with_base();
    std::fs::remove_dir_all(root.path.join("logs")).expect("removed");
    build(&store, "base", "one", "echo hello");
    assert_eq!(
        std::fs::read_to_string(store.log_file("one").expect("a path")).expect("a log"),
        "hello\n"
    );
    let mut step = begin(&store, "base", "two");
    step.run(&sh("echo x")).expect("a run");
    std::fs::remove_dir_all(root.path.join("logs")).expect("removed");
    step.run(&sh("echo y")).expect("a run");
    step.commit().expect("a commit");
    assert!(store.result("two").expect("a look"));
}

#[test]
fn free_space_is_that_of_the_scarcer_disk() {
    let root = Root::new("df");
    let store = root.open();
    let free = store.df().expect("asked");
    assert!(free.root > 0.0 && free.root <= 100.0);
    // An engine behind a network address is assumed to be on another machine.
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    if !host.is_empty() && !host.starts_with("unix:") {
        assert_eq!((free.engine, free.percent()), (None, free.root));
        return;
    }
    let engine = free.engine.expect("an engine on this machine");
    assert_eq!(free.percent(), free.root.min(engine));
}

#[test]
fn the_first_helpers_of_many_threads_leave_no_image_without_a_name() {
    let root = Root::new("helpers");
    let store = root.open();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let begun = store
                    .begin(None, &format!("empty{n}"), &Limits::none())
                    .expect("begun");
                let Begun::Step(step) = begun else {
                    panic!("present")
                };
                step.commit().expect("a commit");
            });
        }
    });
    let label = format!("docker-store.prefix={}", root.prefix());
    assert_eq!(nameless(&label), Vec::<String>::new());
}

#[test]
fn a_store_opens_while_something_still_runs_on_what_it_would_purge() {
    let root = Root::new("stillused");
    let store = root.open_with_base();
    let p = root.prefix();
    // A container of OBuilder's that its killed store left running, on a tmp volume and with a name of its own.
    let (volume, runs) = (format!("{p}-cache-tmp-0-c-opam"), format!("{p}xrunning"));
    docker(&["volume", "create", &volume]);
    let mount = format!("type=volume,src={volume},dst=/dst");
    let image = root.image("base");
    docker(&[
        "run",
        "-d",
        "--name",
        &runs,
        "--network",
        "none",
        "--mount",
        &mount,
        &image,
        "/bin/sleep",
        "60",
    ]);
    drop(store);
    let store = root.open();
    assert_eq!(store.purge().expect("a purge").volumes, 0);
    assert!(store.result("base").expect("a look"));
    assert_eq!(
        docker(&["ps", "-q", "--filter", &format!("name={runs}")]).len(),
        1
    );
    docker(&["rm", "-f", &runs]);
    assert_eq!(store.purge().expect("a purge").volumes, 1);
}
