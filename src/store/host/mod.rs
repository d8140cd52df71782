//! Local files: which of them are selected, and their conversion to a tar stream with a digest.

pub(crate) mod files;
mod header;
pub(crate) mod packed;
mod patterns;
