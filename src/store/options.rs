//! How to open a store.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::store::names;

/// How caches are cloned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// Overlay if it works on the engine, which is found out by trying; otherwise copy.
    #[default]
    Automatic,
    /// A lease is a new layer over the layers of the generation. Takes constant time; Linux engines only.
    Overlay,
    /// A lease is a copy of the generation's files. Works on any engine.
    Copy,
}

/// The options that concern caches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheOptions {
    pub(crate) strategy: Strategy,
    /// Whether to access the engine's volumes directly, as files, if this process can.
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

/// What happens to a step's output when its log has reached its maximum size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFull {
    /// The step fails.
    #[default]
    Fail,
    /// The rest is counted and dropped, and the log's last line says how much was dropped. Output callbacks still receive all
    /// of it.
    Drop,
}

/// The options that concern logs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogOptions {
    /// The maximum size of a log in bytes.
    pub(crate) most: Option<u64>,
    pub(crate) full: LogFull,
}

/// Options for opening a [`Store`](crate::Store). Every option has a default.
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
    /// Creates options with the defaults.
    pub fn new() -> Self {
        Options::default()
    }

    /// Sets the engine's address: `unix:///var/run/docker.sock`, `tcp://host:2376` or `ssh://user@host`. The default is
    /// `DOCKER_HOST`, otherwise the current docker context, otherwise that socket. Whether tcp uses TLS, and with which
    /// certificates, is taken from the context, or from `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`, as the docker command does.
    ///
    /// For ssh, the program `ssh` is run for each connection. It does not prompt at the terminal (`BatchMode`), unless
    /// `DOCKER_STORE_SSH_ASK` is set.
    pub fn engine(&mut self, address: impl Into<String>) -> &mut Self {
        self.engine = Some(address.into());
        self
    }

    /// Sets the word that every name on the engine starts with; only `a`–`z` and `0`–`9`. The default is `obuilder`, so that
    /// OBuilder finds the results.
    pub fn name(&mut self, word: impl Into<String>) -> &mut Self {
        self.word = word.into();
        self
    }

    /// Sets how caches are cloned. The default is [`Strategy::Automatic`].
    pub fn strategy(&mut self, strategy: Strategy) -> &mut Self {
        self.cache.strategy = strategy;
        self
    }

    /// Sets whether this process may access the files of the engine's volumes directly, if it can. The default is `true`.
    /// Otherwise, and for engines on other machines, everything goes through the engine's archive calls. With the copy strategy
    /// that is several times slower, and keeps less of each file: whole seconds, and no extended attributes other than
    /// capabilities.
    pub fn direct(&mut self, direct: bool) -> &mut Self {
        self.cache.direct = direct;
        self
    }

    /// Sets whether the files of a released lease are synced to disk before it becomes the cache's next generation. The default
    /// is `false`. With or without it, a killed process loses nothing, and after a power failure a cache is complete. With it,
    /// the cache is then what was released last. Without it, the cache is the newest generation that was certainly on disk.
    /// What was released in the last five seconds, and for as long as the disk was still busy with it, is dropped, with a
    /// warning. Closing the store waits up to two seconds for the disk. A generation that no open store has seen reach the disk
    /// before the machine goes down, in whatever way, is dropped, too.
    ///
    /// This holds only if this process can access the engine's volumes directly. Otherwise nothing tells the library what is on
    /// disk: with or without this option, a power failure may leave files that were released in the last minute empty or
    /// corrupt.
    pub fn sync(&mut self, sync: bool) -> &mut Self {
        self.cache.sync = sync;
        self
    }

    /// Sets a group, by its number, whose members may use the root like its owner. By default no other user may. The library's
    /// own files, logs and the caller's state then belong to that group. The owner of the root sets this once, and must be in
    /// the group; members open the root with the same option.
    pub fn group(&mut self, group: u32) -> &mut Self {
        self.group = Some(group);
        self
    }

    /// Sets the maximum size of a step's log in bytes, and what happens beyond it. By default the size is limited by the disk,
    /// and by how large a file this process may write (`RLIMIT_FSIZE`). At that limit the step fails or the rest is dropped,
    /// according to this option.
    pub fn log_limit(&mut self, most: u64, full: LogFull) -> &mut Self {
        self.log = LogOptions {
            most: Some(most),
            full,
        };
        self
    }

    /// Sets whether the engine itself sets up the network of steps that have none (plain `NetworkMode: none`). The default is
    /// `false`.
    ///
    /// Docker runs a helper program for that in each container, which takes a third of the time of a small step. Otherwise the
    /// container's runtime does it, if that was tried and works: a network namespace with only `lo`, up, and an `/etc/hosts`
    /// that names `localhost` and the container. A command cannot write to this file. With the engine's own setup it can, and
    /// what it writes is lost with the container.
    pub fn engine_network(&mut self, engine: bool) -> &mut Self {
        self.engine_network = engine;
        self
    }

    /// Sets how long opening may take to reach the engine, and to find out whose the root and its names are. The default is 30
    /// seconds. The first request to the engine has a minute at most, whatever this says.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for zero.
    pub fn connect_timeout(&mut self, limit: Duration) -> Result<&mut Self> {
        if limit.is_zero() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "the connect timeout must be greater than zero",
            ));
        }
        self.connect_timeout = limit;
        Ok(self)
    }
}
