//! A process that is killed at any time loses nothing that it has released, and leaves nothing that a later open does not
//! remove.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use docker_store::Store;
use rustix::process::{Pid, Signal, kill_process};

use super::children::{Journal, Orders, place_to_write, start, version_in, write_version};
use super::ground::{Root, View, Way, address, here, lease, settle};
use crate::common::amount;
use crate::common::patience::ended;
use crate::common::proxy::{Act, Proxy};
use crate::common::some_calls;

const CACHE: &str = "a";

/// Releases the version `version`, and records that before and after.
fn release(store: &Store, journal: &Journal, version: usize) {
    let lease = lease(store, CACHE);
    write_version(&place_to_write(&lease), &version.to_string());
    journal.line(&format!("begin {version}"));
    lease.release().expect("released");
    journal.line(&format!("done {version}"));
}

fn delete(store: &Store, journal: &Journal) {
    journal.line("begin empty");
    store.delete_cache(CACHE).expect("deleted");
    journal.line("done empty");
}

/// A child: everything that can happen to a cache, once.
#[test]
fn child_once() {
    let Some(orders) = Orders::given() else {
        return;
    };
    let journal = Journal::append(&orders.root);
    let store = orders.open();
    let next = orders.number * 10;
    release(&store, &journal, next);
    release(&store, &journal, next + 1);
    drop(lease(&store, CACHE));
    settle(&store);
    delete(&store, &journal);
    release(&store, &journal, next + 2);
    store.close().expect("closed");
    journal.line(&format!("end {}", orders.number));
}

/// A child that tries out what works on the engine.
#[test]
fn child_that_probes() {
    let Some(orders) = Orders::given() else {
        return;
    };
    let _ = std::fs::remove_file(orders.root.join(".store/probed"));
    let store = orders.open();
    store.strategy().expect("a strategy");
    store.close().expect("closed");
}

/// A child: the same, over and over.
#[test]
fn child_for_ever() {
    let Some(orders) = Orders::given() else {
        return;
    };
    let journal = Journal::append(&orders.root);
    let store = orders.open();
    journal.line("open");
    for n in 0.. {
        let version = orders.number * 100_000 + n;
        // Mostly releases: a chain grows until it is compacted.
        match n % 31 {
            30 => delete(&store, &journal),
            9 | 19 => drop(lease(&store, CACHE)),
            14 | 25 => settle(&store),
            _ => release(&store, &journal, version),
        }
    }
}

/// What the cache may contain according to the journal: the outcome of the last operation, or of the one that was begun.
fn allowed(root: &Path) -> BTreeSet<Option<String>> {
    let state = |text: &str| (text != "empty").then(|| text.to_owned());
    let mut allowed = BTreeSet::from([None]);
    for line in Journal::read(root) {
        match line[0].as_str() {
            "begin" => drop(allowed.insert(state(&line[1]))),
            "done" | "found" => allowed = BTreeSet::from([state(&line[1])]),
            _ => {}
        }
    }
    allowed
}

/// Opens the root as the next process would, and checks what it finds.
fn check(root: &Root, way: Way, when: &str) {
    check_seen(root, way, when, version_in);
}

/// The same; `version` reads, and checks, what is in the cache.
pub fn check_seen(
    root: &Root,
    way: Way,
    when: &str,
    version: impl FnOnce(&Path) -> Option<String>,
) {
    let allowed = allowed(&root.path);
    let engine = root.engine(&address());
    let store = Store::open(&root.path, way.options().engine(engine)).expect("an open store");
    let lease = lease(&store, CACHE);
    let found = version(&View::of(&lease).path);
    drop(lease);
    assert!(
        allowed.contains(&found),
        "{when}: found {found:?}, and what was released is {allowed:?}"
    );
    // From here on it must not change without a release.
    let journal = Journal::append(&root.path);
    journal.line(&format!("found {}", found.as_deref().unwrap_or("empty")));
    settle(&store);
    let layers = store
        .caches()
        .expect("a listing")
        .first()
        .map_or(0, |row| row.layers);
    let began = Instant::now();
    loop {
        let left = root.left();
        if left.len() == layers {
            break;
        }
        // A request that the engine was still processing when its caller was killed may take effect late.
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{when}: {layers} layers, and left are {left:?}"
        );
        thread::sleep(Duration::from_millis(50));
        store.purge().expect("purged");
        settle(&store);
    }
    store.close().expect("closed");
}

/// Kills the child at its `n`-th request, before or after the engine has seen it. Returns `false` if it made fewer.
fn kill_at(child_test: &str, root: &Root, way: Way, n: usize, act: Act) -> bool {
    let child: Arc<Mutex<Option<Pid>>> = Arc::default();
    let killed = Arc::new(AtomicBool::new(false));
    let (pid, hit) = (Arc::clone(&child), Arc::clone(&killed));
    let proxy = Proxy::new(&root.path, move |number, _| {
        if number != n {
            return Act::Pass;
        }
        // The child's pid is known shortly after it starts.
        let pid = loop {
            if let Some(pid) = *pid.lock().expect("unpoisoned") {
                break pid;
            }
            thread::yield_now();
        };
        hit.store(true, Ordering::SeqCst);
        kill_process(pid, Signal::KILL).expect("killed");
        act
    });
    let engine = root.engine(&proxy.address);
    let mut process = start(child_test, &root.path, way, n + 1, Some(&engine));
    *child.lock().expect("unpoisoned") =
        Pid::from_raw(i32::try_from(process.id()).expect("a number"));
    let status = ended(&mut process, "the child that is to be killed");
    let killed = killed.load(Ordering::SeqCst);
    assert!(killed || status.success(), "the child failed: {status}");
    killed
}

/// Kills the child at each of its calls in turn.
fn kill_at_every_call(child: &str, way: Way) {
    // Archives take many calls and much time.
    let stride = if way.direct { 2 } else { 6 };
    if here([way]).next().is_none() {
        return;
    }
    let root = Root::new("kill-calls");
    for act in [Act::CutBefore, Act::Pass] {
        let mut last = 0;
        for n in some_calls(stride) {
            last = n;
            if !kill_at(child, &root, way, n, act) {
                break;
            }
            check(
                &root,
                way,
                &format!("{child}, {way:?}, killed at call {n} ({act:?})"),
            );
        }
        println!("{child}, {way:?}, {act:?}: up to call {last}");
        assert!(last > 10, "only {last} calls went through the proxy");
    }
}

#[test]
fn killed_at_every_call_of_a_probe_nothing_is_left() {
    kill_at_every_call("caches::kill::child_that_probes", Way::ALL[1]);
}

#[test]
fn killed_at_every_call_of_a_direct_copy_nothing_is_lost_and_nothing_is_left() {
    kill_at_every_call("caches::kill::child_once", Way::ALL[0]);
}

#[test]
fn killed_at_every_call_of_a_direct_overlay_nothing_is_lost_and_nothing_is_left() {
    kill_at_every_call("caches::kill::child_once", Way::ALL[1]);
}

#[test]
fn killed_at_every_call_of_a_copy_by_archive_nothing_is_lost_and_nothing_is_left() {
    kill_at_every_call("caches::kill::child_once", Way::ALL[2]);
}

#[test]
fn killed_at_every_call_of_an_overlay_by_archive_nothing_is_lost_and_nothing_is_left() {
    kill_at_every_call("caches::kill::child_once", Way::ALL[3]);
}

#[test]
fn killed_at_random_times_nothing_is_lost_and_nothing_is_left() {
    let kills = amount(16, 520);
    let began = Instant::now();
    let roots = Way::ALL.map(|way| (way, Root::new("kill-times")));
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for kill in 0..kills {
        // The direct ways are fast, so they get more of the kills.
        let (way, root) = &roots[[0, 1, 1, 0, 1, 2, 1, 3][kill % 8]];
        if here([*way]).next().is_none() {
            continue;
        }
        let opened = || {
            Journal::read(&root.path)
                .iter()
                .filter(|line| line[0] == "open")
                .count()
        };
        let before = opened();
        let engine = root.engine(&address());
        let mut child = start(
            "caches::kill::child_for_ever",
            &root.path,
            *way,
            kill + 1,
            Some(&engine),
        );
        let until = Instant::now() + Duration::from_secs(60);
        while opened() == before && child.try_wait().expect("a state").is_none() {
            assert!(Instant::now() < until, "the child opens no store");
            thread::sleep(Duration::from_millis(1));
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        thread::sleep(Duration::from_micros(
            random % if way.direct { 400_000 } else { 1_200_000 },
        ));
        child.kill().expect("killed");
        child.wait().expect("ended");
        check(root, *way, &format!("{way:?}, kill {kill}"));
    }
    println!("{kills} kills in {:?}", began.elapsed());
}
