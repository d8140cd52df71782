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

/// Options for dstore_store_open(). Every option has a default; pass NULL to use all defaults. Only
/// one thread at a time may set options. The first error of a setter is remembered, and
/// dstore_store_open() then fails with the same status, so the caller may ignore the status of a
/// setter.
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
    /// Overlay if a probe shows that the engine supports it; otherwise copy.
    DSTORE_STRATEGY_AUTOMATIC = 0,
    /// A lease is a new layer over the layers of the generation. Takes constant time; Linux engines
    /// only.
    DSTORE_STRATEGY_OVERLAY = 1,
    /// A lease is a copy of the generation's files. Works on any engine.
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

/// Creates options with all defaults. Free them with dstore_options_free(). Returns NULL only on an
/// internal error.
///
/// Does not block.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn dstore_options_new() -> *mut dstore_options {
    infallible!(ptr::null_mut(), || {
        give(dstore_options(Settings::new("options", Options::new())))
    })
}

/// Sets the engine's address: "unix:///var/run/docker.sock", "tcp://host:2376" or
/// "ssh://user@host". The default is `DOCKER_HOST`, otherwise the current Docker context, otherwise
/// that socket. Whether tcp uses TLS, and with which certificates, is taken from the context, or
/// from `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`.
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

/// Sets the word that every name on the engine starts with: 1 to 32 characters from a-z and 0-9.
/// The default is "obuilder", so that OBuilder finds the results.
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

/// Sets how caches are cloned: a dstore_strategy. The default is DSTORE_STRATEGY_AUTOMATIC.
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

/// Sets whether the library accesses the files of the engine's volumes directly, if this process
/// can. The default is true. Otherwise all access goes through the engine's archive calls. They are
/// slower and keep less of each file: whole seconds only, and no extended attributes except
/// capabilities.
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

/// Sets whether the engine itself sets up the network of steps that have no network. The default is
/// false.
///
/// Docker runs a program of its own for that in each container, which takes a third of the time of
/// a small step. By default the container's runtime does it, if a probe showed that this works. It
/// creates a network namespace that has only `lo`, which is up. It also creates an `/etc/hosts`
/// that names `localhost` and the container; commands cannot write to that file. If the engine sets
/// up the network, they can, and what they write is lost with the container.
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

/// Sets whether the files of a released lease are synced to disk before it becomes the cache's next
/// generation. The default is false. Either way, nothing is lost if a process is killed, and after
/// a power failure a cache is one whole generation. With sync, that is the last released
/// generation. Without it, that is the newest generation that was certainly on disk. Releases of
/// the last five seconds, or longer if the disk was still busy with them, are dropped, with a
/// warning in the log.
///
/// Has an effect only if this process can access the engine's volumes directly. See
/// docs/conventions.md.
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

/// Sets a group whose members may use the root as its owner may. By default no other user may. The
/// library's own files, the logs and the caller's state then belong to that group. Set it the first
/// time as the root's owner, who must be in the group; members then open the root with the same
/// group.
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

/// Sets the maximum size of a step's log in bytes. By default only the disk limits it. When the
/// limit is reached, the step fails with DSTORE_IO. If `drop` is true, further output is counted
/// and dropped instead, and the log's last line reports how much; an output callback still receives
/// everything. The same happens at the process's own file size limit, RLIMIT_FSIZE, and SIGXFSZ is
/// not raised.
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

/// Sets how long opening may take to reach the engine, in milliseconds. It must not be 0. The
/// default is 30 seconds.
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

/// Frees options; no-op if NULL. A store that was opened with them is not affected.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_options_free(options: *mut dstore_options) {
    infallible!((), |options: GivenBack<dstore_options>| drop(options))
}
