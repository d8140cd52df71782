//! The destination of an archive: standard output, or a file that gets its name once it is complete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::amounts;
use crate::context::Context;
use crate::ending::{DONE, Failure};
use crate::progress::Bar;
use crate::screen::Screen;

/// Has `fill` write an archive there, shows the progress, and returns the length.
pub(crate) fn write(
    context: &Context,
    screen: &mut Screen,
    file: Option<&Path>,
    fill: impl FnOnce(&mut dyn Write) -> docker_store::Result<u64>,
) -> Result<u8, Failure> {
    let Some(file) = file.filter(|file| *file != Path::new("-")) else {
        if screen.is_terminal() {
            return Err(Failure::usage(
                "an archive cannot be written to a terminal: use --output FILE, or a pipe",
            ));
        }
        let mut out = Counted::new(screen.raw());
        let filled = fill(&mut out);
        // The system's error about the output says more than the failure of a callback.
        if let Some(e) = out.failed {
            return Err(Failure::output(e));
        }
        filled?;
        return Ok(DONE);
    };
    let mut part = Part::new(file)?;
    let mut out = Counted::new(&mut part.open);
    let filled = fill(&mut out);
    let Counted {
        bar, failed: why, ..
    } = out;
    drop(bar);
    let failed = |e| Failure::Io(format!("writing {}", file.display()), e);
    if let Some(e) = why {
        return Err(failed(e));
    }
    let bytes = filled?;
    part.open.sync_all().map_err(failed)?;
    part.keep().map_err(failed)?;
    tell(context, screen, file, bytes)
}

/// Says how many bytes are where.
pub(crate) fn tell(
    context: &Context,
    screen: &mut Screen,
    file: &Path,
    bytes: u64,
) -> Result<u8, Failure> {
    match context.json {
        true => screen.json(&json!({ "file": file.to_string_lossy(), "bytes": bytes }))?,
        false => screen.line(format!("{}: {}", file.display(), amounts::bytes(bytes)))?,
    }
    Ok(DONE)
}

/// Counts the bytes that pass, and keeps the error if they do not.
struct Counted<'a, W> {
    out: &'a mut W,
    bar: Bar,
    failed: Option<io::Error>,
}

impl<'a, W> Counted<'a, W> {
    fn new(out: &'a mut W) -> Self {
        Counted {
            out,
            bar: Bar::new(),
            failed: None,
        }
    }
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.out.write(bytes) {
            Ok(n) => {
                self.bar.passed(n);
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
            Err(e) => {
                let kind = e.kind();
                self.failed = Some(e);
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A temporary file beside the final one: a reader finds the old one or the new one, never a partial one.
struct Part {
    open: File,
    path: PathBuf,
    to: PathBuf,
    kept: bool,
}

impl Part {
    fn new(to: &Path) -> Result<Self, Failure> {
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(format!(".part-{}", std::process::id()));
        let path = to.with_file_name(name);
        let open = File::create_new(&path)
            .map_err(|e| Failure::Io(format!("creating {}", path.display()), e))?;
        Ok(Part {
            open,
            path,
            to: to.to_owned(),
            kept: false,
        })
    }

    fn keep(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.to)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}
