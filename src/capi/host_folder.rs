//! `dstore_host_folder`: a local directory that files are unpacked into.

use std::ffi::c_char;
use std::path::Path;
use std::sync::Arc;

use crate::capi::arguments::{GivenBack, Owned, Unasked};
use crate::capi::boundary::infallible;
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::Handle;
use crate::capi::settings::{Settable, Settings, setter};
use crate::capi::status::dstore_status;
use crate::capi::step::dstore_step;
use crate::capi::store::dstore_store;
use crate::store::host::folder::HostFolder;
use crate::wait::Limits;

/// A local directory that files are unpacked into, and how. It is created if it does not exist. By
/// default the files belong to the user of this process, and have the permissions that they have in
/// the container, less the umask and without set-user-ID, set-group-ID and sticky bits. May be used
/// any number of times, by any number of threads concurrently.
#[derive(Debug)]
pub struct dstore_host_folder(Settings<HostFolder>);

impl Handle for dstore_host_folder {}

impl Settable for dstore_host_folder {
    type Value = HostFolder;
    const NAME: &'static str = "folder";

    fn settings(&self) -> &Settings<HostFolder> {
        &self.0
    }
}

/// Creates an object for the local directory at `path` (any bytes). If it is a symbolic link to a
/// directory, that directory is used. Free the object with dstore_host_folder_free().
///
/// Does not block.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_folder_new(
    path: *const c_char,
    folder: *mut *mut dstore_host_folder,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |path: &Path, folder: Owned<dstore_host_folder>| {
        folder.set(dstore_host_folder(Settings::new(
            "folder",
            HostFolder::new(path),
        )));
        Ok(())
    })
}

/// Gives everything this numeric user and group. This usually needs privileges.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_folder_owner(
    folder: *mut dstore_host_folder,
    uid: u32,
    gid: u32,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, folder, |folder| {
        folder.owner(uid, gid);
        Ok(())
    })
}

/// Keeps the numeric owners that the files have in the container. This usually needs privileges.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_folder_keep_owners(
    folder: *mut dstore_host_folder,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, folder, |folder| {
        folder.keep_owners();
        Ok(())
    })
}

/// Keeps the modes that the files have in the container, with all bits.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_folder_keep_modes(
    folder: *mut dstore_host_folder,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, folder, |folder| {
        folder.keep_modes();
        Ok(())
    })
}

/// Unpacks the file or directory at `path`, an absolute path in the step, into the local directory
/// `folder`: the contents of a directory, or a single file under its name. If `path` is a symbolic
/// link, the link itself is copied (by Podman, what it leads to); with a trailing slash, the
/// directory that it leads to. `*bytes` is set to the number of bytes in the files.
///
/// No name and no link leads out of the local directory: links are created as they are, but none is
/// followed. A file or link that exists there is replaced. A directory that exists keeps its mode
/// and owner, and its other files. New files have the times of those in the step. Hard links stay
/// hard links, and pipes are created as such. Extended attributes are not copied, and holes are
/// filled with zeros. After an error, what was unpacked before is left.
///
/// Returns DSTORE_NOT_FOUND if `path` does not exist; the step stays usable. Returns
/// DSTORE_UNSUPPORTED for a device, and on Windows for a link or a pipe. Returns DSTORE_IO if
/// something cannot be created: a file in place of a directory, or a file in what is a link there.
///
/// Blocks. May be NULL: bytes.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_copy_out_host(
    step: *mut dstore_step,
    path: *const c_char,
    folder: *const dstore_host_folder,
    bytes: *mut u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |step: Arc<dstore_step>,
                      path: &str,
                      folder: Arc<dstore_host_folder>,
                      bytes: Unasked<u64>| {
        let folder = folder.settings().get()?;
        bytes.set(step.enter()?.copy_out_host(path, &folder)?);
        Ok(())
    })
}

/// Unpacks the file or directory at `path` in the result `id` into the local directory `folder`, as
/// dstore_step_copy_out_host() does. `timeout_ms` 0 means no timeout. Returns DSTORE_NOT_FOUND if
/// the result or the path does not exist.
///
/// Blocks. May be NULL: cancel, bytes.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_copy_out_host(
    store: *const dstore_store,
    id: *const c_char,
    path: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    folder: *const dstore_host_folder,
    bytes: *mut u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      path: &str,
                      limits @ (timeout_ms, cancel): Limits,
                      folder: Arc<dstore_host_folder>,
                      bytes: Unasked<u64>| {
        let folder = folder.settings().get()?;
        bytes.set(store.enter()?.copy_out_host(id, path, &folder, &limits)?);
        Ok(())
    })
}

/// Frees the object; no-op if NULL.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_folder_free(folder: *mut dstore_host_folder) {
    infallible!((), |folder: GivenBack<dstore_host_folder>| drop(folder))
}
