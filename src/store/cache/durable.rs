//! Caches and power failures. A head is on disk as soon as it is written; the files of the volumes that it names are not. So a
//! head whose files may not be on disk yet also keeps the newest generation that is certainly on disk. If it is found in
//! another boot of the machine, the cache goes back to that generation. Some seconds after a release, one thread syncs the file
//! system, and records that in the heads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::store::cache::Caches;
use crate::store::cache::facts::Facts;
use crate::store::cache::files::walk;
use crate::store::cache::release::replaced;
use crate::store::cache::sizes::Sizes;
use crate::store::cache::state::folder::{Folder, Guard};
use crate::store::cache::state::head::{Durable, Head, Part, Written};
use crate::store::cache::state::record::{COMPACTION, Record};
use crate::store::clock;
use crate::store::site::Site;
use crate::wait::Wait;

/// How long the files of a cache may be counted while the head is written anyway and the files are in memory. A close waits for
/// this; larger caches are counted by a merge or a listing.
const COUNTING: Duration = Duration::from_millis(100);

/// A cache as it was before a sync.
struct Pinned {
    folder: Arc<Folder>,
    state: Durable,
    sizes: Sizes,
    /// Keeps its volumes from being removed: a volume that a release or a merge replaces in the meantime is one that the cache
    /// may have to go back to.
    record: Record,
}

/// Pins the current state of a cache, if a sync of these disks makes it durable.
fn pin(
    site: &Site,
    folder: &Arc<Folder>,
    disks: &mut BTreeMap<u64, PathBuf>,
) -> Result<Option<Pinned>> {
    let guard = folder.lock(Wait::unbounded())?;
    let Some(head) = guard.head()? else {
        return Ok(None);
    };
    let Some(unsure) = &head.unsure else {
        return Ok(None);
    };
    let durable = |part: &&Part| {
        let mut parts = unsure.durable.parts.iter();
        parts.any(|p| p.volume == part.volume)
    };
    for part in head.parts.iter().filter(|part| !durable(part)) {
        // Not accessible to this process because another user owns it, or no longer there.
        let Ok(disk) = walk::disk(Path::new(&part.mountpoint)) else {
            return Ok(None);
        };
        disks.insert(disk, PathBuf::from(&part.mountpoint));
    }
    let record = Record::pin(format!("{}{COMPACTION}", site.session.unique()), &head);
    guard.write_record(&record)?;
    drop(guard);
    let mut sizes = Sizes::default();
    let wait = Wait::unbounded().at_most(COUNTING);
    for part in &head.parts {
        let _ = sizes.of(part, wait);
    }
    Ok(Some(Pinned {
        folder: Arc::clone(folder),
        state: head.state(),
        sizes,
        record,
    }))
}

impl Caches {
    /// Syncs what was just released or merged to disk, after a delay.
    pub(super) fn keep_later(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        head: &Head,
    ) {
        if head.unsure.is_some() {
            self.keeper.note(folder);
            self.keep_found(site);
        }
    }

    /// Returns how a part that was just sealed or merged has been written.
    pub(super) fn written(&self, site: &Site, facts: &Facts) -> Written<'_> {
        match (facts.reach, site.cache_options.sync) {
            (false, _) => Written::OutOfReach,
            (true, true) => Written::Synced,
            (true, false) => Written::InBoot(self.boot.get_or_init(clock::boot)),
        }
    }

    /// Like [`keep_later`](Self::keep_later), for caches that were found when the store was opened: the process that released
    /// them has terminated.
    pub(crate) fn keep_found(self: &Arc<Self>, site: &Arc<Site>) {
        // Weak references, because a store that is dropped without being closed ends its session without waiting for this
        // thread.
        let (caches, site) = (Arc::downgrade(self), Arc::downgrade(site));
        self.keeper.start(move |folders, may_mark| {
            if let Some((caches, site)) = caches.upgrade().zip(site.upgrade()) {
                caches.sync(&site, folders, may_mark);
            }
        });
    }

    /// Syncs what was released to these caches to disk, and records that in their heads.
    fn sync(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folders: Vec<Arc<Folder>>,
        may_mark: &dyn Fn() -> bool,
    ) {
        let mut disks: BTreeMap<u64, PathBuf> = BTreeMap::new();
        let mut seen = Vec::new();
        for folder in folders {
            match pin(site, &folder, &mut disks) {
                Ok(Some(pinned)) => seen.push(pinned),
                Ok(None) => {}
                Err(e) => {
                    log::debug!("checking whether a cache is on disk: {e}");
                    self.keeper.note(&folder);
                }
            }
        }
        let synced = disks.values().try_for_each(|path| walk::sync(path));
        let go_on = may_mark();
        if let Err(e) = &synced {
            log::warn!("{e}; a power failure may lose what was released since the last sync");
        }
        for pinned in seen {
            // Too late; the next open of the root finds it.
            if !go_on {
                continue;
            }
            let marked = match &synced {
                Ok(()) => self.mark(site, &pinned),
                Err(_) => {
                    self.keeper.note(&pinned.folder);
                    Ok(())
                }
            };
            if let Err(e) = marked {
                log::warn!("{e}; a power failure may lose what was released to this cache");
            }
            self.give_up(site, &pinned.folder, &pinned.record, Wait::unbounded());
        }
    }

    /// Records in the head that this is on disk, and releases the older generation for removal.
    fn mark(&self, site: &Arc<Site>, pinned: &Pinned) -> Result<()> {
        let folder = &pinned.folder;
        let guard = folder.lock(Wait::unbounded())?;
        let Some(mut head) = guard.head()? else {
            return Ok(());
        };
        let before = head.all_parts().cloned().collect();
        if !head.mark(&pinned.state) {
            return Ok(());
        }
        pinned.sizes.note(&mut head);
        guard.write_head(&head)?;
        let unneeded = guard.unneeded(site, replaced(before, &head))?;
        drop(guard);
        self.remove_later(site, unneeded);
        Ok(())
    }

    /// Restores the state that certainly was on disk, if the power has failed since. Returns the volumes that are left over.
    pub(super) fn go_back(
        &self,
        folder: &Arc<Folder>,
        guard: &Guard<'_>,
        head: &mut Head,
    ) -> Result<Vec<String>> {
        let (before, newest) = (head.all_parts().cloned().collect(), head.generation);
        let Some(durable) = head.go_back(self.boot.get_or_init(clock::boot)) else {
            if head.unsure.is_some() {
                self.keeper.note(folder);
            }
            return Ok(Vec::new());
        };
        if durable < newest {
            log::warn!(
                "the machine went down before generations {} to {newest} of the cache {} were certainly on disk: they are dropped, \
                 and generation {} has the contents of generation {durable}",
                durable + 1,
                folder.escaped,
                head.generation
            );
        }
        guard.write_head(head)?;
        Ok(replaced(before, head))
    }
}
