//! Results: checking, listing, deleting, copying files out.

use std::io::{Read, Write};
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::engine::images::must_exist;
use crate::engine::version::ApiVersion;
use crate::error::{Error, ErrorKind, Result};
use crate::store::archive::{absolute, pour, taken};
use crate::store::bounds::record::{self, Went};
use crate::store::clock;
use crate::store::helper::remove_if_made;
use crate::store::host::folder::HostFolder;
use crate::store::host::unpack::{Unpacking, asked};
use crate::store::lock::FileLock;
use crate::store::site::Site;
use crate::wait::{Limits, Wait};

/// How long the lock of a build may be held by a process that only examines it. Examining takes a shared lock only for an
/// instant; a longer hold is a build.
const MOMENT: Duration = Duration::from_millis(50);

/// One result in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResultInfo {
    /// The id that it was built under.
    pub id: String,
    /// When its image was created.
    pub created: SystemTime,
    /// The size in bytes, including layers that it shares with others.
    pub size: u64,
}

/// Returns whether `id` has been built, in one round trip.
pub(crate) fn exists(site: &Site, id: &str, limits: &Limits) -> Result<bool> {
    site.check_open("looking up a result")?;
    let id = site.names.id(id)?;
    let wait = limits.wait();
    let there = site.engine.image_exists(&site.names.image(&id), wait)?;
    Ok(there && record::mark(site, &id, wait)?)
}

/// Returns all results, sorted by id.
pub(crate) fn list(site: &Site, limits: &Limits) -> Result<Vec<ResultInfo>> {
    site.check_open("listing results")?;
    let images = site
        .engine
        .list_images(&format!("{}-image-*", site.names.prefix()), limits.wait())?;
    let mut results = Vec::new();
    for image in images {
        for tag in image.repo_tags.iter().flatten() {
            if let Some(id) = site.names.id_of_image(tag) {
                let created = clock::time(image.created.try_into().unwrap_or_default());
                results.push(ResultInfo {
                    id: id.to_owned(),
                    created,
                    size: image.size,
                });
            }
        }
    }
    results.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(results)
}

/// Returns the size of an image in the engine's listing, if that is another than an inspection says. Asks only an engine that
/// can have containerd's image store other than as an experiment.
fn other_size(site: &Site, name: &str, wait: Wait<'_>) -> Option<u64> {
    let can_have = site.engine.version() >= ApiVersion::CONTAINERD_IMAGES;
    if !can_have || !site.lists_other_sizes(wait).ok()? {
        return None;
    }
    let images = site.engine.list_images(name, wait).ok()?;
    images.first().map(|image| image.size)
}

/// Removes the result and its log. Returns `false` if it does not exist.
pub(crate) fn delete(site: &Site, id: &str, limits: &Limits) -> Result<bool> {
    site.check_open("deleting a result")?;
    let id = site.names.id(id)?;
    let path = site.paths.build_lock(id.as_str());
    let lock = match FileLock::take(&path, Wait::unbounded().at_most(MOMENT)) {
        Ok(lock) => Some(lock),
        Err(e) if e.kind() == ErrorKind::TimedOut => {
            return Err(Error::new(
                ErrorKind::Busy,
                format!("deleting {:?}: it is being built", id.as_str()),
            ));
        }
        // On a full disk no new lock can be created, and a delete makes room. A build in progress has its lock file already.
        Err(_) if !path.exists() => None,
        Err(e) => return Err(e),
    };
    let name = site.names.image(&id);
    // Results that are based on it have the rest of their own size from this one (see `Family::alike`).
    let listed = other_size(site, &name, limits.wait());
    let removed = site
        .engine
        .remove_image(&name, limits.wait())
        .map_err(|e| match e.kind() {
            // It is the last name, and a container was created from it.
            ErrorKind::Conflict => Error::new(ErrorKind::Busy, e.message()).with_http_status(409),
            _ => e,
        });
    let log = match &removed {
        Ok(there) => {
            if *there {
                record::gone(site, &id, Went::Deleted, listed);
            }
            remove_log(&site.paths.log(&id))
        }
        Err(_) => Ok(()),
    };
    if let Some(lock) = lock {
        lock.give_back();
    }
    let removed = removed?;
    log.map(|()| removed)
}

/// Writes a path of a result to `tar` as a tar stream.
pub(crate) fn copy_out(
    site: &Site,
    id: &str,
    path: &str,
    tar: &mut dyn Write,
    limits: &Limits,
) -> Result<u64> {
    archived(site, id, path, limits, |body| pour(body, tar))
}

/// Unpacks a path of a result into a local directory.
pub(crate) fn copy_out_host(
    site: &Site,
    id: &str,
    path: &str,
    into: &HostFolder,
    limits: &Limits,
) -> Result<u64> {
    let unpacking = Unpacking::into(into, limits.wait())?;
    archived(site, id, asked(path), limits, |body| unpacking.unpack(body))
}

/// Gives a path of a result to `take`, as a tar stream.
fn archived(
    site: &Site,
    id: &str,
    path: &str,
    limits: &Limits,
    take: impl FnOnce(&mut dyn Read) -> Result<u64>,
) -> Result<u64> {
    site.check_open("copying out of a result")?;
    let id = site.names.id(id)?;
    absolute("the path to copy out,", path)?;
    let image = site.names.image(&id);
    let spec = json!({
        "Image": image,
        "Entrypoint": ["-"],
        "Labels": site.labels("helper"),
        "HostConfig": { "NetworkMode": "none", "LogConfig": { "Type": "none" } },
    });
    let name = site.names.helper(&site.session.unique());
    let wait = limits.wait();
    let container = site
        .engine
        .create_container(&name, &spec, wait.whole())
        .inspect_err(|e| remove_if_made(site, &name, e, wait))
        .map_err(|e| match e.kind() {
            ErrorKind::NotFound => must_exist(&format!("the result {:?}", id.as_str())),
            _ => e,
        })?;
    // While a container of it exists, the image is kept.
    let copied = record::mark(site, &id, wait)
        .and_then(|_| taken(site.engine.get_archive(&container, path, wait)?, take));
    site.remove_container(&container, wait);
    copied
}

/// Removes a log, if it exists.
pub(crate) fn remove_log(path: &std::path::Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(
            format!("removing the log {}", path.display()),
            &e,
        )),
        _ => Ok(()),
    }
}
