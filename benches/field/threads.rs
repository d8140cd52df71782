//! Lookups from many threads concurrently, and the total throughput.

use std::sync::Barrier;
use std::thread;

use crate::bare::Bare;
use crate::plot::Plot;
use crate::race::{Series, Times, Way, race};
use crate::report::{Bound, Report, Section, Table};
use crate::unit::Unit;
use crate::world::World;

/// Lookups of each thread.
const EACH: usize = 100;

const TEXT: &str = "\
    Each thread looks up a result that is there a hundred times. The bare client has a socket for each thread, connected \
    before the clock runs; docker-store's threads share one store and its pool of at most 16 idle connections. \
    bollard has a task for each, docker-py a thread.";

pub(crate) fn measure(world: &World, report: &mut Report) {
    let mut section = Section::new("Looks from many threads", TEXT);
    let mut groups = Vec::new();
    for count in [1, 8, 64] {
        let title = format!("{count} thread{}", if count == 1 { "" } else { "s" });
        let rows = looks(world, count, &title);
        let unit = Unit::Rate((count * EACH) as f64, "looks");
        let table = Table::new(&title, unit, "bare sockets", rows);
        // 0.9 of the throughput is 1/0.9 of the time.
        let bound = Bound::AtMost(1.11);
        report.judge(
            &format!("looks from {title}"),
            &table,
            ["docker-store", "bare sockets"],
            bound,
        );
        groups.push((title, scaled(&table.rows, count)));
        section.tables.push(table);
    }
    section.plots.push(Plot {
        file: "threads",
        title: String::from("Looks per second, from 1, 8 and 64 threads"),
        unit: Unit::Rate(1.0, "looks"),
        logarithmic: false,
        groups,
    });
    report.add(section);
}

/// The time of one lookup, so that groups of different sizes fit one plot.
fn scaled(rows: &[Series], count: usize) -> Vec<Series> {
    let looks = (count * EACH) as f64;
    rows.iter().map(|row| row.divided(looks)).collect()
}

fn looks(world: &World, count: usize, title: &str) -> Vec<Series> {
    let request = world.inspect(&world.image("base"));
    let mut sockets: Vec<Bare> = (0..count).map(|_| Bare::connect(&world.socket)).collect();
    let mut ways = vec![
        Way::new("bare sockets", |times: &mut Times| {
            let looks = sockets.iter_mut().map(|socket| {
                let request = &request;
                move || {
                    for _ in 0..EACH {
                        assert_eq!(socket.ask(request), 200);
                    }
                }
            });
            at_once(times, looks.collect());
        }),
        Way::new("docker-store", |times| {
            let store = &world.store;
            let looks = (0..count).map(|_| {
                || {
                    for _ in 0..EACH {
                        assert!(store.result("base").expect("a look"));
                    }
                }
            });
            at_once(times, looks.collect());
        }),
    ];
    let command = format!("threads {} {count} {EACH}", world.image("base"));
    let others = world.others().filter(|_| count < 64 || !world.quick);
    ways.extend(others.map(|other| {
        let command = command.clone();
        Way::new(other.name, move |times| other.ask(&command, times))
    }));
    race(
        title,
        match count {
            // Few threads are finished soon, and short measurements are noisy.
            1 => world.pick(15, 60),
            8 => world.pick(4, 20),
            _ => world.pick(3, 10),
        },
        ways,
    )
}

/// Runs each of `works` in a separate thread. The clock runs from when all are ready until the last has ended.
pub(crate) fn at_once<W: FnOnce() + Send>(times: &mut Times, works: Vec<W>) {
    let ready = Barrier::new(works.len() + 1);
    thread::scope(|scope| {
        let threads: Vec<_> = works
            .into_iter()
            .map(|work| {
                let ready = &ready;
                scope.spawn(move || {
                    ready.wait();
                    work();
                })
            })
            .collect();
        ready.wait();
        times.time(|| {
            for thread in threads {
                thread.join().expect("no panic");
            }
        });
    });
}
