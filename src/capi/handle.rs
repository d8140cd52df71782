//! What a C pointer to one of our objects is: a counted one. A call holds a count of its own while it runs, so that a free in a
//! callback, or in another thread by mistake, does not pull the object away from under it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::error::{Error, ErrorKind, Result};

/// Gives `object` to C. [`take_back`] takes it back.
pub(super) fn give<T>(object: T) -> *mut T {
    Arc::into_raw(Arc::new(object)).cast_mut()
}

/// Ends C's hold on an object.
///
/// # Safety
///
/// `object` came from [`give`], and C gives it up with this.
pub(super) unsafe fn take_back<T>(object: *const T) {
    // SAFETY: `give` left one count with C.
    drop(unsafe { Arc::from_raw(object) });
}

/// Holds an object for the length of a call.
///
/// # Safety
///
/// `object` came from [`give`], and C has not given it up.
pub(super) unsafe fn hold<T>(object: *const T) -> Arc<T> {
    // SAFETY: C's count keeps the object alive until ours is taken.
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

/// A value that one call at a time may use. A second one is told so, and waits for nothing: it may come from a callback of the
/// first.
#[derive(Debug)]
pub(super) struct Exclusive<T> {
    value: Mutex<T>,
    poison: Poison,
    what: &'static str,
}

impl<T> Exclusive<T> {
    pub(super) fn new(what: &'static str, value: T) -> Self {
        Exclusive {
            value: Mutex::new(value),
            poison: Poison::default(),
            what,
        }
    }

    pub(super) fn enter(&self) -> Result<Inside<'_, T>> {
        let Some(value) = self.value.try_lock() else {
            let why = format!(
                "the {} is in use, by another thread or by the call whose callback this is",
                self.what
            );
            return Err(Error::new(ErrorKind::Busy, why));
        };
        Ok(Inside {
            _entered: self.poison.enter(self.what)?,
            value,
        })
    }
}

/// The one call that uses an [`Exclusive`] value now.
pub(super) struct Inside<'a, T> {
    // Dropped first: whoever comes next must find the mark.
    _entered: Entered<'a>,
    value: MutexGuard<'a, T>,
}

impl<T> Deref for Inside<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Inside<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}
