//! A build store in Docker: results are images, caches are volumes lent as private writable copies, logs and the caller's
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
//! Every call blocks. What may take long takes [`Limits`]: a deadline, and a [`Cancel`] that any thread may turn on. The
//! library prints nothing, starts no thread but for deferred removals while there are any (and to look up the name of an engine's
//! host), and changes nothing in the process that it runs in.
//!
//! Inside, a call flows straight down and its answer straight up: `capi` (the C ABI, described in
//! `include/docker_store.h`), `store`, `engine` (typed calls), `http`, `transport`.

// The C boundary, what starts a child, and calls of Windows say why they may.
#![deny(unsafe_code)]

pub use crate::cancel::Cancel;
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::store::cache::{CacheInfo, CacheMode, CacheRequest, Lease, Released};
pub use crate::store::host::files::HostFiles;
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
