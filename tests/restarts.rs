//! Engines that are stopped, killed and restarted: a root's objects there are still its own.

mod common;

use common::own_engine::OwnEngine;
use common::{begin, build, import_base, sh};
use std::time::Duration;

use docker_store::{CacheRequest, Limits, Options, Released, Store};

#[test]
fn a_root_finds_its_results_and_caches_after_its_engine_was_started_again() {
    let Some(engine) = OwnEngine::start() else {
        return;
    };
    let root = std::env::temp_dir().join(format!("docker-store-restarts-{}", std::process::id()));
    std::fs::create_dir(&root).expect("a new folder");
    let mut options = Options::new();
    options.engine(engine.address());
    let open = || Store::open(&root, &options).expect("an open store");

    let store = open();
    let prefix = store.prefix().to_owned();
    import_base(&store, "base");
    build(&store, "base", "one", "echo one >/one");
    let lease = store.cache("a", &CacheRequest::new()).expect("a lease");
    let mut step = begin(&store, "one", "two");
    step.run(sh("echo kept >/cache/kept").lease(&lease, "/cache"))
        .expect("a run");
    step.commit().expect("committed");
    assert_eq!(lease.release().expect("released"), Released::Won(1));
    store.close().expect("closed");

    // The first time, no object was inspected since the start; the second time, an older handle is used.
    for kill in [false, true] {
        let before = open();
        match kill {
            false => engine.stop(),
            true => engine.signal("-KILL"),
        }
        engine.start_again();
        let after = open();
        for store in [&after, &before] {
            assert_eq!(store.prefix(), prefix, "killed: {kill}");
            for id in ["base", "one", "two"] {
                assert!(store.result(id).expect("a look"), "{id}, killed: {kill}");
            }
            let caches = store.caches().expect("a listing");
            assert_eq!((caches.len(), caches[0].generation), (1, 1));
        }
        let id = format!("after-{kill}");
        build(&before, "one", &id, "cat /one");
        assert!(after.result(&id).expect("a look"));
    }
    let _ = std::fs::remove_dir_all(&root);
}

#[test]
fn a_lease_that_an_engine_was_killed_in_the_middle_of_removing_is_removed_all_the_same() {
    let Some(engine) = OwnEngine::start() else {
        return;
    };
    let root = std::env::temp_dir().join(format!("docker-store-half-{}", std::process::id()));
    std::fs::create_dir(&root).expect("a new folder");
    let mut options = Options::new();
    options.engine(engine.address());
    let store = Store::open(&root, &options).expect("an open store");
    let lease = store.cache("a", &CacheRequest::new()).expect("a lease");
    let volume = lease.volume().to_owned();
    engine.signal("-KILL");
    engine.stop();
    // This far it had come.
    let place = engine.folder.join("data/docker/volumes").join(&volume);
    std::fs::remove_dir(place.join("_data")).expect("its mount point");
    engine.start_again();
    lease.discard().expect("discarded");
    store
        .complete_deletes(&Limits::none().timeout(Duration::from_secs(60)))
        .expect("removed");
    assert!(!place.exists(), "{volume} is there still");
    store.close().expect("closed");
    let _ = std::fs::remove_dir_all(&root);
}
