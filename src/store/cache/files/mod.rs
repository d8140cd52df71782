//! Trees of files: walking, copying and merging them. Nothing here knows of caches or engines.

pub(crate) mod contents;
pub(crate) mod copy_direct;
pub(crate) mod look;
pub(crate) mod merge;
pub(crate) mod owners;
mod pax;
pub(crate) mod tar;
pub(crate) mod tree;
pub(crate) mod walk;
pub(crate) mod xattr;

#[cfg(test)]
mod tests;
