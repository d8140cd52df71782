//! Releasing: a lease becomes the next generation, or is removed. Every decision is made under the cache's lock.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::store::cache::Caches;
use crate::store::cache::clone;
use crate::store::cache::clone::strategy::{Cloning, Seal};
use crate::store::cache::facts::Facts;
use crate::store::cache::lease::Held;
use crate::store::cache::request::Released;
use crate::store::cache::sizes::{self, Sizes};
use crate::store::cache::state::folder::{Folder, Guard, closed};
use crate::store::cache::state::group::Group;
use crate::store::cache::state::head::{Head, Part};
use crate::store::cache::state::record::Record;
use crate::store::cache::verdict::{Offer, Verdict, decide};
use crate::store::orphans;
use crate::store::site::Site;
use crate::wait::Wait;

/// The state of a shared lease after a holder has left it.
enum Left {
    /// It has other holders.
    Others,
    /// It has no other holder. `keep`: it has to be published.
    Last { keep: bool },
}

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
        site.keep_session();
        let left = match &held.record.group {
            Some(group) => self.leave(site, held, group, true, wait)?,
            None => Left::Last { keep: true },
        };
        let released = match left {
            Left::Others => Released::Shared,
            Left::Last { .. } => self
                .publish(site, held, wait)
                .inspect_err(|e| reopen(site, held, e, wait))?,
        };
        held.turn.lock().take();
        held.folder.touch();
        let counters = &site.counters;
        counters.release_nanos.add_time(began.elapsed());
        match released {
            Released::Won(_) => counters.releases_won.add(1),
            Released::Lost => counters.releases_lost.add(1),
            Released::Unchanged => counters.releases_unchanged.add(1),
            Released::TooLarge => counters.releases_too_large.add(1),
            Released::Shared => {}
        }
        Ok(released)
    }

    /// Discards a lease, in the background.
    pub(super) fn discard(self: &Arc<Self>, site: &Arc<Site>, held: &Arc<Held>) {
        // The next holder need not wait for the removal: a discarded lease changes nothing.
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
        if let Some(group) = &held.record.group {
            // An earlier try may have come this far.
            if held.folder.lock(wait)?.record(&held.record.id)?.is_none() {
                return Ok(());
            }
            match self.leave(site, held, group, false, wait)? {
                Left::Others => return Ok(()),
                // Another holder has released it before, and relies on it.
                Left::Last { keep: true } => match self.publish(site, held, wait) {
                    Ok(_) => return Ok(()),
                    Err(e) => log::warn!(
                        "{e}; changes released by other holders of this shared lease are lost"
                    ),
                },
                Left::Last { keep: false } => {}
            }
        }
        self.give_up_now(site, &held.folder, &held.record, wait)
    }

    /// Publishes the shared lease that one of its holders has released, after its last holder was killed.
    pub(super) fn publish_kept(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        wait: Wait<'_>,
    ) -> Result<()> {
        let kept = folder.lock(wait)?.kept(site)?;
        let Some(record) = kept else { return Ok(()) };
        let held = Held {
            folder: Arc::clone(folder),
            record,
            turn: Mutex::new(None),
        };
        self.publish(site, &held, wait).map(drop)
    }

    /// Removes the record of a lease and everything that only the lease needed; in the background if it cannot be done now.
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
        end(&guard, record)?;
        let left = guard.left_of(site, record, [])?;
        drop(guard);
        self.remove_later(site, left);
        Ok(())
    }

    /// Leaves a shared lease. If there is no other holder, it can no longer be joined either.
    fn leave(
        &self,
        site: &Site,
        held: &Held,
        group: &str,
        keep: bool,
        wait: Wait<'_>,
    ) -> Result<Left> {
        let (own, guard) = (&held.record.id, held.folder.lock(wait)?);
        if guard.record(own)?.is_none() {
            return Err(closed("releasing", &held.folder.escaped));
        }
        if let Some(mut others) = guard.leave_group(site, group, own)? {
            others.keep |= keep;
            guard.write_group(&others)?;
            guard.remove_record(own)?;
            return Ok(Left::Others);
        }
        let found = guard.group(site)?.filter(|found| found.id() == group);
        let mut last = found.unwrap_or_else(|| Group::new(&held.record));
        last.closing = true;
        guard.write_group(&last)?;
        Ok(Left::Last { keep: last.keep })
    }

    /// Makes the lease the next generation, if it may become that.
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
        let offer = match folder.read_head()? {
            Some(head) if head.generation == record.base => {
                Offer::Sealed(self.seal(site, held, &*cloning, wait)?)
            }
            // It will not be published, so its state is not needed.
            _ => Offer::Unseen,
        };
        let offer = self.measured(site, folder, offer, &facts, &*cloning, wait)?;

        let guard = folder.lock(wait)?;
        // A private lease belongs to its handle, even if its record was removed.
        if record.group.is_some() && guard.record(&record.id)?.is_none() {
            return Err(closed("releasing", &folder.escaped));
        }
        let mut given_up = Vec::new();
        let mut grown = None;
        let head = guard.head()?;
        let released = match (decide(offer, head.as_ref(), record.base), head) {
            (Verdict::TooLarge, Some(head)) => {
                self.merge_whole_later(site, folder, &head.parts);
                Released::TooLarge
            }
            (Verdict::Unchanged, _) => Released::Unchanged,
            (Verdict::Wins(mut sealed), Some(mut head)) => {
                let (before, parts) = (head.state(), head.all_parts().cloned().collect::<Vec<_>>());
                sealed.part.generation = head.generation + 1;
                // The parts of the head, not those that were cloned: they may have been compacted since, into the same tree.
                head.parts = cloning.follow(&head.parts, sealed.part);
                head.root = sealed.root.or(head.root);
                head.generation += 1;
                head.deleted = false;
                head.note(self.written(site, &facts), before);
                given_up = replaced(parts, &head);
                guard.write_head(&head)?;
                let generation = head.generation;
                grown = Some(head);
                Released::Won(generation)
            }
            (verdict, _) => {
                if let Verdict::Loses(why) = verdict {
                    log::debug!(
                        "a lease of the cache {} is discarded: {why}",
                        folder.escaped
                    );
                }
                Released::Lost
            }
        };
        end(&guard, record)?;
        let left = guard.left_of(site, record, given_up)?;
        drop(guard);
        site.lent.forget(&record.volumes[0]);
        self.remove_later(site, left);
        if let Some(head) = grown {
            self.compact_later(site, folder, &head.parts);
            self.keep_later(site, folder, &head);
        }
        Ok(released)
    }

    /// Measures what the cache would hold, if it has a limit. No lock is held, because this examines every file.
    fn measured(
        &self,
        site: &Site,
        folder: &Folder,
        offer: Offer,
        facts: &Facts,
        cloning: &dyn Cloning,
        wait: Wait<'_>,
    ) -> Result<Offer> {
        let limit = sizes::limit(site, &folder.escaped);
        let (mut sealed, most) = match (offer, limit) {
            (Offer::Sealed(Seal::Changed(sealed)), Some(most)) => (sealed, most),
            (offer, _) => return Ok(offer),
        };
        if !facts.reach {
            log::warn!(
                "the limit of the cache {} is not checked: this process cannot access the engine's volumes directly",
                folder.escaped
            );
            return Ok(Offer::Sealed(Seal::Changed(sealed)));
        }
        let mut sizes = Sizes::default();
        sealed.part.size = Some(sizes.of(&sealed.part, wait)?);
        let parts = folder.read_head()?.map(|head| head.parts);
        let mut bytes = 0;
        for part in cloning.follow(&parts.unwrap_or_default(), sealed.part.clone()) {
            // A part that was merged in the meantime is counted with what it was merged into.
            bytes += sizes.of(&part, wait).map_or(0, |size| size.bytes);
        }
        Ok(match bytes > most {
            true => {
                log::info!(
                    "the cache {} would hold {bytes} bytes, and {most} is its limit: the release was discarded",
                    folder.escaped
                );
                Offer::TooLarge
            }
            false => Offer::Sealed(Seal::Changed(sealed)),
        })
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
                "a lease of the cache {} is lost: something other than this store removed it",
                held.folder.escaped
            );
        }
        Ok(seal)
    }
}

/// Returns the volumes of those `parts` that the head no longer names, except volumes that this store did not create.
pub(super) fn replaced(parts: Vec<Part>, head: &Head) -> Vec<String> {
    let is_kept = |part: &Part| head.volumes().any(|kept| kept == part.volume);
    parts
        .into_iter()
        .filter(|part| !part.adopted && !is_kept(part))
        .map(|part| part.volume)
        .collect()
}

/// Allows others again to join a shared lease that could not be released because a container has it. After any other failure
/// the lease may no longer exist; it has to be released once more.
fn reopen(site: &Site, held: &Held, error: &Error, wait: Wait<'_>) {
    let Some(id) = held.record.group.as_ref() else {
        return;
    };
    if error.kind() != ErrorKind::Busy {
        return;
    }
    let reopened = held.folder.lock(wait.clean_up()).and_then(|guard| {
        match guard.group(site)?.filter(|group| group.id() == id) {
            Some(mut group) => {
                group.closing = false;
                guard.write_group(&group)
            }
            None => Ok(()),
        }
    });
    if let Err(e) = reopened {
        log::warn!("{e}");
    }
}

/// Removes the record of a lease; for a shared one, also its group: it has no other holder.
fn end(guard: &Guard<'_>, record: &Record) -> Result<()> {
    if let Some(group) = &record.group {
        guard.end_group(group)?;
    }
    guard.remove_record(&record.id)?;
    Ok(())
}
