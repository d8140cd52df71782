//! Removing what dead sessions left: containers, tags of steps, volumes, lock files. Idempotent, and blind to whatever a
//! live session of any process holds.

use std::sync::Arc;

use serde_json::json;

use crate::error::{Error, Result};
use crate::store::cache::Caches;
use crate::store::lock::FileLock;
use crate::store::session;
use crate::store::site::{LABEL_SESSION, LABEL_STORE, Site};
use crate::wait::Wait;

/// What a purge removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Containers of steps and copies.
    pub containers: u64,
    /// Tags of steps.
    pub images: u64,
    /// Leases and other volumes that no cache needs.
    pub volumes: u64,
}

/// Purges. What cannot be removed now is left for the next purge, with a warning; only what cannot be listed is an error.
pub(crate) fn purge(site: &Arc<Site>, caches: &Caches) -> Result<Purged> {
    site.check_open("purging")?;
    // Containers first: they hold on to the images and volumes.
    let (containers, images) = (containers(site)?, step_tags(site)?);
    let volumes = caches.purge(site)?;
    build_locks(site)?;
    session::sweep(&site.paths.sessions())?;
    Ok(Purged {
        containers,
        images,
        volumes,
    })
}

fn containers(site: &Site) -> Result<u64> {
    let filters = json!({ "name": [format!("^/?{}-", site.names.prefix())] });
    let mut removed = 0;
    for container in site.engine.list_containers(&filters, Wait::forever())? {
        let label = |name: &str| container.labels.as_ref()?.get(name).map(String::as_str);
        let ours = label(LABEL_STORE) == Some(site.names.prefix());
        if let Some(session) = label(LABEL_SESSION).filter(|_| ours) {
            // A helper. Its session was alive before it was made, so one that is not now was its last.
            if !session::is_alive(&site.paths.sessions(), session)? {
                removed += tell(site.engine.remove_container(&container.id, Wait::forever()));
            }
            continue;
        }
        let id = container
            .names
            .iter()
            .find_map(|name| site.names.id_of_container(name.trim_start_matches('/')));
        // By its engine id, not its name: a new step may take the name as soon as the lock is free.
        if let Some(lock) = id.map(|id| leftover(site, id)).transpose()?.flatten() {
            removed += tell(site.engine.remove_container(&container.id, Wait::forever()));
            lock.remove();
        }
    }
    Ok(removed)
}

fn step_tags(site: &Site) -> Result<u64> {
    let reference = format!("{}-image-tmp-*", site.names.prefix());
    let mut removed = 0;
    for image in site.engine.list_images(&reference, Wait::forever())? {
        for tag in image.repo_tags.iter().flatten() {
            let Some(id) = site.names.id_of_tmp_image(tag) else {
                continue;
            };
            if let Some(lock) = leftover(site, id)? {
                removed += tell(site.engine.remove_image(tag, Wait::forever()));
                lock.remove();
            }
        }
    }
    Ok(removed)
}

/// The lock of a build that nobody does any more; `None` while somebody does.
fn leftover(site: &Site, id: &str) -> Result<Option<FileLock>> {
    FileLock::try_take(&site.paths.build_lock(id))
}

/// Lock files of builds whose process was killed.
fn build_locks(site: &Site) -> Result<()> {
    let folder = site.paths.builds();
    let doing = || format!("listing {}", folder.display());
    for entry in std::fs::read_dir(&folder).map_err(|e| Error::io(doing(), &e))? {
        let path = entry.map_err(|e| Error::io(doing(), &e))?.path();
        if let Some(lock) = FileLock::try_take(&path)? {
            lock.remove();
        }
    }
    Ok(())
}

fn tell(removed: Result<bool>) -> u64 {
    match removed {
        Ok(removed) => u64::from(removed),
        Err(e) => {
            log::warn!("purging: {e}; left for the next purge");
            0
        }
    }
}
