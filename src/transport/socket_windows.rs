//! [`Socket`] on Windows: a connected stream socket that never blocks.
//!
//! The call waits for an event that the system sets when something happens to the socket, and for the call's
//! [`Cancel`](crate::Cancel). The event only says that something happened: what the socket is ready for is queried then.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::windows::io::{AsRawSocket, FromRawSocket};
use std::sync::OnceLock;

use windows_sys::Win32::Networking::WinSock::{
    AF_INET, AF_INET6, FD_CLOSE, FD_CONNECT, FD_CONNECT_BIT, FD_READ, FD_WRITE, IN_ADDR, IN6_ADDR,
    INVALID_SOCKET, IPPROTO_TCP, POLLERR, POLLHUP, POLLNVAL, POLLRDNORM, POLLWRNORM, SO_KEEPALIVE,
    SOCK_STREAM, SOCKADDR_IN, SOCKADDR_IN6, SOCKADDR_INET, SOCKET, SOCKET_ERROR, SOL_SOCKET,
    TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, WSA_FLAG_NO_HANDLE_INHERIT, WSA_FLAG_OVERLAPPED,
    WSADATA, WSAEWOULDBLOCK, WSAEnumNetworkEvents, WSAEventSelect, WSAGetLastError,
    WSANETWORKEVENTS, WSAPOLLFD, WSAPoll, WSASocketW, WSAStartup, connect, setsockopt,
};

use super::Fault;
use super::polled::Polled;
use crate::os::{Event, PollFlags, Watched};
use crate::wait::Wait;

/// A peer that disappears silently is noticed after about this many seconds and [`PROBES`] more intervals.
const KEEP_ALIVE: i32 = 30;
const INTERVAL: i32 = 10;
const PROBES: i32 = 6;

/// The version of the interface: 2.2.
const VERSION: u16 = 0x0202;

/// A connection.
pub(super) struct Socket {
    stream: TcpStream,
    /// Set when one of the requested events has happened to it.
    event: Event,
    /// The last receive filled its buffer, so more has most likely arrived: the next one does not wait first.
    eager: bool,
}

/// Initialises the system's sockets, once; they end with the process.
fn begin() -> io::Result<()> {
    static BEGUN: OnceLock<i32> = OnceLock::new();
    let begun = BEGUN.get_or_init(|| {
        let mut data = WSADATA::default();
        // SAFETY: the structure may be written to. The system's use count is never decremented.
        unsafe { WSAStartup(VERSION, &mut data) }
    });
    match *begun {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn last_error() -> io::Error {
    // SAFETY: it takes no arguments.
    io::Error::from_raw_os_error(unsafe { WSAGetLastError() })
}

fn done(answer: i32) -> io::Result<()> {
    match answer {
        SOCKET_ERROR => Err(last_error()),
        _ => Ok(()),
    }
}

/// Opens a TCP connection to an address.
pub(super) fn connected(address: SocketAddr, wait: Wait<'_>) -> Result<Socket, Fault> {
    let socket = Socket {
        stream: open(address)?,
        event: Event::new(false)?,
        eager: false,
    };
    socket.stream.set_nonblocking(true)?;
    socket.ask_for(FD_CONNECT)?;
    match connect_to(socket.raw(), address) {
        Ok(()) => {}
        Err(e) if e.raw_os_error() == Some(WSAEWOULDBLOCK) => {
            wait.first_of(&[socket.event.watched()])?;
            socket.outcome()?;
        }
        Err(e) => return Err(Fault::Io(e)),
    }
    // Sends small requests without delay; if this option fails, the connection still works.
    let _ = socket.stream.set_nodelay(true);
    for (level, option, value) in [
        (SOL_SOCKET, SO_KEEPALIVE, 1),
        (IPPROTO_TCP, TCP_KEEPIDLE, KEEP_ALIVE),
        (IPPROTO_TCP, TCP_KEEPINTVL, INTERVAL),
        (IPPROTO_TCP, TCP_KEEPCNT, PROBES),
    ] {
        set(socket.raw(), level, option, value);
    }
    Ok(socket)
}

/// Creates a socket for connections to such an address, which no child inherits.
fn open(address: SocketAddr) -> io::Result<TcpStream> {
    begin()?;
    let family = match address {
        SocketAddr::V4(_) => AF_INET,
        SocketAddr::V6(_) => AF_INET6,
    };
    let flags = WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT;
    let nothing = std::ptr::null();
    // SAFETY: only numbers are passed, and no protocol description.
    let socket = unsafe { WSASocketW(family.into(), SOCK_STREAM, IPPROTO_TCP, nothing, 0, flags) };
    match socket {
        INVALID_SOCKET => Err(last_error()),
        // SAFETY: it was just opened, and nothing else closes it.
        socket => Ok(unsafe { TcpStream::from_raw_socket(socket as _) }),
    }
}

fn connect_to(socket: SOCKET, address: SocketAddr) -> io::Result<()> {
    let mut name = SOCKADDR_INET::default();
    let length = match address {
        SocketAddr::V4(address) => {
            let mut ip = IN_ADDR::default();
            ip.S_un.S_addr = u32::from_ne_bytes(address.ip().octets());
            name.Ipv4 = SOCKADDR_IN {
                sin_family: AF_INET,
                sin_port: address.port().to_be(),
                sin_addr: ip,
                sin_zero: [0; 8],
            };
            size_of::<SOCKADDR_IN>()
        }
        SocketAddr::V6(address) => {
            let mut ip = IN6_ADDR::default();
            ip.u.Byte = address.ip().octets();
            let mut v6 = SOCKADDR_IN6 {
                sin6_family: AF_INET6,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: address.flowinfo(),
                sin6_addr: ip,
                ..SOCKADDR_IN6::default()
            };
            v6.Anonymous.sin6_scope_id = address.scope_id();
            name.Ipv6 = v6;
            size_of::<SOCKADDR_IN6>()
        }
    };
    // SAFETY: the name has the declared length and family.
    done(unsafe { connect(socket, (&raw const name).cast(), length as i32) })
}

fn set(socket: SOCKET, level: i32, option: i32, value: i32) {
    let length = size_of::<i32>() as i32;
    // SAFETY: the value is a number of that length, and is read during the call.
    unsafe { setsockopt(socket, level, option, (&raw const value).cast(), length) };
}

impl Socket {
    fn raw(&self) -> SOCKET {
        self.stream.as_raw_socket() as SOCKET
    }

    /// Has the event set when one of these happens, or immediately if one has.
    fn ask_for(&self, events: u32) -> io::Result<()> {
        self.event.reset();
        // SAFETY: both are open as long as `self` is; the socket is closed first, because its field comes first.
        done(unsafe { WSAEventSelect(self.raw(), self.event.raw() as isize, events as i32) })
    }

    /// Returns the outcome of connecting.
    fn outcome(&self) -> io::Result<()> {
        let mut found = WSANETWORKEVENTS::default();
        // SAFETY: both are open, and the structure may be written to.
        done(unsafe { WSAEnumNetworkEvents(self.raw(), self.event.raw() as isize, &mut found) })?;
        match found.iErrorCode[FD_CONNECT_BIT as usize] {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// Returns which of `events` it is ready for now.
    fn ready_now(&self, events: PollFlags) -> io::Result<PollFlags> {
        let mut wanted = 0;
        for (flag, poll) in [(PollFlags::IN, POLLRDNORM), (PollFlags::OUT, POLLWRNORM)] {
            if events.contains(flag) {
                wanted |= poll;
            }
        }
        let mut fd = WSAPOLLFD {
            fd: self.raw(),
            events: wanted,
            revents: 0,
        };
        // SAFETY: it is one structure, and may be written to.
        done(unsafe { WSAPoll(&mut fd, 1, 0) })?;
        let mut ready = PollFlags::empty();
        // "Hung up" is reported when the peer sends no more; it may still read.
        let arrived = fd.revents & (POLLRDNORM | POLLHUP) != 0;
        ready.set(PollFlags::IN, arrived && events.contains(PollFlags::IN));
        ready.set(PollFlags::OUT, fd.revents & POLLWRNORM != 0);
        ready.set(PollFlags::ERR, fd.revents & (POLLERR | POLLNVAL) != 0);
        Ok(ready)
    }
}

impl Polled for Socket {
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match self.stream.write(bytes) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
            sent => sent.map(Some),
        }
    }

    fn try_receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        debug_assert!(!buffer.is_empty(), "an empty buffer looks like the end");
        match self.stream.read(buffer) {
            Ok(received) => {
                self.eager = received == buffer.len();
                Ok(Some(received))
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
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
        let mut asked = FD_CLOSE;
        for (flag, event) in [(PollFlags::IN, FD_READ), (PollFlags::OUT, FD_WRITE)] {
            if events.contains(flag) {
                asked |= event;
            }
        }
        loop {
            wait.left()?;
            // First, so that anything that happens after the check sets the event.
            self.ask_for(asked)?;
            let ready = self.ready_now(events)?;
            if !ready.is_empty() {
                return Ok([ready, PollFlags::empty()]);
            }
            let ours = self.event.watched();
            let first = match other {
                Some(other) => wait.first_of(&[ours, other])?,
                None => wait.first_of(&[ours])?,
            };
            if first == 1 {
                return Ok([PollFlags::empty(), PollFlags::IN]);
            }
        }
    }

    fn end_sending(&mut self) -> io::Result<()> {
        match self.stream.shutdown(Shutdown::Write) {
            // The peer has already gone.
            Err(e) if e.kind() == ErrorKind::NotConnected => Ok(()),
            ended => ended,
        }
    }

    fn is_silent(&mut self) -> bool {
        matches!(self.stream.peek(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock)
    }
}
