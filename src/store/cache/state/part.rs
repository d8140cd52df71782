//! What a generation of a cache is made of.

use serde::{Deserialize, Serialize};

use crate::store::cache::files::look::{RootLook, Size};
use crate::store::place::Birth;

/// What a volume of a generation holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The cache's whole tree.
    Whole,
    /// What one release changed, in `upper/`, in the form that the kernel's overlay gives it.
    Layer,
}

/// One volume of a generation. Nothing ever writes to it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) volume: String,
    pub(crate) kind: Kind,
    /// Where its files were on the engine's machine when it was made. Looked up anew where nothing is found there.
    pub(crate) mountpoint: String,
    /// The directory that was there, where this process saw it: found again, it needs no look at the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) birth: Option<Birth>,
    /// The generation that it brought, the newest of them where it was merged; 0 where that is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) generation: u64,
    /// An OBuilder store made it: it carries no labels of ours, and is copied before it is read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) adopted: bool,
    /// How many files it has and what they take on disk, if anybody counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<Size>,
}

/// A generation, as far as it takes to go back to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Durable {
    pub(crate) generation: u64,
    pub(crate) parts: Vec<Part>,
    pub(crate) root: Option<RootLook>,
}

/// What to do should the power fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unsure {
    /// The boot of this machine in which the newest parts were written. In another one, nobody knows what is in them.
    pub(crate) boot: String,
    /// The newest generation that was certainly on disk by then.
    pub(crate) durable: Durable,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}
