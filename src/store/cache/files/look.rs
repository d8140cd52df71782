//! What is known of a tree without walking it again: its size, the attributes of its root, and the marks that an overlay leaves
//! in it.

use std::ffi::CString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The size of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

/// The attributes of the root directory of a cache, except its owner, which is different for every lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RootLook {
    pub(crate) mode: u32,
    /// Seconds since 1970, and nanoseconds.
    pub(crate) mtime: (i64, u32),
}

impl RootLook {
    /// Returns the attributes for a new cache.
    pub(crate) fn new() -> Self {
        RootLook {
            mode: 0o755,
            mtime: (i64::try_from(since_1970().as_secs()).unwrap_or_default(), 0),
        }
    }
}

/// Returns the time since the first second of 1970.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// How an overlay mount uses extended attributes.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))] // Not used there.
pub(crate) struct Marks {
    /// Set on a directory that hides the directory of the same name in the layers below.
    pub(crate) opaque: CString,
    /// Set on an empty file that stands for a deleted one, as a device 0:0 does.
    pub(crate) whiteout: CString,
    /// Returns whether a name is one of the overlay's own.
    pub(crate) is_own: fn(&[u8]) -> bool,
}

/// A fingerprint of a tree from its `stat` data: any change in the tree changes it.
pub(crate) struct Look {
    pub(crate) digest: String,
    pub(crate) size: Size,
    pub(crate) root: RootLook,
}

/// The state of the directory that an overlay writes to.
pub(crate) struct Upper {
    pub(crate) owner: (u32, u32),
    pub(crate) root: RootLook,
    /// A digest of its attributes.
    pub(crate) attributes: String,
    pub(crate) is_empty: bool,
}
