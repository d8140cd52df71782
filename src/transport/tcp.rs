//! TCP: engines on other machines, and in virtual ones. The traffic is neither encrypted nor authenticated; see
//! [`tls`](super::tls).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::socket::{self, Socket};
use super::{Connect, Fault, Stream, resolve};
use crate::os::TIMED_OUT;
use crate::wait::{Stop, Wait};

/// How long one address is tried if the call has no time limit: the same as in Docker's client.
const LONGEST_TRY: Duration = Duration::from_secs(30);

/// The destination of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// A name, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Connects to a host and port.
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

/// Connects to the first address that accepts.
pub(super) fn dial(place: &Place, wait: Wait<'_>) -> Result<Socket, Fault> {
    let addresses = resolve::addresses(&place.host, place.port, wait)?;
    first(&addresses, wait)
}

/// Tries one address after the other, and divides the time among them: the first may not respond at all.
fn first(addresses: &[SocketAddr], wait: Wait<'_>) -> Result<Socket, Fault> {
    let mut failures = Vec::new();
    for (n, address) in addresses.iter().enumerate() {
        let others = u32::try_from(addresses.len() - n).unwrap_or(u32::MAX);
        let share = wait.left()?.map(|left| left / others);
        let longest = share.unwrap_or(LONGEST_TRY).min(LONGEST_TRY);
        match socket::connected(*address, wait.at_most(longest)) {
            Ok(socket) => return Ok(socket),
            Err(Fault::Io(error)) => failures.push((address, error)),
            Err(Fault::Stopped(Stop::Cancelled)) => return Err(Fault::Stopped(Stop::Cancelled)),
            Err(Fault::Stopped(Stop::TimedOut)) => {
                // The call's own time is up, or only this address's share of it.
                wait.left()?;
                failures.push((address, io::Error::from_raw_os_error(TIMED_OUT)));
            }
        }
    }
    Err(Fault::Io(all(failures)))
}

/// Combines several errors: the system's own error if they are alike.
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

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::transport::contract::{self, Peer, soon};

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

    #[cfg(unix)]
    #[test]
    fn requests_are_sent_at_once_and_a_lost_peer_is_noticed() {
        use rustix::net::sockopt;
        let (ours, _theirs) = ends();
        let socket = ours.descriptor();
        assert!(sockopt::tcp_nodelay(socket).unwrap());
        assert!(sockopt::socket_keepalive(socket).unwrap());
        assert_eq!(sockopt::tcp_keepidle(socket).unwrap(), socket::KEEP_ALIVE);
        let flags = rustix::io::fcntl_getfd(socket).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[test]
    fn the_next_address_is_tried_when_one_fails() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        // No server listens on the other loopback address.
        let mut gone = there;
        gone.set_ip("127.0.0.77".parse().unwrap());
        assert!(first(&[gone, there], soon()).is_ok());
        let Err(Fault::Io(error)) = first(&[gone, gone], soon()) else {
            panic!("somebody listens");
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    /// A listener whose queue is full, so that nothing responds.
    #[cfg(unix)]
    fn silent() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let at = listener.local_addr().unwrap();
        let queued = (0..3)
            .map_while(|_| TcpStream::connect_timeout(&at, Duration::from_millis(200)).ok())
            .collect();
        (listener, queued, at)
    }

    #[cfg(unix)]
    #[test]
    fn an_address_that_is_silent_takes_only_its_share_of_the_time() {
        use crate::cancel::Cancel;
        use crate::transport::contract::within;
        use std::time::Instant;
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
        // With unread data, closing it sends a reset.
        ours.write_all(b"unread", soon()).unwrap();
        drop(theirs);
        let failed = std::iter::repeat_with(|| ours.write_all(&[0; 1000], soon()))
            .take(1000)
            .find_map(Result::err);
        assert!(matches!(failed, Some(Fault::Io(_))), "{failed:?}");
    }
}
