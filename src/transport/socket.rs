//! [`Socket`]: a connected stream socket that never blocks, whatever it is connected to.
//!
//! All waiting is done by `poll`, on the socket and on the call's [`Cancel`](crate::Cancel), so that a deadline or another
//! thread can end any wait. Sends use `MSG_NOSIGNAL`, because a C host may not ignore SIGPIPE and must not be killed by an
//! engine that has gone. (For the same reason there are no vectored writes: std's have no such flag.)

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketType, sockopt};

use super::Fault;
use super::polled::Polled;
use crate::local::{opened, opened_pair};
use crate::os::{PollFlags, Watched};
use crate::process::Process;
use crate::wait::Wait;

/// A peer that disappears silently (its machine lost power, or a router dropped the connection) is noticed after about this
/// long and [`PROBES`] more intervals.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 6;

#[cfg(not(target_vendor = "apple"))]
const SEND: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")] // There it is an option of the socket: see `open`.
const SEND: SendFlags = SendFlags::empty();

/// Opens a stream socket that does not block, does not survive an `exec`, and does not raise SIGPIPE.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn open(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    let flags = net::SocketFlags::NONBLOCK | net::SocketFlags::CLOEXEC;
    opened(|| net::socket_with(family, SocketType::STREAM, flags, None))
}

#[cfg(target_vendor = "apple")]
pub(super) fn open(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    let socket = opened(|| net::socket(family, SocketType::STREAM, None))?;
    quiet(&socket)?;
    Ok(socket)
}

/// Opens a TCP connection to an address.
pub(super) fn connected(address: SocketAddr, wait: Wait<'_>) -> Result<Socket, Fault> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = open(family).map_err(io::Error::from)?;
    match net::connect(&socket, &address) {
        Ok(()) => {}
        // A signal does not end it either: the connecting continues.
        Err(Errno::INPROGRESS | Errno::INTR | Errno::AGAIN) => {
            wait.ready(socket.as_fd(), PollFlags::OUT)?;
            let outcome = sockopt::socket_error(&socket).map_err(io::Error::from)?;
            outcome.map_err(io::Error::from)?;
        }
        Err(error) => return Err(Fault::Io(error.into())),
    }
    // Sends small requests without delay; if this option fails, the connection still works.
    let _ = sockopt::set_tcp_nodelay(&socket, true);
    let _ = sockopt::set_socket_keepalive(&socket, true);
    let _ = sockopt::set_tcp_keepidle(&socket, KEEP_ALIVE);
    let _ = sockopt::set_tcp_keepintvl(&socket, INTERVAL);
    let _ = sockopt::set_tcp_keepcnt(&socket, PROBES);
    Ok(Socket::new(socket))
}

/// Creates the two ends of a connection: ours, which is like those of [`open`], and one for a child, which is closed on `exec`
/// and blocks.
pub(super) fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    #[cfg(not(target_vendor = "apple"))]
    let flags = net::SocketFlags::CLOEXEC;
    #[cfg(target_vendor = "apple")]
    let flags = net::SocketFlags::empty();
    let (ours, theirs) =
        opened_pair(|| net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None))?;
    #[cfg(target_vendor = "apple")]
    {
        quiet(&ours)?;
        rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::CLOEXEC)?;
    }
    #[cfg(not(target_vendor = "apple"))]
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}

#[cfg(target_vendor = "apple")]
fn quiet(socket: &OwnedFd) -> rustix::io::Result<()> {
    rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(socket, true)?;
    net::sockopt::set_socket_nosigpipe(socket, true)
}

/// A connection.
pub(super) struct Socket {
    socket: OwnedFd,
    /// The process that it belongs to: what a forked child read would be missing for its parent.
    process: Process,
    /// The last receive filled its buffer, so more has most likely arrived: the next one does not poll first.
    eager: bool,
}

impl Socket {
    /// Wraps a connected socket that was created by [`open`] or [`pair`].
    pub(super) fn new(socket: OwnedFd) -> Self {
        Socket {
            socket,
            process: Process::this(),
            eager: false,
        }
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Shuts it down in both directions for all copies, including that of a forked child of the host.
    pub(super) fn end(&self) {
        if self.process.is_this() {
            let _ = net::shutdown(&self.socket, Shutdown::Both);
        }
    }
}

impl Polled for Socket {
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        self.process.check()?;
        loop {
            match net::send(&self.socket, bytes, SEND) {
                Ok(sent) => return Ok(Some(sent)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn try_receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        debug_assert!(!buffer.is_empty(), "an empty buffer looks like the end");
        self.process.check()?;
        loop {
            match net::recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((received, _)) => {
                    self.eager = received == buffer.len();
                    return Ok(Some(received));
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn is_eager(&mut self) -> bool {
        std::mem::take(&mut self.eager)
    }

    fn ready(
        &mut self,
        events: PollFlags,
        other: Option<Watched<'_>>,
        wait: Wait<'_>,
    ) -> Result<[PollFlags; 2], Fault> {
        let socket = (self.socket.as_fd(), events);
        match other {
            Some(other) => wait.ready_of([socket, (other, PollFlags::IN)]),
            None => Ok([wait.ready_of([socket])?[0], PollFlags::empty()]),
        }
    }

    fn end_sending(&mut self) -> io::Result<()> {
        self.process.check()?;
        match net::shutdown(&self.socket, Shutdown::Write) {
            // The peer has already gone.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn is_silent(&mut self) -> bool {
        loop {
            match net::recv(&self.socket, &mut [0; 1], RecvFlags::PEEK) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                _ => return false,
            }
        }
    }
}
