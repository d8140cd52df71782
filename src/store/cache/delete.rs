//! Deleting a cache. Its head stays, emptied, with a raised generation: leases that are out find it moved on, and lose.

use std::sync::Arc;

use crate::error::{ErrorKind, Result};
use crate::store::cache::acquire::left_by_obuilder;
use crate::store::cache::folder::Folder;
use crate::store::cache::head::Head;
use crate::store::cache::{Caches, volumes};
use crate::store::names::CacheName;
use crate::store::site::Site;
use crate::wait::Wait;

impl Caches {
    /// Removes a cache, and makes the leases that are out lose. `false`: there was none.
    pub(crate) fn delete(self: &Arc<Self>, site: &Arc<Site>, name: &[u8]) -> Result<bool> {
        site.check_open("deleting a cache")?;
        let escaped = CacheName::new(name)?;
        let folder = self.folder(site, &escaped);
        loop {
            let wait = Wait::forever();
            let seen = heal(&folder, name, folder.read_head())?;
            let parts = match &seen {
                Some(head) => head.parts.clone(),
                None => left_by_obuilder(site, &escaped, wait)?
                    .into_iter()
                    .collect(),
            };
            if seen.is_none() && parts.is_empty() && !folder.exists() {
                return Ok(false);
            }
            let names: Vec<&str> = parts.iter().map(|part| part.volume.as_str()).collect();
            let users = volumes::users(site, &names, wait)?;
            if !users.is_empty() {
                return Err(volumes::busy(
                    &format!("deleting the cache {}", folder.escaped),
                    &users,
                ));
            }

            let guard = folder.lock(wait)?;
            let now = heal(&folder, name, guard.head())?;
            if now != seen {
                // A release came in between, with volumes that have not been looked at.
                continue;
            }
            let existed = !parts.is_empty() || now.as_ref().is_some_and(|head| !head.deleted);
            let mut head = now.unwrap_or_else(|| Head::new(name));
            head.empty();
            head.deleted = true;
            head.retired.extend(
                parts
                    .iter()
                    .filter(|part| part.adopted)
                    .map(|part| part.volume.clone()),
            );
            guard.write_head(&head)?;
            let unneeded = guard.unneeded(site, parts.into_iter().map(|part| part.volume))?;
            drop(guard);
            self.remove_later(site, unneeded);
            return Ok(existed);
        }
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
