//! Looking at caches: one row for each.

use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::store::cache::Caches;
use crate::store::cache::files::look::Size;
use crate::store::cache::files::walk;
use crate::store::cache::request::CacheInfo;
use crate::store::cache::state::folder;
use crate::store::cache::state::head::{Kind, Part};
use crate::store::cache::state::record::{COMPACTION, Record};
use crate::store::options::Strategy;
use crate::store::session;
use crate::store::site::Site;
use crate::wait::Wait;

impl Caches {
    /// All caches, by name. What cannot be read is left out, with a warning.
    pub(crate) fn list(self: &Arc<Self>, site: &Arc<Site>) -> Result<Vec<CacheInfo>> {
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
                leases += usize::from(
                    whole && session::is_alive(&site.paths.sessions(), Record::session_of(&id))?,
                );
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
                bytes: self.bytes(site, &head.parts)?,
                created: head.created(),
                last_use: folder.last_use().unwrap_or_else(|| head.created()),
                leases,
            });
        }
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rows)
    }

    /// What the parts hold on disk, if that can be seen.
    fn bytes(&self, site: &Site, parts: &[Part]) -> Result<Option<u64>> {
        let mut sum = 0;
        for part in parts {
            match self.size(site, part)? {
                Some(size) => sum += size.bytes,
                None => return Ok(None),
            }
        }
        Ok(Some(sum))
    }

    /// The size of one part: as its head has it, as it was measured before, or measured now.
    pub(super) fn size(&self, site: &Site, part: &Part) -> Result<Option<Size>> {
        let known = part
            .size
            .or_else(|| self.sizes.lock().get(&part.volume).copied());
        if known.is_some() || !self.facts(site, Wait::forever())?.reach {
            return Ok(known);
        }
        // A layer's `work` is next to nothing. A part that was removed meanwhile has no size.
        let measured = walk::look(Path::new(&part.mountpoint), Wait::forever())
            .ok()
            .map(|look| look.size);
        if let Some(size) = measured {
            self.sizes.lock().insert(part.volume.clone(), size);
        }
        Ok(measured)
    }
}
