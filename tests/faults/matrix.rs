//! The fault matrix: every operation × every fault × every call, on a real engine. The ordinary run tries a sample of it.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use super::cells::{Cell, Fault, Ground, Told};
use super::keeping::KEEPING;
use super::operations::{ALL, BUILDS, Operation};
use crate::common::amount;
use crate::common::proxy::{Act, FAILED};

const FAULTS: &[Fault] = &[
    Fault::Once(Act::Delay(300)),
    Fault::Once(Act::Slices),
    Fault::Once(Act::CutBefore),
    Fault::Once(Act::CutRequest(1)),
    Fault::Once(Act::CutRequest(60)),
    Fault::Once(Act::CutRequest(200)),
    Fault::Once(Act::CutAfter),
    Fault::Once(Act::Truncate(1)),
    Fault::Once(Act::Truncate(17)),
    Fault::Once(Act::Truncate(150)),
    Fault::Once(Act::Truncate(400)),
    Fault::Once(Act::Reset),
    Fault::Once(Act::Stall),
    Fault::Once(Act::StallAfter),
    Fault::Once(Act::HalfClose),
    Fault::Once(Act::Answer(FAILED)),
    Fault::Once(Act::AnswerAfter(FAILED)),
    Fault::Again(3),
];

/// How an operation is stopped that would not end by itself.
fn told(fault: Fault) -> Told {
    match fault {
        Fault::Once(Act::Stall | Act::StallAfter) => Told::Cancel,
        _ => Told::Not,
    }
}

/// Plays `cells` on as many roots as the machine has processors, and twice that; returns what was wrong.
pub fn play(
    name: &str,
    cells: &[Cell],
    each: &(dyn Fn(&Cell, &super::cells::Outcome) + Sync),
) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    // An engine that is stopped is stopped for all.
    let threads = match super::restarts::folder() {
        Some(_) => 1,
        None => std::thread::available_parallelism().map_or(2, usize::from) * 2,
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(cells.len()) {
            scope.spawn(|| {
                let mut ground = None;
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let played = catch_unwind(AssertUnwindSafe(|| {
                        let ground = ground.get_or_insert_with(|| Ground::new(name));
                        ground.prepare();
                        ground.play(*cell)
                    }));
                    let said = match played {
                        Ok(outcome) => {
                            each(cell, &outcome);
                            outcome.said()
                        }
                        Err(panic) => Some(format!("a panic: {}", text(&*panic))),
                    };
                    if let Some(said) = said {
                        let line = format!("{cell}: {said}");
                        println!("{line}");
                        wrong.lock().expect("unpoisoned").push(line);
                        // Its leftovers must not be blamed on the next one.
                        ground = None;
                    }
                }
            });
        }
    });
    wrong.into_inner().expect("unpoisoned")
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a word")
}

/// How many calls each operation makes, on an engine without faults.
pub fn calls() -> &'static BTreeMap<&'static str, usize> {
    static CALLS: OnceLock<BTreeMap<&'static str, usize>> = OnceLock::new();
    CALLS.get_or_init(|| count(&chosen(&[ALL, KEEPING])))
}

pub fn count(operations: &[&'static Operation]) -> BTreeMap<&'static str, usize> {
    let counted = Mutex::new(BTreeMap::new());
    let cells: Vec<Cell> = operations
        .iter()
        .map(|operation| Cell {
            operation,
            fault: Fault::None,
            call: 0,
            told: Told::Not,
        })
        .collect();
    let wrong = play("counts", &cells, &|cell, outcome| {
        let mut counted = counted.lock().expect("unpoisoned");
        counted.insert(cell.operation.name, outcome.calls);
    });
    assert_eq!(wrong, Vec::<String>::new(), "without any fault");
    counted.into_inner().expect("unpoisoned")
}

/// Every cell, or one in `one_in` of them; a different sample for each `DOCKER_STORE_TEST_SEED`.
pub fn sample<T>(cells: Vec<T>, one_in: usize) -> Vec<T> {
    let seed = std::env::var("DOCKER_STORE_TEST_SEED");
    let seed: usize = seed.ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    // A step that is coprime to most lengths, so that neighbours are of different kinds.
    cells
        .into_iter()
        .enumerate()
        .filter(|(n, _)| (n * 7919 + seed) % one_in == 0)
        .map(|(_, cell)| cell)
        .collect()
}

/// The operations that `DOCKER_STORE_TEST_OPERATIONS` names, separated by commas; without it, `all`.
pub fn chosen(all: &[&'static [Operation]]) -> Vec<&'static Operation> {
    let named = std::env::var("DOCKER_STORE_TEST_OPERATIONS");
    let every = all.iter().copied().flatten();
    match &named {
        Ok(named) => {
            let is_named = |operation: &&Operation| named.split(',').any(|n| n == operation.name);
            ALL.iter()
                .chain(KEEPING)
                .chain(BUILDS)
                .filter(is_named)
                .collect()
        }
        Err(_) => every.collect(),
    }
}

/// One in how many cells is tried: in a long run 1, or the number in `DOCKER_STORE_TEST_ONE_IN`.
pub fn one_in(short: usize) -> usize {
    let said = std::env::var("DOCKER_STORE_TEST_ONE_IN").ok();
    let said = said.and_then(|n| n.parse().ok());
    said.unwrap_or(amount(short, 1))
}

#[test]
fn whatever_happens_to_a_call_the_answer_is_true_and_in_time_and_nothing_is_lost_or_left() {
    let calls = calls();
    let mut cells = Vec::new();
    for operation in chosen(&[ALL, KEEPING]) {
        for &fault in FAULTS {
            for call in 0..calls[operation.name] {
                cells.push(Cell {
                    operation,
                    fault,
                    call,
                    told: told(fault),
                });
            }
        }
    }
    let all = cells.len();
    let cells = sample(cells, one_in(240));
    let figures = Mutex::new(BTreeMap::<_, (usize, usize)>::new());
    let wrong = play("matrix", &cells, &|cell, outcome| {
        let mut figures = figures.lock().expect("unpoisoned");
        let row = figures.entry(cell.operation.name).or_default();
        row.0 += 1;
        row.1 += usize::from(outcome.wrong.is_empty());
    });
    println!("| operation | cells | passed |");
    println!("|---|---|---|");
    for (name, (tried, passed)) in figures.into_inner().expect("unpoisoned") {
        println!("| {name} | {tried} | {passed} |");
    }
    println!(
        "{} of {all} cells tried, {} passed",
        cells.len(),
        cells.len() - wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
