//! [`Limits`] and [`Wait`]: how long a call may wait, and what may end it sooner.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::os::Watched;

/// How far beyond its caller's end a call goes that is not cut off in the middle, and all that cleans up after it: together,
/// and whatever the engine does. What is not done by then is left to the worker, or to the next open of the root. Calls return
/// within two seconds of their end: this leaves half a second for a busy machine.
pub(crate) const GRACE: Duration = Duration::from_millis(1500);

/// For how long cleaning up holds a caller who has not been told to end. The worker does the rest. Removing a container and its
/// tags takes some ten milliseconds on an idle engine, and seconds on a busy one; a longer wait would hold up a caller whose
/// work is done, a shorter one would leave more to the worker.
pub(crate) const CLEAN_UP: Duration = Duration::from_secs(10);

/// How often a wait looks at its [`Cancel`] when the system has no descriptors left to wake it with. A cancel is late by this
/// much then; that is seldom, so twenty looks a second cost nothing that counts.
const SLICE: Duration = Duration::from_millis(50);

/// No poll sleeps longer (it is simply asked again), so that a far deadline fits any system's `timespec`.
const LONGEST_POLL: Duration = Duration::from_secs(24 * 60 * 60);

/// What may end a call, or all calls of one step, before they are done: a deadline and a [`Cancel`]. None by default.
///
/// A call that is told to end returns within two seconds, whatever the engine does. What it had begun, and the engine may
/// still be at, is undone in the background, or by the next open of the root.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    deadline: Option<Instant>,
    cancel: Option<Cancel>,
}

impl Limits {
    /// No deadline, and nothing to cancel it.
    pub fn none() -> Self {
        Limits::default()
    }

    /// Ends what is not done by `deadline`.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Ends what is not done `timeout` from now.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        // A timeout past the end of the clock is none.
        self.deadline = Instant::now().checked_add(timeout);
        self
    }

    /// Ends what is not done when `cancel` is turned on.
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// The wait of a call that begins now.
    pub(crate) fn wait(&self) -> Wait<'_> {
        Wait::new(self.deadline, self.cancel.as_ref())
    }
}

/// The bound on every wait of a call. Handed down by value.
///
/// An ordinary one ends at the caller's deadline or [`Cancel`], at once. One that is [`whole`](Self::whole) goes [`GRACE`]
/// beyond, for short calls that must not be cut off in the middle: the engine would go on with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait<'a> {
    deadline: Option<Instant>,
    cancel: Option<&'a Cancel>,
    /// When the caller's call began: what is cleaned up long after the caller's end has its time, too.
    began: Instant,
    whole: bool,
    /// What ends one call of a whole wait, whatever the caller wants.
    bound: Option<Instant>,
}

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    TimedOut,
    Cancelled,
}

/// Why bytes did not move.
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
    /// No limit was asked for, or nobody waits: a worker's own. Each engine call still has a bound of its own.
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

    /// The same wait, of a call that began at `began`.
    pub(crate) fn since(self, began: Instant) -> Self {
        Wait { began, ..self }
    }

    /// The same wait, of somebody who was told to end at `told`, if at all.
    pub(crate) fn told(self, told: Option<Instant>) -> Self {
        let deadline = match (self.deadline, told) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Wait { deadline, ..self }
    }

    /// The deadline, if it has passed.
    pub(crate) fn passed(&self) -> Option<Instant> {
        self.deadline.filter(|at| until(*at).is_none())
    }

    /// The same wait, for a call that is not cut off in the middle.
    pub(crate) fn whole(self) -> Self {
        Wait {
            whole: true,
            ..self
        }
    }

    /// The same wait, for cleaning up: also after the caller's end, and never for long.
    pub(crate) fn clean_up(self) -> Self {
        self.whole().at_most(CLEAN_UP)
    }

    /// The same wait, ended after `limit` at the latest.
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

    /// The time left (`None`: no end), or why there is none.
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

    /// What else to wait for: what comes with a cancel, and how long one wait may last. Or why the wait is over.
    fn alarm(&self) -> Result<(Option<Watched<'a>>, Duration), Stop> {
        // In this order: a switch turned on after its descriptor is there writes to it, one turned on before is seen on.
        let wake = self.cancel.map(Cancel::wake);
        // A switch that is on, in a wait that goes on all the same, would end every poll at once.
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

/// The time until `at`, if there is any.
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
        // The grace is one, whatever it is asked for.
        let long_ago = Wait {
            began: ago(GRACE * 3),
            ..Wait::new(Some(ago(GRACE * 2)), None)
        };
        assert_eq!(long_ago.whole().left(), Err(Stop::TimedOut));
        assert_eq!(long_ago.clean_up().left(), Err(Stop::TimedOut));
        // But a call that begins after the end has its own.
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
