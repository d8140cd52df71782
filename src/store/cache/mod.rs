//! Caches: named, versioned directory trees, lent to steps as private copies and taken back as the next generation.
//!
//! A cache is a folder of small files in the root (its [head], its lock, a [record] of each lease) and volumes on the engine.
//! What the bytes of a clone are is the business of a [strategy]; everything else is the same for all.

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

/// How long a thread waits for another's probe between looks at its own cancel: by so much that is heard late. Of all waits for
/// another thread of this process, as a mutex cannot be waited for beside a cancel.
const LOOK: Duration = Duration::from_millis(20);

/// How long closing a store waits for the disk, and for half of it for merges. A tool that opens a store, takes a lease, releases it
/// and closes has no other time for either. It suffices to merge some 50,000 files, and for some hundred megabytes on their way
/// to a disk; what is not done then is done by whoever opens the root next.
const CLOSING: Duration = Duration::from_secs(2);

/// What one open store knows of its caches, beyond what is on disk.
#[derive(Default)]
pub(crate) struct Caches {
    /// One for each cache that was used, by its escaped name: they hold the mutexes.
    folders: Mutex<HashMap<String, Arc<Folder>>>,
    /// And of which of the engines that have answered so far.
    facts: Mutex<Option<(u64, Arc<Facts>)>>,
    /// Turned on when the store closes.
    closing: Cancel,
    keeper: Keeper,
    /// What this boot of the machine is called.
    boot: OnceLock<String>,
}

/// How caches are cloned, and why so; and whether volumes are reached as files.
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

    /// What works on this engine: tried the first time that somebody needs to know.
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
        // An engine that was upgraded may do other things.
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

    /// Whether layers can be merged as files, as far as that is known.
    fn merges_as_known(&self) -> bool {
        // Not waited for: somebody may be asking the engine just now.
        let known = self.facts.try_lock();
        known.is_some_and(|known| known.as_ref().is_some_and(|(_, facts)| facts.merges()))
    }

    /// How caches are cloned, and why so. Finds out if nobody has yet.
    pub(crate) fn strategy(&self, site: &Site, wait: Wait<'_>) -> Result<(Strategy, String)> {
        site.check_open("asking how caches are cloned")?;
        let facts = self.facts(site, wait)?;
        Ok((facts.strategy, facts.why.clone()))
    }

    /// The same, and whether volumes are reached as files.
    pub(crate) fn found(&self, site: &Site, wait: Wait<'_>) -> Result<Found> {
        let facts = self.facts(site, wait)?;
        Ok(Found {
            strategy: facts.strategy,
            why: facts.why.clone(),
            reach: facts.reach,
        })
    }

    /// Removes volumes in the background. Nobody can come to need them again: that was decided under the cache's lock.
    fn remove_later(&self, site: &Arc<Site>, volumes: Vec<String>) {
        for volume in volumes {
            site.defer(move |site| volumes::remove(site, &volume, Wait::unbounded()).map(drop));
        }
    }

    /// Ends what goes on in the background, in a bounded time: the store closes.
    pub(crate) fn close(&self, site: &Site, wait: Wait<'_>) {
        let until = Instant::now() + CLOSING;
        let merges = wait.at_most(CLOSING / 2);
        let _ = site.deletes.wait_idle(Some(Lane::Long), merges);
        self.closing.cancel();
        // What is merged is sent to the disk, too.
        let left = until.saturating_duration_since(Instant::now());
        let _ = site.deletes.wait_idle(Some(Lane::Long), wait.at_most(left));
        if !self.keeper.finish(wait.at_most(left)) {
            // The next open looks.
            site.session.owe();
        }
    }

    /// Ends what goes on in the background: nobody waits for it.
    pub(crate) fn give_up_work(&self, site: &Site) {
        self.closing.cancel();
        if !self.keeper.end() {
            site.session.owe();
        }
    }

    /// Has what is released sent to the disk now, so that what there was to go back to can be removed. Does not wait for it.
    pub(crate) fn hurry(&self, wait: Wait<'_>) -> Result<()> {
        let hurried = self.keeper.hurry(wait);
        hurried.map_err(|stop| stopped(&"completing deletes", stop))
    }
}
