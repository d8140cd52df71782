//! `dstore_host_files`: a file or a folder of this machine, and what of it is taken, how.

use std::ffi::c_char;
use std::path::Path;
use std::sync::Arc;

use crate::capi::arguments::{GivenBack, Owned};
use crate::capi::boundary::infallible;
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::Handle;
use crate::capi::settings::{Settable, Settings, setter};
use crate::capi::status::dstore_status;
use crate::capi::step::dstore_step;
use crate::capi::text::c_string;
use crate::store::host::files::HostFiles;
use crate::wait::Limits;

/// A file or a folder of this machine, and what of it is taken, how. By default all of it, owned by
/// root, with the modes and times that it has here. Sockets are passed over, as by "docker build"; pipes and
/// devices are copied as such. Links inside a folder stay links, and names that share a file (hard
/// links) share one in the step, too. Extended attributes are not copied, and holes are filled with
/// zeros. May be used any number of times, by any number of threads at once. A setter that fails is
/// remembered: the calls that use the object then fail with the same error.
#[derive(Debug)]
pub struct dstore_host_files(Settings<HostFiles>);

impl Handle for dstore_host_files {}

impl Settable for dstore_host_files {
    type Value = HostFiles;
    const NAME: &'static str = "files";

    fn settings(&self) -> &Settings<HostFiles> {
        &self.0
    }
}

/// The file or folder at `path` of this machine (any bytes), which is looked at when it is used. If
/// it is a link, what the link leads to is taken. Free it with dstore_host_files_free().
///
/// Does not block.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_files_new(
    path: *const c_char,
    files: *mut *mut dstore_host_files,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |path: &Path, files: Owned<dstore_host_files>| {
        files.set(dstore_host_files(Settings::new(
            "files",
            HostFiles::new(path),
        )));
        Ok(())
    })
}

/// Leaves out what `pattern` fits, as a line of a .dockerignore would: relative to the folder, * and ?
/// for anything within a name, ** for any folders, and ! before it for what is taken in again. The
/// last line that fits decides. What is in a folder that is left out is taken in again only by a
/// line that begins with the folder's name. Patterns do not hold for a single file.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_files_exclude(
    files: *mut dstore_host_files,
    pattern: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, files, |files, pattern: &str| files
        .exclude(pattern)
        .map(drop))
}

/// Takes in again what `pattern` fits: dstore_host_files_exclude() with a ! before it.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_files_include(
    files: *mut dstore_host_files,
    pattern: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, files, |files, pattern: &str| files
        .include(pattern)
        .map(drop))
}

/// Adds all lines of a .dockerignore, of which `text` is the text, without its comments.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_files_dockerignore(
    files: *mut dstore_host_files,
    text: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, files, |files, text: &str| files
        .dockerignore(text)
        .map(drop))
}

/// What it is called in the step: one name (any bytes). By default a file keeps its name, and what is
/// in a folder is put directly below the path that it is copied to; a folder with a name is put
/// there itself.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_files_name(
    files: *mut dstore_host_files,
    name: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, files, |files, name: &Path| {
        files.name(name);
        Ok(())
    })
}

/// Who owns all of it in the step. By default root, 0 and 0.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_files_owner(
    files: *mut dstore_host_files,
    uid: u32,
    gid: u32,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, files, |files| {
        files.owner(uid, gid);
        Ok(())
    })
}

/// Keeps the owners that the files have here, by their numbers.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_files_keep_owners(
    files: *mut dstore_host_files,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, files, |files| {
        files.keep_owners();
        Ok(())
    })
}

/// When all of it was last changed, in `seconds` since 1970: then the same files are the same bytes
/// each time, and have the same digest. By default the times are kept.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_files_fixed_times(
    files: *mut dstore_host_files,
    seconds: i64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, files, |files| {
        files.fixed_times(seconds);
        Ok(())
    })
}

/// The digest of what dstore_step_copy_in_host() would send now, without sending it: 64 hex digits of a
/// SHA-256, for dstore_id(). It covers names, kinds, modes, owners, times, contents and links, and not
/// where the folder is, how its file system orders names or which parts of a file are holes. `timeout_ms`: 0
/// is none. What cannot be read, or is changed while it is read, is DSTORE_IO. Free the digest with
/// dstore_string_free().
///
/// Blocks. May be NULL: cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_files_digest(
    files: *const dstore_host_files,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    digest: *mut *mut c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |files: Arc<dstore_host_files>,
                      limits @ (timeout_ms, cancel): Limits,
                      digest: Owned<c_char>| {
        let made = files.settings().get()?.digest(&limits)?;
        digest.set_text(c_string(made));
        Ok(())
    })
}

/// Copies `files` of this machine below `path`, an absolute path in the step, which is made where it
/// is missing: what is in a folder, or a single file under its name. They are read as they are sent,
/// and nothing is kept. `digest` is that of what was sent, as by dstore_host_files_digest(); free it with
/// dstore_string_free(). What cannot be read, or is changed while it is read, is DSTORE_IO.
///
/// Blocks.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_copy_in_host(
    step: *mut dstore_step,
    path: *const c_char,
    files: *const dstore_host_files,
    digest: *mut *mut c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |step: Arc<dstore_step>,
                      path: &str,
                      files: Arc<dstore_host_files>,
                      digest: Owned<c_char>| {
        let files = files.settings().get()?;
        let sent = step.enter()?.copy_in_host(path, &files)?;
        digest.set_text(c_string(sent));
        Ok(())
    })
}

/// Frees it. NULL is fine.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_files_free(files: *mut dstore_host_files) {
    infallible!((), |files: GivenBack<dstore_host_files>| drop(files))
}
