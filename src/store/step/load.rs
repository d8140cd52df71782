//! Beginning with an image's file: a docker archive or an OCI layout.

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
    /// Begins with the image in `file`: a docker archive (`docker save`) or an OCI layout as one tar stream, which gzip may have
    /// packed. Only for a step without a base. A commit of it that did nothing else records just that image, with the
    /// configuration that it has. Names in the file are passed over. While `file` itself blocks, no limit and no cancel ends the
    /// call.
    ///
    /// Of a layout of several images, the one for the engine's machine is taken.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) where the step has begun with something, and for what is no image's file, or one
    /// of several images; [`CutShort`](ErrorKind::CutShort) for one that does not come to its end or lacks a part; else what the
    /// engine answered. It is an error, too, if the engine then has another image than the file.
    pub fn load(&mut self, file: &mut dyn Read, report: Report<'_>) -> Result<()> {
        self.working("loading an image", |open, step| {
            open.only_first("loading an image")?;
            open.load(step, file, report)
        })
    }

    /// [`load`](Self::load) from the file at `path`. One that is silent (a pipe) is waited for as long as the step's limits allow; a
    /// reader of the caller's own is not cut off. A file is read again where the engine is [`Busy`](ErrorKind::Busy).
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); [`Io`](ErrorKind::Io) where the file cannot be read.
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
        // What is wrong with the file is the cause of all else.
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

/// Has the engine load the file as the image `name`; gives what the file describes, or what is wrong with it.
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
        // What pads it, so that whoever writes a pipe can end.
        drop(unpacked);
        let _ = std::io::copy(file, &mut std::io::sink());
    }
    (image, fault)
}

/// The file, and whether it was what gives it that failed.
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
