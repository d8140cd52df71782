//! What a caller says and hears about caches: the request, the outcome of a release, a row of the listing.

use std::time::SystemTime;

use crate::store::options::Strategy;
use crate::wait::{Limits, Wait};

/// How the leases of one cache that are out at the same time relate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheMode {
    /// Each lease is a copy of its own; of those cloned from one generation, the first changed one that is released wins.
    #[default]
    Private,
    /// One holder at a time, in all processes: others wait, and each sees what the one before released. A private lease may
    /// still win in between.
    Locked,
    /// Those who hold a lease at the same time, in all processes, hold the same one, mounted by all their containers at
    /// once. The last release publishes it. Waits for a locked lease, and the other way round.
    Shared,
}

/// What to lend, to whom, and how long to wait for it.
#[derive(Clone, Debug, Default)]
pub struct CacheRequest {
    pub(crate) owner: (u32, u32),
    pub(crate) mode: CacheMode,
    pub(crate) limits: Limits,
}

impl CacheRequest {
    /// A private lease whose root directory belongs to 0:0, waited for without an end.
    pub fn new() -> Self {
        CacheRequest::default()
    }

    /// The owner of the lease's root directory. What is in it keeps its owners.
    pub fn owner(&mut self, uid: u32, gid: u32) -> &mut Self {
        self.owner = (uid, gid);
        self
    }

    /// How this lease relates to others of the same cache.
    pub fn mode(&mut self, mode: CacheMode) -> &mut Self {
        self.mode = mode;
        self
    }

    /// What may end the waiting and the copying.
    pub fn limits(&mut self, limits: Limits) -> &mut Self {
        self.limits = limits;
        self
    }

    pub(super) fn wait(&self) -> Wait<'_> {
        self.limits.wait()
    }
}

/// What became of a lease that was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Released {
    /// It is now this generation of the cache.
    Won(u64),
    /// The cache is no longer the generation that was cloned: another release came first, or the cache was deleted.
    Lost,
    /// Nothing in it had changed, so the cache stays as it is.
    Unchanged,
    /// Others still hold this shared lease; the last of them publishes it.
    Shared,
    /// With it the cache would hold more than its limit ([`Store::limit_cache`](crate::Store::limit_cache)): it is given up, and the
    /// cache stays as it is.
    TooLarge,
}

/// One cache, as [`Store::caches`](crate::Store::caches) lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheInfo {
    /// The name, as it was given.
    pub name: Vec<u8>,
    /// The generation that a lease taken now would be cloned from; 0 where none was released yet.
    pub generation: u64,
    /// What its newest generation is made of: overlay layers, or one whole copy.
    pub strategy: Strategy,
    /// How many volumes the newest generation is made of.
    pub layers: usize,
    /// What these hold on disk, where that is known: the volumes must be in reach of this process as files.
    pub bytes: Option<u64>,
    /// When the cache was made.
    pub created: SystemTime,
    /// When it was last lent or released.
    pub last_use: SystemTime,
    /// How many leases of it are out now, in all processes.
    pub leases: usize,
    /// The most bytes that it may hold, if it has a limit.
    pub limit: Option<u64>,
}
