//! A directory lists exactly what can be looked up in it, whatever was merged.

use std::fs;
use std::process::Command;

use super::ground::{Root, View, Way, change, lease, settle};
use super::snapshot;

#[test]
fn what_is_deleted_is_not_listed_after_a_compaction_that_ends_above_it() {
    let root = Root::new("ghosts");
    let store = root.open(Way::ALL[1]);
    // Large enough that no compaction rewrites it.
    change(&store, "a", |view| {
        (0..200).for_each(|n| view.write(&format!("base-{n}"), "base"));
        fs::create_dir_all(view.path.join("opaque/old")).expect("made");
    });
    change(&store, "a", |view| {
        fs::create_dir_all(view.path.join("d/e")).expect("made");
        for name in ["d/kept", "d/gone", "d/e/gone", "gone"] {
            view.write(name, "2");
        }
        // In place of one that is in the base: nothing of that shows through.
        fs::remove_dir_all(view.path.join("opaque")).expect("removed");
        fs::create_dir_all(view.path.join("opaque/in")).expect("made");
        for name in ["opaque/kept", "opaque/gone", "opaque/in/gone"] {
            view.write(name, "2");
        }
    });
    change(&store, "a", |view| {
        for name in [
            "d/gone",
            "d/e/gone",
            "gone",
            "opaque/gone",
            "opaque/in/gone",
        ] {
            view.remove(name);
        }
    });
    let listed = |when: &str| {
        let held = lease(&store, "a");
        let view = View::of(&held);
        for tool in [&["ls", "-lR", "."][..], &["tar", "-cf", "/dev/null", "."]] {
            let done = Command::new(tool[0])
                .args(&tool[1..])
                .current_dir(&view.path)
                .output();
            let done = done.expect("the tool runs");
            assert!(
                done.status.success(),
                "{when}: {tool:?}: {}",
                String::from_utf8_lossy(&done.stderr)
            );
        }
        let mut tree = snapshot::of(&view.path);
        tree.retain(|path, _| !path.as_os_str().is_empty() && path.as_os_str() != "small");
        tree
    };
    let (before, mut layers, mut compactions) = (listed("at first"), 3, 0);
    for n in 0..24 {
        change(&store, "a", |view| view.write("small", &n.to_string()));
        settle(&store);
        let now = listed(&format!("after {n} more"));
        snapshot::assert_same(&before, &now, &format!("after {n} more"));
        let depth = store.caches().expect("a listing")[0].layers;
        compactions += usize::from(depth < layers);
        layers = depth;
    }
    assert!(
        compactions > 1,
        "{compactions} compactions: nothing was tried"
    );
}
