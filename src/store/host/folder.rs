//! [`HostFolder`]: a local directory into which files are unpacked, and how.

use std::path::PathBuf;

/// A local directory into which [`Step::copy_out_host`](crate::Step::copy_out_host) and
/// [`Store::copy_out_host`](crate::Store::copy_out_host) unpack files. It is created if it does not exist.
///
/// By default the files belong to the user of this process, and have the permissions that they have in the container, less the
/// umask and without set-user-ID, set-group-ID and sticky bits.
#[derive(Clone, Debug)]
pub struct HostFolder {
    pub(crate) path: PathBuf,
    pub(crate) owner: Owner,
    pub(crate) exact_modes: bool,
}

/// The owner of what is unpacked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner {
    ThisUser,
    Given(u32, u32),
    AsThere,
}

impl HostFolder {
    /// Selects the directory at `path`. If it is a link to a directory, that directory is used.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        HostFolder {
            path: path.into(),
            owner: Owner::ThisUser,
            exact_modes: false,
        }
    }

    /// Gives all files this owner: a user's and a group's number. Requires privileges, usually.
    pub fn owner(&mut self, user: u32, group: u32) -> &mut Self {
        self.owner = Owner::Given(user, group);
        self
    }

    /// Keeps the owners that the files have in the container, by number. Requires privileges, usually.
    pub fn keep_owners(&mut self) -> &mut Self {
        self.owner = Owner::AsThere;
        self
    }

    /// Keeps the modes that the files have in the container, with all bits.
    pub fn keep_modes(&mut self) -> &mut Self {
        self.exact_modes = true;
        self
    }
}
