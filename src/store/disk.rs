//! How full the disks are: the root's, and the engine's if it is on the local machine.

use std::path::Path;

use crate::engine::system::Info;
use crate::error::{Error, Result};
use crate::os;
use crate::store::site::Site;
use crate::wait::Limits;

/// Free space, in percent as df(1) computes it: available space divided by used and available space. Space that is reserved for
/// root is not counted.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct DiskFree {
    /// On the file system of the store's root.
    pub root: f64,
    /// On the file system of the engine's data root; `None` if that is not on the local machine, or not accessible.
    pub engine: Option<f64>,
}

impl DiskFree {
    /// Returns the smaller of the two.
    pub fn percent(&self) -> f64 {
        self.engine
            .map_or(self.root, |engine| engine.min(self.root))
    }
}

/// Queries both file systems.
pub(crate) fn free(site: &Site, limits: &Limits) -> Result<DiskFree> {
    site.check_open("asking for free space")?;
    of(site, &site.engine.info(limits.wait())?)
}

/// The same, given the engine's information about itself.
pub(crate) fn of(site: &Site, info: &Info) -> Result<DiskFree> {
    let root = percent_free(site.paths.root())?;
    let engine = engine_data(site, info).map(percent_free).transpose()?;
    Ok(DiskFree { root, engine })
}

/// Returns the directory that the engine keeps its data in, if it is on the local machine and accessible.
pub(crate) fn engine_data<'a>(site: &Site, info: &'a Info) -> Option<&'a Path> {
    let data = Path::new(&info.docker_root_dir);
    // An engine behind a local socket may still run in a container or a virtual machine. Then its path means nothing here, but
    // most likely does not exist here either.
    let in_sight = is_here(site.engine.address()) && data.is_absolute() && data.is_dir();
    in_sight.then_some(data)
}

/// Returns how many bytes users have or may have on the file system of `path`, and how many are free.
pub(crate) fn space(path: &Path) -> Result<(u64, u64)> {
    os::space(path).map_err(|e| {
        Error::io(
            format!("asking for the free space of {}", path.display()),
            &e,
        )
    })
}

/// Returns whether an address is known to be on the local machine. An engine behind a network address is not, or may not be:
/// its path may also exist here, and belong to another engine.
fn is_here(address: &str) -> bool {
    address.starts_with("unix://") || address.starts_with("npipe:////./")
}

fn percent_free(path: &Path) -> Result<f64> {
    os::percent_free(path).map_err(|e| {
        Error::io(
            format!("asking for the free space of {}", path.display()),
            &e,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_a_network_leads_to_has_no_disk_here() {
        assert!(is_here("unix:///var/run/docker.sock"));
        assert!(is_here("npipe:////./pipe/docker_engine"));
        for address in [
            "tcp://builder:2376",
            "tcp://127.0.0.1:2375",
            "ssh://builder",
            "npipe:////builder/pipe/docker_engine",
        ] {
            assert!(!is_here(address), "{address}");
        }
    }
}
