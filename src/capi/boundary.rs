//! The boundary: the body of every exported function is one of three macros, and safe Rust inside.
//!
//! `fallible!(error, |id: &str, step: Owned<dstore_step>| …)` for what answers a status (its own file), `setter!(error, command,
//! |…| …)` for setters (in `settings`), and here `infallible!(otherwise, |…| …)` for the rest. The closure's parameters are the function's own of these names, as the
//! Rust type that stands there: how each is made of what C hands in, and why that is sound, is said once for each type. `limits @ (timeout_ms, cancel): Limits` makes one of two.
//!
//! A failure becomes a status and an error object, and so does a panic: one that got out would abort the host.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, ErrorKind, Result};

/// A call under way. What is made of its arguments borrows from it, so that nothing of C's memory is kept beyond the call.
pub(super) struct Call(());

impl Call {
    pub(super) fn new() -> Self {
        Call(())
    }
}

/// What a call works with, made of the `Raw` that C hands in.
pub(super) trait Argument<'call, Raw>: Sized {
    /// Makes a place for an answer safe to look at, whatever becomes of the call: done with all arguments before any is taken.
    ///
    /// # Safety
    ///
    /// As for [`take`](Self::take).
    unsafe fn clear(_raw: &Raw) {}

    /// Checks `raw`, and takes it; `name` is for the error.
    ///
    /// # Safety
    ///
    /// `raw` keeps what the implementation asks for in its own `Safety`, for as long as `call` lasts.
    unsafe fn take(raw: Raw, name: &str, call: &'call Call) -> Result<Self>;
}

/// What C handed in for a parameter of a closure.
macro_rules! raw {
    ($name:ident) => {
        $name
    };
    ($name:ident @ ($($part:ident),+)) => {
        ($($part),+)
    };
}

/// The name that C knows it by.
macro_rules! name {
    ($name:ident) => {
        stringify!($name)
    };
    ($name:ident @ ($part:ident $(, $rest:ident)*)) => {
        stringify!($part)
    };
}

/// Takes the arguments of a call, all of them, and lets a failure out by `?`. Only for the three macros.
macro_rules! taken {
    ($call:ident $(, $name:ident $(@ $parts:tt)? : $type:ty)*) => {
        $(
            // SAFETY: `raw` is what C handed in for an argument of this type, NULL or as the header says; that is what
            // `<$type as Argument>` asks for, and no more is read of it. It writes to no place that is not the call's.
            unsafe {
                <$type as $crate::capi::boundary::Argument<_>>::clear(
                    &$crate::capi::boundary::raw!($name $(@ $parts)?),
                );
            }
        )*
        $(
            // SAFETY: as above; and `$call`, which ends with the body, is what the argument may borrow from.
            let $name: $type = unsafe {
                $crate::capi::boundary::Argument::take(
                    $crate::capi::boundary::raw!($name $(@ $parts)?),
                    $crate::capi::boundary::name!($name $(@ $parts)?),
                    &$call,
                )
            }?;
        )*
    };
}

/// The body of a call that cannot fail. Answers `$otherwise` where an argument cannot be taken, or for a panic all the same.
macro_rules! infallible {
    ($otherwise:expr, || $body:expr) => {
        $crate::capi::boundary::infallible!(@ $otherwise, $body)
    };
    ($otherwise:expr, |$($name:ident $(@ $parts:tt)? : $type:ty),*| $body:expr) => {
        $crate::capi::boundary::infallible!(@ $otherwise, $body $(, $name $(@ $parts)? : $type)*)
    };
    (@ $otherwise:expr, $body:expr $(, $name:ident $(@ $parts:tt)? : $type:ty)*) => {{
        let body = || -> $crate::error::Result<_> {
            let _call = $crate::capi::boundary::Call::new();
            $crate::capi::boundary::taken!(_call $(, $name $(@ $parts)? : $type)*);
            Ok($body)
        };
        $crate::capi::boundary::caught(body).unwrap_or($otherwise)
    }};
}

pub(super) use {infallible, name, raw, taken};

/// Runs `body`; a panic in it becomes an error.
pub(super) fn caught<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // What a panic can have left half done is marked by its handle, which answers nothing more.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(fault(&*panic)))
}

fn fault(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given");
    Error::new(
        ErrorKind::Internal,
        format!("a fault in docker-store: {text}"),
    )
}
