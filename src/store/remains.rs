//! What an engine has of a root: found by the identity that its objects carry, and by the names that it has claimed.
//!
//! Volumes, helpers' containers and the empty image carry the identity. Results, the tags of steps and their containers carry nothing;
//! they are told by their names, which nobody else has where the claim on the prefix is this root's.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;

use crate::engine::Engine;
use crate::engine::volumes::Volume;
use crate::error::{ErrorKind, Result};
use crate::store::cache::session_in_name;
use crate::store::identity::SHORT;
use crate::store::names::{HASH, Names};
use crate::store::ownership::{LABEL_KIND, LABEL_PATH, LABEL_ROOT, LABEL_STORE};
use crate::wait::Wait;

/// What kind of thing is left of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RemnantKind {
    /// A container of a step or a copy.
    Container,
    /// A name of an image, or an image without one.
    Image,
    /// A volume: of a cache, a lease, a secret, or the claim on the names.
    Volume,
    /// A file or folder of the root.
    File,
    /// All that an engine has which cannot be asked.
    Engine,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It was found; nothing was to be removed.
    Found,
    /// It is gone.
    Removed,
    /// It is there still, for this reason.
    Kept(String),
}

/// One thing of a root.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remnant {
    /// What it is.
    pub kind: RemnantKind,
    /// Its name on the engine, or its path.
    pub name: String,
    /// The identity of the root that it is of.
    pub identity: String,
    /// Where that root was when it claimed its names, as far as that is known. It may have been moved since.
    pub root: Option<String>,
    /// The address of the engine that has it; empty for a file.
    pub engine: String,
    /// What became of it.
    pub fate: Fate,
}

/// What there is, or was, of a root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remains {
    /// All of it, in the order in which it goes.
    pub things: Vec<Remnant>,
}

impl Remains {
    /// Whether something is there still that was to go.
    pub fn is_any_kept(&self) -> bool {
        let kept = |thing: &Remnant| matches!(thing.fate, Fate::Kept(_));
        self.things.iter().any(kept)
    }
}

/// What of an engine's objects is one root's.
#[derive(Clone)]
pub(crate) struct Holdings<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) identity: String,
    /// Where the root is, or was.
    pub(crate) root: Option<String>,
    /// What its names begin with. Nobody else has claimed that.
    pub(crate) prefixes: BTreeSet<String>,
    /// Version 0.1 made the root: what that left carries the prefix alone.
    pub(crate) legacy: bool,
}

impl<'a> Holdings<'a> {
    /// What each root has on this engine whose identity anything carries.
    pub(crate) fn of_all(engine: &'a Engine, wait: Wait<'_>) -> Result<Vec<Self>> {
        let volumes = engine.list_labelled_volumes(LABEL_ROOT, wait)?;
        let containers = engine.list_containers(&json!({ "label": [LABEL_ROOT] }), wait)?;
        let images = engine.list_labelled_images(LABEL_ROOT, wait)?;
        let mut found: BTreeMap<String, Holdings<'a>> = BTreeMap::new();
        let mut claims: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        for volume in &volumes {
            let Some(holdings) = of_labels(engine, volume.labels.as_ref(), &mut found) else {
                continue;
            };
            let prefix = volume.label(LABEL_STORE).unwrap_or_default();
            if volume.name == Names::new(prefix).claim() {
                claims.insert(prefix, volume.label(LABEL_ROOT));
                let path = volume.label(LABEL_PATH).filter(|path| !path.is_empty());
                holdings.root = path.map(str::to_owned);
            }
        }
        for container in &containers {
            of_labels(engine, container.labels.as_ref(), &mut found);
        }
        for image in &images {
            let Some(holdings) = of_labels(engine, image.labels.as_ref(), &mut found) else {
                continue;
            };
            // It has the identity alone; what its name begins with is this root's, unless another has claimed it.
            let names = image.repo_tags.iter().flatten();
            let prefixes = names.filter_map(|name| prefix_of_empty(name));
            holdings.prefixes.extend(prefixes);
        }
        for holdings in found.values_mut() {
            let identity = holdings.identity.as_str();
            let is_free = |prefix: &String| {
                let claimed = claims.get(prefix.as_str());
                claimed.is_none_or(|whose| *whose == Some(identity))
            };
            holdings.prefixes.retain(is_free);
        }
        Ok(found.into_values().collect())
    }

    /// All objects, in the order in which they can go: containers hold images and volumes, and the claims are last.
    pub(crate) fn list(&self, wait: Wait<'_>) -> Result<Vec<Remnant>> {
        let thing = |kind, name: String| Remnant {
            kind,
            name,
            identity: self.identity.clone(),
            root: self.root.clone(),
            engine: self.engine.address().to_owned(),
            fate: Fate::Found,
        };
        let containers = self.containers(wait)?.into_iter();
        let images = self.images(wait)?.into_iter();
        let volumes = self.volumes(wait)?.into_iter();
        let things = containers
            .map(|(name, _)| thing(RemnantKind::Container, name))
            .chain(images.map(|name| thing(RemnantKind::Image, name)))
            .chain(volumes.map(|name| thing(RemnantKind::Volume, name)));
        Ok(things.collect())
    }

    /// The names of its containers, and whether each runs.
    pub(crate) fn containers(&self, wait: Wait<'_>) -> Result<Vec<(String, bool)>> {
        let mut found = BTreeMap::new();
        let label = format!("{LABEL_ROOT}={}", self.identity);
        for container in self
            .engine
            .list_containers(&json!({ "label": [label] }), wait)?
        {
            // The empty image carries the identity, and so does what anybody makes of it.
            let labels = container.labels.as_ref();
            if labels.is_some_and(|labels| labels.contains_key(LABEL_KIND)) {
                found.insert(
                    plain_name(&container.names, &container.id),
                    container.state == "running",
                );
            }
        }
        for prefix in &self.prefixes {
            let names = Names::new(prefix);
            let filters = json!({ "name": [format!("^/?{prefix}-")] });
            for container in self.engine.list_containers(&filters, wait)? {
                let name = plain_name(&container.names, &container.id);
                let labels = container.labels.as_ref();
                let label = |name: &str| labels?.get(name).map(String::as_str);
                let is_old = self.legacy
                    && label(LABEL_ROOT).is_none()
                    && label(LABEL_STORE) == Some(prefix.as_str());
                if names.id_of_container(&name).is_some() || is_old {
                    found.insert(name, container.state == "running");
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    /// The names of its images: tags of steps, results, and the empty ones.
    fn images(&self, wait: Wait<'_>) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for prefix in &self.prefixes {
            let names = Names::new(prefix);
            let listed = self
                .engine
                .list_images(&format!("{prefix}-image-*"), wait)?;
            let tags = || {
                listed
                    .iter()
                    .flat_map(|image| image.repo_tags.iter().flatten())
            };
            // What a step holds first: then what it is made of goes with its last name.
            found.extend(
                tags()
                    .filter(|tag| names.id_of_tmp_image(tag).is_some())
                    .cloned(),
            );
            found.extend(
                tags()
                    .filter(|tag| names.id_of_image(tag).is_some())
                    .cloned(),
            );
        }
        let mut labels = vec![format!("{LABEL_ROOT}={}", self.identity)];
        if self.legacy {
            let prefixes = self.prefixes.iter();
            labels.extend(prefixes.map(|prefix| format!("{LABEL_STORE}={prefix}")));
        }
        for label in labels {
            for image in self.engine.list_labelled_images(&label, wait)? {
                // Results that were built on nothing inherit the label; whoever else built on one has other names for it.
                let is_empty = |tag: &&String| {
                    prefix_of_empty(tag).is_some_and(|prefix| self.prefixes.contains(&prefix))
                };
                let named: Vec<&String> = image
                    .repo_tags
                    .iter()
                    .flatten()
                    .filter(|tag| *tag != "<none>:<none>")
                    .collect();
                match named.is_empty() {
                    true => found.push(image.id),
                    false => found.extend(named.into_iter().filter(is_empty).cloned()),
                }
            }
        }
        let mut seen = BTreeSet::new();
        found.retain(|name| seen.insert(name.clone()));
        Ok(found)
    }

    /// Its volumes; the claims are last.
    fn volumes(&self, wait: Wait<'_>) -> Result<Vec<String>> {
        let label = format!("{LABEL_ROOT}={}", self.identity);
        let mut found: BTreeSet<String> = BTreeSet::new();
        let listed = self.engine.list_labelled_volumes(&label, wait)?;
        found.extend(listed.into_iter().map(|volume| volume.name));
        for prefix in &self.prefixes {
            for volume in self.engine.list_volumes(&format!("{prefix}-"), wait)? {
                let is_old = self.legacy
                    && volume.label(LABEL_ROOT).is_none()
                    && volume.label(LABEL_STORE) == Some(prefix.as_str());
                if is_old || is_made_up(prefix, &self.identity, &volume) {
                    found.insert(volume.name);
                }
            }
        }
        let is_claim = |name: &String| name.ends_with("-store");
        let (claims, others): (Vec<_>, Vec<_>) = found.into_iter().partition(is_claim);
        Ok(others.into_iter().chain(claims).collect())
    }

    /// Removes one of them, and notes what became of it.
    pub(crate) fn remove(&self, thing: &mut Remnant, wait: Wait<'_>) -> Result<()> {
        let name = &thing.name;
        let removed = match thing.kind {
            RemnantKind::Container => self.engine.remove_container(name, wait),
            RemnantKind::Image => self.engine.remove_image(name, wait),
            RemnantKind::Volume => self.engine.remove_volume(name, wait),
            RemnantKind::File | RemnantKind::Engine => return Ok(()),
        };
        thing.fate = match removed {
            // Gone meanwhile is gone.
            Ok(_) => Fate::Removed,
            Err(e) if e.http_status().is_some() && e.kind() != ErrorKind::TimedOut => {
                Fate::Kept(e.message().to_owned())
            }
            // Nobody answers, or this was told to end.
            Err(e) => return Err(e),
        };
        Ok(())
    }
}

/// The holdings of the root whose identity the labels carry.
fn of_labels<'f, 'a>(
    engine: &'a Engine,
    labels: Option<&HashMap<String, String>>,
    found: &'f mut BTreeMap<String, Holdings<'a>>,
) -> Option<&'f mut Holdings<'a>> {
    let label = |name: &str| labels?.get(name).filter(|value| !value.is_empty());
    let identity = label(LABEL_ROOT)?;
    let new = || Holdings {
        engine,
        identity: identity.clone(),
        root: None,
        prefixes: BTreeSet::new(),
        legacy: false,
    };
    let holdings = found.entry(identity.clone()).or_insert_with(new);
    holdings.prefixes.extend(label(LABEL_STORE).cloned());
    Some(holdings)
}

/// The first of a container's names, without the slash in front.
fn plain_name(names: &[String], id: &str) -> String {
    let name = names.first().map(|name| name.trim_start_matches('/'));
    name.unwrap_or(id).to_owned()
}

/// The prefix in the name of an empty image; `None` for every other name.
fn prefix_of_empty(tag: &str) -> Option<String> {
    let name = tag.strip_suffix(":latest").unwrap_or(tag);
    let prefix = name.rsplit('/').next()?.strip_suffix("-empty")?;
    let (word, digits) = prefix.split_once('-')?;
    let hex = digits.len() == HASH && digits.bytes().all(|b| b.is_ascii_hexdigit());
    (hex && !word.is_empty()).then(|| prefix.to_owned())
}

/// Whether an engine made the volume up in place of one of this root's that was gone: without labels, but its name tells.
fn is_made_up(prefix: &str, identity: &str, volume: &Volume) -> bool {
    volume.labels.iter().all(HashMap::is_empty)
        && session_in_name(prefix, &volume.name)
            .is_some_and(|session| identity.get(..SHORT) == session.get(..SHORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_an_empty_image_gives_a_prefix() {
        for (tag, prefix) in [
            ("obuilder-1234567-empty:latest", Some("obuilder-1234567")),
            (
                "docker.io/library/x-abcdef0-empty:latest",
                Some("x-abcdef0"),
            ),
            ("obuilder-1234567-empty:other", None),
            ("obuilder-123456-empty:latest", None),
            ("-1234567-empty", None),
            ("obuilder-1234567-image-empty:latest", None),
            ("<none>:<none>", None),
        ] {
            assert_eq!(prefix_of_empty(tag).as_deref(), prefix, "{tag}");
        }
    }
}
