//! Sources of a step without a base: a tar stream, an image that the engine has, or one from a registry.

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::Arc;

use crate::capi::arguments::refused;
use crate::capi::callback::{OnProgress, Source, dstore_progress_callback, dstore_read_callback};
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::status::dstore_status;
use crate::capi::step::dstore_step;
use crate::error::Result;
use crate::store::registry::RegistryLogin;

/// Starts the step from the files in a tar stream supplied by `read`; needs no registry. Valid only
/// for a step begun without a base, and before any other source, command or copy.
/// dstore_step_copy_in() describes the stream. Returns DSTORE_INVALID_ARGUMENT for an archive
/// written by `docker save`, which is an image and not a root file system.
///
/// Blocks. May be NULL: read_data, progress, progress_data.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_import(
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
                    .import(read, &mut |so_far| progress.hear(so_far))
            })
        }
    )
}

/// Like dstore_step_import(), but reads the local file `tar` (any bytes). If the file supplies no
/// data, as a pipe may, the call waits no longer than the step's limits allow.
///
/// Blocks. May be NULL: progress, user_data.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_import_file(
    step: *mut dstore_step,
    tar: *const c_char,
    progress: dstore_progress_callback,
    user_data: *mut c_void,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |step: Arc<dstore_step>, tar: &Path, progress @ (progress, user_data): OnProgress| {
            step.enter()?
                .import_file(tar, &mut |so_far| progress.hear(so_far))
        }
    )
}

/// Starts the step from an image that the engine pulls from its registry, such as
/// "debian:bookworm". Valid only for a step begun without a base, and before any other source,
/// command or copy. `user` and `password` are the credentials for the registry, if it requires
/// them. To use an identity token, pass `<token>` as the user and the token as the password.
/// `server` is the registry's address, as written in `reference`.
///
/// Blocks. May be NULL: server, progress, user_data; user and password, if both are.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_pull(
    step: *mut dstore_step,
    reference: *const c_char,
    user: *const c_char,
    password: *const c_char,
    server: *const c_char,
    progress: dstore_progress_callback,
    user_data: *mut c_void,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |step: Arc<dstore_step>,
         reference: &str,
         user: Option<&str>,
         password: Option<&str>,
         server: Option<&str>,
         progress @ (progress, user_data): OnProgress| {
            let login = login(user, password, server)?;
            step.enter()?
                .pull(reference, login.as_ref(), &mut |so_far| {
                    progress.hear(so_far)
                })
        }
    )
}

/// Like dstore_step_pull(), but pulls the image for `platform`: "os/arch" or "os/arch/variant",
/// such as "linux/arm64" or "linux/arm/v7". Returns DSTORE_NOT_FOUND if the image does not exist
/// for that platform. Commands of the step run only if the engine's host can run that platform's
/// programs.
///
/// Blocks. May be NULL: server, progress, user_data; user and password, if both are.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_pull_platform(
    step: *mut dstore_step,
    reference: *const c_char,
    platform: *const c_char,
    user: *const c_char,
    password: *const c_char,
    server: *const c_char,
    progress: dstore_progress_callback,
    user_data: *mut c_void,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |step: Arc<dstore_step>,
         reference: &str,
         platform: &str,
         user: Option<&str>,
         password: Option<&str>,
         server: Option<&str>,
         progress @ (progress, user_data): OnProgress| {
            let login = login(user, password, server)?;
            step.enter()?
                .pull_platform(reference, platform, login.as_ref(), &mut |so_far| {
                    progress.hear(so_far)
                })
        }
    )
}

/// Starts the step from an image that the engine already has. Valid only for a step begun without a
/// base, and before any other source, command or copy.
///
/// Blocks.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_use_image(
    step: *mut dstore_step,
    reference: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |step: Arc<dstore_step>, reference: &str| {
        step.enter()?.use_image(reference)
    })
}

/// Returns the login, if one is given.
pub(super) fn login(
    user: Option<&str>,
    password: Option<&str>,
    server: Option<&str>,
) -> Result<Option<RegistryLogin>> {
    match (user, password) {
        (None, None) => Ok(None),
        (Some(user), Some(password)) => Ok(Some(RegistryLogin {
            user: user.to_owned(),
            password: password.to_owned(),
            server: server.unwrap_or_default().to_owned(),
        })),
        (Some(_), None) => Err(refused("password", "is NULL, and user is not")),
        (None, Some(_)) => Err(refused("user", "is NULL, and password is not")),
    }
}
