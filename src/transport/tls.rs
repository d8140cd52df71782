//! TLS over TCP: rustls as a state machine over the same socket and the same waits as everything else.
//!
//! It uses no thread and never blocks by itself: bytes from the socket are fed to it, and its output is sent whenever the
//! stream is waited for. So tickets, key updates and alerts are handled along the way, and an idle connection counts as quiet
//! although a server has sent it tickets.

use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::polled::Polled;
use super::socket::Socket;
use super::tcp::{self, Place};
use super::trust::Trust;
use super::{Connect, Fault, Stream, verify};
use crate::os::{PollFlags, Watched};
use crate::process::Process;
use crate::wait::Wait;

/// The buffer size for receiving: several records.
const PIECE: usize = 64 << 10;

/// Connects to a host and port, and verifies the server's certificate.
pub(crate) struct TlsConnector {
    place: Place,
    address: String,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl TlsConnector {
    /// Or the reason why that is impossible: for example, a certificate that cannot be read.
    pub(crate) fn new(place: Place, address: String, trust: &Trust) -> Result<Self, String> {
        let name = ServerName::try_from(place.host.clone())
            .map_err(|_| format!("the name {:?} cannot be in a certificate", place.host))?;
        let config = verify::config(trust)?;
        Ok(TlsConnector {
            place,
            address,
            name,
            config,
        })
    }
}

impl Connect for TlsConnector {
    fn connect(&self, wait: Wait<'_>) -> Result<Box<dyn Stream>, Fault> {
        let socket = tcp::dial(&self.place, wait)?;
        let session = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        let mut stream = TlsStream {
            socket,
            session: session.map_err(io::Error::other)?,
            arrived: Vec::new(),
            start: 0,
            end: 0,
            heard: false,
            ended: false,
            process: Process::this(),
        };
        stream.shake_hands(wait)?;
        Ok(Box::new(stream))
    }

    fn address(&self) -> &str {
        &self.address
    }
}

struct TlsStream {
    socket: Socket,
    session: ClientConnection,
    /// Data from the socket that the session has not consumed yet.
    arrived: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether the engine has sent any data: a later error is not about the client's certificate.
    heard: bool,
    /// Whether the end of the outgoing data was sent.
    ended: bool,
    process: Process,
}

/// The outcome of reading from the socket.
enum Pulled {
    Nothing,
    Some,
    End,
}

impl TlsStream {
    fn shake_hands(&mut self, wait: Wait<'_>) -> Result<(), Fault> {
        loop {
            let flushed = self.push()?;
            if !self.session.is_handshaking() {
                if flushed {
                    return Ok(());
                }
            } else if self.feed()? {
                continue;
            } else {
                match self.pull()? {
                    Pulled::Some => continue,
                    Pulled::End => {
                        return Err(Fault::Io(io::Error::new(
                            io::ErrorKind::UnexpectedEof,
                            "the connection was closed in the middle of the TLS handshake",
                        )));
                    }
                    Pulled::Nothing => {}
                }
            }
            let mut events = PollFlags::IN;
            events.set(PollFlags::OUT, !flushed);
            self.socket.ready(events, None, wait)?;
        }
    }

    /// Sends the session's output; returns `false` while some of it is left.
    fn push(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Outlet(&mut self.socket)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(self.why_not_sent(error)),
            }
        }
        Ok(true)
    }

    /// A peer that accepts no more may have sent the reason.
    fn why_not_sent(&mut self, error: io::Error) -> io::Error {
        loop {
            match self.feed() {
                Ok(true) => continue,
                Ok(false) => {}
                Err(why) => return why,
            }
            // Unread data must not grow without limit.
            let full = matches!(self.session.reader().fill_buf(), Ok(bytes) if !bytes.is_empty());
            if full || !matches!(self.pull(), Ok(Pulled::Some)) {
                return error;
            }
        }
    }

    /// Reads from the socket; only after the session has consumed all earlier data.
    fn pull(&mut self) -> io::Result<Pulled> {
        if self.arrived.is_empty() {
            self.arrived.resize(PIECE, 0);
        }
        match self.socket.try_receive(&mut self.arrived)? {
            None => Ok(Pulled::Nothing),
            Some(0) => {
                self.session.read_tls(&mut io::empty())?;
                Ok(Pulled::End)
            }
            Some(n) => {
                (self.start, self.end) = (0, n);
                Ok(Pulled::Some)
            }
        }
    }

    /// Feeds the session a part of what has arrived; returns `false` if there is nothing.
    fn feed(&mut self) -> io::Result<bool> {
        if self.start == self.end {
            return Ok(false);
        }
        let mut rest = &self.arrived[self.start..self.end];
        self.start += self.session.read_tls(&mut rest)?;
        match self.session.process_new_packets() {
            Ok(_) => Ok(true),
            Err(error) => {
                // Sends the reason to the peer, if possible.
                let _ = self.session.write_tls(&mut Outlet(&mut self.socket));
                let kind = match self.heard {
                    false => io::ErrorKind::ConnectionRefused,
                    true => io::ErrorKind::InvalidData,
                };
                Err(io::Error::new(kind, verify::explain(&error)))
            }
        }
    }
}

impl Polled for TlsStream {
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        self.process.check()?;
        // Only then: otherwise unsent data would grow without limit if the peer does not read.
        if !self.push()? {
            return Ok(None);
        }
        let taken = self.session.writer().write(bytes)?;
        // If it could not be sent, the next call reports that; these bytes were accepted.
        let _ = self.push();
        Ok(Some(taken))
    }

    fn try_receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.process.check()?;
        loop {
            match self.session.reader().read(buffer) {
                Ok(n) => {
                    self.heard |= n > 0;
                    return Ok(Some(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    let why =
                        "the connection was interrupted: it ended without the end marker of TLS";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
                }
                Err(error) => return Err(error),
            }
            if !self.feed()? {
                match self.pull()? {
                    Pulled::Nothing => return Ok(None),
                    Pulled::Some | Pulled::End => {}
                }
            }
        }
    }

    fn is_eager(&mut self) -> bool {
        let waits = |reader: io::Result<&[u8]>| match reader {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        self.start < self.end || self.socket.is_eager() || waits(self.session.reader().fill_buf())
    }

    fn ready(
        &mut self,
        events: PollFlags,
        other: Option<Watched<'_>>,
        wait: Wait<'_>,
    ) -> Result<[PollFlags; 2], Fault> {
        loop {
            let holds = self.session.wants_write();
            let mut wanted = events;
            wanted.set(PollFlags::OUT, holds || events.contains(PollFlags::OUT));
            let [ours, theirs] = self.socket.ready(wanted, other, wait)?;
            if holds && ours.contains(PollFlags::OUT) {
                // Incoming data may still contain the reason.
                if let Err(error) = self.push() {
                    if !events.contains(PollFlags::IN) {
                        return Err(Fault::Io(error));
                    }
                    return Ok([events, theirs]);
                }
            }
            let asked = events | PollFlags::HUP | PollFlags::ERR;
            if ours.intersects(asked) || !theirs.is_empty() {
                return Ok([ours, theirs]);
            }
        }
    }

    fn flush(&mut self, wait: Wait<'_>) -> Result<(), Fault> {
        while !self.push()? {
            self.ready(PollFlags::OUT, None, wait)?;
        }
        Ok(())
    }

    fn end_sending(&mut self) -> io::Result<()> {
        self.process.check()?;
        if !self.ended {
            self.ended = true;
            self.session.send_close_notify();
        }
        // The rest is sent while the response is waited for; after that, no one needs the error.
        let _ = self.push();
        Ok(())
    }

    fn is_silent(&mut self) -> bool {
        if !self.process.is_this() {
            return false;
        }
        loop {
            match self.session.reader().fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => return false,
            }
            match self.feed() {
                Ok(true) => continue,
                Ok(false) => {}
                Err(_) => return false,
            }
            match self.pull() {
                // A key update requires a response.
                Ok(Pulled::Nothing) => return self.push().is_ok(),
                Ok(Pulled::Some) => {}
                Ok(Pulled::End) | Err(_) => return false,
            }
        }
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        if self.process.is_this() && !self.session.is_handshaking() {
            let _ = self.end_sending();
        }
    }
}

/// The socket in the form that the session needs.
struct Outlet<'a>(&'a mut Socket);

impl Write for Outlet<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .try_send(bytes)?
            .ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;
    use crate::transport::contract::{self, Peer, soon};
    use crate::transport::trust::Pem;

    type Server = StreamOwned<ServerConnection, TcpStream>;

    impl Peer for Server {
        fn end(&mut self) {
            self.conn.send_close_notify();
            let _ = self.conn.complete_io(&mut self.sock);
            let _ = self.sock.shutdown(std::net::Shutdown::Both);
        }
    }

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn server(authority: &CertifiedIssuer<'_, KeyPair>) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([String::from("localhost")]).unwrap();
        let certificate = params.signed_by(&key, authority).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }

    /// A connection, and what a peer did on its end of it.
    fn between<T: Send>(
        serve: impl FnOnce(TcpStream, Arc<ServerConfig>) -> T + Send,
        trust: impl FnOnce(String) -> Trust,
    ) -> (Result<Box<dyn Stream>, Fault>, T) {
        let authority = authority();
        let config = server(&authority);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = Place {
            host: String::from("localhost"),
            port: listener.local_addr().unwrap().port(),
        };
        let trust = trust(authority.pem());
        thread::scope(|scope| {
            let peer = scope.spawn(|| serve(listener.accept().unwrap().0, config));
            let connector = TlsConnector::new(place, String::from("tcp://x"), &trust).unwrap();
            (connector.connect(soon()), peer.join().unwrap())
        })
    }

    fn believing(ca: String) -> Trust {
        let content = ca.into_bytes();
        let name = String::from("ca.pem");
        Trust {
            ca: Some(Pem { name, content }),
            ..Trust::default()
        }
    }

    fn handshake(socket: TcpStream, config: Arc<ServerConfig>) -> Server {
        let mut server = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
        while server.conn.is_handshaking() {
            server.conn.complete_io(&mut server.sock).unwrap();
        }
        // The tickets of TLS 1.3 are sent with that, or are still to be sent.
        while server.conn.wants_write() {
            server.conn.complete_io(&mut server.sock).unwrap();
        }
        server
    }

    fn ends() -> (Box<dyn Stream>, Server) {
        let (ours, theirs) = between(handshake, believing);
        (ours.unwrap(), theirs)
    }

    fn pair() -> (Box<dyn Stream>, Box<dyn Peer>) {
        let (ours, theirs) = ends();
        (ours, Box::new(theirs))
    }

    contract::holds_for!(pair);

    #[test]
    fn an_end_without_the_end_of_tls_is_no_end() {
        let (mut ours, mut theirs) = ends();
        theirs.write_all(b"half").unwrap();
        let _ = theirs.sock.shutdown(std::net::Shutdown::Both);
        let mut buffer = [0; 10];
        assert_eq!(ours.read(&mut buffer, soon()).unwrap(), 4);
        for _ in 0..2 {
            match ours.read(&mut buffer, soon()) {
                Err(Fault::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof),
                other => panic!("{other:?}"),
            }
        }
        assert!(!ours.is_quiet());
    }

    #[test]
    fn tickets_do_not_make_a_connection_speak() {
        let (mut ours, mut theirs) = ends();
        assert_eq!(
            theirs.conn.protocol_version(),
            Some(rustls::ProtocolVersion::TLSv1_3)
        );
        for _ in 0..3 {
            thread::sleep(std::time::Duration::from_millis(20));
            assert!(ours.is_quiet());
            // Nor does a key update, which requires a response.
            theirs.conn.refresh_traffic_keys().unwrap();
            theirs.conn.complete_io(&mut theirs.sock).unwrap();
        }
        ours.write_all(b"x", soon()).unwrap();
        theirs.read_exact(&mut [0; 1]).unwrap();
    }

    #[test]
    fn a_peer_that_goes_in_the_handshake_is_an_error_that_says_so() {
        for first in [&b""[..], b"HTTP/1.1 400 Bad Request\r\n\r\n"] {
            let (ours, ()) = between(
                |mut socket, _| {
                    socket.read_exact(&mut [0; 10]).unwrap();
                    socket.write_all(first).unwrap();
                    let _ = socket.shutdown(std::net::Shutdown::Write);
                    // Without unread data, because closing it would otherwise send a reset.
                    let _ = socket.read_to_end(&mut Vec::new());
                },
                believing,
            );
            let Err(Fault::Io(error)) = ours else {
                panic!("a connection")
            };
            let says = match first {
                [] => "handshake",
                _ => "does not speak TLS",
            };
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn a_silent_peer_holds_the_handshake_no_longer_than_the_wait() {
        let authority = authority();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = Place {
            host: String::from("127.0.0.1"),
            port: listener.local_addr().unwrap().port(),
        };
        let trust = believing(authority.pem());
        let connector = TlsConnector::new(place, String::from("tcp://x"), &trust).unwrap();
        let begun = std::time::Instant::now();
        let ended = connector.connect(contract::within(60)).err();
        assert!(matches!(
            ended,
            Some(Fault::Stopped(crate::wait::Stop::TimedOut))
        ));
        assert!(begun.elapsed() < std::time::Duration::from_millis(1000));
    }

    #[test]
    fn anybody_is_believed_only_where_that_was_said() {
        let nobody = |_| believing(authority().pem());
        let refusing = |socket: TcpStream, config| {
            let mut server = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
            let _ = server.read(&mut [0; 1]);
        };
        let Err(Fault::Io(error)) = between(refusing, nobody).0 else {
            panic!("a stranger was believed")
        };
        assert!(
            error.to_string().contains("not signed by a trusted CA"),
            "{error}"
        );
        let anybody = |_| Trust {
            anybody: true,
            ..Trust::default()
        };
        assert!(between(handshake, anybody).0.is_ok());
    }
}
