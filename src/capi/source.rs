//! What a step without a base begins with: a tar stream, an image the engine has, or one from a registry.

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

/// Begins with the files in a tar stream that `read` gives: a base that needs no registry. Only for
/// a step without a base, and first. What the stream must be, dstore_step_copy_in() says; an archive of
/// `docker save`, which is an image and no root file system, is DSTORE_INVALID_ARGUMENT.
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

/// dstore_step_import() from the file `tar` of this machine (any bytes). One that is silent, as a pipe
/// may be, is waited for no longer than the step's limits allow.
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

/// Begins with an image that the engine pulls from its registry, such as "debian:bookworm". Only
/// for a step without a base, and first. `user` and `password` are for a registry that asks for
/// them; the user `<token>` has an identity token for a password. `server` is the registry's
/// address, as in the reference.
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

/// dstore_step_pull() of the image for machines of `platform`: "os/arch" or "os/arch/variant", such as
/// "linux/arm64" or "linux/arm/v7". Only for a step without a base, and first. An image that has not
/// got it is DSTORE_NOT_FOUND. Commands of the step run only if the engine's machine can run that
/// platform's programs.
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

/// Begins with an image that the engine has already. Only for a step without a base, and first.
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

/// A login, if there is one.
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
