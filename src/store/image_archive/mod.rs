//! A result as one file: a docker archive (`docker save`) or an OCI layout, written and read.
//!
//! What is written depends on the image alone, not on the engine that has it: see [`save`].

mod contents;
pub(crate) mod load;
pub(crate) mod parts;
pub(crate) mod save;
mod spool;

/// Which form a saved result has. Both are one tar file, without compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageFormat {
    /// A docker archive, as `docker save` writes it.
    #[default]
    Docker,
    /// An OCI image layout. It has a `manifest.json` beside its index, as Docker's own since version 25 have, so that whoever takes
    /// docker archives takes it, too.
    Oci,
}
