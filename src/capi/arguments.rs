//! What C hands in, checked: NULL, UTF-8, lengths, numbers that stand for names. A bad argument is an error that names it.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{ptr, slice, str};

use crate::capi::cancel::dstore_cancel;
use crate::capi::handle;
use crate::error::{Error, ErrorKind, Result};
use crate::wait::Limits;

pub(super) fn refused(name: &str, why: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!("the argument {name} {why}"),
    )
}

fn there<T>(pointer: *const T, name: &str) -> Result<()> {
    match pointer.is_null() {
        true => Err(refused(name, "is NULL")),
        false => Ok(()),
    }
}

/// An object of ours, held for the length of the call.
///
/// # Safety
///
/// `object` is NULL or a handle that has not been freed.
pub(super) unsafe fn object<T>(object: *const T, name: &str) -> Result<Arc<T>> {
    there(object, name)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { handle::hold(object) })
}

/// An object that may be NULL.
///
/// # Safety
///
/// As for [`object`].
pub(super) unsafe fn optional_object<T>(object: *const T) -> Option<Arc<T>> {
    // SAFETY: the caller's promise.
    (!object.is_null()).then(|| unsafe { handle::hold(object) })
}

/// The bytes of a C string.
///
/// # Safety
///
/// `text` is NULL or ends with a zero byte, and stays as it is for `'a`: the length of the call.
pub(super) unsafe fn c_bytes<'a>(text: *const c_char, name: &str) -> Result<&'a [u8]> {
    there(text, name)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// A C string as text.
///
/// # Safety
///
/// As for [`c_bytes`].
pub(super) unsafe fn text<'a>(text: *const c_char, name: &str) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    str::from_utf8(unsafe { c_bytes(text, name) }?).map_err(|_| refused(name, "is not UTF-8"))
}

/// Text that may be NULL.
///
/// # Safety
///
/// As for [`c_bytes`].
pub(super) unsafe fn optional_text<'a>(
    pointer: *const c_char,
    name: &str,
) -> Result<Option<&'a str>> {
    match pointer.is_null() {
        true => Ok(None),
        // SAFETY: the caller's promise.
        false => unsafe { text(pointer, name) }.map(Some),
    }
}

/// A path of this machine: any bytes.
///
/// # Safety
///
/// As for [`c_bytes`].
pub(super) unsafe fn path<'a>(path: *const c_char, name: &str) -> Result<&'a Path> {
    // SAFETY: the caller's promise.
    Ok(Path::new(OsStr::from_bytes(unsafe {
        c_bytes(path, name)
    }?)))
}

/// `length` bytes. None at all may be NULL.
///
/// # Safety
///
/// `bytes` is NULL or has `length` bytes that stay as they are for `'a`: the length of the call.
pub(super) unsafe fn bytes<'a>(
    bytes: *const c_char,
    length: usize,
    name: &str,
) -> Result<&'a [u8]> {
    if length == 0 {
        return Ok(&[]);
    }
    there(bytes, name)?;
    if isize::try_from(length).is_err() {
        return Err(refused(name, "is longer than memory"));
    }
    // SAFETY: the caller's promise, and the length is one that a slice may have.
    Ok(unsafe { slice::from_raw_parts(bytes.cast(), length) })
}

/// `count` texts. None at all may be NULL.
///
/// # Safety
///
/// `words` is NULL or has `count` pointers, each as for [`c_bytes`].
pub(super) unsafe fn texts<'a>(
    words: *const *const c_char,
    count: usize,
    name: &str,
) -> Result<Vec<&'a str>> {
    if count > 0 {
        there(words, name)?;
    }
    // One by one: a count that is nonsense then ends at the first bad pointer, not in an allocation.
    let word = |n: usize| {
        let name = format!("{name}[{n}]");
        // SAFETY: the caller's promise.
        unsafe { text(*words.add(n), &name) }
    };
    (0..count).map(word).collect()
}

/// A number that stands for a name.
pub(super) fn named<T: Copy, const N: usize>(
    number: i32,
    names: [(i32, T); N],
    name: &str,
) -> Result<T> {
    let found = names
        .iter()
        .find(|(known, _)| *known == number)
        .map(|(_, value)| *value);
    found.ok_or_else(|| refused(name, format_args!("has the unknown value {number}")))
}

/// A timeout in milliseconds; 0 is none.
pub(super) fn timeout(milliseconds: u64) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

/// What may end a call.
///
/// # Safety
///
/// `cancel` is as for [`object`].
pub(super) unsafe fn limits(timeout_ms: u64, cancel: *const dstore_cancel) -> Limits {
    let mut limits = Limits::none();
    if let Some(time) = timeout(timeout_ms) {
        limits = limits.timeout(time);
    }
    // SAFETY: the caller's promise.
    if let Some(cancel) = unsafe { optional_object(cancel) } {
        limits = limits.cancel(&cancel.0);
    }
    limits
}

/// Where an answer goes. Written once the call has succeeded, and not before.
pub(super) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    ///
    /// `place` is NULL or may be written to for as long as this lives.
    pub(super) unsafe fn new(place: *mut T, name: &str) -> Result<Self> {
        there(place, name)?;
        Ok(Out(place))
    }

    /// A place that may be NULL, for an answer that nobody may want.
    ///
    /// # Safety
    ///
    /// As for [`new`](Self::new).
    pub(super) unsafe fn optional(place: *mut T) -> Self {
        Out(place)
    }

    pub(super) fn set(self, answer: T) {
        if !self.0.is_null() {
            // SAFETY: what `new` and `optional` were promised.
            unsafe { self.0.write(answer) };
        }
    }
}

impl<T> Out<*mut T> {
    /// A place for something that C will own: NULL until then, whatever happens. Made before all else in a call.
    ///
    /// # Safety
    ///
    /// As for [`new`](Self::new).
    pub(super) unsafe fn owned(place: *mut *mut T, name: &str) -> Result<Self> {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(place, name) }?;
        // SAFETY: the caller's promise, and it is not NULL.
        unsafe { place.write(ptr::null_mut()) };
        Ok(out)
    }
}
