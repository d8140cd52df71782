//! An engine whose connections break, and a full disk: calls fail, nothing that was released is lost, and failed calls can be
//! retried.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use docker_store::{CacheRequest, ErrorKind, Lease, Released, Result, Store};

use super::children::{place_to_write, version_in, write_version};
use super::ground::{Root, View, Way, address, change, here, in_all_ways, lease, newest, settle};
use crate::common::proxy::{Act, Proxy};
use crate::common::some_calls;

/// Retries `what` until it works: only one call fails.
fn insist<T>(what: impl Fn() -> Result<T>) -> T {
    match what() {
        Ok(done) => done,
        Err(first) => what().unwrap_or_else(|e| panic!("failed twice: {first}; {e}")),
    }
}

fn release(lease: &Lease) {
    match lease.release() {
        Ok(_) => {}
        Err(first) => match lease.release() {
            Ok(_) => {}
            Err(e) => panic!("failed twice: {first}; {e}"),
        },
    }
}

/// Everything that can happen to a cache, with the connection interrupted at the call `n`. Returns `false` if there were fewer.
fn cut_at(root: &Root, way: Way, n: usize, act: Act) -> bool {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let proxy = Proxy::new(&root.path, move |number, _| {
        seen.store(number + 1, Ordering::SeqCst);
        if number == n { act } else { Act::Pass }
    });
    let engine = root.engine(&proxy.address);
    let store = insist(|| Store::open(&root.path, way.options().engine(engine.as_str())));
    for version in [n * 10, n * 10 + 1] {
        let lease = insist(|| store.cache("a", &CacheRequest::new()));
        write_version(&place_to_write(&lease), &version.to_string());
        release(&lease);
    }
    drop(insist(|| store.cache("a", &CacheRequest::new())));
    let lease = insist(|| store.cache("a", &CacheRequest::new()));
    assert_eq!(
        version_in(&View::of(&lease).path),
        Some((n * 10 + 1).to_string())
    );
    assert_eq!(insist(|| lease.release()), Released::Unchanged);
    settle(&store);
    settle(&store);
    let layers = store.caches().expect("a listing")[0].layers;
    assert_eq!(
        root.left().len(),
        layers,
        "{way:?}, cut at call {n} ({act:?}): {:?}",
        root.left()
    );
    store.close().expect("closed");
    count.load(Ordering::SeqCst) > n
}

#[test]
fn a_connection_cut_at_any_call_is_an_error_that_loses_and_leaves_nothing() {
    for way in here([Way::ALL[1], Way::ALL[0], Way::ALL[3]]) {
        let root = Root::new("cuts");
        // Found out once, because otherwise the calls for that would be interrupted every time.
        let known = Store::open(&root.path, way.options().engine(root.engine(&address())))
            .expect("a store");
        known.strategy().expect("a strategy");
        known.close().expect("closed");
        let stride = if way.direct { 2 } else { 6 };
        for act in [Act::CutBefore, Act::CutAfter] {
            let over = some_calls(stride).find(|n| !cut_at(&root, way, *n, act));
            println!("{way:?}, {act:?}: up to call {over:?}");
        }
    }
}

#[test]
fn on_a_full_disk_a_release_fails_and_works_once_there_is_room() {
    in_all_ways(|way| {
        let root = Root::new("full");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(&root.path)
            .status();
        assert!(mounted.expect("mount runs").success());
        let store = root.open(way);
        change(&store, "a", |view| view.write("x", "one"));
        let held = lease(&store, "a");
        View::of(&held).write("x", "two");
        let filler = root.path.join("filler");
        let error = fs::write(&filler, vec![1; 1 << 20]).expect_err("no room");
        assert_eq!(error.raw_os_error(), Some(28));
        let error = held.release().expect_err("no room");
        assert_eq!(
            (error.kind(), error.os_errno()),
            (ErrorKind::Io, Some(28)),
            "{error}"
        );
        assert_eq!(
            store
                .cache("a", &CacheRequest::new())
                .expect_err("no room")
                .kind(),
            ErrorKind::Io
        );
        fs::remove_file(&filler).expect("removed");
        assert_eq!(
            newest(&store, "a").get("x").map(String::as_str),
            Some("one")
        );
        assert_eq!(held.release().expect("released"), Released::Won(2));
        assert_eq!(
            newest(&store, "a").get("x").map(String::as_str),
            Some("two")
        );
        settle(&store);
        assert_eq!(
            root.left().len(),
            store.caches().expect("a listing")[0].layers
        );
        store.close().expect("closed");
        drop(held);
        assert!(
            Command::new("umount")
                .arg(&root.path)
                .status()
                .expect("umount runs")
                .success()
        );
    });
}
