//! The ownership of objects on the engine: two stores never affect each other, whatever their paths and names. A root that is
//! moved stays the same, one that is copied becomes another, and what is not this root's is never removed.

mod common;

#[path = "caches/ground.rs"]
#[allow(dead_code, unreachable_pub)]
mod ground;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use common::own_engine::OwnEngine;
use common::patience::{Watch, ended};
use common::{begin, build, child_of, docker, import_base, output_in, role, sh, until};
use docker_store::{CacheRequest, ErrorKind, Options, Released, Store};
use ground::{View, Way, change, lease, newest, settle};
use serde_json::json;
use sha2::{Digest, Sha256};

/// A directory for the roots of a test. The objects of its stores on the engine are removed when it is dropped.
struct Folder {
    path: PathBuf,
    prefixes: RefCell<BTreeSet<String>>,
    _watch: Watch,
}

impl Folder {
    fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "docker-store-identity-{name}-{}-{number}",
            std::process::id()
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder");
        Folder {
            path: fs::canonicalize(path).expect("the folder"),
            prefixes: RefCell::default(),
            _watch: Watch::new(),
        }
    }

    fn open(&self, name: &str, options: &Options) -> Store {
        let store = Store::open(self.path.join(name), options)
            .unwrap_or_else(|e| panic!("no store ({e}); run the tests by `make test`"));
        self.prefixes.borrow_mut().insert(store.prefix().to_owned());
        store
    }

    fn shell(&self, script: &str) {
        let done = Process::new("sh")
            .args(["-ec", script])
            .current_dir(&self.path)
            .status();
        assert!(done.expect("sh runs").success(), "{script}");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for prefix in self.prefixes.borrow().iter() {
            remove_all(prefix);
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Runs a test with each strategy, and with each way to access volumes.
fn in_two_ways(test: impl Fn(Way)) {
    for way in [Way::ALL[1], Way::ALL[2]] {
        println!("-- {way:?}");
        test(way);
    }
}

fn remove_all(prefix: &str) {
    for container in docker(&["ps", "-aq", "--filter", &format!("name={prefix}-")]) {
        docker(&["rm", "-fv", &container]);
    }
    let images = format!("{prefix}-*");
    for image in docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", &images]) {
        docker(&["rmi", "-f", &image]);
    }
    for volume in volumes(prefix) {
        docker(&["volume", "rm", "-f", &volume]);
    }
}

/// What the engine has under a prefix: the claim, layers, leases.
fn volumes(prefix: &str) -> Vec<String> {
    docker(&["volume", "ls", "-q", "--filter", &format!("name={prefix}-")])
}

/// The same, without the claim.
fn parts(store: &Store) -> Vec<String> {
    let claim = format!("{}-store", store.prefix());
    let mut all = volumes(store.prefix());
    all.retain(|name| *name != claim);
    all.sort();
    all
}

/// The prefix that is derived from a path.
fn prefix_of(path: &Path) -> String {
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    let hex: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
    format!("obuilder-{}", &hex[..7])
}

fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// Creates a cache `a` with three generations.
fn three_generations(store: &Store) {
    for name in ["1", "2", "3"] {
        change(store, "a", |view| view.write(name, name));
    }
    settle(store);
}

fn three_files() -> BTreeMap<String, String> {
    files(&[("1", "1"), ("2", "2"), ("3", "3")])
}

/// Runs `test` again as a child that sees the directory `below` in place of `at`, as a container would.
fn start_behind(test: &str, below: &Path, at: &Path, role: &str) -> Child {
    let script =
        "mount --bind \"$1\" \"$2\" && exec \"$3\" --exact \"$4\" --nocapture --test-threads 1";
    Process::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .args([below, at])
        .arg(std::env::current_exe().expect("this program"))
        .arg(test)
        .env("DOCKER_STORE_CHILD", test)
        .env("DOCKER_STORE_CHILD_ROOT", at)
        .env("DOCKER_STORE_CHILD_ROLE", role)
        .stdin(Stdio::null())
        .spawn()
        .expect("unshare runs")
}

fn passes(mut child: Child) {
    let status = ended(&mut child, "a child of the test");
    assert!(status.success(), "the child failed");
}

fn prefix_told(folder: &Folder, name: &str) -> String {
    let told = fs::read_to_string(folder.path.join(name)).expect("a prefix");
    folder.prefixes.borrow_mut().insert(told.clone());
    told
}

/// A common set-up of a CI: containers that mount one engine's socket, each with its own directory at the same path.
#[test]
fn two_stores_at_one_path_of_two_containers_do_each_other_no_harm() {
    const TEST: &str = "two_stores_at_one_path_of_two_containers_do_each_other_no_harm";
    if let Some(root) = child_of(TEST) {
        // The parent directory is the same for both; only the root is not.
        let told = root.parent().expect("a folder").join(role());
        let options = Options::new();
        let store = Store::open(&root, &options).expect("a store");
        fs::write(&told, store.prefix()).expect("written");
        import_base(&store, "base");
        match role().as_str() {
            "first" | "killed" => {
                three_generations(&store);
                let lease = store.cache("a", &CacheRequest::new()).expect("a lease");
                let mut step = begin(&store, "base", "one");
                let script = "echo of the first > /cache/4; echo run; while [ ! -e /cache/go ]; do sleep 0.05; done";
                let runs = told.with_extension("runs");
                step.run_with(sh(script).lease(&lease, "/cache"), &mut |_| {
                    fs::write(&runs, lease.volume()).expect("written");
                    Ok(())
                })
                .expect("a run that nobody ends");
                step.commit().expect("a commit");
                assert!(matches!(
                    lease.release().expect("released"),
                    Released::Won(_)
                ));
                assert_eq!(newest(&store, "a")["4"], "of the first\n");
            }
            _ => {
                assert!(!store.result("one").expect("a look"), "another's result");
                assert_eq!(newest(&store, "a"), files(&[]), "another's cache");
                assert_eq!(store.purge().expect("a purge"), Default::default());
                change(&store, "a", |view| view.write("own", "own"));
                assert!(store.delete_cache("a").expect("deleted"));
                build(&store, "base", "one", "echo of the second > /made");
                assert!(store.delete("one").expect("deleted"));
                settle(&store);
            }
        }
        return;
    }
    let folder = Folder::new("containers");
    for name in ["a", "b", "root"] {
        fs::create_dir(folder.path.join(name)).expect("a directory");
    }
    let at = folder.path.join("root");
    let start = |below: &str, role: &str| start_behind(TEST, &folder.path.join(below), &at, role);
    for role in ["killed", "first"] {
        let mut first = Some(start("a", role));
        let runs = folder.path.join(format!("{role}.runs"));
        until("the first runs its step", || runs.exists());
        let prefix = prefix_told(&folder, role);
        if role == "killed" {
            let mut killed = first.take().expect("a child");
            killed.kill().expect("killed");
            killed.wait().expect("its end");
        }
        let before = volumes(&prefix);
        passes(start("b", "second"));
        assert_ne!(prefix_told(&folder, "second"), prefix);
        assert_eq!(volumes(&prefix), before, "the first one's volumes ({role})");
        let container = format!("{prefix}-container-one");
        let state = docker(&["inspect", "--format", "{{.State.Running}}", &container]);
        assert_eq!(state, ["true"], "the first one's step runs on ({role})");
        docker(&["exec", &container, "touch", "/cache/go"]);
        // The leftovers of the killed one are removed by its own next open, and by no other.
        if let Some(first) = first {
            passes(first);
        }
    }
}

#[test]
fn two_paths_whose_names_clash_are_two_stores() {
    let folder = Folder::new("clash");
    // Some thousand tries find two that agree in 28 bits.
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let (one, two) = (0..)
        .find_map(|n| {
            let name = format!("r{n}");
            let prefix = prefix_of(&folder.path.join(&name));
            seen.insert(prefix, name.clone()).map(|other| (other, name))
        })
        .expect("two that clash");
    let (first, second) = (
        folder.open(&one, &Options::new()),
        folder.open(&two, &Options::new()),
    );
    assert_eq!(first.prefix(), prefix_of(&folder.path.join(&one)));
    assert_ne!(first.prefix(), second.prefix());
    import_base(&first, "base");
    build(&first, "base", "one", "true");
    three_generations(&first);
    let held = lease(&first, "a");
    View::of(&held).write("4", "4");
    assert!(!second.result("one").expect("a look"));
    assert!(second.results().expect("a list").is_empty());
    second.purge().expect("a purge");
    change(&second, "a", |view| view.write("x", "x"));
    assert!(second.delete_cache("a").expect("deleted"));
    settle(&second);
    // And again, as they are recorded in their roots.
    let again = folder.open(&two, &Options::new());
    assert_eq!(again.prefix(), second.prefix());
    assert_eq!(held.release().expect("released"), Released::Won(4));
    assert_eq!(newest(&first, "a").len(), 4);
    assert!(first.result("one").expect("a look"));
}

#[test]
fn a_copied_root_is_a_store_of_its_own_and_takes_nothing_from_the_original() {
    in_two_ways(|way| {
        let folder = Folder::new("copy");
        let original = folder.open("root", &way.options());
        import_base(&original, "base");
        three_generations(&original);
        let held = lease(&original, "a");
        View::of(&held).write("4", "4");
        let before = parts(&original);
        folder.shell("cp -a root copy");
        let copy = folder.open("copy", &way.options());
        assert_ne!(copy.prefix(), original.prefix());
        assert!(!copy.result("base").expect("a look"));
        assert_eq!(newest(&copy, "a"), files(&[]));
        change(&copy, "a", |view| view.write("x", "x"));
        assert!(copy.delete_cache("a").expect("deleted"));
        copy.purge().expect("a purge");
        settle(&copy);
        assert_eq!(parts(&original), before);
        assert_eq!(held.release().expect("released"), Released::Won(4));
        drop((copy, original));
        // Each keeps its identity from now on.
        let original = folder.open("root", &way.options());
        assert_eq!(newest(&original, "a").len(), 4);
        folder.open("copy", &way.options());
        assert_eq!(folder.prefixes.borrow().len(), 2);
    });
}

#[test]
fn a_moved_root_works_on_and_a_new_one_at_its_old_path_leaves_it_alone() {
    in_two_ways(|way| {
        let folder = Folder::new("move");
        let store = folder.open("root", &way.options());
        let prefix = store.prefix().to_owned();
        import_base(&store, "base");
        three_generations(&store);
        drop(store);
        folder.shell("mv root elsewhere");
        let new = folder.open("root", &way.options());
        assert_eq!(newest(&new, "a"), files(&[]));
        new.purge().expect("a purge");
        let moved = folder.open("elsewhere", &way.options());
        assert_eq!(moved.prefix(), prefix);
        assert_ne!(new.prefix(), prefix);
        assert!(moved.result("base").expect("a look"));
        assert_eq!(newest(&moved, "a"), three_files());
        // Through several compactions.
        for n in 4..if way.direct { 40 } else { 6 } {
            let released = change(&moved, "a", |view| view.write("n", &n.to_string()));
            assert_eq!(released, Released::Won(n));
        }
        settle(&moved);
        assert!(newest(&moved, "a")["n"].parse::<u32>().is_ok_and(|n| n > 4));
    });
}

/// Each pair of commands leaves one directory that is the root and one that is its copy, and says which is opened first.
#[test]
fn however_a_root_is_copied_and_renamed_the_copy_takes_nothing_from_the_original() {
    let way = Way::ALL[1];
    for (script, copy, original, copy_first) in [
        ("cp -a root b; mv root c", "b", "c", true),
        ("cp -a root b; mv root c", "b", "c", false),
        ("mv root b; cp -a b c", "c", "b", true),
        ("cp -a root b; mv root c; mv b root", "root", "c", true),
        ("cp -al root b; mv root c", "b", "c", true),
    ] {
        let folder = Folder::new("renamed");
        let store = folder.open("root", &way.options());
        let prefix = store.prefix().to_owned();
        import_base(&store, "base");
        three_generations(&store);
        drop(store);
        folder.shell(script);
        let first = copy_first.then(|| folder.open(copy, &way.options()));
        let kept = folder.open(original, &way.options());
        let copied = first.unwrap_or_else(|| folder.open(copy, &way.options()));
        assert_eq!(kept.prefix(), prefix, "{script}");
        assert_ne!(copied.prefix(), prefix, "{script}");
        assert!(!copied.delete("base").expect("a look"));
        assert!(!copied.delete_cache("a").expect("a look"));
        copied.purge().expect("a purge");
        assert_eq!(newest(&kept, "a"), three_files(), "{script}");
        assert!(kept.result("base").expect("a look"));
    }
}

/// A block image of a file system, mounted twice: its directories have the same numbers and times.
#[test]
fn a_snapshot_of_a_roots_disk_is_a_copy() {
    let folder = Folder::new("snapshot");
    let mount = |image: &str, at: &str| {
        let script = format!("mkdir -p {at} && mount -o loop {image} {at}");
        let mut shell = Process::new("sh");
        let done = shell
            .args(["-ec", &script])
            .current_dir(&folder.path)
            .status();
        done.expect("sh runs")
            .success()
            .then(|| Mount(folder.path.join(at)))
    };
    folder.shell("truncate -s 16M one && mkfs.ext4 -q one");
    let Some(_first) = mount("one", "first") else {
        println!("there are no loop devices: not tried");
        return;
    };
    let store = folder.open("first/root", &Way::ALL[1].options());
    three_generations(&store);
    let held = lease(&store, "a");
    View::of(&held).write("4", "4");
    folder.shell("sync && cp one two");
    let _second = mount("two", "second").expect("a second mount");
    let copy = folder.open("second/root", &Way::ALL[1].options());
    assert_ne!(copy.prefix(), store.prefix());
    copy.purge().expect("a purge");
    assert!(!copy.delete_cache("a").expect("a look"));
    assert_eq!(held.release().expect("released"), Released::Won(4));
    assert_eq!(newest(&store, "a").len(), 4);
}

/// A mount that ends with the test, though a worker may still have a file there open.
struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Process::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_prefix_whose_claim_was_pruned_is_not_taken_by_another_root() {
    let folder = Folder::new("pruned");
    let store = folder.open("root", &Options::new());
    let prefix = store.prefix().to_owned();
    import_base(&store, "base");
    drop(store);
    folder.shell("mv root elsewhere");
    let claim = format!("{prefix}-store");
    docker(&["volume", "rm", &claim]);
    // Now there is no volume under the prefix.
    let new = folder.open("root", &Options::new());
    assert_ne!(new.prefix(), prefix);
    assert!(!new.delete("base").expect("a look"));
    let moved = folder.open("elsewhere", &Options::new());
    assert_eq!(moved.prefix(), prefix);
    assert!(moved.result("base").expect("a look"));
    // Another program created a volume of that name: another prefix is then used permanently, without further errors.
    drop(moved);
    docker(&["volume", "rm", &claim]);
    docker(&["volume", "create", &claim]);
    let other = folder
        .open("elsewhere", &Options::new())
        .prefix()
        .to_owned();
    assert_ne!(other, prefix);
    assert_eq!(folder.open("elsewhere", &Options::new()).prefix(), other);
    assert_eq!(
        docker(&["volume", "ls", "-q", "--filter", &format!("name=^{claim}$")]),
        [claim]
    );
}

#[test]
fn a_handle_whose_root_has_become_another_store_says_so_and_takes_nothing_from_that() {
    let way = Way::ALL[1];
    for script in [
        "rm -r root",
        "mv root old; cp -a old root",
        "rm -r root/.store",
    ] {
        let folder = Folder::new("replaced");
        let old = folder.open("root", &way.options());
        import_base(&old, "base");
        three_generations(&old);
        let held = lease(&old, "a");
        View::of(&held).write("4", "4");
        folder.shell(script);
        let new = folder.open("root", &way.options());
        three_generations(&new);
        let is_refused = |error: docker_store::Error| {
            assert_eq!(error.kind(), ErrorKind::Conflict, "{script}: {error}");
        };
        is_refused(
            old.cache("a", &CacheRequest::new())
                .expect_err("another store"),
        );
        is_refused(old.delete_cache("a").expect_err("another store"));
        is_refused(old.purge().expect_err("another store"));
        is_refused(held.release().expect_err("another store"));
        is_refused(
            old.begin(Some("base"), "one", &docker_store::Limits::none())
                .expect_err("another store"),
        );
        assert_eq!(newest(&new, "a"), three_files(), "{script}");
    }
}

#[test]
fn a_live_step_whose_lock_file_was_cleaned_up_is_spared_and_a_lease_whose_record_was_is_released() {
    let folder = Folder::new("locks");
    let store = folder.open("root", &Options::new());
    import_base(&store, "base");
    let mut step = begin(&store, "base", "one");
    step.run(&sh("echo made > /made")).expect("a run");
    let held = lease(&store, "a");
    View::of(&held).write("1", "1");
    folder.shell("rm root/.store/builds/* root/.store/listed root/.store/caches/*/leases/*");
    let other = folder.open("root", &Options::new());
    other.purge().expect("a purge");
    step.commit().expect("a commit");
    assert_eq!(output_in(&other, "one", "cat /made"), "made\n");
    assert_eq!(held.release().expect("released"), Released::Won(1));
    assert_eq!(newest(&other, "a"), files(&[("1", "1")]));
}

#[test]
fn a_root_that_was_moved_to_another_file_system_works_on() {
    let other = Path::new("/dev/shm");
    if !other.is_dir() {
        println!("there is no /dev/shm to move to: not tried");
        return;
    }
    let folder = Folder::new("filesystem");
    let store = folder.open("root", &Options::new());
    three_generations(&store);
    let prefix = store.prefix().to_owned();
    drop(store);
    let name = format!("docker-store-identity-{}", std::process::id());
    folder.shell(&format!("mv root {}", other.join(&name).display()));
    let store = Store::open(other.join(&name), &Options::new()).expect("a store");
    assert_eq!(store.prefix(), prefix);
    assert_eq!(newest(&store, "a"), three_files());
    // A store that is only dropped may still be writing.
    store.close().expect("closed");
    fs::remove_dir_all(other.join(&name)).expect("removed");
}

/// One address that leads to different engines at different times.
struct Switch {
    address: String,
    shared: Arc<Mutex<Behind>>,
}

#[derive(Default)]
struct Behind {
    target: String,
    open: Vec<UnixStream>,
}

impl Switch {
    fn at(socket: &Path) -> Self {
        let shared: Arc<Mutex<Behind>> = Arc::default();
        let listener = UnixListener::bind(socket).expect("a socket");
        let behind = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a connection");
                let mut behind = behind.lock().expect("nobody panicked");
                let engine = UnixStream::connect(&behind.target).expect("an engine");
                let copy = |stream: &UnixStream| stream.try_clone().expect("a descriptor");
                for (mut from, mut to) in [
                    (copy(&client), copy(&engine)),
                    (copy(&engine), copy(&client)),
                ] {
                    thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
                behind.open.extend([client, engine]);
            }
        });
        Switch {
            address: format!("unix://{}", socket.display()),
            shared,
        }
    }

    /// Connects it to the engine at `address`. Connections to the previous one end.
    fn to(&self, address: &str) {
        let mut behind = self.shared.lock().expect("nobody panicked");
        behind.target = address.trim_start_matches("unix://").to_owned();
        for stream in behind.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// What a cache contains on the engine at `address`, which is not the tests' own. `write`: one more file.
fn newest_at(
    address: &str,
    store: &Store,
    write: Option<(&str, &str)>,
) -> BTreeMap<String, String> {
    let lease = store.cache("a", &CacheRequest::new()).expect("a lease");
    let inspect = |format: &str| {
        let args = ["-H", address, "volume", "inspect", "--format", format];
        docker(&[&args[..], &[lease.volume()]].concat()).join("")
    };
    let mut path = PathBuf::from(inspect("{{.Mountpoint}}"));
    let options = inspect("{{with .Options}}{{index . \"o\"}}{{end}}");
    let mounted = options.starts_with("lowerdir");
    if mounted {
        path = std::env::temp_dir().join(lease.volume());
        fs::create_dir(&path).expect("a mount point");
        let mount = Process::new("mount")
            .args(["-t", "overlay", "-o", &options, "overlay"])
            .arg(&path)
            .status();
        assert!(mount.expect("mount runs").success());
    }
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(&path).expect("a directory") {
        let entry = entry.expect("an entry");
        let text = fs::read_to_string(entry.path()).expect("read");
        found.insert(entry.file_name().into_string().expect("text"), text);
    }
    if let Some((name, text)) = write {
        fs::write(path.join(name), text).expect("written");
    }
    if mounted {
        assert!(
            Process::new("umount")
                .arg(&path)
                .status()
                .expect("umount runs")
                .success()
        );
        fs::remove_dir(&path).expect("removed");
    }
    match write {
        Some(_) => drop(lease.release().expect("released")),
        None => lease.discard().expect("discarded"),
    }
    found
}

#[test]
fn a_root_that_is_used_with_a_second_engine_keeps_what_it_has_on_the_first() {
    let Some(second) = OwnEngine::start() else {
        return;
    };
    let folder = Folder::new("engines");
    let first = ground::address();
    let switch = Switch::at(&folder.path.join("engine.sock"));
    for way in [Way::ALL[1], Way::ALL[2]] {
        let name = format!("root-{}", way.number());
        let options = |address: &str| {
            let mut options = way.options();
            options.engine(address);
            options
        };
        let store = folder.open(&name, &options(&first));
        three_generations(&store);
        let before = parts(&store);
        drop(store);

        // By another address.
        let other = folder.open(&name, &options(&second.address()));
        assert_eq!(
            newest_at(&second.address(), &other, Some(("x", "of the second"))),
            files(&[])
        );
        settle(&other);
        drop(other);
        let store = folder.open(&name, &options(&first));
        assert_eq!(parts(&store), before);
        assert_eq!(newest(&store, "a"), three_files());
        drop(store);
        let other = folder.open(&name, &options(&second.address()));
        assert_eq!(
            newest_at(&second.address(), &other, None),
            files(&[("x", "of the second")])
        );
        drop(other);

        // By the same address, as with a docker context that is switched; and under an open handle.
        let address = switch.address.clone();
        switch.to(&first);
        let store = folder.open(&name, &options(&address));
        assert_eq!(newest(&store, "a"), three_files());
        let held = lease(&store, "a");
        View::of(&held).write("4", "4");
        switch.to(&second.address());
        let error = store.purge().expect_err("another engine");
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        let leased = store.cache("a", &CacheRequest::new());
        if let Err(error) = &leased {
            assert!(error.message().contains("another engine"), "{error}");
        }
        drop(leased);
        let released = held.release();
        assert!(released.is_err(), "{released:?}");
        let other = folder.open(&name, &options(&address));
        assert_eq!(
            newest_at(&second.address(), &other, None),
            files(&[("x", "of the second")])
        );
        drop(other);
        switch.to(&first);
        assert_eq!(held.release().expect("released"), Released::Won(4));
        assert_eq!(newest(&store, "a").len(), 4);
    }
    // Its own objects are removed with it.
    drop(second);
}

#[test]
fn the_claim_may_be_pruned_and_nothing_is_lost() {
    in_two_ways(|way| {
        let folder = Folder::new("claim");
        let store = folder.open("root", &way.options());
        three_generations(&store);
        let claim = format!("{}-store", store.prefix());
        docker(&["volume", "rm", &claim]);
        assert_eq!(newest(&store, "a"), three_files());
        store.purge().expect("a purge");
        drop(store);
        let store = folder.open("root", &way.options());
        assert_eq!(newest(&store, "a"), three_files());
        assert_eq!(
            docker(&["volume", "ls", "-q", "--filter", &format!("name=^{claim}$")]),
            [claim]
        );
        assert_eq!(folder.prefixes.borrow().len(), 1);
    });
}

#[test]
fn a_volume_that_does_not_carry_the_roots_identity_is_never_removed() {
    in_two_ways(|way| {
        let folder = Folder::new("foreign");
        let store = folder.open("root", &way.options());
        three_generations(&store);
        let held = lease(&store, "a");
        View::of(&held).write("4", "4");
        // Each in turn is removed, and another program creates one of its name.
        let foreign = parts(&store);
        held.discard().expect("discarded");
        settle(&store);
        let mine = "org.example.mine=1";
        for name in &foreign {
            docker(&["volume", "rm", "-f", name]);
            docker(&["volume", "create", "--label", mine, name]);
        }
        assert_eq!(newest(&store, "a"), files(&[]));
        change(&store, "a", |view| view.write("x", "x"));
        assert!(store.delete_cache("a").expect("deleted"));
        store.purge().expect("a purge");
        settle(&store);
        drop(store);
        let store = folder.open("root", &way.options());
        store.purge().expect("a purge");
        let mut left = docker(&["volume", "ls", "-q", "--filter", &format!("label={mine}")]);
        left.retain(|name| name.starts_with(store.prefix()));
        left.sort();
        assert_eq!(left, foreign);
    });
}

#[test]
fn a_live_session_whose_file_was_cleaned_up_keeps_its_lease_and_its_step() {
    in_two_ways(|way| {
        let folder = Folder::new("cleaner");
        let store = folder.open("root", &way.options());
        three_generations(&store);
        let held = lease(&store, "a");
        View::of(&held).write("4", "4");
        folder.shell("rm root/.store/sessions/*");
        for _ in 0..2 {
            let other = folder.open("root", &way.options());
            other.purge().expect("a purge");
        }
        assert_eq!(held.release().expect("released"), Released::Won(4));
        assert_eq!(newest(&store, "a").len(), 4);
    });
}

/// OBuilder deletes its volume and creates it again at each release.
#[test]
fn a_cache_of_an_obuilder_store_is_copied_once_and_never_mixed_with_what_that_makes_of_it() {
    in_two_ways(|way| {
        let folder = Folder::new("obuilder");
        let store = folder.open("root", &way.options());
        let theirs = format!("{}-cache-c-opam", store.prefix());
        let release = |text: &str| {
            docker(&["volume", "rm", &theirs]);
            docker(&["volume", "create", &theirs]);
            let place = docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", &theirs]);
            for name in ["one", "two"] {
                fs::write(Path::new(&place[0]).join(name), text).expect("written");
            }
        };
        release("theirs 1");
        assert_eq!(
            newest(&store, "opam"),
            files(&[("one", "theirs 1"), ("two", "theirs 1")])
        );
        change(&store, "opam", |view| view.write("one", "ours"));
        let both = files(&[("one", "ours"), ("two", "theirs 1")]);
        let held = lease(&store, "opam");
        release("theirs 2");
        assert_eq!(View::of(&held).files(), both);
        held.discard().expect("discarded");
        assert_eq!(newest(&store, "opam"), both);
        store.purge().expect("a purge");
        settle(&store);
        assert_eq!(
            docker(&[
                "volume",
                "ls",
                "-q",
                "--filter",
                &format!("name=^{theirs}$")
            ])
            .len(),
            1
        );
        assert_eq!(newest(&store, "opam"), both);
        // Deleting the cache deletes OBuilder's volume, or the cache would reappear.
        assert!(store.delete_cache("opam").expect("deleted"));
        assert_eq!(newest(&store, "opam"), files(&[]));
    });
}

/// Writes a root as version 0.1.0 left it: heads of format 1, volumes that carry the prefix and no identity.
fn of_version_0_1_0(root: &Path, kind: &str) -> Vec<String> {
    let prefix = prefix_of(root);
    let session = "0123456789abcdef0123";
    let make = |name: String| {
        let label = |name: &str, value: &str| format!("docker-store.{name}={value}");
        docker(&[
            "volume",
            "create",
            "--label",
            &label("prefix", &prefix),
            "--label",
            &label("session", session),
            "--label",
            &label("kind", kind),
            "--label",
            &label("cache", "c-a"),
            &name,
        ]);
        let place = docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", &name]).remove(0);
        (name, place)
    };
    let made: Vec<(String, String)> = match kind {
        "layer" => (1..=3)
            .map(|n| {
                let (name, place) = make(format!("{prefix}-layer-{session}-{n}"));
                fs::create_dir(format!("{place}/upper")).expect("a directory");
                fs::write(format!("{place}/upper/{n}"), n.to_string()).expect("written");
                (name, place)
            })
            .collect(),
        _ => {
            let (name, place) = make(format!("{prefix}-cache-c-a-g3-{session}-1"));
            for n in 1..=3 {
                fs::write(format!("{place}/{n}"), n.to_string()).expect("written");
            }
            vec![(name, place)]
        }
    };
    for folder in [
        "empty",
        "state",
        "logs",
        ".store",
        ".store/sessions",
        ".store/builds",
        ".store/caches",
        ".store/caches/c-a",
        ".store/caches/c-a/leases",
    ] {
        fs::create_dir_all(root.join(folder)).expect("a directory");
    }
    let part_kind = if kind == "layer" { "layer" } else { "whole" };
    let parts: Vec<_> = made
        .iter()
        .map(|(volume, place)| json!({ "volume": volume, "kind": part_kind, "mountpoint": place }))
        .collect();
    let head = json!({
        "format": 1, "name": "61", "generation": 3, "deleted": false, "parts": parts,
        "root": { "mode": 0o755, "mtime": [1_700_000_000, 0] }, "created": 1_700_000_000,
    });
    fs::write(root.join(".store/caches/c-a/head"), head.to_string()).expect("a head");
    for name in ["caches/c-a/lock", "listed"] {
        fs::write(root.join(".store").join(name), "").expect("written");
    }
    made.into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_root_of_version_0_1_0_opens_with_its_caches_and_removes_them_when_they_are_done_with() {
    in_two_ways(|way| {
        for kind in ["layer", "cache"] {
            let folder = Folder::new("old");
            let old = of_version_0_1_0(&folder.path.join("root"), kind);
            let store = folder.open("root", &way.options());
            assert_eq!(store.prefix(), prefix_of(&folder.path.join("root")));
            store.purge().expect("a purge");
            assert_eq!(newest(&store, "a"), three_files());
            assert_eq!(
                change(&store, "a", |view| view.write("4", "4")),
                Released::Won(4)
            );
            drop(store);
            let store = folder.open("root", &way.options());
            assert_eq!(newest(&store, "a").len(), 4);
            assert!(store.delete_cache("a").expect("deleted"));
            settle(&store);
            assert_eq!(parts(&store), Vec::<String>::new(), "of {old:?}");
        }
    });
}

#[test]
fn a_root_of_version_0_1_0_that_was_copied_or_moved_keeps_its_caches_and_takes_nothing() {
    in_two_ways(|way| {
        let folder = Folder::new("old-copy");
        let old = of_version_0_1_0(&folder.path.join("root"), "layer");
        folder.shell("cp -a root copy");
        let copy = folder.open("copy", &way.options());
        assert_eq!(newest(&copy, "a"), three_files());
        change(&copy, "a", |view| view.write("4", "of the copy"));
        assert!(copy.delete_cache("a").expect("deleted"));
        copy.purge().expect("a purge");
        settle(&copy);
        let store = folder.open("root", &way.options());
        assert_eq!(newest(&store, "a"), three_files());
        let there = parts(&store);
        assert!(old.iter().all(|name| there.contains(name)), "{there:?}");
    });
}

#[test]
fn a_container_that_this_root_did_not_start_is_left_to_run() {
    let folder = Folder::new("running");
    let store = folder.open("root", &Options::new());
    import_base(&store, "base");
    let name = format!("{}-container-theirs", store.prefix());
    let image = format!("{}-image-base", store.prefix());
    let tag = format!("{}-image-tmp-theirs", store.prefix());
    docker(&["tag", &image, &tag]);
    docker(&[
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        &name,
        &image,
        "/bin/sh",
        "-c",
        "sleep 60",
    ]);
    store.purge().expect("a purge");
    drop(store);
    let store = folder.open("root", &Options::new());
    store.purge().expect("a purge");
    let running = docker(&["inspect", "--format", "{{.State.Running}}", &name]);
    assert_eq!(
        (running, docker(&["images", "-q", &tag]).len()),
        (vec![String::from("true")], 1)
    );
    docker(&["kill", &name]);
    let purged = store.purge().expect("a purge");
    assert_eq!((purged.containers, purged.images), (1, 1));
    assert_eq!(output_in(&store, "base", "echo fine"), "fine\n");
}
