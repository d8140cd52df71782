//! Building: begin a step, or have a callback do the work of one.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use crate::capi::arguments::{Out, limits, object, optional_text, refused, text};
use crate::capi::callback::stopped;
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::give;
use crate::capi::status::dstore_status;
use crate::capi::step::dstore_step;
use crate::capi::store::dstore_store;
use crate::store::Begun;

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
    // SAFETY: what the header says of the pointers.
    unsafe {
        fallible(error, || {
            let step = Out::owned(step, "step")?;
            let store = object(store, "store")?;
            let (base, id) = (optional_text(base, "base")?, text(id, "id")?);
            match store
                .enter()?
                .begin(base, id, &limits(timeout_ms, cancel))?
            {
                Begun::Present => {}
                Begun::Step(begun) => step.set(give(dstore_step::new(begun))),
            }
            Ok(())
        })
    }
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
    // SAFETY: what the header says of the pointers.
    unsafe {
        fallible(error, || {
            let building = Out::new(building, "building")?;
            let store = object(store, "store")?;
            building.set(store.enter()?.building(text(id, "id")?)?);
            Ok(())
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
    // SAFETY: what the header says of the pointers.
    unsafe {
        fallible(error, || {
            let outcome = Out::optional(outcome);
            let store = object(store, "store")?;
            let (base, id) = (optional_text(base, "base")?, text(id, "id")?);
            let work = work.ok_or_else(|| refused("work", "is NULL"))?;
            let Begun::Step(step) = store
                .enter()?
                .begin(base, id, &limits(timeout_ms, cancel))?
            else {
                outcome.set(DSTORE_HIT);
                return Ok(());
            };
            // Ours, and C has the use of it: should it go on using it elsewhere, the step is aborted when that ends.
            let step = Arc::new(dstore_step::lent(step));
            match work(user_data, Arc::as_ptr(&step).cast_mut()) {
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
        })
    }
}
