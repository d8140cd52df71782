//! The copy strategy: a generation is one whole volume. The lease is a copy of it, and becomes the next generation as it is:
//! nothing is copied on release, and nothing is deleted before the head has moved.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::engine::volumes::Volume;
use crate::error::Result;
use crate::store::cache::clone::strategy::{Cloning, Made, Seal, Sealed, Source};
use crate::store::cache::clone::view::View;
use crate::store::cache::clone::volumes;
use crate::store::cache::clone::{archive, layer};
use crate::store::cache::facts::Facts;
use crate::store::cache::files::look::Size;
use crate::store::cache::files::tree::Root;
use crate::store::cache::files::{copy_direct, merge, walk};
use crate::store::cache::state::head::{Kind, Part};
use crate::store::cache::state::record::Looks;
use crate::store::options::Strategy;
use crate::store::points::Layers;
use crate::store::site::Site;
use crate::wait::Wait;

/// The label of a volume that is a whole cache.
const KIND: &str = "cache";

pub(crate) struct Copy<'a>(pub(crate) &'a Facts);

impl Cloning for Copy<'_> {
    fn strategy(&self) -> Strategy {
        Strategy::Copy
    }

    fn volumes(&self, site: &Site, cache: &str, generation: u64) -> Vec<String> {
        vec![whole_name(site, cache, generation + 1)]
    }

    fn make(
        &self,
        site: &Site,
        source: &Source<'_>,
        names: &[String],
        wait: Wait<'_>,
    ) -> Made<Looks> {
        let lease = volumes::create(site, KIND, &names[0], source.cache, &json!({}), wait)?;
        if self.0.reach {
            let layers = Layers {
                upper: PathBuf::from(&lease.mountpoint),
                lowers: Vec::new(),
            };
            site.lent.lend(&names[0], layers);
        }
        match source.parts {
            [] if self.0.reach => {
                let place = Path::new(&lease.mountpoint);
                copy_direct::set_root(place, source.owner, source.root)?;
                Ok(Looks::Tree(walk::look(place, wait)?.digest))
            }
            [] => {
                let root = Root {
                    owner: source.owner,
                    look: source.root,
                };
                let archives = archive::ways(self.0)?;
                let digest = archive::empty(site, archives, &lease, root, wait)?;
                Ok(Looks::Tar(digest))
            }
            [
                whole @ Part {
                    kind: Kind::Whole, ..
                },
            ] => self.clone_volume(site, whole, &lease, source.owner, wait),
            layers if self.0.reach => self.clone_layers(site, layers, &lease, source.owner, wait),
            layers => {
                // An overlay is mounted only inside a container, so its files are read through the archive API.
                let archives = archive::ways(self.0)?;
                let view = View::of(site, self.0, source, wait)?;
                let owner = Some(source.owner);
                let cloned = archive::copy(site, archives, view.volume(), &lease, owner, wait);
                view.remove(site, wait);
                // A layer that was removed while the copy ran shows up only as missing files.
                for layer in layers {
                    volumes::find_part(site, layer, wait)?;
                }
                Ok(Looks::Tar(cloned?))
            }
        }
    }

    fn detach(&self, site: &Site, names: &[String], wait: Wait<'_>) -> Result<()> {
        match volumes::users(site, &[&names[0]], wait)? {
            users if users.is_empty() => Ok(()),
            users => Err(volumes::busy("releasing a lease", &users)),
        }
    }

    fn seal(&self, site: &Site, names: &[String], looks: &Looks, wait: Wait<'_>) -> Result<Seal> {
        let Some(lease) = volumes::find(site, &names[0], wait)? else {
            return Ok(Seal::Gone);
        };
        let (now, size, root) = match looks {
            Looks::Tar(_) => {
                let helper = volumes::helper(site, &names[0], wait)?;
                let seen = archive::read(&helper, archive::ways(self.0)?.owners, wait)?;
                helper.remove();
                (Some(Looks::Tar(seen.digest)), None, Some(seen.root.look))
            }
            Looks::Tree(_) if self.0.reach => {
                let restored = site.lent.restored(&names[0]);
                let place = Path::new(&lease.mountpoint);
                let look = walk::look_as_before(place, &restored, wait)?;
                (
                    Some(Looks::Tree(look.digest)),
                    Some(look.size),
                    Some(look.root),
                )
            }
            // It was cloned by a process with more access than this one: treated as changed.
            _ => (None, None, None),
        };
        if now.as_ref() == Some(looks) {
            return Ok(Seal::Unchanged);
        }
        if site.cache_options.sync && self.0.reach {
            walk::sync(Path::new(&lease.mountpoint))?;
        }
        Ok(Seal::Changed(Sealed {
            part: whole(lease, size),
            root,
        }))
    }

    fn follow(&self, _before: &[Part], sealed: Part) -> Vec<Part> {
        vec![sealed]
    }
}

impl Copy<'_> {
    fn clone_volume(
        &self,
        site: &Site,
        from: &Part,
        to: &Volume,
        owner: (u32, u32),
        wait: Wait<'_>,
    ) -> Made<Looks> {
        if !self.0.reach {
            volumes::find_part(site, from, wait)?;
            let archives = archive::ways(self.0)?;
            let cloned = archive::copy(site, archives, &from.volume, to, Some(owner), wait)?;
            // The engine creates a missing volume when a container is created with it, but without the labels.
            volumes::find_part(site, from, wait)?;
            return Ok(Looks::Tar(cloned));
        }
        let source = volumes::find_part(site, from, wait)?;
        let place = Path::new(&to.mountpoint);
        let copied = copy_direct::copy_tree(Path::new(&source.mountpoint), place, owner, wait);
        // If the source was removed in the meantime, the copy is incomplete, possibly without an error.
        volumes::find_part(site, from, wait)?;
        site.counters.bytes_copied.add(copied?);
        Ok(Looks::Tree(walk::look(place, wait)?.digest))
    }
}

impl Copy<'_> {
    /// Copies what an overlay of `layers` would show. An overlay is mounted only inside a container, but its layers can be
    /// accessed directly.
    fn clone_layers(
        &self,
        site: &Site,
        layers: &[Part],
        to: &Volume,
        owner: (u32, u32),
        wait: Wait<'_>,
    ) -> Made<Looks> {
        let mut places = Vec::new();
        for part in layers.iter().rev() {
            let volume = volumes::find_part(site, part, wait)?;
            places.push(PathBuf::from(layer::place(part.kind, &volume.mountpoint)));
        }
        let place = Path::new(&to.mountpoint);
        let copied = merge::copy(&places, place, owner, &self.0.marks(), wait);
        // As for a whole volume.
        for part in layers {
            volumes::find_part(site, part, wait)?;
        }
        site.counters.bytes_copied.add(copied?);
        Ok(Looks::Tree(walk::look(place, wait)?.digest))
    }
}

/// Returns a name for a whole volume of a generation.
pub(crate) fn whole_name(site: &Site, cache: &str, generation: u64) -> String {
    // Not `tmp`, although it starts as a lease: an OBuilder store deletes every `…-cache-tmp-…` when it opens.
    site.names.volume(
        "cache",
        &format!("{cache}-g{generation}-{}", site.session.unique()),
    )
}

pub(crate) fn whole(volume: Volume, size: Option<Size>) -> Part {
    Part {
        volume: volume.name,
        kind: Kind::Whole,
        mountpoint: volume.mountpoint,
        birth: None,
        generation: 0,
        adopted: false,
        size,
    }
}
