//! What is known of a tree without walking it again: its size, and what its root looks like.

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
