//! The policy and the report of a prune.

use std::time::{Duration, SystemTime};

use crate::error::{Error, ErrorKind, Result};
use crate::store::bounds::pins::Item;

/// The bounds that a prune brings a store within. A policy without bounds removes nothing.
///
/// First, it removes what was [unused for](Self::unused_for) too long. Then, while there is more than
/// [`most_bytes`](Self::most_bytes) or less free than [`least_free`](Self::least_free) or
/// [`least_free_percent`](Self::least_free_percent), it removes what was least recently used; among equals, what was built in
/// the shortest time. A result is removed after those that were built on it.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub(crate) most_bytes: Option<u64>,
    pub(crate) least_free: Option<u64>,
    pub(crate) least_free_percent: Option<f64>,
    pub(crate) unused_for: Option<Duration>,
    pub(crate) keep: usize,
    pub(crate) spare: Option<Duration>,
    pub(crate) kinds: Kinds,
    pub(crate) dry_run: bool,
}

/// What kinds of things may be removed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kinds {
    pub(crate) results: bool,
    pub(crate) caches: bool,
    pub(crate) logs: bool,
}

impl Default for Kinds {
    fn default() -> Self {
        Kinds {
            results: true,
            caches: true,
            logs: false,
        }
    }
}

impl Policy {
    /// Creates a policy without bounds.
    pub fn new() -> Self {
        Policy::default()
    }

    /// Sets the maximum size in bytes of everything that may be removed, as [`Usage`](crate::Usage) counts it. Caches whose
    /// size is not known yet are measured first: as files, or otherwise by querying the engine, which may take seconds.
    pub fn most_bytes(&mut self, bytes: u64) -> &mut Self {
        self.most_bytes = Some(bytes);
        self
    }

    /// Sets the minimum number of free bytes on the engine's disk, which must be on the local machine and accessible.
    pub fn least_free(&mut self, bytes: u64) -> &mut Self {
        self.least_free = Some(bytes);
        self
    }

    /// Sets the minimum free space on the engine's disk, in percent as computed for [`DiskFree`](crate::DiskFree) and by df(1).
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) if it is not a number from 0 to 100.
    pub fn least_free_percent(&mut self, percent: f64) -> Result<&mut Self> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{percent} is not a percentage"),
            ));
        }
        self.least_free_percent = Some(percent);
        Ok(self)
    }

    /// Removes what was not used for this time, however much space is free. A result is then removed even if results that were
    /// built on it are in use: their layers are kept.
    pub fn unused_for(&mut self, time: Duration) -> &mut Self {
        self.unused_for = Some(time);
        self
    }

    /// Sets how many results are kept at least.
    pub fn keep_results(&mut self, number: usize) -> &mut Self {
        self.keep = number;
        self
    }

    /// Sets for how long results are kept after their last use. The default is one minute if another store has the root open,
    /// or if this store has reported to a caller that a result exists; otherwise zero. A caller that was told of a result has
    /// this time to begin something on it.
    pub fn spare(&mut self, time: Duration) -> &mut Self {
        self.spare = Some(time);
        self
    }

    /// Sets whether results may be removed, with their logs. The default is `true`.
    pub fn results(&mut self, may: bool) -> &mut Self {
        self.kinds.results = may;
        self
    }

    /// Sets whether caches may be removed. The default is `true`.
    pub fn caches(&mut self, may: bool) -> &mut Self {
        self.kinds.caches = may;
        self
    }

    /// Sets whether logs may be removed on their own: those of failed builds, and of results that are kept. The default is
    /// `false`.
    pub fn logs(&mut self, may: bool) -> &mut Self {
        self.kinds.logs = may;
        self
    }

    /// Sets whether only to report what would be removed. The default is `false`.
    pub fn dry_run(&mut self, dry_run: bool) -> &mut Self {
        self.dry_run = dry_run;
        self
    }

    /// Returns whether it depends on the free space.
    pub(crate) fn needs_disk(&self) -> bool {
        self.least_free.is_some() || self.least_free_percent.is_some()
    }

    /// Returns whether the bounds hold, given the bytes kept, and the size and free space of the disk.
    pub(crate) fn is_met(&self, kept: u64, disk: Option<(u64, u64)>) -> bool {
        let (all, free) = disk.unwrap_or((0, u64::MAX));
        let percent = match all {
            0 => 100.0,
            all => free as f64 / all as f64 * 100.0,
        };
        self.most_bytes.is_none_or(|most| kept <= most)
            && self.least_free.is_none_or(|least| free >= least)
            && self.least_free_percent.is_none_or(|least| percent >= least)
    }
}

/// What happened to something that a prune considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PruneFate {
    /// It was removed; in a dry run, it would be.
    Removed,
    /// It was removed in the meantime by another caller or program.
    Gone,
    /// It must be kept: the row says why.
    Spared,
    /// It could not be removed: the row says why.
    Failed,
}

/// One row of the report of a prune. There is at most one for each thing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneRow {
    /// What the row is about.
    pub item: Item,
    /// What its removal frees, as [`Usage`](crate::Usage) counts it: for a result, what no other result holds.
    pub bytes: u64,
    /// When it was last used.
    pub last_use: SystemTime,
    /// What happened to it.
    pub fate: PruneFate,
    /// Why it is kept; empty if it was removed.
    pub why: String,
}

/// What [`Store::prune`](crate::Store::prune) did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneReport {
    /// First what had to be kept, then what was tried, in that order.
    pub rows: Vec<PruneRow>,
    /// By how many bytes the free space on the engine's disk has grown, whatever the cause; 0 if it has shrunk. `None` if that
    /// disk is not accessible, or in a dry run.
    pub freed: Option<u64>,
    /// The size of what is left of the kinds that may be removed, as [`Usage`](crate::Usage) counts it.
    pub kept: u64,
    /// Whether all bounds of the policy hold now; in a dry run, whether they would.
    pub reached: bool,
}
