//! How deep chains of layers get, and what that costs: a build tool's process opens, leases, releases and closes, and has no
//! time for anything else.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::children::place_to_write;
use super::contract::container_with;
use super::ground::{Root, Way, heads, lease, request, settle};
use crate::common::{amount, is_long};

/// How long closing may wait for merges, according to its documentation, with a margin for a busy machine.
const CLOSING: Duration = Duration::from_secs(10);

fn fill(place: &Path, files: usize) {
    for n in 0..files {
        if n % 200 == 0 {
            fs::create_dir(place.join(format!("d{}", n / 200))).expect("made");
        }
        fs::write(place.join(format!("d{}/{n}", n / 200)), "").expect("written");
    }
}

#[test]
fn with_a_process_for_each_lease_the_chain_stays_short_and_nobody_waits_for_it() {
    let (files, generations) = (amount(2_000, 40_000), amount(40, 500));
    let way = Way::ALL[1];
    let root = Root::new("shape");
    let store = root.open(way);
    let held = lease(&store, "a");
    fill(&place_to_write(&held), files);
    held.release().expect("released");
    store.close().expect("closed");

    let (mut acquires, mut releases, mut deepest, mut closes) = (vec![], vec![], 0, vec![]);
    let mut base = None;
    for n in 0..generations {
        let store = root.open(way);
        let began = Instant::now();
        let held = lease(&store, "a");
        acquires.push(began.elapsed());
        let place = place_to_write(&held);
        // New files, one that is always written, and one that is written occasionally.
        fs::write(place.join("always"), n.to_string()).expect("written");
        fs::write(place.join(format!("now-and-then-{}", n % 7)), "").expect("written");
        fs::write(place.join(format!("new-{n}")), "").expect("written");
        let began = Instant::now();
        held.release().expect("released");
        releases.push(began.elapsed());
        let row = store.caches().expect("a listing").remove(0);
        deepest = deepest.max(row.layers);
        let began = Instant::now();
        store.close().expect("closed");
        closes.push(began.elapsed());
        let lowest = heads(&root.path)[0]["parts"][0]["volume"].clone();
        let first = base.get_or_insert_with(|| lowest.clone());
        assert_eq!(*first, lowest, "the base was written anew");
    }
    let store = root.open(way);
    let seen = super::ground::newest(&store, "a");
    assert_eq!(seen.len(), files + 1 + 7.min(generations) + generations);
    assert_eq!(seen["always"], (generations - 1).to_string());
    let [acquire, release, close] = [&acquires, &releases, &closes].map(|times| {
        let mut sorted = times.clone();
        sorted.sort();
        (sorted[sorted.len() / 2], sorted[sorted.len() - 1])
    });
    println!(
        "{generations} generations of {files} files: at most {deepest} layers; median and longest of acquire {acquire:?}, \
         release {release:?}, close {close:?}"
    );
    assert!(deepest <= 7, "{deepest} layers");
    assert!(close.1 < CLOSING, "{close:?}");
    if is_long() {
        assert!(acquire.1 <= acquire.0 * 3, "acquire {acquire:?}");
        assert!(release.1 <= release.0 * 3, "release {release:?}");
    }
}

#[test]
fn a_listing_counts_files_once_for_all_processes() {
    let way = Way::ALL[1];
    let root = Root::new("counted");
    let store = root.open(way);
    for name in ["1", "2", "3"] {
        super::ground::change(&store, "a", |view| view.write(name, "text"));
    }
    let bytes = store.caches().expect("a listing")[0].bytes;
    assert!(bytes.is_some_and(|bytes| bytes >= 3 * 512), "{bytes:?}");
    settle(&store);
    let sizes: Vec<_> = heads(&root.path)[0]["parts"]
        .as_array()
        .expect("parts")
        .iter()
        .map(|part| part["size"]["entries"].as_u64())
        .collect();
    assert_eq!(sizes, [Some(1); 3]);
    store.close().expect("closed");
    // Another process trusts the head, and reads no file.
    let mut changed = heads(&root.path).remove(0);
    changed["parts"][0]["size"]["bytes"] = json!(1_000_000);
    let file = fs::read_dir(root.path.join(".store/caches")).expect("a folder");
    let file = file.last().expect("one").expect("one").path().join("head");
    fs::write(file, changed.to_string()).expect("written");
    let store = root.open(way);
    assert!(store.caches().expect("a listing")[0].bytes >= Some(1_000_000));
}

#[test]
fn what_could_not_be_removed_is_removed_later_by_the_same_process() {
    for way in [Way::ALL[0], Way::ALL[1]] {
        let root = Root::new("later");
        let store = root.open(way);
        super::ground::change(&store, "a", |view| view.write("x", "1"));
        let in_use = |name: &str| {
            let held = lease(&store, "a");
            let container = container_with(&root, name, held.volume());
            let volume = held.volume().to_owned();
            held.discard().expect("discarded");
            settle(&store);
            assert!(root.volumes().contains(&volume), "a container has it");
            request("DELETE", &format!("/containers/{container}?force=1"), None);
            volume
        };
        // By a purge, although its session is active.
        let volume = in_use("one");
        store.purge().expect("purged");
        assert!(!root.volumes().contains(&volume), "purged: {volume}");
        // By any later removal.
        let volume = in_use("two");
        std::thread::sleep(Duration::from_millis(2100));
        drop(lease(&store, "a"));
        let until = Instant::now() + Duration::from_secs(20);
        while root.volumes().contains(&volume) {
            assert!(Instant::now() < until, "{volume} stays");
            std::thread::sleep(Duration::from_millis(20));
        }
        // And by closing.
        let volume = in_use("three");
        store.close().expect("closed");
        assert!(!root.volumes().contains(&volume), "closed: {volume}");
    }
}
