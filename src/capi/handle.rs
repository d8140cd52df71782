//! What a C pointer to one of our objects is: a counted one. A call holds a count of its own while it runs, so that a free in a
//! callback, or in another thread by mistake, does not pull the object away from under it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::{Error, ErrorKind, Result};
use crate::process::{FORKED, Process};

/// An object that C has a pointer to. Only [`give`] makes such pointers.
pub(super) trait Handle {}

/// Gives `object` to C. [`take_back`] takes it back.
pub(super) fn give<T: Handle>(object: T) -> *mut T {
    Arc::into_raw(Arc::new(object)).cast_mut()
}

/// Ends C's hold on an object, which lives on for as long as what is returned.
///
/// # Safety
///
/// `object` came from [`give`], and C gives it up with this.
pub(super) unsafe fn take_back<T: Handle>(object: *const T) -> Arc<T> {
    // SAFETY: `give` made it by `into_raw`, and left with C the one count that this takes over; C cannot give it up twice.
    unsafe { Arc::from_raw(object) }
}

/// Holds an object for the length of a call.
///
/// # Safety
///
/// `object` came from [`give`], and C has not given it up.
pub(super) unsafe fn hold<T: Handle>(object: *const T) -> Arc<T> {
    // SAFETY: `give` made it by `into_raw`. C's count keeps the object alive until ours is taken, and `from_raw` owns just that one.
    unsafe {
        Arc::increment_strong_count(object);
        Arc::from_raw(object)
    }
}

/// Remembers that a call panicked: what it worked on may be half done.
#[derive(Debug, Default)]
pub(super) struct Poison(AtomicBool);

impl Poison {
    /// Begins a call. `what` names the object in the error of a call after the panic.
    pub(super) fn enter(&self, what: &'static str) -> Result<Entered<'_>> {
        if self.0.load(Ordering::SeqCst) {
            let why = format!(
                "the {what} is unusable since a fault in an earlier call; it can only be freed"
            );
            return Err(Error::new(ErrorKind::Internal, why));
        }
        Ok(Entered {
            poison: &self.0,
            panicking: std::thread::panicking(),
        })
    }
}

/// A call under way.
pub(super) struct Entered<'a> {
    poison: &'a AtomicBool,
    /// A host in Rust may call while it unwinds itself, which is no fault of ours.
    panicking: bool,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.panicking {
            self.poison.store(true, Ordering::SeqCst);
        }
    }
}

/// A value that any number of calls may read at a time, or one may use. Who comes in between is told so, and waits for nothing:
/// it may be a callback of the other.
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
                "the {} is in use, by another thread or by the call whose callback this is",
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

/// The one call that uses an [`Exclusive`] value now.
pub(super) type Inside<'a, T> = Within<'a, RwLockWriteGuard<'a, T>>;

/// One of the calls that read it now.
pub(super) type Reading<'a, T> = Within<'a, RwLockReadGuard<'a, T>>;

/// A call that holds a value by the guard `G`.
pub(super) struct Within<'a, G> {
    // Dropped first: whoever comes next must find the mark.
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
