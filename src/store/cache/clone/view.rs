//! A generation of layers, mounted while it is copied.

use crate::store::cache::clone::overlay::Overlay;
use crate::store::cache::clone::strategy::{Cloning, Made, Source};
use crate::store::cache::facts::Facts;
use crate::store::site::Site;
use crate::wait::Wait;

/// A generation of layers as one tree, while it is copied.
pub(crate) struct View {
    volumes: Vec<String>,
}

impl View {
    /// Creates volumes that show `source` merged.
    pub(crate) fn of(
        site: &Site,
        facts: &Facts,
        source: &Source<'_>,
        wait: Wait<'_>,
    ) -> Made<Self> {
        let overlay = Overlay(facts);
        let view = View {
            volumes: overlay.volumes(site, source.cache, 0),
        };
        match overlay.stack(site, source, &view.volumes, false, wait) {
            Ok(_) => Ok(view),
            Err(failed) => {
                view.remove(site, wait);
                Err(failed)
            }
        }
    }

    pub(crate) fn volume(&self) -> &str {
        &self.volumes[0]
    }

    pub(crate) fn remove(self, site: &Site, wait: Wait<'_>) {
        for volume in self.volumes {
            site.remove_volume(&volume, wait);
        }
    }
}
