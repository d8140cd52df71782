//! Containers of steps that have ended and whose removal failed, for example because the engine was not reachable. They hold
//! what they mount. A caller that needs that removes them, as the next open would.

use serde_json::json;

use crate::error::Result;
use crate::store::lock::FileLock;
use crate::store::site::Site;
use crate::wait::Wait;

/// Removes the orphans that mount one of `volumes`. Returns `false` if there was none.
pub(crate) fn remove_users(site: &Site, volumes: &[String], wait: Wait<'_>) -> Result<bool> {
    let filters = json!({ "volume": volumes });
    let mut removed = false;
    for container in site.engine.list_containers(&filters, wait)? {
        let mut names = container.names.iter();
        let id = names.find_map(|name| site.names.id_of_container(name.trim_start_matches('/')));
        let Some(id) = id else { continue };
        // A process that builds the id holds the lock, and one that left something has left its lock file. While this holds the
        // lock, no build of the id can begin.
        let Some(lock) = FileLock::try_take_left(&site.paths.build_lock(id))? else {
            continue;
        };
        let gone = site.engine.remove_container(&container.id, wait);
        drop(lock);
        removed |= gone?;
    }
    Ok(removed)
}
