//! Copying files into and out of a step, as tar streams.

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::Arc;

use crate::capi::arguments::Unasked;
use crate::capi::callback::{Sink, Source, dstore_read_callback, dstore_write_callback};
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::outfile::into_file;
use crate::capi::status::dstore_status;
use crate::capi::step::dstore_step;

/// Unpacks a tar stream that `read` gives below `path`, an absolute path in the step, which is made
/// where it is missing. Owners, modes and times are those in the stream.
///
/// The stream must come to the end of an archive: a block of 512 zeros where an entry would begin (there
/// should be two; one is taken, and what follows is nobody's concern). One that ends before, or has
/// no bytes at all, is DSTORE_CUT_SHORT. It may be packed by gzip, and is then looked at in the same
/// way; and by what else the engine takes (bzip2 and xz; zstd from Docker 23 on), of which only the
/// packing's own end is looked for, by the engine. While `read` itself blocks, no limit and no cancel
/// ends the call; dstore_step_copy_in_file() waits for a silent pipe as limits allow.
///
/// Blocks. May be NULL: user_data.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_copy_in(
    step: *mut dstore_step,
    path: *const c_char,
    read: dstore_read_callback,
    user_data: *mut c_void,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |step: Arc<dstore_step>, path: &str, read @ (read, user_data): Source| {
            read.during(|read| step.enter()?.copy_in(path, read))
        }
    )
}

/// dstore_step_copy_in() from the file `tar` of this machine (any bytes). One that is silent, as a pipe
/// may be, is waited for no longer than the step's limits allow.
///
/// Blocks.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_copy_in_file(
    step: *mut dstore_step,
    path: *const c_char,
    tar: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |step: Arc<dstore_step>, path: &str, tar: &Path| {
        step.enter()?.copy_in_file(path, tar)
    })
}

/// Writes the file or directory at `path`, an absolute path in the step, as a tar stream, whose
/// first entry is the last component of `path`, to `write`; `bytes` is how many that were.
/// DSTORE_NOT_FOUND where there is no such path: the step then goes on.
///
/// Blocks. May be NULL: user_data, bytes.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_copy_out(
    step: *mut dstore_step,
    path: *const c_char,
    write: dstore_write_callback,
    user_data: *mut c_void,
    bytes: *mut u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |step: Arc<dstore_step>,
                      path: &str,
                      write @ (write, user_data): Sink,
                      bytes: Unasked<u64>| {
        bytes.set(write.during(|write| step.enter()?.copy_out(path, write))?);
        Ok(())
    })
}

/// dstore_step_copy_out() to the file `tar` of this machine (any bytes), which must not be a pipe. It
/// is written beside its name, and put there when it is whole: until then, and after a failure, what
/// was there stays. A link is followed.
///
/// Blocks. May be NULL: bytes.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_copy_out_file(
    step: *mut dstore_step,
    path: *const c_char,
    tar: *const c_char,
    bytes: *mut u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |step: Arc<dstore_step>,
                      path: &str,
                      tar: &Path,
                      bytes: Unasked<u64>| {
        bytes.set(into_file(tar, |tar| step.enter()?.copy_out(path, tar))?);
        Ok(())
    })
}
