//! Where leases keep the data written to them, if this process can access it. A directory or file that was created in a lease
//! only as a mount point is removed before the lease is checked for changes.

use std::collections::HashMap;
use std::path::Path;

use parking_lot::Mutex;

use crate::store::points::{Layers, Point, Restored};

/// The outstanding leases of one store, by the volume that is mounted.
#[derive(Debug, Default)]
pub(crate) struct Lent(Mutex<HashMap<String, Lease>>);

#[derive(Debug)]
struct Lease {
    layers: Layers,
    points: Vec<Point>,
    restored: Vec<Restored>,
}

impl Lent {
    /// Records a new lease.
    pub(crate) fn lend(&self, volume: &str, layers: Layers) {
        let lease = Lease {
            layers,
            points: Vec::new(),
            restored: Vec::new(),
        };
        self.0.lock().insert(volume.to_owned(), lease);
    }

    /// Records that something is about to be mounted at `path` in a lease. Volumes that are not leases of this process are
    /// ignored.
    pub(crate) fn cover(&self, volume: &str, path: &Path) {
        let mut leases = self.0.lock();
        let Some(lease) = leases.get_mut(volume) else {
            return;
        };
        match lease.layers.point(path) {
            Ok(point) => lease.points.extend(point),
            Err(e) => {
                let path = path.display();
                log::debug!("the mount point {path} will stay in the lease {volume}: {e}");
            }
        }
    }

    /// Removes the mount points in a lease that no container has any more.
    pub(crate) fn uncover(&self, volume: &str) {
        let mut leases = self.0.lock();
        let Some(lease) = leases.get_mut(volume) else {
            return;
        };
        let points = std::mem::take(&mut lease.points);
        match lease.layers.remove(&points) {
            Ok(restored) => lease.restored.extend(restored),
            Err(e) => log::debug!("mount points stay in the lease {volume}: {e}"),
        }
    }

    /// Returns the directories of a lease that are as they were before something was mounted in them.
    pub(crate) fn restored(&self, volume: &str) -> Vec<Restored> {
        let leases = self.0.lock();
        let lease = leases.get(volume);
        lease.map_or_else(Vec::new, |lease| lease.restored.clone())
    }

    /// Forgets a lease that no longer exists.
    pub(crate) fn forget(&self, volume: &str) {
        self.0.lock().remove(volume);
    }
}
