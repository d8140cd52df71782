//! [`Limits`] and [`Wait`]: how long a call may wait, and what may stop it sooner.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::os::Watched;

/// How far a call that must not be interrupted, and all cleaning up after it, may exceed the caller's end: in total, and
/// whatever the engine does. What is not done by then is left to the worker, or to the next open of the root. Calls return
/// within two seconds of their end; this leaves half a second for a busy machine.
pub(crate) const GRACE: Duration = Duration::from_millis(1500);

/// How long cleaning up may hold a caller whose deadline has not passed and who has not cancelled. The worker does the rest.
/// Removing a container and its tags takes some ten milliseconds on an idle engine, and seconds on a busy one. A longer time
/// would hold up a caller whose work is done; a shorter one would leave more to the worker.
pub(crate) const CLEAN_UP: Duration = Duration::from_secs(10);

/// How often a wait checks its [`Cancel`] if the system has no descriptors left for waking it. A cancel is late by up to this
/// much in that case. The case is rare, so twenty checks a second do not matter.
const SLICE: Duration = Duration::from_millis(50);

/// The maximum duration of one poll, which is then repeated, so that a distant deadline fits any system's `timespec`.
const LONGEST_POLL: Duration = Duration::from_secs(24 * 60 * 60);

/// Limits on a call, or on all calls of one step: a deadline and a [`Cancel`]. By default there are none.
///
/// When a limit is reached, the call returns within two seconds, whatever the engine does. What it had begun, and the engine
/// may still be doing, is undone in the background, or by the next open of the root.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    deadline: Option<Instant>,
    cancel: Option<Cancel>,
}

impl Limits {
    /// Returns limits without a deadline and without a cancellation token.
    pub fn none() -> Self {
        Limits::default()
    }

    /// Stops what is not done by `deadline`.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Stops what is not done `timeout` from now.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        // A timeout beyond the end of the clock means no deadline.
        self.deadline = Instant::now().checked_add(timeout);
        self
    }

    /// Stops what is not done when `cancel` is triggered.
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// Returns the wait of a call that begins now.
    pub(crate) fn wait(&self) -> Wait<'_> {
        Wait::new(self.deadline, self.cancel.as_ref())
    }
}

/// The bound on every wait of a call. Passed down by value.
///
/// An ordinary wait ends immediately at the caller's deadline or [`Cancel`]. A [`whole`](Self::whole) wait continues for
/// [`GRACE`] beyond. It is for short calls that must not be interrupted, because the engine would continue with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait<'a> {
    deadline: Option<Instant>,
    cancel: Option<&'a Cancel>,
    /// When the caller's call began: a cleanup that starts long after the caller's end still gets its time.
    began: Instant,
    whole: bool,
    /// Ends one call of a whole wait, independent of the caller's limits.
    bound: Option<Instant>,
}

/// Why a wait ended before what it waited for happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    TimedOut,
    Cancelled,
}

/// Why no bytes were transferred.
#[derive(Debug)]
pub(crate) enum Fault {
    Io(io::Error),
    Stopped(Stop),
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        Fault::Stopped(stop)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Io(error)
    }
}

impl<'a> Wait<'a> {
    /// Returns a wait without limits: none were set, or a worker waits and not a caller. Each engine call still has a bound of
    /// its own.
    pub(crate) fn unbounded() -> Self {
        Wait::new(None, None)
    }

    pub(crate) fn new(deadline: Option<Instant>, cancel: Option<&'a Cancel>) -> Self {
        Wait {
            deadline,
            cancel,
            began: Instant::now(),
            whole: false,
            bound: None,
        }
    }

    /// Returns the same wait, for a call that began at `began`.
    pub(crate) fn since(self, began: Instant) -> Self {
        Wait { began, ..self }
    }

    /// Returns the same wait, for a caller whose own limit was reached at `told`, if it is set.
    pub(crate) fn told(self, told: Option<Instant>) -> Self {
        let deadline = match (self.deadline, told) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Wait { deadline, ..self }
    }

    /// Returns the deadline, if it has passed.
    pub(crate) fn passed(&self) -> Option<Instant> {
        self.deadline.filter(|at| until(*at).is_none())
    }

    /// Returns the same wait, for a call that must not be interrupted.
    pub(crate) fn whole(self) -> Self {
        Wait {
            whole: true,
            ..self
        }
    }

    /// Returns the same wait, for cleaning up: it continues after the caller's end, but never for long.
    pub(crate) fn clean_up(self) -> Self {
        self.whole().at_most(CLEAN_UP)
    }

    /// Returns the same wait, ended after `limit` at the latest.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        let until = Instant::now().checked_add(limit);
        let earlier = |end: Option<Instant>| match (end, until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        match self.whole {
            true => Wait {
                bound: earlier(self.bound),
                ..self
            },
            false => Wait {
                deadline: earlier(self.deadline),
                ..self
            },
        }
    }

    /// Returns the time left (`None`: unlimited), or the reason why there is none.
    pub(crate) fn left(&self) -> Result<Option<Duration>, Stop> {
        let cancelled = self.cancel.and_then(Cancel::since);
        if !self.whole {
            return match (cancelled, self.deadline) {
                (Some(_), _) => Err(Stop::Cancelled),
                (None, None) => Ok(None),
                (None, Some(at)) => until(at).ok_or(Stop::TimedOut).map(Some),
            };
        }
        let told = match (cancelled, self.deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let end = told.and_then(|at| at.max(self.began).checked_add(GRACE));
        let end = match (end, self.bound) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        match end {
            None => Ok(None),
            Some(at) => match until(at) {
                Some(left) => Ok(Some(left)),
                None if cancelled.is_some() => Err(Stop::Cancelled),
                None => Err(Stop::TimedOut),
            },
        }
    }

    /// Returns what else to wait for, which is the wake object of the cancel, and how long one poll may last; or why the wait
    /// is over.
    fn alarm(&self) -> Result<(Option<Watched<'a>>, Duration), Stop> {
        // In this order: a token that is triggered after its descriptor exists writes to it, and one that was triggered before
        // is seen by the check.
        let wake = self.cancel.map(Cancel::wake);
        // In a wait that continues after the cancel, a triggered token would end every poll immediately.
        let is_on = self.cancel.is_some_and(Cancel::is_cancelled);
        let left = self.left()?.unwrap_or(LONGEST_POLL).min(LONGEST_POLL);
        Ok(match wake {
            _ if is_on => (None, left),
            None => (None, left),
            Some(None) => (None, left.min(SLICE)),
            Some(Some(wake)) => (Some(wake), left),
        })
    }
}

/// Returns the time until `at`, if it is in the future.
fn until(at: Instant) -> Option<Duration> {
    at.checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(time: Duration) -> Instant {
        Instant::now()
            .checked_sub(time)
            .expect("the machine has been up for a while")
    }

    #[test]
    fn a_whole_wait_goes_a_little_beyond_its_callers_end_and_no_further() {
        let cancel = Cancel::new();
        let past = Wait::new(Some(ago(Duration::from_millis(100))), None);
        assert_eq!(past.left(), Err(Stop::TimedOut));
        let left = past.whole().left().expect("some is left").expect("an end");
        assert!(left <= GRACE && left > GRACE / 2, "{left:?}");
        let open = Wait::new(None, Some(&cancel));
        assert_eq!((open.left(), open.whole().left()), (Ok(None), Ok(None)));
        cancel.cancel();
        assert_eq!(open.left(), Err(Stop::Cancelled));
        let left = open.whole().left().expect("some is left").expect("an end");
        assert!(left <= GRACE && left > GRACE / 2, "{left:?}");
        // There is one period of grace, however often `whole` is applied.
        let long_ago = Wait {
            began: ago(GRACE * 3),
            ..Wait::new(Some(ago(GRACE * 2)), None)
        };
        assert_eq!(long_ago.whole().left(), Err(Stop::TimedOut));
        assert_eq!(long_ago.clean_up().left(), Err(Stop::TimedOut));
        // But a call that begins after the end has its own grace.
        let later = Wait::new(Some(ago(GRACE * 2)), None);
        assert!(later.whole().left().is_ok());
    }

    #[test]
    fn what_ended_a_wait_is_the_callers_word_before_the_clocks() {
        let cancel = Cancel::new();
        let wait = Wait::new(None, Some(&cancel))
            .whole()
            .at_most(Duration::ZERO);
        assert_eq!(wait.left(), Err(Stop::TimedOut));
        cancel.cancel();
        assert_eq!(wait.left(), Err(Stop::Cancelled));
    }

    #[test]
    fn cleaning_up_ends_even_where_nobody_asked_for_an_end() {
        let left = Wait::unbounded().clean_up().left();
        let left = left.expect("some is left").expect("an end");
        assert!(left <= CLEAN_UP, "{left:?}");
        assert_eq!(Wait::unbounded().whole().left(), Ok(None));
    }

    #[test]
    fn a_cancelled_wait_that_goes_on_sleeps() {
        let cancel = Cancel::new();
        let wait = Wait::new(None, Some(&cancel)).whole();
        cancel.cancel();
        let began = Instant::now();
        wait.sleep(Duration::from_millis(50)).expect("goes on");
        assert!(began.elapsed() >= Duration::from_millis(45));
        assert!(wait.alarm().expect("goes on").0.is_none());
    }
}
