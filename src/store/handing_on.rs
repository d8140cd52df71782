//! Giving a result a name of the caller's choice, and pushing it under that name to a registry.

use crate::engine::images::must_exist;
use crate::error::Result;
use crate::store::bounds::record;
use crate::store::names::Id;
use crate::store::progress::{Progress, Report};
use crate::store::reference::Reference;
use crate::store::registry::{self, RegistryLogin};
use crate::store::site::Site;
use crate::wait::{Limits, Wait};

/// The outcome of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tagged {
    /// The full name: with its registry and its tag.
    pub name: String,
    /// The id of the image that had the name before and has lost it, if it was a different one.
    pub moved_from: Option<String>,
}

/// The outcome of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pushed {
    /// The full name that it was pushed under.
    pub name: String,
    /// The digest under which the registry stores it, `sha256:…`; `None` if the engine does not report it.
    pub digest: Option<String>,
    /// The id of the image that had the name on the engine before, if it was a different one.
    pub moved_from: Option<String>,
}

/// See [`Store::tag`](crate::Store::tag).
pub(crate) fn tag(site: &Site, id: &str, name: &str, limits: &Limits) -> Result<Tagged> {
    site.check_open("tagging a result")?;
    let id = site.names.id(id)?;
    let reference = Reference::of_callers(name)?;
    let moved_from = give(site, &id, &reference, limits.wait())?;
    Ok(Tagged {
        name: reference.full_text(),
        moved_from,
    })
}

/// See [`Store::push`](crate::Store::push).
pub(crate) fn push(
    site: &Site,
    id: &str,
    name: &str,
    login: Option<&RegistryLogin>,
    report: Report<'_>,
    limits: &Limits,
) -> Result<Pushed> {
    site.check_open("pushing a result")?;
    let id = site.names.id(id)?;
    let reference = Reference::of_callers(name)?;
    let wait = limits.wait();
    let moved_from = give(site, &id, &reference, wait)?;
    let auth = login.map_or_else(registry::nobody, RegistryLogin::header);
    let mut digest = None;
    let text = reference.text();
    site.engine.push_image(&text, &auth, wait, |message| {
        if let Some(told) = message.digest() {
            digest = Some(told.to_owned());
        }
        Progress::of(message).map_or(Ok(()), &mut *report)
    })?;
    if digest.is_none() {
        // Podman reports it in no message.
        let image = site.engine.inspect_image(&text, wait)?;
        let known = image.and_then(|image| image.repo_digests);
        let of_name = |known: &String| {
            let (repository, digest) = known.split_once('@')?;
            reference.is_of(repository).then(|| digest.to_owned())
        };
        digest = known.iter().flatten().find_map(of_name);
    }
    Ok(Pushed {
        name: reference.full_text(),
        digest,
        moved_from,
    })
}

/// Gives the result the name, and returns which image lost it.
fn give(site: &Site, id: &Id, reference: &Reference, wait: Wait<'_>) -> Result<Option<String>> {
    let engine = &site.engine;
    let image = engine
        .inspect_image(&site.names.image(id), wait)?
        .ok_or_else(|| must_exist(&format!("the result {:?}", id.as_str())))?;
    let before = engine.inspect_image(&reference.text(), wait)?;
    let moved_from = before.map(|before| before.id).filter(|id| *id != image.id);
    // By id: the image that was checked gets the name, even if the result changes in the meantime.
    engine.tag_image(&image.id, &reference.text(), wait.whole())?;
    record::mark(site, id, wait)?;
    Ok(moved_from)
}
