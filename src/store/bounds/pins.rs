//! Pins: what no prune removes. Each is one small file in the root, and applies to all engines; the file of a cache's pin
//! contains the cache's name.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::engine::stopped;
use crate::error::{Error, Result};
use crate::local as fs;
use crate::store::bounds::folder::for_each;
use crate::store::lock::FileLock;
use crate::store::names::{CacheName, Id, hex, unhex};
use crate::store::replace::{beside, is_unfinished, replace_for_good};
use crate::store::site::Site;
use crate::wait::Limits;

/// The pause between checks of a removal that was begun before. A removal takes some milliseconds.
const LOOK: Duration = Duration::from_millis(5);

/// One of the things that a store keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Item {
    /// The result of this id.
    Result(String),
    /// The cache of this name.
    Cache(Vec<u8>),
    /// The log of the builds of this id.
    Log(String),
}

/// One pin, as [`Store::pins`](crate::Store::pins) lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pin {
    /// What is pinned: a result or a cache, whether it exists or not.
    pub item: Item,
    /// When it was pinned.
    pub since: SystemTime,
}

/// Pins the result `id`, whether it exists or not. Returns `false` if it was already pinned.
pub(crate) fn pin(site: &Site, id: &str, limits: &Limits) -> Result<bool> {
    site.check_open("pinning a result")?;
    let id = site.names.id(id)?;
    site.check_root("pinning a result")?;
    let new = put(site, &site.paths.pinned_results().join(id.as_str()), b"")?;
    // A prune that began earlier may not have seen the pin. It has renamed the record by then.
    let (going, lock) = (
        site.paths.going(id.as_str()),
        site.paths.build_lock(id.as_str()),
    );
    while fs::symlink_metadata(&going).is_ok() && FileLock::is_held(&lock)? {
        let slept = limits.wait().sleep(LOOK);
        slept.map_err(|stop| stopped(&"pinning a result that is being removed", stop))?;
    }
    Ok(new)
}

/// Removes the pin of a result. Returns `false` if there was none.
pub(crate) fn unpin(site: &Site, id: &str) -> Result<bool> {
    site.check_open("unpinning a result")?;
    let id = site.names.id(id)?;
    site.check_root("unpinning a result")?;
    take(&site.paths.pinned_results().join(id.as_str()))
}

/// Records the pin of a cache. A removal checks for it while it holds the cache's lock.
pub(crate) fn pin_cache(site: &Site, name: &[u8]) -> Result<bool> {
    let escaped = CacheName::new(name)?;
    let path = site.paths.pinned_caches().join(escaped.as_str());
    put(site, &path, hex(name).as_bytes())
}

/// Removes the pin of a cache. Returns `false` if there was none.
pub(crate) fn unpin_cache(site: &Site, name: &[u8]) -> Result<bool> {
    site.check_open("unpinning a cache")?;
    let escaped = CacheName::new(name)?;
    site.check_root("unpinning a cache")?;
    take(&site.paths.pinned_caches().join(escaped.as_str()))
}

pub(crate) fn is_pinned(site: &Site, id: &Id) -> bool {
    fs::symlink_metadata(site.paths.pinned_results().join(id.as_str())).is_ok()
}

pub(crate) fn is_cache_pinned(site: &Site, escaped: &str) -> bool {
    fs::symlink_metadata(site.paths.pinned_caches().join(escaped)).is_ok()
}

/// Returns all pins: results by id, then caches by name.
pub(crate) fn list(site: &Site) -> Result<Vec<Pin>> {
    site.check_open("listing pins")?;
    let mut pins = Vec::new();
    let since = |path: &Path| {
        let found = fs::symlink_metadata(path).and_then(|found| found.modified());
        found.unwrap_or(SystemTime::UNIX_EPOCH)
    };
    for_each(&site.paths.pinned_results(), |name, path| {
        if site.names.id(name).is_ok() {
            let item = Item::Result(name.to_owned());
            let since = since(path);
            pins.push(Pin { item, since });
        }
    })?;
    for_each(&site.paths.pinned_caches(), |escaped, path| {
        let text = fs::read(path).ok().filter(|_| !is_unfinished(escaped));
        let name = text.and_then(|text| unhex(&text));
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let item = Item::Cache(name);
            let since = since(path);
            pins.push(Pin { item, since });
        }
    })?;
    pins.sort_by(|a, b| a.item.cmp(&b.item));
    Ok(pins)
}

fn put(site: &Site, path: &Path, content: &[u8]) -> Result<bool> {
    let doing = |e: &io::Error| Error::io(format!("writing the pin {}", path.display()), e);
    if fs::symlink_metadata(path).is_ok() {
        return Ok(false);
    }
    // Synced, because the caller requests it once and relies on it.
    site.paths.in_folders(|| {
        let beside = beside(path, &site.session.unique());
        replace_for_good(path, &beside, content)
            .map(|()| true)
            .map_err(|e| doing(&e))
    })
}

fn take(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io(
            format!("removing the pin {}", path.display()),
            &e,
        )),
    }
}
