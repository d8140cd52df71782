//! Byte streams to an engine, one file for each kind. The layer above speaks HTTP over them.

pub(crate) mod account;
#[cfg(unix)]
mod children;
#[cfg(test)]
pub(crate) mod contract;
#[cfg(test)]
pub(crate) mod memory;
#[cfg(windows)]
#[allow(unsafe_code)] // System calls.
mod pipe;
mod polled;
mod resolve;
#[cfg_attr(windows, path = "socket_windows.rs", allow(unsafe_code))] // System calls.
mod socket;
#[cfg(unix)]
mod ssh;
pub(crate) mod tcp;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod trust;
#[cfg(unix)]
pub(crate) mod unix;
#[cfg(feature = "tls")]
mod verify;
pub(crate) mod ways;

use crate::os::Watched;
pub(crate) use crate::wait::Fault;
use crate::wait::Wait;

/// Opens streams to one engine.
pub(crate) trait Connect: Send + Sync {
    /// Opens a stream, or returns the system's error. Only a connection refused by a full queue is retried.
    ///
    /// Some kinds find out only when the stream is used that no server is there: the first failure then has the kind
    /// `ConnectionRefused`.
    fn connect(&self, wait: Wait<'_>) -> Result<Box<dyn Stream>, Fault>;
    /// Returns the address in human-readable form.
    fn address(&self) -> &str;
}

/// What an [exchange](Stream::exchange) transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) sent: usize,
    /// `Some(0)` is the end of the stream.
    pub(crate) received: Option<usize>,
}

/// One connection. `EINTR` is retried internally against the same deadline; nothing here raises SIGPIPE.
pub(crate) trait Stream: Send {
    /// Waits for bytes and reads some; 0 is the end of the stream.
    fn read(&mut self, buffer: &mut [u8], wait: Wait<'_>) -> Result<usize, Fault>;
    /// Waits for bytes and reads some, as [`read`](Self::read) does, or until `other` has occurred: `None`.
    fn read_beside(
        &mut self,
        buffer: &mut [u8],
        other: Watched<'_>,
        wait: Wait<'_>,
    ) -> Result<Option<usize>, Fault>;
    /// Sends all of `bytes`.
    fn write_all(&mut self, bytes: &[u8], wait: Wait<'_>) -> Result<(), Fault>;
    /// Waits until some of `out` (if not empty) can be sent or bytes arrive (if `buffer` is not empty), whichever is first, and
    /// does what is possible. Bytes that have arrived are returned before a failure to send is.
    fn exchange(&mut self, out: &[u8], buffer: &mut [u8], wait: Wait<'_>) -> Result<Moved, Fault>;
    /// Says that no more will be sent.
    fn close_write(&mut self) -> Result<(), Fault>;
    /// Returns whether an idle connection is still usable: open, and nothing unexpected has arrived.
    fn is_quiet(&mut self) -> bool;
}
