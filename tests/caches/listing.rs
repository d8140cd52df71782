//! The listing of a cache (names, kinds, owners, modes, times, contents, links, attributes) is at any time that of a plain
//! directory that saw the same changes: in all ways, through releases and compactions.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use docker_store::Strategy;

use super::beside::Beside;
use super::changes::Numbers;
use super::ground::{Root, View, Way, here, in_all_ways, lease};
use super::workloads;
use crate::common::amount;

/// What real programs leave is listed as in a plain directory.
fn real_programs(way: Way) {
    assert!(workloads::all().count() >= 28);
    if here([way]).next().is_none() {
        return;
    }
    let began = Instant::now();
    let root = Root::new("workloads");
    let store = root.open(way);
    let mut beside = Beside::new(&store, &root, way);
    let (generations, compactions) = match way {
        Way {
            strategy: Strategy::Overlay,
            direct: true,
        } => (amount(9, 200), amount(2, 20)),
        Way {
            strategy: Strategy::Overlay,
            direct: false,
        } => (amount(4, 40), 1),
        Way { direct: true, .. } => (amount(5, 60), 0),
        Way { direct: false, .. } => (amount(3, 20), 0),
    };
    let mut n = 0;
    // Then some that do little, until what they left was merged, and everything once more.
    while n < generations || beside.compactions < compactions {
        assert!(
            n < generations + 40 * compactions,
            "{} compactions",
            beside.compactions
        );
        beside.generation(
            n,
            |_| (),
            |pair| match n < generations {
                true => workloads::step_all(pair, n),
                false => pair.both_write("filler", n),
            },
        );
        n += 1;
    }
    let steps = generations + 2;
    for step in generations..steps {
        beside.generation(n, |_| (), |pair| workloads::step_all(pair, step));
        n += 1;
    }
    let last = beside.look(n);
    if way.direct {
        // Holes do not show in a listing. The kernel copies a file of a lower layer by megabytes, and fills holes of that size.
        let view = View::of(&last);
        let stat = fs::metadata(view.path.join("sparse/image")).expect("there");
        assert!(
            stat.blocks() * 512 <= 3 << 20,
            "the holes were filled: {} blocks",
            stat.blocks()
        );
    }
    println!(
        "{way:?}: {} workloads, {steps} steps of each, {} compactions in {n} generations, {:?}",
        workloads::all().count(),
        beside.compactions,
        began.elapsed()
    );
}

#[test]
fn what_real_programs_leave_is_listed_as_in_a_plain_directory_by_direct_copy() {
    real_programs(Way::ALL[0]);
}

#[test]
fn what_real_programs_leave_is_listed_as_in_a_plain_directory_by_direct_overlay() {
    real_programs(Way::ALL[1]);
}

#[test]
fn what_real_programs_leave_is_listed_as_in_a_plain_directory_by_copy_through_archives() {
    real_programs(Way::ALL[2]);
}

#[test]
fn what_real_programs_leave_is_listed_as_in_a_plain_directory_by_overlay_through_archives() {
    real_programs(Way::ALL[3]);
}

#[test]
fn random_changes_are_listed_as_in_a_plain_directory() {
    in_all_ways(|way| {
        let began = Instant::now();
        let root = Root::new("random");
        let store = root.open(way);
        let mut beside = Beside::new(&store, &root, way);
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 + way.number() as u64);
        // A lease that is held all the time keeps its layers, whatever happens to the cache.
        let early = lease(&store, "a");
        let generations = if way.direct {
            amount(30, 1000)
        } else {
            amount(5, 60)
        };
        for n in 0..generations {
            beside.generation(
                n,
                |_| (),
                |pair| {
                    for _ in 0..=numbers.below(8) {
                        pair.change(&mut numbers);
                    }
                },
            );
        }
        drop(beside.look(generations));
        assert!(View::of(&early).files().is_empty());
        if way == Way::ALL[1] {
            assert!(
                beside.compactions >= generations / 20,
                "{} compactions",
                beside.compactions
            );
        }
        println!(
            "{way:?}: {generations} generations, {} compactions, {:?}",
            beside.compactions,
            began.elapsed()
        );
    });
}
