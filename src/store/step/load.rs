//! Starting a step from an image's file: a docker archive or an OCI layout.

use std::io::Read;
use std::path::Path;

#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use crate::store::image_archive::load::{self, Described, OneImage, Platform};
use crate::store::progress::{Counted, Report};
use crate::store::step::publish::inspected;
use crate::store::step::{Open, Step, StepContext, image_file};
use crate::store::tar_end::Watched;

impl Step {
    /// Starts the step from the image in `file`: a docker archive (`docker save`) or an OCI layout as one tar stream,
    /// optionally compressed with gzip. Valid only for a step begun without a base, and before any other source, command or
    /// copy. If nothing else is done in the step, a commit records exactly that image, with its configuration. Names in the
    /// file are ignored. While a read from `file` blocks, no limit and no cancel ends the call.
    ///
    /// From a layout of several images, the one for the engine's platform is loaded.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) if the step already has a source, and if the file is not an image's file
    /// or contains several images; [`CutShort`](ErrorKind::CutShort) if the file is truncated or lacks a part; otherwise any
    /// error that the engine returns. It is also an error if the engine then has a different image from the file's.
    pub fn load(&mut self, file: &mut dyn Read, report: Report<'_>) -> Result<()> {
        self.working("loading an image", |open, step| {
            open.only_first("loading an image")?;
            open.load(step, file, report)
        })
    }

    /// Like [`load`](Self::load), from the file at `path`. If it is silent (a pipe), this waits for as long as the step's
    /// limits allow; a read from a caller's own reader cannot be interrupted. A file is read again if the engine is
    /// [`Busy`](ErrorKind::Busy).
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load); [`Io`](ErrorKind::Io) if the file cannot be read.
    pub fn load_file(&mut self, path: &Path, report: Report<'_>) -> Result<()> {
        self.begin_with_file("loading an image", path, report, Open::load)
    }
}

impl Open {
    fn load(
        &mut self,
        step: &StepContext<'_>,
        file: &mut dyn Read,
        report: Report<'_>,
    ) -> Result<()> {
        let mut given = Given {
            file,
            failed: false,
        };
        let mut watched = Watched::new(&mut given, false);
        let mut counted = Counted::new(&mut watched, "Loading", report);
        let name = self.new_tag(step)?;
        let (sent, fault) = send(step, &name, &mut counted);
        if let Some(stopped) = counted.stopped() {
            return Err(stopped);
        }
        // If the file itself is invalid, that is the cause of any other error.
        watched.check()?;
        let image = match fault {
            Some(fault) if !given.failed => return Err(fault),
            _ => sent?,
        };
        let mut loaded = inspected(step, &name)?;
        loaded.config = Some(load::meaning(loaded.config.as_ref()));
        image_file::check(&name, &loaded, &image.layers, &image.config)?;
        self.begin_with(step, &name, "what was loaded")
    }
}

/// Has the engine load the file as the image `name`. Returns what the file describes, or what is wrong with it.
fn send(
    step: &StepContext<'_>,
    name: &str,
    file: &mut dyn Read,
) -> (Result<Described>, Option<Error>) {
    let engine = &step.site.engine;
    let info = match engine.info(step.wait) {
        Ok(info) => info,
        Err(e) => return (Err(e), None),
    };
    let platform = Platform {
        os: info.os_type,
        architecture: load::architecture(&info.architecture).to_owned(),
    };
    let unreadable = |e: &std::io::Error| {
        let why = Error::io("reading an image's file", e);
        (Err(why), Some(load::unreadable(e)))
    };
    let mut unpacked = match load::unpacked(file) {
        Ok(unpacked) => unpacked,
        Err(e) => return unreadable(&e),
    };
    let mut archive = tar::Archive::new(&mut unpacked);
    let entries = match archive.entries() {
        Ok(entries) => entries,
        Err(e) => return unreadable(&e),
    };
    let mut one = OneImage::new(entries, name, platform);
    let loaded = engine.load_image(&mut one, name, step.wait);
    let fault = one.fault();
    let image = loaded.and_then(|()| one.image());
    if image.is_ok() {
        // Reads the padding, so that a process that writes to a pipe can finish.
        drop(unpacked);
        let _ = std::io::copy(file, &mut std::io::sink());
    }
    (image, fault)
}

/// The file, and whether reading it has failed.
struct Given<'a> {
    file: &'a mut dyn Read,
    failed: bool,
}

impl Read for Given<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer);
        self.failed |= matches!(&read, Err(e) if e.kind() != std::io::ErrorKind::Interrupted);
        read
    }
}
