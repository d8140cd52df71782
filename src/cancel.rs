//! [`Cancel`]: ends calls that wait, from any thread.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::os;
use crate::process::Process;

/// A switch that ends the calls it was given to. Clones share the switch, and it stays on for good.
///
/// A call that waits on the engine wakes at once and answers
/// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
#[derive(Clone, Default)]
pub struct Cancel(Arc<Inner>);

#[derive(Default)]
struct Inner {
    on: AtomicBool,
    /// When it was turned on.
    since: OnceLock<Instant>,
    /// Made by the first call that waits.
    wake: OnceLock<Option<Wake>>,
}

struct Wake {
    bell: os::Wake,
    /// Whose waiters: a forked child wakes none of its parent's.
    process: Process,
}

impl Cancel {
    /// A switch that is off.
    pub fn new() -> Self {
        Cancel::default()
    }

    /// Turns the switch on. Never blocks, and may be called from any thread, any number of times.
    pub fn cancel(&self) {
        // First, so that whoever sees it on knows since when.
        self.0.since.get_or_init(Instant::now);
        if self.0.on.swap(true, Ordering::SeqCst) {
            return;
        }
        // With its twin in `wake`: either what wakes is seen here, or the switch is seen on there.
        fence(Ordering::SeqCst);
        if let Some(wake) = self.0.wake.get().and_then(Wake::own) {
            wake.bell.ring();
        }
    }

    /// Whether the switch is on.
    pub fn is_cancelled(&self) -> bool {
        self.0.on.load(Ordering::SeqCst)
    }

    /// When the switch was turned on, if it is.
    pub(crate) fn since(&self) -> Option<Instant> {
        match self.is_cancelled() {
            true => self.0.since.get().copied(),
            false => None,
        }
    }

    /// What wakes those who wait when the switch is turned on; `None` where the system has none left, and in a forked child.
    ///
    /// Ask [`is_cancelled`](Self::is_cancelled) *after* this and before waiting: a switch turned on in
    /// between has not rung.
    pub(crate) fn wake(&self) -> Option<os::Watched<'_>> {
        let make = || {
            let bell = os::Wake::new().ok()?;
            let process = Process::this();
            Some(Wake { bell, process })
        };
        let wake = self.0.wake.get_or_init(make);
        fence(Ordering::SeqCst);
        Wake::own(wake).map(|wake| wake.bell.watched())
    }
}

impl Wake {
    fn own(wake: &Option<Wake>) -> Option<&Wake> {
        wake.as_ref().filter(|wake| wake.process.is_this())
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}
