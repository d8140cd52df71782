//! Caches: named, versioned directory trees, leased to steps as private copies and released as the next generation.
//!
//! A cache consists of a directory of small files in the root (its [head], its lock, a [record] of each lease) and of volumes
//! on the engine. How the data of a clone is stored depends on the [strategy]; everything else is the same for all.

mod acquire;
mod adopt;
mod clone;
mod compact;
mod delete;
mod durable;
mod facts;
mod files;
mod keeper;
mod lease;
mod listing;
mod lose;
mod probe;
mod purge;
mod reach;
mod release;
mod request;
pub(crate) mod sizes;
mod state;
mod verdict;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub(crate) use self::clone::volumes::session_in_name;
pub(crate) use self::delete::Deleted;
pub use self::lease::Lease;
pub use self::request::{CacheInfo, CacheMode, CacheRequest, Released};

use self::clone::volumes;
use self::facts::Facts;
use self::keeper::Keeper;
use self::state::folder::Folder;
use crate::cancel::Cancel;
use crate::engine::stopped;
use crate::error::Result;
use crate::store::deletes::Lane;
use crate::store::names::CacheName;
use crate::store::options::Strategy;
use crate::store::site::Site;
use crate::wait::Wait;

/// How often a thread that waits for another's probe checks its own cancel. The cancel is noticed late by up to this much,
/// because a mutex cannot be polled together with it. The same holds for all waits for another thread of this process.
const LOOK: Duration = Duration::from_millis(20);

/// How long closing a store waits for the disk, and for half of it for merges. A tool that opens a store, takes a lease,
/// releases it and closes the store leaves no other time for either. It is enough for merging some 50,000 files, and for
/// writing some hundred megabytes to a disk. What is not done by then is done by the next open of the root.
const CLOSING: Duration = Duration::from_secs(2);

/// What one open store knows of its caches, beyond what is on disk.
#[derive(Default)]
pub(crate) struct Caches {
    /// One for each cache that was used, by its escaped name; it contains the mutex.
    folders: Mutex<HashMap<String, Arc<Folder>>>,
    /// With the number of the engine that they hold for: another may have answered since.
    facts: Mutex<Option<(u64, Arc<Facts>)>>,
    /// Triggered when the store closes.
    closing: Cancel,
    keeper: Keeper,
    /// The identifier of this boot of the machine.
    boot: OnceLock<String>,
}

/// How caches are cloned, and why; and whether volumes are accessed directly.
pub(crate) struct Found {
    pub(crate) strategy: Strategy,
    pub(crate) why: String,
    pub(crate) reach: bool,
}

impl Caches {
    fn folder(&self, site: &Site, name: &CacheName) -> Arc<Folder> {
        self.folder_of(site, name.as_str())
    }

    fn folder_of(&self, site: &Site, escaped: &str) -> Arc<Folder> {
        let mut folders = self.folders.lock();
        let folder = folders
            .entry(escaped.to_owned())
            .or_insert_with(|| Arc::new(Folder::new(site, escaped)));
        Arc::clone(folder)
    }

    /// Returns what works on this engine, tried the first time it is needed.
    fn facts(&self, site: &Site, wait: Wait<'_>) -> Result<Arc<Facts>> {
        let mut known = loop {
            let doing = "waiting for the engine to be probed";
            let pause = wait
                .left()
                .map_err(|stop| stopped(&doing, stop))?
                .map_or(LOOK, |left| left.min(LOOK));
            if let Some(known) = self.facts.try_lock_for(pause) {
                break known;
            }
        };
        // An engine that was upgraded may behave differently.
        let engine = site.engine.changes();
        if let Some((of, facts)) = &*known {
            if *of == engine {
                return Ok(Arc::clone(facts));
            }
        }
        let facts = Arc::new(probe::facts(site, wait)?);
        log::info!("caches are cloned by {:?}: {}", facts.strategy, facts.why);
        *known = Some((engine, Arc::clone(&facts)));
        Ok(facts)
    }

    /// Returns whether layers can be merged as files, as far as that is known.
    fn merges_as_known(&self) -> bool {
        // Without waiting: another thread may be querying the engine just now.
        let known = self.facts.try_lock();
        known.is_some_and(|known| known.as_ref().is_some_and(|(_, facts)| facts.merges()))
    }

    /// Returns how caches are cloned, and why. Finds it out if it is not known yet.
    pub(crate) fn strategy(&self, site: &Site, wait: Wait<'_>) -> Result<(Strategy, String)> {
        site.check_open("finding out how caches are cloned")?;
        let facts = self.facts(site, wait)?;
        Ok((facts.strategy, facts.why.clone()))
    }

    /// The same, and whether volumes are accessed directly.
    pub(crate) fn found(&self, site: &Site, wait: Wait<'_>) -> Result<Found> {
        let facts = self.facts(site, wait)?;
        Ok(Found {
            strategy: facts.strategy,
            why: facts.why.clone(),
            reach: facts.reach,
        })
    }

    /// Removes volumes in the background. They cannot be needed again: that was decided under the cache's lock.
    fn remove_later(&self, site: &Arc<Site>, volumes: Vec<String>) {
        for volume in volumes {
            site.defer(move |site| volumes::remove(site, &volume, Wait::unbounded()).map(drop));
        }
    }

    /// Ends the work in the background, in a bounded time, because the store is closing.
    pub(crate) fn close(&self, site: &Site, wait: Wait<'_>) {
        let until = Instant::now() + CLOSING;
        let merges = wait.at_most(CLOSING / 2);
        let _ = site.deletes.wait_idle(Some(Lane::Long), merges);
        self.closing.cancel();
        // Merged layers are synced, too.
        let left = until.saturating_duration_since(Instant::now());
        let _ = site.deletes.wait_idle(Some(Lane::Long), wait.at_most(left));
        if !self.keeper.finish(wait.at_most(left)) {
            // The next open checks it.
            site.session.owe();
        }
    }

    /// Ends the work in the background without waiting for it.
    pub(crate) fn give_up_work(&self, site: &Site) {
        self.closing.cancel();
        if !self.keeper.end() {
            site.session.owe();
        }
    }

    /// Syncs released caches now, so that the generations kept for a power failure can be removed. Does not wait for the sync.
    pub(crate) fn hurry(&self, wait: Wait<'_>) -> Result<()> {
        let hurried = self.keeper.hurry(wait);
        hurried.map_err(|stop| stopped(&"completing deletes", stop))
    }
}
