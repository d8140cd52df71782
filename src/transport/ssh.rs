//! ssh: the user's own `ssh`, which runs `docker system dial-stdio` on the engine's host and so connects to its socket. Keys,
//! names, jump hosts and everything else come from `~/.ssh/config` and the agent, as for Docker's own client (docker/cli,
//! `connhelper`).
//!
//! Each connection is a child process whose input and output are one end of a socket pair. So it is read, written, waited for
//! and half-closed like any other socket, and a child that has exited causes EPIPE and no signal.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::{self, RecvFlags};

use super::account::Account;
use super::children::{Child, Children};
use super::polled::Polled;
use super::socket::{self, Socket};
use super::{Connect, Fault, Stream};
use crate::local::aside;
use crate::os::{PollFlags, Watched};
use crate::process::Process;
use crate::wait::Wait;

/// How long a child that has closed its output may take to exit, and to report the reason. It exits within milliseconds.
/// Without its exit status the error says less, which is not worth a longer wait.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How much of its error output is kept: the end of it. The reason is at the end, and an error shows no more than this.
const SAID: usize = 4 << 10;

/// Connects through `ssh`.
pub(crate) struct SshConnector {
    arguments: Vec<OsString>,
    address: String,
    /// Whether it may prompt at the terminal.
    asks: bool,
    children: Arc<Children>,
}

impl SshConnector {
    pub(crate) fn new(account: &Account, address: String, asks: bool) -> Self {
        SshConnector {
            arguments: arguments(account, asks),
            address,
            asks,
            children: Arc::default(),
        }
    }
}

/// In the order of the docker command, which appends its own after these two.
fn arguments(account: &Account, asks: bool) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    if !asks {
        // No prompt for a password, a pass phrase, or a host key: there may be no user, and the terminal belongs to the host.
        arguments.push("-oBatchMode=yes".into());
    }
    // If the user shares connections: the shared one is then a separate process, and not a child of this process that would
    // outlive, or end, all others.
    arguments.push("-oControlPersist=60".into());
    if let Some(user) = &account.user {
        arguments.extend(["-l".into(), user.into()]);
    }
    if let Some(port) = account.port {
        arguments.extend(["-p".into(), port.to_string().into()]);
    }
    arguments.extend(["-oConnectTimeout=30", "-T", "--"].map(OsString::from));
    arguments.push((&account.host).into());
    arguments.push(match &account.socket {
        None => "docker system dial-stdio".into(),
        Some(path) => {
            let host = quoted(&format!("--host=unix://{path}"));
            format!("docker {host} system dial-stdio").into()
        }
    });
    arguments
}

/// Quotes a word of a POSIX shell command: a shell parses it on the other end.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    match word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

impl Connect for SshConnector {
    fn connect(&self, wait: Wait<'_>) -> Result<Box<dyn Stream>, Fault> {
        wait.left()?;
        let (ours, theirs) = socket::pair().map_err(io::Error::from)?;
        let (errors, their_errors) = socket::pair().map_err(io::Error::from)?;
        let mut command = Command::new("ssh");
        command
            .args(&self.arguments)
            .stdin(Stdio::from(theirs.try_clone()?))
            .stdout(Stdio::from(theirs))
            .stderr(Stdio::from(their_errors));
        if !self.asks {
            // A session of its own: neither it nor the programs it starts can prompt at the terminal, and a Ctrl-C there does
            // not interrupt a call.
            let alone = || Ok(rustix::process::setsid().map(drop)?);
            #[allow(unsafe_code)]
            // SAFETY: runs in the child between fork and exec, where only async-signal-safe functions may be called: `setsid`
            // is one, and the closure neither allocates nor locks.
            unsafe {
                command.pre_exec(alone)
            };
        }
        let child = aside(|| command.spawn()).map_err(|error| {
            io::Error::new(error.kind(), format!("starting the program `ssh`: {error}"))
        })?;
        // It holds the child's ends, which would hide that the child has closed them.
        drop(command);
        Ok(Box::new(SshStream {
            socket: Socket::new(ours),
            child: Some(Child::new(child)),
            children: Arc::clone(&self.children),
            errors: Some(errors),
            said: Vec::new(),
            heard: false,
            process: Process::this(),
        }))
    }

    fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for SshConnector {
    fn drop(&mut self) {
        self.children.finish();
    }
}

struct SshStream {
    socket: Socket,
    /// Set until `drop` hands it over to be waited for.
    child: Option<Child>,
    children: Arc<Children>,
    /// Its error output, until that ends.
    errors: Option<OwnedFd>,
    said: Vec<u8>,
    /// Whether anything has arrived from the engine's end.
    heard: bool,
    process: Process,
}

impl SshStream {
    /// Reads its error output: a child whose output is not read would block.
    fn listen(&mut self) {
        let mut buffer = [0; 1024];
        while let Some(errors) = &self.errors {
            match net::recv(errors, &mut buffer[..], RecvFlags::empty()) {
                Ok((n, _)) if n > 0 => self.said.extend_from_slice(&buffer[..n]),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                _ => self.errors = None,
            }
            if self.said.len() > 2 * SAID {
                self.said.drain(..self.said.len() - SAID);
            }
        }
    }

    /// Waits briefly for the child to exit, and reads its error output before.
    fn end(&mut self) -> Option<ExitStatus> {
        let until = Instant::now() + LAST_WORDS;
        let mut pause = Duration::from_millis(1);
        loop {
            let child = self.child.as_mut()?;
            let ended = child.ended();
            self.listen();
            if ended || Instant::now() > until {
                return self.child.as_ref()?.status();
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Interprets its exit: a clean end of the stream, or the reason why it failed.
    fn closed(&mut self, error: Option<io::Error>) -> io::Result<usize> {
        let status = self.end();
        let is_good = status.is_none_or(|status| status.success());
        let said = String::from_utf8_lossy(&self.said);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        // A child that reports an error before the first response has not connected, whatever its status, which may be unknown.
        if is_good && (self.heard || said.is_empty()) {
            return error.map_or(Ok(0), Err);
        }
        let how = match status {
            Some(status) => format!("ssh ended with {status}"),
            None => String::from("ssh ended"),
        };
        let why = match said.is_empty() {
            true => how,
            false => format!("{how}: {said}"),
        };
        let kind = match self.heard {
            false => io::ErrorKind::ConnectionRefused,
            true => io::ErrorKind::ConnectionReset,
        };
        Err(io::Error::new(kind, why))
    }
}

impl Polled for SshStream {
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match self.socket.try_send(bytes) {
            Err(error) if self.process.is_this() => match self.closed(Some(error)) {
                Ok(_) => Err(io::ErrorKind::BrokenPipe.into()),
                Err(error) => Err(error),
            },
            sent => sent,
        }
    }

    fn try_receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.socket.try_receive(buffer) {
            Ok(Some(0)) => self.closed(None).map(Some),
            Err(error) if self.process.is_this() => self.closed(Some(error)).map(Some),
            received => {
                self.heard |= matches!(received, Ok(Some(_)));
                received
            }
        }
    }

    fn is_eager(&mut self) -> bool {
        self.socket.is_eager()
    }

    fn ready(
        &mut self,
        events: PollFlags,
        other: Option<Watched<'_>>,
        wait: Wait<'_>,
    ) -> Result<[PollFlags; 2], Fault> {
        loop {
            let Some(errors) = &self.errors else {
                return self.socket.ready(events, other, wait);
            };
            let socket = (self.socket.descriptor(), events);
            let errors = (errors.as_fd(), PollFlags::IN);
            let [ours, said, theirs] = match other {
                Some(other) => wait.ready_of([socket, errors, (other, PollFlags::IN)])?,
                None => {
                    let [ours, said] = wait.ready_of([socket, errors])?;
                    [ours, said, PollFlags::empty()]
                }
            };
            if !said.is_empty() {
                self.listen();
            }
            if !ours.is_empty() || !theirs.is_empty() {
                return Ok([ours, theirs]);
            }
        }
    }

    fn end_sending(&mut self) -> io::Result<()> {
        self.socket.end_sending()
    }

    fn is_silent(&mut self) -> bool {
        self.listen();
        self.socket.is_silent()
    }
}

impl Drop for SshStream {
    fn drop(&mut self) {
        let Some(child) = self.child.take() else {
            return;
        };
        // A copy in a forked child of the host must not keep it open, and that child's own drop must do nothing.
        self.socket.end();
        if self.process.is_this() {
            self.children.part_with(child);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            user: None,
            host: String::from("far"),
            port: None,
            socket: None,
        }
    }

    fn words(account: &Account, asks: bool) -> Vec<String> {
        let words = arguments(account, asks).into_iter();
        words.map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn ssh_is_asked_as_docker_asks_it_and_asks_nobody() {
        let common = ["-oConnectTimeout=30", "-T", "--", "far"];
        let plain = words(&account(), false);
        assert_eq!(plain[..2], ["-oBatchMode=yes", "-oControlPersist=60"]);
        assert_eq!(plain[2..6], common);
        assert_eq!(plain[6..], ["docker system dial-stdio"]);
        let full = Account {
            user: Some(String::from("me")),
            port: Some(2222),
            socket: Some(String::from("/run/it's here/docker.sock")),
            ..account()
        };
        let full = words(&full, true);
        assert_eq!(full[..5], ["-oControlPersist=60", "-l", "me", "-p", "2222"]);
        assert_eq!(full[5..9], common);
        let command = r"docker '--host=unix:///run/it'\''s here/docker.sock' system dial-stdio";
        assert_eq!(full[9..], [command]);
    }
}
