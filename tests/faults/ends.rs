//! Told to end, it ends: within two seconds after a cancel or a deadline, whatever the engine does.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use super::cells::{Cell, Fault, Told};
use super::matrix::{calls, is_long, play, sample};
use super::operations::ALL;

#[test]
fn a_call_of_an_engine_that_hangs_returns_within_two_seconds_of_a_cancel_or_a_deadline() {
    let calls = calls();
    let mut cells = Vec::new();
    for told in [Told::Cancel, Told::Deadline] {
        for operation in ALL {
            for call in 0..calls[operation.name] {
                cells.push(Cell {
                    operation,
                    fault: Fault::Hangs,
                    call,
                    told,
                });
            }
        }
    }
    let all = cells.len();
    let cells = sample(cells, if is_long() { 1 } else { 16 });
    let latest = Mutex::new(BTreeMap::<_, (usize, Duration)>::new());
    let wrong = play("ends", &cells, &|cell, outcome| {
        let mut latest = latest.lock().expect("unpoisoned");
        let told = if cell.told == Told::Cancel {
            "cancel"
        } else {
            "deadline"
        };
        let row = latest.entry((cell.operation.name, told)).or_default();
        *row = (row.0 + 1, row.1.max(outcome.late));
    });
    println!("| operation | told by | cells | returned at the latest after |");
    println!("|---|---|---|---|");
    for ((name, told), (cells, late)) in latest.into_inner().expect("unpoisoned") {
        println!("| {name} | {told} | {cells} | {} ms |", late.as_millis());
    }
    println!(
        "{} of {all} cells tried, {} passed",
        cells.len(),
        cells.len() - wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
