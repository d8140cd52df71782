//! Removing what terminated processes left of their leases, and what an OBuilder store left of its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::local as fs;
use crate::store::cache::Caches;
use crate::store::cache::clone::volumes;
use crate::store::cache::state::folder::{self, Folder};
use crate::store::cache::state::head::Head;
use crate::store::cache::state::record::Record;
use crate::store::deletes::Lane;
use crate::store::ownership::{LABEL_CACHE, LABEL_SESSION};
use crate::store::session::{self, Life};
use crate::store::site::Site;
use crate::wait::Wait;

/// How long a purge waits for a cache that another process is working on, before it leaves it to the next purge. A cache's lock
/// is held for moments, unless its holder is stopped (by a debugger or SIGSTOP). An open must not wait for that, and loses
/// nothing if it does not.
const PATIENCE: Duration = Duration::from_secs(30);

/// A purge of volumes in progress.
struct Purge<'a> {
    wait: Wait<'a>,
    caches: &'a Arc<Caches>,
    site: &'a Arc<Site>,
    lives: HashMap<String, Life>,
    /// Volumes to remove.
    left: Vec<String>,
    removed: u64,
    /// Nothing failed: all leftovers of stale sessions are removed.
    clean: bool,
}

impl Caches {
    /// Removes volumes that no cache and no active session needs, and records of stale sessions; with `everything`, also what
    /// an OBuilder store has leased and left. Returns how many volumes were removed, and whether everything that had to be
    /// removed was.
    pub(crate) fn purge(
        self: &Arc<Self>,
        site: &Arc<Site>,
        everything: bool,
        wait: Wait<'_>,
    ) -> Result<(u64, bool)> {
        let prefix = format!("{}-", site.names.prefix());
        // Listed before any session is found stale: what a session creates after this is not in the list.
        let found = site.engine.list_volumes(&prefix, wait)?;
        let mut purge = Purge {
            caches: self,
            site,
            wait,
            lives: HashMap::new(),
            left: Vec::new(),
            removed: 0,
            clean: true,
        };
        // By cache: the volumes of stale sessions, and those of unknown sessions.
        let mut left: BTreeMap<String, Vec<(String, Life)>> = BTreeMap::new();
        for volume in found {
            if !volume.name.starts_with(&prefix) {
                continue;
            }
            if volumes::is_ours(site, &volume) {
                let life = purge.life(volume.label(LABEL_SESSION).unwrap_or_default())?;
                match volume.label(LABEL_CACHE) {
                    _ if life == Life::Alive => {}
                    None | Some("") if life == Life::Dead => purge.remove(&volume.name),
                    Some(cache) if folder::is_escaped(cache) => {
                        let of_cache = left.entry(cache.to_owned()).or_default();
                        of_cache.push((volume.name, life));
                    }
                    _ => {}
                }
            } else if volumes::is_made_up(site, &volume) {
                // This happens to a container that was still being created when its session was found stale.
                let session = volumes::session_in_name(site.names.prefix(), &volume.name);
                if purge.life(session.unwrap_or_default())? == Life::Dead {
                    purge.remove(&volume.name);
                }
            } else if everything
                && volume.labels.iter().all(HashMap::is_empty)
                && is_obuilders_lease(site.names.prefix(), &volume.name)
            {
                match site.engine.remove_volume(&volume.name, wait) {
                    Ok(removed) => purge.removed += u64::from(removed),
                    Err(e) => log::info!("purging: {e}"),
                }
            }
        }
        for cache in folder::all(&site.paths.caches())? {
            left.entry(cache).or_default();
        }
        for (cache, candidates) in left {
            let folder = self.folder_of(site, &cache);
            if let Err(e) = purge.cache(&folder, candidates) {
                log::warn!("purging the cache {cache}: {e}; left for the next purge");
                purge.clean = false;
            }
        }
        purge.remove_all();
        remove_folders(site);
        Ok((purge.removed, purge.clean))
    }
}

impl Purge<'_> {
    fn life(&mut self, session: &str) -> Result<Life> {
        if let Some(known) = self.lives.get(session) {
            return Ok(*known);
        }
        let life = session::life(&self.site.paths.sessions(), session)?;
        self.lives.insert(session.to_owned(), life);
        Ok(life)
    }

    /// Records a volume that is not needed.
    fn remove(&mut self, volume: &str) {
        self.left.push(volume.to_owned());
    }

    /// Removes the recorded volumes, several at a time: the engine is slow with each. A volume that a container has is retried
    /// while this session is active, and left for the next purge.
    fn remove_all(&mut self) {
        let (removed, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        for volume in self.left.drain(..) {
            let (removed, failed) = (Arc::clone(&removed), Arc::clone(&failed));
            let job =
                move |site: &Arc<Site>| match volumes::remove(site, &volume, Wait::unbounded()) {
                    Ok(gone) => {
                        removed.fetch_add(u64::from(gone), Ordering::Relaxed);
                        Ok(())
                    }
                    Err(e) => {
                        failed.fetch_add(1, Ordering::Relaxed);
                        Err(e.context("purging"))
                    }
                };
            let deletes = &self.site.deletes;
            deletes.push(self.site, Lane::Short, Box::new(job));
        }
        let deletes = &self.site.deletes;
        let all = deletes.wait_idle(Some(Lane::Short), self.wait);
        self.removed += removed.load(Ordering::Relaxed);
        self.clean &= all.is_ok() && failed.load(Ordering::Relaxed) == 0;
    }

    /// Removes the records of stale sessions of one cache, and the volumes that are no longer needed.
    fn cache(&mut self, folder: &Arc<Folder>, candidates: Vec<(String, Life)>) -> Result<()> {
        let site = self.site;
        if !folder.exists() {
            // No head names them, and no lease of an active session can: each lease has a record in the directory. But if the
            // session is unknown, the directory may have been removed by another program.
            for (volume, life) in candidates {
                if life == Life::Dead {
                    self.remove(&volume);
                }
            }
            return Ok(());
        }
        // Most caches have nothing to purge, and need not be locked to find that out.
        let head = folder.read_head()?;
        let named = |(name, _): &(String, Life)| {
            let mut volumes = head.iter().flat_map(Head::volumes);
            volumes.any(|volume| volume == name)
        };
        let mut dead = false;
        for id in folder.record_ids()? {
            dead |= self.life(Record::session_of(&id))? == Life::Dead;
        }
        let unsure = head.as_ref().is_some_and(|head| head.unsure.is_some());
        let idle = head.as_ref().is_none_or(|head| head.deleted)
            || head.iter().any(|head| !head.retired.is_empty());
        if !dead && !idle && !unsure && candidates.iter().all(named) {
            return Ok(());
        }

        self.caches.publish_kept(site, folder, self.wait)?;
        let guard = folder.lock(self.wait.at_most(PATIENCE))?;
        guard.sweep()?;
        let mut candidates: Vec<String> = candidates.into_iter().map(|(name, _)| name).collect();
        if let Some(head) = &mut guard.head()? {
            candidates.extend(self.caches.go_back(folder, &guard, head)?);
        }
        candidates.extend(guard.bury_records(site)?);
        candidates.sort();
        candidates.dedup();
        let mut head = guard.head()?;
        if let Some(head) = &mut head {
            let retired = guard.unneeded(site, head.retired.iter().cloned())?;
            let before = head.retired.len();
            // At most one in a cache's life: removing it here delays no other process for long.
            head.retired
                .retain(|name| !retired.contains(name) || !is_removed(site, name, self.wait));
            if head.retired.len() != before {
                guard.write_head(head)?;
            }
        }
        let unneeded = guard.unneeded(site, candidates)?;
        let bare = head.is_none_or(|head| head.deleted && head.retired.is_empty());
        // The directory shows that they are not needed, so it is removed after them.
        if bare && unneeded.is_empty() && folder.record_ids()?.is_empty() {
            guard.remove_folder(&site.session.unique())?;
            return Ok(());
        }
        drop(guard);
        unneeded.iter().for_each(|name| self.remove(name));
        Ok(())
    }
}

/// Matches `PREFIX-cache-tmp-N-c-NAME`, the name that OBuilder's Docker store gives to its leases.
fn is_obuilders_lease(prefix: &str, name: &str) -> bool {
    let rest = name
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix("-cache-tmp-"));
    rest.and_then(|rest| rest.split_once("-c-"))
        .is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Removes directories of deleted caches whose removal was interrupted.
fn remove_folders(site: &Site) {
    let caches = site.paths.caches();
    for entry in fs::read_dir(&caches).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("gone-") {
            if let Err(e) = fs::remove_dir_all(entry.path()) {
                log::debug!(
                    "{}",
                    Error::io(format!("removing {}", entry.path().display()), &e)
                );
            }
        }
    }
}

/// Removes a volume that an OBuilder store created and that a deleted cache once used.
fn is_removed(site: &Site, volume: &str, wait: Wait<'_>) -> bool {
    match site.engine.remove_volume(volume, wait) {
        Ok(_) => true,
        Err(e) => {
            log::debug!("purging: {e}");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_obuilder_lends_is_taken_for_its_lease() {
        let is = |name| is_obuilders_lease("obuilder-1234567", name);
        assert!(is("obuilder-1234567-cache-tmp-0-c-opam"));
        assert!(is("obuilder-1234567-cache-tmp-123-c-a-c-b"));
        for other in [
            "obuilder-1234567-cache-tmp--c-opam",
            "obuilder-1234567-cache-tmp-x1-c-opam",
            "obuilder-1234567-cache-tmp-1",
            "obuilder-1234567-cache-c-tmp-1-c-x",
            "obuilder-12345678-cache-tmp-1-c-x",
            "xobuilder-1234567-cache-tmp-1-c-x",
        ] {
            assert!(!is(other), "{other}");
        }
    }
}
