//! [`Trust`]: which certificates a TLS connection trusts, and the client's own certificate.

/// The contents of PEM files, as Docker's client uses them, each with the name of its source.
#[cfg_attr(not(feature = "tls"), allow(dead_code))] // not used then
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    /// The trusted CAs; without it, those that the system trusts.
    pub(crate) ca: Option<Pem>,
    /// The client's certificate and its key.
    pub(crate) own: Option<(Pem, Pem)>,
    /// Whether to trust any certificate.
    pub(crate) anybody: bool,
}

/// A file's content and its name.
#[cfg_attr(not(feature = "tls"), allow(dead_code))] // not used then
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pem {
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
}
