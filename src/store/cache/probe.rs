//! What really works on this engine, found out by trying, and remembered for that engine and boot. Nothing is believed that was
//! not read back: what the engine unpacks is read back through the engine, and as files where they are to be seen; and what is made
//! as files is read back through the engine.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::engine::system::Info;
use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::store::access;
use crate::store::cache::clone::overlay::mount_options;
use crate::store::cache::clone::{layer, volumes};
use crate::store::cache::facts::{EXTRAS, Facts, OPTIONS_MAX};
use crate::store::cache::files::look::RootLook;
use crate::store::cache::files::owners::Owners;
use crate::store::cache::files::tar;
use crate::store::cache::reach::{self, Sample};
use crate::store::clock::Uptime;
use crate::store::helper::Helper;
use crate::store::options::Strategy;
use crate::store::site::Site;
use crate::wait::Wait;

/// For how many seconds it is remembered that overlays do not work.
const DOUBT: u64 = 3600;

/// For how many engines, users and namespaces it is remembered in one root.
const KEPT: usize = 8;

/// The format of what is remembered. Another one is not read.
const FORMAT: u32 = 3;

/// What is remembered, the newest first.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    format: u32,
    found: Vec<Found>,
}

/// What was found.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Found {
    key: Key,
    reach: bool,
    /// `None`: archives come back with owners that nothing follows from.
    owners: Option<Owners>,
    overlay: Option<String>,
    /// Why there is no overlay.
    obstacle: String,
    /// Seconds since the machine was started.
    at: i64,
}

/// For whom it is remembered: another engine, kernel, boot or user may find something else, and so may a process that sees other
/// mounts, as in a container that has the same root.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    address: String,
    engine: String,
    server: String,
    kernel: String,
    boot: String,
    user: u32,
    namespaces: Vec<PathBuf>,
}

/// Finds out, or remembers.
pub(crate) fn facts(site: &Site, wait: Wait<'_>) -> Result<Facts> {
    let info = site.engine.info(wait)?;
    let now = Uptime::now();
    let namespace = |kind| fs::read_link(format!("/proc/self/ns/{kind}")).unwrap_or_default();
    let key = Key {
        address: site.engine.address().to_owned(),
        engine: info.id.clone(),
        server: info.server_version.clone(),
        kernel: info.kernel_version.clone(),
        boot: now.boot.clone(),
        user: rustix::process::geteuid().as_raw(),
        namespaces: ["mnt", "user"].map(namespace).into(),
    };
    let file = site.paths.of_engine().join("probed");
    // A full disk, say, is an obstacle that goes away: overlays that did not work are tried again after a while.
    let holds = |found: &Found| {
        let age = now.seconds.checked_sub(found.at).map(u64::try_from);
        found.overlay.is_some() || matches!(age, Some(Ok(age)) if age < DOUBT)
    };
    let mut memory = fs::read(&file)
        .ok()
        .and_then(|text| serde_json::from_slice::<Memory>(&text).ok())
        .filter(|memory| memory.format == FORMAT)
        .unwrap_or_default();
    let found = match memory
        .found
        .iter()
        .position(|found| found.key == key && holds(found))
    {
        Some(at) => memory.found.swap_remove(at),
        None => {
            let found = probe(site, key, now.seconds, &info, wait)
                .map_err(|e| e.context("trying how caches can be cloned"))?;
            memory.format = FORMAT;
            memory.found.retain(|other| other.key != found.key);
            memory.found.insert(0, found);
            memory.found.truncate(KEPT);
            remember(&file, &memory, &site.session.unique());
            memory.found.swap_remove(0)
        }
    };
    decide(found, site)
}

/// What to do with what was found, and with what the options ask for.
fn decide(found: Found, site: &Site) -> Result<Facts> {
    let reach = found.reach && site.cache_options.direct;
    // Even where all else is done as files, some copies go through archives.
    let Some(owners) = found.owners else {
        let why = "caches cannot be kept on this engine: the owners in the archives that it gives are not those that it took, \
                   and differ by more than one number";
        return Err(Error::new(ErrorKind::Unsupported, why));
    };
    let (strategy, why) = match (site.cache_options.strategy, &found.overlay) {
        (Strategy::Copy, _) => (Strategy::Copy, String::from("an option says so")),
        (Strategy::Overlay, Some(_)) => (Strategy::Overlay, String::from("an option says so")),
        (Strategy::Overlay, None) => {
            let why = format!(
                "caches cannot be cloned by overlay, as an option asks: {}",
                found.obstacle
            );
            return Err(Error::new(ErrorKind::Unsupported, why));
        }
        (Strategy::Automatic, Some(_)) => (
            Strategy::Overlay,
            String::from("overlay mounts were tried and work"),
        ),
        (Strategy::Automatic, None) => (Strategy::Copy, found.obstacle),
    };
    let place = if reach {
        "as files"
    } else {
        "through the engine's archive calls"
    };
    Ok(Facts {
        reach,
        owners,
        overlay: found.overlay,
        strategy,
        why: format!("{why}; volumes are reached {place}"),
    })
}

/// Written beside and renamed over. If it cannot be, the next process probes again.
fn remember(file: &Path, memory: &Memory, unique: &str) {
    let beside = file.with_extension(unique);
    let text = serde_json::to_vec(memory).unwrap_or_default();
    if let Err(e) = access::write(&beside, &text).and_then(|()| fs::rename(&beside, file)) {
        log::debug!("remembering what works in {}: {e}", file.display());
        let _ = fs::remove_file(&beside);
    }
}

fn probe(site: &Site, key: Key, at: i64, info: &Info, wait: Wait<'_>) -> Result<Found> {
    let mut found = Found {
        key,
        reach: false,
        owners: Some(Owners::default()),
        overlay: None,
        obstacle: String::from("the engine is not a Linux one"),
        at,
    };
    if info.os_type != "linux" {
        return Ok(found);
    }
    let name = site.names.volume("probe", &site.session.unique());
    let volume = volumes::create(site, "probe", &name, "", &json!({}), wait)?;
    let tried = try_all(
        site,
        &volume.name,
        &volume.mountpoint,
        info,
        &mut found,
        wait,
    );
    site.remove_volume(&name, wait);
    tried.map(|()| found)
}

fn try_all(
    site: &Site,
    volume: &str,
    mountpoint: &str,
    info: &Info,
    found: &mut Found,
    wait: Wait<'_>,
) -> Result<()> {
    let token = site.session.unique();
    let lowers = lowers(mountpoint);
    let helper = volumes::helper(site, volume, wait)?;
    helper.put("/", &mut stack(&lowers, &token).as_slice(), wait)?;
    let sample = put_sample(&helper, &token, wait)?;
    found.owners = sample.owners(&entries(&helper, &token, wait)?);
    let place = Path::new(mountpoint).join(&token);
    found.reach = match sample.is_seen(&place).and_then(|()| sample.add(&place)) {
        Ok(()) => sample.is_added(&entries(&helper, &token, wait)?),
        Err(why) => {
            log::debug!(
                "the engine's volumes are out of reach at {}: {why}",
                place.display()
            );
            false
        }
    };
    helper.remove();
    // Where a directory does not tell what its entries are, overlays show deleted files in listings.
    let tells_types = !info.has_no_entry_types() && (!found.reach || reach::tells_types(&place));
    if !tells_types {
        found.obstacle = String::from(
            "the engine's file system does not tell the types of a directory's entries",
        );
        return Ok(());
    }
    for extra in EXTRAS {
        match try_overlay(site, mountpoint, &lowers, &token, extra, wait) {
            Ok(None) => {
                found.overlay = Some(extra.to_owned());
                return Ok(());
            }
            Ok(Some(obstacle)) => {
                found.obstacle = format!("the engine mounts overlays, but {obstacle}")
            }
            // Mounting is what failed, unless our own time ran out.
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::Cancelled | ErrorKind::TimedOut | ErrorKind::Unreachable
                ) =>
            {
                return Err(e);
            }
            Err(e) => found.obstacle = format!("the engine cannot mount an overlay: {e}"),
        }
    }
    Ok(())
}

/// The lower directories of the trial: as many as the longest option string names.
fn lowers(mountpoint: &str) -> Vec<String> {
    // The names are as long as those of real layers are in sum: it is the bytes that count.
    let each = format!("{mountpoint}/000:").len();
    let count = (OPTIONS_MAX.saturating_sub(2 * mountpoint.len() + 128) / each).clamp(2, 400);
    (0..count).map(|n| format!("{mountpoint}/{n:03}")).collect()
}

/// The tar stream that makes the directories of the trial.
fn stack(lowers: &[String], token: &str) -> Vec<u8> {
    let look = RootLook {
        mode: 0o755,
        mtime: (1, 0),
    };
    let mut stream = Vec::new();
    let mut folder = |path: &str| stream.extend(tar::folder(path, (0, 0), look));
    folder(&format!("c/{token}/"));
    folder("c/upper/");
    folder("c/work/");
    for (n, _) in lowers.iter().enumerate() {
        folder(&format!("c/{n:03}/"));
    }
    // Something at each end of the chain, and a directory to replace.
    folder("c/000/top/");
    let last = lowers.len() - 1;
    folder(&format!("c/{last:03}/bottom/"));
    folder(&format!("c/{last:03}/replaced/"));
    folder(&format!("c/{last:03}/replaced/old/"));
    stream.resize(stream.len() + tar::END, 0);
    stream
}

/// Mounts the stack as a lease would be, without starting anything: `None` if it is all as it should be.
fn try_overlay(
    site: &Site,
    mountpoint: &str,
    lowers: &[String],
    token: &str,
    extra: &str,
    wait: Wait<'_>,
) -> Result<Option<String>> {
    let name = site.names.volume("cache-tmp", &site.session.unique());
    let options = mount_options(
        lowers,
        (&layer::upper(mountpoint), &layer::work(mountpoint)),
        extra,
    );
    let options = json!({ "type": "overlay", "device": "overlay", "o": options });
    volumes::create(site, "probe", &name, "", &options, wait)?;
    let look = || -> Result<Option<String>> {
        let helper = volumes::helper(site, &name, wait)?;
        let seen = paths(&helper, wait)?;
        if !["c/top", "c/bottom", "c/replaced/old"]
            .iter()
            .all(|path| seen.contains(&PathBuf::from(path)))
        {
            return Ok(Some(format!(
                "a mount of {} layers does not show them all",
                lowers.len()
            )));
        }
        // A directory is replaced by a link, and that by a directory: what was in the first must not come back. It takes
        // whiteouts and opaque directories, which not every file system can keep.
        let look = RootLook {
            mode: 0o755,
            mtime: (1, 0),
        };
        let mut stream = link("c/replaced", token);
        stream.extend(tar::folder("c/replaced/", (0, 0), look));
        stream.resize(stream.len() + tar::END, 0);
        helper.put("/", &mut stream.as_slice(), wait)?;
        let seen = paths(&helper, wait)?;
        helper.remove();
        let has = |path: &str| seen.contains(&PathBuf::from(path));
        if has("c/replaced/old") || !has("c/replaced") {
            return Ok(Some(String::from("deleted files come back")));
        }
        Ok(None)
    };
    let looked = look();
    site.remove_volume(&name, wait);
    looked
}

/// A tar entry for a symbolic link.
fn link(path: &str, target: &str) -> Vec<u8> {
    let mut header = ::tar::Header::new_gnu();
    header.set_entry_type(::tar::EntryType::Symlink);
    header.set_size(0);
    header.set_mode(0o777);
    // Both are a few letters long; a header takes a hundred.
    let _ = header
        .set_path(path)
        .and_then(|()| header.set_link_name(target));
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// The paths of everything in the helper's volume.
fn paths(helper: &Helper<'_>, wait: Wait<'_>) -> Result<Vec<PathBuf>> {
    let bytes = read_all(helper, tar::PLACE, wait)?;
    let mut archive = ::tar::Archive::new(bytes.as_slice());
    // A slash at the end is no part of the name.
    let listed: io::Result<Vec<PathBuf>> = archive.entries().and_then(|entries| {
        entries
            .map(|e| Ok(e?.path()?.components().collect()))
            .collect()
    });
    listed.map_err(|e| Error::io("reading a trial of overlays", &e))
}

/// Unpacks a sample with owners that are as different as the engine has them.
fn put_sample(helper: &Helper<'_>, token: &str, wait: Wait<'_>) -> Result<Sample> {
    let all = Sample::of_all_owners(token);
    match helper.put("/", &mut all.stream().as_slice(), wait) {
        Ok(()) => Ok(all),
        // A small user namespace may not have the highest numbers.
        Err(e) if e.kind() == ErrorKind::Engine => {
            log::debug!("{e}; tried with fewer owners");
            let few = Sample::of_few_owners(token);
            helper.put("/", &mut few.stream().as_slice(), wait)?;
            Ok(few)
        }
        Err(e) => Err(e),
    }
}

/// What the engine gives of the folder `token`.
fn entries(helper: &Helper<'_>, token: &str, wait: Wait<'_>) -> Result<Vec<u8>> {
    read_all(helper, &format!("{}/{token}", tar::PLACE), wait)
}

fn read_all(helper: &Helper<'_>, path: &str, wait: Wait<'_>) -> Result<Vec<u8>> {
    let mut stream = helper.get(path, wait)?;
    let mut bytes = Vec::new();
    // Some hundred empty directories.
    if let Err(e) = (&mut stream).take(16 << 20).read_to_end(&mut bytes) {
        return Err(stream
            .why()
            .unwrap_or_else(|| Error::io("reading back what was tried", &e)));
    }
    Ok(bytes)
}
