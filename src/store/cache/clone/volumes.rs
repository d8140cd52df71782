//! The engine's volumes as caches use them: labelled, looked for, kept from being used by containers.

use serde_json::{Value, json};

use crate::engine::containers::ListedContainer;
use crate::engine::stopped;
use crate::engine::volumes::Volume;
use crate::error::{Error, ErrorKind, Result};
use crate::store::cache::clone::strategy::{Failed, Made};
use crate::store::cache::files::tar::PLACE;
use crate::store::cache::state::head::Part;
use crate::store::helper::Helper;
use crate::store::site::{LABEL_CACHE, LABEL_KIND, LABEL_STORE, Site};
use crate::wait::Wait;

/// Makes a volume for the cache `cache`, escaped; `options` are the engine's own.
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
    let create = || {
        site.engine
            .create_volume(name, &labels, options, Wait::forever())
    };
    match create() {
        // An answer that was lost is not a "no". Asked again, the engine gives the one that it has made.
        Err(e) if e.kind() == ErrorKind::CutShort => create(),
        made => made,
    }
}

/// A container that is never started, with one volume at [`PLACE`].
pub(crate) fn helper<'a>(site: &'a Site, volume: &str, wait: Wait<'_>) -> Result<Helper<'a>> {
    go_on(&format_args!("reaching into volume {volume}"), wait)?;
    Helper::create(site, &[(volume, PLACE)], Wait::forever())
}

/// A call that makes something is not begun when the time is up, but not cut off in the middle either: the engine would go
/// on with it, and whoever cleans up would come too early. It takes milliseconds, and has a limit of its own.
fn go_on(doing: &dyn std::fmt::Display, wait: Wait<'_>) -> Result<()> {
    wait.left().map(drop).map_err(|stop| stopped(doing, stop))
}

/// Whether this store made the volume.
pub(crate) fn is_ours(site: &Site, volume: &Volume) -> bool {
    volume.label(LABEL_STORE) == Some(site.names.prefix())
}

/// A volume that this store made. `None` too for one of the same name that an engine made up, as they do when a container
/// asks for one that is gone.
pub(crate) fn find(site: &Site, name: &str, wait: Wait<'_>) -> Result<Option<Volume>> {
    Ok(site
        .engine
        .inspect_volume(name, wait)?
        .filter(|found| is_ours(site, found)))
}

/// The volume of a part, which may have been made by another store.
pub(crate) fn find_part(site: &Site, part: &Part, wait: Wait<'_>) -> Made<Volume> {
    let found = site.engine.inspect_volume(&part.volume, wait)?;
    found
        .filter(|found| part.adopted || is_ours(site, found))
        .ok_or_else(|| Failed::missing(&part.volume))
}

/// The names of containers that mount any of `volumes`, running or not, except this store's own helpers.
pub(crate) fn users(site: &Site, volumes: &[&str], wait: Wait<'_>) -> Result<Vec<String>> {
    if volumes.is_empty() {
        return Ok(Vec::new());
    }
    let containers = site
        .engine
        .list_containers(&json!({ "volume": volumes }), wait)?;
    // By its kind: the image of the helpers carries the store's label, and whatever is made of it.
    let is_helper = |container: &ListedContainer| {
        let label = |name: &str| container.labels.as_ref()?.get(name).map(String::as_str);
        label(LABEL_STORE) == Some(site.names.prefix()) && label(LABEL_KIND) == Some("helper")
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

/// The error for something that containers still use.
pub(crate) fn busy(doing: &str, users: &[String]) -> Error {
    Error::new(
        ErrorKind::Busy,
        format!(
            "{doing}: still mounted by the container {}",
            users.join(", ")
        ),
    )
}

/// Removes a volume, or finds it gone.
pub(crate) fn remove(site: &Site, volume: &str) -> Result<bool> {
    site.engine.remove_volume(volume, Wait::forever())
}
