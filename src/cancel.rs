//! [`Cancel`]: a cancellation token, which stops waiting calls from any thread.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::os;
use crate::process::Process;

/// A cancellation token. Triggering it stops every call that it was passed to. Clones share one token. It cannot be reset.
///
/// A call that waits for the engine wakes immediately and returns [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
#[derive(Clone)]
pub struct Cancel(Arc<Inner>);

struct Inner {
    made: Instant,
    /// The time at which it was triggered, in nanoseconds, plus one; 0 means not triggered. A single number, so that a signal
    /// handler never finds it half updated.
    on: AtomicU64,
    /// Created by the first call that waits.
    wake: OnceLock<Option<Wake>>,
}

struct Wake {
    bell: os::Wake,
    /// The process that the waiters belong to: a forked child does not wake its parent's.
    process: Process,
}

impl Cancel {
    /// Creates a token that is not triggered.
    pub fn new() -> Self {
        Cancel(Arc::new(Inner {
            made: Instant::now(),
            on: AtomicU64::new(0),
            wake: OnceLock::new(),
        }))
    }

    /// Triggers the token. Never blocks. It may be called from any thread, any number of times, and from a signal handler: it
    /// takes no lock, allocates nothing, and preserves `errno`.
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
        // Pairs with the fence in `wake`: either this thread sees the wake object, or `wake`'s caller sees that the token is
        // triggered.
        fence(Ordering::SeqCst);
        // `get` does not wait for an object that is still being created, which may be by the very thread that a signal handler
        // has interrupted.
        if let Some(wake) = self.0.wake.get().and_then(Wake::own) {
            wake.bell.ring();
        }
    }

    /// Returns whether the token has been triggered.
    pub fn is_cancelled(&self) -> bool {
        self.0.on.load(Ordering::SeqCst) != 0
    }

    /// Returns when the token was triggered, if it has been.
    pub(crate) fn since(&self) -> Option<Instant> {
        let after = self.0.on.load(Ordering::SeqCst).checked_sub(1)?;
        self.0.made.checked_add(Duration::from_nanos(after))
    }

    /// Returns the object that wakes the waiters when the token is triggered. Returns `None` if the system is out of
    /// descriptors, and in a forked child.
    ///
    /// Check [`is_cancelled`](Self::is_cancelled) *after* this call and before waiting: the object is not signalled for a token
    /// that was triggered before the object existed.
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
