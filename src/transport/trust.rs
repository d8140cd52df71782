//! [`Trust`]: whom a connection over TLS believes, and who we are to the other side.

/// PEM files' contents, as Docker's client has them, each with the name of where it is from.
#[cfg_attr(not(feature = "tls"), allow(dead_code))] // nobody asks then
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    /// Whom to believe; without it, whom this system believes.
    pub(crate) ca: Option<Pem>,
    /// Our certificate and its key.
    pub(crate) own: Option<(Pem, Pem)>,
    /// Believe anybody.
    pub(crate) anybody: bool,
}

/// A file's content and its name.
#[cfg_attr(not(feature = "tls"), allow(dead_code))] // nobody asks then
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pem {
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
}
