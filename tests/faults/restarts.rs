//! An engine that is killed or stopped, and restarted, in the middle of everything; with containers that are stopped with it,
//! and with `live-restore`, which keeps them. The same handle continues, and no answer is false.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use docker_store::{Limits, Options};

use super::cells::{Cell, Fault, Moment, Told};
use super::keeping::KEEPING;
use super::matrix::{chosen, count, one_in, play, sample};
use super::operations::{ALL, BUILDS};
use crate::common::is_long;
use crate::common::own_engine::{OwnEngine, restart_daemon, signal_daemon};
use crate::common::proxy::{Act, FAILED, Proxy};
use crate::common::{Root, begin, import_base, sh};

const TEST: &str = "faults::restarts::an_engine_that_is_started_again_in_the_middle_of_any_call_takes_nothing_along";

/// In a child of this test: where the engine is that may be stopped, which is the one in `DOCKER_HOST`.
pub fn folder() -> Option<PathBuf> {
    std::env::var_os("DOCKER_STORE_TEST_RESTARTS").map(PathBuf::from)
}

/// Stops the engine, and starts it again.
pub fn begin_restart(signal: &'static str, moment: Moment) -> JoinHandle<()> {
    let folder = folder().expect("an engine of our own");
    if moment == Moment::Before {
        signal_daemon(&folder, signal);
    }
    std::thread::spawn(move || {
        if let Moment::After(time) = moment {
            std::thread::sleep(Duration::from_millis(time));
            signal_daemon(&folder, signal);
        }
        restart_daemon(&folder);
    })
}

const ENDS: [(&str, Moment); 6] = [
    ("-KILL", Moment::Before),
    ("-KILL", Moment::After(1)),
    ("-KILL", Moment::After(30)),
    ("-TERM", Moment::Before),
    ("-TERM", Moment::After(1)),
    ("-TERM", Moment::After(30)),
];

#[test]
fn an_engine_that_is_started_again_in_the_middle_of_any_call_takes_nothing_along() {
    if folder().is_some() {
        return play_all();
    }
    std::thread::scope(|scope| {
        for config in ["{}", LIVE] {
            scope.spawn(move || {
                let Some(engine) = OwnEngine::start_with(config) else {
                    return;
                };
                let program = std::env::current_exe().expect("this program");
                let played = Command::new(program)
                    .args(["--exact", TEST, "--nocapture", "--test-threads", "1"])
                    .env("DOCKER_STORE_TEST_RESTARTS", &engine.folder)
                    .env(
                        "DOCKER_STORE_TEST_RESTARTS_LIVE",
                        (config == LIVE).to_string(),
                    )
                    .env("DOCKER_HOST", engine.address())
                    .env_remove("DOCKER_STORE_TEST_SOCKET")
                    .status();
                assert!(played.expect("a child").success(), "with {config}");
            });
        }
    });
}

const LIVE: &str = r#"{"live-restore": true}"#;

/// An operation, what stops the engine and when, and at which call.
type End = (&'static str, (&'static str, Moment), usize);

/// Without and with `live-restore`, in the ordinary run: which stop, at which call of which operation. One of a build, when its
/// container starts and when it is committed; and one where much is held.
const SAMPLE: [[End; 2]; 2] = [
    [
        ("slow-build", ("-KILL", Moment::After(30)), 3),
        ("held", ("-TERM", Moment::Before), 0),
    ],
    [
        ("slow-build", ("-TERM", Moment::After(1)), 3),
        ("slow-build", ("-KILL", Moment::Before), 5),
    ],
];

/// A few stops, or every stop at every call of every operation.
fn play_all() {
    if is_long() {
        return play_each();
    }
    let live = std::env::var("DOCKER_STORE_TEST_RESTARTS_LIVE") == Ok(true.to_string());
    let cells = SAMPLE[usize::from(live)].map(|(name, (signal, moment), call)| Cell {
        operation: BUILDS
            .iter()
            .find(|o| o.name == name)
            .expect("there is one"),
        fault: Fault::Restart(signal, moment),
        call,
        told: Told::Not,
    });
    let wrong = play("restarts", &cells, &|cell, outcome| {
        assert!(outcome.met, "there is no such call: {cell}");
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn play_each() {
    let operations = chosen(&[ALL, KEEPING, BUILDS]);
    let calls = count(&operations);
    let mut cells = Vec::new();
    for operation in operations {
        for (signal, moment) in ENDS {
            for call in 0..calls[operation.name] {
                cells.push(Cell {
                    operation,
                    fault: Fault::Restart(signal, moment),
                    call,
                    told: Told::Not,
                });
            }
        }
    }
    let all = cells.len();
    let cells = sample(cells, one_in(2));
    let wrong = play("restarts", &cells, &|_, _| {});
    println!(
        "{} of {all} cells tried, {} passed",
        cells.len(),
        cells.len() - wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_secrets_of_a_container_that_could_not_be_removed_go_with_it_later() {
    let root = Root::new("secrets");
    let refused = Arc::new(AtomicBool::new(false));
    let refuses = Arc::clone(&refused);
    let proxy = Proxy::new(&root.path, move |_, line| {
        let removes = line.starts_with("DELETE") && line.contains("/containers/");
        match removes && refuses.load(Ordering::SeqCst) {
            true => Act::Answer(FAILED),
            false => Act::Pass,
        }
    });
    let mut options = Options::new();
    options.engine(&proxy.address);
    let store = root.open_with(&options);
    import_base(&store, "base");
    for aborts in [true, false] {
        let mut step = begin(&store, "base", if aborts { "one" } else { "two" });
        step.run(sh("true").secret("/secret", "x", (0, 0), 0o400))
            .expect("a run");
        refused.store(true, Ordering::SeqCst);
        match aborts {
            true => drop(step.abort().expect_err("refused")),
            false => drop(step),
        }
        store
            .complete_deletes(&Limits::none().timeout(Duration::from_secs(30)))
            .expect("tried");
    }
    store.close().expect("closed");
    refused.store(false, Ordering::SeqCst);
    root.open_with(&options).purge().expect("purged");
    assert_eq!(root.leftovers(), Vec::<String>::new());
}
