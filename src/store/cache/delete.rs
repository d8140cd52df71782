//! Deleting a cache. Its head is kept, emptied, with a higher generation: outstanding leases find that the cache has moved on,
//! and lose.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{ErrorKind, Result};
use crate::store::bounds::pins;
use crate::store::cache::Caches;
use crate::store::cache::adopt::left_by_obuilder;
use crate::store::cache::clone::volumes;
use crate::store::cache::state::folder::Folder;
use crate::store::cache::state::head::{Head, Part};
use crate::store::names::CacheName;
use crate::store::site::Site;
use crate::wait::Wait;

/// How often a delete checks again for containers that use a volume which was released during the check. A check takes
/// milliseconds and a release longer, so that a release during each of five checks is unlikely. After that, the delete
/// continues without another check.
const ROUNDS: u32 = 5;

/// The outcome of deleting a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deleted {
    Yes,
    /// It did not exist.
    No,
    /// It must be kept, for this reason.
    Stays(&'static str),
}

impl Caches {
    /// Removes a cache, and makes outstanding leases lose. Returns `false` if it does not exist.
    pub(crate) fn delete(
        self: &Arc<Self>,
        site: &Arc<Site>,
        name: &[u8],
        wait: Wait<'_>,
    ) -> Result<bool> {
        let deleted = self.delete_if(site, name, &|_| Ok(None), wait)?;
        Ok(deleted == Deleted::Yes)
    }

    /// Removes a cache that is not leased and not pinned, and whose last use was at `last_use`.
    pub(crate) fn delete_unused(
        self: &Arc<Self>,
        site: &Arc<Site>,
        name: &[u8],
        last_use: SystemTime,
        wait: Wait<'_>,
    ) -> Result<Deleted> {
        let escaped = CacheName::new(name)?;
        let why_stays = |folder: &Folder| {
            if folder.leases_out(site)? > 0 {
                return Ok(Some("it is leased"));
            }
            if pins::is_cache_pinned(site, escaped.as_str()) {
                return Ok(Some("it is pinned"));
            }
            let unused = folder.noted_use().is_none_or(|at| at == last_use);
            Ok((!unused).then_some("it was used in the meantime"))
        };
        self.delete_if(site, name, &why_stays, wait)
    }

    /// Records the pin of a cache. A removal that did not see the pin does not continue after this.
    pub(crate) fn pin(
        self: &Arc<Self>,
        site: &Arc<Site>,
        name: &[u8],
        wait: Wait<'_>,
    ) -> Result<bool> {
        site.check_open("pinning a cache")?;
        let escaped = CacheName::new(name)?;
        site.check_root("pinning a cache")?;
        let new = pins::pin_cache(site, name)?;
        let folder = self.folder(site, &escaped);
        if folder.exists() {
            drop(folder.lock(wait)?);
        }
        Ok(new)
    }

    /// `why_stays` is called with the cache's lock held.
    fn delete_if(
        self: &Arc<Self>,
        site: &Arc<Site>,
        name: &[u8],
        why_stays: &dyn Fn(&Folder) -> Result<Option<&'static str>>,
        wait: Wait<'_>,
    ) -> Result<Deleted> {
        site.check_open("deleting a cache")?;
        let escaped = CacheName::new(name)?;
        site.check_root("deleting a cache")?;
        let folder = self.folder(site, &escaped);
        let mut looked_at: Vec<String> = Vec::new();
        for round in 0.. {
            let seen = heal(&folder, name, folder.read_head())?;
            let left = match &seen {
                Some(_) => None,
                None => left_by_obuilder(site, &escaped, wait)?,
            };
            if seen.is_none() && left.is_none() && !folder.exists() {
                break;
            }
            let parts = seen.iter().flat_map(Head::all_parts).chain(&left);
            looked_at.extend(parts.map(|part| part.volume.clone()));
            looked_at.extend(seen.iter().filter_map(|head| head.adopted_from.clone()));
            let names: Vec<&str> = looked_at.iter().map(String::as_str).collect();
            let users = volumes::users(site, &names, wait)?;
            if !users.is_empty() {
                return Err(volumes::busy(
                    &format!("deleting the cache {}", folder.escaped),
                    &users,
                ));
            }

            let guard = folder.lock(wait)?;
            if let Some(why) = why_stays(&folder)? {
                return Ok(Deleted::Stays(why));
            }
            let now = heal(&folder, name, guard.head())?;
            let existed = left.is_some() || now.as_ref().is_some_and(|head| !head.deleted);
            let mut head = now.unwrap_or_else(|| Head::new(name));
            head.parts.extend(left);
            let unseen = |part: &Part| !looked_at.contains(&part.volume);
            // A release came in between, with a volume that has not been checked. If releases are always faster, the loop ends
            // anyway.
            if round < ROUNDS && head.all_parts().any(unseen) {
                continue;
            }
            let own = head.bury();
            match guard.write_head(&head) {
                // Deleting is what frees space.
                Err(e) if e.is_disk_full() && matches!(guard.head(), Ok(Some(_))) => {
                    guard.bury_head()?;
                }
                written => written?,
            }
            let unneeded = guard.unneeded(site, own.into_iter().map(|part| part.volume))?;
            drop(guard);
            self.remove_later(site, unneeded);
            if !head.retired.is_empty() {
                remove_retired(site, &folder, &head.retired, wait.clean_up());
            }
            return Ok(match existed {
                true => Deleted::Yes,
                false => Deleted::No,
            });
        }
        Ok(Deleted::No)
    }
}

/// Removes the volumes that an OBuilder store created, and forgets them: one that it creates later is a different volume.
fn remove_retired(site: &Site, folder: &Folder, retired: &BTreeSet<String>, wait: Wait<'_>) {
    let remove = |volume: &String| site.engine.remove_volume(volume, wait).map(drop);
    let removed = retired.iter().try_for_each(remove).and_then(|()| {
        let guard = folder.lock(wait)?;
        let Some(mut head) = guard.head()? else {
            return Ok(());
        };
        head.retired.retain(|volume| !retired.contains(volume));
        guard.write_head(&head)
    });
    if let Err(e) = removed {
        site.session.owe();
        log::warn!("{e}; a later open tries again");
    }
}

/// Replaces a head that cannot be read by one that is as new as the newest lease.
fn heal(folder: &Folder, name: &[u8], head: Result<Option<Head>>) -> Result<Option<Head>> {
    match head {
        Err(e) if e.kind() == ErrorKind::Corrupt => {
            log::warn!("{e}");
            let mut head = Head::new(name);
            head.generation = folder.newest_base()?;
            Ok(Some(head))
        }
        other => other,
    }
}
