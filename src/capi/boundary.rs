//! The boundary: the body of every exported function is one of three macros, with safe Rust inside.
//!
//! `fallible!(error, |id: &str, step: Owned<dstore_step>| …)` (in its own file) is for functions that return a status,
//! `setter!(error, command, |…| …)` (in `settings`) for setters, and `infallible!(otherwise, |…| …)` (here) for the rest. The
//! closure's parameters are the function's parameters of the same names, converted to the stated Rust type. The conversion from
//! what C passes in, and why it is sound, is defined once for each type. `limits @ (timeout_ms, cancel): Limits` combines two
//! parameters into one.
//!
//! A failure becomes a status and an error object. So does a panic, because a panic that reached C would abort the host.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, ErrorKind, Result};

/// A call in progress. Converted arguments borrow from it, so that no memory of C's is used after the call.
pub(super) struct Call(());

impl Call {
    pub(super) fn new() -> Self {
        Call(())
    }
}

/// An argument as the call uses it, converted from the `Raw` value that C passes in.
pub(super) trait Argument<'call, Raw>: Sized {
    /// Initialises an output parameter, so that the caller may read it whatever the outcome of the call. Done for all arguments
    /// before any is taken.
    ///
    /// # Safety
    ///
    /// As for [`take`](Self::take).
    unsafe fn clear(_raw: &Raw) {}

    /// Checks and converts `raw`. `name` is used in the error.
    ///
    /// # Safety
    ///
    /// `raw` meets the requirements in the implementation's own `Safety`, for as long as `call` lasts.
    unsafe fn take(raw: Raw, name: &str, call: &'call Call) -> Result<Self>;
}

/// The value that C passed for a parameter of a closure.
macro_rules! raw {
    ($name:ident) => {
        $name
    };
    ($name:ident @ ($($part:ident),+)) => {
        ($($part),+)
    };
}

/// The parameter's name in C.
macro_rules! name {
    ($name:ident) => {
        stringify!($name)
    };
    ($name:ident @ ($part:ident $(, $rest:ident)*)) => {
        stringify!($part)
    };
}

/// Takes all arguments of a call, and propagates a failure by `?`. Only for the three macros.
macro_rules! taken {
    ($call:ident $(, $name:ident $(@ $parts:tt)? : $type:ty)*) => {
        $(
            // SAFETY: `raw` is what C passed for an argument of this type, NULL or as the header says; that is what `<$type as
            // Argument>` asks for, and nothing else of it is read. It writes only to the call's own output parameters.
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

/// The body of a call that cannot fail. Returns `$otherwise` if an argument is invalid, and after a panic.
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
    // A handle marks what a panic may have left inconsistent, and then accepts no more calls.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(fault(&*panic)))
}

fn fault(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given");
    Error::new(
        ErrorKind::Internal,
        format!("an internal error in docker-store: {text}"),
    )
}
