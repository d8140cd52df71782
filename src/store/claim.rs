//! The claim of a root on a prefix: a small labelled volume on the engine, `PREFIX-store`. Creating a volume that exists
//! returns the existing one, with its labels. So one request both claims a prefix and shows which root has it, and no two roots
//! ever share a name.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::engine::volumes::Volume;
use crate::error::{Error, ErrorKind, Result};
use crate::store::identity::{EngineEntry, Identity, random};
use crate::store::names::{self, Names};
use crate::store::ownership::{
    LABEL_CLAIM, LABEL_KIND, LABEL_PATH, LABEL_PLACE, LABEL_ROOT, LABEL_STORE,
};
use crate::wait::Wait;

/// How often another prefix is tried. There are 2^28, so that two roots almost never choose the same. Twenty conflicts in a row
/// mean that the server is not an engine.
const TRIES: u32 = 20;

/// A prefix that is claimed.
pub(crate) struct Claimed {
    /// The root's entry for the engine.
    pub(crate) entry: EngineEntry,
    /// Whether the entry is new or changed.
    pub(crate) changed: bool,
    /// The volume that claims it.
    pub(crate) volume: Volume,
}

/// Claims a prefix for `identity` on `engine`, or finds it claimed. `first` is the prefix to try if the root has not been used
/// with the engine before. Returns `None` if another directory has claimed the prefix with this root's identity: one directory
/// is a copy of the other, and the other was opened first.
pub(crate) fn claim(
    engine: &Engine,
    identity: &Identity,
    word: &str,
    first: &str,
    wait: Wait<'_>,
) -> Result<Option<Claimed>> {
    let of_word = || identity.engines.iter().filter(|entry| entry.word == word);
    let last = of_word()
        .find(|entry| entry.address == engine.address())
        .or_else(|| of_word().next());
    let mut prefix = last.map_or(first, |entry| &entry.prefix).to_owned();
    let mut taken = BTreeSet::new();
    for _ in 0..TRIES {
        let volume = ask(engine, identity, &prefix, wait)?;
        let label = |name| volume.label(name).unwrap_or_default();
        let (found, place) = (label(LABEL_CLAIM), label(LABEL_PLACE));
        let is_ours = label(LABEL_ROOT) == identity.id;
        if is_ours && identity.before.iter().any(|mark| mark == place) {
            // From before the root was moved. The new claim tells a copy that it is one.
            engine.remove_volume(&volume.name, wait)?;
            continue;
        }
        if is_ours && place != identity.mark() {
            return Ok(None);
        }
        let known = of_word().find(|entry| entry.prefix == prefix && entry.claim == found);
        if let (true, Some(entry)) = (is_ours, known) {
            let entry = EngineEntry {
                address: engine.address().to_owned(),
                ..entry.clone()
            };
            let changed = !identity.engines.contains(&entry);
            return Ok(Some(Claimed {
                entry,
                changed,
                volume,
            }));
        }
        // Rare: this is the first open with this engine, or the claim was removed, or another root has the prefix on this
        // engine.
        let id = name_of(engine, wait)?;
        let entry = of_word().find(|entry| entry.engine == id);
        if is_ours {
            let before = entry.filter(|entry| !taken.contains(&entry.prefix));
            let fits = before.is_none_or(|before| before.prefix == prefix)
                && !has_strangers(engine, identity, &prefix, wait)?;
            if fits {
                let entry = EngineEntry {
                    engine: id.clone(),
                    word: word.to_owned(),
                    claim: found.to_owned(),
                    folder: entry.map_or_else(|| folder(identity, &id, word), |e| e.folder.clone()),
                    address: engine.address().to_owned(),
                    prefix,
                };
                return Ok(Some(Claimed {
                    entry,
                    changed: true,
                    volume,
                }));
            }
            // Created by this call, or by an earlier one that was interrupted.
            engine.remove_volume(&volume.name, wait)?;
        }
        if !is_ours || entry.is_none_or(|entry| entry.prefix == prefix) {
            taken.insert(prefix.clone());
        }
        prefix = match entry {
            Some(entry) if !taken.contains(&entry.prefix) => entry.prefix.clone(),
            _ => {
                let other = names::prefix_of(word, &random());
                log::warn!(
                    "another store uses the names that start with {prefix} on the engine at {}; the names of this root start with {other}",
                    engine.address()
                );
                other
            }
        };
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!(
            "claiming a prefix on the engine at {}: other stores have claimed every prefix that was tried",
            engine.address()
        ),
    ))
}

/// Returns whether two entries are for the same engine and word.
pub(crate) fn are_one(a: &EngineEntry, b: &EngineEntry) -> bool {
    (&a.engine, &a.word) == (&b.engine, &b.word)
}

/// Returns whether the engine is still the one of `entry`, and the prefix still claimed by this directory. Another engine may
/// have been put behind the same address, or another root may have claimed the prefix after a prune of volumes.
pub(crate) fn holds(
    engine: &Engine,
    root: &str,
    mark: &str,
    entry: &EngineEntry,
    wait: Wait<'_>,
) -> Result<bool> {
    match engine.inspect_volume(&Names::new(&entry.prefix).claim(), wait)? {
        Some(volume) => Ok(volume.label(LABEL_ROOT) == Some(root)
            && volume.label(LABEL_PLACE) == Some(mark)
            && (volume.label(LABEL_CLAIM) == Some(&entry.claim)
                || name_of(engine, wait)? == entry.engine)),
        // A prune of volumes removes the claim.
        None => Ok(name_of(engine, wait)? == entry.engine),
    }
}

/// Returns what identifies an engine if its claim does not exist. Its id alone is not enough: before version 23 all engines on
/// a host share the one in `/etc/docker/key.json` (seen on 20.10).
fn name_of(engine: &Engine, wait: Wait<'_>) -> Result<String> {
    let info = engine.info(wait)?;
    Ok(format!("{} {}", info.id, info.docker_root_dir))
}

fn ask(engine: &Engine, identity: &Identity, prefix: &str, wait: Wait<'_>) -> Result<Volume> {
    let path = identity.path().to_string_lossy();
    make_or_find(engine, prefix, &identity.id, &identity.mark(), &path, wait)
}

fn make_or_find(
    engine: &Engine,
    prefix: &str,
    root: &str,
    mark: &str,
    path: &str,
    wait: Wait<'_>,
) -> Result<Volume> {
    let labels = json!({
        LABEL_STORE: prefix,
        LABEL_ROOT: root,
        LABEL_KIND: "store",
        LABEL_CLAIM: random(),
        LABEL_PLACE: mark,
        LABEL_PATH: path,
    });
    engine.create_or_find_volume(&Names::new(prefix).claim(), &labels, &Value::Null, wait)
}

/// Claims a prefix for a root that no longer exists, so that no other root takes it while the leftovers are removed. Returns
/// `false` if another root has it.
pub(crate) fn claim_for_gone(
    engine: &Engine,
    root: &str,
    prefix: &str,
    wait: Wait<'_>,
) -> Result<bool> {
    let claim = make_or_find(engine, prefix, root, "gone", "", wait)?;
    Ok(claim.label(LABEL_ROOT) == Some(root))
}

/// Returns whether `engine` is the one of `entry`.
pub(crate) fn is_engine_of(
    engine: &Engine,
    root: &str,
    entry: &EngineEntry,
    wait: Wait<'_>,
) -> Result<bool> {
    let claim = engine.inspect_volume(&Names::new(&entry.prefix).claim(), wait)?;
    let known = claim.is_some_and(|claim| {
        claim.label(LABEL_ROOT) == Some(root) && claim.label(LABEL_CLAIM) == Some(&entry.claim)
    });
    Ok(known || name_of(engine, wait)? == entry.engine)
}

/// Returns whether no other root has claimed the prefix.
pub(crate) fn is_free_for(
    engine: &Engine,
    root: &str,
    prefix: &str,
    wait: Wait<'_>,
) -> Result<bool> {
    let claim = engine.inspect_volume(&Names::new(prefix).claim(), wait)?;
    Ok(claim.is_none_or(|claim| claim.label(LABEL_ROOT) == Some(root)))
}

/// Returns whether others have objects under the prefix: a root whose claim was pruned, or one of version 0.1, which claims
/// nothing. Objects without a label belong to an OBuilder store, with which the prefix is shared. Volumes and images are pruned
/// by different commands, so both are checked.
fn has_strangers(
    engine: &Engine,
    identity: &Identity,
    prefix: &str,
    wait: Wait<'_>,
) -> Result<bool> {
    let volumes = engine.list_volumes(&format!("{prefix}-"), wait)?;
    let is_strange = |volume: &Volume| match volume.label(LABEL_ROOT) {
        Some(root) => root != identity.id,
        None => !identity.legacy,
    };
    let of_prefix = |volume: &&Volume| volume.label(LABEL_STORE) == Some(prefix);
    if volumes.iter().filter(of_prefix).any(is_strange) {
        return Ok(true);
    }
    let empty = engine.inspect_image(&Names::new(prefix).empty_image(), wait)?;
    let config = empty.and_then(|image| image.config).unwrap_or_default();
    let labels = config.get("Labels");
    let root = labels.and_then(|labels| labels.get(LABEL_ROOT)?.as_str());
    Ok(root.is_some_and(|root| root != identity.id))
}

/// Returns the directory for a new entry.
fn folder(identity: &Identity, engine: &str, word: &str) -> String {
    if identity.engines.is_empty() {
        return String::new();
    }
    let digest = names::digest(&format!("{engine}\n{word}"));
    format!("{}/{}", crate::store::paths::ENGINES, &digest[..16])
}
