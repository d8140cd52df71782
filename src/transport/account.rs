//! [`Account`]: the destination of a connection through ssh.

/// The destination of a connection, and how to connect.
#[cfg_attr(windows, allow(dead_code))] // Not supported there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) user: Option<String>,
    /// A name, an address without brackets, or a host in `~/.ssh/config`.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// The engine's socket on that host, if it is not the default one.
    pub(crate) socket: Option<String>,
}
