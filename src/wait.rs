//! [`Limits`] and [`Wait`]: how long a call may wait, and what may end it sooner.

use std::time::{Duration, Instant};

use crate::cancel::Cancel;

/// What may end a call, or all calls of one step, before they are done: a deadline and a [`Cancel`]. None by default.
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

    pub(crate) fn wait(&self) -> Wait<'_> {
        Wait {
            deadline: self.deadline,
            cancel: self.cancel.as_ref(),
        }
    }
}

/// The bound on every wait of a call: a deadline and a [`Cancel`], each optional. Handed down by value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wait<'a> {
    deadline: Option<Instant>,
    cancel: Option<&'a Cancel>,
}

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    TimedOut,
    Cancelled,
}

impl<'a> Wait<'a> {
    /// Waits without an end.
    pub(crate) const fn forever() -> Self {
        Wait {
            deadline: None,
            cancel: None,
        }
    }

    pub(crate) fn new(deadline: Option<Instant>, cancel: Option<&'a Cancel>) -> Self {
        Wait { deadline, cancel }
    }

    /// The same wait, ended after `limit` at the latest.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        let until = Instant::now().checked_add(limit);
        Wait {
            deadline: match (self.deadline, until) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            ..self
        }
    }

    pub(crate) fn cancel(&self) -> Option<&'a Cancel> {
        self.cancel
    }

    /// Waits for `pause`, less if the deadline or the [`Cancel`] ends it sooner: then says so.
    pub(crate) fn sleep(&self, pause: Duration) -> Result<(), Stop> {
        let wake = self.cancel.and_then(Cancel::wake);
        let left = self.left()?.map_or(pause, |left| left.min(pause));
        match wake {
            Some(wake) => {
                use rustix::event::{PollFd, PollFlags, poll};
                let mut fds = [PollFd::new(wake, PollFlags::IN)];
                // An interrupted or failed poll only ends the pause early: every caller looks again in a loop.
                let _ = poll(&mut fds, left.try_into().ok().as_ref());
            }
            None => std::thread::sleep(left),
        }
        self.left().map(drop)
    }

    /// The time left (`None`: no end), or why there is none.
    pub(crate) fn left(&self) -> Result<Option<Duration>, Stop> {
        if self.cancel.is_some_and(Cancel::is_cancelled) {
            return Err(Stop::Cancelled);
        }
        match self.deadline {
            None => Ok(None),
            Some(at) => match at.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => Ok(Some(left)),
                _ => Err(Stop::TimedOut),
            },
        }
    }
}
