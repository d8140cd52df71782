//! One build for each id: a second caller, in this process or another, waits and takes the first one's result. While it waits,
//! it may follow the log.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::error::Result;
use crate::store::bounds::record;
use crate::store::follow::{Following, Sink};
use crate::store::lock::FileLock;
use crate::store::names::Id;
use crate::store::site::Site;
use crate::store::step::Step;
use crate::wait::Limits;

/// What [`Store::begin`](crate::Store::begin) found.
#[derive(Debug)]
pub enum Begun {
    /// The result exists: nothing is to be done.
    Present,
    /// The result does not exist, and this caller has the exclusive right to build it.
    Step(Step),
}

/// What [`Store::build`](crate::Store::build) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The result already existed, or another build of the same id created it in the meantime.
    Hit,
    /// This call built it.
    Built,
}

/// See [`Store::begin`](crate::Store::begin), and [`Store::begin_following`](crate::Store::begin_following) if there is a
/// `log`.
pub(crate) fn begin(
    site: &Arc<Site>,
    base: Option<&str>,
    id: &str,
    limits: &Limits,
    log: Option<Sink<'_>>,
) -> Result<Begun> {
    site.check_open("beginning a step")?;
    let base = base.map(|base| site.names.id(base)).transpose()?;
    let id = site.names.id(id)?;
    let image = site.names.image(&id);
    let is_there = || site.engine.image_exists(&image, limits.wait());
    // An existing result needs no lock: most builds end here.
    if is_there()? && record::mark(site, &id, limits.wait())? {
        site.counters.result_hits.add(1);
        return Ok(Begun::Present);
    }
    site.check_root("beginning a step")?;
    site.keep_session();
    let path = site.paths.build_lock(id.as_str());
    let mut following = log.map(|take| Following::of(site, &id, &path, take));
    let mut waited = false;
    let mut lock = site.paths.in_folders(|| FileLock::try_take(&path))?;
    loop {
        let held = match lock.take() {
            Some(held) => held,
            None => {
                waited = true;
                wait_for(&id, &path, limits, following.as_mut())?
            }
        };
        // Another build may have ended between the check and the lock.
        let there = is_there()?;
        if let Some(following) = &mut following {
            if there {
                following.has_result();
            }
            // The rest of the log is passed on with no lock held, like all of it.
            if (there || waited) && following.has_more()? {
                held.give_back();
                following.give(limits.wait())?;
                continue;
            }
        }
        if there {
            record::mark_held(site, &id);
            held.give_back();
            site.counters.result_hits.add(1);
            return Ok(Begun::Present);
        }
        site.counters.result_misses.add(1);
        record::settle(site, &id);
        return Step::begin(site, base.as_ref(), id, held, limits.clone()).map(Begun::Step);
    }
}

/// Waits until no other build of `id` is running, and takes its lock.
fn wait_for(
    id: &Id,
    path: &Path,
    limits: &Limits,
    mut following: Option<&mut Following<'_>>,
) -> Result<FileLock> {
    // An error of the callback, or of its log, is returned as it is.
    let mut failed = false;
    let taken = FileLock::take_while(path, limits.wait(), &mut || {
        let given = following
            .as_mut()
            .map_or(Ok(()), |following| following.give(limits.wait()));
        failed = given.is_err();
        given
    });
    taken.map_err(|e| match failed {
        true => e,
        false => e.context(format_args!(
            "another build of {:?} is under way",
            id.as_str()
        )),
    })
}

/// See [`Store::building`](crate::Store::building).
pub(crate) fn is_under_way(site: &Site, id: &str) -> Result<bool> {
    site.check_open("looking at a build")?;
    FileLock::is_held(&site.paths.build_lock(site.names.id(id)?.as_str()))
}

/// See [`Store::build`](crate::Store::build).
pub(crate) fn build(
    site: &Arc<Site>,
    base: Option<&str>,
    id: &str,
    limits: &Limits,
    work: impl FnOnce(&mut Step) -> Result<()>,
) -> Result<Outcome> {
    let began = Instant::now();
    let mut step = match begin(site, base, id, limits, None)? {
        Begun::Present => return Ok(Outcome::Hit),
        Begun::Step(step) => step,
    };
    // A panic ends the step before it propagates: the caller may catch it and try again.
    let worked = match catch_unwind(AssertUnwindSafe(|| work(&mut step))) {
        Ok(worked) => worked,
        Err(panic) => {
            abort(step, began);
            resume_unwind(panic);
        }
    };
    match worked {
        Ok(()) => step.finish_since(began, true).map(|()| Outcome::Built),
        Err(e) => {
            abort(step, began);
            Err(e)
        }
    }
}

/// Aborts the step after another error, which is the one to report.
fn abort(mut step: Step, began: Instant) {
    if let Err(e) = step.finish_since(began, false) {
        log::warn!("{e}");
    }
}
