//! Unix sockets: the default of Docker and Podman on every system except Windows.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix};

use super::socket::{Socket, open};
use super::{Connect, Fault, Stream};
use crate::wait::Wait;

/// The pause between tries to connect to a socket whose queue is full: Linux has no event for free space in it.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Connects to the socket at a path.
pub(crate) struct UnixConnector {
    path: PathBuf,
    address: String,
}

impl UnixConnector {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let address = format!("unix://{}", path.display());
        UnixConnector { path, address }
    }
}

impl Connect for UnixConnector {
    fn connect(&self, wait: Wait<'_>) -> Result<Box<dyn Stream>, Fault> {
        let address = SocketAddrUnix::new(&self.path).map_err(io::Error::from)?;
        let socket = open(AddressFamily::UNIX).map_err(io::Error::from)?;
        let mut pause = FIRST_PAUSE;
        loop {
            wait.left()?;
            match net::connect(&socket, &address) {
                // `ISCONN`: a try that a signal seemed to interrupt had succeeded.
                Ok(()) | Err(Errno::ISCONN) => return Ok(Box::new(Socket::new(socket))),
                Err(Errno::INTR) => {}
                // The engine has not accepted the previous connections yet.
                Err(Errno::AGAIN) => {
                    wait.sleep(pause)?;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(Fault::Io(error.into())),
            }
        }
    }

    fn address(&self) -> &str {
        &self.address
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::cancel::Cancel;
    use crate::transport::contract::{self, Peer, fill, soon, within};
    use crate::wait::Stop;

    /// A directory of a test, which is removed at its end.
    struct Dir(PathBuf);

    impl Dir {
        fn new() -> Self {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("docker-store-unix-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).unwrap();
            Dir(path)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("socket")
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    impl Peer for UnixStream {
        fn end(&mut self) {
            end(self);
        }
    }

    /// Both ends of a connection: ours, and an engine's.
    fn ends() -> (Box<dyn Stream>, UnixStream) {
        let dir = Dir::new();
        let listener = UnixListener::bind(dir.socket()).unwrap();
        let ours = UnixConnector::new(dir.socket()).connect(soon()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        (ours, theirs)
    }

    fn pair() -> (Box<dyn Stream>, Box<dyn Peer>) {
        let (ours, theirs) = ends();
        (ours, Box::new(theirs))
    }

    contract::holds_for!(pair);

    fn failure(path: &Path) -> io::Error {
        match UnixConnector::new(path).connect(soon()).err() {
            Some(Fault::Io(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    /// Closes it for all copies: a process that another test is just starting has one briefly.
    fn end(socket: &impl std::os::fd::AsFd) {
        let _ = net::shutdown(socket, rustix::net::Shutdown::Both);
    }

    #[test]
    fn an_engine_that_is_not_there_is_the_systems_error() {
        let dir = Dir::new();
        assert_eq!(failure(&dir.socket()).kind(), io::ErrorKind::NotFound);
        let listener = UnixListener::bind(dir.socket()).unwrap();
        end(&listener);
        let refused = failure(&dir.socket());
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(refused.raw_os_error().is_some());
        failure(&dir.0.join("x".repeat(200)));
        failure(Path::new("/\0"));
        let connector = UnixConnector::new("/var/run/docker.sock");
        assert_eq!(connector.address(), "unix:///var/run/docker.sock");
    }

    #[test]
    fn a_full_queue_is_waited_for_and_not_longer_than_the_wait() {
        let dir = Dir::new();
        let listener = UnixListener::bind(dir.socket()).unwrap();
        net::listen(&listener, 1).unwrap();
        let connector = UnixConnector::new(dir.socket());
        let mut queued = Vec::new();
        let begun = loop {
            let begun = Instant::now();
            match connector.connect(within(100)) {
                Ok(stream) => queued.push(stream),
                Err(Fault::Stopped(Stop::TimedOut)) => break begun,
                // Systems without such a queue refuse the connection.
                Err(Fault::Io(_)) if cfg!(not(target_os = "linux")) => return,
                Err(fault) => panic!("{fault:?}"),
            }
            assert!(queued.len() < 100, "the queue never fills");
        };
        assert!(begun.elapsed() >= Duration::from_millis(100));
        thread::scope(|scope| {
            let connecting = scope.spawn(|| connector.connect(soon()).is_ok());
            thread::sleep(Duration::from_millis(20));
            let _first = listener.accept().unwrap();
            assert!(connecting.join().unwrap());
        });
    }

    #[test]
    fn a_cancel_ends_the_wait_for_a_full_queue() {
        let dir = Dir::new();
        let listener = UnixListener::bind(dir.socket()).unwrap();
        net::listen(&listener, 1).unwrap();
        let connector = UnixConnector::new(dir.socket());
        let cancel = Cancel::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(50));
                cancel.cancel();
            });
            let mut queued = Vec::new();
            loop {
                match connector.connect(Wait::new(None, Some(&cancel))) {
                    Ok(stream) => queued.push(stream),
                    Err(Fault::Stopped(Stop::Cancelled)) => break,
                    Err(Fault::Io(_)) if cfg!(not(target_os = "linux")) => break,
                    Err(fault) => panic!("{fault:?}"),
                }
                assert!(queued.len() < 100, "the queue never fills");
            }
        });
    }

    /// The whole suite can be run with SIGPIPE as in a C host, and then this test is killed if a flag is missing:
    /// `RUSTFLAGS=-Zon-broken-pipe=kill cargo +nightly test`.
    #[test]
    fn a_peer_that_is_gone_is_an_error_and_no_signal() {
        for part in [&[0][..], &[0; 1 << 20]] {
            let (mut ours, theirs) = ends();
            end(&theirs);
            let sent = ours.write_all(part, soon());
            assert!(
                matches!(sent, Err(Fault::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe)
            );
            let moved = ours.exchange(part, &mut [], soon());
            assert!(
                matches!(moved, Err(Fault::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe)
            );
            ours.close_write().unwrap();
        }
    }

    #[test]
    fn what_a_peer_said_before_it_closed_is_still_heard() {
        let (mut ours, mut theirs) = ends();
        fill(&mut *ours);
        theirs.write_all(b"no").unwrap();
        end(&theirs);
        let mut buffer = [0; 10];
        let moved = ours.exchange(b"more", &mut buffer, soon()).unwrap();
        assert_eq!((moved.sent, moved.received), (0, Some(2)));
        assert!(ours.exchange(b"more", &mut buffer, soon()).is_err());
        // It closed with unread data, which is a reset, reported once.
        let reset = ours.read(&mut buffer, soon());
        assert!(!matches!(reset, Ok(1..)), "{reset:?}");
    }

    #[test]
    fn a_socket_neither_blocks_nor_outlives_an_exec() {
        let socket = open(AddressFamily::UNIX).unwrap();
        let flags = rustix::io::fcntl_getfd(&socket).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        let flags = rustix::fs::fcntl_getfl(&socket).unwrap();
        assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
    }
}
