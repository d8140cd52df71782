//! Copying files into and out of a step, as tar streams.

use std::ffi::{c_char, c_void};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

use crate::capi::arguments::Unasked;
use crate::capi::callback::{Sink, Source, dstore_read_callback, dstore_write_callback};
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::source::open_tar;
use crate::capi::status::dstore_status;
use crate::capi::step::dstore_step;
use crate::error::{Error, ErrorKind, Result};
use crate::local;

/// Unpacks a tar stream that `read` gives below `path`, an absolute path in the step, which is made
/// where it is missing. Owners, modes and times are those in the stream.
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

/// dstore_step_copy_in() from the file `tar` of this machine (any bytes).
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
        let (mut tar, _) = open_tar(tar)?;
        step.enter()?.copy_in(path, &mut tar)
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
/// is written once there is something to write, and removed if not all can be.
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

/// Has `write` write a file. What was there stays until there is something to write, and half a
/// file does not.
pub(super) fn into_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<u64>,
) -> Result<u64> {
    let mut late = Late {
        path,
        file: None,
        failed: None,
    };
    let written = write(&mut late);
    let written = late.failed.take().map_or(written, Err);
    if let (Err(_), Some(file)) = (&written, &late.file) {
        // Not a device or a pipe, which somebody named for its other end.
        if file.metadata().is_ok_and(|found| found.is_file()) {
            let _ = std::fs::remove_file(path);
        }
    }
    written
}

/// A file that is made by the first write.
struct Late<'a> {
    path: &'a Path,
    file: Option<File>,
    /// Why the file could not be made; the writer would only say that it could not write.
    failed: Option<Error>,
}

impl Write for Late<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = match self.file.take() {
            Some(file) => file,
            None => create(self.path).map_err(|e| {
                self.failed = Some(e);
                io::Error::from(io::ErrorKind::Other)
            })?,
        };
        self.file.insert(file).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe is refused: writing to one whose reader has gone raises SIGPIPE, which ends a process that does not expect it.
fn create(path: &Path) -> Result<File> {
    let doing = || format!("creating {}", path.display());
    if path
        .metadata()
        .is_ok_and(|found| found.file_type().is_fifo())
    {
        let why = format!(
            "{}: it is a pipe; take the bytes by a callback, and write them yourself",
            doing()
        );
        return Err(Error::new(ErrorKind::InvalidArgument, why));
    }
    local::create(path).map_err(|e| Error::io(doing(), &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "writes files, and crosses no boundary")]
    fn a_file_is_made_when_there_is_something_to_write_and_not_left_half_written() {
        let path =
            std::env::temp_dir().join(format!("docker-store-into-file-{}", std::process::id()));
        let not_found = || Err(Error::new(ErrorKind::NotFound, "no such path"));
        std::fs::write(&path, "old").expect("a file");
        assert!(into_file(&path, |_| not_found()).is_err());
        assert_eq!(std::fs::read(&path).expect("still there"), b"old");
        let half = into_file(&path, |file| {
            file.write_all(b"ha")
                .map_err(|e| Error::io("writing", &e))?;
            not_found()
        });
        assert!(half.is_err() && !path.exists());
        let whole = into_file(&path, |file| {
            file.write_all(b"whole")
                .map(|()| 5)
                .map_err(|e| Error::io("writing", &e))
        });
        assert_eq!(
            (
                whole.expect("written"),
                std::fs::read(&path).expect("there")
            ),
            (5, b"whole".to_vec())
        );
        std::fs::remove_file(&path).expect("removed");

        let pipe = path.with_extension("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
        let refused = into_file(&pipe, |file| {
            file.write_all(b"x")
                .map(|()| 1)
                .map_err(|e| Error::io("writing", &e))
        });
        assert_eq!(
            refused.expect_err("a pipe").kind(),
            ErrorKind::InvalidArgument
        );
        std::fs::remove_file(&pipe).expect("still there");

        let nowhere = path.join("x");
        let failed = into_file(&nowhere, |file| {
            file.write_all(b"x")
                .map(|()| 1)
                .map_err(|e| Error::io("writing", &e))
        });
        assert!(
            failed
                .expect_err("no folder")
                .message()
                .starts_with("creating ")
        );
    }
}
