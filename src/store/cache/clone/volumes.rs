//! The engine's volumes as caches use them: creating them with labels, finding them, and checking which containers use them.

use std::collections::HashMap;
use std::io;

use serde_json::{Value, json};

use crate::engine::containers::ListedContainer;
use crate::engine::stopped;
use crate::engine::volumes::Volume;
use crate::error::{Error, ErrorKind, Result};
use crate::store::cache::clone::strategy::{Failed, Made};
use crate::store::cache::files::tar::PLACE;
use crate::store::cache::state::folder;
use crate::store::cache::state::head::Part;
use crate::store::helper::Helper;
use crate::store::ownership::{LABEL_CACHE, LABEL_KIND};
use crate::store::session;
use crate::store::site::Site;
use crate::wait::Wait;

/// Creates a volume for the cache with the escaped name `cache`; `options` are the engine's.
pub(crate) fn create(
    site: &Site,
    kind: &str,
    name: &str,
    cache: &str,
    options: &Value,
    wait: Wait<'_>,
) -> Result<Volume> {
    let mut labels = site.labels(kind);
    labels[LABEL_CACHE] = json!(cache);
    go_on(&format_args!("creating volume {name}"), wait)?;
    // Podman gives the root of a new volume to the user of the first container that mounts it, unless an owner is set: so it is
    // root, until the store sets it.
    let owned = json!({ "o": "uid=0,gid=0" });
    let plain = options.as_object().is_none_or(serde_json::Map::is_empty);
    let options = if site.engine.is_podman() && plain {
        &owned
    } else {
        options
    };
    let create = || {
        site.engine
            .create_volume(name, &labels, options, wait.whole())
    };
    match create() {
        // A lost response does not mean that the volume was not created. If the request is repeated, the engine returns the
        // existing volume.
        Err(e) if e.kind() == ErrorKind::CutShort => create(),
        made => made,
    }
    .inspect_err(|e| {
        // A cleanup now could come before the volume is created.
        if e.may_go_on() {
            site.session.owe();
        }
    })
}

/// Returns a container that is never started, with one volume at [`PLACE`].
pub(crate) fn helper<'a>(site: &'a Site, volume: &str, wait: Wait<'a>) -> Result<Helper<'a>> {
    go_on(&format_args!("accessing volume {volume}"), wait)?;
    Helper::create(site, &[(volume, PLACE)], wait)
}

/// Checks the time before a call that creates something. Such a call is not started when the time is up, but it must not be
/// interrupted either: the engine would continue with it, and could create the object after the cleanup. It takes milliseconds.
fn go_on(doing: &dyn std::fmt::Display, wait: Wait<'_>) -> Result<()> {
    wait.left().map(drop).map_err(|stop| stopped(doing, stop))
}

/// Returns whether this root created the volume.
pub(crate) fn is_ours(site: &Site, volume: &Volume) -> bool {
    site.owner.owns(volume.labels.as_ref())
}

/// Returns a volume that this root created. Also returns `None` for one of that name that an engine created implicitly, because
/// a container was created with a volume that no longer existed.
pub(crate) fn find(site: &Site, name: &str, wait: Wait<'_>) -> Result<Option<Volume>> {
    Ok(site
        .engine
        .inspect_volume(name, wait)?
        .filter(|found| is_ours(site, found)))
}

/// Returns the volume of a part.
pub(crate) fn find_part(site: &Site, part: &Part, wait: Wait<'_>) -> Made<Volume> {
    let found = site.engine.inspect_volume(&part.volume, wait)?;
    found
        .filter(|found| part.adopted || site.owner.may_read(found.labels.as_ref()))
        .ok_or_else(|| Failed::missing(&part.volume))
}

/// Returns the names of containers that mount any of `volumes`, running or not, except this store's own helpers.
pub(crate) fn users(site: &Site, volumes: &[&str], wait: Wait<'_>) -> Result<Vec<String>> {
    if volumes.is_empty() {
        return Ok(Vec::new());
    }
    let containers = site
        .engine
        .list_containers(&json!({ "volume": volumes }), wait)?;
    // By its kind: the root's label is not enough, because every container created from the helpers' image inherits it.
    let is_helper = |container: &ListedContainer| {
        let labels = container.labels.as_ref();
        let kind = labels.and_then(|labels| labels.get(LABEL_KIND));
        site.owner.owns(labels) && kind.is_some_and(|kind| kind == "helper")
    };
    let others = containers
        .into_iter()
        .filter(|container| !is_helper(container));
    Ok(others
        .map(|c| {
            c.names
                .first()
                .map_or(c.id.clone(), |name| name.trim_start_matches('/').to_owned())
        })
        .collect())
}

/// Returns the error for an object that containers still use.
pub(crate) fn busy(doing: &str, users: &[String]) -> Error {
    Error::new(
        ErrorKind::Busy,
        format!(
            "{doing}: still mounted by the container {}",
            users.join(", ")
        ),
    )
}

/// Removes a volume of this root; a missing one is not an error. A volume that does not carry the root's identity is left
/// alone, whatever names it, except one that an engine created implicitly for a container of this root, which its name shows.
pub(crate) fn remove(site: &Site, name: &str, wait: Wait<'_>) -> Result<bool> {
    let Some(found) = site.engine.inspect_volume(name, wait)? else {
        return Ok(false);
    };
    if !is_ours(site, &found) && !is_made_up(site, &found) {
        log::warn!("volume {name} does not belong to this root: left alone");
        return Ok(false);
    }
    match site.engine.remove_volume(name, wait) {
        Err(e) if e.http_status() == Some(500) && found.label(LABEL_KIND) == Some("lease") => {
            if let Err(why) = make_place_again(site, &found, wait) {
                log::debug!("{why}");
                return Err(e);
            }
            site.engine.remove_volume(name, wait)
        }
        removed => removed,
    }
}

/// Creates the directory that a volume is mounted on. An engine that was killed while it removed a mounted volume has removed
/// the directory; when it is asked again, it tries to unmount the volume and fails forever (seen on Docker 20.10). In other
/// cases this changes nothing: the volume's files are not in it.
fn make_place_again(site: &Site, volume: &Volume, wait: Wait<'_>) -> Result<()> {
    let Some((folder, place)) = volume.mountpoint.rsplit_once('/') else {
        return Ok(());
    };
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    let made = tar
        .append_data(&mut header, format!("{place}/"), io::empty())
        .and_then(|()| tar.into_inner());
    let tar = made.map_err(|e| Error::io("packing a directory", &e))?;
    let helper = Helper::beside(site, folder, PLACE, wait)?;
    helper.put(PLACE, &mut tar.as_slice(), wait)
}

/// Returns whether an engine created this volume implicitly. It does so without labels if a container is created with a volume
/// that no longer exists; the name contains the session that the request came from.
pub(crate) fn is_made_up(site: &Site, volume: &Volume) -> bool {
    volume.labels.iter().all(HashMap::is_empty)
        && session_in_name(site.names.prefix(), &volume.name)
            .is_some_and(|session| session.starts_with(&site.owner.root[..session::SHORT]))
}

/// Returns the session in a volume's name, if it has a form that only this library uses.
pub(crate) fn session_in_name<'a>(prefix: &str, name: &'a str) -> Option<&'a str> {
    let mut words = name
        .strip_prefix(prefix)?
        .strip_prefix('-')?
        .rsplitn(3, '-');
    let (number, session, kind) = (words.next()?, words.next()?, words.next()?);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let generation = |kind: &str| {
        let (cache, generation) = kind.strip_prefix("cache-")?.rsplit_once("-g")?;
        Some(folder::is_escaped(cache) && digits(generation))
    };
    let ours = matches!(kind, "probe" | "layer" | "cache-tmp" | "secrets")
        || generation(kind) == Some(true);
    let id = session.len() == session::ID_LENGTH && session.bytes().all(|b| b.is_ascii_hexdigit());
    (ours && id && digits(number)).then_some(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read_from_names_of_this_librarys_making_only() {
        fn of(name: &str) -> Option<&str> {
            session_in_name("obuilder-1234567", name)
        }
        let id = "0123456789abcdef0123";
        for kind in [
            "probe",
            "secrets",
            "layer",
            "cache-tmp",
            "cache-c-a-b-g12",
            "cache-h-00-g1",
        ] {
            let name = format!("obuilder-1234567-{kind}-{id}-7");
            assert_eq!(of(&name), Some(id), "{kind}");
        }
        for other in [
            "obuilder-1234567-layer-0123456789abcdef012-7",
            "obuilder-1234567-layer-0123456789abcdef0123-",
            "obuilder-1234567-layer-0123456789abcdef0123",
            "obuilder-1234567-cache-c-a-0123456789abcdef0123-7",
            "obuilder-1234567-other-0123456789abcdef0123-7",
            "obuilder-1234567x-layer-0123456789abcdef0123-7",
            "obuilder-1234567-layer-0123456789abcdef0123-7x",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
