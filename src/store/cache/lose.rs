//! What remains of a cache if something other than this store removed a part: everything below the part, because that is what
//! the cache was before the part was added.

use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::store::cache::Caches;
use crate::store::cache::clone::strategy::Failed;
use crate::store::cache::clone::{layer, volumes};
use crate::store::cache::files::look::RootLook;
use crate::store::cache::files::walk;
use crate::store::cache::state::folder::Folder;
use crate::store::cache::state::head::{Durable, Head, Kind, Part};
use crate::store::site::Site;
use crate::wait::Wait;

impl Caches {
    /// Restores the newest readable state of a cache that can no longer be read, unless it has moved on since.
    pub(super) fn lose(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        parts: &[Part],
        why: &str,
        wait: Wait<'_>,
    ) -> Result<()> {
        // A volume that this engine does not have may be on another engine that answered at the same address before.
        site.check_engine("leasing a cache", wait)?;
        let is_same = |head: &Head| head.parts == parts;
        let Some(head) = folder.read_head()?.filter(is_same) else {
            return Ok(());
        };
        // With no lock held, because this queries the engine for each volume: only something other than the store removes one.
        let mut left = self.left_of(site, head.state(), wait)?;
        if let Some(unsure) = &head.unsure {
            let other = self.left_of(site, unsure.durable.clone(), wait)?;
            if other.generation > left.generation {
                left = other;
            }
        }
        if left.parts.len() == parts.len() {
            // All exist, and cannot be mounted: a whole tree at the bottom can still be copied.
            let whole = parts.len() > 1 && parts[0].kind == Kind::Whole;
            left.parts.truncate(usize::from(whole));
        }

        let guard = folder.lock(Wait::unbounded())?;
        let Some(mut head) = guard.head()?.filter(is_same) else {
            return Ok(());
        };
        let before: Vec<Part> = head.all_parts().cloned().collect();
        let unsure = head.unsure.take();
        // The missing volume's name must also be forgotten: the engine may have created one with that name.
        head.empty();
        head.root = top_look(&left.parts)
            .or(left.root)
            .filter(|_| !left.parts.is_empty());
        head.parts = left.parts;
        // What is left may not be on disk yet.
        head.unsure = unsure.filter(|unsure| {
            let durable =
                |part: &Part| unsure.durable.parts.iter().any(|p| p.volume == part.volume);
            !head.parts.iter().all(durable)
        });
        match head.parts.last() {
            None => log::warn!("the cache {} was reset to empty: {why}", folder.escaped),
            Some(_) => log::warn!(
                "the cache {} was reset to the lowest {} of its {} layers: {why}",
                folder.escaped,
                head.parts.len(),
                parts.len()
            ),
        }
        guard.write_head(&head)?;
        let own = before.into_iter().filter(|part| !part.adopted);
        let rest = guard.unneeded(site, own.map(|part| part.volume))?;
        drop(guard);
        self.remove_later(site, rest);
        Ok(())
    }

    /// Returns a generation without the parts that are missing, and without those above one that is.
    fn left_of(&self, site: &Site, mut state: Durable, wait: Wait<'_>) -> Result<Durable> {
        let reach = self.facts(site, wait)?.reach;
        let mut intact = 0;
        for part in &state.parts {
            match volumes::find_part(site, part, wait) {
                Ok(volume) => {
                    let place = layer::place(part.kind, &volume.mountpoint);
                    if reach && !Path::new(&place).is_dir() {
                        break;
                    }
                }
                Err(Failed::Error(e)) => return Err(e),
                Err(_) => break,
            }
            intact += 1;
        }
        if intact < state.parts.len() {
            state.parts.truncate(intact);
            state.generation = state.parts.last().map_or(0, |part| part.generation);
        }
        Ok(state)
    }
}

/// Returns the attributes that the root of a cache had when its topmost layer was released, if they are accessible.
fn top_look(parts: &[Part]) -> Option<RootLook> {
    let top = parts.last()?;
    let place = layer::place(top.kind, &top.mountpoint);
    walk::root_look_at(Path::new(&place))
}
