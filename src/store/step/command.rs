//! [`Command`]: what to run in a step, and in which environment.

use std::path::PathBuf;
use std::time::Duration;

use crate::store::cache::Lease;

/// A command and its environment. Every setting ends with the command: the result keeps the configuration of its base.
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

/// What is put before the arguments.
#[derive(Clone, Debug, Default)]
pub(crate) enum Entrypoint {
    /// Nothing: the first argument is the program.
    #[default]
    None,
    /// The image's own entrypoint.
    Image,
    Given(Vec<String>),
}

/// Files from outside the container.
#[derive(Clone, Debug)]
pub(crate) struct Mount {
    pub(crate) source: Source,
    pub(crate) target: String,
    pub(crate) read_only: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A volume that the store created and will remove.
    Leased(String),
    Volume(String),
    /// A path on the engine's host.
    Bind(String),
}

/// A file that the command may read and that must not be stored anywhere else.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) target: String,
    pub(crate) content: Vec<u8>,
    pub(crate) owner: (u32, u32),
    pub(crate) mode: u32,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the content, because debug output goes to logs.
        f.debug_struct("Secret")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// What the command reads.
#[derive(Clone, Debug, Default)]
pub(crate) enum Stdin {
    /// End of file, immediately.
    #[default]
    Nothing,
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl Command {
    /// Creates a command from a program and its arguments. The program is looked up in the container's `PATH`; no shell is
    /// involved.
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

    /// Sets the working directory, which is created if it is missing. The default is the image's.
    pub fn cwd(&mut self, path: impl Into<String>) -> &mut Self {
        self.cwd = Some(path.into());
        self
    }

    /// Sets an environment variable, replacing one of the image's.
    pub fn env(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets the user, as `NAME`, `UID`, or either with `:GROUP`. The default is the image's.
    pub fn user(&mut self, user: impl Into<String>) -> &mut Self {
        self.user = Some(user.into());
        self
    }

    /// Sets the host name that the command sees. The default is `docker-store` in a container without a network, and a name
    /// chosen by the engine in others.
    pub fn hostname(&mut self, name: impl Into<String>) -> &mut Self {
        self.hostname = Some(name.into());
        self
    }

    /// Sets the network, by the engine's name for it: `host`, `bridge`, … The default is `none`, which is safe and fast (it
    /// saves a tenth of a second): only `lo`, and an `/etc/hosts` that cannot be written to; see
    /// [`Options::engine_network`](crate::Options::engine_network).
    pub fn network(&mut self, name: impl Into<String>) -> &mut Self {
        self.network = Some(name.into());
        self
    }

    /// Sets how much processor time the command may use, in billionths of a processor: 1.5 processors are 1,500,000,000.
    pub fn nano_cpus(&mut self, nano_cpus: i64) -> &mut Self {
        self.nano_cpus = Some(nano_cpus);
        self
    }

    /// Sets how many bytes of memory the command may use, including swap. If it uses more, the kernel kills it; this is
    /// reported as [`OutOfMemory`](crate::ErrorKind::OutOfMemory), distinct from other failures.
    pub fn memory(&mut self, bytes: i64) -> &mut Self {
        self.memory = Some(bytes);
        self
    }

    /// Mounts a leased cache at `target`, an absolute path. Release the lease after the step is committed or aborted.
    pub fn lease(&mut self, lease: &Lease, target: impl Into<String>) -> &mut Self {
        self.leased(lease.volume(), target)
    }

    /// Like [`lease`](Self::lease), for the volume of a lease.
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

    /// Mounts an existing volume of the engine at `target`, an absolute path. No files of the image are copied into it.
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

    /// Mounts `source`, an absolute path on the engine's host, at `target`.
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
    /// The content never appears in the result, the log, the environment or the engine's description of the container. While
    /// the step's container exists, the content is a file in a volume that only root on the engine's host can read. A file that
    /// was created in the result or in a lease as the mount point is removed again if this process can access the engine's
    /// files directly; otherwise an empty file is left.
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

    /// Sets what the command reads on its standard input. The default is nothing.
    pub fn stdin(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.stdin = Stdin::Bytes(bytes.into());
        self
    }

    /// Sets a local file that the command reads on its standard input. It is opened when the command is run.
    pub fn stdin_file(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.stdin = Stdin::File(path.into());
        self
    }

    /// Kills the command after `limit`; the run then returns [`TimedOut`](crate::ErrorKind::TimedOut).
    pub fn timeout(&mut self, limit: Duration) -> &mut Self {
        self.timeout = Some(limit);
        self
    }

    /// Sets whether an exit status other than zero is returned as an [`Exit`](crate::Exit) and not as an error. By default it
    /// is an error, and the step can then only be aborted. If allowed, a program that cannot be started is not an error either:
    /// see [`Exit::started`](crate::Exit::started).
    pub fn allow_failure(&mut self, allow: bool) -> &mut Self {
        self.allow_failure = allow;
        self
    }
}
