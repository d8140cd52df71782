//! C pointers to our objects are reference-counted. A call holds a reference while it runs, so a free in a callback, or by
//! mistake in another thread, does not destroy the object during the call.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::{Error, ErrorKind, Result};
use crate::process::{FORKED, Process};

/// An object that C has a pointer to. Only [`give`] creates such pointers.
pub(super) trait Handle {}

/// Passes ownership of `object` to C. [`take_back`] takes it back.
pub(super) fn give<T: Handle>(object: T) -> *mut T {
    Arc::into_raw(Arc::new(object)).cast_mut()
}

/// Takes C's reference to an object. The object lives at least as long as the return value.
///
/// # Safety
///
/// `object` came from [`give`], and C does not use it after this.
pub(super) unsafe fn take_back<T: Handle>(object: *const T) -> Arc<T> {
    // SAFETY: `give` made it by `into_raw` and passed one reference to C, which this takes over. C must not free it twice.
    unsafe { Arc::from_raw(object) }
}

/// Retains an object for the duration of a call.
///
/// # Safety
///
/// `object` came from [`give`], and C has not freed it.
pub(super) unsafe fn hold<T: Handle>(object: *const T) -> Arc<T> {
    // SAFETY: `give` made it by `into_raw`. C's reference keeps the object alive until ours is taken, and `from_raw` owns
    // exactly ours.
    unsafe {
        Arc::increment_strong_count(object);
        Arc::from_raw(object)
    }
}

/// Records that a call panicked: its object may be inconsistent.
#[derive(Debug, Default)]
pub(super) struct Poison(AtomicBool);

impl Poison {
    /// Begins a call. `what` names the object in the error of a call that follows a panic.
    pub(super) fn enter(&self, what: &'static str) -> Result<Entered<'_>> {
        if self.0.load(Ordering::SeqCst) {
            let why = format!(
                "the {what} is unusable after an internal error in an earlier call; it can only be freed"
            );
            return Err(Error::new(ErrorKind::Internal, why));
        }
        Ok(Entered {
            poison: &self.0,
            panicking: std::thread::panicking(),
        })
    }
}

/// A call in progress.
pub(super) struct Entered<'a> {
    poison: &'a AtomicBool,
    /// A host program in Rust may call while it is unwinding itself, which is not an internal error.
    panicking: bool,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.panicking {
            self.poison.store(true, Ordering::SeqCst);
        }
    }
}

/// A value that any number of calls may read, or one call may modify. A conflicting call fails with `Busy` instead of waiting,
/// because it may come from a callback of the call in progress.
#[derive(Debug)]
pub(super) struct Exclusive<T> {
    value: RwLock<T>,
    poison: Poison,
    what: &'static str,
    process: Process,
}

impl<T> Exclusive<T> {
    pub(super) fn new(what: &'static str, value: T) -> Self {
        Exclusive {
            value: RwLock::new(value),
            poison: Poison::default(),
            what,
            process: Process::this(),
        }
    }

    pub(super) fn enter(&self) -> Result<Inside<'_, T>> {
        self.within(self.value.try_write())
    }

    pub(super) fn read(&self) -> Result<Reading<'_, T>> {
        self.within(self.value.try_read())
    }

    fn within<G>(&self, guard: Option<G>) -> Result<Within<'_, G>> {
        let Some(guard) = guard else {
            if !self.process.is_this() {
                let why = format!("using the {}: {FORKED}", self.what);
                return Err(Error::new(ErrorKind::Closed, why));
            }
            let why = format!(
                "the {} is in use by another thread, or by the call that is running this callback",
                self.what
            );
            return Err(Error::new(ErrorKind::Busy, why));
        };
        Ok(Within {
            _entered: self.poison.enter(self.what)?,
            guard,
        })
    }
}

/// The one call that is using an [`Exclusive`] value.
pub(super) type Inside<'a, T> = Within<'a, RwLockWriteGuard<'a, T>>;

/// One of the calls that are reading it.
pub(super) type Reading<'a, T> = Within<'a, RwLockReadGuard<'a, T>>;

/// A call that accesses a value through the guard `G`.
pub(super) struct Within<'a, G> {
    // Dropped first: the next call must find the mark.
    _entered: Entered<'a>,
    guard: G,
}

impl<G: Deref> Deref for Within<'_, G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        &self.guard
    }
}

impl<G: DerefMut> DerefMut for Within<'_, G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.guard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_many_readers_or_one_user() {
        let value = Exclusive::new("lease", 1);
        let busy = |got: Option<Error>| got.map(|e| e.kind()) == Some(ErrorKind::Busy);
        let readers = [value.read().expect("one"), value.read().expect("two")];
        assert!(busy(value.enter().err()));
        drop(readers);
        let user = value.enter().expect("alone");
        assert!(busy(value.enter().err()) && busy(value.read().err()));
        drop(user);
        assert!(value.read().is_ok());
    }
}
