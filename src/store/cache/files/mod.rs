//! Trees of files: walking, copying and merging them. Nothing here knows of caches or engines.
//!
//! The code that works on trees in place is for Linux only, because an engine's volumes are on Linux.

pub(crate) mod look;
pub(crate) mod owners;
pub(crate) mod tar;
pub(crate) mod tree;

#[cfg(target_os = "linux")]
mod contents;
#[cfg(target_os = "linux")]
pub(crate) mod copy_direct;
#[cfg(target_os = "linux")]
pub(crate) mod merge;
#[cfg(target_os = "linux")]
pub(crate) mod trial;
#[cfg(target_os = "linux")]
pub(crate) mod upper;
#[cfg(target_os = "linux")]
pub(crate) mod walk;
#[cfg(target_os = "linux")]
mod xattr;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
pub(crate) use self::elsewhere::{copy_direct, merge, trial, upper, walk};

#[cfg(all(test, target_os = "linux"))]
mod tests;
