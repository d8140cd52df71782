//! [`Cancel`]: ends calls that wait, from any thread.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::os;
use crate::process::Process;

/// A switch that ends the calls it was given to. Clones share the switch, and it stays on for good.
///
/// A call that waits on the engine wakes at once and answers
/// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
#[derive(Clone)]
pub struct Cancel(Arc<Inner>);

struct Inner {
    made: Instant,
    /// How many nanoseconds after that it was turned on, and one more; 0 is off. One number, so that a signal handler that comes in
    /// between finds nothing half done.
    on: AtomicU64,
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
        Cancel(Arc::new(Inner {
            made: Instant::now(),
            on: AtomicU64::new(0),
            wake: OnceLock::new(),
        }))
    }

    /// Turns the switch on. Never blocks, and may be called from any thread, any number of times, and from a signal handler: it
    /// takes no lock, allocates nothing, and leaves `errno` alone.
    pub fn cancel(&self) {
        let after = u64::try_from(self.0.made.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let on = after.saturating_add(1);
        let was = self
            .0
            .on
            .compare_exchange(0, on, Ordering::SeqCst, Ordering::SeqCst);
        if was.is_err() {
            return;
        }
        // With its twin in `wake`: either what wakes is seen here, or the switch is seen on there.
        fence(Ordering::SeqCst);
        // Only looks: one that is being made, by a thread that a handler has interrupted here, is not waited for.
        if let Some(wake) = self.0.wake.get().and_then(Wake::own) {
            wake.bell.ring();
        }
    }

    /// Whether the switch is on.
    pub fn is_cancelled(&self) -> bool {
        self.0.on.load(Ordering::SeqCst) != 0
    }

    /// When the switch was turned on, if it is.
    pub(crate) fn since(&self) -> Option<Instant> {
        let after = self.0.on.load(Ordering::SeqCst).checked_sub(1)?;
        self.0.made.checked_add(Duration::from_nanos(after))
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

impl Default for Cancel {
    fn default() -> Self {
        Cancel::new()
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
