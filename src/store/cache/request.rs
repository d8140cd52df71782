//! The types of cache calls: the request, the outcome of a release, a row of the listing.

use std::time::SystemTime;

use crate::store::options::Strategy;
use crate::wait::{Limits, Wait};

/// How concurrent leases of one cache relate to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheMode {
    /// Each lease is a separate copy. Among leases cloned from the same generation, the first release that contains changes
    /// wins.
    #[default]
    Private,
    /// One holder at a time, in all processes: others wait, and each sees what the previous one released. A private lease may
    /// still win in between.
    Locked,
    /// Concurrent holders, in any process, share one lease, and their containers mount it at the same time. The last release
    /// publishes it. Shared and locked leases of a cache wait for each other.
    Shared,
}

/// What to lease, for which user, and how long to wait for it.
#[derive(Clone, Debug, Default)]
pub struct CacheRequest {
    pub(crate) owner: (u32, u32),
    pub(crate) mode: CacheMode,
    pub(crate) limits: Limits,
}

impl CacheRequest {
    /// Creates a request for a private lease whose root directory belongs to 0:0, without a time limit.
    pub fn new() -> Self {
        CacheRequest::default()
    }

    /// Sets the owner of the lease's root directory. Files in it keep their owners.
    pub fn owner(&mut self, uid: u32, gid: u32) -> &mut Self {
        self.owner = (uid, gid);
        self
    }

    /// Sets how this lease relates to others of the same cache.
    pub fn mode(&mut self, mode: CacheMode) -> &mut Self {
        self.mode = mode;
        self
    }

    /// Sets limits on the waiting and the copying.
    pub fn limits(&mut self, limits: Limits) -> &mut Self {
        self.limits = limits;
        self
    }

    pub(super) fn wait(&self) -> Wait<'_> {
        self.limits.wait()
    }
}

/// What happened to a lease that was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Released {
    /// It is now this generation of the cache.
    Won(u64),
    /// The lease was discarded. Another release came first, the cache was deleted, or something other than this store removed
    /// the lease's volume.
    Lost,
    /// Nothing in it had changed; the cache stays as it is.
    Unchanged,
    /// Others still hold this shared lease; the last of them publishes it.
    Shared,
    /// With it the cache would exceed its limit ([`Store::limit_cache`](crate::Store::limit_cache)). The lease was discarded,
    /// and the cache stays as it is.
    TooLarge,
}

/// One cache, as [`Store::caches`](crate::Store::caches) lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheInfo {
    /// The name, as the caller passed it.
    pub name: Vec<u8>,
    /// The generation that a lease taken now would be cloned from; 0 if nothing was released yet.
    pub generation: u64,
    /// What its newest generation consists of: overlay layers, or one whole copy.
    pub strategy: Strategy,
    /// How many volumes the newest generation consists of.
    pub layers: usize,
    /// The size of these volumes on disk, if it is known: this process must be able to access them directly.
    pub bytes: Option<u64>,
    /// When the cache was created.
    pub created: SystemTime,
    /// When it was last leased or released.
    pub last_use: SystemTime,
    /// How many outstanding leases it has, in all processes.
    pub leases: usize,
    /// Its maximum size in bytes, if it has a limit.
    pub limit: Option<u64>,
}
