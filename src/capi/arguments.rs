//! What C hands in, checked: NULL, UTF-8, lengths, numbers that stand for names. A bad argument is an error that names it.
//!
//! One implementation of [`Argument`] for each type that a call takes. What it asks of the caller, as `Safety`, is what the
//! header says of such arguments in its opening comment; all of `src/capi` that trusts a pointer of C's is here, in
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

/// An object of ours, held for the length of the call.
///
/// # Safety
///
/// `raw` is NULL or a handle that has not been freed.
impl<T: Handle> Argument<'_, *const T> for Arc<T> {
    unsafe fn take(raw: *const T, name: &str, _: &Call) -> Result<Self> {
        there(raw, name)?;
        // SAFETY: it is not NULL, so it is a handle that `give` made: C has no other way to come by a `T`, and still holds it.
        Ok(unsafe { handle::hold(raw) })
    }
}

/// # Safety
///
/// As for `*const T`.
impl<'call, T: Handle> Argument<'call, *mut T> for Arc<T> {
    unsafe fn take(raw: *mut T, name: &str, call: &'call Call) -> Result<Self> {
        // SAFETY: the same is asked for. Nothing is changed but through the locks inside, so the missing `const` gives no right.
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
            // SAFETY: it is not NULL, so it is a handle that has not been freed, as the object asks.
            false => unsafe { Argument::take(raw, name, call) }.map(Some),
        }
    }
}

/// An object to look at: without holding it, so for calls that do nothing else.
///
/// # Safety
///
/// `raw` is NULL or a handle that has not been freed, and is not while the call lasts.
impl<'call, T: Handle> Argument<'call, *const T> for &'call T {
    unsafe fn take(raw: *const T, name: &str, _: &'call Call) -> Result<Self> {
        // SAFETY: `give` made it, nobody has a `&mut` to what is behind an `Arc`, and the reference ends with the call.
        unsafe { raw.as_ref() }.ok_or_else(|| refused(name, "is NULL"))
    }
}

/// An object to look at that may be NULL. Nothing is allocated for one that is: a signal handler may be who asks.
///
/// # Safety
///
/// As for one that may not.
impl<'call, T: Handle> Argument<'call, *const T> for Option<&'call T> {
    unsafe fn take(raw: *const T, _: &str, _: &'call Call) -> Result<Self> {
        // SAFETY: it is NULL, or `give` made it; nobody has a `&mut` to what is behind an `Arc`, and the reference ends with the call.
        Ok(unsafe { raw.as_ref() })
    }
}

/// What C gives back to be freed; NULL, too.
pub(super) struct GivenBack<T>(pub(super) Option<Arc<T>>);

/// # Safety
///
/// `raw` is NULL or a handle that has not been freed, and that C does not use after this.
impl<T: Handle> Argument<'_, *mut T> for GivenBack<T> {
    unsafe fn take(raw: *mut T, _: &str, _: &Call) -> Result<Self> {
        // SAFETY: `give` left a count with C for this, which has not had it taken back before: it frees once.
        let object = (!raw.is_null()).then(|| unsafe { handle::take_back(raw) });
        Ok(GivenBack(object))
    }
}

/// Text of ours that C gives back to be freed; NULL, too.
///
/// # Safety
///
/// `raw` is NULL or text that an [`Owned`] place was given, and that C does not use after this.
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
/// `raw` is NULL or ends with a zero byte, and stays as it is for the length of the call.
impl<'call> Argument<'call, *const c_char> for &'call [u8] {
    unsafe fn take(raw: *const c_char, name: &str, _: &'call Call) -> Result<Self> {
        there(raw, name)?;
        // SAFETY: it is not NULL, has its end, and does not change as long as the slice may be used.
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
        // SAFETY: C hands text in as bytes with a zero at their end; that they are UTF-8 is looked at here, and not believed.
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
            // SAFETY: it is not NULL, so it has a zero at its end and stays as it is, which is all that text asks.
            false => unsafe { Argument::take(raw, name, call) }.map(Some),
        }
    }
}

/// A path of this machine: any bytes; UTF-8 on Windows.
///
/// # Safety
///
/// As for the bytes of a C string.
impl<'call> Argument<'call, *const c_char> for &'call Path {
    unsafe fn take(raw: *const c_char, name: &str, call: &'call Call) -> Result<Self> {
        // SAFETY: a path is a C string of any bytes; it borrows what the bytes borrow, for no longer than the call.
        let bytes: &'call [u8] = unsafe { Argument::take(raw, name, call) }?;
        let text = os::text_of(bytes).ok_or_else(|| refused(name, "is not UTF-8"))?;
        Ok(Path::new(text))
    }
}

/// A pointer and how many bytes are there. None at all may be NULL.
///
/// # Safety
///
/// The pointer is NULL or has so many bytes, which stay as they are for the length of the call.
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
        // SAFETY: it is not NULL, a byte needs no alignment, all of them are there, and the length is one that a slice may have.
        Ok(unsafe { slice::from_raw_parts(bytes.cast(), length) })
    }
}

/// A pointer and how many texts are there. None at all may be NULL.
///
/// # Safety
///
/// The pointer is NULL or has so many pointers, each as for the bytes of a C string.
impl<'call> Argument<'call, (*const *const c_char, usize)> for Vec<&'call str> {
    unsafe fn take(
        (words, count): (*const *const c_char, usize),
        name: &str,
        call: &'call Call,
    ) -> Result<Self> {
        if count > 0 {
            there(words, name)?;
        }
        // One by one: a count that is nonsense then ends at the first bad pointer, not in an allocation.
        let word = |n: usize| {
            let name = format!("{name}[{n}]");
            // SAFETY: `n` is below the count, so the pointer is there; and what it points to is as text has to be.
            unsafe { Argument::take(*words.add(n), &name, call) }
        };
        (0..count).map(word).collect()
    }
}

/// Pointers, how many bytes are at each, and how many they are. Without the numbers of bytes, all are C strings.
///
/// # Safety
///
/// The first pointer is NULL or has so many pointers, each as for bytes, or as for a C string where the second is NULL, which else
/// has so many numbers.
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
            // SAFETY: `n` is below the count, so the pointer is there.
            let part = unsafe { *parts.add(n) };
            match lengths.is_null() {
                // SAFETY: without lengths it is as a C string has to be.
                true => unsafe { Argument::take(part, &name, call) },
                // SAFETY: its length is there, as `n` is below the count, and so many bytes are where it points to.
                false => unsafe { Argument::take((part, *lengths.add(n)), &name, call) },
            }
        };
        (0..count).map(part).collect()
    }
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

/// Where an answer goes. Written once the call has succeeded, and not before.
pub(super) struct Out<'call, T>(*mut T, PhantomData<&'call Call>);

impl<T> Out<'_, T> {
    pub(super) fn set(self, answer: T) {
        // SAFETY: `take` has seen that it is not NULL, so it may be written to while the call lasts, which this does not outlive.
        // What was there is C's, and is not dropped.
        unsafe { self.0.write(answer) };
    }
}

/// # Safety
///
/// `raw` is NULL or may be written to while the call lasts.
impl<'call, T> Argument<'call, *mut T> for Out<'call, T> {
    unsafe fn take(raw: *mut T, name: &str, _: &'call Call) -> Result<Self> {
        there(raw, name)?;
        Ok(Out(raw, PhantomData))
    }
}

/// A place that may be NULL, for an answer that nobody may want.
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

/// A place for something that C will own: NULL until then, whatever happens.
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
            // SAFETY: it is not NULL, so it may be written to. What C has left there is no object that we would have to drop.
            unsafe { raw.write(ptr::null_mut()) };
        }
    }

    unsafe fn take(raw: *mut *mut T, name: &str, call: &'call Call) -> Result<Self> {
        // SAFETY: a place for a pointer is a place for an answer: NULL or to be written to while the call lasts.
        unsafe { Argument::take(raw, name, call) }.map(Owned)
    }
}
