//! The claim of a root on a prefix: a small labelled volume on the engine, `PREFIX-store`. To create a volume that exists gives
//! the one that is there, with its labels; so one call both claims a prefix and says who has it, and no two roots ever share a
//! name.

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::engine::volumes::Volume;
use crate::error::{Error, ErrorKind, Result};
use crate::store::identity::{EngineEntry, Identity, random};
use crate::store::names::{self, Names};
use crate::store::ownership::{LABEL_CLAIM, LABEL_KIND, LABEL_ROOT, LABEL_STORE};
use crate::wait::Wait;

/// How often another prefix is tried. Two roots choose the same of 2^28 about never.
const TRIES: u32 = 20;

/// Claims a prefix for `identity` on `engine`, or finds it claimed. `first` is the one to try where the root has not been used
/// with the engine before. Gives the root's entry for this engine, and whether it is new or changed.
pub(crate) fn claim(
    engine: &Engine,
    identity: &Identity,
    word: &str,
    first: &str,
    wait: Wait<'_>,
) -> Result<(EngineEntry, bool)> {
    let of_word = || identity.engines.iter().filter(|entry| entry.word == word);
    let last = of_word()
        .find(|entry| entry.address == engine.address())
        .or_else(|| of_word().next());
    let mut prefix = last.map_or(first, |entry| &entry.prefix).to_owned();
    for _ in 0..TRIES {
        let mark = random();
        let volume = ask(engine, identity, &prefix, &mark, wait)?;
        let found = volume.label(LABEL_CLAIM).unwrap_or_default();
        let is_ours = volume.label(LABEL_ROOT) == Some(&identity.id);
        let known = of_word().find(|entry| entry.prefix == prefix && entry.claim == found);
        if let (true, Some(entry)) = (is_ours, known) {
            let entry = EngineEntry {
                address: engine.address().to_owned(),
                ..entry.clone()
            };
            let changed = !identity.engines.contains(&entry);
            return Ok((entry, changed));
        }
        // Seldom: the first open with this engine, or somebody removed the claim, or another root has the prefix here.
        let id = name_of(engine, wait)?;
        let entry = of_word().find(|entry| entry.engine == id);
        if is_ours {
            let fits = match entry {
                Some(entry) => entry.prefix == prefix,
                None => identity.legacy || !has_strangers(engine, &prefix, wait)?,
            };
            if fits {
                let entry = EngineEntry {
                    engine: id.clone(),
                    word: word.to_owned(),
                    claim: found.to_owned(),
                    folder: entry.map_or_else(|| folder(identity, &id, word), |e| e.folder.clone()),
                    address: engine.address().to_owned(),
                    prefix,
                };
                return Ok((entry, true));
            }
            if found == mark {
                engine.remove_volume(&Names::new(&prefix).claim(), wait)?;
            }
        }
        prefix = match entry {
            Some(entry) if entry.prefix != prefix => entry.prefix.clone(),
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

/// Whether the engine is still the one of `entry`, and the prefix still claimed: somebody may have put another engine behind
/// the same address.
pub(crate) fn holds(
    engine: &Engine,
    root: &str,
    entry: &EngineEntry,
    wait: Wait<'_>,
) -> Result<bool> {
    let volume = engine.inspect_volume(&Names::new(&entry.prefix).claim(), wait)?;
    let claimed = volume.is_some_and(|volume| {
        volume.label(LABEL_ROOT) == Some(root) && volume.label(LABEL_CLAIM) == Some(&entry.claim)
    });
    // A prune of volumes takes the claim along.
    Ok(claimed || name_of(engine, wait)? == entry.engine)
}

/// What tells an engine from others while its claim is not there. Not its id alone: before version 23 all engines of a machine
/// have the one in `/etc/docker/key.json` (seen on 20.10).
fn name_of(engine: &Engine, wait: Wait<'_>) -> Result<String> {
    let info = engine.info(wait)?;
    Ok(format!("{} {}", info.id, info.docker_root_dir))
}

fn ask(
    engine: &Engine,
    identity: &Identity,
    prefix: &str,
    mark: &str,
    wait: Wait<'_>,
) -> Result<Volume> {
    let labels = json!({
        LABEL_STORE: prefix,
        LABEL_ROOT: identity.id,
        LABEL_KIND: "store",
        LABEL_CLAIM: mark,
    });
    engine.create_or_find_volume(&Names::new(prefix).claim(), &labels, &Value::Null, wait)
}

/// Whether a store of version 0.1, which claims nothing, has objects under the prefix.
fn has_strangers(engine: &Engine, prefix: &str, wait: Wait<'_>) -> Result<bool> {
    let volumes = engine.list_volumes(&format!("{prefix}-"), wait)?;
    Ok(volumes.iter().any(|volume| {
        volume.label(LABEL_STORE) == Some(prefix) && volume.label(LABEL_ROOT).is_none()
    }))
}

/// The folder for a new entry.
fn folder(identity: &Identity, engine: &str, word: &str) -> String {
    if identity.engines.is_empty() {
        return String::new();
    }
    let digest = names::digest(&format!("{engine}\n{word}"));
    format!("{}/{}", crate::store::paths::ENGINES, &digest[..16])
}
