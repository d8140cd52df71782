//! A cache with a limit of its own.

use docker_store::{CacheRequest, Lease, Released, Store};

use crate::common::{Root, begin, sh};

/// Writes this many bytes to a file of a lease.
fn fill(store: &Store, lease: &Lease, file: &str, bytes: u64) {
    let mut step = begin(store, "base", "filler");
    let script = format!("head -c {bytes} /dev/urandom > /c/{file}");
    step.run(sh(&script).lease(lease, "/c")).expect("a run");
    step.abort().expect("aborted");
}

#[test]
fn what_would_make_a_cache_larger_than_its_limit_is_given_up_counted_and_costs_nothing_of_it() {
    let root = Root::new("limited");
    let store = root.open_with_base();
    let lend = |name: &str| store.cache(name, &CacheRequest::new()).expect("a lease");
    if !root.path.exists() || store.strategy().expect("a strategy").1.contains("archive") {
        return; // The files are not accessible.
    }
    store.limit_cache("c", Some(300_000)).expect("limited");
    let first = lend("c");
    fill(&store, &first, "a", 200_000);
    assert_eq!(first.release().expect("released"), Released::Won(1));
    let second = lend("c");
    fill(&store, &second, "b", 200_000);
    assert_eq!(second.release().expect("released"), Released::TooLarge);
    assert_eq!(store.stats().releases_too_large, 1);
    let row = store.caches().expect("listed").remove(0);
    assert_eq!(
        (row.generation, row.limit, row.leases),
        (1, Some(300_000), 0)
    );
    // Also for other processes and later ones; another cache has no limit.
    let other = root.open();
    let third = other.cache("c", &CacheRequest::new()).expect("a lease");
    fill(&other, &third, "b", 50_000);
    assert_eq!(third.release().expect("released"), Released::Won(2));
    let free = lend("free");
    fill(&store, &free, "b", 900_000);
    assert_eq!(free.release().expect("released"), Released::Won(1));
    // A single file that is rewritten again and again has its own size, once the layers are merged.
    store.limit_cache("c", Some(500_000)).expect("limited");
    let mut won = 0;
    for _ in 0..8 {
        let lease = lend("c");
        fill(&store, &lease, "a", 200_000);
        won += u32::from(matches!(
            lease.release().expect("released"),
            Released::Won(_)
        ));
        store.complete_deletes(&Default::default()).expect("merged");
    }
    assert!(won >= 3, "{won}");
    assert!(store.stats().releases_too_large > 1);
    store.limit_cache("c", None).expect("without");
    let last = lend("c");
    fill(&store, &last, "d", 900_000);
    assert!(matches!(
        last.release().expect("released"),
        Released::Won(_)
    ));
    drop(other);
    assert!(store.limit_cache("", Some(1)).is_err());
}
