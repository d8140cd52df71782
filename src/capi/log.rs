//! The library's own log: for example, warnings about what could not be removed.
//!
//! The library logs through the `log` crate. Its logger is global to the process and may be called on any thread. C must not be
//! called back that way: a callback may run only during a call that C made, on C's own thread. Therefore lines are collected
//! once C has asked for that, and passed to C when C fetches them.

use std::collections::VecDeque;
use std::ffi::{CString, c_void};
use std::time::{Duration, Instant};

use log::{LevelFilter, Log, Metadata, Record};
use parking_lot::{Condvar, Mutex};

use crate::capi::arguments::named;
use crate::capi::callback::{OnLine, dstore_log_callback};
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::status::dstore_status;
use crate::capi::text::c_string;
use crate::error::{Error, ErrorKind, Result, for_people};

/// The severity of a line of the log.
#[repr(i32)]
#[derive(Clone, Copy, Debug)]
pub enum dstore_log_level {
    /// No lines.
    DSTORE_LOG_OFF = 0,
    /// Internal errors of the library.
    DSTORE_LOG_ERROR = 1,
    /// Problems that did not make a call fail: for example, something could not be removed.
    DSTORE_LOG_WARNING = 2,
    /// What was done.
    DSTORE_LOG_INFO = 3,
    /// How it was done.
    DSTORE_LOG_DEBUG = 4,
    /// Everything.
    DSTORE_LOG_TRACE = 5,
}

use dstore_log_level::*;

const LEVELS: [(i32, LevelFilter); 6] = [
    (DSTORE_LOG_OFF as i32, LevelFilter::Off),
    (DSTORE_LOG_ERROR as i32, LevelFilter::Error),
    (DSTORE_LOG_WARNING as i32, LevelFilter::Warn),
    (DSTORE_LOG_INFO as i32, LevelFilter::Info),
    (DSTORE_LOG_DEBUG as i32, LevelFilter::Debug),
    (DSTORE_LOG_TRACE as i32, LevelFilter::Trace),
];

/// The number of lines that wait to be fetched. Beyond that, the oldest line is dropped and
/// counted. Messages have a maximum length, so a host that never fetches loses some megabytes of
/// memory at most.
const LINES: usize = if cfg!(miri) { 16 } else { 4096 };

static COLLECTOR: Collector = Collector {
    state: Mutex::new(State {
        installed: false,
        lines: VecDeque::new(),
        lost: 0,
    }),
    more: Condvar::new(),
};

struct Collector {
    state: Mutex<State>,
    more: Condvar,
}

struct State {
    installed: bool,
    lines: VecDeque<Line>,
    lost: u64,
}

struct Line {
    level: i32,
    text: CString,
}

impl Log for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // A host program in Rust has lines of its own.
        metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.push(Line {
                level: record.level() as i32,
                text: c_string(for_people(record.args().to_string())),
            });
        }
    }

    fn flush(&self) {}
}

impl Collector {
    fn collect(&'static self, level: LevelFilter) -> Result<()> {
        let mut state = self.state.lock();
        if !state.installed {
            log::set_logger(self).map_err(|_| {
                let why = "a Rust logger is already installed in this process; it receives the library's log";
                Error::new(ErrorKind::Conflict, why)
            })?;
            state.installed = true;
        }
        log::set_max_level(level);
        Ok(())
    }

    fn push(&self, line: Line) {
        let mut state = self.state.lock();
        if state.lines.len() == LINES {
            state.lines.pop_front();
            state.lost += 1;
        }
        state.lines.push_back(line);
        self.more.notify_one();
    }

    /// Returns the oldest line. Waits for one until `deadline`.
    fn pop(&self, deadline: Instant) -> Option<Line> {
        let mut state = self.state.lock();
        while state.lines.is_empty() {
            if self.more.wait_until(&mut state, deadline).timed_out() && state.lines.is_empty() {
                return None;
            }
        }
        if state.lost > 0 {
            let text = format!(
                "{} earlier lines of the log were dropped because they were not fetched in time",
                state.lost
            );
            state.lost = 0;
            return Some(Line {
                level: DSTORE_LOG_WARNING as i32,
                text: c_string(text),
            });
        }
        state.lines.pop_front()
    }
}

/// Starts collecting the library's log, for all stores of the process: lines up to `level`, a
/// dstore_log_level. DSTORE_LOG_OFF stops collecting. Until this is called, nothing is collected.
/// Returns DSTORE_CONFLICT if the process's own Rust code has installed a logger, which then
/// receives the lines.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_log_collect(
    level: i32,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, || COLLECTOR.collect(named(level, LEVELS, "level")?))
}

/// Passes the lines that were collected and not fetched yet to `callback`, oldest first, on the
/// calling thread. If there are none, waits up to `timeout_ms` for the first; 0 does not wait. A
/// dedicated thread can write the log by calling this in a loop. If lines are not fetched, only the
/// newest few thousand are kept.
///
/// Blocks, for `timeout_ms` at most. May be NULL: user_data.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_log_fetch(
    timeout_ms: u64,
    callback: dstore_log_callback,
    user_data: *mut c_void,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |callback @ (callback, user_data): OnLine| {
        let now = Instant::now();
        // At most a year, so that the deadline is in the range of every clock.
        let limit = Duration::from_millis(timeout_ms).min(Duration::from_secs(365 * 24 * 60 * 60));
        let mut deadline = now + limit;
        while let Some(line) = COLLECTOR.pop(deadline) {
            callback.take(line.level, &line.text)?;
            deadline = now;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::{CStr, c_char};
    use std::ptr;

    use super::*;

    unsafe extern "C" fn note(
        user_data: *mut c_void,
        level: i32,
        line: *const c_char,
        length: usize,
    ) -> i32 {
        // SAFETY: the test passes a vector, and the caller a line.
        let (lines, line) =
            unsafe { (&mut *user_data.cast::<Vec<String>>(), CStr::from_ptr(line)) };
        assert_eq!(line.to_bytes().len(), length);
        lines.push(format!("{level} {}", line.to_string_lossy()));
        i32::from(line.to_bytes().ends_with(b"stop"))
    }

    fn fetch(timeout_ms: u64) -> (dstore_status, Vec<String>) {
        let mut lines = Vec::<String>::new();
        // SAFETY: the callback may be called with the vector.
        let status = unsafe {
            dstore_log_fetch(
                timeout_ms,
                Some(note),
                (&raw mut lines).cast(),
                ptr::null_mut(),
            )
        };
        // Other tests in this process may log lines, too.
        lines.retain(|line| line.contains("log-test"));
        (status, lines)
    }

    /// One test: there is one log.
    #[test]
    fn lines_are_collected_when_asked_for_and_kept_until_they_are_fetched() {
        // SAFETY: no output parameter for an error.
        let collect = |level| unsafe { dstore_log_collect(level, ptr::null_mut()) };
        log::error!("log-test before");
        assert_eq!(fetch(0), (dstore_status::DSTORE_OK, vec![]));

        assert_eq!(collect(DSTORE_LOG_WARNING as i32), dstore_status::DSTORE_OK);
        log::error!("log-test one");
        log::warn!("log-test two, stop");
        log::warn!("log-test three");
        log::info!("log-test four");
        log::error!(target: "somebody_else", "log-test five");
        let seen = |lines: &[&str]| {
            lines
                .iter()
                .map(|line| (*line).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            fetch(0),
            (
                dstore_status::DSTORE_CALLBACK,
                seen(&["1 log-test one", "2 log-test two, stop"])
            )
        );
        assert_eq!(
            fetch(0),
            (dstore_status::DSTORE_OK, seen(&["2 log-test three"]))
        );

        std::thread::scope(|scope| {
            // If a line of another test wakes it, it waits again.
            let waiter = scope.spawn(|| {
                loop {
                    let fetched = fetch(60_000);
                    if !fetched.1.is_empty() {
                        return fetched;
                    }
                }
            });
            std::thread::sleep(Duration::from_millis(50));
            log::error!("log-test woken");
            assert_eq!(
                waiter.join().expect("no panic"),
                (dstore_status::DSTORE_OK, seen(&["1 log-test woken"]))
            );
        });

        for n in 0..LINES + 10 {
            log::error!("log-test {n}");
        }
        let (_, lines) = fetch(0);
        assert!(
            lines.len() <= LINES
                && lines
                    .last()
                    .is_some_and(|line| line == &format!("1 log-test {}", LINES + 9))
        );
        assert_eq!(collect(DSTORE_LOG_OFF as i32), dstore_status::DSTORE_OK);
        log::error!("log-test after");
        assert_eq!(fetch(0), (dstore_status::DSTORE_OK, vec![]));
    }
}
