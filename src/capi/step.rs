//! `dstore_step`: a build in progress.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::capi::arguments::{GivenBack, Unasked, refused};
use crate::capi::boundary::infallible;
use crate::capi::callback::{OnOutput, dstore_output_callback};
use crate::capi::cancel::dstore_cancel;
use crate::capi::command::dstore_command;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::{Exclusive, Handle, Inside};
use crate::capi::settings::Settable;
use crate::capi::status::dstore_status;
use crate::capi::text::c_string;
use crate::error::Result;
use crate::store::step::Step;
use crate::wait::Limits;

/// A build in progress, until it is committed or aborted. Only one call at a time may use a step; a
/// second one, from another thread or a callback, returns DSTORE_BUSY. Successive calls may come
/// from different threads. dstore_step_id() may be called at any time.
///
/// If a call fails, the step can only be aborted: other calls return DSTORE_CONFLICT, except
/// dstore_step_limit() and getters. The step stays usable after DSTORE_INVALID_ARGUMENT, except
/// from copying out to a pipe; after DSTORE_BUSY because the handle is in use; after DSTORE_IO
/// because a local file to import, load or copy in cannot be opened for reading; and after
/// DSTORE_NOT_FOUND from copying out a path that does not exist.
#[derive(Debug)]
pub struct dstore_step {
    step: Exclusive<Step>,
    id: CString,
    /// Whether the step belongs to a build's callback. C must not commit, abort or free it.
    lent: bool,
    /// Whether the last command that was run was started at all.
    started: AtomicBool,
}

impl Handle for dstore_step {}

impl dstore_step {
    pub(super) fn new(step: Step) -> Self {
        dstore_step {
            id: c_string(step.id()),
            step: Exclusive::new("step", step),
            lent: false,
            started: AtomicBool::new(false),
        }
    }

    pub(super) fn lent(step: Step) -> Self {
        dstore_step {
            lent: true,
            ..Self::new(step)
        }
    }

    pub(super) fn enter(&self) -> Result<Inside<'_, Step>> {
        self.step.enter()
    }

    /// Commits or aborts.
    pub(super) fn finish(&self, commit: bool) -> Result<()> {
        self.enter()?.finish(commit)
    }

    fn end(&self, commit: bool) -> Result<()> {
        self.not_lent()?;
        self.finish(commit)
    }

    fn end_within(&self, commit: bool, limits: &Limits) -> Result<()> {
        self.not_lent()?;
        let mut step = self.enter()?;
        step.limit(limits);
        step.finish(commit)
    }

    fn not_lent(&self) -> Result<()> {
        match self.lent {
            true => Err(refused(
                "step",
                "belongs to dstore_store_build(), which commits or aborts it",
            )),
            false => Ok(()),
        }
    }
}

/// Returns the id that a commit will record. Borrowed from `step`. Returns NULL if `step` is NULL.
///
/// Does not block. May be NULL: step.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_id(step: *const dstore_step) -> *const c_char {
    infallible!(ptr::null(), |step: &dstore_step| step.id.as_ptr())
}

/// Replaces the limits that the step was begun with. From now on `timeout_ms` (0 means no timeout;
/// counted from this call) and `cancel` apply to the step.
///
/// Does not block. May be NULL: cancel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_limit(
    step: *mut dstore_step,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |step: Arc<dstore_step>, limits @ (timeout_ms, cancel): Limits| {
            step.enter()?.limit(&limits);
            Ok(())
        }
    )
}

/// Writes `length` bytes to the step's log, between the output of its commands.
///
/// Does not block, except on disk writes. May be NULL: bytes, if there are none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_write_log(
    step: *mut dstore_step,
    bytes: *const c_char,
    length: usize,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |step: Arc<dstore_step>, bytes @ (bytes, length): &[u8]| step.enter()?.write_log(bytes)
    )
}

/// Runs `command` on the step's current files and waits until it exits. Output is written to the
/// log as it arrives, and then passed to `output`. `*exit_code` is set to the command's exit
/// status: 0 to 255, or 128 + N if it was killed by signal N. A non-zero status returns
/// DSTORE_COMMAND_FAILED, unless dstore_command_allow_failure() was set. After
/// DSTORE_COMMAND_FAILED, `*exit_code` is not written; use dstore_error_exit_code().
///
/// Returns DSTORE_NOT_STARTED if the program does not exist or cannot be executed. If the command
/// allows failures, `*exit_code` is then 127 or 126, as in a shell; dstore_step_was_started() tells
/// this from the exit status of a command that ran. A step that was begun with nothing has no
/// programs except those that were copied in.
///
/// When this returns DSTORE_CANCELLED, DSTORE_TIMED_OUT or DSTORE_CALLBACK, the command has been
/// killed, and its container is removed or being removed in the background.
///
/// Blocks. May be NULL: output, user_data, exit_code.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_run(
    step: *mut dstore_step,
    command: *const dstore_command,
    output: dstore_output_callback,
    user_data: *mut c_void,
    exit_code: *mut i64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |step: Arc<dstore_step>,
                      command: Arc<dstore_command>,
                      output @ (output, user_data): OnOutput,
                      exit_code: Unasked<i64>| {
        let command = command.settings().get()?;
        let exit = step
            .enter()?
            .run_with(&command, &mut |piece| output.take(piece))?;
        step.started.store(exit.started, Ordering::Relaxed);
        exit_code.set(exit.code);
        Ok(())
    })
}

/// Returns whether the last command for which dstore_step_run() returned DSTORE_OK was started at
/// all. Returns false if there was none, or if `step` is NULL.
///
/// Does not block. May be NULL: step.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_was_started(step: *const dstore_step) -> bool {
    infallible!(false, |step: &dstore_step| step
        .started
        .load(Ordering::Relaxed))
}

/// Records the result and ends the step. The result appears atomically, with the last engine call:
/// nothing that happens before leaves a result. After an error there is no result, and the step has
/// been aborted, so a new one may begin. Exceptions: if the step is in use (DSTORE_BUSY), it is
/// unchanged; after DSTORE_OUTCOME_UNKNOWN the result may exist, and the next begin of the id finds
/// it. The handle must still be freed.
///
/// Blocks.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_commit(
    step: *mut dstore_step,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |step: Arc<dstore_step>| step.end(true))
}

/// Like dstore_step_commit(), limited by `timeout_ms` (0 means no timeout) and `cancel`. They
/// replace the limits that the step was begun with.
///
/// Blocks. May be NULL: cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_commit_within(
    step: *mut dstore_step,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |step: Arc<dstore_step>, limits @ (timeout_ms, cancel): Limits| step
            .end_within(true, &limits)
    )
}

/// Ends the step without a result, and removes its container and its tag. The log is kept. The
/// handle must still be freed. If the step has been cancelled or has timed out, cleaning up may
/// take a second and a half. What is not removed by then is removed in the background, and the call
/// returns DSTORE_CANCELLED or DSTORE_TIMED_OUT.
///
/// Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_abort(
    step: *mut dstore_step,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |step: Arc<dstore_step>| step.end(false))
}

/// Like dstore_step_abort(), limited by `timeout_ms` (0 means no timeout) and `cancel`. They
/// replace the limits that the step was begun with. What is not removed in time is removed in the
/// background; after that, the id can be built again.
///
/// Blocks. May be NULL: cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_abort_within(
    step: *mut dstore_step,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |step: Arc<dstore_step>, limits @ (timeout_ms, cancel): Limits| step
            .end_within(false, &limits)
    )
}

/// Frees a step; no-op if NULL. A step that is neither committed nor aborted is aborted in the
/// background; dstore_store_complete_deletes() waits for that.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_free(step: *mut dstore_step) {
    infallible!((), |step: GivenBack<dstore_step>| {
        // C does not own the handle that a build's callback receives: the build frees it.
        if step.0.as_ref().is_some_and(|step| step.lent) {
            std::mem::forget(step);
        }
    })
}
