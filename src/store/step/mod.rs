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

/// A build in progress, from [`Store::begin`](crate::Store::begin) until [`commit`](Self::commit) or
/// [`abort`](Self::abort). One that is dropped is aborted in the background.
///
/// Every method blocks, and ends when the limits given to `begin` say so. A method that fails leaves a step that can
/// only be aborted, unless it failed on its arguments. A step may be handed from thread to thread, and is used by one at
/// a time.
pub struct Step {
    site: Arc<Site>,
    id: Id,
    limits: Limits,
    /// `None` once committed or aborted. Boxed, so that a step is cheap to hand on.
    open: Option<Box<Open>>,
}

/// What a step holds while it is open.
struct Open {
    began: Instant,
    /// The result that it was begun on, and whether its layers are the step's still.
    base: Option<Base>,
    /// Nobody else builds this id meanwhile; and by this lock a purge knows that the step is alive.
    lock: FileLock,
    log: LogFile,
    /// What the step has come to, once it has begun with something.
    image: Option<Current>,
    container: Option<Made>,
    /// How many tags there may be beside the first: those of the step, and of a killed one before it.
    tags: u16,
    /// What the result says in another way than its base.
    configured: ImageConfig,
    failed: bool,
    /// Whether the engine was cut off in something that it may still finish.
    cut_off: bool,
    /// Whether it was begun with no files at all.
    from_nothing: bool,
    /// Whether that may be a container, of which only the name is known.
    unsure: bool,
    /// When a command's own deadline passed, which then is the step's.
    told: Option<Instant>,
}

/// What the step has come to: files, as one image or two. Each is named by its id, or by a tag that no other image ever gets.
struct Current {
    /// The one with the base's own record, where there is one: it can be the result.
    whole: Option<String>,
    /// The one that declares no volumes, where there is one: containers can be made of it. The same one mostly.
    bare: Option<String>,
    /// What the result is to have beside its files: what its base has.
    base: Record,
    /// Whether the directories of the declared volumes are there. An engine makes them with each container.
    has_places: bool,
    layers: usize,
}

/// The step's container.
struct Made {
    container: String,
    spec: Spec,
    secrets: Option<SecretVolume>,
    /// Where its files are, as far as this process reaches them: once it has ended.
    layers: Option<Layers>,
    /// Whether its files may differ from its image's.
    changed: bool,
    /// Whether it may have been started.
    ran: bool,
    create_sent: SystemTime,
}

impl Step {
    /// Begins with `base`, or with nothing. `lock` is that of `id`.
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
                // From here on the step's own tag holds it. A prune that was faster took the name away, and not the layers.
                if !marked::mark(step.site, base, step.wait)? {
                    ::log::info!("the base {:?} was pruned meanwhile", base.as_str());
                }
                Ok(())
            })?;
        }
        // Last, so that a bad base does not cost the log of the try before.
        step.working("beginning the log", |open, step| {
            // In this order, for who reads along: what is there while this is noted is this step's.
            open.log.remove_old();
            Note::write(&open.lock, open.tags, true)?;
            open.log.begin(&step.site.paths)
        })?;
        Ok(step)
    }

    /// The id that a commit will record.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Writes `bytes` to the step's log, between what its commands write.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) where the log cannot be written; the step can then only be aborted.
    pub fn write_log(&mut self, bytes: &[u8]) -> Result<()> {
        self.working("writing to the log", |open, _| open.log.write(bytes))
    }

    /// Sets what the result says to whoever runs it. Commands of this step still run as its base says. May be called at any time before
    /// the commit, and again: later settings stand over earlier ones.
    ///
    /// The commit fails ([`Unsupported`](ErrorKind::Unsupported)) where the engine cannot be given exactly this: Podman, for one,
    /// keeps no health check.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for what no engine takes; nothing has changed then.
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

    /// Records the result and ends the step. The result appears with the last call, at once and whole: whatever happens
    /// before leaves none. A step that was begun with nothing, and in which nothing was done, records a result without any files.
    ///
    /// # Errors
    ///
    /// [`Conflict`](ErrorKind::Conflict) after a failure of this step, which is then aborted; else what went wrong. After an
    /// error there is no result, and a further try may begin; except for [`OutcomeUnknown`](ErrorKind::OutcomeUnknown), where the
    /// engine was cut off in the very last call and does not answer when it is asked what came of it, or may still be at it.
    pub fn commit(mut self) -> Result<()> {
        self.finish(true)
    }

    /// [`commit`](Self::commit) for as long as `limits` allows, in place of those given to `begin`.
    ///
    /// # Errors
    ///
    /// Those of `commit`.
    pub fn commit_within(mut self, limits: &Limits) -> Result<()> {
        self.limit(limits);
        self.finish(true)
    }

    /// Ends the step without a result, and removes its container and its tag. The log stays.
    ///
    /// # Errors
    ///
    /// What the engine refused to remove; the next open of this root, or the next build of this id, removes it.
    /// [`TimedOut`](ErrorKind::TimedOut) and [`Cancelled`](ErrorKind::Cancelled) where the step had been told to end, and the
    /// engine takes longer than that allows: it is removed in the background, and the id can be built again after that.
    pub fn abort(mut self) -> Result<()> {
        self.finish(false)
    }

    /// [`abort`](Self::abort) for as long as `limits` allows, in place of those given to `begin`.
    ///
    /// # Errors
    ///
    /// Those of `abort`.
    pub fn abort_within(mut self, limits: &Limits) -> Result<()> {
        self.limit(limits);
        self.finish(false)
    }

    /// From now on `limits` hold for this step, in place of those given to `begin`.
    pub fn limit(&mut self, limits: &Limits) {
        self.limits = limits.clone();
        if let Some(open) = &mut self.open {
            open.told = None;
        }
    }

    /// [`commit`](Self::commit) and [`abort`](Self::abort) for handles that outlive the step.
    pub(crate) fn finish(&mut self, commit: bool) -> Result<()> {
        self.finish_since(Instant::now(), commit)
    }

    /// The same as a part of a call that began at `began`.
    pub(crate) fn finish_since(&mut self, began: Instant, commit: bool) -> Result<()> {
        let doing = if commit {
            "committing"
        } else {
            "aborting a step"
        };
        self.site.check_process(doing)?;
        let committed = match commit {
            true => self.working("committing", |open, step| {
                // Whoever sees the result finds the log whole.
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
        // What is removed after a commit is nobody's concern any more; to have it removed is why one aborts.
        let wait = match commit {
            true => told.clean_up(),
            false => told.whole(),
        };
        let cleaned = open.end_within(&self.site, &self.id, wait);
        let cleaned = cleaned.map_err(|e| of_step(e, &self.id));
        match (commit, committed, cleaned) {
            // There is a result, and what is left over is found again by name.
            (true, Ok(()), Err(e)) => {
                ::log::warn!("after committing: {e}");
                Ok(())
            }
            (_, Ok(()), cleaned) => cleaned,
            (_, Err(e), _) => Err(e),
        }
    }

    /// Runs `work` on the open step. A failure of anything but the arguments spoils the step.
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
                "somebody removed the lock of {:?}, and another build of it has begun",
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
        // A panic of the caller's code on the way out leaves it spoiled, too.
        open.failed = true;
        let done = work(open, &context);
        open.failed = matches!(&done, Err(e) if e.kind() != ErrorKind::InvalidArgument);
        // A callback may have forked, and returned in the child, too.
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

/// What a step's parts need besides the step itself.
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

    /// Asks whether there is time left, before a short call that is then not cut off.
    fn go_on(&self, doing: &str) -> Result<()> {
        self.wait
            .left()
            .map(drop)
            .map_err(|stop| stopped(&doing, stop))
    }
}

impl Open {
    /// Begins with the image `reference`, and holds it by the step's tag.
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

    /// What the step has come to; without a base it begins with no files at all.
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
        // Only now: what may be there still is tried again.
        let secrets = self.container.take().and_then(|made| made.secrets);
        if let Some(secrets) = secrets {
            secrets.remove(site, wait);
        }
        Ok(())
    }

    /// Removes all tags of the step's.
    fn remove_tags(&self, site: &Site, id: &Id, wait: Wait<'_>) -> Result<()> {
        let mut done = Ok(());
        // The first even where the step knows of none: it was cut off, maybe.
        for tag in site.names.tmp_images(id, self.tags) {
            let removed = site.engine.remove_image(&tag, wait);
            done = done.and(removed.map(drop));
        }
        done
    }

    /// A tag that no step of this id has had yet. What an engine commits, loads or imports must not take over one in use: the image
    /// before would be left without a name. And an engine may be late with it: it goes on with the commit of a process that was
    /// killed while another builds the same id.
    fn new_tag(&mut self, step: &StepContext<'_>) -> Result<String> {
        self.tags = self
            .tags
            .checked_add(1)
            .ok_or_else(|| Error::new(ErrorKind::Conflict, "the step has had too many images"))?;
        // For a purge, which would not find it without a look at every image that the engine has.
        Note::write(&self.lock, self.tags, self.log.has_begun())?;
        Ok(step.site.names.further_tmp_image(step.id, self.tags))
    }

    /// A caller that makes the result by itself, as OBuilder does, runs a container of the step's name, and leaves it where it is
    /// cancelled. A step that ends without having made one takes that along: the name is the step's.
    fn end_without_result(&mut self, commit: bool) {
        self.unsure |= !commit && self.container.is_none() && self.lock.is_in_place();
    }

    /// Leaves nothing of the step on the engine.
    fn clear(&mut self, site: &Site, id: &Id, wait: Wait<'_>) -> Result<()> {
        let mut container = self.remove_container(site, wait);
        if self.unsure && self.container.is_none() {
            let name = site.names.container(id);
            container = container.and(site.engine.remove_container(&name, wait).map(drop));
        }
        container.and(self.remove_tags(site, id, wait))
    }

    /// Leaves nothing of the step on the engine, and lets the next one begin. Where the wait ends before, the worker does it:
    /// until then nobody begins.
    fn end_within(mut self: Box<Self>, site: &Site, id: &Id, wait: Wait<'_>) -> Result<()> {
        match self.clear(site, id, wait) {
            Err(e) if wait.left().is_err() => {
                site.defer(self.later(id.clone()));
                Err(e.context("left to the worker"))
            }
            done => self.unlock(site, done),
        }
    }

    /// The worker's part.
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
        // Before the lock: who waits for that has then read all of it.
        self.log.end();
        // A container that could not be removed is found by the lock's file; its secrets only by those who know of them.
        let made = self.container.take();
        if let Some(secrets) = made.and_then(|made| made.secrets) {
            secrets.remove_later(site);
        }
        // The file of the lock stays where something may have, or may come late: by it, the next open knows where to look.
        if cleared.is_err() || self.cut_off {
            // Who takes it next, a prune say, writes no log.
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
        // Not done again where it fails: the id is free then, and whoever builds it next, purges or opens finds the rest by
        // the lock's file.
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

/// The error of a step, which says of which. An engine's own id of its container says nothing to a person.
fn of_step(error: Error, id: &Id) -> Error {
    error
        .naming_container("its container")
        .context(format_args!("step {:?}", id.as_str()))
}

fn ended(id: &Id, doing: &str) -> Error {
    Error::new(
        ErrorKind::Closed,
        format!(
            "{doing}: the step {:?} was committed or aborted before",
            id.as_str()
        ),
    )
}
