//! Removing what dead sessions left of their leases, and what an OBuilder store left of its own.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::store::cache::Caches;
use crate::store::cache::clone::volumes;
use crate::store::cache::state::folder;
use crate::store::cache::state::record::Record;
use crate::store::session;
use crate::store::site::{LABEL_CACHE, LABEL_SESSION, Site};
use crate::wait::Wait;

/// How long a purge waits for a cache that others work on, before it leaves it to the next purge.
const PATIENCE: Duration = Duration::from_secs(30);

impl Caches {
    /// Removes volumes that no cache and no live session needs, and records of dead sessions. Gives how many volumes went.
    pub(crate) fn purge(&self, site: &Site) -> Result<u64> {
        // Listed before anybody is found dead: what a session makes after this is not in the list.
        let found = site
            .engine
            .list_volumes(&format!("{}-", site.names.prefix()), Wait::forever())?;
        let mut alive = HashMap::new();
        let mut is_alive = |id: &str| -> Result<bool> {
            match alive.get(id) {
                Some(known) => Ok(*known),
                None => Ok(*alive
                    .entry(id.to_owned())
                    .or_insert(session::is_alive(&site.paths.sessions(), id)?)),
            }
        };

        // By the cache they are of.
        let mut left: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut removed = 0;
        for volume in found {
            if !volume
                .name
                .starts_with(&format!("{}-", site.names.prefix()))
            {
                continue;
            }
            if volumes::is_ours(site, &volume) {
                if is_alive(volume.label(LABEL_SESSION).unwrap_or_default())? {
                    continue;
                }
                match volume.label(LABEL_CACHE) {
                    None | Some("") => removed += tell(site, &volume.name),
                    Some(cache) if folder::is_escaped(cache) => {
                        left.entry(cache.to_owned()).or_default().push(volume.name)
                    }
                    Some(_) => {}
                }
            } else if volume.labels.iter().all(HashMap::is_empty) {
                // An engine that is asked for a container with a volume that is gone makes one up, without labels. That
                // happens to a container whose creation was still under way when its session was found dead.
                let session = session_in_name(site.names.prefix(), &volume.name);
                let made_up = session.map(&mut is_alive).transpose()? == Some(false);
                if made_up || is_obuilders_lease(site.names.prefix(), &volume.name) {
                    removed += tell(site, &volume.name);
                }
            }
        }
        for cache in folder::all(&site.paths.caches())? {
            left.entry(cache).or_default();
        }
        for (cache, candidates) in left {
            match self.purge_cache(site, &cache, candidates, &mut is_alive) {
                Ok(unneeded) => {
                    removed += unneeded.iter().map(|name| tell(site, name)).sum::<u64>()
                }
                Err(e) => log::warn!("purging the cache {cache}: {e}; left for the next purge"),
            }
        }
        remove_folders(site);
        Ok(removed)
    }

    /// Buries the dead of one cache, and gives the volumes that nobody needs any more.
    fn purge_cache(
        &self,
        site: &Site,
        cache: &str,
        mut candidates: Vec<String>,
        is_alive: &mut dyn FnMut(&str) -> Result<bool>,
    ) -> Result<Vec<String>> {
        let folder = self.folder_of(site, cache);
        if !folder.exists() {
            // No head names them, and no lease of a live session can: each has a record in the folder.
            return Ok(candidates);
        }
        // Most caches have nothing to purge, and are not locked to see that.
        let head = folder.read_head()?;
        let named = |name: &String| {
            head.iter()
                .flat_map(|head| &head.parts)
                .any(|part| part.volume == *name)
        };
        let mut dead = false;
        for id in folder.record_ids()? {
            dead |= !is_alive(Record::session_of(&id))?;
        }
        let idle = head.as_ref().is_none_or(|head| head.deleted)
            || head.iter().any(|head| !head.retired.is_empty());
        if !dead && !idle && candidates.iter().all(named) {
            return Ok(Vec::new());
        }

        let guard = folder.lock(Wait::forever().at_most(PATIENCE))?;
        guard.sweep()?;
        candidates.extend(guard.bury_records(site)?);
        candidates.sort();
        candidates.dedup();
        let mut unneeded = guard.unneeded(site, candidates)?;
        let mut head = guard.head()?;
        if let Some(head) = &mut head {
            let retired = guard.unneeded(site, head.retired.iter().cloned())?;
            let before = head.retired.len();
            // At most one in a cache's life: removing it here holds nobody up for long.
            head.retired
                .retain(|name| !retired.contains(name) || !is_removed(site, name));
            unneeded.retain(|name| !head.retired.contains(name));
            if head.retired.len() != before {
                guard.write_head(head)?;
            }
        }
        let bare = head.is_none_or(|head| head.deleted && head.retired.is_empty());
        if bare && folder.record_ids()?.is_empty() {
            guard.remove_folder(&site.session.unique())?;
        }
        Ok(unneeded)
    }
}

/// The session in the name of a volume that is called as only this library calls them.
fn session_in_name<'a>(prefix: &str, name: &'a str) -> Option<&'a str> {
    let mut words = name
        .strip_prefix(prefix)?
        .strip_prefix('-')?
        .rsplitn(3, '-');
    let (number, session, kind) = (words.next()?, words.next()?, words.next()?);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let generation = |kind: &str| {
        let (cache, generation) = kind.strip_prefix("cache-")?.rsplit_once("-g")?;
        Some(folder::is_escaped(cache) && digits(generation))
    };
    let ours = matches!(kind, "probe" | "layer" | "cache-tmp" | "secrets")
        || generation(kind) == Some(true);
    let id = session.len() == session::ID_LENGTH && session.bytes().all(|b| b.is_ascii_hexdigit());
    (ours && id && digits(number)).then_some(session)
}

/// `PREFIX-cache-tmp-N-c-NAME`, as OBuilder's Docker store names the copies that it lends.
fn is_obuilders_lease(prefix: &str, name: &str) -> bool {
    let rest = name
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix("-cache-tmp-"));
    rest.and_then(|rest| rest.split_once("-c-"))
        .is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Folders of deleted caches whose removal was interrupted.
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

fn is_removed(site: &Site, volume: &str) -> bool {
    match volumes::remove(site, volume) {
        Ok(_) => true,
        Err(e) => {
            log::debug!("purging: {e}");
            false
        }
    }
}

/// Removes one volume; one that a container has stays for the next purge.
fn tell(site: &Site, volume: &str) -> u64 {
    match volumes::remove(site, volume) {
        Ok(removed) => u64::from(removed),
        Err(e) if e.kind() == ErrorKind::Conflict => {
            log::info!("purging: {e}");
            0
        }
        Err(e) => {
            log::warn!("purging: {e}; left for the next purge");
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read_from_names_of_this_librarys_making_only() {
        fn of(name: &str) -> Option<&str> {
            session_in_name("obuilder-1234567", name)
        }
        let id = "0123456789abcdef0123";
        for kind in [
            "probe",
            "secrets",
            "layer",
            "cache-tmp",
            "cache-c-a-b-g12",
            "cache-h-00-g1",
        ] {
            let name = format!("obuilder-1234567-{kind}-{id}-7");
            assert_eq!(of(&name), Some(id), "{kind}");
        }
        for other in [
            "obuilder-1234567-layer-0123456789abcdef012-7",
            "obuilder-1234567-layer-0123456789abcdef0123-",
            "obuilder-1234567-layer-0123456789abcdef0123",
            "obuilder-1234567-cache-c-a-0123456789abcdef0123-7",
            "obuilder-1234567-other-0123456789abcdef0123-7",
            "obuilder-1234567x-layer-0123456789abcdef0123-7",
            "obuilder-1234567-layer-0123456789abcdef0123-7x",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

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
