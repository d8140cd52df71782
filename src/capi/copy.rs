//! Copying files into and out of a step, as tar streams.

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::Arc;

use crate::capi::arguments::Unasked;
use crate::capi::callback::{Sink, Source, dstore_read_callback, dstore_write_callback};
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::outfile::{check, into_file};
use crate::capi::status::dstore_status;
use crate::capi::step::dstore_step;

/// Extracts the tar stream supplied by `read` into `path`, an absolute path in the step. Missing
/// directories are created. Owners, modes and times are taken from the stream.
///
/// The stream must contain the end of an archive: a block of 512 zero bytes in place of an entry.
/// (The format asks for two; one is enough, and what follows is ignored.) Returns DSTORE_CUT_SHORT
/// if the stream ends before that, or is empty. The stream may be compressed with gzip; its
/// contents are then checked in the same way. It may also use another compression that the engine
/// supports: bzip2 and xz, and zstd since Docker 23. For these, only the engine checks, and only
/// that the compressed data is complete. While `read` itself blocks, neither a limit nor a cancel
/// stops the call; dstore_step_copy_in_file() waits for a silent pipe only as long as the limits
/// allow.
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

/// Like dstore_step_copy_in(), but reads the local file `tar` (any bytes). If the file supplies no
/// data, as a pipe may, the call waits no longer than the step's limits allow.
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

/// Passes the file or directory at `path`, an absolute path in the step, to `write` as a tar
/// stream. Its first entry is named after the last component of `path`. `*bytes` is set to the
/// number of bytes written. Returns DSTORE_NOT_FOUND if the path does not exist; the step stays
/// usable.
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

/// Like dstore_step_copy_out(), but writes to the local file `tar` (any bytes), which must not be a
/// pipe. The bytes are written to a temporary file next to it, which is renamed to `tar` when it is
/// complete. Until then, and after a failure, an existing file is unchanged. A symbolic link is
/// followed. If `tar` is a pipe or a directory, or its directory does not exist, the step stays
/// usable.
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
        let mut step = step.enter()?;
        check(tar)?;
        bytes.set(into_file(tar, |tar| step.copy_out(path, tar))?);
        Ok(())
    })
}
