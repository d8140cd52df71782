//! Unix sockets: where Docker and Podman listen on every system but Windows.
//!
//! The socket never blocks. What waits is `poll`, on the socket and on the call's [`Cancel`](crate::Cancel), so that a deadline or
//! another thread can end any wait. Sends carry `MSG_NOSIGNAL`: a C host has not ignored SIGPIPE and must not die of
//! an engine that went away. (So no vectored writes either: std's have no such flag.)

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketType,
};

use super::{Connect, Fault, Moved, Stream};
use crate::local::opened;
use crate::process::Process;
use crate::wait::Wait;

/// Between tries to connect to a socket whose queue is full: Linux has no event for "there is room again".
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

#[cfg(not(target_vendor = "apple"))]
const SEND: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")] // There the socket itself is told: see `open`.
const SEND: SendFlags = SendFlags::empty();

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
        let socket = open().map_err(io::Error::from)?;
        let mut pause = FIRST_PAUSE;
        loop {
            wait.left()?;
            match net::connect(&socket, &address) {
                // `ISCONN`: a try that a signal seemed to end had succeeded.
                Ok(()) | Err(Errno::ISCONN) => {
                    return Ok(Box::new(UnixSocket {
                        socket,
                        process: Process::this(),
                        eager: false,
                    }));
                }
                Err(Errno::INTR) => {}
                // The engine has not accepted the connections before this one yet.
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

/// A stream socket that neither blocks, nor outlives an `exec`, nor raises SIGPIPE.
#[cfg(not(target_vendor = "apple"))]
fn open() -> rustix::io::Result<OwnedFd> {
    let flags = net::SocketFlags::NONBLOCK | net::SocketFlags::CLOEXEC;
    opened(|| net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None))
}

#[cfg(target_vendor = "apple")]
fn open() -> rustix::io::Result<OwnedFd> {
    let socket = opened(|| net::socket(AddressFamily::UNIX, SocketType::STREAM, None))?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    net::sockopt::set_socket_nosigpipe(&socket, true)?;
    Ok(socket)
}

/// A connection to the socket of an engine.
struct UnixSocket {
    socket: OwnedFd,
    /// Whose it is: what a forked child read would be missing to its parent.
    process: Process,
    /// The last receive filled its buffer, so more has most likely arrived: the next one asks without a poll.
    eager: bool,
}

impl UnixSocket {
    /// Sends what goes without waiting; `None` when nothing does.
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

    /// Reads what has arrived; `None` when nothing has, `Some(0)` at the end of the stream.
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
}

impl Stream for UnixSocket {
    fn read(&mut self, buffer: &mut [u8], wait: Wait<'_>) -> Result<usize, Fault> {
        // Asking before there is an answer would waste a call each time, so an ordinary read polls first.
        if self.eager {
            self.eager = false;
            wait.left()?;
            if let Some(received) = self.try_receive(buffer)? {
                return Ok(received);
            }
        }
        loop {
            wait.ready(self.socket.as_fd(), PollFlags::IN)?;
            if let Some(received) = self.try_receive(buffer)? {
                return Ok(received);
            }
        }
    }

    fn read_beside(
        &mut self,
        buffer: &mut [u8],
        other: BorrowedFd<'_>,
        wait: Wait<'_>,
    ) -> Result<Option<usize>, Fault> {
        self.eager = false;
        loop {
            let socket = (self.socket.as_fd(), PollFlags::IN);
            let [ours, theirs] = wait.ready_of([socket, (other, PollFlags::IN)])?;
            if !ours.is_empty() {
                if let Some(received) = self.try_receive(buffer)? {
                    return Ok(Some(received));
                }
            }
            if !theirs.is_empty() {
                return Ok(None);
            }
        }
    }

    fn write_all(&mut self, mut bytes: &[u8], wait: Wait<'_>) -> Result<(), Fault> {
        wait.left()?;
        while !bytes.is_empty() {
            match self.try_send(bytes)? {
                Some(sent) => bytes = &bytes[sent..],
                None => {
                    wait.ready(self.socket.as_fd(), PollFlags::OUT)?;
                }
            }
        }
        Ok(())
    }

    fn exchange(&mut self, out: &[u8], buffer: &mut [u8], wait: Wait<'_>) -> Result<Moved, Fault> {
        if out.is_empty() {
            let received = match buffer {
                [] => None,
                _ => Some(self.read(buffer, wait)?),
            };
            return Ok(Moved { sent: 0, received });
        }
        wait.left()?;
        let mut wanted = PollFlags::OUT;
        wanted.set(PollFlags::IN, !buffer.is_empty());
        // The first time round, try both: neither a peer that takes everything nor one that talks without end may
        // keep the other direction from being seen.
        let mut ready_for = wanted;
        loop {
            let sent = match ready_for.intersects(PollFlags::OUT) {
                true => self.try_send(out).transpose(),
                false => None,
            };
            let received = match ready_for.intersects(PollFlags::IN) {
                true => self.try_receive(buffer)?,
                false => None,
            };
            match (sent, received) {
                (None, None) => {}
                // What has arrived may say why nothing more can be sent.
                (Some(Err(_)), Some(1..)) => return Ok(Moved { sent: 0, received }),
                (Some(Err(error)), _) => return Err(Fault::Io(error)),
                (Some(Ok(sent)), _) => return Ok(Moved { sent, received }),
                (None, Some(_)) => return Ok(Moved { sent: 0, received }),
            }
            ready_for = wait.ready(self.socket.as_fd(), wanted)?;
            if ready_for.intersects(PollFlags::HUP | PollFlags::ERR) {
                ready_for = wanted;
            }
        }
    }

    fn close_write(&mut self) -> Result<(), Fault> {
        self.process.check()?;
        match net::shutdown(&self.socket, Shutdown::Write) {
            // Nobody is left to be told.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(error) => Err(Fault::Io(error.into())),
        }
    }

    fn is_quiet(&mut self) -> bool {
        loop {
            match net::recv(&self.socket, &mut [0; 1], RecvFlags::PEEK) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::cancel::Cancel;
    use crate::wait::Stop;

    /// A directory of a test's own, gone when the test is over.
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

    fn soon() -> Wait<'static> {
        within(20_000)
    }

    fn within(milliseconds: u64) -> Wait<'static> {
        Wait::unbounded().at_most(Duration::from_millis(milliseconds))
    }

    /// Both ends of a connection: ours, and an engine's.
    fn pair() -> (Box<dyn Stream>, UnixStream) {
        let dir = Dir::new();
        let listener = UnixListener::bind(dir.socket()).unwrap();
        let ours = UnixConnector::new(dir.socket()).connect(soon()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        (ours, theirs)
    }

    fn failure(path: &Path) -> io::Error {
        match UnixConnector::new(path).connect(soon()).err() {
            Some(Fault::Io(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    /// Sends until no more goes.
    fn fill(stream: &mut dyn Stream) {
        let sent = stream.write_all(&vec![0; 64 << 20], within(50));
        assert!(matches!(sent, Err(Fault::Stopped(Stop::TimedOut))));
    }

    #[test]
    fn bytes_go_both_ways() {
        let (mut ours, mut theirs) = pair();
        ours.write_all(b"question", soon()).unwrap();
        let mut buffer = [0; 8];
        theirs.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"question");
        theirs.write_all(b"answer").unwrap();
        // Smaller than what is there, the same size, and the rest after that.
        for expected in [&b"ans"[..], b"wer"] {
            let n = ours.read(&mut buffer[..3], soon()).unwrap();
            assert_eq!(&buffer[..n], expected);
        }
        theirs.write_all(b"!").unwrap();
        assert_eq!(ours.read(&mut buffer, soon()).unwrap(), 1);
        end(&theirs);
        assert_eq!(ours.read(&mut buffer, soon()).unwrap(), 0);
        assert_eq!(ours.read(&mut buffer, soon()).unwrap(), 0);
    }

    /// Ends it for all who have a copy: a process that another test is starting has one for a moment.
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
                // Systems without such a queue refuse.
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

    type Waiting = fn(&mut dyn Stream, Wait<'_>) -> Option<Fault>;

    /// Every way to wait on a peer that neither takes nor sends anything.
    const WAITS: [(&str, Waiting); 5] = [
        ("read", |ours, wait| ours.read(&mut [0], wait).err()),
        ("write", |ours, wait| ours.write_all(&[0], wait).err()),
        ("both", |ours, wait| {
            ours.exchange(&[0], &mut [0], wait).err()
        }),
        ("in", |ours, wait| ours.exchange(&[], &mut [0], wait).err()),
        ("out", |ours, wait| ours.exchange(&[0], &mut [], wait).err()),
    ];

    #[test]
    fn a_deadline_ends_every_wait_and_none_before_it() {
        let (mut ours, _theirs) = pair();
        fill(&mut *ours);
        for (name, waiting) in WAITS {
            for cancel in [None, Some(&Cancel::new())] {
                let begun = Instant::now();
                let deadline = begun + Duration::from_millis(60);
                let fault = waiting(&mut *ours, Wait::new(Some(deadline), cancel));
                let took = begun.elapsed();
                assert!(
                    matches!(fault, Some(Fault::Stopped(Stop::TimedOut))),
                    "{name}"
                );
                assert!(took >= Duration::from_millis(60), "{name}: {took:?}");
                assert!(took < Duration::from_millis(500), "{name}: {took:?}");
            }
        }
    }

    #[test]
    fn a_cancel_wakes_every_wait_of_every_thread_at_once() {
        let cancel = Cancel::new();
        let peers: Vec<_> = WAITS.iter().map(|_| pair()).collect();
        thread::scope(|scope| {
            let waits: Vec<_> = WAITS
                .into_iter()
                .zip(peers)
                .map(|((name, waiting), (mut ours, theirs))| {
                    let cancel = &cancel;
                    scope.spawn(move || {
                        fill(&mut *ours);
                        let fault = waiting(&mut *ours, Wait::new(None, Some(cancel)));
                        assert!(
                            matches!(fault, Some(Fault::Stopped(Stop::Cancelled))),
                            "{name}"
                        );
                        // And for good: the next one does not even begin.
                        let fault = waiting(&mut *ours, Wait::new(None, Some(cancel)));
                        assert!(
                            matches!(fault, Some(Fault::Stopped(Stop::Cancelled))),
                            "{name}"
                        );
                        end(&theirs);
                        Instant::now()
                    })
                })
                .collect();
            thread::sleep(Duration::from_millis(200));
            let cancelled = Instant::now();
            cancel.cancel();
            for wait in waits {
                let took = wait.join().unwrap().duration_since(cancelled);
                assert!(took < Duration::from_millis(100), "{took:?}");
            }
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

    /// The whole suite can be run with SIGPIPE as a C host has it, and then this test is the one that dies of a
    /// forgotten flag: `RUSTFLAGS=-Zon-broken-pipe=kill cargo +nightly test`.
    #[test]
    fn a_peer_that_is_gone_is_an_error_and_no_signal() {
        for part in [&[0][..], &[0; 1 << 20]] {
            let (mut ours, theirs) = pair();
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
        let (mut ours, mut theirs) = pair();
        fill(&mut *ours);
        theirs.write_all(b"no").unwrap();
        end(&theirs);
        let mut buffer = [0; 10];
        let moved = ours.exchange(b"more", &mut buffer, soon()).unwrap();
        assert_eq!((moved.sent, moved.received), (0, Some(2)));
        assert!(ours.exchange(b"more", &mut buffer, soon()).is_err());
        // It closed with our bytes unread, which is a reset, and once.
        let reset = ours.read(&mut buffer, soon());
        assert!(!matches!(reset, Ok(1..)), "{reset:?}");
    }

    #[test]
    fn two_sides_that_both_send_first_do_not_wait_for_each_other() {
        const SIZE: usize = 8 << 20;
        let (mut ours, mut theirs) = pair();
        let peer = thread::spawn(move || {
            theirs.write_all(&vec![1; SIZE]).unwrap();
            let mut received = Vec::new();
            theirs.read_to_end(&mut received).unwrap();
            received.len()
        });
        let mut out = &vec![2; SIZE][..];
        let mut buffer = vec![0; 100_000];
        let mut received = 0;
        while !out.is_empty() || received < SIZE {
            let moved = ours.exchange(out, &mut buffer, soon()).unwrap();
            out = &out[moved.sent..];
            received += moved.received.unwrap_or(0);
            assert!(moved.sent > 0 || moved.received.is_some());
        }
        ours.close_write().unwrap();
        assert_eq!(peer.join().unwrap(), SIZE);
        assert_eq!(ours.read(&mut buffer, soon()).unwrap(), 0);
        let nothing = ours.exchange(&[], &mut [], soon()).unwrap();
        assert_eq!((nothing.sent, nothing.received), (0, None));
    }

    #[test]
    fn the_end_of_what_we_send_is_not_the_end_of_what_we_hear() {
        let (mut ours, mut theirs) = pair();
        ours.write_all(b"all", soon()).unwrap();
        ours.close_write().unwrap();
        let mut received = String::new();
        theirs.read_to_string(&mut received).unwrap();
        assert_eq!(received, "all");
        theirs.write_all(b"done").unwrap();
        let mut buffer = [0; 10];
        assert_eq!(ours.read(&mut buffer, soon()).unwrap(), 4);
    }

    #[test]
    fn a_connection_is_quiet_until_the_peer_speaks_or_goes() {
        let (mut ours, mut theirs) = pair();
        assert!(ours.is_quiet());
        theirs.write_all(b"x").unwrap();
        assert!(!ours.is_quiet());
        // To look is not to take.
        assert_eq!(ours.read(&mut [0; 10], soon()).unwrap(), 1);
        assert!(ours.is_quiet());
        end(&theirs);
        assert!(!ours.is_quiet());
    }

    #[test]
    fn a_socket_neither_blocks_nor_outlives_an_exec() {
        let socket = open().unwrap();
        let flags = rustix::io::fcntl_getfd(&socket).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        let flags = rustix::fs::fcntl_getfl(&socket).unwrap();
        assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
    }
}
