//! Checks the arguments that C passes: NULL, UTF-8, lengths, numbers of enumerators. A bad argument is an error that names it.
//!
//! There is one implementation of [`Argument`] for each type that a call takes. Its `Safety` section repeats what the header's
//! opening comment requires of such arguments. All code of `src/capi` that trusts a pointer from C is here, in
//! [`super::callback`] and in [`super::handle`].

use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{ptr, slice, str};

use crate::capi::boundary::{Argument, Call};
use crate::capi::handle::{self, Handle};
use crate::error::{Error, ErrorKind, Result};
use crate::os;

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

/// An object, retained for the duration of the call.
///
/// # Safety
///
/// `raw` is NULL or a handle that has not been freed.
impl<T: Handle> Argument<'_, *const T> for Arc<T> {
    unsafe fn take(raw: *const T, name: &str, _: &Call) -> Result<Self> {
        there(raw, name)?;
        // SAFETY: it is not NULL, so it is a handle that `give` made: C cannot get a `T` in any other way, and has not freed
        // it.
        Ok(unsafe { handle::hold(raw) })
    }
}

/// # Safety
///
/// As for `*const T`.
impl<'call, T: Handle> Argument<'call, *mut T> for Arc<T> {
    unsafe fn take(raw: *mut T, name: &str, call: &'call Call) -> Result<Self> {
        // SAFETY: the requirements are the same. Changes are made only through the locks inside, so the missing `const` makes
        // no difference.
        unsafe { Argument::take(raw.cast_const(), name, call) }
    }
}

/// An object that may be NULL.
///
/// # Safety
///
/// As for the object.
impl<'call, T: Handle> Argument<'call, *const T> for Option<Arc<T>> {
    unsafe fn take(raw: *const T, name: &str, call: &'call Call) -> Result<Self> {
        match raw.is_null() {
            true => Ok(None),
            // SAFETY: it is not NULL, so it is a handle that has not been freed, as an object requires.
            false => unsafe { Argument::take(raw, name, call) }.map(Some),
        }
    }
}

/// An object that is read without retaining it, for calls that do nothing else.
///
/// # Safety
///
/// `raw` is NULL or a handle that has not been freed, and is not freed during the call.
impl<'call, T: Handle> Argument<'call, *const T> for &'call T {
    unsafe fn take(raw: *const T, name: &str, _: &'call Call) -> Result<Self> {
        // SAFETY: `give` made it, no `&mut` to the contents of an `Arc` exists, and the reference ends with the call.
        unsafe { raw.as_ref() }.ok_or_else(|| refused(name, "is NULL"))
    }
}

/// The same for an object that may be NULL. If it is, nothing is allocated, because the caller may be a signal handler.
///
/// # Safety
///
/// As for an object that must not be NULL.
impl<'call, T: Handle> Argument<'call, *const T> for Option<&'call T> {
    unsafe fn take(raw: *const T, _: &str, _: &'call Call) -> Result<Self> {
        // SAFETY: it is NULL, or `give` made it; no `&mut` to the contents of an `Arc` exists, and the reference ends with the
        // call.
        Ok(unsafe { raw.as_ref() })
    }
}

/// A handle that C frees, or NULL.
pub(super) struct GivenBack<T>(pub(super) Option<Arc<T>>);

/// # Safety
///
/// `raw` is NULL or a handle that has not been freed and that C does not use after this.
impl<T: Handle> Argument<'_, *mut T> for GivenBack<T> {
    unsafe fn take(raw: *mut T, _: &str, _: &Call) -> Result<Self> {
        // SAFETY: `give` passed a reference to C, which C has not freed yet: it frees once.
        let object = (!raw.is_null()).then(|| unsafe { handle::take_back(raw) });
        Ok(GivenBack(object))
    }
}

/// A string of the library that C frees, or NULL.
///
/// # Safety
///
/// `raw` is NULL or a string that was returned through [`Owned`] and that C does not use after this.
impl Argument<'_, *mut c_char> for Option<CString> {
    unsafe fn take(raw: *mut c_char, _: &str, _: &Call) -> Result<Self> {
        // SAFETY: `Owned::set_text` made it by `into_raw`, and it is freed once.
        Ok((!raw.is_null()).then(|| unsafe { CString::from_raw(raw) }))
    }
}

/// The bytes of a C string.
///
/// # Safety
///
/// `raw` is NULL, or is NUL-terminated and does not change during the call.
impl<'call> Argument<'call, *const c_char> for &'call [u8] {
    unsafe fn take(raw: *const c_char, name: &str, _: &'call Call) -> Result<Self> {
        there(raw, name)?;
        // SAFETY: it is not NULL, is NUL-terminated, and does not change while the slice is used.
        Ok(unsafe { CStr::from_ptr(raw) }.to_bytes())
    }
}

/// A C string as text.
///
/// # Safety
///
/// As for its bytes.
impl<'call> Argument<'call, *const c_char> for &'call str {
    unsafe fn take(raw: *const c_char, name: &str, call: &'call Call) -> Result<Self> {
        // SAFETY: C passes text as NUL-terminated bytes; that they are UTF-8 is checked here.
        let bytes: &'call [u8] = unsafe { Argument::take(raw, name, call) }?;
        str::from_utf8(bytes).map_err(|_| refused(name, "is not UTF-8"))
    }
}

/// Text that may be NULL.
///
/// # Safety
///
/// As for the bytes of a C string.
impl<'call> Argument<'call, *const c_char> for Option<&'call str> {
    unsafe fn take(raw: *const c_char, name: &str, call: &'call Call) -> Result<Self> {
        match raw.is_null() {
            true => Ok(None),
            // SAFETY: it is not NULL, so it is NUL-terminated and does not change, which is all that text requires.
            false => unsafe { Argument::take(raw, name, call) }.map(Some),
        }
    }
}

/// A local path: any bytes; UTF-8 on Windows.
///
/// # Safety
///
/// As for the bytes of a C string.
impl<'call> Argument<'call, *const c_char> for &'call Path {
    unsafe fn take(raw: *const c_char, name: &str, call: &'call Call) -> Result<Self> {
        // SAFETY: a path is a C string of any bytes. It borrows what the bytes borrow, for no longer than the call.
        let bytes: &'call [u8] = unsafe { Argument::take(raw, name, call) }?;
        let text = os::text_of(bytes).ok_or_else(|| refused(name, "is not UTF-8"))?;
        Ok(Path::new(text))
    }
}

/// A pointer and the number of bytes. The pointer may be NULL if there are none.
///
/// # Safety
///
/// The pointer is NULL or points to that many bytes, which do not change during the call.
impl<'call> Argument<'call, (*const c_char, usize)> for &'call [u8] {
    unsafe fn take(
        (bytes, length): (*const c_char, usize),
        name: &str,
        _: &'call Call,
    ) -> Result<Self> {
        if length == 0 {
            return Ok(&[]);
        }
        there(bytes, name)?;
        if isize::try_from(length).is_err() {
            return Err(refused(name, "is longer than memory"));
        }
        // SAFETY: it is not NULL, a byte needs no alignment, all bytes exist, and the length is valid for a slice.
        Ok(unsafe { slice::from_raw_parts(bytes.cast(), length) })
    }
}

/// A pointer and the number of strings. The pointer may be NULL if there are none.
///
/// # Safety
///
/// The pointer is NULL or points to that many pointers, each as for the bytes of a C string.
impl<'call> Argument<'call, (*const *const c_char, usize)> for Vec<&'call str> {
    unsafe fn take(
        (words, count): (*const *const c_char, usize),
        name: &str,
        call: &'call Call,
    ) -> Result<Self> {
        if count > 0 {
            there(words, name)?;
        }
        // One by one: an invalid count then fails at the first bad pointer, not in an allocation.
        let word = |n: usize| {
            let name = format!("{name}[{n}]");
            // SAFETY: `n` is below the count, so the pointer exists, and it points to valid text.
            unsafe { Argument::take(*words.add(n), &name, call) }
        };
        (0..count).map(word).collect()
    }
}

/// Pointers, the number of bytes of each, and the number of pointers. Without the numbers of bytes, all are C strings.
///
/// # Safety
///
/// The first pointer is NULL or points to that many pointers. If the second pointer is NULL, each of them is as for a C string.
/// Otherwise each is as for bytes, and the second pointer points to that many numbers.
impl<'call> Argument<'call, (*const *const c_char, *const usize, usize)> for Vec<&'call [u8]> {
    unsafe fn take(
        (parts, lengths, count): (*const *const c_char, *const usize, usize),
        name: &str,
        call: &'call Call,
    ) -> Result<Self> {
        if count > 0 {
            there(parts, name)?;
        }
        // One by one, as above.
        let part = |n: usize| {
            let name = format!("{name}[{n}]");
            // SAFETY: `n` is below the count, so the pointer exists.
            let part = unsafe { *parts.add(n) };
            match lengths.is_null() {
                // SAFETY: without lengths it is a valid C string.
                true => unsafe { Argument::take(part, &name, call) },
                // SAFETY: its length exists, because `n` is below the count, and it points to that many bytes.
                false => unsafe { Argument::take((part, *lengths.add(n)), &name, call) },
            }
        };
        (0..count).map(part).collect()
    }
}

/// Returns the value that the number of an enumerator stands for.
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

/// A timeout in milliseconds; 0 means none.
pub(super) fn timeout(milliseconds: u64) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

/// An output parameter. It is written only when the call has succeeded.
pub(super) struct Out<'call, T>(*mut T, PhantomData<&'call Call>);

impl<T> Out<'_, T> {
    pub(super) fn set(self, answer: T) {
        // SAFETY: `take` has checked that it is not NULL, so it may be written to during the call, which this does not outlive.
        // The previous value belongs to C and is not dropped.
        unsafe { self.0.write(answer) };
    }
}

/// # Safety
///
/// `raw` is NULL or may be written to during the call.
impl<'call, T> Argument<'call, *mut T> for Out<'call, T> {
    unsafe fn take(raw: *mut T, name: &str, _: &'call Call) -> Result<Self> {
        there(raw, name)?;
        Ok(Out(raw, PhantomData))
    }
}

/// An output parameter that may be NULL.
pub(super) struct Unasked<'call, T>(Option<Out<'call, T>>);

impl<T> Unasked<'_, T> {
    pub(super) fn set(self, answer: T) {
        if let Some(out) = self.0 {
            out.set(answer);
        }
    }
}

/// # Safety
///
/// As for [`Out`].
impl<'call, T> Argument<'call, *mut T> for Unasked<'call, T> {
    unsafe fn take(raw: *mut T, _: &str, _: &'call Call) -> Result<Self> {
        Ok(Unasked((!raw.is_null()).then_some(Out(raw, PhantomData))))
    }
}

/// An output parameter for an object that C will own. It is NULL until it is set, whatever happens.
pub(super) struct Owned<'call, T>(Out<'call, *mut T>);

impl<T: Handle> Owned<'_, T> {
    pub(super) fn set(self, object: T) {
        self.0.set(handle::give(object));
    }
}

impl Owned<'_, c_char> {
    pub(super) fn set_text(self, text: CString) {
        self.0.set(text.into_raw());
    }
}

/// # Safety
///
/// As for [`Out`].
impl<'call, T> Argument<'call, *mut *mut T> for Owned<'call, T> {
    unsafe fn clear(raw: &*mut *mut T) {
        if !raw.is_null() {
            // SAFETY: it is not NULL, so it may be written to. Its previous value is not an object that we must drop.
            unsafe { raw.write(ptr::null_mut()) };
        }
    }

    unsafe fn take(raw: *mut *mut T, name: &str, call: &'call Call) -> Result<Self> {
        // SAFETY: an output parameter for a pointer is an output parameter: NULL, or writable during the call.
        unsafe { Argument::take(raw, name, call) }.map(Owned)
    }
}
