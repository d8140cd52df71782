//! The claim of a root on a prefix: a small labelled volume on the engine, `PREFIX-store`. To create a volume that exists gives
//! the one that is there, with its labels; so one call both claims a prefix and says who has it, and no two roots ever share a
//! name.

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

/// How often another prefix is tried. Two roots choose the same of 2^28 about never, so twenty in a row mean that what answers
/// is no engine.
const TRIES: u32 = 20;

/// A prefix that is claimed.
pub(crate) struct Claimed {
    /// The root's entry for the engine.
    pub(crate) entry: EngineEntry,
    /// Whether the entry is new or changed.
    pub(crate) changed: bool,
    /// What claims it.
    pub(crate) volume: Volume,
}

/// Claims a prefix for `identity` on `engine`, or finds it claimed. `first` is the one to try where the root has not been used
/// with the engine before. `None`: another directory has claimed the prefix with this root's identity. One is a copy of the other, and
/// this one comes second.
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
            // From before the root was moved. Made anew, it says to a copy that it is one.
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
        // Seldom: the first open with this engine, or somebody removed the claim, or another root has the prefix here.
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
            // Made by this call, or by one that did not get any further.
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
                    "the names that begin with {prefix} are another store's on the engine at {}: this root's begin with {other}",
                    engine.address()
                );
                other
            }
        };
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!(
            "claiming a prefix on the engine at {}: other stores have them all",
            engine.address()
        ),
    ))
}

/// Whether two entries are of one engine and one word.
pub(crate) fn are_one(a: &EngineEntry, b: &EngineEntry) -> bool {
    (&a.engine, &a.word) == (&b.engine, &b.word)
}

/// Whether the engine is still the one of `entry`, and the prefix still claimed by this directory: somebody may have put another
/// engine behind the same address, or another root may have taken the prefix after a prune.
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
        // A prune of volumes takes the claim along.
        None => Ok(name_of(engine, wait)? == entry.engine),
    }
}

/// What tells an engine from others while its claim is not there. Not its id alone: before version 23 all engines of a machine
/// have the one in `/etc/docker/key.json` (seen on 20.10).
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

/// Claims a prefix for a root that is gone, so that nobody else takes it while what it left is removed; `false` where somebody has.
pub(crate) fn claim_for_gone(
    engine: &Engine,
    root: &str,
    prefix: &str,
    wait: Wait<'_>,
) -> Result<bool> {
    let claim = make_or_find(engine, prefix, root, "gone", "", wait)?;
    Ok(claim.label(LABEL_ROOT) == Some(root))
}

/// Whether `engine` is the one of `entry`.
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

/// Whether nobody else has claimed the prefix.
pub(crate) fn is_free_for(
    engine: &Engine,
    root: &str,
    prefix: &str,
    wait: Wait<'_>,
) -> Result<bool> {
    let claim = engine.inspect_volume(&Names::new(prefix).claim(), wait)?;
    Ok(claim.is_none_or(|claim| claim.label(LABEL_ROOT) == Some(root)))
}

/// Whether others have objects under the prefix: a root whose claim was pruned, or one of version 0.1, which claims nothing. What
/// carries no label is an OBuilder store's, whose prefix is shared. Volumes and images are pruned by different commands, so both
/// tell.
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

/// The folder for a new entry.
fn folder(identity: &Identity, engine: &str, word: &str) -> String {
    if identity.engines.is_empty() {
        return String::new();
    }
    let digest = names::digest(&format!("{engine}\n{word}"));
    format!("{}/{}", crate::store::paths::ENGINES, &digest[..16])
}
