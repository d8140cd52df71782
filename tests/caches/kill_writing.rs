//! If a process is killed while containers write to its leases, nothing that was released is lost, other holders of a shared
//! lease are not affected, and the listing afterwards is a complete version.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use docker_store::{CacheMode, CacheRequest, Command, ErrorKind, Lease, Released, Store};

use crate::common::{begin, import_base};

use super::changes::{self, Numbers};
use super::children::{Journal, Orders, start};
use super::ground::{Root, View, Way, address, here, lease, settle};
use super::kill::check_seen;
use super::snapshot::{self, Tree};
use crate::common::amount;

const CACHE: &str = "a";

/// Makes a directory contain the version `V`, whatever it contained before: names come and go in directories that are kept, and
/// directories are replaced by others of the same name.
const VERSION: &str = r#"
set -e; umask 022; mkdir -p kept link
rm -rf d0 d1 d2 type kept/* link/*
echo $V >v; echo $V >.w; mv .w w; echo $V >kept/$((V % 7)); echo $V >kept/$((V % 5))-more
for k in 0 1 2; do
    if [ $(((V + k) % 3)) != 0 ]; then mkdir -p d$k/in; echo $V $k >d$k/$(((V + k) % 4)); echo $V >d$k/in/$((V % 3)); fi
done
echo $V >link/a; ln link/a link/b; ln -s $V link/soft
case $((V % 3)) in 0) echo file >type;; 1) mkdir -p type/in/er;; 2) mkfifo type;; esac
chmod $((710 + V % 8)) kept; chown $((V % 100)):7 link
"#;

/// Runs the script of a version in a container that has the lease, in the directory `folder` of it.
fn run_version(store: &Store, id: &str, lease: &Lease, folder: &str, version: usize) {
    let mut step = begin(store, "base", id);
    let script = format!("mkdir -p {folder}; cd {folder}; V={version}; {VERSION}");
    let mut command = Command::new(["/bin/sh", "-c", &script]);
    step.run(command.lease(lease, "/cache").cwd("/cache"))
        .expect("a run");
    step.abort().expect("aborted");
}

/// The listing of the version, created by a local shell in an empty directory.
fn plain(root: &Path, version: usize) -> Tree {
    let place = root.with_extension("plain");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir(&place).expect("made");
    changes::run("sh", &place, &["-c", &format!("V={version}; {VERSION}")]).expect("run");
    let tree = listed(&place);
    fs::remove_dir_all(&place).expect("removed");
    tree
}

/// The listing; times are those of the containers, and the root is the lease's.
fn listed(place: &Path) -> Tree {
    let mut tree = snapshot::of(place);
    tree.remove(Path::new(""));
    tree.values_mut().for_each(|item| item.mtime = (0, 0));
    tree
}

/// The version in the cache, which must be complete.
fn version_listed(root: &Path, place: &Path) -> Option<String> {
    let found = listed(place);
    if found.is_empty() {
        return None;
    }
    let text = fs::read_to_string(place.join("v")).expect("a version");
    let version: usize = text.trim().parse().expect("a number");
    snapshot::assert_same(&plain(root, version), &found, &format!("version {version}"));
    Some(version.to_string())
}

/// A child: containers write versions, over and over, into private leases and into ones that can be shared.
#[test]
fn child_with_containers() {
    let Some(orders) = Orders::given() else {
        return;
    };
    let journal = Journal::append(&orders.root);
    let store = orders.open();
    import_base(&store, "base");
    journal.line("open");
    for n in 0.. {
        let version = orders.number * 1000 + n;
        let mut request = CacheRequest::new();
        request.mode([CacheMode::Private, CacheMode::Shared][n % 2]);
        let lease = store.cache(CACHE, &request).expect("a lease");
        run_version(&store, &format!("step-{version}"), &lease, ".", version);
        journal.line(&format!("begin {version}"));
        lease.release().expect("released");
        journal.line(&format!("done {version}"));
    }
}

fn released(root: &Root) -> usize {
    let lines = Journal::read(&root.path);
    lines.iter().filter(|line| line[0] == "done").count()
}

/// Waits for a line of a child.
fn wait_for(root: &Root, word: &str, count: usize, child: &mut std::process::Child) {
    let began = Instant::now();
    let lines = || {
        Journal::read(&root.path)
            .iter()
            .filter(|line| line[0] == word)
            .count()
    };
    while lines() < count {
        assert!(
            child.try_wait().expect("a state").is_none(),
            "the child ended"
        );
        assert!(began.elapsed() < Duration::from_secs(60), "the child hangs");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn killed_while_its_containers_write_a_process_loses_nothing_and_leaves_nothing() {
    let kills = amount(8, 160);
    let roots = Way::ALL.map(|way| (way, Root::new("kill-writing")));
    let mut random = Numbers(0x2545_f491_4f6c_dd1d);
    let mut opened = [0; 4];
    for kill in 0..kills {
        let at = [1, 0, 1, 1, 3, 1, 0, 2][kill % 8];
        let (way, root) = &roots[at];
        if here([*way]).next().is_none() {
            continue;
        }
        let engine = root.engine(&address());
        let child = "caches::kill_writing::child_with_containers";
        let mut child = start(child, &root.path, *way, kill + 1, Some(&engine));
        opened[at] += 1;
        wait_for(root, "open", opened[at], &mut child);
        // In its first generation, or in one of the next ones.
        let done = released(root);
        wait_for(root, "done", done + random.below(3) as usize, &mut child);
        thread::sleep(Duration::from_millis(random.below(1000)));
        child.kill().expect("killed");
        child.wait().expect("ended");
        let when = format!("{way:?}, kill {kill}");
        check_seen(root, *way, &when, |place| version_listed(&root.path, place));
    }
    let released: usize = roots.iter().map(|(_, root)| released(root)).sum();
    println!("{kills} kills, {released} releases before them");
}

/// A child: joins a shared lease, and has containers write to a directory of its own there.
#[test]
fn child_that_shares() {
    let Some(orders) = Orders::given() else {
        return;
    };
    let journal = Journal::append(&orders.root);
    let store = orders.open();
    let mut request = CacheRequest::new();
    let lease = store
        .cache(CACHE, request.mode(CacheMode::Shared))
        .expect("a lease");
    journal.line("joined");
    for n in 0.. {
        run_version(
            &store,
            &format!("theirs-{}-{n}", orders.number),
            &lease,
            "theirs",
            n,
        );
    }
}

#[test]
fn a_killed_holder_of_a_shared_lease_takes_nothing_along() {
    let mut random = Numbers(0x1234_5678_9abc_def1);
    for way in [Way::ALL[1], Way::ALL[0]] {
        let root = Root::new("kill-sharing");
        let store = root.open(way);
        import_base(&store, "base");
        for kill in 0..amount(2, 30) {
            let mut request = CacheRequest::new();
            let held = store
                .cache(CACHE, request.mode(CacheMode::Shared))
                .expect("a lease");
            let child = "caches::kill_writing::child_that_shares";
            let mut child = start(child, &root.path, way, kill, Some(&address()));
            wait_for(&root, "joined", kill + 1, &mut child);
            run_version(&store, &format!("ours-{kill}"), &held, "ours", kill);
            thread::sleep(Duration::from_millis(random.below(600)));
            child.kill().expect("killed");
            child.wait().expect("ended");
            // Its container may still write: until it is gone, the lease is busy.
            let began = Instant::now();
            let released = loop {
                store.purge().expect("purged");
                match held.release() {
                    Err(e)
                        if e.kind() == ErrorKind::Busy
                            && began.elapsed() < Duration::from_secs(20) =>
                    {
                        thread::sleep(Duration::from_millis(50));
                    }
                    released => break released.expect("released"),
                }
            };
            assert_eq!(released, Released::Won(kill as u64 + 1));
            settle(&store);
            let newest = lease(&store, CACHE);
            let view = View::of(&newest);
            let ours: PathBuf = view.path.join("ours");
            snapshot::assert_same(
                &plain(&root.path, kill),
                &listed(&ours),
                &format!("{way:?}, kill {kill}"),
            );
            // Theirs was interrupted; but what is listed there exists.
            listed(&view.path);
        }
        store.purge().expect("purged");
        settle(&store);
        let layers = store.caches().expect("a listing")[0].layers;
        assert_eq!(root.left().len(), layers, "{:?}", root.left());
    }
}
