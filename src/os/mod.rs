//! What each system does in its own way, under one name for all: locks, disks, clocks, what a file is known by, and how one thread
//! wakes another. What is above says what it wants, and not of which system. (How bytes move is the transports' own.)
//!
//! With `windows`, and the transports that are the system's alone, this is where a call of the system may be `unsafe`.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
#[allow(unsafe_code)] // Calls of the system.
mod windows;

#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
pub(crate) use windows::*;

/// Who may hold a lock together with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// One alone.
    Alone,
    /// Any number, and nobody alone meanwhile.
    Shared,
}

/// What a file system knows a file by, whatever its path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) inode: u64,
    /// When it was made: seconds since 1970, and nanoseconds. Not every file system tells.
    pub(crate) born: Option<(i64, u32)>,
    /// The first is 0 where the second is not a number of this boot's disks.
    pub(crate) device: (u32, u32),
    pub(crate) is_directory: bool,
}

impl Numbers {
    /// Whether both are of one file.
    pub(crate) fn is(&self, other: &Numbers) -> bool {
        (self.inode, self.device) == (other.inode, other.device)
    }
}

/// What a file is that is neither one nor a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    #[cfg_attr(windows, allow(dead_code))] // No path of a disk leads to one.
    Pipe,
    #[cfg_attr(windows, allow(dead_code))]
    Device,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(windows, allow(dead_code))] // Which has but the first three.
pub(crate) enum Sort {
    File,
    Folder,
    Link,
    Pipe,
    Socket,
    CharDevice,
    BlockDevice,
}

/// What a tar says of a file beside its name and its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) sort: Sort,
    pub(crate) mode: u32,
    /// The user's number and the group's.
    pub(crate) owner: (u32, u32),
    pub(crate) size: u64,
    /// When it was last written: seconds since 1970, and nanoseconds.
    pub(crate) changed: (i64, u32),
    /// Of a device.
    pub(crate) device: (u32, u32),
    /// Its disk's number and its own.
    pub(crate) number: (u64, u64),
    /// The same, if it may have several names.
    pub(crate) shared: Option<(u64, u64)>,
}

/// When a file was written, and which: whoever sees the same again need not read it again.
pub(crate) type Stamp = (u64, i64, i64);

/// How much of a file system's space this user may still fill, in percent.
pub(crate) fn percent_free(path: &std::path::Path) -> std::io::Result<f64> {
    let (all, free) = space(path)?;
    Ok(match all {
        // A pseudo file system has no blocks, and never fills.
        0 => 100.0,
        all => free as f64 / all as f64 * 100.0,
    })
}
