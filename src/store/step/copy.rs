//! Copying files into and out of a step, as tar streams.

use std::io::{Read, Write};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::store::archive::{absolute, pour, taken};
use crate::store::host::files::HostFiles;
use crate::store::host::folder::HostFolder;
use crate::store::host::packed::Packed;
use crate::store::host::unpack::{Unpacking, asked};
use crate::store::step::{Made, Open, Step, StepContext, input, of_step, spec};
use crate::store::tar_end::Watched;

impl Step {
    /// Extracts the tar stream `tar` into `path`, an absolute path. Missing directories are created. Owners, modes and times
    /// are taken from the stream. While a read from `tar` blocks, no limit and no cancel ends the call: it is read on this
    /// thread, because it may not be possible to hand it to another. [`copy_in_file`](Self::copy_in_file) waits for a silent
    /// pipe as limits allow.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a path that is not absolute; [`Io`](ErrorKind::Io) if `tar` itself
    /// fails; [`CutShort`](ErrorKind::CutShort) if the stream is truncated; otherwise any error that the engine returns.
    ///
    /// The stream may be compressed with gzip, or with another format that the engine supports (bzip2 and xz; zstd from Docker
    /// 23 on). With these other formats, only the engine checks for the end of the compressed data. If it is complete but
    /// contains a truncated tar, the truncation is not detected.
    pub fn copy_in(&mut self, path: &str, tar: &mut dyn Read) -> Result<()> {
        self.working("copying files in", |open, step| {
            open.copy_in(step, path, tar)
        })
    }

    /// Like [`copy_in`](Self::copy_in), from the file at `tar`. If it is silent (a pipe), this waits for as long as the step's
    /// limits allow; a read from a caller's own reader cannot be interrupted.
    ///
    /// # Errors
    ///
    /// As for [`copy_in`](Self::copy_in).
    pub fn copy_in_file(&mut self, path: &str, tar: &Path) -> Result<()> {
        let mut file = input::open(tar)?;
        let limits = self.limits.clone();
        let mut reading = file.reading(limits.wait());
        let done = self.copy_in(path, &mut reading);
        done.map_err(|e| reading.why().unwrap_or(e))
    }

    /// Copies the local `files` into `path`, an absolute path: the contents of a directory, or a single file under its name.
    /// Missing directories are created. The files are read while they are sent; no copy is kept. Returns the digest of what was
    /// sent, as [`HostFiles::digest`] does.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a path that is not absolute, and for a file that has no name or
    /// cannot have the name it was given; [`Io`](ErrorKind::Io) for a file that cannot be read or is changed while it is read;
    /// otherwise any error that the engine returns.
    pub fn copy_in_host(&mut self, path: &str, files: &HostFiles) -> Result<String> {
        let limits = self.limits.clone();
        // Before anything is sent, so that a missing file does not fail the step.
        let mut packed = Packed::of(files, limits.wait())?;
        self.working("copying local files in", |open, step| {
            let done = open.put(step, path, &mut packed);
            packed.why().map_or(done, Err)?;
            Ok(packed.digest_so_far())
        })
    }

    /// Writes the file or directory at `path`, an absolute path, to `tar` as a tar stream. Its first entry is named after the
    /// last component of `path`. Returns the number of bytes written.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if the path does not exist; this does not fail the step. [`Io`](ErrorKind::Io) if
    /// `tar` cannot be written.
    pub fn copy_out(&mut self, path: &str, tar: &mut dyn Write) -> Result<u64> {
        self.copying_out(path, |body| pour(body, tar))
    }

    /// Unpacks the file or directory at `path`, an absolute path, into the local directory `into`: the contents of a directory,
    /// or a single file under its name. If `path` is a symbolic link, the link itself is copied (by Podman, what it leads to); with
    /// a trailing `/`, the directory that it leads to. Returns the number of bytes in the files.
    ///
    /// No name and no link leads out of `into`: links are created as they are, but none is followed. A file or link that exists
    /// there is replaced; a directory that exists keeps its mode and owner, and its other files. New files have the times of
    /// those in the step. Hard links stay hard links, and pipes are created as such. Extended attributes are not copied, and
    /// holes are filled with zeros. After an error, what was unpacked before is left.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if the path does not exist; this does not fail the step. [`Unsupported`] for a device,
    /// and on Windows for a link or a pipe. [`Io`](ErrorKind::Io) if something cannot be created: a file where a directory is,
    /// or a file in what is a link there.
    ///
    /// [`Unsupported`]: ErrorKind::Unsupported
    pub fn copy_out_host(&mut self, path: &str, into: &HostFolder) -> Result<u64> {
        let limits = self.limits.clone();
        // Before anything is asked for, so that a directory that cannot be used does not fail the step.
        let unpacking = Unpacking::into(into, limits.wait())?;
        self.copying_out(asked(path), |body| unpacking.unpack(body))
    }

    fn copying_out(
        &mut self,
        path: &str,
        take: impl FnOnce(&mut dyn Read) -> Result<u64>,
    ) -> Result<u64> {
        let mut missing = None;
        let copied = self.working("copying files out", |open, step| {
            match open.copy_out(step, path, take) {
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    missing = Some(of_step(e, step.id));
                    Ok(0)
                }
                done => done,
            }
        })?;
        match missing {
            Some(e) => Err(e),
            None => Ok(copied),
        }
    }
}

impl Open {
    fn copy_in(&mut self, step: &StepContext<'_>, path: &str, tar: &mut dyn Read) -> Result<()> {
        let mut tar = Watched::new(tar, false);
        let done = self.put(step, path, &mut tar);
        tar.check().and(done)
    }

    fn put(&mut self, step: &StepContext<'_>, path: &str, tar: &mut dyn Read) -> Result<()> {
        absolute("the path to copy to,", path)?;
        let container = self.some_container(step)?;
        make_path(step, &container, path)?;
        if let Some(made) = self.container.as_mut() {
            made.changed = true;
        }
        let engine = &step.site.engine;
        engine.put_archive(&container, path, tar, step.wait)
    }

    fn copy_out(
        &mut self,
        step: &StepContext<'_>,
        path: &str,
        take: impl FnOnce(&mut dyn Read) -> Result<u64>,
    ) -> Result<u64> {
        absolute("the path to copy out,", path)?;
        let container = self.some_container(step)?;
        let engine = &step.site.engine;
        taken(engine.get_archive(&container, path, step.wait)?, take)
    }

    /// Returns the step's container, and creates one if there is none.
    fn some_container(&mut self, step: &StepContext<'_>) -> Result<String> {
        // Podman unmounts a container that has ended after some delay, possibly in the middle of a copy, which then reads
        // nothing, or writes to a directory that is not used (seen on 5.8). A container that never ran is not affected.
        let is_touched = |made: &Made| made.ran && step.site.engine.is_podman();
        if self.container.as_ref().is_some_and(is_touched) {
            self.settle(step)?;
        }
        if let Some(made) = &self.container {
            return Ok(made.container.clone());
        }
        let idle = spec::idle(&self.bare(step)?);
        let container = self.make_container(step, idle, None)?.container.clone();
        self.make_places(step)?;
        Ok(container)
    }
}

/// Creates the missing directories of `path`.
pub(super) fn make_path(step: &StepContext<'_>, container: &str, path: &str) -> Result<()> {
    let engine = &step.site.engine;
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    // From the deepest upwards, because most of the path usually exists.
    let mut there = names.len();
    while there > 0
        && !engine.path_exists(
            container,
            &format!("/{}", names[..there].join("/")),
            step.wait,
        )?
    {
        there -= 1;
    }
    if there == names.len() {
        return Ok(());
    }
    let mut tar = tar::Builder::new(Vec::new());
    let packing = |e| Error::io("packing directories", &e);
    for depth in there + 1..=names.len() {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        tar.append_data(&mut header, names[there..depth].join("/"), &[][..])
            .map_err(packing)?;
    }
    let tar = tar.into_inner().map_err(packing)?;
    engine.put_archive(
        container,
        &format!("/{}", names[..there].join("/")),
        &mut tar.as_slice(),
        step.wait,
    )
}
