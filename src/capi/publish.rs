//! Publishing a result: a tag of the caller's, a registry, a file; and loading one from a file.

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::Arc;

use crate::capi::arguments::{Owned, Unasked, named};
use crate::capi::callback::{
    OnProgress, Sink, Source, dstore_progress_callback, dstore_read_callback, dstore_write_callback,
};
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::outfile::into_file;
use crate::capi::source::login;
use crate::capi::status::dstore_status;
use crate::capi::step::dstore_step;
use crate::capi::store::dstore_store;
use crate::capi::text::c_string;
use crate::error::Result;
use crate::store::progress::Progress;
use crate::store::{ImageFormat, Outcome};
use crate::wait::Limits;

/// The format of a result's file. Both formats are one uncompressed tar stream.
#[repr(i32)]
#[derive(Clone, Copy, Debug)]
pub enum dstore_image_format {
    /// A Docker archive, as written by `docker save`.
    DSTORE_IMAGE_DOCKER = 1,
    /// An OCI image layout. It also contains a manifest.json, so programs that read Docker archives
    /// accept it.
    DSTORE_IMAGE_OCI = 2,
}

use dstore_image_format::*;

fn format(number: i32) -> Result<ImageFormat> {
    let formats = [
        (DSTORE_IMAGE_DOCKER as i32, ImageFormat::Docker),
        (DSTORE_IMAGE_OCI as i32, ImageFormat::Oci),
    ];
    named(number, formats, "format")
}

/// Adds the tag `name`, "[HOST[:PORT]/]PATH[:TAG]", to the result `id`, and removes it from any
/// other image. `*moved_from` is set to the id of the image that had the tag, or to NULL if there
/// was none; free it with dstore_string_free(). The tag belongs to the caller: when the result is
/// deleted, the tag and its image are kept. Returns DSTORE_INVALID_ARGUMENT if `name` is one that
/// objects of a store use. `timeout_ms` 0 means no timeout.
///
/// Blocks. May be NULL: cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_tag(
    store: *const dstore_store,
    id: *const c_char,
    name: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    moved_from: *mut *mut c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      name: &str,
                      limits @ (timeout_ms, cancel): Limits,
                      moved_from: Owned<c_char>| {
        let tagged = store.enter()?.tag(id, name, &limits)?;
        if let Some(from) = tagged.moved_from {
            moved_from.set_text(c_string(from));
        }
        Ok(())
    })
}

/// Pushes the result `id` to a registry under `name`, which includes the registry:
/// "registry.example:5000/team/app:1.0". The result also gets this tag on the engine, as with
/// dstore_store_tag(). The engine sends the image, so the engine must be able to reach the registry
/// and trust it. `user`, `password` and `server` are as for dstore_step_pull(). `*digest` is set to
/// the digest by which the registry knows the image, or to NULL if the engine does not report it;
/// free it with dstore_string_free(). `timeout_ms` 0 means no timeout.
///
/// Blocks. May be NULL: server, progress, user_data, cancel; user and password, if both are.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_push(
    store: *const dstore_store,
    id: *const c_char,
    name: *const c_char,
    user: *const c_char,
    password: *const c_char,
    server: *const c_char,
    progress: dstore_progress_callback,
    user_data: *mut c_void,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    digest: *mut *mut c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      name: &str,
                      user: Option<&str>,
                      password: Option<&str>,
                      server: Option<&str>,
                      progress @ (progress, user_data): OnProgress,
                      limits @ (timeout_ms, cancel): Limits,
                      digest: Owned<c_char>| {
        let login = login(user, password, server)?;
        let store = store.enter()?;
        let hear = &mut |so_far: Progress<'_>| progress.hear(so_far);
        let pushed = store.push(id, name, login.as_ref(), hear, &limits)?;
        if let Some(told) = pushed.digest {
            digest.set_text(c_string(told));
        }
        Ok(())
    })
}

/// Passes the result `id` to `write` as an image file that every engine and dstore_store_load() can
/// load. `*bytes` is set to the number of bytes written. `format` is a dstore_image_format. `name`
/// is the name that the image gets when it is loaded; if it is NULL, the image has no name. The
/// same image gives the same bytes on every engine. `timeout_ms` 0 means no timeout.
///
/// Blocks. May be NULL: name, cancel, user_data, bytes.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_save(
    store: *const dstore_store,
    id: *const c_char,
    format: i32,
    name: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    write: dstore_write_callback,
    user_data: *mut c_void,
    bytes: *mut u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      name: Option<&str>,
                      limits @ (timeout_ms, cancel): Limits,
                      write @ (write, user_data): Sink,
                      bytes: Unasked<u64>| {
        let format = self::format(format)?;
        let save = |write: &mut Sink<'_>| store.enter()?.save(id, format, name, write, &limits);
        bytes.set(write.during(save)?);
        Ok(())
    })
}

/// Like dstore_store_save(), but writes to the local file `file` (any bytes), which must not be a
/// pipe. The bytes are written to a temporary file next to it, which is renamed to `file` when it
/// is complete. Until then, and after a failure, an existing file is unchanged. A symbolic link is
/// followed.
///
/// Blocks. May be NULL: name, cancel, bytes.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_save_file(
    store: *const dstore_store,
    id: *const c_char,
    format: i32,
    name: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    file: *const c_char,
    bytes: *mut u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      name: Option<&str>,
                      limits @ (timeout_ms, cancel): Limits,
                      file: &Path,
                      bytes: Unasked<u64>| {
        let format = self::format(format)?;
        bytes.set(into_file(file, |file| {
            store.enter()?.save(id, format, name, file, &limits)
        })?);
        Ok(())
    })
}

/// Records the image in the file supplied by `read` as the result `id`. If that result already
/// exists, sets `*built` to false and reads nothing. The file is a Docker archive or an OCI layout,
/// optionally compressed with gzip; image names in it are ignored. Returns DSTORE_CUT_SHORT if the
/// file is truncated or incomplete, and DSTORE_INVALID_ARGUMENT if it contains no image or several.
/// While `read` itself blocks, neither a limit nor a cancel stops the call. `timeout_ms` 0 means no
/// timeout.
///
/// Blocks. May be NULL: read_data, progress, progress_data, cancel, built.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_load(
    store: *const dstore_store,
    id: *const c_char,
    read: dstore_read_callback,
    read_data: *mut c_void,
    progress: dstore_progress_callback,
    progress_data: *mut c_void,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    built: *mut bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      read @ (read, read_data): Source,
                      progress @ (progress, progress_data): OnProgress,
                      limits @ (timeout_ms, cancel): Limits,
                      built: Unasked<bool>| {
        let outcome = read.during(|read| {
            let hear = &mut |so_far: Progress<'_>| progress.hear(so_far);
            store.enter()?.load(id, read, hear, &limits)
        })?;
        built.set(outcome == Outcome::Built);
        Ok(())
    })
}

/// Like dstore_store_load(), but reads the local file `file` (any bytes). If the file supplies no
/// data, as a pipe may, the call waits no longer than the limits allow.
///
/// Blocks. May be NULL: progress, user_data, cancel, built.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_load_file(
    store: *const dstore_store,
    id: *const c_char,
    file: *const c_char,
    progress: dstore_progress_callback,
    user_data: *mut c_void,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    built: *mut bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      file: &Path,
                      progress @ (progress, user_data): OnProgress,
                      limits @ (timeout_ms, cancel): Limits,
                      built: Unasked<bool>| {
        let hear = &mut |so_far: Progress<'_>| progress.hear(so_far);
        let outcome = store.enter()?.load_file(id, file, hear, &limits)?;
        built.set(outcome == Outcome::Built);
        Ok(())
    })
}

/// Starts the step from the image in the file supplied by `read`, as for dstore_store_load(). Valid
/// only for a step begun without a base, and before any other source, command or copy. A commit
/// without any other change records exactly that image.
///
/// Blocks. May be NULL: read_data, progress, progress_data.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_load(
    step: *mut dstore_step,
    read: dstore_read_callback,
    read_data: *mut c_void,
    progress: dstore_progress_callback,
    progress_data: *mut c_void,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |step: Arc<dstore_step>,
         read @ (read, read_data): Source,
         progress @ (progress, progress_data): OnProgress| {
            read.during(|read| {
                step.enter()?
                    .load(read, &mut |so_far| progress.hear(so_far))
            })
        }
    )
}

/// Like dstore_step_load(), but reads the local file `file` (any bytes). If the file supplies no
/// data, as a pipe may, the call waits no longer than the step's limits allow.
///
/// Blocks. May be NULL: progress, user_data.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_load_file(
    step: *mut dstore_step,
    file: *const c_char,
    progress: dstore_progress_callback,
    user_data: *mut c_void,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |step: Arc<dstore_step>, file: &Path, progress @ (progress, user_data): OnProgress| {
            step.enter()?
                .load_file(file, &mut |so_far| progress.hear(so_far))
        }
    )
}
