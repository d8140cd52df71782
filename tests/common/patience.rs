//! No test waits forever: if the awaited event does not happen, the test fails with a reason.

use std::io::Write;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Waits until `happened`, and fails the test if it does not within a minute.
pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed().as_secs() < 60, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for the end of a process. If it does not end in three minutes (in the long forms of the tests: an hour), it is killed,
/// and the test fails.
pub fn ended(child: &mut Child, what: &str) -> ExitStatus {
    let limit = Duration::from_secs(if is_long() { 3600 } else { 180 });
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("its state") {
            return status;
        }
        if began.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{what} has not ended after {limit:?}: killed");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_long() -> bool {
    ["DOCKER_STORE_TEST_LONG", "DOCKER_STORE_TEST_REAL"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// Ends the whole test program, with the name of the test, if the test that created this is not over after a quarter of an
/// hour. The last resort: a thread that hangs in the library cannot be made to fail.
pub struct Watch {
    // The thread notices that this was dropped.
    _over: Sender<()>,
}

impl Watch {
    pub fn new() -> Self {
        let minutes = if is_long() { 240 } else { 15 };
        Watch::for_at_most(Duration::from_secs(60 * minutes), |said| {
            // Not through the harness, which would hold it back for a report that never comes.
            let _ = std::io::stderr().write_all(said.as_bytes());
            std::process::exit(101);
        })
    }

    /// Passes the message to `say` after another time.
    pub fn for_at_most(limit: Duration, say: impl FnOnce(&str) + Send + 'static) -> Self {
        let (over, ends) = channel();
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test").to_owned();
        std::thread::spawn(move || {
            if ends.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                say(&format!(
                    "\ntest {test} ... FAILED: it is not over after {limit:?}\n"
                ));
            }
        });
        Watch { _over: over }
    }
}
