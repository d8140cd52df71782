//! How to open a store.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::store::names;

/// How caches are cloned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// Overlay where the engine can, found out by trying; else copy.
    #[default]
    Automatic,
    /// A lease is a new layer over the layers of the generation: constant in time, Linux engines only.
    Overlay,
    /// A lease is a copy of the generation's files: any engine.
    Copy,
}

/// The options that concern caches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheOptions {
    pub(crate) strategy: Strategy,
    /// Use the engine's volumes as files where this process can.
    pub(crate) direct: bool,
    /// Sync the files of a lease to disk before the head moves to it.
    pub(crate) sync: bool,
}

impl Default for CacheOptions {
    fn default() -> Self {
        CacheOptions {
            strategy: Strategy::default(),
            direct: true,
            sync: false,
        }
    }
}

/// What becomes of what a step writes to its log when that is as long as it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFull {
    /// The step fails.
    #[default]
    Fail,
    /// The rest is counted and dropped, and the log's last line says how much that was. Who is given the output as it comes gets all
    /// of it.
    Drop,
}

/// The options that concern logs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogOptions {
    /// The most bytes of one.
    pub(crate) most: Option<u64>,
    pub(crate) full: LogFull,
}

/// How to open a [`Store`](crate::Store). Every setter has a default that suits most.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) engine: Option<String>,
    pub(crate) word: String,
    pub(crate) cache: CacheOptions,
    pub(crate) connect_timeout: Duration,
    pub(crate) group: Option<u32>,
    pub(crate) log: LogOptions,
    pub(crate) engine_network: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            engine: None,
            word: names::WORD.to_owned(),
            cache: CacheOptions::default(),
            connect_timeout: Duration::from_secs(30),
            group: None,
            log: LogOptions::default(),
            engine_network: false,
        }
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Options::default()
    }

    /// The engine's address: `unix:///var/run/docker.sock`, `tcp://host:2376` or `ssh://user@host`. By default `DOCKER_HOST`,
    /// else the current docker context, else that socket. Whether tcp is with TLS, and with which certificates, the context
    /// says, or `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`, as for the docker command.
    ///
    /// For ssh the program `ssh` is run for each connection. It asks for nothing at the terminal (`BatchMode`), unless
    /// `DOCKER_STORE_SSH_ASK` is set.
    pub fn engine(&mut self, address: impl Into<String>) -> &mut Self {
        self.engine = Some(address.into());
        self
    }

    /// The word in front of every name on the engine; `obuilder` by default, so that OBuilder finds the results. Only
    /// `a`–`z` and `0`–`9`.
    pub fn name(&mut self, word: impl Into<String>) -> &mut Self {
        self.word = word.into();
        self
    }

    /// How caches are cloned; [`Strategy::Automatic`] by default.
    pub fn strategy(&mut self, strategy: Strategy) -> &mut Self {
        self.cache.strategy = strategy;
        self
    }

    /// Whether the files of the engine's volumes may be used directly where this process can reach them; `true` by default.
    /// Otherwise, and for engines on other machines, everything goes through the engine's archive calls: with the copy
    /// strategy several times slower, and with less kept of each file (whole seconds, and no extended attributes but
    /// capabilities).
    pub fn direct(&mut self, direct: bool) -> &mut Self {
        self.cache.direct = direct;
        self
    }

    /// Whether the files of a released lease are synced to disk before it becomes the cache's next generation; `false` by
    /// default. A killed process loses nothing either way, and after a power failure a cache is whole either way. With it, the
    /// cache is then what was released last. Without it, it is the newest generation that was certainly on disk: what was
    /// released in the last five seconds, and for as long as the disk was still busy with it, is dropped, with a warning. Closing the
    /// store waits for that for two seconds; what no open store has seen reach the disk before the machine goes down, in
    /// whatever way, is dropped too.
    ///
    /// Only where this process reaches the engine's volumes as files. Otherwise nobody tells what is on disk: a power failure may
    /// leave files of what was released in the last minute empty or torn, with this option or without it.
    pub fn sync(&mut self, sync: bool) -> &mut Self {
        self.cache.sync = sync;
        self
    }

    /// A group, by its number, whose members may use the root as its owner may; by default nobody else may. The library's own files
    /// are then that group's, and so are logs and the caller's state. Asked for once, by the root's owner, who must be in the
    /// group; members open it with the same.
    pub fn group(&mut self, group: u32) -> &mut Self {
        self.group = Some(group);
        self
    }

    /// The most bytes that the log of a step may have, and what then; by default as many as the disk has, or as this process may
    /// write (`RLIMIT_FSIZE`: at that limit a step fails, or the rest is dropped, as is asked here).
    pub fn log_limit(&mut self, most: u64, full: LogFull) -> &mut Self {
        self.log = LogOptions {
            most: Some(most),
            full,
        };
        self
    }

    /// Whether the engine itself is to set up the network of steps that have none (`NetworkMode: none` alone); `false` by default.
    ///
    /// Docker runs a program of its own for that in each container, which takes a third of the time of a small step. Otherwise the
    /// container's runtime does it, where that was tried and behaves: a network namespace with `lo` alone, up, and an `/etc/hosts` that
    /// names `localhost` and the container. That file cannot be written to then; in the engine's own way it can, and
    /// what is written is lost with the container.
    pub fn engine_network(&mut self, engine: bool) -> &mut Self {
        self.engine_network = engine;
        self
    }

    /// How long opening may take to reach the engine, and to find out whose the root and its names are; 30 seconds by default. The
    /// first request to the engine has a minute at most, whatever this says.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for zero.
    pub fn connect_timeout(&mut self, limit: Duration) -> Result<&mut Self> {
        if limit.is_zero() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "a connect timeout of zero would never connect",
            ));
        }
        self.connect_timeout = limit;
        Ok(self)
    }
}
