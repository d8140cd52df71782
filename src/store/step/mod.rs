//! [`Step`]: a build in progress. It holds the tag `PREFIX-image-tmp-ID`, and one container at a time.

pub(crate) mod command;
pub(crate) mod copy;
mod ending;
mod hidden;
pub(crate) mod image_config;
mod image_file;
mod input;
mod load;
mod log;
mod publish;
mod record;
mod run;
mod secrets;
mod source;
mod spec;
mod start;
mod stdin;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub use self::ending::Exit;
pub use self::image_config::{HealthCheck, ImageConfig};
pub use self::run::{Channel, Output};

use self::log::LogFile;
use self::record::Record;
use self::secrets::SecretVolume;
use self::spec::Spec;
use crate::engine::images::must_exist;
use crate::engine::stopped;
use crate::error::{Error, ErrorKind, Result};
use crate::store::bounds::record::{self as marked, Base};
use crate::store::lock::FileLock;
use crate::store::names::Id;
use crate::store::note::Note;
use crate::store::points::Layers;
use crate::store::site::Site;
use crate::wait::{Limits, Wait};

/// A build in progress, from [`Store::begin`](crate::Store::begin) until [`commit`](Self::commit) or [`abort`](Self::abort). A
/// step that is dropped is aborted in the background.
///
/// Every method blocks, bounded by the limits that were passed to `begin`. If a method fails, the step can only be aborted,
/// unless the arguments were at fault. A step may be moved between threads; only one thread at a time may use it.
pub struct Step {
    site: Arc<Site>,
    id: Id,
    limits: Limits,
    /// `None` once committed or aborted. Boxed, so that a step is cheap to move.
    open: Option<Box<Open>>,
}

/// What a step holds while it is open.
struct Open {
    began: Instant,
    /// The result that the step was begun on, and whether the step still shares its layers.
    base: Option<Base>,
    /// While this lock is held, no other process builds this id, and a purge sees that the step is active.
    lock: FileLock,
    log: LogFile,
    /// The step's current image, once it has one.
    image: Option<Current>,
    container: Option<Made>,
    /// How many tags may exist besides the first: of this step, and of a killed one before it.
    tags: u16,
    /// Where the result's configuration differs from its base's.
    configured: ImageConfig,
    failed: bool,
    /// Whether a request was interrupted that the engine may still complete.
    cut_off: bool,
    /// Whether it was begun with no files at all.
    from_nothing: bool,
    /// Whether the engine may have a container of which only the name is known.
    unsure: bool,
    /// When a command's own deadline passed, which then counts as the step's.
    told: Option<Instant>,
}

/// The step's current files, as one image or two. Each is named by its id, or by a tag that no other image ever gets.
struct Current {
    /// The image with the base's own record, if there is one: it can be the result.
    whole: Option<String>,
    /// The image that declares no volumes, if there is one: containers can be created from it. Usually the same image.
    bare: Option<String>,
    /// What the result inherits from its base besides the files.
    base: Record,
    /// Whether the directories of the declared volumes exist. An engine creates them with each container.
    has_places: bool,
    layers: usize,
}

/// The step's container.
struct Made {
    container: String,
    spec: Spec,
    secrets: Option<SecretVolume>,
    /// Where its files are, once it has ended, if this process can access them.
    layers: Option<Layers>,
    /// Whether its files may differ from its image's.
    changed: bool,
    /// Whether it may have been started.
    ran: bool,
    create_sent: SystemTime,
}

impl Step {
    /// Begins a step on `base`, or on nothing. `lock` is the lock of `id`.
    pub(crate) fn begin(
        site: &Arc<Site>,
        base: Option<&Id>,
        id: Id,
        lock: FileLock,
        limits: Limits,
    ) -> Result<Self> {
        let log = LogFile::of(&site.paths, &id, site.log_options);
        let noted = Note::read(&lock)?;
        if lock.was_left() {
            noted.end_log(&lock)?;
        }
        let mut open = Open {
            began: Instant::now(),
            base: None,
            lock,
            log,
            image: None,
            container: None,
            tags: 0,
            configured: ImageConfig::new(),
            failed: false,
            cut_off: false,
            from_nothing: false,
            unsure: false,
            told: None,
        };
        let wait = limits.wait();
        if open.lock.was_left() {
            let container = site.names.container(&id);
            site.engine.remove_container(&container, wait)?;
            open.tags = noted.further_tags(site, &id, wait)?;
            open.remove_tags(site, &id, wait)?;
            if noted.is_settled() {
                open.tags = 0;
            }
        }
        if let Err(e) = Note::write(&open.lock, open.tags, false) {
            open.lock.give_back();
            return Err(e);
        }
        let mut step = Step {
            site: Arc::clone(site),
            id,
            limits,
            open: Some(Box::new(open)),
        };
        if let Some(base) = base {
            let image = step.site.names.image(base);
            step.working("beginning", |open, step| {
                open.begin_with(step, &image, &format!("the base {:?}", base.as_str()))?;
                open.base = open.image.as_ref().map(|begun| begun.base.as_base(base));
                // From here on, the step's own tag holds the image. A concurrent prune may have removed its name before that,
                // but not its layers.
                if !marked::mark(step.site, base, step.wait)? {
                    ::log::info!("the base {:?} was pruned in the meantime", base.as_str());
                }
                Ok(())
            })?;
        }
        // Last, so that an invalid base does not cost the log of the previous attempt.
        step.working("beginning the log", |open, step| {
            // In this order, for processes that follow the log: a file that exists while the note says so belongs to this step.
            open.log.remove_old();
            Note::write(&open.lock, open.tags, true)?;
            open.log.begin(&step.site.paths)
        })?;
        Ok(step)
    }

    /// Returns the id that a commit will record.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Writes `bytes` to the step's log, between the output of its commands.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) if the log cannot be written; the step can then only be aborted.
    pub fn write_log(&mut self, bytes: &[u8]) -> Result<()> {
        self.working("writing to the log", |open, _| open.log.write(bytes))
    }

    /// Sets the configuration of the result. Commands of this step still run with the base's configuration. May be called at
    /// any time before the commit, and repeatedly: later settings override earlier ones.
    ///
    /// The commit fails with [`Unsupported`](ErrorKind::Unsupported) if the engine cannot store exactly this configuration:
    /// Podman, for example, keeps no health check.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a setting that no engine accepts; nothing has changed then.
    pub fn configure(&mut self, config: &ImageConfig) -> Result<()> {
        self.working("configuring the result", |open, _| {
            config.check()?;
            open.configured.changes.extend_from_slice(&config.changes);
            if let Some(image) = open.image.as_mut().filter(|_| !config.is_empty()) {
                image.whole = None;
            }
            Ok(())
        })
    }

    /// Records the result and ends the step. The result appears atomically, with the last request to the engine; if the commit
    /// fails before that, there is no result. A step that was begun with nothing, and in which nothing was done, records a
    /// result without any files.
    ///
    /// # Errors
    ///
    /// [`Conflict`](ErrorKind::Conflict) if the step has failed before; it is then aborted. Otherwise the error that occurred.
    /// After an error there is no result, and the id may be begun again, except for
    /// [`OutcomeUnknown`](ErrorKind::OutcomeUnknown): the last request was interrupted, and the engine does not respond when it
    /// is queried for the outcome, or may still be processing the request.
    pub fn commit(mut self) -> Result<()> {
        self.finish(true)
    }

    /// Like [`commit`](Self::commit), but bounded by `limits` instead of those passed to `begin`.
    ///
    /// # Errors
    ///
    /// The errors of `commit`.
    pub fn commit_within(mut self, limits: &Limits) -> Result<()> {
        self.limit(limits);
        self.finish(true)
    }

    /// Ends the step without a result, and removes its container and its tag. The log is kept.
    ///
    /// # Errors
    ///
    /// An object that the engine refused to remove; the next open of this root, or the next build of this id, removes it.
    /// [`TimedOut`](ErrorKind::TimedOut) and [`Cancelled`](ErrorKind::Cancelled) if a limit of the step was reached, and the
    /// engine takes longer than is left: the objects are then removed in the background, and the id can be built again after
    /// that.
    pub fn abort(mut self) -> Result<()> {
        self.finish(false)
    }

    /// Like [`abort`](Self::abort), but bounded by `limits` instead of those passed to `begin`.
    ///
    /// # Errors
    ///
    /// The errors of `abort`.
    pub fn abort_within(mut self, limits: &Limits) -> Result<()> {
        self.limit(limits);
        self.finish(false)
    }

    /// Replaces the limits that were passed to `begin` by `limits`, from now on.
    pub fn limit(&mut self, limits: &Limits) {
        self.limits = limits.clone();
        if let Some(open) = &mut self.open {
            open.told = None;
        }
    }

    /// Does the work of [`commit`](Self::commit) and [`abort`](Self::abort), for handles that outlive the step.
    pub(crate) fn finish(&mut self, commit: bool) -> Result<()> {
        self.finish_since(Instant::now(), commit)
    }

    /// Like `finish`, as a part of a call that began at `began`.
    pub(crate) fn finish_since(&mut self, began: Instant, commit: bool) -> Result<()> {
        let doing = if commit {
            "committing"
        } else {
            "aborting a step"
        };
        self.site.check_process(doing)?;
        let committed = match commit {
            true => self.working("committing", |open, step| {
                // Before publishing: a process that sees the result then finds the log complete.
                open.log.end();
                open.publish_result(step)
            }),
            false => self
                .site
                .check_open("aborting a step")
                .and(self.still_open("aborting").map(drop)),
        };
        let Some(mut open) = self.open.take() else {
            return committed;
        };
        open.end_without_result(commit);
        let told = self.limits.wait().since(began).told(open.told);
        // After a commit, leftovers do not matter to the caller; an abort exists to remove them.
        let wait = match commit {
            true => told.clean_up(),
            false => told.whole(),
        };
        let cleaned = open.end_within(&self.site, &self.id, wait);
        let cleaned = cleaned.map_err(|e| of_step(e, &self.id));
        match (commit, committed, cleaned) {
            // The result exists, and leftovers are found again by name.
            (true, Ok(()), Err(e)) => {
                ::log::warn!("after committing: {e}");
                Ok(())
            }
            (_, Ok(()), cleaned) => cleaned,
            (_, Err(e), _) => Err(e),
        }
    }

    /// Runs `work` on the open step. Any failure, except one of the arguments, marks the step as failed.
    fn working<T>(
        &mut self,
        doing: &str,
        work: impl FnOnce(&mut Open, &StepContext<'_>) -> Result<T>,
    ) -> Result<T> {
        self.site.check_open(doing)?;
        let id = self.id.clone();
        let Some(open) = self.open.as_mut() else {
            return Err(ended(&id, doing));
        };
        if !open.lock.keep()? {
            ::log::warn!(
                "the lock file of {:?} was removed by something other than this store, and another build of it has begun",
                id.as_str()
            );
        }
        if open.failed {
            let why = format!(
                "{doing}: the step {:?} has failed and can only be aborted",
                id.as_str()
            );
            return Err(Error::new(ErrorKind::Conflict, why));
        }
        let context = StepContext {
            site: &self.site,
            id: &self.id,
            wait: self.limits.wait().told(open.told),
        };
        // Set in advance, so that a panic in the caller's code also leaves the step failed.
        open.failed = true;
        let done = work(open, &context);
        open.failed = matches!(&done, Err(e) if e.kind() != ErrorKind::InvalidArgument);
        // A callback may have forked and returned in the child, too.
        if done.is_err() {
            self.site.check_process(doing)?;
        }
        open.cut_off |= matches!(&done, Err(e) if e.may_go_on());
        done.map_err(|e| of_step(e, &id))
    }

    fn still_open(&self, doing: &str) -> Result<&Open> {
        self.open.as_deref().ok_or_else(|| ended(&self.id, doing))
    }
}

/// What the parts of a step need besides the step itself.
struct StepContext<'a> {
    site: &'a Arc<Site>,
    id: &'a Id,
    wait: Wait<'a>,
}

impl StepContext<'_> {
    fn tag(&self) -> String {
        self.site.names.tmp_image(self.id)
    }

    fn pause(&self, pause: Duration, doing: &str) -> Result<()> {
        self.wait.sleep(pause).map_err(|stop| stopped(&doing, stop))
    }

    /// Checks that there is time left, before a short call that must not be interrupted.
    fn go_on(&self, doing: &str) -> Result<()> {
        self.wait
            .left()
            .map(drop)
            .map_err(|stop| stopped(&doing, stop))
    }
}

impl Open {
    /// Starts from the image `reference`, and holds it by the step's tag.
    fn begin_with(&mut self, step: &StepContext<'_>, reference: &str, what: &str) -> Result<()> {
        let engine = &step.site.engine;
        let image = engine.inspect_image(reference, step.wait)?;
        let image = image.ok_or_else(|| must_exist(what))?;
        engine.tag_image(&image.id, &step.tag(), step.wait.whole())?;
        let base = Record::of(image);
        self.image = Some(Current {
            whole: self.configured.is_empty().then(|| base.image.id.clone()),
            bare: (!base.declares_volumes()).then(|| base.image.id.clone()),
            layers: base.image.root_fs.layers.len(),
            has_places: !base.declares_volumes(),
            base,
        });
        Ok(())
    }

    /// Returns the step's current image. A step without a base starts with no files at all.
    fn image(&mut self, step: &StepContext<'_>) -> Result<&mut Current> {
        if self.image.is_none() {
            self.begin_with_nothing(step)?;
        }
        self.image
            .as_mut()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "a step without an image"))
    }

    /// Removes the container, and then its secrets.
    fn remove_container(&mut self, site: &Site, wait: Wait<'_>) -> Result<()> {
        let Some(made) = &self.container else {
            return Ok(());
        };
        site.engine.remove_container(&made.container, wait)?;
        // Only now: if removing the container failed, both are tried again.
        let secrets = self.container.take().and_then(|made| made.secrets);
        if let Some(secrets) = secrets {
            secrets.remove(site, wait);
        }
        Ok(())
    }

    /// Removes all tags of the step.
    fn remove_tags(&self, site: &Site, id: &Id, wait: Wait<'_>) -> Result<()> {
        let mut done = Ok(());
        // The first tag even if the step does not know of one: the request may have been interrupted.
        for tag in site.names.tmp_images(id, self.tags) {
            let removed = site.engine.remove_image(&tag, wait);
            done = done.and(removed.map(drop));
        }
        done
    }

    /// Returns a tag that no step of this id has used. A commit, load or import must not reuse a tag: the previous image would
    /// become untagged. The engine may also finish a commit of a killed process while another process builds the same id.
    fn new_tag(&mut self, step: &StepContext<'_>) -> Result<String> {
        self.tags = self.tags.checked_add(1).ok_or_else(|| {
            Error::new(
                ErrorKind::Conflict,
                "the step has used all its temporary tags; abort it and begin again",
            )
        })?;
        // For a purge, which could otherwise find the tag only by listing every image of the engine.
        Note::write(&self.lock, self.tags, self.log.has_begun())?;
        Ok(step.site.names.further_tmp_image(step.id, self.tags))
    }

    /// A caller that creates the result itself, as OBuilder does, runs a container with the step's name, and leaves it behind
    /// when it is cancelled. A step that ends without a result, and has created no container itself, removes that container:
    /// the name belongs to the step.
    fn end_without_result(&mut self, commit: bool) {
        self.unsure |= !commit && self.container.is_none() && self.lock.is_in_place();
    }

    /// Removes everything of the step from the engine.
    fn clear(&mut self, site: &Site, id: &Id, wait: Wait<'_>) -> Result<()> {
        let mut container = self.remove_container(site, wait);
        if self.unsure && self.container.is_none() {
            let name = site.names.container(id);
            container = container.and(site.engine.remove_container(&name, wait).map(drop));
        }
        container.and(self.remove_tags(site, id, wait))
    }

    /// Removes everything of the step from the engine, and releases the lock for the next step. If the wait ends first, the
    /// worker does both; until then no step of this id can begin.
    fn end_within(mut self: Box<Self>, site: &Site, id: &Id, wait: Wait<'_>) -> Result<()> {
        match self.clear(site, id, wait) {
            Err(e) if wait.left().is_err() => {
                site.defer(self.later(id.clone()));
                Err(e.context("left to the worker"))
            }
            done => self.unlock(site, done),
        }
    }

    /// The worker's part of ending a step.
    fn later(self: Box<Self>, id: Id) -> impl FnMut(&Arc<Site>) -> Result<()> + Send + 'static {
        let mut open = Some(self);
        move |site| {
            if let Some(mut open) = open.take() {
                let cleared = open.clear(site, &id, Wait::unbounded());
                if let Err(e) = open.unlock(site, cleared) {
                    ::log::warn!("ending the step {:?}: {e}", id.as_str());
                }
            }
            Ok(())
        }
    }

    fn unlock(mut self, site: &Site, cleared: Result<()>) -> Result<()> {
        // Before the lock is released: a process that waits for the lock has then read the complete log.
        self.log.end();
        // A container that could not be removed is found by the lock's file. Its secrets are known only here.
        let made = self.container.take();
        if let Some(secrets) = made.and_then(|made| made.secrets) {
            secrets.remove_later(site);
        }
        // The lock's file is kept if something may remain, or may still be created late: it tells the next open where to look.
        if cleared.is_err() || self.cut_off {
            // The next holder of the lock, for example a prune, writes no log.
            let ended = Note::read(&self.lock).and_then(|note| note.end_log(&self.lock));
            if let Err(e) = ended {
                ::log::debug!("{e}");
            }
            return cleared;
        }
        match self.lock.was_left() {
            true => Note::read(&self.lock)?.found_dead(&self.lock, true),
            false => {
                self.lock.remove();
                Ok(())
            }
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        open.end_without_result(false);
        if self.site.abandon() {
            return std::mem::forget(open);
        }
        let id = self.id.clone();
        // Not retried if it fails: the id is free then, and the next build, purge or open finds the rest by the lock's file.
        self.site.defer(open.later(id));
    }
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step")
            .field("id", &self.id.as_str())
            .finish_non_exhaustive()
    }
}

/// Adds the step's id to an error. Replaces the engine's id of the container, which means nothing to a person.
fn of_step(error: Error, id: &Id) -> Error {
    error
        .naming_container("its container")
        .context(format_args!("step {:?}", id.as_str()))
}

fn ended(id: &Id, doing: &str) -> Error {
    Error::new(
        ErrorKind::Closed,
        format!(
            "{doing}: the step {:?} has already been committed or aborted",
            id.as_str()
        ),
    )
}
