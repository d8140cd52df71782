//! Building: beginning a step, or calling back to do the work of one.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use crate::capi::arguments::{Out, Owned, Unasked, refused};
use crate::capi::boundary::{Argument, Call};
use crate::capi::callback::{OnLog, dstore_follow_callback, stopped};
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::status::dstore_status;
use crate::capi::step::dstore_step;
use crate::capi::store::dstore_store;
use crate::error::Result;
use crate::store::Begun;
use crate::wait::Limits;

/// What a build did.
#[repr(i32)]
#[derive(Clone, Copy, Debug)]
pub enum dstore_outcome {
    /// The result already existed, or another build of the same id created it in the meantime.
    DSTORE_HIT = 1,
    /// This call built the result.
    DSTORE_BUILT = 2,
}

use dstore_outcome::*;

/// Performs the work of a build. The library owns `step`: do not free, commit or abort it, and do
/// not use it after returning. Return 0 to commit the step; any other value aborts it.
pub type dstore_work_callback =
    Option<unsafe extern "C" fn(user_data: *mut c_void, step: *mut dstore_step) -> i32>;

/// Begins to build `id` on the result `base`, or on nothing if `base` is NULL. If `id` has already
/// been built, returns DSTORE_OK and sets `*step` to NULL. Waits while another thread or process
/// builds the same id. `timeout_ms` (0 means no timeout), counted from now, and `cancel` apply to
/// this call and to the whole step. Returns DSTORE_NOT_FOUND if `base` has not been built. Free the
/// step with dstore_step_free().
///
/// A step without a base starts from what its first call supplies: dstore_step_import(),
/// dstore_step_pull(), dstore_step_load() or dstore_step_use_image(). Without such a call it starts
/// with no files, and only programs that were copied in can be run. If nothing was copied in, a
/// commit records a result without any files.
///
/// Blocks. May be NULL: base, cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_begin(
    store: *const dstore_store,
    base: *const c_char,
    id: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    step: *mut *mut dstore_step,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      base: Option<&str>,
                      id: &str,
                      limits @ (timeout_ms, cancel): Limits,
                      step: Owned<dstore_step>| {
        match store.enter()?.begin(base, id, &limits)? {
            Begun::Present => {}
            Begun::Step(begun) => step.set(dstore_step::new(begun)),
        }
        Ok(())
    })
}

/// Like dstore_store_begin(). While it waits for another build of the same id, it also passes to
/// `log` what that build writes to its log, as it is written. The log is passed from its start, and
/// is complete when this call reports that the result exists. If there is no build to wait for,
/// `log` is not called. If the other build fails or is killed, its log ends; the log of the next
/// build then follows as a further attempt, or this call returns a step.
///
/// Returns DSTORE_CANCELLED or DSTORE_TIMED_OUT without delay, and DSTORE_CALLBACK if `log` does
/// not return 0. Free the step with dstore_step_free().
///
/// Blocks. May be NULL: base, cancel, log, user_data.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_begin_following(
    store: *const dstore_store,
    base: *const c_char,
    id: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    log: dstore_follow_callback,
    user_data: *mut c_void,
    step: *mut *mut dstore_step,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      base: Option<&str>,
                      id: &str,
                      limits @ (timeout_ms, cancel): Limits,
                      log @ (log, user_data): OnLog,
                      step: Owned<dstore_step>| {
        let begun = store
            .enter()?
            .begin_following(base, id, &limits, &mut |piece| log.take(piece))?;
        if let Begun::Step(begun) = begun {
            step.set(dstore_step::new(begun));
        }
        Ok(())
    })
}

/// Sets `*building` to whether `id` is being built, by this process or another. Use it to follow a
/// log: once it is false, everything the build wrote can be read from the log file.
///
/// Does not block.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_building(
    store: *const dstore_store,
    id: *const c_char,
    building: *mut bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(error, |store: Arc<dstore_store>,
                      id: &str,
                      building: Out<bool>| {
        building.set(store.enter()?.building(id)?);
        Ok(())
    })
}

/// A callback that does the work of a build.
struct Work<'call> {
    callback: unsafe extern "C" fn(*mut c_void, *mut dstore_step) -> i32,
    user_data: *mut c_void,
    _call: &'call Call,
}

impl Work<'_> {
    fn do_with(&self, step: &Arc<dstore_step>) -> i32 {
        // SAFETY: `take` requires that the callback may be called with this data during the call. The step is a handle made by
        // `give`. It stays alive whatever C does with it, because freeing a lent step is a no-op.
        unsafe { (self.callback)(self.user_data, Arc::as_ptr(step).cast_mut()) }
    }
}

/// # Safety
///
/// The callback is NULL, or may be called with the data while the call lasts, and returns without unwinding.
impl<'call> Argument<'call, (dstore_work_callback, *mut c_void)> for Work<'call> {
    unsafe fn take(
        (callback, user_data): (dstore_work_callback, *mut c_void),
        name: &str,
        _call: &'call Call,
    ) -> Result<Self> {
        let callback = callback.ok_or_else(|| refused(name, "is NULL"))?;
        Ok(Work {
            callback,
            user_data,
            _call,
        })
    }
}

/// Calls dstore_store_begin() and, if the result does not exist yet, `work`. Commits the step if
/// `work` returns 0; aborts it otherwise. `*outcome` is set to a dstore_outcome. See
/// dstore_step_commit() and dstore_step_abort().
///
/// Blocks. May be NULL: base, cancel, user_data, outcome.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_store_build(
    store: *const dstore_store,
    base: *const c_char,
    id: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    work: dstore_work_callback,
    user_data: *mut c_void,
    outcome: *mut dstore_outcome,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |store: Arc<dstore_store>,
         base: Option<&str>,
         id: &str,
         limits @ (timeout_ms, cancel): Limits,
         work @ (work, user_data): Work,
         outcome: Unasked<dstore_outcome>| {
            let Begun::Step(step) = store.enter()?.begin(base, id, &limits)? else {
                outcome.set(DSTORE_HIT);
                return Ok(());
            };
            // We own the handle, and C may use it. If another thread is still using it, the step is aborted when that call
            // returns.
            let step = Arc::new(dstore_step::lent(step));
            match work.do_with(&step) {
                0 => step.finish(true)?,
                answer => {
                    if let Err(e) = step.finish(false) {
                        log::warn!("{e}");
                    }
                    return Err(stopped("work", answer));
                }
            }
            outcome.set(DSTORE_BUILT);
            Ok(())
        }
    )
}
