//! [`HostFiles`]: a local file or directory, and which of its files are copied, and how.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::store::host::patterns::Patterns;

/// A local file or directory that [`Step::copy_in_host`](crate::Step::copy_in_host) copies into a step. If it is a link, the
/// link's target is copied; links inside a directory stay links.
///
/// By default everything in a directory is copied, owned by root, with its local modes and times. Sockets are skipped, as by
/// `docker build`; pipes and devices are copied as such. Hard links stay hard links in the step. Extended attributes are not
/// copied, and holes are filled with zeros.
#[derive(Clone, Debug)]
pub struct HostFiles {
    pub(crate) path: PathBuf,
    pub(crate) patterns: Patterns,
    pub(crate) name: Option<OsString>,
    pub(crate) owner: Owner,
    pub(crate) time: Option<i64>,
}

/// The owner of what is copied.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner {
    Given(u32, u32),
    AsHere,
}

impl HostFiles {
    /// Selects the file or directory at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        HostFiles {
            path: path.into(),
            patterns: Patterns::default(),
            name: None,
            owner: Owner::Given(0, 0),
            time: None,
        }
    }

    /// Excludes the files that match `pattern`, a line in the form of a `.dockerignore`: relative to the directory, `*` and `?`
    /// for anything within a name, `**` for any directories, and a leading `!` for files to include again. The last matching
    /// line decides. Files in an excluded directory are included again only by a line that starts with the directory's name.
    /// Patterns do not apply to a single file.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) if it is not a valid pattern.
    pub fn exclude(&mut self, pattern: &str) -> Result<&mut Self> {
        self.patterns.add(pattern)?;
        Ok(self)
    }

    /// Includes the files again that match `pattern`: like [`exclude`](Self::exclude) with a leading `!`.
    ///
    /// # Errors
    ///
    /// As for `exclude`.
    pub fn include(&mut self, pattern: &str) -> Result<&mut Self> {
        self.exclude(&format!("!{pattern}"))
    }

    /// Adds all lines of a `.dockerignore` with the contents `text`, except its comments.
    ///
    /// # Errors
    ///
    /// As for [`exclude`](Self::exclude).
    pub fn dockerignore(&mut self, text: &str) -> Result<&mut Self> {
        self.patterns.add_file(text)?;
        Ok(self)
    }

    /// Sets the name in the step. By default a file keeps its name, and the contents of a directory are put directly into the
    /// path that they are copied to. With a name, the directory itself is created there.
    pub fn name(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.name = Some(name.as_ref().to_owned());
        self
    }

    /// Sets the owner of all files in the step: a user's and a group's number. The default is root (0, 0).
    pub fn owner(&mut self, user: u32, group: u32) -> &mut Self {
        self.owner = Owner::Given(user, group);
        self
    }

    /// Keeps the files' local owners, by number.
    pub fn keep_owners(&mut self) -> &mut Self {
        self.owner = Owner::AsHere;
        self
    }

    /// Sets the modification time of all files, in seconds since 1970: the same files then result in the same bytes each time,
    /// and in the same digest. By default the files keep their times.
    pub fn fixed_times(&mut self, seconds: i64) -> &mut Self {
        self.time = Some(seconds);
        self
    }
}
