//! TCP: engines on other machines, and in virtual ones. What goes over it is neither secret nor safe from changes; see
//! [`tls`](super::tls).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, sockopt};

use super::socket::{self, Socket};
use super::{Connect, Fault, Stream, resolve};
use crate::wait::{Stop, Wait};

/// The longest that one address is tried, where the call has no end of its own: as Docker's client does.
const LONGEST_TRY: Duration = Duration::from_secs(30);

/// A peer that has gone without a word (its machine lost power, a router forgot us) is noticed after about this long and
/// [`PROBES`] more intervals.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 6;

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// A name, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Connects to a place.
pub(crate) struct TcpConnector {
    place: Place,
    address: String,
}

impl TcpConnector {
    pub(crate) fn new(place: Place, address: String) -> Self {
        TcpConnector { place, address }
    }
}

impl Connect for TcpConnector {
    fn connect(&self, wait: Wait<'_>) -> Result<Box<dyn Stream>, Fault> {
        Ok(Box::new(dial(&self.place, wait)?))
    }

    fn address(&self) -> &str {
        &self.address
    }
}

/// A connection to the first address of the place that takes one.
pub(super) fn dial(place: &Place, wait: Wait<'_>) -> Result<Socket, Fault> {
    let addresses = resolve::addresses(&place.host, place.port, wait)?;
    first(&addresses, wait)
}

/// Tries one after the other, and shares the time out among them: the first may be one that nothing answers from.
fn first(addresses: &[SocketAddr], wait: Wait<'_>) -> Result<Socket, Fault> {
    let mut failures = Vec::new();
    for (n, address) in addresses.iter().enumerate() {
        let others = u32::try_from(addresses.len() - n).unwrap_or(u32::MAX);
        let share = wait.left()?.map(|left| left / others);
        let longest = share.unwrap_or(LONGEST_TRY).min(LONGEST_TRY);
        match attempt(*address, wait.at_most(longest)) {
            Ok(socket) => return Ok(socket),
            Err(Fault::Io(error)) => failures.push((address, error)),
            Err(Fault::Stopped(Stop::Cancelled)) => return Err(Fault::Stopped(Stop::Cancelled)),
            Err(Fault::Stopped(Stop::TimedOut)) => {
                // The call's own end, or only the end of this one's share.
                wait.left()?;
                failures.push((address, Errno::TIMEDOUT.into()));
            }
        }
    }
    Err(Fault::Io(all(failures)))
}

/// One error of several: the system's own where they are alike.
fn all(mut failures: Vec<(&SocketAddr, io::Error)>) -> io::Error {
    let Some((_, last)) = failures.pop() else {
        return io::ErrorKind::NotFound.into();
    };
    let is_same = |(_, error): &(_, io::Error)| error.raw_os_error() == last.raw_os_error();
    if failures.iter().all(is_same) {
        return last;
    }
    let mut text = String::new();
    for (address, error) in &failures {
        text.push_str(&format!("{address}: {error}; "));
    }
    io::Error::new(last.kind(), format!("{text}then {last}"))
}

fn attempt(address: SocketAddr, wait: Wait<'_>) -> Result<Socket, Fault> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket::open(family).map_err(io::Error::from)?;
    match net::connect(&socket, &address) {
        Ok(()) => {}
        // A signal does not end it either: it goes on.
        Err(Errno::INPROGRESS | Errno::INTR | Errno::AGAIN) => {
            use std::os::fd::AsFd;
            wait.ready(socket.as_fd(), PollFlags::OUT)?;
            let outcome = sockopt::socket_error(&socket).map_err(io::Error::from)?;
            outcome.map_err(io::Error::from)?;
        }
        Err(error) => return Err(Fault::Io(error.into())),
    }
    // Small requests wait for nothing; a failure to ask for this is none to talk.
    let _ = sockopt::set_tcp_nodelay(&socket, true);
    let _ = sockopt::set_socket_keepalive(&socket, true);
    let _ = sockopt::set_tcp_keepidle(&socket, KEEP_ALIVE);
    let _ = sockopt::set_tcp_keepintvl(&socket, INTERVAL);
    let _ = sockopt::set_tcp_keepcnt(&socket, PROBES);
    Ok(Socket::new(socket))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use super::*;
    use crate::cancel::Cancel;
    use crate::transport::contract::{self, Peer, soon, within};

    impl Peer for TcpStream {
        fn end(&mut self) {
            let _ = self.shutdown(std::net::Shutdown::Both);
        }
    }

    fn pair() -> (Box<dyn Stream>, Box<dyn Peer>) {
        let (ours, theirs) = ends();
        (Box::new(ours), Box::new(theirs))
    }

    fn ends() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ours = dial(&place("localhost", port), soon()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        (ours, theirs)
    }

    fn place(host: &str, port: u16) -> Place {
        let host = host.to_owned();
        Place { host, port }
    }

    contract::holds_for!(pair);

    #[test]
    fn requests_are_sent_at_once_and_a_lost_peer_is_noticed() {
        let (ours, _theirs) = ends();
        let socket = ours.descriptor();
        assert!(sockopt::tcp_nodelay(socket).unwrap());
        assert!(sockopt::socket_keepalive(socket).unwrap());
        assert_eq!(sockopt::tcp_keepidle(socket).unwrap(), KEEP_ALIVE);
        let flags = rustix::io::fcntl_getfd(socket).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[test]
    fn the_next_address_is_tried_when_one_fails() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        // Nobody listens on the other address of the loopback.
        let mut gone = there;
        gone.set_ip("127.0.0.77".parse().unwrap());
        assert!(first(&[gone, there], soon()).is_ok());
        let Err(Fault::Io(error)) = first(&[gone, gone], soon()) else {
            panic!("somebody listens");
        };
        assert_eq!(
            error.raw_os_error(),
            Some(Errno::CONNREFUSED.raw_os_error())
        );
    }

    /// A listener whose queue is full, so that nothing answers.
    fn silent() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        net::listen(&listener, 0).unwrap();
        let at = listener.local_addr().unwrap();
        let queued = (0..3)
            .map_while(|_| TcpStream::connect_timeout(&at, Duration::from_millis(200)).ok())
            .collect();
        (listener, queued, at)
    }

    #[test]
    fn an_address_that_is_silent_takes_only_its_share_of_the_time() {
        let (_listener, _queued, silent) = silent();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        let begun = Instant::now();
        assert!(first(&[silent, there], within(600)).is_ok());
        assert!(begun.elapsed() < Duration::from_millis(600));
        let begun = Instant::now();
        let ended = first(&[silent], within(100)).err();
        assert!(
            matches!(ended, Some(Fault::Stopped(Stop::TimedOut))),
            "{ended:?}"
        );
        assert!(begun.elapsed() >= Duration::from_millis(100));
        let cancel = Cancel::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                cancel.cancel();
            });
            let ended = first(&[silent], Wait::new(None, Some(&cancel))).err();
            assert!(matches!(ended, Some(Fault::Stopped(Stop::Cancelled))));
        });
    }

    #[test]
    fn a_peer_that_is_gone_is_an_error_and_no_signal() {
        let (mut ours, theirs) = ends();
        // With something unread, the end is a reset.
        ours.write_all(b"unread", soon()).unwrap();
        drop(theirs);
        let failed = std::iter::repeat_with(|| ours.write_all(&[0; 1000], soon()))
            .take(1000)
            .find_map(Result::err);
        assert!(matches!(failed, Some(Fault::Io(_))), "{failed:?}");
    }
}
