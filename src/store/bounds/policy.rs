//! What a prune is asked for, and what it tells.

use std::time::{Duration, SystemTime};

use crate::error::{Error, ErrorKind, Result};
use crate::store::bounds::pins::Item;

/// What a prune is to bring a store to. One that asks for nothing removes nothing.
///
/// First goes what was [unused for](Self::unused_for) too long. Then, while there is more than [`most_bytes`](Self::most_bytes) or less
/// free than [`least_free`](Self::least_free) or [`least_free_percent`](Self::least_free_percent), what was used the longest ago; among
/// equals what was built in the shortest time. A result goes after those that were built on it.
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

/// What kinds of things go.
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
    /// One that asks for nothing.
    pub fn new() -> Self {
        Policy::default()
    }

    /// The most bytes that are to stay, of all kinds that may go together: as [`Usage`](crate::Usage) counts them. Caches that
    /// nobody has counted yet are counted first: as files, or else by asking the engine, which may take it seconds.
    pub fn most_bytes(&mut self, bytes: u64) -> &mut Self {
        self.most_bytes = Some(bytes);
        self
    }

    /// The least bytes that are to be free on the engine's disk, which must be of this machine and in sight.
    pub fn least_free(&mut self, bytes: u64) -> &mut Self {
        self.least_free = Some(bytes);
        self
    }

    /// The least that is to be free on the engine's disk, in percent as [`DiskFree`](crate::DiskFree) and df(1) say it.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for what is no number from 0 to 100.
    pub fn least_free_percent(&mut self, percent: f64) -> Result<&mut Self> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{percent} is no percentage"),
            ));
        }
        self.least_free_percent = Some(percent);
        Ok(self)
    }

    /// What nobody used for so long goes, however much room there is. A result goes alone then, if only those that were built on it are
    /// used: their layers stay.
    pub fn unused_for(&mut self, time: Duration) -> &mut Self {
        self.unused_for = Some(time);
        self
    }

    /// So many results stay at least.
    pub fn keep_results(&mut self, number: usize) -> &mut Self {
        self.keep = number;
        self
    }

    /// Results that were used within this time stay. By default a minute, while anybody but this store has the root open or where this
    /// store has told of a result itself; else no time. Whoever was told that a result is there has so long to begin something on it.
    pub fn spare(&mut self, time: Duration) -> &mut Self {
        self.spare = Some(time);
        self
    }

    /// Whether results may go, with their logs; they may by default.
    pub fn results(&mut self, may: bool) -> &mut Self {
        self.kinds.results = may;
        self
    }

    /// Whether caches may go; they may by default.
    pub fn caches(&mut self, may: bool) -> &mut Self {
        self.kinds.caches = may;
        self
    }

    /// Whether logs may go by themselves: those of builds that failed, and of results that stay. They may not by default.
    pub fn logs(&mut self, may: bool) -> &mut Self {
        self.kinds.logs = may;
        self
    }

    /// Whether to tell only what would go; `false` by default.
    pub fn dry_run(&mut self, dry_run: bool) -> &mut Self {
        self.dry_run = dry_run;
        self
    }

    /// Whether it asks how much is free.
    pub(crate) fn needs_disk(&self) -> bool {
        self.least_free.is_some() || self.least_free_percent.is_some()
    }

    /// Whether this is enough: so many bytes kept, and of a disk of so many bytes so many free.
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

/// What became of something that a prune looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PruneFate {
    /// It was removed; in a dry run, it would be.
    Removed,
    /// Somebody else removed it meanwhile.
    Gone,
    /// It must stay: the row says why.
    Spared,
    /// It could not be removed: the row says why.
    Failed,
}

/// A line of what a prune did. Each thing has one at most.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneRow {
    /// What it is about.
    pub item: Item,
    /// What goes with it, by the count of [`Usage`](crate::Usage): of a result what no other holds.
    pub bytes: u64,
    /// When it was used last.
    pub last_use: SystemTime,
    /// What became of it.
    pub fate: PruneFate,
    /// Why it stayed; empty for what went.
    pub why: String,
}

/// What [`Store::prune`](crate::Store::prune) did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneReport {
    /// First what had to stay, then what was tried, in that order.
    pub rows: Vec<PruneRow>,
    /// By how many bytes the engine's disk has more free than before, whoever did that; 0 where it has less. `None` where that disk is
    /// not in sight, or in a dry run.
    pub freed: Option<u64>,
    /// What is kept now of the kinds that may go, as [`Usage`](crate::Usage) counts it.
    pub kept: u64,
    /// Whether all that was asked for is reached; in a dry run, would be.
    pub reached: bool,
}
