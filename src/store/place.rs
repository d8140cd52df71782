//! A directory as the file system identifies it, whatever its path is: a rename keeps this identity, a copy does not.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::os;
use crate::store::clock::boot;
use crate::store::names;

/// The identity of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    inode: u64,
    /// When the directory was created: seconds since 1970, and nanoseconds. Not every file system reports it.
    born: Option<(i64, u32)>,
    /// The device, and the boot in which it had that number: devices are numbered anew at each boot.
    device: (u32, u32),
    boot: String,
}

impl Place {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let found = os::numbers(path, true)?;
        Ok(Place {
            inode: found.inode,
            born: found.born,
            device: found.device,
            boot: boot(),
        })
    }

    /// Returns whether this is the same directory, as far as its file system knows.
    pub(crate) fn is(&self, other: &Place) -> bool {
        let same = match (self.born, other.born) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => self.device == other.device,
        };
        self.inode == other.inode && same && !self.is_on_another_disk(other)
    }

    /// Returns whether the two are on disks that exist at the same time: a snapshot of a disk contains the same directories
    /// again. The device numbers of file systems without a disk mean nothing.
    fn is_on_another_disk(&self, other: &Place) -> bool {
        let on_disks = self.device.0 != 0 && other.device.0 != 0;
        self.boot == other.boot && on_disks && self.device != other.device
    }

    /// Returns what distinguishes this directory from its copies, on an engine.
    pub(crate) fn mark(&self, identity: &str) -> String {
        let born = match self.born {
            Some((seconds, nanos)) => format!("{seconds}.{nanos}"),
            None => format!("{:?}", self.device),
        };
        let digest = names::digest(&format!("{identity} {} {born}", self.inode));
        digest[..32].to_owned()
    }
}

/// What distinguishes a directory from any other that is ever at its path: for example, one that was removed and created again,
/// or another engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Birth {
    inode: u64,
    /// Seconds since 1970, and nanoseconds.
    time: (i64, u32),
}

impl Birth {
    /// Returns `None` if there is no directory, or the file system does not report when it was created.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = os::numbers(path, false).ok()?;
        found.born.filter(|_| found.is_directory).map(|time| Birth {
            inode: found.inode,
            time,
        })
    }
}

/// A path and the directories above it, nearest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ancestry {
    path: PathBuf,
    above: Vec<Place>,
}

impl Ancestry {
    pub(crate) fn of(path: &Path) -> Self {
        let above = path.ancestors().skip(1);
        Ancestry {
            path: path.to_owned(),
            above: above.map_while(|above| Place::of(above).ok()).collect(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the directory at the path has been moved from there to the file system of `place`, as far as this
    /// process can see: its nearest existing ancestor is the same as before, and on another file system.
    pub(crate) fn has_gone_to(&self, place: &Place) -> bool {
        let mut above = self.path.ancestors().skip(1).zip(&self.above);
        let is_gone = |path: &Path| matches!(fs::symlink_metadata(path), Err(e) if e.kind() == io::ErrorKind::NotFound);
        is_gone(&self.path)
            && above
                .find(|(path, _)| !is_gone(path))
                .and_then(|(path, then)| Some((Place::of(path).ok()?, then)))
                .is_some_and(|(now, then)| now.is(then) && now.device != place.device)
    }
}
