//! A local file that a call writes. The bytes go to a temporary file next to it, which is renamed to it when it is complete.
//! Until then, and after a failure, an existing file is unchanged.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::os::{self, Other};

/// The number of links that are followed, one after the other; the same as the kernel's limit.
const LINKS: usize = 40;

/// Calls `write` to write the file at `path`. A link is followed, and kept.
pub(super) fn into_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<u64>,
) -> Result<u64> {
    let mut late = Late {
        path,
        file: None,
        failed: None,
    };
    let written = write(&mut late);
    let written = late.failed.take().map_or(written, Err);
    match (written, late.file) {
        (Ok(written), Some(file)) => file.finish(path).map(|()| written),
        // The call succeeded without writing anything: create an empty file.
        (Ok(written), None) => Target::create(path)?.finish(path).map(|()| written),
        (Err(e), Some(file)) => {
            file.give_up();
            Err(e)
        }
        (Err(e), None) => Err(e),
    }
}

/// A file that is created by the first write.
struct Late<'a> {
    path: &'a Path,
    file: Option<Target>,
    /// Why the file could not be created or written; the writer only reports that it could not write.
    failed: Option<Error>,
}

impl Write for Late<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let failed = |e: Error, failed: &mut Option<Error>| {
            *failed = Some(e);
            io::Error::from(io::ErrorKind::Other)
        };
        let target = match self.file.take() {
            Some(target) => target,
            None => Target::create(self.path).map_err(|e| failed(e, &mut self.failed))?,
        };
        let target = self.file.insert(target);
        let written = fs::room(target.written, bytes.len()).and_then(|()| target.file.write(bytes));
        match written {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => {
                let e = Error::io(format!("writing {}", self.path.display()), &e);
                Err(failed(e, &mut self.failed))
            }
            Ok(n) => {
                target.written += n as u64;
                Ok(n)
            }
            interrupted => interrupted,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Refuses a path at which no file can be written, before anything is done that would then fail.
pub(super) fn check(path: &Path) -> Result<()> {
    let (to, there) = place(path)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    match (there, folder) {
        (None, Some(folder)) => fs::metadata(folder)
            .map(drop)
            .map_err(|e| Error::io(format!("creating {}", path.display()), &e)),
        _ => Ok(()),
    }
}

/// Returns where the links at `path` lead, and what is there: nothing, a file or a device.
fn place(path: &Path) -> Result<(PathBuf, Option<Metadata>)> {
    let doing = || format!("creating {}", path.display());
    let to = end_of_links(path).map_err(|e| Error::io(doing(), &e))?;
    let there = to.symlink_metadata().ok();
    match there.as_ref().map(|found| (found, os::other(found))) {
        // Writing to a pipe without a reader raises SIGPIPE, which kills a process that does not handle it.
        Some((_, Some(Other::Pipe))) => {
            let why = format!(
                "{}: it is a pipe; use the variant with a callback, and write the bytes yourself",
                doing()
            );
            Err(Error::new(ErrorKind::InvalidArgument, why))
        }
        // A directory: report the system's own error.
        Some((found, None)) if !found.is_file() => {
            let file = fs::open_with(OpenOptions::new().write(true), &to);
            let e = file.err().unwrap_or(io::ErrorKind::InvalidInput.into());
            Err(Error::io(doing(), &e))
        }
        _ => Ok((to, there)),
    }
}

/// Where the bytes are written.
struct Target {
    file: File,
    written: u64,
    kind: Kind,
}

enum Kind {
    /// A temporary file next to `to`, to which it will be renamed.
    Beside { beside: PathBuf, to: PathBuf },
    /// A device, which is written directly.
    Device,
}

impl Target {
    fn create(path: &Path) -> Result<Self> {
        let doing = || format!("creating {}", path.display());
        let (to, there) = place(path)?;
        if there.as_ref().and_then(os::other) == Some(Other::Device) {
            let file = fs::open_with(OpenOptions::new().write(true), &to);
            return Ok(Target {
                file: file.map_err(|e| Error::io(doing(), &e))?,
                written: 0,
                kind: Kind::Device,
            });
        }
        let (file, beside) = beside(&to).map_err(|e| Error::io(doing(), &e))?;
        if let Some(found) = &there {
            os::dress(&file, found);
        }
        Ok(Target {
            file,
            written: 0,
            kind: Kind::Beside { beside, to },
        })
    }

    fn finish(self, path: &Path) -> Result<()> {
        match &self.kind {
            Kind::Device => Ok(()),
            Kind::Beside { beside, to } => fs::rename(beside, to).map_err(|e| {
                let _ = fs::remove_file(beside);
                Error::io(
                    format!("renaming the complete file to {}", path.display()),
                    &e,
                )
            }),
        }
    }

    fn give_up(self) {
        if let Kind::Beside { beside, .. } = &self.kind {
            let _ = fs::remove_file(beside);
        }
    }
}

/// The path that the links starting at `path` lead to, whether anything exists there or not.
fn end_of_links(path: &Path) -> io::Result<PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&at) {
            // Relative to the link's directory.
            Ok(next) => at = at.parent().unwrap_or(Path::new("")).join(next),
            // Not a link, or nothing exists.
            Err(_) => return Ok(at),
        }
    }
    Err(io::Error::from_raw_os_error(os::TOO_MANY_LINKS))
}

/// Creates a new file in the directory of `path`.
fn beside(path: &Path) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    loop {
        let mut new = std::ffi::OsString::from(".");
        // A name may have 255 bytes; the part that is cut off only serves people.
        new.push(name.to_string_lossy().chars().take(40).collect::<String>());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        new.push(format!(".{}-{number}.new", std::process::id()));
        let new = path.with_file_name(new);
        match fs::open_with(OpenOptions::new().write(true).create_new(true), &new) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (file, new)),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!(
            "docker-store-outfile-{name}-{}",
            std::process::id()
        ));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a folder");
        path
    }

    fn fill(path: &Path, text: &str, end: Result<()>) -> Result<u64> {
        into_file(path, |file| {
            file.write_all(text.as_bytes())
                .map_err(|e| Error::io("writing", &e))?;
            end.map(|()| text.len() as u64)
        })
    }

    fn fails() -> Result<()> {
        Err(Error::new(ErrorKind::NotFound, "no such path"))
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        let names = entries.map(|e| {
            e.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    #[cfg_attr(miri, ignore = "writes files, and crosses no boundary")]
    fn what_was_there_stays_until_the_new_file_is_whole() {
        let folder = folder("whole");
        let path = folder.join("tar");
        assert!(into_file(&path, |_| fails().map(|()| 0)).is_err() && !path.exists());
        assert!(fill(&path, "half", fails()).is_err() && names(&folder).is_empty());
        assert_eq!(fill(&path, "whole", Ok(())).expect("written"), 5);
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&path, mode).expect("a mode");
        assert!(fill(&path, "half", fails()).is_err());
        let read = || std::fs::read_to_string(&path).expect("there");
        assert_eq!(read(), "whole");
        assert_eq!(fill(&path, "new", Ok(())).expect("written"), 3);
        assert_eq!(
            (
                read().as_str(),
                path.metadata().expect("there").mode() & 0o777
            ),
            ("new", 0o640)
        );
        assert_eq!(names(&folder), ["tar"]);
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    #[cfg_attr(miri, ignore = "writes files, and crosses no boundary")]
    fn a_link_stays_and_what_it_leads_to_is_written() {
        let folder = folder("links");
        std::fs::create_dir(folder.join("far")).expect("a folder");
        symlink("far/one", folder.join("two")).expect("a link");
        symlink(folder.join("two"), folder.join("three")).expect("a link");
        let three = folder.join("three");
        // Its target does not exist yet.
        assert_eq!(fill(&three, "new", Ok(())).expect("written"), 3);
        assert!(fill(&three, "half", fails()).is_err());
        assert!(three.is_symlink() && folder.join("two").is_symlink());
        assert_eq!(
            std::fs::read(folder.join("far/one")).expect("there"),
            b"new"
        );
        assert_eq!(names(&folder.join("far")), ["one"]);
        symlink("round", folder.join("round")).expect("a link");
        assert!(fill(&folder.join("round"), "x", Ok(())).is_err());
        // A device through a link stays a device.
        symlink("/dev/null", folder.join("null")).expect("a link");
        assert_eq!(fill(&folder.join("null"), "x", Ok(())).expect("written"), 1);
        assert!(fill(&folder.join("null"), "x", fails()).is_err());
        assert!(folder.join("null").is_symlink() && !Path::new("/dev/null").is_file());
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    #[cfg_attr(miri, ignore = "writes files, and crosses no boundary")]
    fn what_cannot_be_a_file_is_refused() {
        let folder = folder("refused");
        let pipe = folder.join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
        let refused = fill(&pipe, "x", Ok(())).expect_err("a pipe");
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        assert!(fill(&folder, "x", Ok(())).is_err());
        let failed = fill(&folder.join("none/x"), "x", Ok(())).expect_err("no folder");
        assert!(failed.message().starts_with("creating "), "{failed}");
        assert_eq!(names(&folder), ["pipe"]);
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
