//! Copying files into and out of a step, as tar streams.

use std::io::{Read, Write};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::store::archive::{absolute, pour};
use crate::store::host::files::HostFiles;
use crate::store::host::packed::Packed;
use crate::store::step::{Made, Open, Step, StepContext, input, of_step, spec};
use crate::store::tar_end::Watched;

impl Step {
    /// Unpacks the tar stream `tar` below `path`, an absolute path that is made where it is missing. Owners, modes and
    /// times are those in the stream. While `tar` itself blocks, no limit and no cancel ends the call: it is read on this thread, and
    /// may be what no other thread can be given. [`copy_in_file`](Self::copy_in_file) waits for a silent pipe as limits allow.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a path that is not absolute; [`Io`](ErrorKind::Io) where `tar` itself
    /// fails; [`CutShort`](ErrorKind::CutShort) where it does not come to its end; else what the engine answered.
    ///
    /// It may be packed by gzip, and by what else the engine takes (bzip2 and xz; zstd from Docker 23 on). Of the latter only the
    /// packing's own end is looked for, by the engine: one that was made of half a tar is taken for whole.
    pub fn copy_in(&mut self, path: &str, tar: &mut dyn Read) -> Result<()> {
        self.working("copying files in", |open, step| {
            open.copy_in(step, path, tar)
        })
    }

    /// [`copy_in`](Self::copy_in) from the file at `tar`. One that is silent (a pipe) is waited for as long as the step's limits
    /// allow; a reader of the caller's own is not cut off.
    ///
    /// # Errors
    ///
    /// As [`copy_in`](Self::copy_in).
    pub fn copy_in_file(&mut self, path: &str, tar: &Path) -> Result<()> {
        let mut file = input::open(tar)?;
        let limits = self.limits.clone();
        let mut reading = file.reading(limits.wait());
        let done = self.copy_in(path, &mut reading);
        done.map_err(|e| reading.why().unwrap_or(e))
    }

    /// Copies `files` of this machine below `path`, an absolute path that is made where it is missing: what is in a folder, or a single
    /// file under its name. They are read as they are sent, and nothing is kept. Gives the digest of what was sent, as
    /// [`HostFiles::digest`] does.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a path that is not absolute, and for what has no name or cannot have the one
    /// that it was given; [`Io`](ErrorKind::Io) for what cannot be read or is changed while it is read; else what the engine answered.
    pub fn copy_in_host(&mut self, path: &str, files: &HostFiles) -> Result<String> {
        let limits = self.limits.clone();
        // Before anything is sent: what is not there costs the step nothing.
        let mut packed = Packed::of(files, limits.wait())?;
        self.working("copying files of this machine in", |open, step| {
            let done = open.put(step, path, &mut packed);
            packed.why().map_or(done, Err)?;
            Ok(packed.digest_so_far())
        })
    }

    /// Writes the file or directory at `path`, an absolute path, to `tar` as a tar stream whose first entry is its last
    /// component. Gives the bytes written.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) where there is no such path: the step goes on. [`Io`](ErrorKind::Io) where `tar`
    /// cannot be written.
    pub fn copy_out(&mut self, path: &str, tar: &mut dyn Write) -> Result<u64> {
        let mut missing = None;
        let copied = self.working("copying files out", |open, step| {
            match open.copy_out(step, path, tar) {
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

    fn copy_out(&mut self, step: &StepContext<'_>, path: &str, tar: &mut dyn Write) -> Result<u64> {
        absolute("the path to copy out,", path)?;
        let container = self.some_container(step)?;
        let mut body = step.site.engine.get_archive(&container, path, step.wait)?;
        let copied = pour(&mut body, tar);
        body.why().map_or(copied, Err)
    }

    /// The step's container, whether it has run something or not.
    fn some_container(&mut self, step: &StepContext<'_>) -> Result<String> {
        // Podman unmounts a container that has ended at a pace of its own, also in the middle of a copy: which then reads nothing, or
        // writes where nobody looks (seen on 5.8). One that never ran is not touched.
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

/// Makes the directories of `path` that are missing.
pub(super) fn make_path(step: &StepContext<'_>, container: &str, path: &str) -> Result<()> {
    let engine = &step.site.engine;
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    // From the deepest upwards: mostly all of it is there.
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
