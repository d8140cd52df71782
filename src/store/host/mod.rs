//! Files of this machine: which of them are meant, and how they become a tar stream with a digest.

pub(crate) mod files;
mod header;
pub(crate) mod packed;
mod patterns;
