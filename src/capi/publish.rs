//! Handing a result on: a name of the caller's, a registry, a file; and taking one in.

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

/// The form of a result's file. Both are one tar stream, without compression.
#[repr(i32)]
#[derive(Clone, Copy, Debug)]
pub enum dstore_image_format {
    /// A docker archive, as `docker save` writes it.
    DSTORE_IMAGE_DOCKER = 1,
    /// An OCI image layout. It has a manifest.json beside its index, so that whoever takes docker
    /// archives takes it, too.
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

/// Gives the result `id` the further name `name`, "[HOST[:PORT]/]PATH[:TAG]", taking it from whatever
/// image had it: `moved_from` is the id of that one, to be freed with dstore_string_free(), or NULL if
/// there was none. The name is the caller's: it stays when the result is deleted, and the image with it.
/// One that objects of a store have is DSTORE_INVALID_ARGUMENT. `timeout_ms` 0 is none.
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

/// Pushes the result `id` to a registry under `name`, which says which one:
/// "registry.example:5000/team/app:1.0". It is given that name on the engine, too, as by
/// dstore_store_tag(). The engine sends it, and is who must reach and believe the registry. `user`,
/// `password` and `server` are as for dstore_step_pull(). `digest` is what the registry knows it by, to
/// be freed with dstore_string_free(); NULL where the engine does not tell. `timeout_ms` 0 is none.
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

/// Writes the result `id` as a file that every engine loads, as does dstore_store_load(), to `write`;
/// `bytes` is how many that were. `format` is a dstore_image_format. `name` is what who loads it will
/// call the image; without one it has none. The same image gives the same bytes, whatever engine has it.
/// `timeout_ms` 0 is none.
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

/// dstore_store_save() to the file `file` of this machine (any bytes), which must not be a pipe. It is
/// written beside its name, and put there when it is whole: until then, and after a failure, what was
/// there stays. A link is followed.
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

/// Records the image in a file that `read` gives as the result `id`, unless that is there: then `built`
/// is false, and nothing is read. The file is a docker archive or an OCI layout, which gzip may have
/// packed; names in it are passed over. One that is cut short or lacks a part is DSTORE_CUT_SHORT; one of
/// several images, or none, DSTORE_INVALID_ARGUMENT. While `read` itself blocks, no limit and no cancel
/// ends the call. `timeout_ms` 0 is none.
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

/// dstore_store_load() from the file `file` of this machine (any bytes). One that is silent, as a pipe
/// may be, is waited for no longer than the limits allow.
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

/// Begins with the image in a file that `read` gives, as for dstore_store_load(). Only for a step without
/// a base, and first. A commit of it that did nothing else records just that image.
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

/// dstore_step_load() from the file `file` of this machine (any bytes). One that is silent, as a pipe may
/// be, is waited for no longer than the step's limits allow.
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
