//! A result as one file: a docker archive (`docker save`) or an OCI layout, written and read.
//!
//! What is written depends only on the image, not on the engine that has it: see [`save`].

mod contents;
pub(crate) mod load;
pub(crate) mod parts;
pub(crate) mod save;
mod spool;

/// The form of a saved result. Both are one tar file, without compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageFormat {
    /// A docker archive, as `docker save` writes it.
    #[default]
    Docker,
    /// An OCI image layout. It also contains a `manifest.json`, as Docker's own layouts do since version 25, so that programs
    /// that read docker archives can read it, too.
    Oci,
}
