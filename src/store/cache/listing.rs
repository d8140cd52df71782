//! Looking at caches: one row for each.

use std::sync::Arc;

use crate::engine::stopped;
use crate::error::Result;
use crate::store::cache::Caches;
use crate::store::cache::request::CacheInfo;
use crate::store::cache::sizes::Sizes;
use crate::store::cache::state::folder::{self, Folder};
use crate::store::cache::state::head::{Kind, Part};
use crate::store::cache::state::record::COMPACTION;
use crate::store::options::Strategy;
use crate::store::session::Life;
use crate::store::site::Site;
use crate::wait::Wait;

impl Caches {
    /// All caches, by name. What cannot be read is left out, with a warning.
    pub(crate) fn list(
        self: &Arc<Self>,
        site: &Arc<Site>,
        wait: Wait<'_>,
    ) -> Result<Vec<CacheInfo>> {
        site.check_open("listing caches")?;
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
            let mut leases = 0;
            for id in folder.record_ids()? {
                let whole = !id.ends_with(".new") && !id.ends_with(COMPACTION);
                leases += usize::from(whole && folder::life(site, &id)? != Life::Dead);
            }
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
                bytes: self.bytes(site, &folder, &head.parts, wait)?,
                created: head.created(),
                last_use: folder.last_use().unwrap_or_else(|| head.created()),
                leases,
            });
        }
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rows)
    }

    /// What the parts hold on disk, if that can be seen. What nobody has counted before is counted now.
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
        // One that was removed meanwhile has no size.
        let counted = parts.iter().map(|part| sizes.of(part, wait).ok());
        let sum = counted.map(|size| Some(size?.bytes)).sum();
        wait.left()
            .map_err(|stop| stopped(&"measuring a cache", stop))?;
        self.note_later(site, folder, sizes);
        Ok(sum)
    }
}
