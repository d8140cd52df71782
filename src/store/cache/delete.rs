//! Deleting a cache. Its head stays, emptied, with a raised generation: leases that are out find it moved on, and lose.

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

/// How often a delete looks again for containers that have a volume which was released while it looked. A look takes
/// milliseconds and a release longer, so one in each of five looks is unlikely. After that the delete goes on without a further
/// look.
const ROUNDS: u32 = 5;

/// What became of a cache that was to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deleted {
    Yes,
    /// There was none.
    No,
    /// It must stay, and why.
    Stays(&'static str),
}

impl Caches {
    /// Removes a cache, and makes the leases that are out lose. `false`: there was none.
    pub(crate) fn delete(
        self: &Arc<Self>,
        site: &Arc<Site>,
        name: &[u8],
        wait: Wait<'_>,
    ) -> Result<bool> {
        let deleted = self.delete_if(site, name, &|_| Ok(None), wait)?;
        Ok(deleted == Deleted::Yes)
    }

    /// Removes a cache that nobody has leased, that is not pinned, and that was used last at `last_use`.
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
            Ok((!unused).then_some("it was used meanwhile"))
        };
        self.delete_if(site, name, &why_stays, wait)
    }

    /// Notes the pin of a cache. No removal that did not see it goes on after this.
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

    /// `why_stays` is asked with the cache's lock held.
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
            // A release came in between, with a volume that has not been looked at. One that is always faster is not waited for.
            if round < ROUNDS && head.all_parts().any(unseen) {
                continue;
            }
            let own = head.bury();
            match guard.write_head(&head) {
                // To delete is what makes room.
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

/// Removes the volumes that an OBuilder store made, and forgets them: one that it makes later is another.
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

/// A head that cannot be read is replaced by one that is as new as the newest lease.
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
