//! The boundary: the body of every exported function runs in here. A failure becomes a status and an error object, and so does
//! a panic: one that got out would abort the host.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::capi::handle;
use crate::error::{Error, ErrorKind};

/// Runs the body of a call that cannot fail. Should it panic all the same, it answers `otherwise`.
pub(super) fn infallible<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    caught(body).unwrap_or(otherwise)
}

/// Reads something of an object; `otherwise` where the pointer is NULL.
///
/// # Safety
///
/// `object` is NULL or a handle that has not been freed.
pub(super) unsafe fn getter<T, A>(object: *const T, otherwise: A, get: impl FnOnce(&T) -> A) -> A {
    // SAFETY: the caller's promise.
    match unsafe { object.as_ref() } {
        Some(object) => caught(|| get(object)).unwrap_or(otherwise),
        None => otherwise,
    }
}

/// Gives an object up; NULL is none.
///
/// # Safety
///
/// `object` is NULL or a handle that has not been freed.
pub(super) unsafe fn free<T>(object: *const T) {
    if !object.is_null() {
        // SAFETY: the caller's promise.
        infallible((), || unsafe { handle::take_back(object) });
    }
}

/// Runs `body`; a panic in it becomes an error.
pub(super) fn caught<T>(body: impl FnOnce() -> T) -> std::result::Result<T, Error> {
    // What a panic can have left half done is marked by its handle, which answers nothing more.
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| fault(&*panic))
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
