//! What each operating system does in its own way, under common names: locks, disks, clocks, the identity of a file, and how
//! one thread wakes another. The layers above do not depend on the system. (How bytes are transferred is up to the transports.)
//!
//! Together with `windows`, and the transports of a single system, this is where system calls may be `unsafe`.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
#[allow(unsafe_code)] // System calls.
mod windows;

#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
pub(crate) use windows::*;

/// Whether a lock is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// One holder.
    Alone,
    /// Any number of holders, and no exclusive one at the same time.
    Shared,
}

/// How a file system identifies a file, whatever its path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) inode: u64,
    /// When it was created: seconds since 1970, and nanoseconds. Not every file system reports it.
    pub(crate) born: Option<(i64, u32)>,
    /// The first is 0 if the second is not the number of a disk in this boot.
    pub(crate) device: (u32, u32),
    pub(crate) is_directory: bool,
}

impl Numbers {
    /// Returns whether both identify the same file.
    pub(crate) fn is(&self, other: &Numbers) -> bool {
        (self.inode, self.device) == (other.inode, other.device)
    }
}

/// The kind of a file that is neither a regular file nor a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    #[cfg_attr(windows, allow(dead_code))] // There are none on a disk.
    Pipe,
    #[cfg_attr(windows, allow(dead_code))]
    Device,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(windows, allow(dead_code))] // Only the first three exist there.
pub(crate) enum Sort {
    File,
    Folder,
    Link,
    Pipe,
    Socket,
    CharDevice,
    BlockDevice,
}

/// What a tar records of a file besides its name and its contents.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) sort: Sort,
    pub(crate) mode: u32,
    /// The numbers of the user and the group.
    pub(crate) owner: (u32, u32),
    pub(crate) size: u64,
    /// When it was last written: seconds since 1970, and nanoseconds.
    pub(crate) changed: (i64, u32),
    /// Of a device.
    pub(crate) device: (u32, u32),
    /// The numbers of its disk and of the file.
    pub(crate) number: (u64, u64),
    /// The same, if it may have several names.
    pub(crate) shared: Option<(u64, u64)>,
}

/// When a file was written, and which file it is: if both are unchanged, the file need not be read again.
pub(crate) type Stamp = (u64, i64, i64);

/// Returns the free space that this user may use on a file system, in percent.
pub(crate) fn percent_free(path: &std::path::Path) -> std::io::Result<f64> {
    let (all, free) = space(path)?;
    Ok(match all {
        // A pseudo file system has no blocks, and is never full.
        0 => 100.0,
        all => free as f64 / all as f64 * 100.0,
    })
}
