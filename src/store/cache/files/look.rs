//! What is known of a tree without walking it again: its size, what its root looks like, and which marks an overlay leaves in it.

use std::ffi::CString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How much a tree is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

/// What the root directory of a cache looks like, short of its owner, which every lease has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RootLook {
    pub(crate) mode: u32,
    /// Seconds since 1970, and nanoseconds.
    pub(crate) mtime: (i64, u32),
}

impl RootLook {
    /// That of a new cache.
    pub(crate) fn new() -> Self {
        RootLook {
            mode: 0o755,
            mtime: (i64::try_from(since_1970().as_secs()).unwrap_or_default(), 0),
        }
    }
}

/// The time since the first second of 1970.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// What an overlay mount keeps in extended attributes.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))] // Nobody looks there.
pub(crate) struct Marks {
    /// On a directory whose like in the layers below is hidden.
    pub(crate) opaque: CString,
    /// On an empty file that stands for a deleted one, as a device 0:0 does.
    pub(crate) whiteout: CString,
    /// Whether a name is one of the overlay's own.
    pub(crate) is_own: fn(&[u8]) -> bool,
}

/// What a tree looks like to `stat`: whoever changes anything in it changes this.
pub(crate) struct Look {
    pub(crate) digest: String,
    pub(crate) size: Size,
    pub(crate) root: RootLook,
}

/// What the directory is that an overlay writes to.
pub(crate) struct Upper {
    pub(crate) owner: (u32, u32),
    pub(crate) root: RootLook,
    /// A digest over its attributes.
    pub(crate) attributes: String,
    pub(crate) is_empty: bool,
}
