//! Processes and threads that use the same caches concurrently.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use docker_store::Released;

use super::children::{Journal, Orders, place_to_write, start, version_in, write_version};
use super::ground::{Root, View, Way, lease, settle};
use crate::common::amount;
use crate::common::patience::ended;

const PROCESSES: usize = 4;
const THREADS: usize = 4;
const CACHES: [&str; 3] = ["a", "b", "c"];

/// How long each way runs: several seconds, or longer on request.
fn duration() -> Duration {
    Duration::from_secs(amount(5, 60) as u64)
}

/// A child: threads that lease, read, write and release.
#[test]
fn child_in_a_crowd() {
    let Some(orders) = Orders::given() else {
        return;
    };
    let journal = Journal::append(&orders.root);
    let store = orders.open();
    let end = Instant::now() + duration();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (store, journal, orders) = (&store, &journal, &orders);
            scope.spawn(move || {
                for n in 0.. {
                    if Instant::now() > end {
                        return;
                    }
                    let cache = CACHES[(orders.number + number + n) % CACHES.len()];
                    let lease = lease(store, cache);
                    let seen =
                        version_in(&View::of(&lease).path).unwrap_or_else(|| String::from("empty"));
                    journal.line(&format!("seen {cache} {} {seen}", lease.generation()));
                    let mine = format!("{}-{number}-{n}", orders.number);
                    write_version(&place_to_write(&lease), &mine);
                    match lease.release().expect("released") {
                        Released::Won(generation) => {
                            journal.line(&format!("won {cache} {generation} {mine}"))
                        }
                        Released::Lost => journal.line(&format!("lost {cache} {mine}")),
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    settle(&store);
    store.close().expect("closed");
    journal.line("finished");
}

#[test]
fn whoever_leases_sees_one_whole_generation_that_somebody_released() {
    for way in [Way::ALL[1], Way::ALL[0]] {
        let root = Root::new("crowd");
        let began = Instant::now();
        let children: Vec<_> = (0..PROCESSES)
            .map(|number| {
                start(
                    "caches::crowd::child_in_a_crowd",
                    &root.path,
                    way,
                    number,
                    None,
                )
            })
            .collect();
        for mut child in children {
            assert!(
                ended(&mut child, "one of the crowd").success(),
                "a child failed"
            );
        }
        assert!(
            began.elapsed() < duration() + Duration::from_secs(60),
            "it hung: {:?}",
            began.elapsed()
        );

        let journal = Journal::read(&root.path);
        let mut won: BTreeMap<(String, u64), String> = BTreeMap::new();
        for line in journal.iter().filter(|line| line[0] == "won") {
            let key = (line[1].clone(), line[2].parse().expect("a generation"));
            let before = won.insert(key, line[3].clone());
            assert_eq!(
                before, None,
                "two releases won the same generation: {line:?}"
            );
        }
        let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
        for line in journal.iter().filter(|line| line[0] == "seen") {
            let generation: u64 = line[2].parse().expect("a generation");
            let released = won
                .get(&(line[1].clone(), generation))
                .map_or("empty", String::as_str);
            assert_eq!(line[3], released, "{line:?}");
            let newest = newest.entry(&line[1]).or_default();
            *newest = (*newest).max(generation);
        }
        for cache in CACHES {
            // Every release except the last was seen, and none is missing.
            let generations: Vec<u64> = won
                .keys()
                .filter(|(c, _)| c == cache)
                .map(|(_, g)| *g)
                .collect();
            assert_eq!(
                generations,
                (1..=generations.len() as u64).collect::<Vec<_>>()
            );
        }
        let count = |word: &str| journal.iter().filter(|line| line[0] == word).count();
        assert_eq!(count("finished"), PROCESSES);
        println!(
            "{way:?}: {} leases, {} won, {} lost",
            count("seen"),
            count("won"),
            count("lost")
        );

        let store = root.open(way);
        settle(&store);
        let layers: usize = store
            .caches()
            .expect("a listing")
            .iter()
            .map(|row| row.layers)
            .sum();
        assert_eq!(root.left().len(), layers, "{:?}", root.left());
    }
}
