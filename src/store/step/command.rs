//! [`Command`]: what to run in a step, and in what surroundings.

use std::path::PathBuf;
use std::time::Duration;

use crate::store::cache::Lease;

/// A command and its surroundings. Whatever is set here ends with the command: the result keeps its base's configuration.
#[derive(Clone, Debug, Default)]
pub struct Command {
    pub(crate) argv: Vec<String>,
    pub(crate) entrypoint: Entrypoint,
    pub(crate) cwd: Option<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) user: Option<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) network: Option<String>,
    pub(crate) nano_cpus: Option<i64>,
    pub(crate) memory: Option<i64>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) stdin: Stdin,
    pub(crate) timeout: Option<Duration>,
    pub(crate) allow_failure: bool,
}

/// What stands before the arguments.
#[derive(Clone, Debug, Default)]
pub(crate) enum Entrypoint {
    /// Nothing: the first argument is the program.
    #[default]
    None,
    /// The image's own.
    Image,
    Given(Vec<String>),
}

/// Files from outside the container's own.
#[derive(Clone, Debug)]
pub(crate) struct Mount {
    pub(crate) source: Source,
    pub(crate) target: String,
    pub(crate) read_only: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The store made it, and knows when it goes.
    Leased(String),
    Volume(String),
    /// A path on the engine's machine.
    Bind(String),
}

/// A file that the command may read and nothing else may keep.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) target: String,
    pub(crate) content: Vec<u8>,
    pub(crate) owner: (u32, u32),
    pub(crate) mode: u32,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the content: a debug line is a log line.
        f.debug_struct("Secret")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// What the command reads.
#[derive(Clone, Debug, Default)]
pub(crate) enum Stdin {
    /// Its end, at once.
    #[default]
    Nothing,
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl Command {
    /// The program and its arguments. The program is looked up in the container's `PATH`; no shell is involved.
    pub fn new<A: Into<String>>(argv: impl IntoIterator<Item = A>) -> Self {
        Command {
            argv: argv.into_iter().map(Into::into).collect(),
            ..Command::default()
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl Into<String>) -> &mut Self {
        self.argv.push(arg.into());
        self
    }

    /// Puts `entrypoint` before the arguments.
    pub fn entrypoint<A: Into<String>>(
        &mut self,
        entrypoint: impl IntoIterator<Item = A>,
    ) -> &mut Self {
        self.entrypoint = Entrypoint::Given(entrypoint.into_iter().map(Into::into).collect());
        self
    }

    /// Puts the image's own entrypoint before the arguments, as `docker run` would.
    pub fn image_entrypoint(&mut self) -> &mut Self {
        self.entrypoint = Entrypoint::Image;
        self
    }

    /// The working directory, made where it is missing. By default the image's.
    pub fn cwd(&mut self, path: impl Into<String>) -> &mut Self {
        self.cwd = Some(path.into());
        self
    }

    /// Sets an environment variable over the image's own.
    pub fn env(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The user, as `NAME`, `UID`, or either with `:GROUP`. By default the image's.
    pub fn user(&mut self, user: impl Into<String>) -> &mut Self {
        self.user = Some(user.into());
        self
    }

    /// The host name that the command sees. By default `docker-store` in a container without a network, and what the engine makes up
    /// in others.
    pub fn hostname(&mut self, name: impl Into<String>) -> &mut Self {
        self.hostname = Some(name.into());
        self
    }

    /// The network, by the engine's name for it: `host`, `bridge`, … By default `none`, which is the safe choice and the
    /// fast one (it saves a tenth of a second): `lo` alone, and an `/etc/hosts` that cannot be written to; see
    /// [`Options::engine_network`](crate::Options::engine_network).
    pub fn network(&mut self, name: impl Into<String>) -> &mut Self {
        self.network = Some(name.into());
        self
    }

    /// How many processors' time it may use, in billionths: 1.5 processors are 1,500,000,000.
    pub fn nano_cpus(&mut self, nano_cpus: i64) -> &mut Self {
        self.nano_cpus = Some(nano_cpus);
        self
    }

    /// How many bytes of memory it may use, swap included. Beyond that the kernel kills it, which is told apart from
    /// other failures: [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
    pub fn memory(&mut self, bytes: i64) -> &mut Self {
        self.memory = Some(bytes);
        self
    }

    /// Mounts a leased cache at `target`, an absolute path. Release the lease after the step is committed or aborted.
    pub fn lease(&mut self, lease: &Lease, target: impl Into<String>) -> &mut Self {
        self.leased(lease.volume(), target)
    }

    /// [`lease`](Self::lease), of the volume of one.
    pub(crate) fn leased(
        &mut self,
        volume: impl Into<String>,
        target: impl Into<String>,
    ) -> &mut Self {
        let (source, target) = (Source::Leased(volume.into()), target.into());
        self.mounts.push(Mount {
            source,
            target,
            read_only: false,
        });
        self
    }

    /// Mounts an engine volume that exists at `target`, an absolute path. Nothing of the image is copied into it.
    pub fn volume(
        &mut self,
        name: impl Into<String>,
        target: impl Into<String>,
        read_only: bool,
    ) -> &mut Self {
        let (source, target) = (Source::Volume(name.into()), target.into());
        self.mounts.push(Mount {
            source,
            target,
            read_only,
        });
        self
    }

    /// Mounts `source`, an absolute path on the engine's machine, at `target`.
    pub fn bind(
        &mut self,
        source: impl Into<String>,
        target: impl Into<String>,
        read_only: bool,
    ) -> &mut Self {
        let (source, target) = (Source::Bind(source.into()), target.into());
        self.mounts.push(Mount {
            source,
            target,
            read_only,
        });
        self
    }

    /// Gives the command a read-only file at `target`, an absolute path, with `content`. `owner` is its user and group.
    ///
    /// The content is never in the result, the log, the environment or what the engine shows of the container; while the
    /// step's container exists it is a file in a volume that only the engine's root can reach. What is made in the result or in a
    /// lease to mount it on is taken away again where this process reaches the engine's files; else an empty file stays.
    pub fn secret(
        &mut self,
        target: impl Into<String>,
        content: impl Into<Vec<u8>>,
        owner: (u32, u32),
        mode: u32,
    ) -> &mut Self {
        self.secrets.push(Secret {
            target: target.into(),
            content: content.into(),
            owner,
            mode,
        });
        self
    }

    /// What the command reads on its standard input. By default nothing.
    pub fn stdin(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.stdin = Stdin::Bytes(bytes.into());
        self
    }

    /// A file of this machine that the command reads on its standard input, opened when the command is run.
    pub fn stdin_file(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.stdin = Stdin::File(path.into());
        self
    }

    /// Ends the command after `limit`; the run is then [`TimedOut`](crate::ErrorKind::TimedOut).
    pub fn timeout(&mut self, limit: Duration) -> &mut Self {
        self.timeout = Some(limit);
        self
    }

    /// Whether an exit status other than zero is an answer, not an error. By default it is an error, and the step can
    /// then only be aborted. A program that cannot be started is then an answer, too: [`Exit::started`](crate::Exit::started) tells.
    pub fn allow_failure(&mut self, allow: bool) -> &mut Self {
        self.allow_failure = allow;
        self
    }
}
