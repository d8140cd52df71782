//! A prune that is killed: the next one finishes the work.

use std::collections::BTreeSet;
use std::time::Duration;

use docker_store::{Limits, Policy, Store, Went};

use crate::common::{Root, amount, build, child_of, docker, spawn, until};
use crate::prunes::prune;
use crate::records::usage;

const TEST: &str = "killed::a_prune_that_is_killed_at_any_moment_is_finished_by_the_next_one";

#[test]
fn a_prune_that_is_killed_at_any_moment_is_finished_by_the_next_one() {
    if let Some(path) = child_of(TEST) {
        let store = Store::open(&path, &Default::default()).expect("a store");
        std::fs::write(path.join("prunes"), "").expect("written");
        prune(&store, Policy::new().unused_for(Duration::ZERO));
        return;
    }
    let root = Root::new("killed");
    let store = root.open_with_base();
    let rounds = amount(6, 60) as u64;
    let mut removed = 0;
    for round in 0..rounds {
        build(&store, "base", "a", "head -c 3000000 /dev/urandom > /a");
        build(&store, "a", "b", "head -c 3000000 /dev/urandom > /b");
        let mut ids = BTreeSet::from([String::from("a"), String::from("b")]);
        for n in 0..8 {
            let id = format!("tag-{n}");
            docker(&["tag", &root.image("base"), &root.image(&id)]);
            assert!(n % 2 == 0 || store.result(&id).expect("a look"));
            ids.insert(id);
        }
        let _ = std::fs::remove_file(root.path.join("prunes"));
        store.pin("base", &Limits::none()).expect("pinned");
        let child = spawn(TEST, &root, "");
        until("it prunes", || root.path.join("prunes").exists());
        std::thread::sleep(Duration::from_millis(37 * round % 400));
        child.kill();
        // The engine may still be processing the last request.
        std::thread::sleep(Duration::from_millis(300));
        let there = docker(&["images", "--format", "{{.Repository}}", &root.image("*")]);
        let there: BTreeSet<String> = there
            .iter()
            .filter_map(|name| name.split_once("-image-"))
            .map(|(_, id)| id.to_owned())
            .collect();
        // What exists is complete, and what does not is recorded as removed: no record says otherwise.
        for id in &ids {
            assert_eq!(
                store.result(id).expect("a look"),
                there.contains(id),
                "{id}"
            );
        }
        usage(&store);
        let records = std::fs::read_dir(root.path.join(".store/results")).expect("records");
        let records: BTreeSet<String> = records
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        assert!(
            records.iter().all(|name| there.contains(name)),
            "{records:?} of {there:?}"
        );
        removed += ids.difference(&there).count();
        let report = prune(&store, Policy::new().unused_for(Duration::ZERO));
        assert!(report.reached, "{report:?}");
        let left: Vec<String> = store
            .results()
            .expect("listed")
            .into_iter()
            .map(|row| row.id)
            .collect();
        assert_eq!(left, ["base"]);
        for id in ids {
            let went = store.went(&id).expect("asked").map(|(how, _)| how);
            assert!(
                matches!(went, Some(Went::Pruned | Went::Vanished)),
                "{id}: {went:?}"
            );
        }
    }
    println!("{removed} results were gone when it was killed");
    store.unpin("base").expect("unpinned");
    assert_eq!(root.leftovers(), Vec::<String>::new());
}
