//! Ids derived from what goes into a result.

use std::ffi::c_char;

use crate::capi::arguments::Owned;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::status::dstore_status;
use crate::capi::text::c_string;

/// Derives the id of a result from everything that goes into it: its `name` and `count` parts. The
/// parts are, for example, the id of its base, its commands and the digests of the files that it
/// uses. The same name and parts give the same id in every version, from C, OCaml, Python and Rust.
/// Different ones give a different id, as far as SHA-256 can tell. Boundaries between parts count:
/// "ab", "c" and "a", "bc" give different ids. `lengths` holds the number of bytes of each part;
/// pass NULL if all parts are NUL-terminated.
///
/// An id consists of the readable characters of the name (a-z, 0-9 and -, up to 40), a - and 64 hex
/// digits. Every store accepts it. Free it with dstore_string_free().
///
/// `name` and `parts` are any bytes.
///
/// Does not block. May be NULL: parts, if count is 0; lengths.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_id(
    name: *const c_char,
    parts: *const *const c_char,
    lengths: *const usize,
    count: usize,
    id: *mut *mut c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |name: &[u8],
                      all @ (parts, lengths, count): Vec<&[u8]>,
                      id: Owned<c_char>| {
        id.set_text(c_string(crate::store::id::id(name, all)));
        Ok(())
    })
}
