//! Everything that a store keeps, at one point in time: from one list request to the engine, and the small files of the root.
//! Makes no other request.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::engine::images::ListedImage;
use crate::error::Result;
use crate::local as fs;
use crate::store::bounds::family::{Family, Given};
use crate::store::bounds::folder::for_each;
use crate::store::bounds::pins::{self, Item};
use crate::store::bounds::record::{self, Kept, Name, Record};
use crate::store::bounds::removal::Removal;
use crate::store::cache::CacheInfo;
use crate::store::clock;
use crate::store::lock::FileLock;
use crate::store::names::Id;
use crate::store::replace::is_unfinished;
use crate::store::site::Site;
use crate::wait::Wait;

/// A record whose result is not listed is taken for that of a removed result if it is older than this. A result that is
/// committed after the listing has a younger record, because the engine's response is waited for no longer than this.
const SETTLED: Duration = Duration::from_secs(60);

/// What was found.
pub(crate) struct Found {
    pub(crate) at: SystemTime,
    pub(crate) results: Vec<FoundResult>,
    pub(crate) family: Family,
    /// How many results have an unknown base.
    pub(crate) unknown: usize,
    pub(crate) caches: Vec<(CacheInfo, bool)>,
    pub(crate) logs: Vec<FoundLog>,
    /// Images of steps that no process runs any more.
    pub(crate) left_images: usize,
    /// The ids that are being built now.
    pub(crate) building: BTreeSet<String>,
    pub(crate) pinned: BTreeSet<String>,
}

/// One result.
pub(crate) struct FoundResult {
    pub(crate) id: String,
    /// The engine's id of its image.
    pub(crate) image: String,
    /// Its number in the family.
    pub(crate) member: usize,
    pub(crate) created: SystemTime,
    pub(crate) last_use: SystemTime,
    /// The time of its record, if there is one.
    pub(crate) marked: Option<SystemTime>,
    pub(crate) record: Option<Record>,
    /// The result that it is based on, if only the engine knows it.
    pub(crate) base: Option<String>,
    pub(crate) log_bytes: u64,
}

/// One log.
pub(crate) struct FoundLog {
    pub(crate) id: String,
    pub(crate) bytes: u64,
    pub(crate) at: SystemTime,
    pub(crate) has_result: bool,
}

impl Found {
    /// Collects everything. `caches` are the store's, which the caller has just listed.
    pub(crate) fn look(site: &Arc<Site>, caches: Vec<CacheInfo>, wait: Wait<'_>) -> Result<Self> {
        let at = SystemTime::now();
        let reference = format!("{}-image-*", site.names.prefix());
        // First the engine's listing: a step in progress at that time holds its lock.
        let images = site.engine.list_images(&reference, wait)?;
        let records = records(site, &images, at, wait)?;
        let building = building(site)?;
        let pins = pins::list(site)?;
        let mut pinned = BTreeSet::new();
        let mut pinned_caches = BTreeSet::new();
        for pin in pins {
            match pin.item {
                Item::Cache(name) => pinned_caches.insert(name),
                Item::Result(id) | Item::Log(id) => pinned.insert(id),
            };
        }
        let mut logs = logs(site)?;
        let sizes: HashMap<&str, u64> = logs
            .iter()
            .map(|log| (log.id.as_str(), log.bytes))
            .collect();

        let mut left_images = 0;
        let mut given = Vec::new();
        for image in &images {
            let tags = || image.repo_tags.iter().flatten();
            let results = tags().filter_map(|tag| site.names.id_of_image(tag));
            let results =
                results.map(|id| (id, records.get(id).and_then(|kept| kept.record.as_ref())));
            let steps: BTreeSet<&str> = tags()
                .filter_map(|tag| site.names.id_of_tmp_image(tag))
                .collect();
            let held = steps.iter().any(|id| holds(site, id).unwrap_or(true));
            left_images += usize::from(!steps.is_empty() && !held);
            given.push(Given {
                image,
                results: results.collect(),
                held,
            });
        }
        let gone = |id: &str| {
            let kept = Record::read(&site.paths.gone().join(id));
            // If that result exists again, it is not the one that others are based on.
            let kept = kept.map(|kept| kept.record);
            kept.or_else(|| records.get(id).map(|kept| kept.record.clone()))?
        };
        let alike = match Family::alike(&given) {
            Some(alike) => alike,
            None => !site.lists_other_sizes(wait)?,
        };
        let (family, unknown) = Family::new(&given, &gone, alike);

        let mut results = Vec::new();
        for (member, given) in given.iter().enumerate() {
            let created = clock::time(given.image.created.try_into().unwrap_or_default());
            let stands_on = family
                .member(member)
                .parent
                .and_then(|parent| given_id(&images, site, parent));
            for (id, record) in &given.results {
                let marked = records.get(*id).map(|kept| kept.at);
                results.push(FoundResult {
                    id: (*id).to_owned(),
                    image: given.image.id.clone(),
                    member,
                    created,
                    last_use: record::not_later(marked.unwrap_or(created), at),
                    marked,
                    record: record.cloned(),
                    base: stands_on.clone(),
                    log_bytes: sizes.get(id).copied().unwrap_or_default(),
                });
            }
        }
        results.sort_by(|a, b| a.id.cmp(&b.id));
        for log in &mut logs {
            let found = results.binary_search_by(|result| result.id.cmp(&log.id));
            log.has_result = found.is_ok();
        }
        let caches = caches.into_iter().map(|info| {
            let pinned = pinned_caches.contains(&info.name);
            (info, pinned)
        });
        Ok(Found {
            at,
            results,
            family,
            unknown,
            caches: caches.collect(),
            logs,
            left_images,
            building,
            pinned,
        })
    }
}

/// Returns the first result that the image with this number is.
fn given_id(images: &[ListedImage], site: &Site, number: usize) -> Option<String> {
    let mut tags = images.get(number)?.repo_tags.iter().flatten();
    tags.find_map(|tag| site.names.id_of_image(tag))
        .map(str::to_owned)
}

/// Returns whether a step of this id may be in progress: its lock is held, or its lock file was removed by another program.
pub(crate) fn holds(site: &Site, id: &str) -> Result<bool> {
    let path = site.paths.build_lock(id);
    Ok(FileLock::is_held(&path)? || fs::symlink_metadata(&path).is_err())
}

/// Returns the ids whose locks are held.
fn building(site: &Site) -> Result<BTreeSet<String>> {
    let mut building = BTreeSet::new();
    for_each(&site.paths.builds(), |name, _| {
        let path = site.paths.build_lock(name);
        // A prune also holds the lock of what it removes.
        let is_going = || fs::symlink_metadata(site.paths.going(name)).is_ok();
        if !is_unfinished(name) && FileLock::is_held(&path).unwrap_or(true) && !is_going() {
            building.insert(name.to_owned());
        }
    })?;
    Ok(building)
}

/// Returns the records of results, without those of removed results.
fn records(
    site: &Site,
    images: &[ListedImage],
    now: SystemTime,
    wait: Wait<'_>,
) -> Result<HashMap<String, Kept>> {
    let tags = images
        .iter()
        .flat_map(|image| image.repo_tags.iter().flatten());
    let listed: BTreeSet<&str> = tags.filter_map(|tag| site.names.id_of_image(tag)).collect();
    let mut records = HashMap::new();
    let mut going = Vec::new();
    for_each(site.paths.records(), |name, path| {
        match record::name(name) {
            Some(Name::Result(id)) => {
                records.extend(Record::read(path).map(|kept| (id.to_owned(), kept)));
            }
            Some(Name::Going(id)) => {
                let kept = Record::read(path);
                going.extend(kept.map(|kept| (id.to_owned(), kept)));
            }
            None => {}
        }
    })?;
    let settled = |kept: &Kept| now.duration_since(kept.at).is_ok_and(|age| age > SETTLED);
    let mut vanished: Vec<String> = records
        .iter()
        .filter(|(id, kept)| !listed.contains(id.as_str()) && settled(kept))
        .map(|(id, _)| id.clone())
        .collect();
    vanished.extend(going.iter().map(|(id, _)| id.clone()));
    if !vanished.is_empty() {
        // On another engine the results may well exist.
        site.check_engine("listing what is stored", wait)?;
    }
    for id in vanished {
        forget(site, &id, listed.contains(id.as_str()), wait);
    }
    for (id, kept) in going {
        records.entry(id).or_insert(kept);
    }
    records.retain(|id, _| listed.contains(id.as_str()));
    record::forget_old(&site.paths, now);
    Ok(records)
}

/// Records that another program removed the result `id`, if so. This applies even to recent records, because the check comes
/// after the record existed.
pub(crate) fn notice(site: &Site, id: &Id, wait: Wait<'_>) -> Result<()> {
    let kept = Record::read(&site.paths.record(id.as_str()));
    let is_committed = kept.is_some_and(|kept| kept.record.is_some());
    let is_going = fs::symlink_metadata(site.paths.going(id.as_str())).is_ok();
    if is_committed || is_going {
        site.check_engine("checking whether a result was removed", wait)?;
        forget(site, id.as_str(), false, wait);
    }
    Ok(())
}

/// Completes the removal that a killed process had begun, or records that another program removed the result.
fn forget(site: &Site, id: &str, listed: bool, wait: Wait<'_>) {
    let Ok(id) = site.names.id(id) else { return };
    let was_going = fs::symlink_metadata(site.paths.going(id.as_str())).is_ok();
    let Ok(Some(removal)) = Removal::begin(site, &id) else {
        // It is being built or removed.
        return;
    };
    if listed {
        return removal.undo();
    }
    match site.engine.image_exists(&site.names.image(&id), wait) {
        Ok(false) => removal.done(
            match was_going {
                true => record::Went::Pruned,
                false => record::Went::Vanished,
            },
            None,
        ),
        _ => removal.undo(),
    }
}

fn logs(site: &Site) -> Result<Vec<FoundLog>> {
    let mut logs = BTreeMap::new();
    for_each(&site.paths.logs(), |name, path| {
        let id = name
            .strip_suffix(".log")
            .filter(|id| site.names.id(id).is_ok());
        if let (Some(id), Ok(found)) = (id, fs::symlink_metadata(path)) {
            if found.is_file() {
                let at = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                logs.insert(id.to_owned(), (found.len(), at));
            }
        }
    })?;
    let logs = logs.into_iter().map(|(id, (bytes, at))| FoundLog {
        id,
        bytes,
        at,
        has_result: false,
    });
    Ok(logs.collect())
}
