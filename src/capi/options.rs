//! `dstore_options`: how to open a store.

use std::ffi::c_char;
use std::ptr;

use crate::capi::arguments::{GivenBack, named, refused, timeout};
use crate::capi::boundary::infallible;
use crate::capi::error::dstore_error;
use crate::capi::handle::{Handle, give};
use crate::capi::settings::{Settable, Settings, setter};
use crate::capi::status::dstore_status;
use crate::store::{LogFull, Options, Strategy};

/// How to open a store. Every setting has a default that suits most, and NULL in place of options
/// stands for all of them. Used by one thread at a time to set. A setter that fails is remembered:
/// dstore_store_open() then fails with the same error, so a setter's own status need not be looked
/// at.
#[derive(Debug)]
pub struct dstore_options(Settings<Options>);

impl Handle for dstore_options {}

impl Settable for dstore_options {
    type Value = Options;
    const NAME: &'static str = "options";

    fn settings(&self) -> &Settings<Options> {
        &self.0
    }
}

/// How caches are cloned.
#[repr(i32)]
#[derive(Clone, Copy, Debug)]
pub enum dstore_strategy {
    /// Overlay where the engine can, found out by trying; else copy.
    DSTORE_STRATEGY_AUTOMATIC = 0,
    /// A lease is a new layer over the layers of the generation: constant in time, Linux engines
    /// only.
    DSTORE_STRATEGY_OVERLAY = 1,
    /// A lease is a copy of the generation's files: any engine.
    DSTORE_STRATEGY_COPY = 2,
}

use dstore_strategy::*;

const STRATEGIES: [(i32, Strategy); 3] = [
    (DSTORE_STRATEGY_AUTOMATIC as i32, Strategy::Automatic),
    (DSTORE_STRATEGY_OVERLAY as i32, Strategy::Overlay),
    (DSTORE_STRATEGY_COPY as i32, Strategy::Copy),
];

impl From<Strategy> for dstore_strategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Automatic => DSTORE_STRATEGY_AUTOMATIC,
            Strategy::Overlay => DSTORE_STRATEGY_OVERLAY,
            Strategy::Copy => DSTORE_STRATEGY_COPY,
        }
    }
}

/// New options, all at their defaults. Free them with dstore_options_free(). NULL only where the
/// library itself is at fault.
///
/// Does not block.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn dstore_options_new() -> *mut dstore_options {
    infallible!(ptr::null_mut(), || {
        give(dstore_options(Settings::new("options", Options::new())))
    })
}

/// The engine's address: "unix:///var/run/docker.sock", "tcp://host:2376" or "ssh://user@host". By
/// default `DOCKER_HOST`, else the current docker context, else that socket. Whether tcp is with TLS,
/// and with which certificates, the context says, or `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_options_engine(
    options: *mut dstore_options,
    address: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, options, |options, address: &str| {
        options.engine(address);
        Ok(())
    })
}

/// The word in front of every name on the engine, of a-z and 0-9; "obuilder" by default, so that
/// OBuilder finds the results.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_options_name(
    options: *mut dstore_options,
    word: *const c_char,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, options, |options, word: &str| {
        options.name(word);
        Ok(())
    })
}

/// How caches are cloned: a dstore_strategy, DSTORE_STRATEGY_AUTOMATIC by default.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_options_strategy(
    options: *mut dstore_options,
    strategy: i32,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, options, |options| {
        options.strategy(named(strategy, STRATEGIES, "strategy")?);
        Ok(())
    })
}

/// Whether the files of the engine's volumes may be used directly where this process can reach
/// them; true by default. Otherwise everything goes through the engine's archive calls, which are
/// slower and keep less of each file: whole seconds, and no extended attributes but capabilities.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_options_direct(
    options: *mut dstore_options,
    direct: bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, options, |options| {
        options.direct(direct);
        Ok(())
    })
}

/// Whether the engine itself is to set up the network of steps that have none; false by default.
///
/// Docker runs a program of its own for that in each container, which takes a third of the time of a
/// small step. Otherwise the container's runtime does it, where that was tried and behaves: a network
/// namespace with `lo` alone, up, and an `/etc/hosts` that names `localhost` and the container. That
/// file cannot be written to then; in the engine's own way it can, and what is written is lost with
/// the container.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_options_engine_network(
    options: *mut dstore_options,
    engine: bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, options, |options| {
        options.engine_network(engine);
        Ok(())
    })
}

/// Whether the files of a released lease are synced to disk before it becomes the cache's next
/// generation; false by default. A killed process loses nothing either way, and after a power failure
/// a cache is whole either way. With it, the cache is then what was released last. Without it, it is
/// the newest generation that was certainly on disk: what was released in the last five seconds, and
/// for as long as the disk was still busy with it, is dropped, with a warning in the log.
///
/// Only where this process reaches the engine's volumes as files: docs/conventions.md has the rest.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_options_sync(
    options: *mut dstore_options,
    sync: bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, options, |options| {
        options.sync(sync);
        Ok(())
    })
}

/// A group whose members may use the root as its owner may; by default nobody else may. The library's
/// own files are then that group's, and so are logs and the caller's state. Asked for once, by the
/// root's owner, who must be in the group; members open it with the same.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_options_group(
    options: *mut dstore_options,
    gid: u32,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, options, |options| {
        options.group(gid);
        Ok(())
    })
}

/// The most bytes that the log of a step may have; by default as many as the disk has. At the limit
/// the step fails (DSTORE_IO), or with `drop` the rest is counted and dropped, and the log's last
/// line says how much that was; an output callback gets all of it. The same holds at the limit that
/// the process has for its files, RLIMIT_FSIZE, and no SIGXFSZ is raised.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_options_log_limit(
    options: *mut dstore_options,
    bytes: u64,
    drop: bool,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, options, |options| {
        let full = if drop { LogFull::Drop } else { LogFull::Fail };
        options.log_limit(bytes, full);
        Ok(())
    })
}

/// How long opening may take to reach the engine, in milliseconds and not 0; 30 seconds by default.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_options_connect_timeout(
    options: *mut dstore_options,
    timeout_ms: u64,
    error: *mut *mut dstore_error,
) -> dstore_status {
    setter!(error, options, |options| {
        let limit = timeout(timeout_ms).ok_or_else(|| refused("timeout_ms", "is 0"))?;
        options.connect_timeout(limit).map(drop)
    })
}

/// Frees options. NULL is fine. A store that was opened with them goes on.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_options_free(options: *mut dstore_options) {
    infallible!((), |options: GivenBack<dstore_options>| drop(options))
}
