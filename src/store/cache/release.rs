//! Taking back: a lease becomes the next generation, or is removed. Nothing is decided without the cache's lock.

use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::store::cache::Caches;
use crate::store::cache::clone;
use crate::store::cache::clone::strategy::{Cloning, Seal};
use crate::store::cache::lease::Held;
use crate::store::cache::request::Released;
use crate::store::cache::state::folder::{Folder, closed};
use crate::store::cache::state::record::Record;
use crate::store::orphans;
use crate::store::site::Site;
use crate::wait::Wait;

impl Caches {
    /// Releases a lease. After an error it can be released again.
    pub(super) fn release(
        self: &Arc<Self>,
        site: &Arc<Site>,
        held: &Held,
        wait: Wait<'_>,
    ) -> Result<Released> {
        let began = Instant::now();
        site.check_root("releasing a lease")?;
        site.session.keep();
        let released =
            if held.record.shared.is_some() && !self.last_of_shared(site, held, true, wait)? {
                Released::Shared
            } else {
                self.publish(site, held, wait)
                    .inspect_err(|e| reopen(held, e, wait))?
            };
        held.turn.lock().take();
        held.folder.touch();
        let counters = &site.counters;
        counters.release_nanos.add_time(began.elapsed());
        match released {
            Released::Won(_) => counters.releases_won.add(1),
            Released::Lost => counters.releases_lost.add(1),
            Released::Unchanged => counters.releases_unchanged.add(1),
            Released::Shared => {}
        }
        Ok(released)
    }

    /// Gives a lease up, later and in the background.
    pub(super) fn discard(self: &Arc<Self>, site: &Arc<Site>, held: &Arc<Held>) {
        // The next one need not wait for that: what is given up changes nothing.
        held.turn.lock().take();
        let (caches, held) = (Arc::clone(self), Arc::clone(held));
        site.defer(move |site| {
            let cache = &held.folder.escaped;
            let discarded = caches.discard_now(site, &held);
            discarded
                .map_err(|e| e.context(format_args!("discarding a lease of the cache {cache}")))
        });
    }

    fn discard_now(self: &Arc<Self>, site: &Arc<Site>, held: &Held) -> Result<()> {
        let wait = Wait::unbounded();
        if held.record.shared.is_some() {
            // An earlier try may have come so far.
            if held.folder.lock(wait)?.record(&held.record.id)?.is_none() {
                return Ok(());
            }
            if !self.last_of_shared(site, held, false, wait)? {
                return Ok(());
            }
            let own = held.folder.lock(wait)?.record(&held.record.id)?;
            // Somebody who released it before counts on it.
            if own.as_ref().is_some_and(kept) {
                match self.publish(site, held, wait) {
                    Ok(_) => return Ok(()),
                    Err(e) => log::warn!("{e}; what others released of it is lost"),
                }
            }
        }
        self.give_up_now(site, &held.folder, &held.record, wait)
    }

    /// Removes the record of a lease and what only that one needed; later, where that cannot be done now.
    pub(super) fn give_up(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        record: &Record,
        wait: Wait<'_>,
    ) {
        if let Err(e) = self.give_up_now(site, folder, record, wait.clean_up()) {
            let (caches, folder, record) = (Arc::clone(self), Arc::clone(folder), record.clone());
            site.try_again(&e, move |site| {
                caches.give_up_now(site, &folder, &record, Wait::unbounded())
            });
        }
    }

    fn give_up_now(
        &self,
        site: &Arc<Site>,
        folder: &Folder,
        record: &Record,
        wait: Wait<'_>,
    ) -> Result<()> {
        if let Some(volume) = record.volumes.first() {
            site.lent.forget(volume);
        }
        let guard = folder.lock(wait)?;
        guard.remove_record(&record.id)?;
        let unneeded = guard.unneeded(site, record.names().map(str::to_owned))?;
        drop(guard);
        self.remove_later(site, unneeded);
        Ok(())
    }

    /// Leaves a shared lease. `true`: nobody else has it, and nobody can join any more.
    fn last_of_shared(&self, site: &Site, held: &Held, keep: bool, wait: Wait<'_>) -> Result<bool> {
        let guard = held.folder.lock(wait)?;
        let gone = || closed("releasing", &held.folder.escaped);
        let mut own = guard.record(&held.record.id)?.ok_or_else(gone)?;
        let group = |record: &Record| record.shared.as_ref().map(|shared| shared.group.clone());
        let others = guard
            .live_records(site)?
            .into_iter()
            .filter(|r| r.id != own.id && group(r) == group(&own));
        let mut alone = true;
        for mut other in others {
            alone = false;
            match &mut other.shared {
                Some(shared) if keep && !shared.keep => shared.keep = true,
                _ => continue,
            }
            guard.write_record(&other)?;
        }
        if alone {
            own.shared
                .iter_mut()
                .for_each(|shared| shared.closing = true);
            guard.write_record(&own)?;
        } else {
            guard.remove_record(&own.id)?;
        }
        Ok(alone)
    }

    /// Makes the lease the next generation, if it may be.
    fn publish(
        self: &Arc<Self>,
        site: &Arc<Site>,
        held: &Held,
        wait: Wait<'_>,
    ) -> Result<Released> {
        let (folder, record) = (&held.folder, &held.record);
        let facts = self.facts(site, wait)?;
        let cloning = clone::cloning_of(&facts, record);
        match cloning.detach(site, &record.volumes, wait) {
            Err(e)
                if e.kind() == ErrorKind::Busy
                    && orphans::remove_users(site, &record.volumes, wait)? =>
            {
                cloning.detach(site, &record.volumes, wait)?;
            }
            detached => detached?,
        }
        site.lent.uncover(&record.volumes[0]);
        let seal = match folder.read_head()? {
            // Nobody needs to know what it looks like.
            Some(head) if head.generation != record.base => None,
            None => None,
            Some(_) => Some(self.seal(site, held, &*cloning, wait)?),
        };

        let guard = folder.lock(wait)?;
        // A private one is its handle's, whoever removed the record.
        if record.shared.is_some() && guard.record(&record.id)?.is_none() {
            return Err(closed("releasing", &folder.escaped));
        }
        let mut given_up: Vec<String> = record.names().map(str::to_owned).collect();
        let mut grown = Vec::new();
        let released = match (seal, guard.head()?) {
            (Some(Seal::Unchanged), _) => Released::Unchanged,
            (Some(Seal::Changed(sealed)), Some(mut head)) if head.generation == record.base => {
                // Those of the head, not those that were cloned: they may have been compacted since, into the same tree.
                let parts = cloning.follow(&head.parts, sealed.part);
                for part in &head.parts {
                    if !parts.iter().any(|p| p.volume == part.volume) {
                        given_up.push(part.volume.clone());
                    }
                }
                head.parts = parts;
                head.root = sealed.root.or(head.root);
                head.generation += 1;
                head.deleted = false;
                guard.write_head(&head)?;
                grown = head.parts;
                Released::Won(head.generation)
            }
            _ => Released::Lost,
        };
        guard.remove_record(&record.id)?;
        let unneeded = guard.unneeded(site, given_up)?;
        drop(guard);
        site.lent.forget(&record.volumes[0]);
        self.remove_later(site, unneeded);
        self.compact_later(site, folder, &grown);
        Ok(released)
    }

    fn seal(
        &self,
        site: &Site,
        held: &Held,
        cloning: &dyn Cloning,
        wait: Wait<'_>,
    ) -> Result<Seal> {
        let Some(looks) = &held.record.looks else {
            return Ok(Seal::Gone);
        };
        let seal = cloning.seal(site, &held.record.volumes, looks, wait)?;
        if matches!(seal, Seal::Gone) {
            site.check_engine("releasing a lease", wait)?;
            log::warn!(
                "a lease of the cache {} is lost: somebody outside the store removed it",
                held.folder.escaped
            );
        }
        Ok(seal)
    }
}

/// Lets others join a shared lease again that could not be released because a container has it. After any other failure it
/// may be gone already, and waits to be released once more.
fn reopen(held: &Held, error: &Error, wait: Wait<'_>) {
    if held.record.shared.is_none() || error.kind() != ErrorKind::Busy {
        return;
    }
    let reopened = held.folder.lock(wait.clean_up()).and_then(|guard| {
        let Some(mut own) = guard.record(&held.record.id)? else {
            return Ok(());
        };
        own.shared
            .iter_mut()
            .for_each(|shared| shared.closing = false);
        guard.write_record(&own)
    });
    if let Err(e) = reopened {
        log::warn!("{e}");
    }
}

fn kept(record: &Record) -> bool {
    record.shared.as_ref().is_some_and(|shared| shared.keep)
}
