//! Another program removes volumes, as `docker volume prune` does.

use std::sync::Mutex;

use docker_store::{Released, Strategy};

use super::ground::{
    Root, View, Way, change, heads, here, in_all_ways, lease, newest, request, settle,
};

/// Removes all volumes of a root that no container has.
fn prune(root: &Root) {
    for volume in root.volumes() {
        request("DELETE", &format!("/volumes/{volume}"), None);
    }
}

#[test]
fn a_cache_whose_volumes_were_pruned_is_empty_with_a_warning_and_no_error_stays() {
    in_all_ways(|way| {
        let root = Root::new("prune");
        let store = root.open(way);
        change(&store, "a", |view| view.write("x", "x"));
        change(&store, "a", |view| view.write("y", "y"));
        settle(&store);
        prune(&root);
        let warned = warnings_of(|| {
            let lease = lease(&store, "a");
            assert!(View::of(&lease).files().is_empty());
            // It is newer than all earlier leases.
            assert_eq!(lease.generation(), 3);
            View::of(&lease).write("z", "z");
            assert_eq!(lease.release().expect("released"), Released::Won(4));
        });
        assert!(
            warned
                .iter()
                .any(|line| line.contains("the cache c-a was reset to empty")),
            "{warned:?}"
        );
        assert_eq!(newest(&store, "a").len(), 1);
        assert!(warnings_of(|| drop(lease(&store, "a"))).is_empty());
    });
}

#[test]
fn below_a_missing_layer_the_cache_is_what_it_was_and_what_lay_above_goes() {
    for way in here([Way::ALL[1], Way::ALL[3]]) {
        let root = Root::new("layer");
        let store = root.open(way);
        for name in ["1", "2", "3"] {
            change(&store, "a", |view| view.write(name, name));
        }
        settle(&store);
        let during = lease(&store, "a");
        View::of(&during).write("4", "4");
        for (missing, files) in [(2, 2), (1, 1), (0, 0)] {
            let layer = heads(&root.path)[0]["parts"][missing]["volume"].clone();
            let layer = layer.as_str().expect("a layer");
            request("DELETE", &format!("/volumes/{layer}"), None);
            let warned = warnings_of(|| assert_eq!(newest(&store, "a").len(), files));
            assert_eq!(warned.len(), 1, "{warned:?}");
            assert!(warned[0].contains("was reset to"), "{warned:?}");
        }
        // It was cloned from a generation that no longer exists.
        assert_eq!(during.release().expect("released"), Released::Lost);
        settle(&store);
        assert_eq!(root.left(), Vec::<String>::new());
        // Removing the middle one of three removes another with it.
        for name in ["5", "6", "7"] {
            change(&store, "a", |view| view.write(name, name));
        }
        let layer = heads(&root.path)[0]["parts"][1]["volume"].clone();
        request(
            "DELETE",
            &format!("/volumes/{}", layer.as_str().expect("a layer")),
            None,
        );
        let left = newest(&store, "a");
        assert_eq!(left.keys().map(String::as_str).collect::<Vec<_>>(), ["5"]);
        settle(&store);
        assert_eq!(root.left().len(), 1);
    }
}

#[test]
fn a_lease_that_was_taken_away_is_lost_with_a_warning() {
    in_all_ways(|way| {
        let root = Root::new("taken");
        let store = root.open(way);
        change(&store, "a", |view| view.write("x", "x"));
        settle(&store);
        let kept = root.volumes();
        let held = lease(&store, "a");
        View::of(&held).write("y", "y");
        for volume in root.volumes().iter().filter(|name| !kept.contains(name)) {
            request("DELETE", &format!("/volumes/{volume}"), None);
        }
        let warned = warnings_of(|| assert_eq!(held.release().expect("released"), Released::Lost));
        assert!(!warned.is_empty());
        assert_eq!(newest(&store, "a").len(), 1);
    });
}

#[test]
fn with_the_engines_own_prune_too() {
    let way = Way {
        strategy: Strategy::Copy,
        direct: true,
    };
    let root = Root::new("pruned");
    let store = root.open(way);
    change(&store, "a", |view| view.write("x", "x"));
    settle(&store);
    // Only volumes of this root, because other tests run on this engine.
    let filter = format!(
        "%7B%22label%22%3A%5B%22docker-store.prefix%3D{}%22%5D%7D",
        root.prefix().trim_end_matches('-')
    );
    let (status, answer) = request("POST", &format!("/volumes/prune?filters={filter}"), None);
    assert_eq!(status, 200, "{answer}");
    if root.volumes().is_empty() {
        assert!(newest(&store, "a").is_empty());
    }
    assert!(matches!(
        change(&store, "a", |view| view.write("y", "y")),
        Released::Won(_)
    ));
}

/// Returns the library's warnings while `what` runs. One test at a time, because there is one logger for all.
pub(super) fn warnings_of(what: impl FnOnce()) -> Vec<String> {
    static ONE: Mutex<()> = Mutex::new(());
    static LINES: Mutex<Vec<(std::thread::ThreadId, String)>> = Mutex::new(Vec::new());
    struct Keeper;
    impl log::Log for Keeper {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.level() <= log::Level::Warn
        }
        fn log(&self, record: &log::Record<'_>) {
            if self.enabled(record.metadata()) {
                let line = (std::thread::current().id(), record.args().to_string());
                LINES.lock().expect("unpoisoned").push(line);
            }
        }
        fn flush(&self) {}
    }
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    if log::set_logger(&Keeper).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    let me = std::thread::current().id();
    LINES.lock().expect("unpoisoned").clear();
    what();
    let lines = LINES.lock().expect("unpoisoned");
    lines
        .iter()
        .filter(|(thread, _)| *thread == me)
        .map(|(_, line)| line.clone())
        .collect()
}
