//! Waiting with `poll`.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{Fault, Stop, Wait};
use crate::os::Watched;

impl Wait<'_> {
    /// Waits until the watched event has occurred.
    pub(crate) fn until(&self, watched: Watched<'_>) -> Result<(), Fault> {
        self.ready(watched, PollFlags::IN).map(drop)
    }

    /// Waits until `file` is ready for one of `events` (or has hung up), and returns which.
    pub(crate) fn ready(
        &self,
        file: BorrowedFd<'_>,
        events: PollFlags,
    ) -> Result<PollFlags, Fault> {
        self.ready_of([(file, events)]).map(|[ready]| ready)
    }

    /// Waits until one of `files` (three at most) is ready for its events, or has hung up, and returns which file and which
    /// events.
    pub(crate) fn ready_of<const N: usize>(
        &self,
        files: [(BorrowedFd<'_>, PollFlags); N],
    ) -> Result<[PollFlags; N], Fault> {
        loop {
            let (wake, longest) = self.alarm()?;
            // One more slot for the wake descriptor; without one, the slot is not polled.
            let mut fds: [_; 4] = std::array::from_fn(|n| match files.get(n) {
                Some((file, events)) => PollFd::from_borrowed_fd(*file, *events),
                None => {
                    let (any, _) = files[0];
                    PollFd::from_borrowed_fd(wake.unwrap_or(any), PollFlags::IN)
                }
            });
            let used = N + usize::from(wake.is_some());
            let longest = Timespec::try_from(longest).expect("a day fits");
            match poll(&mut fds[..used], Some(&longest)) {
                // A signal ended the poll early, or `longest` has passed: the loop checks what time is left, and polls again.
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Fault::Io(error.into())),
            }
            let ready: [_; N] = std::array::from_fn(|n| fds[n].revents());
            if ready.iter().any(|ready| !ready.is_empty()) {
                return Ok(ready);
            }
        }
    }

    /// Waits for `pause`. If the wait ends sooner, returns the reason.
    pub(crate) fn sleep(&self, pause: Duration) -> Result<(), Stop> {
        let (wake, longest) = self.alarm()?;
        let longest = longest.min(pause);
        match wake {
            Some(wake) => {
                let mut fds = [PollFd::from_borrowed_fd(wake, PollFlags::IN)];
                // An interrupted or failed poll only ends the pause early: every caller checks again in a loop.
                let _ = poll(&mut fds, longest.try_into().ok().as_ref());
            }
            None => std::thread::sleep(longest),
        }
        self.left().map(drop)
    }
}
