//! The record of a result: what it was built on, the size of that, how long the build took; and, as the time of the file, when
//! it was last used. Each is one small file, which is never synced. If it is missing or corrupt, the image's own dates are
//! used.
//!
//! A hit touches the file; this is all it costs. A removal of the result renames the file first. So a hit either came before,
//! and shows in the file's time, or finds no file and waits for the outcome of the removal.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::local as fs;
use crate::os;
use crate::store::access;
use crate::store::lock::FileLock;
use crate::store::names::Id;
use crate::store::paths::Paths;
use crate::store::replace::{beside, is_unfinished, replace};
use crate::store::site::Site;
use crate::wait::Wait;

const FORMAT: u32 = 1;

/// For how long the removal of a result is remembered. This is a choice: users ask within days why something was built again,
/// and one small file for each result that was removed in a month is little.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What is recorded of one result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    format: u32,
    pub(crate) base: Option<Base>,
    /// How long it took to build, in milliseconds.
    pub(crate) built_ms: u64,
    /// How the result was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gone: Option<Went>,
    /// The size that the removed image had in the engine's listing, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
}

/// What a result was built on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Base {
    pub(crate) id: String,
    /// The image that the base was then.
    pub(crate) image: String,
    pub(crate) bytes: u64,
    /// Whether the result shares its layers. Not if the result was flattened.
    pub(crate) shared: bool,
}

/// How a result was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Went {
    /// It was deleted by a call.
    Deleted,
    /// A prune removed it.
    Pruned,
    /// Another program removed it on the engine. The time of that is not known; the time recorded is when it was noticed.
    Vanished,
}

/// A record as it was found.
pub(crate) struct Kept {
    /// `None` if the file is invalid.
    pub(crate) record: Option<Record>,
    /// When the result was last used; for a removed one, when it was removed.
    pub(crate) at: SystemTime,
}

impl Record {
    pub(crate) fn new(base: Option<Base>, built: Duration) -> Self {
        Record {
            format: FORMAT,
            base,
            built_ms: built.as_millis().try_into().unwrap_or(u64::MAX),
            gone: None,
            bytes: None,
        }
    }

    /// Reads the record at `path`; returns `None` if there is no file.
    pub(crate) fn read(path: &Path) -> Option<Kept> {
        let mut file = fs::open(path).ok()?;
        let at = file.metadata().and_then(|found| found.modified()).ok()?;
        let mut text = Vec::new();
        let record = match io::Read::read_to_end(&mut file, &mut text) {
            Ok(1..) => serde_json::from_slice::<Record>(&text).ok(),
            _ => None,
        };
        let record = record.filter(|record| record.format == FORMAT);
        Some(Kept { record, at })
    }

    fn write(&self, path: &Path, unique: &str) -> io::Result<()> {
        let text = serde_json::to_vec(self).map_err(io::Error::from)?;
        replace(path, &beside(path, unique), &text)
    }
}

/// Records what was just committed. The caller holds the lock of `id`.
pub(crate) fn committed(site: &Site, id: &Id, record: &Record) {
    let path = site.paths.record(id.as_str());
    site.tell();
    let write = || record.write(&path, &site.session.unique());
    let written = match write() {
        Err(e) if e.raw_os_error().is_some_and(os::is_missing) => site
            .paths
            .make_folders()
            .and_then(|()| failed(&path, write())),
        written => failed(&path, written),
    };
    match written {
        // The result exists again.
        Ok(()) => drop(fs::remove_file(site.paths.gone().join(id.as_str()))),
        Err(e) => log::warn!("{e}; how the result was built will not be known"),
    }
}

/// Marks the result as used, after the engine has shown that it exists. Returns `false` if a prune has removed it since.
pub(crate) fn mark(site: &Site, id: &Id, wait: Wait<'_>) -> Result<bool> {
    let path = site.paths.record(id.as_str());
    site.tell();
    match os::touch(&path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => first_mark(site, id, wait),
        Err(e) => {
            log::debug!("noting the use of {:?}: {e}", id.as_str());
            Ok(true)
        }
    }
}

/// The same for a caller that holds the lock of `id`.
pub(crate) fn mark_held(site: &Site, id: &Id) {
    site.tell();
    put_back(&site.paths, id);
    if os::touch(&site.paths.record(id.as_str())).is_err() {
        make(site, id);
    }
}

/// There is no record: another program created the result, or it is being removed.
fn first_mark(site: &Site, id: &Id, wait: Wait<'_>) -> Result<bool> {
    // Before the check for a removal: a removal that begins after the check finds the record.
    make(site, id);
    if fs::symlink_metadata(site.paths.going(id.as_str())).is_err() {
        return Ok(true);
    }
    let path = site.paths.build_lock(id.as_str());
    let lock = site.paths.in_folders(|| FileLock::take(&path, wait));
    let lock = lock.map_err(|e| e.context(format_args!("{:?} is being removed", id.as_str())))?;
    let there = site.engine.image_exists(&site.names.image(id), wait);
    match there {
        Ok(true) => mark_held(site, id),
        Ok(false) => gone(site, id, Went::Pruned, None),
        Err(_) => {}
    }
    lock.give_back();
    there
}

/// Creates a record that contains only the time.
fn make(site: &Site, id: &Id) {
    let path = site.paths.record(id.as_str());
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    let create = || access::open_with(&options, &path).map(drop);
    let made = match create() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => match site.paths.make_folders() {
            Ok(()) => create(),
            Err(_) => Err(e),
        },
        made => made,
    };
    match made {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            log::debug!("noting the use of {:?}: {e}", id.as_str());
        }
        _ => {}
    }
}

/// The result does not exist. Records that, if it is the work of a removal that was killed. The caller holds the lock of `id`.
pub(crate) fn settle(site: &Site, id: &Id) {
    if fs::symlink_metadata(site.paths.going(id.as_str())).is_ok() {
        gone(site, id, Went::Pruned, None);
    }
}

/// Undoes what a removal had begun, also one that was killed. The caller holds the lock of `id`.
pub(crate) fn put_back(paths: &Paths, id: &Id) {
    let (going, path) = (paths.going(id.as_str()), paths.record(id.as_str()));
    if fs::symlink_metadata(&going).is_err() {
        return;
    }
    // Another caller has marked it in the meantime.
    let marked = fs::symlink_metadata(&path).is_ok();
    if let Err(e) = fs::rename(&going, &path) {
        log::debug!("putting back {}: {e}", path.display());
    }
    if marked {
        let _ = os::touch(&path);
    }
}

/// Records that the result was removed. The caller holds the lock of `id`, or the disk is too full for one.
pub(crate) fn gone(site: &Site, id: &Id, how: Went, bytes: Option<u64>) {
    let (going, path) = (
        site.paths.going(id.as_str()),
        site.paths.record(id.as_str()),
    );
    let kept = Record::read(&going).filter(|kept| kept.record.is_some());
    let kept = kept.or_else(|| Record::read(&path));
    let known = kept.and_then(|kept| kept.record);
    let at = site.paths.gone().join(id.as_str());
    // The process that removed it may have recorded that already, with more detail.
    if known.is_some() || fs::symlink_metadata(&at).is_err() {
        let mut record = known.unwrap_or_else(|| Record::new(None, Duration::ZERO));
        record.gone = Some(how);
        record.bytes = bytes;
        if let Err(e) = record.write(&at, &site.session.unique()) {
            log::debug!("recording that {:?} was removed: {e}", id.as_str());
        }
    }
    for path in [going, path] {
        let _ = fs::remove_file(path);
    }
}

/// Returns how and when the result `id` was removed, if that is known.
pub(crate) fn went(paths: &Paths, id: &Id) -> Option<(Went, SystemTime)> {
    let kept = Record::read(&paths.gone().join(id.as_str()))?;
    Some((kept.record?.gone?, kept.at))
}

/// Removes records that are too old, and files that killed writers left.
pub(crate) fn forget_old(paths: &Paths, now: SystemTime) {
    let is_old = |path: &Path| {
        let at = fs::symlink_metadata(path).and_then(|found| found.modified());
        at.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > REMEMBERED))
    };
    let mut folders = vec![
        paths.gone(),
        paths.records().to_owned(),
        paths.pinned_results(),
        paths.pinned_caches(),
        paths.cache_limits(),
        paths.own(),
        paths.of_engine(),
    ];
    // The last two are one for the first engine.
    folders.dedup();
    for folder in folders {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let unfinished = is_unfinished(&entry.file_name().to_string_lossy());
            if (unfinished || folder == paths.gone()) && is_old(&path) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// The meaning of a file name in the directory of records.
pub(crate) enum Name<'a> {
    Result(&'a str),
    /// A result whose removal was begun.
    Going(&'a str),
}

/// Parses a file name in the directory of records.
pub(crate) fn name(name: &str) -> Option<Name<'_>> {
    match name.strip_prefix(".going-") {
        Some(id) => Some(Name::Going(id)),
        None => (!name.starts_with('.')).then_some(Name::Result(name)),
    }
}

/// Replaces a time in the future by the current time.
pub(crate) fn not_later(at: SystemTime, now: SystemTime) -> SystemTime {
    at.min(now).max(UNIX_EPOCH)
}

fn failed(path: &Path, written: io::Result<()>) -> Result<()> {
    written.map_err(|e| {
        let doing = format!("writing the record {}", path.display());
        crate::error::Error::io(doing, &e)
    })
}
