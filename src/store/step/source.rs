//! What a step without a base starts from: a tar of files, an image that the engine has, an image from a registry, or nothing.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use crate::engine::images::must_exist;
use crate::error::{Error, ErrorKind, Result};
use crate::store::helper::make_empty_image;
use crate::store::loopback;
use crate::store::platform::Platform;
use crate::store::progress::{Counted, Progress, Report};
use crate::store::registry::RegistryLogin;
use crate::store::step::{Open, Step, StepContext, input};
use crate::store::tar_end::Watched;

/// How often a file is read again if the engine lost what it had created from it, and the pause in between. They are the same
/// as in `engine::lost_layer`, for the same reason.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(50);

/// How often an image is pulled again if another image has taken its name. Registries count pulls.
const PULLS: u32 = 2;

impl Step {
    /// Starts the step from the files in the tar stream `tar`; needs no registry. Valid only for a step begun without a base,
    /// and before any other source, command or copy. The stream may be compressed as for [`copy_in`](Self::copy_in). While a
    /// read from `tar` blocks, no limit and no cancel ends the call.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) if the step already has a source, and for an image as `docker save`
    /// writes it; [`CutShort`](ErrorKind::CutShort) if the stream is truncated; [`Busy`](ErrorKind::Busy) if Podman lost the
    /// files because an image of the same files was being removed: try again; otherwise any error that the engine returns.
    pub fn import(&mut self, tar: &mut dyn Read, report: Report<'_>) -> Result<()> {
        self.working("importing a base", |open, step| {
            open.only_first("importing a base")?;
            open.import(step, tar, report)
        })
    }

    /// Like [`import`](Self::import), from the file at `path`. If it is silent (a pipe), this waits for as long as the step's
    /// limits allow; a read from a caller's own reader cannot be interrupted. A file is read again if the engine is
    /// [`Busy`](ErrorKind::Busy).
    ///
    /// # Errors
    ///
    /// As for [`import`](Self::import); [`Io`](ErrorKind::Io) if the file cannot be read.
    pub fn import_file(&mut self, path: &Path, report: Report<'_>) -> Result<()> {
        self.begin_with_file("importing a base", path, report, Open::import)
    }

    /// Starts from the contents of the file at `path`. Unlike a stream, a file can be read again if the engine lost what it had
    /// created from it.
    pub(super) fn begin_with_file(
        &mut self,
        doing: &str,
        path: &Path,
        report: Report<'_>,
        begin: impl Fn(&mut Open, &StepContext<'_>, &mut dyn Read, Report<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut first = Some(input::open(path)?);
        let limits = self.limits.clone();
        let mut unread = None;
        let done = self.working(doing, |open, step| {
            open.only_first(doing)?;
            let mut tries = 0..TRIES;
            loop {
                let mut file = match first.take() {
                    Some(file) => file,
                    None => input::open(path)?,
                };
                let total = file.size();
                let mut reading = file.reading(limits.wait());
                let done = begin(open, step, &mut reading, &mut |so_far| {
                    report(Progress { total, ..so_far })
                });
                unread = reading.why();
                match done {
                    Err(e) if e.kind() == ErrorKind::Busy && total > 0 && unread.is_none() => {
                        if tries.next().is_none() {
                            return Err(e);
                        }
                        step.pause(PAUSE, doing)?;
                    }
                    done => return done,
                }
            }
        });
        done.map_err(|e| unread.unwrap_or(e))
    }

    /// Starts the step from an image that the engine pulls from its registry. Valid only for a step begun without a base, and
    /// before any other source, command or copy.
    ///
    /// # Errors
    ///
    /// As for [`import`](Self::import); a registry's error is an [`Engine`](ErrorKind::Engine) or
    /// [`NotFound`](ErrorKind::NotFound) error.
    pub fn pull(
        &mut self,
        reference: &str,
        login: Option<&RegistryLogin>,
        report: Report<'_>,
    ) -> Result<()> {
        self.pull_for(None, reference, login, report)
    }

    /// Like [`pull`](Self::pull), for the image of `platform`: `os/arch` or `os/arch/variant`, such as `linux/arm64` or
    /// `linux/arm/v7`. Commands of the step run only if the engine's host can run that platform's programs.
    ///
    /// # Errors
    ///
    /// As for `pull`; [`NotFound`](ErrorKind::NotFound) if the image does not exist for the platform;
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) if `platform` is not a valid platform.
    pub fn pull_platform(
        &mut self,
        reference: &str,
        platform: &str,
        login: Option<&RegistryLogin>,
        report: Report<'_>,
    ) -> Result<()> {
        self.pull_for(Some(platform), reference, login, report)
    }

    fn pull_for(
        &mut self,
        platform: Option<&str>,
        reference: &str,
        login: Option<&RegistryLogin>,
        report: Report<'_>,
    ) -> Result<()> {
        self.working("pulling a base", |open, step| {
            open.only_first("pulling a base")?;
            named(reference)?;
            let wanted = platform.map(Platform::parse).transpose()?;
            let login = login.map(RegistryLogin::header);
            let engine = &step.site.engine;
            let mut again = 0..PULLS;
            let image = loop {
                let pulled = engine.pull_image(
                    reference,
                    platform,
                    login.as_deref(),
                    step.wait,
                    |message| Progress::of(message).map_or(Ok(()), &mut *report),
                );
                let Some(wanted) = &wanted else {
                    pulled?;
                    break reference.to_owned();
                };
                pulled.map_err(|e| wanted.missing(reference, e))?;
                let found = engine.inspect_image(reference, step.wait)?;
                let found = found.ok_or_else(|| must_exist(&format!("image {reference}")))?;
                // An engine accepts an image that exists for one platform only, whichever platform was requested.
                if wanted.is_of(&found) {
                    break found.id;
                }
                // Or another program has pulled it for another platform in the meantime, and that image has the name.
                if again.next().is_none() {
                    return Err(wanted.other(reference, &found));
                }
                step.pause(PAUSE, "pulling a base")?;
            };
            open.begin_with(step, &image, &format!("image {reference}"))?;
            open.look_at_networks(step)
        })
    }

    /// Starts the step from an image that the engine already has. Valid only for a step begun without a base, and before any
    /// other source, command or copy.
    ///
    /// # Errors
    ///
    /// As for [`import`](Self::import); [`NotFound`](ErrorKind::NotFound) if the engine does not have the image.
    pub fn use_image(&mut self, reference: &str) -> Result<()> {
        self.working("taking an image as a base", |open, step| {
            open.only_first("taking an image as a base")?;
            named(reference)?;
            open.begin_with(step, reference, &format!("image {reference}"))?;
            open.look_at_networks(step)
        })
    }
}

impl Open {
    fn import(
        &mut self,
        step: &StepContext<'_>,
        tar: &mut dyn Read,
        report: Report<'_>,
    ) -> Result<()> {
        let mut watched = Watched::new(tar, true);
        let mut tar = Counted::new(&mut watched, "Importing", report);
        let name = self.new_tag(step)?;
        let engine = &step.site.engine;
        let done = engine.import_image(&mut tar, &name, None, step.wait, |_| Ok(()));
        if let Some(stopped) = tar.stopped() {
            return Err(stopped);
        }
        watched.check().and(done)?;
        self.begin_with(step, &name, "what was imported")?;
        self.look_at_networks(step)
    }

    pub(super) fn only_first(&self, doing: &str) -> Result<()> {
        if self.image.is_some() || self.container.is_some() {
            let why = format!("{doing}: the step already has a source");
            return Err(Error::new(ErrorKind::InvalidArgument, why));
        }
        Ok(())
    }

    /// With a base from outside, tries how containers without a network are created, so that no later step is delayed by it.
    fn look_at_networks(&mut self, step: &StepContext<'_>) -> Result<()> {
        match self.image(step)?.bare.clone() {
            Some(image) => loopback::learn(step.site, &image, step.wait),
            None => Ok(()),
        }
    }

    /// Starts from an image without files.
    pub(super) fn begin_with_nothing(&mut self, step: &StepContext<'_>) -> Result<()> {
        self.from_nothing = true;
        let empty = step.site.names.empty_image();
        let what = format!("image {empty}");
        match self.begin_with(step, &empty, &what) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                make_empty_image(step.site, step.wait)?;
                self.begin_with(step, &empty, &what)
            }
            done => done,
        }
    }
}

fn named(reference: &str) -> Result<()> {
    if reference.is_empty() || reference.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("{reference:?} is not an image reference"),
        ));
    }
    Ok(())
}
