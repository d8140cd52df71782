//! No test waits for ever: what does not happen fails it with a reason.

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

/// Waits for the end of a process. One that does not end is killed after three minutes (where the long forms of the tests are
/// asked for: an hour), and fails the test.
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

/// Ends the whole test program, with the name of the test, when the test that made it is not over after a quarter of an
/// hour. The last resort: a thread that is stuck in the library cannot be made to fail.
pub struct Watch {
    // The thread sees that this is gone.
    _over: Sender<()>,
}

impl Watch {
    pub fn new() -> Self {
        let minutes = if is_long() { 240 } else { 15 };
        Watch::for_at_most(Duration::from_secs(60 * minutes), |said| {
            // Past the harness, which would keep it for a report that never comes.
            let _ = std::io::stderr().write_all(said.as_bytes());
            std::process::exit(101);
        })
    }

    /// Does something else with what there is to say after some other time.
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
