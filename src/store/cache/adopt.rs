//! Taking over the cache of an OBuilder store. OBuilder deletes its volume and creates it again at each of its releases. So the
//! volume is copied once, as a whole, and never mounted.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::error::{Error, ErrorKind, Result};
use crate::store::cache::Caches;
use crate::store::cache::clone::{archive, copy, volumes};
use crate::store::cache::facts::Facts;
use crate::store::cache::files::{copy_direct, walk};
use crate::store::cache::state::folder::Folder;
use crate::store::cache::state::head::{Kind, Part};
use crate::store::cache::state::record::{COMPACTION, Record};
use crate::store::lock::FileLock;
use crate::store::names::CacheName;
use crate::store::ownership::LABEL_STORE;
use crate::store::site::Site;
use crate::wait::Wait;

/// How often a copy is started again because OBuilder replaced its volume in the meantime. OBuilder replaces the volume at each
/// of its releases. This is a choice: several in a row may be a coincidence; after that, the caller gets an error instead of
/// endless copies.
const TRIES: u32 = 5;

impl Caches {
    /// Copies the part of a cache that an OBuilder store created, unless that has been done.
    pub(super) fn adopt(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        wait: Wait<'_>,
    ) -> Result<()> {
        let facts = self.facts(site, wait)?;
        // One copy is enough, and the layers must not be merged at the same time.
        let _lock = FileLock::take(&folder.compaction_file(), wait)?;
        let guard = folder.lock(wait)?;
        let head = guard.head()?;
        let Some(part) = head.iter().flat_map(|head| &head.parts).find(|p| p.adopted) else {
            return Ok(());
        };
        let generation = head.as_ref().map_or(0, |head| head.generation);
        let record = Record {
            id: format!("{}{COMPACTION}", site.session.unique()),
            base: generation,
            parts: Vec::new(),
            volumes: vec![copy::whole_name(site, &folder.escaped, generation)],
            group: None,
            looks: None,
        };
        guard.write_record(&record)?;
        drop(guard);
        let copied = copy_part(site, &facts, folder, part, &record.volumes[0], wait);
        let replaced = copied
            .and_then(|copied| self.replace_adopted(site, folder, &facts, part, copied, wait));
        self.give_up(site, folder, &record, wait);
        replaced.map_err(|e| {
            e.context(format_args!(
                "taking over the cache {} of an OBuilder store",
                folder.escaped
            ))
        })
    }

    /// Replaces OBuilder's volume by the copy. If there is no copy because the volume no longer exists, the cache is emptied.
    fn replace_adopted(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        facts: &Facts,
        part: &Part,
        copied: Option<Part>,
        wait: Wait<'_>,
    ) -> Result<()> {
        if let Some(copied) = copied
            .iter()
            .find(|_| facts.reach && site.cache_options.sync)
        {
            walk::sync(Path::new(&copied.mountpoint))?;
        }
        let guard = folder.lock(wait.whole())?;
        let Some(mut head) = guard.head()? else {
            return Ok(());
        };
        let Some(at) = head.parts.iter().position(|p| p == part) else {
            return Ok(());
        };
        match copied {
            Some(copied) => {
                // Until the copy is on disk, OBuilder's volume is the one to go back to, and to copy again.
                let before = head.state();
                head.parts[at] = Part {
                    generation: part.generation,
                    ..copied
                };
                head.note(self.written(site, facts), before);
            }
            // The layers on top of it are meaningless without it.
            None => head.empty(),
        }
        head.adopted_from = Some(part.volume.clone());
        guard.write_head(&head)?;
        drop(guard);
        self.keep_later(site, folder, &head);
        Ok(())
    }
}

fn copy_part(
    site: &Site,
    facts: &Facts,
    folder: &Folder,
    part: &Part,
    name: &str,
    wait: Wait<'_>,
) -> Result<Option<Part>> {
    for _ in 0..TRIES {
        let Some(source) = site.engine.inspect_volume(&part.volume, wait)? else {
            log::warn!(
                "the cache {} of an OBuilder store no longer exists; it starts empty",
                folder.escaped
            );
            return Ok(None);
        };
        let volume = volumes::create(site, "cache", name, &folder.escaped, &json!({}), wait)?;
        let copied = if facts.reach {
            let (from, to) = (Path::new(&source.mountpoint), Path::new(&volume.mountpoint));
            copy_direct::copy_tree(from, to, (0, 0), wait)
                .map(|bytes| site.counters.bytes_copied.add(bytes))
        } else {
            let archives = archive::ways(facts)?;
            archive::copy(site, archives, &part.volume, &volume, None, wait).map(drop)
        };
        let after = site.engine.inspect_volume(&part.volume, wait)?;
        if after.is_some_and(|after| after.created_at == source.created_at) {
            copied?;
            return Ok(Some(copy::whole(volume, None)));
        }
        volumes::remove(site, name, wait)?;
    }
    Err(Error::new(
        ErrorKind::Busy,
        format!(
            "copying volume {}: OBuilder keeps replacing it",
            part.volume
        ),
    ))
}

/// Returns the volume that an OBuilder store has for the cache, if there is one.
pub(super) fn left_by_obuilder(
    site: &Site,
    escaped: &CacheName,
    wait: Wait<'_>,
) -> Result<Option<Part>> {
    let Some(name) = escaped.as_the_seed_wrote_it() else {
        return Ok(None);
    };
    let volume = site.names.volume("cache", name);
    let found = site.engine.inspect_volume(&volume, wait)?;
    // A volume of this library may have the same name, for another cache.
    let found = found.filter(|found| found.label(LABEL_STORE).is_none());
    Ok(found.map(|found| Part {
        volume: found.name,
        kind: Kind::Whole,
        mountpoint: found.mountpoint,
        birth: None,
        generation: 1,
        adopted: true,
        size: None,
    }))
}
