//! What an engine has of a root: found by the identity that its objects carry, and by the names that it has claimed.
//!
//! Volumes, helper containers and the empty image carry the identity. Results, tags of steps and their containers do not; they
//! are recognised by their names, which no other root uses if the claim on the prefix is this root's.

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

/// The kind of an object that is left of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RemnantKind {
    /// A container of a step or a helper.
    Container,
    /// A name of an image, or an image without one.
    Image,
    /// A volume: of a cache, a lease, a secret, or the claim on the names.
    Volume,
    /// A file or directory of the root.
    File,
    /// Everything on an engine that cannot be reached.
    Engine,
}

/// What happened to the object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It was found; removal was not requested.
    Found,
    /// It was removed.
    Removed,
    /// It still exists, for this reason.
    Kept(String),
}

/// One object of a root.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remnant {
    /// What it is.
    pub kind: RemnantKind,
    /// Its name on the engine, or its path.
    pub name: String,
    /// The identity of the root that it belongs to.
    pub identity: String,
    /// Where that root was when it claimed its names, if that is known. It may have been moved since.
    pub root: Option<String>,
    /// The address of the engine that has it; empty for a file.
    pub engine: String,
    /// What happened to it.
    pub fate: Fate,
}

/// What exists, or existed, of a root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remains {
    /// All objects, in the order of their removal.
    pub things: Vec<Remnant>,
}

impl Remains {
    /// Returns whether an object still exists that was to be removed.
    pub fn is_any_kept(&self) -> bool {
        let kept = |thing: &Remnant| matches!(thing.fate, Fate::Kept(_));
        self.things.iter().any(kept)
    }
}

/// The objects of one root on an engine.
#[derive(Clone)]
pub(crate) struct Holdings<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) identity: String,
    /// The path of the root, now or in the past.
    pub(crate) root: Option<String>,
    /// The prefixes of its names, which no other root has claimed.
    pub(crate) prefixes: BTreeSet<String>,
    /// Version 0.1 created the root: objects of that version carry only the prefix.
    pub(crate) legacy: bool,
}

impl<'a> Holdings<'a> {
    /// Returns the holdings of every root whose identity an object on this engine carries.
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
            // It has only the identity. The prefix in its name is this root's, unless another root has claimed it.
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

    /// Returns all objects, in an order in which they can be removed: containers hold images and volumes, and the claims are
    /// last.
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

    /// Returns the names of its containers, and whether each is running.
    pub(crate) fn containers(&self, wait: Wait<'_>) -> Result<Vec<(String, bool)>> {
        let mut found = BTreeMap::new();
        let label = format!("{LABEL_ROOT}={}", self.identity);
        for container in self
            .engine
            .list_containers(&json!({ "label": [label] }), wait)?
        {
            // The empty image carries the identity, and so does every image that is built on it.
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

    /// Returns the names of its images: tags of steps, results, and the empty images.
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
            // The images of steps first: an image that is based on another is then removed with its last name, before the
            // other.
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
                // Results that were built on nothing inherit the label. An image that another program built on one has other
                // names.
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

    /// Returns its volumes; the claims are last.
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

    /// Removes one of them, and records the outcome.
    pub(crate) fn remove(&self, thing: &mut Remnant, wait: Wait<'_>) -> Result<()> {
        let name = &thing.name;
        let removed = match thing.kind {
            RemnantKind::Container => self.engine.remove_container(name, wait),
            RemnantKind::Image => self.engine.remove_image(name, wait),
            RemnantKind::Volume => self.engine.remove_volume(name, wait),
            RemnantKind::File | RemnantKind::Engine => return Ok(()),
        };
        thing.fate = match removed {
            // Removed in the meantime counts as removed.
            Ok(_) => Fate::Removed,
            Err(e) if e.http_status().is_some() && e.kind() != ErrorKind::TimedOut => {
                Fate::Kept(e.message().to_owned())
            }
            // The engine does not respond, or a limit was reached.
            Err(e) => return Err(e),
        };
        Ok(())
    }
}

/// Returns the holdings of the root whose identity the labels carry.
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

/// Returns the first of a container's names, without the leading slash.
fn plain_name(names: &[String], id: &str) -> String {
    let name = names.first().map(|name| name.trim_start_matches('/'));
    name.unwrap_or(id).to_owned()
}

/// Returns the prefix in the name of an empty image; `None` for every other name.
fn prefix_of_empty(tag: &str) -> Option<String> {
    let name = tag.strip_suffix(":latest").unwrap_or(tag);
    let prefix = name.rsplit('/').next()?.strip_suffix("-empty")?;
    let (word, digits) = prefix.split_once('-')?;
    let hex = digits.len() == HASH && digits.bytes().all(|b| b.is_ascii_hexdigit());
    (hex && !word.is_empty()).then(|| prefix.to_owned())
}

/// Returns whether an engine created the volume implicitly, in place of a missing one of this root: it has no labels, but its
/// name shows it.
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
