//! The version of the library in use, as opposed to that of the header.

use std::ffi::{CStr, c_char};

use crate::capi::boundary::infallible;

const TEXT: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("a version contains no NUL"),
    };

const NUMBER: u32 = number(
    decimal(env!("CARGO_PKG_VERSION_MAJOR")),
    decimal(env!("CARGO_PKG_VERSION_MINOR")),
    decimal(env!("CARGO_PKG_VERSION_PATCH")),
);

const fn number(major: u32, minor: u32, patch: u32) -> u32 {
    major * 1_000_000 + minor * 1_000 + patch
}

const fn decimal(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("cargo gives a number"),
    }
}

/// Returns the version of the library in use: the DSTORE_VERSION_STRING that it was built with. A
/// constant; do not free it.
///
/// Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn dstore_version() -> *const c_char {
    infallible!(c"".as_ptr(), || TEXT.as_ptr())
}

/// Returns the version of the library in use: the DSTORE_VERSION_NUMBER that it was built with.
/// 1002003 is version 1.2.3.
///
/// Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn dstore_version_number() -> u32 {
    infallible!(0, || NUMBER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_version_has_its_own_place() {
        assert_eq!(number(decimal("1"), decimal("2"), decimal("3")), 1_002_003);
    }
}
