//! Listing caches: one row for each.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::engine::stopped;
use crate::error::Result;
use crate::store::cache::Caches;
use crate::store::cache::request::CacheInfo;
use crate::store::cache::sizes::{self, Sizes};
use crate::store::cache::state::folder::{self, Folder};
use crate::store::cache::state::head::{Head, Kind, Part};
use crate::store::options::Strategy;
use crate::store::site::Site;
use crate::wait::Wait;

impl Caches {
    /// Returns all caches, sorted by name. A cache that cannot be read is left out, with a warning.
    pub(crate) fn list(
        self: &Arc<Self>,
        site: &Arc<Site>,
        wait: Wait<'_>,
    ) -> Result<Vec<CacheInfo>> {
        site.check_open("listing caches")?;
        self.rows(site, |folder, head| {
            self.bytes(site, folder, &head.parts, wait)
        })
    }

    /// The same without measuring anything: the size is set only if it was measured before.
    pub(crate) fn known(self: &Arc<Self>, site: &Arc<Site>) -> Result<Vec<CacheInfo>> {
        self.rows(site, |_, head| {
            let sizes = head.parts.iter().map(|part| Some(part.size?.bytes));
            Ok(sizes.sum())
        })
    }

    /// Like [`list`](Self::list), but if no process can measure the files directly, the size is what the engine reports for the
    /// volumes. Otherwise a cache of unknown size would be missing in every sum.
    pub(crate) fn counted(
        self: &Arc<Self>,
        site: &Arc<Site>,
        wait: Wait<'_>,
    ) -> Result<Vec<CacheInfo>> {
        let said = OnceCell::new();
        let ask = || {
            site.engine.volume_sizes(wait).unwrap_or_else(|e| {
                log::warn!("{e}; caches of unknown size count as empty");
                HashMap::new()
            })
        };
        let rows = self.rows(site, |folder, head| {
            let seen = self.bytes(site, folder, &head.parts, wait)?;
            Ok(seen.or_else(|| {
                let said = said.get_or_init(ask);
                let mut parts = head.parts.iter();
                parts.try_fold(0, |sum: u64, part| match part.size {
                    Some(size) => Some(sum + size.bytes),
                    None => Some(sum + said.get(&part.volume)?),
                })
            }))
        })?;
        wait.left()
            .map_err(|stop| stopped(&"measuring caches", stop))?;
        Ok(rows)
    }

    /// Returns the volumes that heads and leases name.
    pub(crate) fn volumes(&self, site: &Site) -> Result<HashSet<String>> {
        let mut volumes = HashSet::new();
        for escaped in folder::all(&site.paths.caches())? {
            let folder = self.folder_of(site, &escaped);
            if let Ok(Some(head)) = folder.read_head() {
                volumes.extend(head.volumes().map(str::to_owned));
            }
        }
        Ok(volumes)
    }

    fn rows(
        &self,
        site: &Arc<Site>,
        bytes: impl Fn(&Arc<Folder>, &Head) -> Result<Option<u64>>,
    ) -> Result<Vec<CacheInfo>> {
        let mut rows = Vec::new();
        for escaped in folder::all(&site.paths.caches())? {
            let folder = self.folder_of(site, &escaped);
            let head = match folder.read_head() {
                Ok(Some(head)) if !head.deleted => head,
                Ok(_) => continue,
                Err(e) => {
                    log::warn!("{e}");
                    continue;
                }
            };
            let leases = folder.leases_out(site)?;
            let Some(name) = head.name() else { continue };
            rows.push(CacheInfo {
                name,
                generation: head.generation,
                strategy: match head.parts.last().map(|part| part.kind) {
                    None => Strategy::Automatic,
                    Some(Kind::Whole) => Strategy::Copy,
                    Some(Kind::Layer) => Strategy::Overlay,
                },
                layers: head.parts.len(),
                bytes: bytes(&folder, &head)?,
                created: head.created(),
                last_use: folder.last_use().unwrap_or_else(|| head.created()),
                leases,
                limit: sizes::limit(site, &folder.escaped),
            });
        }
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rows)
    }

    /// Returns the size of the parts on disk, if they are accessible. What was not measured before is measured now.
    fn bytes(
        &self,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        parts: &[Part],
        wait: Wait<'_>,
    ) -> Result<Option<u64>> {
        let mut sizes = Sizes::default();
        let is_known = |part: &Part| part.size.is_some();
        if !parts.iter().all(is_known) && !self.facts(site, wait)?.reach {
            return Ok(None);
        }
        // A part that was removed in the meantime has no size.
        let counted = parts.iter().map(|part| sizes.of(part, wait).ok());
        let sum = counted.map(|size| Some(size?.bytes)).sum();
        wait.left()
            .map_err(|stop| stopped(&"measuring a cache", stop))?;
        self.note_later(site, folder, sizes);
        Ok(sum)
    }
}
