//! Building: begin a step, or have a callback do the work of one.

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
    /// The result was there before, or another build of the same id made it meanwhile.
    DSTORE_HIT = 1,
    /// This call built it.
    DSTORE_BUILT = 2,
}

use dstore_outcome::*;

/// Does the work of a build with `step`, which is the library's: not to be freed, committed,
/// aborted or kept. Returns 0 for the result to be recorded; anything else aborts the step.
pub type dstore_work_callback =
    Option<unsafe extern "C" fn(user_data: *mut c_void, step: *mut dstore_step) -> i32>;

/// Begins to build `id` on the result `base`, or on nothing where that is NULL. If `id` has been
/// built, there is nothing to do: `*step` is then NULL, and the status DSTORE_OK. Waits while
/// anybody else, in this process or another, builds the same id. `timeout_ms` (0 is none), counted
/// from now, and `cancel` hold for this call and for all of the step. DSTORE_NOT_FOUND for a base
/// that has not been built. Free the step with dstore_step_free().
///
/// A step without a base begins by what its first call brings: dstore_step_import(), dstore_step_pull(),
/// dstore_step_load(), dstore_step_use_image(); or with no files at all. Nothing can be run in that but what
/// was copied in, and if nothing was, a commit records a result without any files.
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

/// dstore_store_begin(); and while that waits for another build of the same id, gives `log` what that
/// one writes to its log, as it is written: all of it, from its start, and whole when this answers that
/// the result is there. Nothing where nobody is waited for. The log of a build that fails or is killed
/// comes to its end; then that of another one, as a further attempt, or this call answers with a step.
/// DSTORE_CANCELLED and DSTORE_TIMED_OUT come at once, and so does DSTORE_CALLBACK, where `log` does not
/// return 0. Free the step with dstore_step_free().
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

/// Whether somebody, in this process or another, builds `id` now. For who follows its log: what was
/// written before the end is there to be read after it.
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
        // SAFETY: it was taken as one that may be called with this data while the call lasts. The step is a handle as `give`
        // makes them, and lives on through what C does with it: freeing it does nothing, as it is lent.
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

/// dstore_store_begin(); then, unless it is a hit, `work`; and then dstore_step_commit(), or
/// dstore_step_abort() where `work` does not return 0. `outcome` is a dstore_outcome.
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
            // Ours, and C has the use of it: should it go on using it elsewhere, the step is aborted when that ends.
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
