//! [`Account`]: who is asked for a connection through ssh.

/// Whom to ask for a connection, and how.
#[cfg_attr(windows, allow(dead_code))] // There is no such way there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) user: Option<String>,
    /// A name, an address without brackets, or what `~/.ssh/config` calls it.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// The engine's socket there, where it is not the usual one.
    pub(crate) socket: Option<String>,
}
