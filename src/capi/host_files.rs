//! `dstore_host_files`: a local file or directory, and which parts of it are copied and how.

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

/// A local file or directory, and which parts of it are copied and how. By default everything is
/// copied, owned by root, with its local modes and times. Sockets are skipped, as by "docker
/// build"; pipes and devices are copied as such. Links inside a directory stay links, and hard
/// links to one file stay hard links in the step. Extended attributes are not copied, and holes are
/// filled with zeros. May be used any number of times, by any number of threads concurrently. The
/// first error of a setter is remembered, and calls that use the object then fail with the same
/// status.
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

/// Creates an object for the local file or directory at `path` (any bytes), which is read when the
/// object is used. If it is a symbolic link, its target is used. Free it with
/// dstore_host_files_free().
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

/// Excludes what matches `pattern`, as a line of a .dockerignore file does. The pattern is relative
/// to the directory; * and ? match within a name, ** matches any directories, and a leading !
/// includes matches again. The last matching line decides. The contents of an excluded directory
/// are included again only by a line that starts with the directory's name. Patterns do not apply
/// to a single file.
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

/// Includes again what matches `pattern`: like dstore_host_files_exclude() with a leading !.
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

/// Adds all lines of a .dockerignore file, whose contents are `text`, except its comments.
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

/// Sets the name in the step: one path component (any bytes). By default a file keeps its name, and
/// the contents of a directory are placed directly in the path that they are copied to. A directory
/// with a name is placed there itself.
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

/// Sets the owner of everything in the step. The default is root, 0 and 0.
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

/// Keeps the numeric owners that the local files have.
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

/// Sets all modification times to `seconds` since 1970. The same files then give the same bytes
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

/// Computes the digest of what dstore_step_copy_in_host() would send now, without sending it: 64
/// hex digits of a SHA-256, for dstore_id(). It covers names, types, modes, owners, times, contents
/// and links. It does not depend on the directory's location, the order of names in its file
/// system, or which parts of a file are holes. `timeout_ms` 0 means no timeout. Returns DSTORE_IO
/// if a file cannot be read or changes while it is read. Free the digest with dstore_string_free().
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

/// Copies the local `files` into `path`, an absolute path in the step; missing directories are
/// created. The contents of a directory are copied, or a single file under its name. Files are read
/// while they are sent, and nothing is stored locally. `*digest` is set to the digest of what was
/// sent, like that of dstore_host_files_digest(); free it with dstore_string_free(). Returns
/// DSTORE_IO if a file cannot be read or changes while it is read.
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

/// Frees the object; no-op if NULL.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_host_files_free(files: *mut dstore_host_files) {
    infallible!((), |files: GivenBack<dstore_host_files>| drop(files))
}
