//! The parts of a generation of a cache.

use serde::{Deserialize, Serialize};

use crate::store::cache::files::look::{RootLook, Size};
use crate::store::place::Birth;

/// What a volume of a generation contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The cache's whole tree.
    Whole,
    /// The changes of one release, in `upper/`, in the form of the kernel's overlay.
    Layer,
}

/// One volume of a generation. It is never written to again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) volume: String,
    pub(crate) kind: Kind,
    /// Where its files were on the engine's host when it was created. Looked up again if nothing is found there.
    pub(crate) mountpoint: String,
    /// The directory that was there, if this process could access it: if it is found again, the engine need not be queried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) birth: Option<Birth>,
    /// The generation that it was added in, the newest one if it was merged; 0 if unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) generation: u64,
    /// An OBuilder store created it: it does not carry this store's labels, and is copied before it is read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) adopted: bool,
    /// How many files it has and their size on disk, if that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<Size>,
}

/// What is needed to go back to a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Durable {
    pub(crate) generation: u64,
    pub(crate) parts: Vec<Part>,
    pub(crate) root: Option<RootLook>,
}

/// What to do after a power failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unsure {
    /// The boot of this machine in which the newest parts were written. In another boot, their contents are unknown.
    pub(crate) boot: String,
    /// The newest generation that was certainly on disk by then.
    pub(crate) durable: Durable,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}
