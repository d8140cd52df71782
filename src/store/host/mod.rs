//! Local files: which of them are selected, and their conversion to a tar stream with a digest; and the other way, a tar stream
//! that is unpacked into a local directory.

pub(crate) mod files;
pub(crate) mod folder;
mod header;
pub(crate) mod packed;
mod patterns;
pub(crate) mod unpack;
