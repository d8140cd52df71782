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

/// A build in progress, until it is committed or aborted. Used by one thread at a time, which may
/// change from call to call; a call in the middle of another, from a callback or a second thread,
/// returns DSTORE_BUSY. A call that fails leaves a step that can only be aborted: further ones return
/// DSTORE_CONFLICT. But DSTORE_INVALID_ARGUMENT and DSTORE_BUSY leave it as it was.
#[derive(Debug)]
pub struct dstore_step {
    step: Exclusive<Step>,
    id: CString,
    /// Whether it is that of a build's callback, and not C's to end.
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
                "is that of dstore_store_build(), which ends it itself",
            )),
            false => Ok(()),
        }
    }
}

/// The id that a commit will record. Borrowed from `step`; NULL for NULL.
///
/// Does not block. May be NULL: step.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_id(step: *const dstore_step) -> *const c_char {
    infallible!(ptr::null(), |step: &dstore_step| step.id.as_ptr())
}

/// From now on `timeout_ms` (0 is none; counted from this call) and `cancel` hold for the step, in
/// place of those that it was begun with.
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

/// Writes `length` bytes to the step's log, between what its commands write.
///
/// Does not block, short of the disk. May be NULL: bytes, if there are none.
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

/// Runs `command` on what the step has come to, until it ends. Its output goes to the log as it
/// comes, and each piece to `output` after that. `exit_code` is the command's exit status: 0 to
/// 255, and 128 + the signal's number where a signal ended it. Other than 0 is
/// DSTORE_COMMAND_FAILED, unless the command allows it.
///
/// A program that is not there, or cannot be executed, is DSTORE_NOT_STARTED; if the command allows
/// failures, the exit code is 127 or 126, as a shell has it, and dstore_step_was_started() tells it from a
/// command's own. A step that was begun with nothing has no programs but those that were copied in.
///
/// DSTORE_CANCELLED, DSTORE_TIMED_OUT and DSTORE_CALLBACK end the command, and its container is
/// gone.
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

/// Whether the last command for which dstore_step_run() returned DSTORE_OK was started at all. Before any,
/// and for NULL, it is false.
///
/// Does not block. May be NULL: step.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_was_started(step: *const dstore_step) -> bool {
    infallible!(false, |step: &dstore_step| step
        .started
        .load(Ordering::Relaxed))
}

/// Records the result, and ends the step. The result appears with the last engine call, at once and
/// whole: whatever happens before leaves none. After an error there is no result, and the step has
/// been aborted (unless it was DSTORE_BUSY), so that a new one may begin; after
/// DSTORE_OUTCOME_UNKNOWN there may be one, and that new one finds it. The handle is still to be freed.
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

/// dstore_step_commit() for as long as `timeout_ms` (0 is none) and `cancel` allow. They hold in
/// place of those that the step was begun with.
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

/// Ends the step without a result, and removes its container and its tag. The log stays. The handle
/// is still to be freed. A step that was told to end is given a second and a half for that: what then
/// is still there is removed in the background, and the answer is DSTORE_CANCELLED or
/// DSTORE_TIMED_OUT.
///
/// Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_abort(
    step: *mut dstore_step,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |step: Arc<dstore_step>| step.end(false))
}

/// dstore_step_abort() for as long as `timeout_ms` (0 is none) and `cancel` allow. They hold in
/// place of those that the step was begun with. What is not removed in time is removed in the
/// background, and the id can be built again after that.
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

/// Frees a step. NULL is fine. One that is neither committed nor aborted is aborted in the
/// background: dstore_store_complete_deletes() waits for that.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_step_free(step: *mut dstore_step) {
    infallible!((), |step: GivenBack<dstore_step>| {
        // The handle of a build's callback is not C's to give back: the build frees it.
        if step.0.as_ref().is_some_and(|step| step.lent) {
            std::mem::forget(step);
        }
    })
}
