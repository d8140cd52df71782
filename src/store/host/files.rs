//! [`HostFiles`]: a file or a folder of this machine, and what of it is taken, how.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::store::host::patterns::Patterns;

/// A file or a folder of this machine, to be copied into a step by [`Step::copy_in_host`](crate::Step::copy_in_host). If it is a link,
/// what the link leads to is taken; links inside a folder stay links.
///
/// By default all of a folder is taken, owned by root, with the modes and times that it has here. Sockets are passed over, as by
/// `docker build`; pipes and devices are copied as such. Names that share a file (hard links) share one in the step, too. Extended
/// attributes are not copied, and holes are filled with zeros.
#[derive(Clone, Debug)]
pub struct HostFiles {
    pub(crate) path: PathBuf,
    pub(crate) patterns: Patterns,
    pub(crate) name: Option<OsString>,
    pub(crate) owner: Owner,
    pub(crate) time: Option<i64>,
}

/// Who owns what is copied.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner {
    Given(u32, u32),
    AsHere,
}

impl HostFiles {
    /// The file or folder at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        HostFiles {
            path: path.into(),
            patterns: Patterns::default(),
            name: None,
            owner: Owner::Given(0, 0),
            time: None,
        }
    }

    /// Leaves out what `pattern` fits, as a line of a `.dockerignore` would: relative to the folder, `*` and `?` for anything within a
    /// name, `**` for any folders, and `!` before it for what is taken in again. The last line that fits decides. What is in a folder
    /// that is left out is taken in again only by a line that begins with the folder's name. Patterns do not hold for a single file.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for what is no pattern.
    pub fn exclude(&mut self, pattern: &str) -> Result<&mut Self> {
        self.patterns.add(pattern)?;
        Ok(self)
    }

    /// Takes in again what `pattern` fits: [`exclude`](Self::exclude) with a `!` before it.
    ///
    /// # Errors
    ///
    /// As `exclude`.
    pub fn include(&mut self, pattern: &str) -> Result<&mut Self> {
        self.exclude(&format!("!{pattern}"))
    }

    /// Adds all lines of a `.dockerignore` whose text is `text`, without its comments.
    ///
    /// # Errors
    ///
    /// As [`exclude`](Self::exclude).
    pub fn dockerignore(&mut self, text: &str) -> Result<&mut Self> {
        self.patterns.add_file(text)?;
        Ok(self)
    }

    /// What it is called in the step. By default a file keeps its name, and what is in a folder is put directly below the path that it
    /// is copied to; a folder with a name is put there itself.
    pub fn name(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.name = Some(name.as_ref().to_owned());
        self
    }

    /// Who owns all of it in the step: a user's and a group's number. By default root (0, 0).
    pub fn owner(&mut self, user: u32, group: u32) -> &mut Self {
        self.owner = Owner::Given(user, group);
        self
    }

    /// Keeps the owners that the files have here, by their numbers.
    pub fn keep_owners(&mut self) -> &mut Self {
        self.owner = Owner::AsHere;
        self
    }

    /// When all of it was last changed, in seconds since 1970: then the same files are the same bytes each time, and have the same
    /// digest. By default the times are kept.
    pub fn fixed_times(&mut self, seconds: i64) -> &mut Self {
        self.time = Some(seconds);
        self
    }
}
