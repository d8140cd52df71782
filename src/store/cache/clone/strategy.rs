//! The seam between what a cache is (heads, leases, records) and how its bytes are cloned: one trait, two strategies.

use crate::error::Error;
use crate::store::cache::files::look::RootLook;
use crate::store::cache::state::head::Part;
use crate::store::cache::state::record::Looks;
use crate::store::options::Strategy;
use crate::store::site::Site;
use crate::wait::Wait;

/// What a lease is cloned from, and for whom.
pub(crate) struct Source<'a> {
    /// The cache's name, escaped, for labels.
    pub(crate) cache: &'a str,
    /// Pinned by the lease's record, so nothing of this store removes them.
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

/// What a detached lease turned out to be.
#[derive(Debug)]
pub(crate) enum Seal {
    Changed(Sealed),
    Unchanged,
    /// Somebody outside the store took it away.
    Gone,
}

/// Why there is no clone.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The generation cannot be had any more, for this reason.
    Lost(String),
    /// The layers are too many for one mount, and must be compacted first.
    TooDeep,
    Error(Error),
}

/// What it takes to clone, or why there is no clone.
pub(crate) type Made<T> = Result<T, Failed>;

impl Failed {
    pub(crate) fn missing(volume: &str) -> Self {
        Failed::Lost(format!(
            "somebody outside the store removed its volume {volume}"
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

    /// New names for the volumes of a lease; the first is the one to mount. Nothing is made yet: the record that names them
    /// goes first.
    fn volumes(&self, site: &Site, cache: &str, generation: u64) -> Vec<String>;

    /// Makes these volumes a clone of `source`.
    fn make(
        &self,
        site: &Site,
        source: &Source<'_>,
        volumes: &[String],
        wait: Wait<'_>,
    ) -> Made<Looks>;

    /// Makes sure that no container has the lease any more; [`Busy`](crate::ErrorKind::Busy) where one has. May be asked again.
    fn detach(&self, site: &Site, volumes: &[String], wait: Wait<'_>) -> Result<(), Error>;

    /// What a detached lease adds to the generation it was cloned from.
    fn seal(
        &self,
        site: &Site,
        volumes: &[String],
        looks: &Looks,
        wait: Wait<'_>,
    ) -> Result<Seal, Error>;

    /// The parts of the generation in which `sealed` follows `before`.
    fn follow(&self, before: &[Part], sealed: Part) -> Vec<Part>;
}
