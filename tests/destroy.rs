//! Destroying a root: nothing of it is left, in the engine's own listing and on the disk; and nothing of other programs is
//! removed.

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::own_engine::OwnEngine;
use common::{Root, begin, build, child_of, docker, import_base, is_long, sh, spawn};
use docker_store::{
    CacheRequest, Destroy, ErrorKind, Fate, Limits, Options, Remains, RemnantKind, Store,
};

/// Everything that an engine lists under a prefix.
fn on_engine(prefix: &str) -> Vec<String> {
    on_engine_at(prefix, &std::env::var("DOCKER_HOST").unwrap_or_default())
}

fn on_engine_at(prefix: &str, address: &str) -> Vec<String> {
    let host = ["-H", address];
    let docker = |args: &[&str]| match address {
        "" => docker(args),
        _ => docker(&[&host[..], args].concat()),
    };
    let filter = format!("name={prefix}-");
    let mut all = docker(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"]);
    let images = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let of_prefix = |name: &String| {
        name.split('/')
            .any(|part| part.starts_with(&format!("{prefix}-")))
    };
    all.extend(images.into_iter().filter(of_prefix));
    all.extend(docker(&["volume", "ls", "-q", "--filter", &filter]));
    // Images are listed by their creation time in seconds.
    all.sort();
    all
}

fn destroy(root: &Path) -> docker_store::Result<Remains> {
    Store::destroy(root, &Options::new(), &Destroy::new(), &Limits::none())
}

/// Destroys it as soon as it is no longer open: a store that was dropped may still be removing something.
fn destroy_when_free(root: &Path) -> docker_store::Result<Remains> {
    let began = Instant::now();
    loop {
        match destroy(root) {
            Err(e) if e.kind() == ErrorKind::Busy && began.elapsed() < Duration::from_secs(30) => {
                std::thread::sleep(Duration::from_millis(20));
            }
            done => return done,
        }
    }
}

fn release(store: &Store, base: &str, name: &str) {
    let lease = store.cache(name, &CacheRequest::new()).expect("a lease");
    let mut step = begin(store, base, "uses-a-cache");
    let mut command = sh("echo x >/c/$RANDOM");
    command.lease(&lease, "/c");
    step.run(&command).expect("a run");
    step.abort().expect("aborted");
    lease.release().expect("released");
}

/// Some results, a cache, a log, a file of the caller's.
fn fill(store: &Store) {
    import_base(store, "base");
    build(store, "base", "one", "echo 1 >/n");
    build(store, "one", "two", "echo 2 >/n");
    let made = store
        .begin(None, "from-nothing", &Limits::none())
        .expect("begun");
    if let docker_store::Begun::Step(mut step) = made {
        let tar = common::tar_of("x", b"x");
        step.copy_in("/", &mut tar.as_slice()).expect("copied");
        step.commit().expect("a commit");
    }
    release(store, "base", "cache");
    std::fs::write(store.state_dir().join("db"), "mine").expect("a file");
}

#[test]
fn nothing_of_a_root_is_left_and_nothing_of_anybody_elses_is_gone() {
    let (root, other) = (Root::new("given-up"), Root::new("neighbour"));
    let store = root.open();
    fill(&store);
    let neighbour = other.open();
    fill(&neighbour);
    neighbour.close().expect("closed");
    let before = on_engine(other.prefix());
    let name = format!("example.test/kept{}/app:1", root.prefix());
    store.tag("two", &name, &Limits::none()).expect("tagged");
    let strange = format!("{}x-container-y", root.prefix());
    docker(&["create", "--name", &strange, &other.image("base"), "true"]);
    store.close().expect("closed");

    let dry = Store::destroy(
        &root.path,
        &Options::new(),
        Destroy::new().dry_run(true),
        &Limits::none(),
    );
    let dry = dry.expect("a look");
    assert!(
        dry.things.iter().all(|thing| thing.fate == Fate::Found),
        "{dry:?}"
    );
    let named = |remains: &Remains, kind| -> Vec<String> {
        let things = remains.things.iter().filter(|thing| thing.kind == kind);
        things.map(|thing| thing.name.clone()).collect()
    };
    let mut seen = on_engine(root.prefix());
    let images = named(&dry, RemnantKind::Image);
    seen.retain(|name| {
        let is = |thing: &String| {
            thing == name
                || thing.ends_with(&format!("/{name}"))
                || format!("{thing}:latest") == *name
        };
        !images.iter().any(is)
            && !named(&dry, RemnantKind::Volume).contains(name)
            && !name.contains("x-container-y")
            && !name.contains("example.test")
    });
    assert!(seen.is_empty(), "a dry run tells all of it: {seen:?}");
    assert!(root.path.join("state/db").exists());

    let done = destroy_when_free(&root.path).expect("given up");
    assert!(!done.is_any_kept(), "{done:?}");
    assert!(!root.path.exists());
    let mut left = on_engine(root.prefix());
    left.retain(|left| *left != strange && *left != name);
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(on_engine(other.prefix()), before);
    assert_eq!(
        docker(&["images", "-q", &name]).len(),
        1,
        "the caller's own name stays"
    );
    docker(&["rmi", &name]);
    docker(&["rm", &strange]);
    let again = destroy(&root.path).expect_err("gone");
    assert_eq!(again.kind(), ErrorKind::NotFound);
}

#[test]
fn a_root_in_use_or_that_is_none_is_left_as_it_is() {
    let root = Root::new("in-use");
    let store = root.open_with_base();
    let busy = destroy(&root.path).expect_err("it is open");
    assert_eq!(busy.kind(), ErrorKind::Busy, "{busy}");
    assert!(store.result("base").expect("a look"));
    drop(store);
    // A directory of another program.
    let folder = root.path.join("somebody");
    std::fs::create_dir_all(folder.join("state")).expect("a folder");
    std::fs::write(folder.join("state/x"), "precious").expect("a file");
    let none = destroy(&folder).expect_err("no root");
    assert_eq!(none.kind(), ErrorKind::InvalidArgument, "{none}");
    assert!(folder.join("state/x").exists());
    let none = destroy(&folder.join("state/x")).expect_err("a file");
    assert_eq!(none.kind(), ErrorKind::InvalidArgument, "{none}");
    // What is not the store's is kept, and reported.
    let done = destroy_when_free(&root.path).expect("given up");
    assert!(done.is_any_kept());
    assert!(folder.join("state/x").exists() && !root.path.join(".store").exists());
    assert!(on_engine(root.prefix()).is_empty());
}

#[test]
fn a_copy_that_is_given_up_takes_nothing_of_the_original_along() {
    let root = Root::new("original");
    let store = root.open();
    fill(&store);
    store.close().expect("closed");
    let before = on_engine(root.prefix());
    let copy = root.path.with_extension("copy");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([&root.path, &copy])
        .status();
    assert!(copied.expect("cp").success());
    let done = destroy(&copy).expect("given up");
    assert!(!done.is_any_kept(), "{done:?}");
    assert!(!copy.exists());
    assert_eq!(on_engine(root.prefix()), before);
    let store = root.open();
    assert!(store.result("two").expect("a look"));
    assert_eq!(store.caches().expect("a list").len(), 1);
}

#[test]
fn what_somebody_uses_is_kept_with_its_reason_and_goes_the_next_time() {
    let root = Root::new("used");
    let store = root.open();
    fill(&store);
    store.close().expect("closed");
    // A running container also keeps the name of its image.
    let user = format!("user-of-{}", root.prefix());
    docker(&[
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        &user,
        &root.image("two"),
        "/bin/sleep",
        "600",
    ]);
    let done = destroy(&root.path).expect("tried");
    let kept: Vec<_> = done
        .things
        .iter()
        .filter(|thing| matches!(thing.fate, Fate::Kept(_)))
        .collect();
    assert!(
        kept.iter().any(|thing| thing.name.contains("-image-two")),
        "{kept:?}"
    );
    assert!(
        kept.iter().any(|thing| thing.name.ends_with("-store")),
        "the claim tells whose it is: {kept:?}"
    );
    assert!(root.path.join(".store/identity").exists());
    docker(&["rm", "-f", &user]);
    let done = destroy_when_free(&root.path).expect("given up");
    assert!(!done.is_any_kept(), "{done:?}");
    assert!(!root.path.exists() && on_engine(root.prefix()).is_empty());
}

#[test]
fn killed_at_any_moment_the_next_one_finishes_the_work() {
    if let Some(root) = child_of("killed_at_any_moment_the_next_one_finishes_the_work") {
        let _ = destroy_when_free(&root);
        return;
    }
    let long = is_long();
    let root = Root::new("killed");
    // How long a complete destruction takes here.
    let store = root.open();
    fill(&store);
    drop(store);
    let began = Instant::now();
    spawn(
        "killed_at_any_moment_the_next_one_finishes_the_work",
        &root,
        "",
    )
    .pass();
    let whole = began.elapsed();
    assert!(!root.path.exists() && on_engine(root.prefix()).is_empty());
    let rounds = if long { 40 } else { 3 };
    for round in 0..rounds {
        let store = root.open();
        fill(&store);
        drop(store);
        // Several in a row may be killed.
        for part in 0..=round % 2 {
            let child = spawn(
                "killed_at_any_moment_the_next_one_finishes_the_work",
                &root,
                "",
            );
            let moment = f64::from(round * 7 % 10 + 1) / 10.0;
            std::thread::sleep(whole.mul_f64(moment / f64::from(part + 1)));
            child.kill();
        }
        if root.path.exists() {
            // The kernel releases the lock of a killed process with a short delay.
            let done = destroy_when_free(&root.path).expect("the next one");
            assert!(!done.is_any_kept(), "{done:?}");
        }
        assert!(!root.path.exists(), "round {round}");
        let left = on_engine(root.prefix());
        assert!(left.is_empty(), "round {round}: {left:?}");
    }
}

#[test]
fn what_a_root_left_whose_directory_is_gone_is_found_by_its_identity() {
    let (root, other) = (Root::new("gone"), Root::new("stays"));
    let store = root.open();
    fill(&store);
    // A store that is only dropped may still be writing when its directory is removed.
    store.close().expect("closed");
    import_base(&other.open(), "base");
    let before = (on_engine(root.prefix()), on_engine(other.prefix()));
    let no = Limits::none();
    let all =
        |identity: Option<&str>| Store::remains(&Options::new(), identity, &no).expect("a look");
    let of_root = |remains: &Remains| {
        let ours = remains
            .things
            .iter()
            .find(|thing| thing.name.ends_with(&format!("{}-store", root.prefix())));
        ours.expect("its claim").clone()
    };
    let claim = of_root(&all(None));
    assert_eq!(claim.root.as_deref(), root.path.to_str());
    let identity = claim.identity;
    // While it exists, it must be destroyed by its path.
    let there = Store::destroy_remains(&Options::new(), &identity, &no).expect_err("it is there");
    assert_eq!(there.kind(), ErrorKind::Conflict, "{there}");
    std::fs::remove_dir_all(&root.path).expect("removed");
    // A running container may be in use.
    let runs = format!("{}-container-x", root.prefix());
    docker(&[
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        &runs,
        &root.image("one"),
        "/bin/sleep",
        "600",
    ]);
    let busy = Store::destroy_remains(&Options::new(), &identity, &no).expect_err("it runs");
    assert_eq!(busy.kind(), ErrorKind::Busy, "{busy}");
    docker(&["rm", "-f", &runs]);
    let found = all(Some(&identity));
    assert_eq!(found.things.len(), before.0.len(), "{found:?}\n{before:?}");
    // A prune of volumes removes the claim.
    docker(&["volume", "rm", &format!("{}-store", root.prefix())]);
    assert!(
        Store::destroy_remains(&Options::new(), "0123", &no)
            .expect("nobody")
            .things
            .is_empty()
    );
    let done = Store::destroy_remains(&Options::new(), &identity, &no).expect("given up");
    assert!(!done.is_any_kept(), "{done:?}");
    assert!(on_engine(root.prefix()).is_empty());
    assert_eq!(on_engine(other.prefix()), before.1);
    assert!(all(Some(&identity)).things.is_empty());
}

#[test]
fn a_root_that_was_used_with_two_engines_is_given_up_on_both_or_not_at_all() {
    let Some(engine) = OwnEngine::start() else {
        return;
    };
    let root = Root::new("two-engines");
    let store = root.open_with_base();
    drop(store);
    let there = engine.address();
    let mut second = Options::new();
    second.engine(&there);
    let store = root.open_with(&second);
    import_base(&store, "base");
    let prefix = store.prefix().to_owned();
    drop(store);
    engine.stop();
    let before = on_engine(root.prefix());
    let refused = destroy_when_free(&root.path).expect_err("one cannot be asked");
    assert_eq!(refused.kind(), ErrorKind::Unreachable, "{refused}");
    assert_eq!(on_engine(root.prefix()), before, "nothing was removed");
    engine.start_again();
    let done = destroy_when_free(&root.path).expect("given up");
    assert!(!done.is_any_kept(), "{done:?}");
    assert!(!root.path.exists());
    assert!(on_engine(root.prefix()).is_empty() && on_engine_at(&prefix, &there).is_empty());
    // And once more, while the other is abandoned.
    root.open().close().expect("closed");
    root.open_with(&second).close().expect("closed");
    engine.stop();
    let done = Store::destroy(
        &root.path,
        &Options::new(),
        Destroy::new().abandon(true),
        &Limits::none(),
    );
    let done = done.expect("given up");
    let kept: Vec<_> = done
        .things
        .iter()
        .filter(|thing| matches!(thing.fate, Fate::Kept(_)))
        .collect();
    assert!(
        kept.len() == 1 && kept[0].kind == RemnantKind::Engine,
        "{kept:?}"
    );
    assert!(!root.path.exists() && on_engine(root.prefix()).is_empty());
    engine.start_again();
    let left = Store::remains(&second, Some(&kept[0].identity), &Limits::none()).expect("a look");
    assert!(!left.things.is_empty());
    let done =
        Store::destroy_remains(&second, &kept[0].identity, &Limits::none()).expect("given up");
    assert!(!done.is_any_kept() && on_engine_at(&prefix, &there).is_empty());
}

#[test]
fn a_store_that_is_opened_meanwhile_is_either_refused_for_or_begins_anew() {
    let root = Root::new("raced");
    for _ in 0..6 {
        drop(root.open());
        std::thread::scope(|scope| {
            let opener = scope.spawn(|| Store::open(&root.path, &Options::new()));
            std::thread::sleep(Duration::from_millis(3));
            let done = destroy(&root.path);
            let opened = opener.join().expect("no panic");
            let store = opened.expect("an open comes before or after");
            match done {
                Ok(_) => {}
                Err(e) => assert_eq!(e.kind(), ErrorKind::Busy, "{e}"),
            }
            // Whichever came first, the store is intact.
            import_base(&store, "base");
            assert!(store.result("base").expect("a look"));
        });
        let done = destroy_when_free(&root.path).expect("given up");
        assert!(!done.is_any_kept(), "{done:?}");
    }
}
