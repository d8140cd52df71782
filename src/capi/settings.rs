//! Objects with setters, such as options and commands. The first error of a setter is remembered and reported by the call that
//! uses the object, in case the caller ignored the setter's own status.

use std::sync::Arc;

use crate::capi::boundary::{Argument, Call};
use crate::capi::error::dstore_error;
use crate::capi::fallible::answer;
use crate::capi::handle::{Exclusive, Handle};
use crate::capi::status::dstore_status;
use crate::error::{Error, ErrorKind, Result};

/// A handle that has setters.
pub(super) trait Settable: Handle {
    type Value: Clone;
    /// The name of the argument for it.
    const NAME: &'static str;

    fn settings(&self) -> &Settings<Self::Value>;
}

/// Its current value.
#[derive(Debug)]
pub(super) struct Settings<T>(Exclusive<State<T>>);

#[derive(Debug)]
struct State<T> {
    value: T,
    refused: Option<(ErrorKind, String)>,
}

impl<T: Clone> Settings<T> {
    pub(super) fn new(what: &'static str, value: T) -> Self {
        Settings(Exclusive::new(
            what,
            State {
                value,
                refused: None,
            },
        ))
    }

    fn set(&self, change: impl FnOnce(&mut T) -> Result<()>) -> Result<()> {
        let mut state = self.0.enter()?;
        change(&mut state.value).inspect_err(|e| {
            state
                .refused
                .get_or_insert_with(|| (e.kind(), e.message().to_owned()));
        })
    }

    /// Returns a copy of what was set, so that no lock is held while it is used.
    pub(super) fn get(&self) -> Result<T> {
        let state = self.0.read()?;
        match &state.refused {
            None => Ok(state.value.clone()),
            Some((kind, why)) => Err(Error::new(*kind, format!("a setter failed before: {why}"))),
        }
    }
}

/// Returns `change`, typed as a change of the handle's value.
pub(super) fn change<S: Settable, F: FnOnce(&mut S::Value) -> Result<()>>(
    _handle: *const S,
    change: F,
) -> F {
    change
}

/// Runs a setter.
///
/// # Safety
///
/// As for any call with `handle` and `error`.
pub(super) unsafe fn set<S: Settable>(
    handle: *const S,
    error: *mut *mut dstore_error,
    change: impl FnOnce(&mut S::Value) -> Result<()>,
) -> dstore_status {
    let body = || {
        // SAFETY: `handle` is NULL or a handle that has not been freed, which is all that is required.
        let handle: Arc<S> = unsafe { Argument::take(handle, S::NAME, &Call::new()) }?;
        handle.settings().set(change)
    };
    // SAFETY: `error` is NULL or may be written to.
    unsafe { answer(error, body) }
}

/// The body of a setter of `$handle`. A failure is remembered there, including that of an invalid argument.
macro_rules! setter {
    ($error:ident, $handle:ident, |$value:ident $(, $name:ident $(@ $parts:tt)? : $type:ty)*| $body:expr) => {{
        let change = $crate::capi::settings::change($handle, |$value| {
            let _call = $crate::capi::boundary::Call::new();
            $crate::capi::boundary::taken!(_call $(, $name $(@ $parts)? : $type)*);
            $body
        });
        // SAFETY: `$handle` is NULL or a handle that has not been freed, `$error` NULL or an output parameter for an error, as
        // the header requires.
        unsafe { $crate::capi::settings::set($handle, $error, change) }
    }};
}

pub(super) use setter;
