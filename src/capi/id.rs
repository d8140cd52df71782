//! Ids made of what goes into a result.

use std::ffi::c_char;

use crate::capi::arguments::Owned;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::status::dstore_status;
use crate::capi::text::c_string;

/// Makes the id of a result of all that goes into it: of its `name` and of `count` parts, such as the
/// id of its base, its commands and the digests of the files that it takes. The same name and parts
/// give the same id in every version, from C, OCaml and Rust; others give another one, as far as
/// SHA-256 tells. Where a part ends counts: "ab", "c" is not "a", "bc". How many bytes each part has
/// is in `lengths`; NULL if all of them end with a zero byte.
///
/// An id is what is readable of the name (a-z, 0-9 and -, at most 40 characters), - and 64 hex
/// digits. Any store takes it. Free it with dstore_string_free().
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
