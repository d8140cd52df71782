//! The interface between the logic of caches (heads, leases, records) and the cloning of their data: one trait, two strategies.

use crate::error::Error;
use crate::store::cache::files::look::RootLook;
use crate::store::cache::state::head::Part;
use crate::store::cache::state::record::Looks;
use crate::store::options::Strategy;
use crate::store::site::Site;
use crate::wait::Wait;

/// What a lease is cloned from, and for which user.
pub(crate) struct Source<'a> {
    /// The cache's escaped name, for labels.
    pub(crate) cache: &'a str,
    /// Pinned by the lease's record, so that this store does not remove them.
    pub(crate) parts: &'a [Part],
    pub(crate) root: RootLook,
    pub(crate) owner: (u32, u32),
}

/// A lease that can become a part of a generation.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) part: Part,
    pub(crate) root: Option<RootLook>,
}

/// The outcome of checking a detached lease for changes.
#[derive(Debug)]
pub(crate) enum Seal {
    Changed(Sealed),
    Unchanged,
    /// It was removed by something other than this store.
    Gone,
}

/// Why there is no clone.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The generation no longer exists, for this reason.
    Lost(String),
    /// There are too many layers for one mount; they must be compacted first.
    TooDeep,
    Error(Error),
}

/// A value needed for cloning, or why there is no clone.
pub(crate) type Made<T> = Result<T, Failed>;

impl Failed {
    pub(crate) fn missing(volume: &str) -> Self {
        Failed::Lost(format!(
            "something other than this store removed its volume {volume}"
        ))
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Error(error)
    }
}

/// How leases are cloned, and how they become generations.
pub(crate) trait Cloning {
    fn strategy(&self) -> Strategy;

    /// Returns new names for the volumes of a lease; the first is the one to mount. Nothing is created yet: the record that
    /// names them is written first.
    fn volumes(&self, site: &Site, cache: &str, generation: u64) -> Vec<String>;

    /// Creates these volumes as a clone of `source`.
    fn make(
        &self,
        site: &Site,
        source: &Source<'_>,
        volumes: &[String],
        wait: Wait<'_>,
    ) -> Made<Looks>;

    /// Makes sure that no container has the lease any more; returns [`Busy`](crate::ErrorKind::Busy) if one has. May be called
    /// again.
    fn detach(&self, site: &Site, volumes: &[String], wait: Wait<'_>) -> Result<(), Error>;

    /// Returns what a detached lease adds to the generation that it was cloned from.
    fn seal(
        &self,
        site: &Site,
        volumes: &[String],
        looks: &Looks,
        wait: Wait<'_>,
    ) -> Result<Seal, Error>;

    /// Returns the parts of the generation in which `sealed` follows `before`.
    fn follow(&self, before: &[Part], sealed: Part) -> Vec<Part>;
}
