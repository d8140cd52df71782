//! The sizes of the parts of caches. A part never changes, so it is measured once, by the first process that needs its size,
//! and its head stores the number for all others.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::local as fs;
use crate::store::cache::Caches;
use crate::store::cache::clone::layer;
use crate::store::cache::files::look::Size;
use crate::store::cache::files::walk;
use crate::store::cache::state::folder::Folder;
use crate::store::cache::state::head::{Head, Part};
use crate::store::names::CacheName;
use crate::store::replace::{beside, replace_for_good};
use crate::store::site::Site;
use crate::wait::Wait;

/// Sizes that were measured and that no head contains yet, by volume.
#[derive(Default)]
pub(super) struct Sizes(HashMap<String, Size>);

impl Sizes {
    /// Returns the size of a part: from its head, or measured now, as files.
    pub(super) fn of(&mut self, part: &Part, wait: Wait<'_>) -> Result<Size> {
        if let Some(known) = self.known(part) {
            return Ok(known);
        }
        let place = layer::place(part.kind, &part.mountpoint);
        let size = walk::size(Path::new(&place), wait)?;
        self.0.insert(part.volume.clone(), size);
        Ok(size)
    }

    /// Returns the size of a part, if it was measured.
    pub(super) fn known(&self, part: &Part) -> Option<Size> {
        part.size.or_else(|| self.0.get(&part.volume).copied())
    }

    /// Writes what was measured into the head. Returns `false` if the head contains all of it.
    pub(super) fn note(&self, head: &mut Head) -> bool {
        let mut noted = false;
        for part in head.parts.iter_mut().filter(|part| part.size.is_none()) {
            part.size = self.0.get(&part.volume).copied();
            noted |= part.size.is_some();
        }
        noted
    }
}

/// Sets, or removes, the maximum size of a cache. Stored in the root, for all engines.
pub(crate) fn set_limit(site: &Site, name: &[u8], most: Option<u64>) -> Result<()> {
    site.check_open("limiting a cache")?;
    let escaped = CacheName::new(name)?;
    site.check_root("limiting a cache")?;
    let path = site.paths.cache_limits().join(escaped.as_str());
    let failed = |e: &io::Error| Error::io(format!("writing the limit {}", path.display()), e);
    match most {
        Some(most) => site.paths.in_folders(|| {
            let beside = beside(&path, &site.session.unique());
            replace_for_good(&path, &beside, most.to_string().as_bytes()).map_err(|e| failed(&e))
        }),
        None => match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(&e)),
            _ => Ok(()),
        },
    }
}

/// Returns the maximum size of a cache, if it has a limit.
pub(crate) fn limit(site: &Site, escaped: &str) -> Option<u64> {
    let text = fs::read_to_string(site.paths.cache_limits().join(escaped)).ok()?;
    text.trim().parse().ok()
}

impl Caches {
    /// Writes what was measured into the head of a cache, in the background.
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
