//! A build store in Docker: results are images, caches are volumes leased as private writable copies, logs and the caller's
//! state are plain files under one root directory.
//!
//! ```no_run
//! use docker_store::{Begun, Command, Limits, Options, Store};
//!
//! # fn main() -> docker_store::Result<()> {
//! let store = Store::open("/var/cache/build", &Options::new())?;
//! if let Begun::Step(mut step) = store.begin(Some("base"), "hello", &Limits::none())? {
//!     step.run(&Command::new(["sh", "-c", "echo hello > /hello"]))?;
//!     step.commit()?;
//! }
//! assert!(store.result("hello")?);
//! # Ok(())
//! # }
//! ```
//!
//! All calls are blocking. Calls that may take long accept [`Limits`]: a deadline, and a [`Cancel`] that any thread may
//! trigger.
//!
//! The library prints nothing and changes no global state of the process. It starts threads only for work in the background,
//! and only while there is such work. For each store these are up to eight for deferred removals, one that merges the layers of
//! caches, and one that syncs released caches to disk. Opening, purging or destroying a root starts up to seven more to remove
//! leftovers. One thread resolves the name of an engine's host, and one waits for `ssh` programs to exit.
//!
//! Inside, a call passes straight down through these layers, and its result straight up: `capi` (the C ABI, described in
//! `include/docker_store.h`), `store`, `engine` (typed calls), `http`, `transport`.

// Unsafe code is allowed only in the C boundary, where child processes are started, and for calls of Windows; each place says
// why.
#![deny(unsafe_code)]

pub use crate::cancel::Cancel;
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::store::cache::{CacheInfo, CacheMode, CacheRequest, Lease, Released};
pub use crate::store::host::files::HostFiles;
pub use crate::store::host::folder::HostFolder;
pub use crate::store::id::{ID_MAX, id};
pub use crate::store::progress::Progress;
pub use crate::store::registry::RegistryLogin;
pub use crate::store::step::command::Command;
pub use crate::store::step::{Channel, Exit, HealthCheck, ImageConfig, Output, Step};
pub use crate::store::{
    Begun, CacheUsage, Destroy, DiskFree, Fate, Health, ImageFormat, Item, Leftovers, LogFollower,
    LogFull, LogPiece, LogUsage, Options, Outcome, Pin, Policy, PruneFate, PruneReport, PruneRow,
    Purged, Pushed, Remains, Remnant, RemnantKind, ResultInfo, ResultUsage, Stats, Store, Strategy,
    Tagged, Totals, Trouble, Usage, Went,
};
pub use crate::wait::Limits;

mod cancel;
mod capi;
mod engine;
mod error;
mod http;
mod local;
mod os;
mod process;
mod store;
mod transport;
mod wait;

/// The README's program must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
