//! Waiting for Windows events.

use std::time::Duration;

use super::{Fault, Stop, Wait};
use crate::os::{Watched, first_of};

/// The maximum number of events to wait for beside a cancel.
const MOST: usize = 3;

impl Wait<'_> {
    /// Waits until the watched event has occurred.
    pub(crate) fn until(&self, watched: Watched<'_>) -> Result<(), Fault> {
        self.first_of(&[watched]).map(drop)
    }

    /// Waits until one of `events` is set, and returns the index of the first that is.
    pub(crate) fn first_of(&self, events: &[Watched<'_>]) -> Result<usize, Fault> {
        assert!(!events.is_empty() && events.len() <= MOST);
        loop {
            let (wake, longest) = self.alarm()?;
            let mut all = [wake.unwrap_or(events[0]); MOST + 1];
            all[..events.len()].copy_from_slice(events);
            let used = events.len() + usize::from(wake.is_some());
            match first_of(&all[..used], longest).map_err(Fault::Io)? {
                Some(first) if first < events.len() => return Ok(first),
                // A cancel was triggered, or `longest` has passed: the loop checks what time is left, and waits again.
                _ => {}
            }
        }
    }

    /// Waits for `pause`. If the wait ends sooner, returns the reason.
    pub(crate) fn sleep(&self, pause: Duration) -> Result<(), Stop> {
        let (wake, longest) = self.alarm()?;
        let longest = longest.min(pause);
        match wake {
            Some(wake) => {
                // A failed wait only ends the pause early: every caller checks again in a loop.
                let _ = first_of(&[wake], longest);
            }
            None => std::thread::sleep(longest),
        }
        self.left().map(drop)
    }
}
