//! Cancels and deadlines: a call returns within two seconds, whatever the engine does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use docker_store::{Begun, Cancel, Error, ErrorKind, Limits, Step, Store};

use super::cells::{Cell, Fault, Told};
use super::keeping::KEEPING;
use super::matrix::{calls, chosen, one_in, play, sample};
use super::operations::ALL;
use crate::common::own_engine::OwnEngine;
use crate::common::{Root, begin, is_long, sh};

#[test]
fn a_call_of_an_engine_that_hangs_returns_within_two_seconds_of_a_cancel_or_a_deadline() {
    let calls = calls();
    let mut cells = Vec::new();
    for told in [Told::Cancel, Told::Deadline] {
        for operation in chosen(&[ALL, KEEPING]) {
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
    let cells = sample(cells, one_in(16));
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

/// A pipe without data: without a writer, and with a silent one.
fn silent(root: &Root) -> [(PathBuf, Option<std::fs::File>); 2] {
    [false, true].map(|written| {
        let path = root.path.join(format!("pipe-{written}"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).expect("a pipe");
        let both = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path);
        let writer = written.then(|| both.expect("the writer"));
        (path, writer)
    })
}

fn begin_within(store: &Store, base: Option<&str>, id: &str, limits: &Limits) -> Step {
    match store.begin(base, id, limits).expect("begun") {
        Begun::Step(step) => step,
        Begun::Present => panic!("{id} is there already"),
    }
}

#[test]
fn a_command_that_ends_is_seen_to_end_whatever_its_input_does() {
    let root = Root::new("stdin");
    let store = root.open_with_base();
    for (pipe, _writer) in silent(&root) {
        let mut step = begin(&store, "base", "one");
        let began = Instant::now();
        step.run(sh("echo done").stdin_file(&pipe)).expect("a run");
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}",
            began.elapsed()
        );
        step.abort().expect("aborted");
    }
}

type Reads = fn(&mut Step, &PathBuf) -> Result<(), Error>;

/// Reads from a pipe in a step named `id` until a cancel, and in another until a deadline.
fn ends_when_told(id: &str, store: &Store, base: Option<&str>, pipe: &PathBuf, read: Reads) {
    let cancel = Cancel::new();
    let limits = Limits::none().cancel(&cancel);
    let mut step = begin_within(store, base, id, &limits);
    let cancelling = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        cancel.cancel();
        Instant::now()
    });
    let error = read(&mut step, pipe).expect_err("cancelled");
    let ended = Instant::now();
    let late = ended.saturating_duration_since(cancelling.join().expect("cancelled"));
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{id}: {error}");
    assert!(late < Duration::from_secs(2), "{id}: {late:?}");
    drop(step);

    let mut step = begin_within(store, base, &format!("{id}-2"), &Limits::none());
    let began = Instant::now();
    step.limit(&Limits::none().timeout(Duration::from_secs(1)));
    let error = read(&mut step, pipe).expect_err("timed out");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{id}: {error}");
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{id}: {:?}",
        began.elapsed()
    );
}

#[test]
fn what_is_read_of_a_silent_pipe_ends_with_a_cancel_and_a_deadline() {
    let reads: [(&str, Option<&str>, Reads); 3] = [
        ("stdin", Some("base"), |step, pipe| {
            step.run(sh("cat").stdin_file(pipe)).map(drop)
        }),
        ("import", None, |step, pipe| {
            step.import_file(pipe, &mut |_| Ok(()))
        }),
        ("copy-in", Some("base"), |step, pipe| {
            step.copy_in_file("/in", pipe)
        }),
    ];
    let root = Root::new("silent");
    let store = root.open_with_base();
    // All concurrently, because each waits for more than a second.
    let pipes = silent(&root);
    std::thread::scope(|scope| {
        for (pipe, writer) in &pipes {
            for (name, base, read) in reads {
                let (store, id) = (&store, format!("{name}-{}", writer.is_some()));
                scope.spawn(move || ends_when_told(&id, store, base, pipe, read));
            }
        }
    });
    store
        .complete_deletes(&Limits::none().timeout(Duration::from_secs(60)))
        .expect("all removed");
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn an_engine_that_is_stopped_in_the_middle_of_a_command_holds_up_neither_a_cancel_nor_a_deadline() {
    if !is_long() {
        eprintln!("skipped: set DOCKER_STORE_TEST_LONG=1");
        return;
    }
    let Some(engine) = OwnEngine::start() else {
        return;
    };
    let root = std::env::temp_dir().join(format!("docker-store-stopped-{}", std::process::id()));
    std::fs::create_dir(&root).expect("a root");
    let mut options = docker_store::Options::new();
    options.engine(engine.address());
    let store = Store::open(&root, &options).expect("a store");
    crate::common::import_base(&store, "base");
    for cancels in [true, false] {
        let id = format!("stopped-{cancels}");
        let cancel = Cancel::new();
        let limits = match cancels {
            true => Limits::none().cancel(&cancel),
            false => Limits::none().timeout(super::cells::DEADLINE),
        };
        let told = Instant::now() + super::cells::DEADLINE;
        let (ran, aborted) = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(1500));
                engine.signal("-STOP");
                std::thread::sleep(told.saturating_duration_since(Instant::now()));
                cancel.cancel();
            });
            let mut step = begin_within(&store, Some("base"), &id, &limits);
            let error = step
                .run(&sh("echo begun; sleep 60"))
                .expect_err("told to end");
            assert!(
                matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::TimedOut),
                "{error}"
            );
            let ran = Instant::now();
            step.abort().expect_err("nobody knows");
            (ran.saturating_duration_since(told), ran.elapsed())
        });
        println!(
            "stopped, cancelled: {cancels}: run returned after {ran:?}, abort after {aborted:?}"
        );
        assert!(ran < Duration::from_secs(2), "{ran:?}");
        assert!(aborted < Duration::from_secs(2), "{aborted:?}");
        let began = Instant::now();
        let soon = Limits::none().timeout(Duration::from_secs(1));
        store.result_within("base", &soon).expect_err("stopped");
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{:?}",
            began.elapsed()
        );
        engine.signal("-CONT");
        // The worker continues, and the id can be built.
        store
            .complete_deletes(&Limits::none().timeout(Duration::from_secs(60)))
            .expect("all removed");
        crate::common::build(&store, "base", &id, "true");
    }
    store.close().expect("closed");
    let _ = std::fs::remove_dir_all(&root);
}
