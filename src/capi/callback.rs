//! Callbacks, and how the store calls them: on the calling thread, before the call returns, with no lock held. If a callback
//! returns a value other than zero, the call stops and returns DSTORE_CALLBACK.

use std::ffi::{CStr, c_char, c_void};
use std::io::{self, Read, Write};

use crate::capi::arguments::refused;
use crate::capi::boundary::{Argument, Call};
use crate::capi::item::Row;
use crate::capi::text::c_string;
use crate::error::{Error, ErrorKind, Result};
use crate::store::progress::Progress;
use crate::store::step::{Channel, Output};
use crate::store::{LogPiece, PruneRow};

/// Which output a command wrote to.
#[repr(i32)]
#[derive(Clone, Copy, Debug)]
pub enum dstore_channel {
    /// Standard output.
    DSTORE_STDOUT = 1,
    /// Standard error.
    DSTORE_STDERR = 2,
}

/// Receives output of a command: `length` bytes, at least one. They are not split at line
/// boundaries and not NUL-terminated. `channel` is a dstore_channel. Return 0 to continue; any
/// other value stops the command.
pub type dstore_output_callback = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        channel: i32,
        bytes: *const c_char,
        length: usize,
    ) -> i32,
>;

/// Reports the progress of a long call. `status` is the engine's description ("Downloading").
/// `item` is the layer it applies to, or "" for all. `current` of `total` bytes are done; `total`
/// is 0 if unknown. Return 0 to continue; any other value stops the call.
pub type dstore_progress_callback = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        status: *const c_char,
        item: *const c_char,
        current: u64,
        total: u64,
    ) -> i32,
>;

/// Supplies the next bytes of a stream: writes up to `capacity` bytes to `buffer` and stores their
/// number in `*length`. `*length` is 0 on entry; leaving it 0 ends the stream. Return 0 to
/// continue; any other value stops the call.
pub type dstore_read_callback = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        buffer: *mut c_char,
        capacity: usize,
        length: *mut usize,
    ) -> i32,
>;

/// Receives the next `length` bytes of a stream, at least one. Return 0 to continue; any other
/// value stops the call.
pub type dstore_write_callback = Option<
    unsafe extern "C" fn(user_data: *mut c_void, bytes: *const c_char, length: usize) -> i32,
>;

/// Receives a piece of the log of another build: `length` bytes, at least one, as they were
/// written. They are not split at line boundaries and not NUL-terminated. `attempt` counts from 1.
/// If it is higher than before, the previous build ended without a result, and this is the start of
/// the next build's log. Return 0 to continue; any other value stops waiting.
pub type dstore_follow_callback = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        attempt: u32,
        bytes: *const c_char,
        length: usize,
    ) -> i32,
>;

/// Receives a line of the library's log: `length` bytes of UTF-8, followed by a NUL. `level` is a
/// dstore_log_level. Return 0 to continue; any other value stops the call, and the remaining lines
/// are kept for the next one.
pub type dstore_log_callback = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        level: i32,
        line: *const c_char,
        length: usize,
    ) -> i32,
>;

/// Receives a row of a prune, as it happens. `item` is a dstore_item. `name` has `length` bytes,
/// followed by a NUL. `bytes` is the space that its removal frees, and `last_use` when it was last
/// used, in seconds since 1970. `fate` is a dstore_fate. `why` says why the item was kept, or is ""
/// if it was removed. Return 0 to continue; any other value stops the prune.
pub type dstore_prune_callback = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        item: i32,
        name: *const c_char,
        length: usize,
        bytes: u64,
        last_use: i64,
        fate: i32,
        why: *const c_char,
    ) -> i32,
>;

/// Returns the error of a call that a callback stopped.
pub(super) fn stopped(which: &str, answer: i32) -> Error {
    Error::new(
        ErrorKind::Callback,
        format!("the {which} callback returned {answer}"),
    )
}

fn go_on(which: &str, answer: i32) -> Result<()> {
    match answer {
        0 => Ok(()),
        other => Err(stopped(which, other)),
    }
}

/// Returns the number of a channel.
fn number(channel: Channel) -> i32 {
    match channel {
        Channel::Stdout => dstore_channel::DSTORE_STDOUT as i32,
        Channel::Stderr => dstore_channel::DSTORE_STDERR as i32,
    }
}

/// The callback for output; no-op if it is NULL.
pub(super) struct OnOutput<'call> {
    callback: dstore_output_callback,
    user_data: *mut c_void,
    _call: &'call Call,
}

impl OnOutput<'_> {
    pub(super) fn take(&self, output: Output<'_>) -> Result<()> {
        let Some(callback) = self.callback else {
            return Ok(());
        };
        let (bytes, length) = (output.bytes.as_ptr().cast(), output.bytes.len());
        // SAFETY: `take` requires that it may be called with this data during the call; the bytes outlive this call of it.
        go_on("output", unsafe {
            callback(self.user_data, number(output.channel), bytes, length)
        })
    }
}

/// # Safety
///
/// The callback is NULL, or may be called with the data during the call, and returns without unwinding.
impl<'call> Argument<'call, (dstore_output_callback, *mut c_void)> for OnOutput<'call> {
    unsafe fn take(
        (callback, user_data): (dstore_output_callback, *mut c_void),
        _: &str,
        _call: &'call Call,
    ) -> Result<Self> {
        Ok(OnOutput {
            callback,
            user_data,
            _call,
        })
    }
}

/// The callback that follows a log; no-op if it is NULL.
pub(super) struct OnLog<'call> {
    callback: dstore_follow_callback,
    user_data: *mut c_void,
    _call: &'call Call,
}

impl OnLog<'_> {
    pub(super) fn take(&self, piece: LogPiece<'_>) -> Result<()> {
        let Some(callback) = self.callback else {
            return Ok(());
        };
        let (bytes, length) = (piece.bytes.as_ptr().cast(), piece.bytes.len());
        // SAFETY: `take` requires that it may be called with this data during the call; the bytes outlive this call of it.
        go_on("follow", unsafe {
            callback(self.user_data, piece.attempt, bytes, length)
        })
    }
}

/// # Safety
///
/// As for [`OnOutput`].
impl<'call> Argument<'call, (dstore_follow_callback, *mut c_void)> for OnLog<'call> {
    unsafe fn take(
        (callback, user_data): (dstore_follow_callback, *mut c_void),
        _: &str,
        _call: &'call Call,
    ) -> Result<Self> {
        Ok(OnLog {
            callback,
            user_data,
            _call,
        })
    }
}

/// The callback for progress; no-op if it is NULL.
pub(super) struct OnProgress<'call> {
    callback: dstore_progress_callback,
    user_data: *mut c_void,
    _call: &'call Call,
}

impl OnProgress<'_> {
    pub(super) fn hear(&self, progress: Progress<'_>) -> Result<()> {
        let Some(callback) = self.callback else {
            return Ok(());
        };
        let (status, item) = (c_string(progress.status), c_string(progress.item));
        // SAFETY: `take` requires that it may be called with this data during the call; the texts outlive this call of it.
        let answer = unsafe {
            callback(
                self.user_data,
                status.as_ptr(),
                item.as_ptr(),
                progress.current,
                progress.total,
            )
        };
        go_on("progress", answer)
    }
}

/// # Safety
///
/// As for [`OnOutput`].
impl<'call> Argument<'call, (dstore_progress_callback, *mut c_void)> for OnProgress<'call> {
    unsafe fn take(
        (callback, user_data): (dstore_progress_callback, *mut c_void),
        _: &str,
        _call: &'call Call,
    ) -> Result<Self> {
        Ok(OnProgress {
            callback,
            user_data,
            _call,
        })
    }
}

/// The callback for rows of a prune; no-op if it is NULL.
pub(super) struct OnPruned<'call> {
    callback: dstore_prune_callback,
    user_data: *mut c_void,
    _call: &'call Call,
}

impl OnPruned<'_> {
    pub(super) fn take(&self, row: &PruneRow) -> Result<()> {
        let Some(callback) = self.callback else {
            return Ok(());
        };
        let row = Row::from(row);
        // SAFETY: `take` requires that it may be called with this data during the call; the texts outlive this call of it.
        let answer = unsafe {
            callback(
                self.user_data,
                row.kind as i32,
                row.name.as_ptr().cast(),
                row.name.len() - 1,
                row.bytes,
                row.last_use,
                row.fate as i32,
                row.why.as_ptr(),
            )
        };
        go_on("prune", answer)
    }
}

/// # Safety
///
/// As for [`OnOutput`].
impl<'call> Argument<'call, (dstore_prune_callback, *mut c_void)> for OnPruned<'call> {
    unsafe fn take(
        (callback, user_data): (dstore_prune_callback, *mut c_void),
        _: &str,
        _call: &'call Call,
    ) -> Result<Self> {
        Ok(OnPruned {
            callback,
            user_data,
            _call,
        })
    }
}

/// The callback for lines of the log.
pub(super) struct OnLine<'call> {
    callback: unsafe extern "C" fn(*mut c_void, i32, *const c_char, usize) -> i32,
    user_data: *mut c_void,
    _call: &'call Call,
}

impl OnLine<'_> {
    pub(super) fn take(&self, level: i32, line: &CStr) -> Result<()> {
        let length = line.to_bytes().len();
        // SAFETY: `take` requires that it may be called with this data during the call; the line outlives this call of it.
        go_on("log", unsafe {
            (self.callback)(self.user_data, level, line.as_ptr(), length)
        })
    }
}

/// # Safety
///
/// As for [`OnOutput`].
impl<'call> Argument<'call, (dstore_log_callback, *mut c_void)> for OnLine<'call> {
    unsafe fn take(
        (callback, user_data): (dstore_log_callback, *mut c_void),
        name: &str,
        _call: &'call Call,
    ) -> Result<Self> {
        let callback = callback.ok_or_else(|| refused(name, "is NULL"))?;
        Ok(OnLine {
            callback,
            user_data,
            _call,
        })
    }
}

/// A stream that C supplies.
pub(super) struct Source<'call> {
    callback: unsafe extern "C" fn(*mut c_void, *mut c_char, usize, *mut usize) -> i32,
    user_data: *mut c_void,
    failed: Option<Error>,
    _call: &'call Call,
}

impl Source<'_> {
    /// Runs `call`, which reads the stream. A failure of the callback takes precedence over the errors that it causes.
    pub(super) fn during<T>(mut self, call: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let done = call(&mut self);
        self.failed.map_or(done, Err)
    }
}

/// # Safety
///
/// As for [`OnOutput`].
impl<'call> Argument<'call, (dstore_read_callback, *mut c_void)> for Source<'call> {
    unsafe fn take(
        (callback, user_data): (dstore_read_callback, *mut c_void),
        name: &str,
        _call: &'call Call,
    ) -> Result<Self> {
        let callback = callback.ok_or_else(|| refused(name, "is NULL"))?;
        Ok(Source {
            callback,
            user_data,
            failed: None,
            _call,
        })
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut length = 0;
        // SAFETY: `take` requires that it may be called with this data during the call; the buffer has the stated length.
        let answer = unsafe {
            (self.callback)(
                self.user_data,
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                &raw mut length,
            )
        };
        let fault = match answer {
            0 if length <= buffer.len() => return Ok(length),
            0 => Error::new(
                ErrorKind::Callback,
                format!(
                    "the read callback reported {length} bytes for a buffer of {}",
                    buffer.len()
                ),
            ),
            other => stopped("read", other),
        };
        self.failed = Some(fault);
        Err(io::Error::other("stopped by a callback"))
    }
}

/// A stream that C receives.
pub(super) struct Sink<'call> {
    callback: unsafe extern "C" fn(*mut c_void, *const c_char, usize) -> i32,
    user_data: *mut c_void,
    failed: Option<Error>,
    _call: &'call Call,
}

impl Sink<'_> {
    /// Runs `call`, which writes the stream. Errors as in [`Source::during`].
    pub(super) fn during<T>(mut self, call: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let done = call(&mut self);
        self.failed.map_or(done, Err)
    }
}

/// # Safety
///
/// As for [`OnOutput`].
impl<'call> Argument<'call, (dstore_write_callback, *mut c_void)> for Sink<'call> {
    unsafe fn take(
        (callback, user_data): (dstore_write_callback, *mut c_void),
        name: &str,
        _call: &'call Call,
    ) -> Result<Self> {
        let callback = callback.ok_or_else(|| refused(name, "is NULL"))?;
        Ok(Sink {
            callback,
            user_data,
            failed: None,
            _call,
        })
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        // SAFETY: `take` requires that it may be called with this data during the call; the bytes exist.
        match unsafe { (self.callback)(self.user_data, bytes.as_ptr().cast(), bytes.len()) } {
            0 => Ok(bytes.len()),
            other => {
                self.failed = Some(stopped("write", other));
                Err(io::Error::other("stopped by a callback"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
