//! What setters fill: options and commands. A setter that fails is remembered, and so is told by the call that uses what was
//! set, should nobody have looked at the setter's own status.

use crate::capi::arguments::object;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::Exclusive;
use crate::capi::status::dstore_status;
use crate::error::{Error, ErrorKind, Result};

/// A handle with setters.
pub(super) trait Settable {
    type Value: Clone;
    /// The name of the argument that it is.
    const NAME: &'static str;

    fn settings(&self) -> &Settings<Self::Value>;
}

/// Its value so far.
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

    /// What was set. A copy: no lock is held while it is used.
    pub(super) fn get(&self) -> Result<T> {
        let state = self.0.read()?;
        match &state.refused {
            None => Ok(state.value.clone()),
            Some((kind, why)) => Err(Error::new(*kind, format!("a setter failed before: {why}"))),
        }
    }
}

/// The body of a setter.
///
/// # Safety
///
/// `handle` and `error` are as for any call.
pub(super) unsafe fn set<S: Settable>(
    handle: *const S,
    error: *mut *mut dstore_error,
    change: impl FnOnce(&mut S::Value) -> Result<()>,
) -> dstore_status {
    // SAFETY: the caller's promise.
    unsafe { fallible(error, || object(handle, S::NAME)?.settings().set(change)) }
}
