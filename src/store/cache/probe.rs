//! What works on this engine, found out by trying, and remembered for that engine and boot. Everything is verified by reading
//! it back: what the engine extracts is read back through the engine, and as files if they are accessible; and what is created
//! as files is read back through the engine.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::engine::system::Info;
use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::os;
use crate::store::cache::clone::overlay::mount_options;
use crate::store::cache::clone::{archive, layer, volumes};
use crate::store::cache::facts::{
    Archives, EXTRAS, Facts, NO_ARCHIVES, OPTIONS_MAX, Overlays, RootBy, marks,
};
use crate::store::cache::files::look::RootLook;
use crate::store::cache::files::owners::Owners;
use crate::store::cache::files::tar;
use crate::store::cache::files::tree::{Root, Tree};
use crate::store::cache::files::trial;
use crate::store::cache::reach::Sample;
use crate::store::clock::Uptime;
use crate::store::helper::Helper;
use crate::store::options::Strategy;
use crate::store::remembered;
use crate::store::site::Site;
use crate::wait::Wait;

/// For how many seconds it is remembered that overlays do not work. The obstacle may disappear (a full disk), so they are tried
/// again. A trial makes many requests to the engine, so not every lease should make one.
const DOUBT: u64 = 3600;

/// For how many engines, users and namespaces results are remembered in one root. A root is used by few users and containers.
/// One more replaces the oldest.
const KEPT: usize = 8;

/// The format of the stored results. Other formats are ignored.
const FORMAT: u32 = 4;

/// The stored results, newest first.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    format: u32,
    found: Vec<Found>,
}

/// One result.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Found {
    key: Key,
    reach: bool,
    /// `None`: the owners in archives that the engine returns do not follow from those that were sent.
    archives: Option<Archives>,
    overlay: Option<Overlays>,
    /// Why there is no overlay.
    obstacle: String,
    /// Seconds since the machine was started.
    at: i64,
}

/// What a result is valid for. Another engine, kernel, boot or user may have a different result, and so may a process that sees
/// other mounts, for example in a container that uses the same root.
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

/// Returns the stored result, or finds it out.
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
        user: os::user(),
        namespaces: ["mnt", "user"].map(namespace).into(),
    };
    let file = site.paths.of_engine().join("probed");
    // An obstacle may disappear, for example a full disk: overlays that did not work are tried again after some time.
    let holds = |found: &Found| {
        let age = now.seconds.checked_sub(found.at).map(u64::try_from);
        found.overlay.is_some() || matches!(age, Some(Ok(age)) if age < DOUBT)
    };
    let mut memory = remembered::read::<Memory>(&file)
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
            remembered::write(&file, &memory, &site.session.unique());
            memory.found.swap_remove(0)
        }
    };
    decide(found, site)
}

/// Decides what to use, from the result and the options.
fn decide(found: Found, site: &Site) -> Result<Facts> {
    let reach = found.reach && site.cache_options.direct;
    if !reach && found.archives.is_none() {
        let why = format!("caches cannot be kept on this engine: {NO_ARCHIVES}");
        return Err(Error::new(ErrorKind::Unsupported, why));
    }
    let (strategy, why) = match (site.cache_options.strategy, &found.overlay) {
        (Strategy::Copy, _) => (Strategy::Copy, String::from("an option says so")),
        (Strategy::Overlay, Some(_)) => (Strategy::Overlay, String::from("an option says so")),
        (Strategy::Overlay, None) => {
            let why = format!(
                "the overlay strategy was requested but does not work on this engine: {}",
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
        archives: found.archives,
        overlay: found.overlay,
        strategy,
        why: format!("{why}; volumes are accessed {place}"),
    })
}

fn probe(site: &Site, key: Key, at: i64, info: &Info, wait: Wait<'_>) -> Result<Found> {
    let mut found = Found {
        key,
        reach: false,
        archives: Some(Archives::default()),
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
    archive::fill(&helper, &stack(&lowers, &token), wait)?;
    let sample = put_sample(&helper, &token, wait)?;
    found.archives = match sample.owners(&entries(&helper, &token, wait)?) {
        Some(owners) => root_by(&helper, owners, wait)?.map(|root| Archives { owners, root }),
        None => None,
    };
    let place = Path::new(mountpoint).join(&token);
    found.reach = match sample.is_seen(&place).and_then(|()| sample.add(&place)) {
        Ok(()) => sample.is_added(&entries(&helper, &token, wait)?, found.archives.is_some()),
        Err(why) => {
            log::debug!(
                "the engine's volumes cannot be accessed at {}: {why}",
                place.display()
            );
            false
        }
    };
    helper.remove();
    // If a directory listing does not contain entry types, overlays show deleted files in listings.
    let tells_types = !info.has_no_entry_types() && (!found.reach || trial::tells_types(&place));
    if !tells_types {
        found.obstacle =
            String::from("the engine's file system does not report the types of directory entries");
        return Ok(());
    }
    let ways = EXTRAS.into_iter().flat_map(|extra| {
        [false, true].map(|each| Overlays {
            extra: extra.to_owned(),
            each,
        })
    });
    for overlays in ways {
        let stack = (mountpoint, lowers.as_slice());
        match try_overlay(site, stack, &overlays, found.reach, wait) {
            Ok(None) => {
                found.overlay = Some(overlays);
                return Ok(());
            }
            Ok(Some(obstacle)) => {
                found.obstacle = format!("the engine mounts overlays, but {obstacle}")
            }
            // Mounting is what failed, unless this call's own time ran out.
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

/// Returns the lower directories of the trial: as many as the longest option string can name.
fn lowers(mountpoint: &str) -> Vec<String> {
    // In total, the names are as long as those of real layers: only the bytes count.
    let each = format!("{mountpoint}/000:").len();
    let count = (OPTIONS_MAX.saturating_sub(2 * mountpoint.len() + 128) / each).clamp(2, 400);
    (0..count).map(|n| format!("{mountpoint}/{n:03}")).collect()
}

/// Returns the tar stream that creates the directories of the trial.
fn stack(lowers: &[String], token: &str) -> Vec<u8> {
    let look = RootLook {
        mode: 0o755,
        mtime: (1, 0),
    };
    let mut folders = Vec::new();
    let mut folder = |path: &str| folders.push(tar::folder(path, (0, 0), look));
    folder(&format!("{token}/"));
    folder("upper/");
    folder("work/");
    for (n, _) in lowers.iter().enumerate() {
        folder(&format!("{n:03}/"));
    }
    // A directory to replace, at each end of the chain.
    folder("000/top/");
    folder("000/top/old/");
    let last = lowers.len() - 1;
    folder(&format!("{last:03}/bottom/"));
    folder(&format!("{last:03}/bottom/old/"));
    tar::archive(folders)
}

/// Mounts the stack as a lease would be, without starting anything. Returns `None` if everything is as it should be.
///
/// Directories at both ends of the chain are replaced by files, and those by directories: the contents of the first directories
/// must not reappear. This needs whiteouts and opaque directories, which not every file system can store; and both ends must be
/// in the mount.
fn try_overlay(
    site: &Site,
    (mountpoint, lowers): (&str, &[String]),
    overlays: &Overlays,
    reach: bool,
    wait: Wait<'_>,
) -> Result<Option<String>> {
    let name = site.names.volume("cache-tmp", &site.session.unique());
    let upper = layer::upper(mountpoint);
    let options = mount_options(lowers, (&upper, &layer::work(mountpoint)), overlays);
    let options = json!({ "type": "overlay", "device": "overlay", "o": options });
    volumes::create(site, "probe", &name, "", &options, wait)?;
    let look = || -> Result<Option<String>> {
        let helper = volumes::helper(site, &name, wait)?;
        let seen = paths(&helper, wait)?;
        let has = |seen: &[PathBuf], path: &str| seen.contains(&PathBuf::from(path));
        let shown = ENDS.iter().all(|end| has(&seen, &format!("{end}/old")));
        // Podman mounts a volume when something is extracted into it, and not when it is read.
        if !(shown || seen.is_empty() && reach) {
            return Ok(Some(format!(
                "a mount of {} layers does not show them all",
                lowers.len()
            )));
        }
        let look = RootLook {
            mode: 0o755,
            mtime: (1, 0),
        };
        let replacing = ENDS.iter().flat_map(|end| {
            let folder = tar::folder(&format!("{end}/"), (0, 0), look);
            [file(end), folder]
        });
        archive::fill(&helper, &tar::archive(replacing), wait)?;
        let seen = paths(&helper, wait)?;
        helper.remove();
        let gone = |end: &&str| has(&seen, end) && !has(&seen, &format!("{end}/old"));
        let hidden = match shown {
            true => ENDS.iter().all(gone),
            // The kernel hides what it sees below: so it saw both ends.
            false => ENDS
                .iter()
                .all(|end| is_opaque(&Path::new(&upper).join(end), overlays)),
        };
        if !hidden {
            return Ok(Some(String::from("deleted files reappear")));
        }
        Ok(None)
    };
    let looked = look();
    site.remove_volume(&name, wait);
    // The next trial starts with an empty one.
    if reach && !matches!(looked, Ok(None)) {
        for end in ENDS {
            let _ = fs::remove_dir_all(Path::new(&upper).join(end));
        }
    }
    looked
}

/// The directories at the ends of the stack.
const ENDS: [&str; 2] = ["top", "bottom"];

/// Returns whether an overlay has marked the directory as hiding what is below.
fn is_opaque(folder: &Path, overlays: &Overlays) -> bool {
    trial::is_opaque(folder, &marks(&overlays.extra))
}

/// Returns a tar header for an empty file.
fn file(path: &str) -> [u8; tar::BLOCK] {
    let look = RootLook {
        mode: 0o644,
        mtime: (1, 0),
    };
    let mut header = ::tar::Header::new_gnu();
    header
        .as_mut_bytes()
        .copy_from_slice(&tar::folder(path, (0, 0), look));
    header.set_entry_type(::tar::EntryType::Regular);
    header.set_cksum();
    *header.as_bytes()
}

/// Returns the paths of everything in the helper's volume, relative to its root.
fn paths(helper: &Helper<'_>, wait: Wait<'_>) -> Result<Vec<PathBuf>> {
    let bytes = read_all(helper, tar::PLACE, wait)?;
    let tree = Tree::new(bytes.as_slice(), Owners::default(), None);
    let mut archive = ::tar::Archive::new(tree);
    // A trailing slash is not part of the name, and the root has no name.
    let listed: io::Result<Vec<PathBuf>> = archive.entries().and_then(|entries| {
        let paths = entries.map(|e| Ok(e?.path()?.components().collect()));
        let paths = paths.filter(|path| !matches!(path, Ok(path) if path == Path::new(".")));
        paths.collect()
    });
    listed.map_err(|e| Error::io("reading a trial of overlays", &e))
}

/// Finds out how the owner and the attributes of a volume's root are set; returns `None` if they cannot be.
fn root_by(helper: &Helper<'_>, owners: Owners, wait: Wait<'_>) -> Result<Option<RootBy>> {
    let root = Root {
        owner: (1, 2),
        look: RootLook {
            mode: 0o2750,
            mtime: (1_000_000_007, 0),
        },
    };
    for by in [RootBy::Parent, RootBy::Itself] {
        archive::set_root(helper, by, root, wait)?;
        if archive::root(helper, owners, wait)? == root {
            return Ok(Some(by));
        }
    }
    Ok(None)
}

/// Extracts a sample with owners that are as different as the engine allows.
fn put_sample(helper: &Helper<'_>, token: &str, wait: Wait<'_>) -> Result<Sample> {
    let all = Sample::of_all_owners(token);
    match archive::fill(helper, &all.stream(), wait) {
        Ok(()) => Ok(all),
        // A small user namespace may not have the highest numbers.
        Err(e) if e.kind() == ErrorKind::Engine => {
            log::debug!("{e}; tried with fewer owners");
            let few = Sample::of_few_owners(token);
            archive::fill(helper, &few.stream(), wait)?;
            Ok(few)
        }
        Err(e) => Err(e),
    }
}

/// Returns the engine's archive of the directory `token`.
fn entries(helper: &Helper<'_>, token: &str, wait: Wait<'_>) -> Result<Vec<u8>> {
    read_all(helper, &format!("{}/{token}", tar::PLACE), wait)
}

fn read_all(helper: &Helper<'_>, path: &str, wait: Wait<'_>) -> Result<Vec<u8>> {
    let mut stream = helper.get(path, wait)?;
    let mut bytes = Vec::new();
    // Several hundred empty directories.
    if let Err(e) = (&mut stream).take(16 << 20).read_to_end(&mut bytes) {
        return Err(stream
            .why()
            .unwrap_or_else(|| Error::io("reading back what was tried", &e)));
    }
    Ok(bytes)
}
