//! What a power failure may leave of caches. Here a failure is simulated by its sign: the machine has been restarted, as far as
//! a process can see. (`tests/power.rs` cuts the power of a disk.)

use docker_store::Released;

use super::children::{Journal, Orders, command, in_boot, version_in};
use super::ground::{Root, View, Way, change, heads, in_all_ways, lease, settle};
use super::outside::warnings_of;

/// A child: tells what it finds.
#[test]
fn child_in_another_boot() {
    let Some(orders) = Orders::given() else {
        return;
    };
    let journal = Journal::append(&orders.root);
    let warned = warnings_of(|| {
        let store = orders.open();
        let lease = lease(&store, "a");
        let version = version_in(&View::of(&lease).path);
        let version = version.as_deref().unwrap_or("empty");
        journal.line(&format!("found {version} {}", lease.generation()));
        drop(lease);
        settle(&store);
        store.close().expect("closed");
    });
    for line in warned {
        journal.line(&format!("warned {line}"));
    }
}

/// Runs the child in a different boot, and returns what it found: version, generation, and warnings.
fn boot_and_look(root: &Root, way: Way, number: usize) -> (String, u64, Vec<String>) {
    let child = command(
        "caches::power::child_in_another_boot",
        &root.path,
        way,
        number,
    );
    let mut inside = in_boot(&root.path, number, &child);
    let before = Journal::read(&root.path).len();
    assert!(inside.status().expect("unshare runs").success());
    let lines = Journal::read(&root.path).split_off(before);
    let found = lines.iter().find(|line| line[0] == "found").expect("found");
    let warned = lines.iter().filter(|line| line[0] == "warned");
    (
        found[1].clone(),
        found[2].parse().expect("a generation"),
        warned.map(|line| line[1..].join(" ")).collect(),
    )
}

fn release(store: &docker_store::Store, version: usize) -> Released {
    change(store, "a", |view| {
        super::children::write_version(&view.path, &version.to_string());
        view.write(&format!("of-{version}"), "");
    })
}

/// Only opens and closes, until everything is on disk: a busy disk needs more time than a close waits, and the session of a
/// dropped store ends when its last worker does.
fn open_and_close(root: &Root, way: Way) {
    for _ in 0..20 {
        if heads(&root.path)[0]["unsure"].is_null() {
            return;
        }
        root.open(way).close().expect("closed");
    }
    panic!("never on disk");
}

#[test]
fn after_a_power_failure_a_lease_gets_the_newest_generation_that_was_certainly_on_disk() {
    in_all_ways(|way| {
        let root = Root::new("power");
        let store = root.open(way);
        for version in [1, 2] {
            assert_eq!(release(&store, version), Released::Won(version as u64));
        }
        // A close syncs what was released.
        store.close().expect("closed");
        open_and_close(&root, way);
        let sure = |what: &str| assert!(heads(&root.path)[0]["unsure"].is_null(), "{what}");
        sure("closed");
        assert_eq!(
            boot_and_look(&root, way, 1),
            (String::from("2"), 2, Vec::new())
        );
        let store = root.open(way);
        for version in [3, 4] {
            assert_eq!(release(&store, version), Released::Won(version as u64));
        }
        // Like a killed process: nothing is waited for.
        drop(store);
        if !way.direct {
            // Volumes that only the engine can access cannot be synced here: nothing is claimed, and nothing dropped.
            sure("out of reach");
            let found = boot_and_look(&root, way, 2);
            assert_eq!(found, (String::from("4"), 4, Vec::new()));
            return;
        }
        let (version, generation, warned) = boot_and_look(&root, way, 2);
        assert_eq!((version.as_str(), generation), ("2", 5));
        assert_eq!(warned.len(), 1, "{warned:?}");
        assert!(
            warned[0].contains("generations 3 to 4 of the cache c-a"),
            "{warned:?}"
        );
        // The child has removed what was dropped, and it is reported once.
        let found = boot_and_look(&root, way, 3);
        assert_eq!(found, (String::from("2"), 5, Vec::new()));
        let store = root.open(way);
        settle(&store);
        let layers = store.caches().expect("a listing")[0].layers;
        assert_eq!(root.volumes().len(), layers);
        assert_eq!(release(&store, 6), Released::Won(6));
    });
}

#[test]
fn what_another_process_left_on_its_way_to_the_disk_the_next_one_sends_there() {
    for way in [Way::ALL[0], Way::ALL[1]] {
        let root = Root::new("left");
        let store = root.open(way);
        release(&store, 1);
        drop(store);
        assert!(!heads(&root.path)[0]["unsure"].is_null());
        open_and_close(&root, way);
        assert_eq!(boot_and_look(&root, way, 1).0, "1");
    }
}

#[test]
fn what_was_merged_is_as_durable_as_what_it_was_merged_of() {
    let way = Way::ALL[1];
    let root = Root::new("merged");
    let store = root.open(way);
    for version in 1..=4 {
        release(&store, version);
    }
    settle(&store);
    store.close().expect("closed");
    let store = root.open(way);
    for version in 5..=9 {
        release(&store, version);
    }
    // Merged, but not on disk.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(4);
    while heads(&root.path)[0]["parts"].as_array().map_or(0, Vec::len) > 5 {
        assert!(std::time::Instant::now() < until, "not merged");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(store);
    assert_eq!(boot_and_look(&root, way, 1).0, "4");
}

#[test]
fn with_sync_a_generation_is_on_disk_when_it_is_one() {
    for way in [Way::ALL[0], Way::ALL[1]] {
        let root = Root::new("synced");
        let store = docker_store::Store::open(&root.path, way.options().sync(true)).expect("open");
        release(&store, 1);
        drop(store);
        assert!(heads(&root.path)[0]["unsure"].is_null());
        assert_eq!(boot_and_look(&root, way, 1).0, "1");
    }
}
