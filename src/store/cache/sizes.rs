//! How much the parts of caches hold. A part never changes, so it is counted once, by whoever needs it first, and its head keeps
//! the number for all others.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::store::cache::Caches;
use crate::store::cache::clone::layer;
use crate::store::cache::files::look::Size;
use crate::store::cache::files::walk;
use crate::store::cache::state::folder::Folder;
use crate::store::cache::state::head::{Head, Part};
use crate::store::site::Site;
use crate::wait::Wait;

/// Sizes that were counted and that no head has yet, by volume.
#[derive(Default)]
pub(super) struct Sizes(HashMap<String, Size>);

impl Sizes {
    /// The size of a part: as its head has it, or counted now, as files.
    pub(super) fn of(&mut self, part: &Part, wait: Wait<'_>) -> Result<Size> {
        if let Some(known) = self.known(part) {
            return Ok(known);
        }
        let place = layer::place(part.kind, &part.mountpoint);
        let size = walk::size(Path::new(&place), wait)?;
        self.0.insert(part.volume.clone(), size);
        Ok(size)
    }

    /// The size of a part, if anybody has counted it.
    pub(super) fn known(&self, part: &Part) -> Option<Size> {
        part.size.or_else(|| self.0.get(&part.volume).copied())
    }

    /// Writes what was counted into the head. `false`: it knows all of it.
    pub(super) fn note(&self, head: &mut Head) -> bool {
        let mut noted = false;
        for part in head.parts.iter_mut().filter(|part| part.size.is_none()) {
            part.size = self.0.get(&part.volume).copied();
            noted |= part.size.is_some();
        }
        noted
    }
}

impl Caches {
    /// Puts what was counted into the head of a cache, in the background.
    pub(super) fn note_later(&self, site: &Arc<Site>, folder: &Arc<Folder>, sizes: Sizes) {
        if sizes.0.is_empty() {
            return;
        }
        let folder = Arc::clone(folder);
        site.defer_long(move |_| {
            let guard = folder.lock(Wait::unbounded())?;
            match guard.head()? {
                Some(mut head) => match sizes.note(&mut head) {
                    true => guard.write_head(&head),
                    false => Ok(()),
                },
                None => Ok(()),
            }
        });
    }
}
