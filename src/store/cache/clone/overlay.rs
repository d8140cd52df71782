//! The overlay strategy: a generation is a list of layers, and a lease is one new layer over them, which the engine mounts when
//! a container starts. Neither a clone nor a release copies data.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::engine::volumes::Volume;
use crate::error::{Error, ErrorKind, Result};
use crate::store::cache::clone::strategy::{Cloning, Failed, Made, Seal, Sealed, Source};
use crate::store::cache::clone::volumes;
use crate::store::cache::clone::{archive, layer};
use crate::store::cache::facts::{Facts, OPTIONS_MAX, Overlays};
use crate::store::cache::files::tree::Root;
use crate::store::cache::files::{copy_direct, tar};
use crate::store::cache::state::head::{Kind, Part};
use crate::store::cache::state::record::Looks;
use crate::store::options::Strategy;
use crate::store::place::Birth;
use crate::store::points::Layers;
use crate::store::site::Site;
use crate::wait::Wait;

pub(crate) struct Overlay<'a>(pub(crate) &'a Facts);

impl Cloning for Overlay<'_> {
    fn strategy(&self) -> Strategy {
        Strategy::Overlay
    }

    fn volumes(&self, site: &Site, _cache: &str, _generation: u64) -> Vec<String> {
        // Short names, without the cache's name: the mount options of a chain must fit into a page.
        let unique = site.session.unique();
        vec![
            site.names.volume("cache-tmp", &unique),
            site.names.volume("layer", &unique),
        ]
    }

    fn make(
        &self,
        site: &Site,
        source: &Source<'_>,
        names: &[String],
        wait: Wait<'_>,
    ) -> Made<Looks> {
        self.stack(site, source, names, true, wait)
    }

    fn detach(&self, site: &Site, names: &[String], wait: Wait<'_>) -> Result<()> {
        // When this volume is removed, the layer can no longer be mounted: the engine refuses the removal while any container
        // has the volume.
        match site.engine.remove_volume(&names[0], wait) {
            Err(e) if e.kind() == ErrorKind::Conflict => {
                let users = volumes::users(site, &[&names[0]], wait)?;
                Err(volumes::busy("releasing a lease", &users))
            }
            // It no longer exists: an earlier release removed it and then failed, or another engine has answered.
            Ok(false) => site.check_engine("releasing a lease", wait),
            other => other.map(drop),
        }
    }

    fn seal(&self, site: &Site, names: &[String], looks: &Looks, wait: Wait<'_>) -> Result<Seal> {
        let Looks::Upper { mountpoint, .. } = looks else {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "releasing a lease: its record does not describe an overlay layer",
            ));
        };
        let root = match layer::changed(site, self.0, &names[1], looks, wait)? {
            layer::Changed::Yes(root) => root,
            layer::Changed::No => return Ok(Seal::Unchanged),
            layer::Changed::Gone => return Ok(Seal::Gone),
        };
        let part = Part {
            volume: names[1].clone(),
            kind: Kind::Layer,
            mountpoint: mountpoint.clone(),
            birth: self.birth(Kind::Layer, mountpoint),
            generation: 0,
            adopted: false,
            size: None,
        };
        Ok(Seal::Changed(Sealed {
            part,
            root: Some(root),
        }))
    }

    fn follow(&self, before: &[Part], sealed: Part) -> Vec<Part> {
        before.iter().cloned().chain([sealed]).collect()
    }
}

/// Why a cache that consists of layers cannot be read.
const UNMOUNTABLE: &str = "its layers cannot be mounted on this engine any more";

impl Overlay<'_> {
    /// Creates a new layer over `source`. `grows` says that it may become a layer of the cache: then its mount options must
    /// have room for it, or the cache could no longer be read.
    pub(crate) fn stack(
        &self,
        site: &Site,
        source: &Source<'_>,
        names: &[String],
        grows: bool,
        wait: Wait<'_>,
    ) -> Made<Looks> {
        let Some(overlays) = &self.0.overlay else {
            return Err(Failed::Lost(String::from(UNMOUNTABLE)));
        };
        let mut lowers = Vec::new();
        // In the mount options, the topmost layer comes first.
        for part in source.parts.iter().rev() {
            lowers.push(self.place(site, part, wait)?);
        }
        let volume = volumes::create(site, "layer", &names[1], source.cache, &json!({}), wait)?;
        let top = lowers.first().cloned();
        if lowers.is_empty() {
            // A mount needs at least one.
            lowers.push(layer::lower(&volume.mountpoint));
        }
        let (upper, work) = (
            layer::upper(&volume.mountpoint),
            layer::work(&volume.mountpoint),
        );
        let options = mount_options(&lowers, (&upper, &work), overlays);
        let room = if grows { escape(&upper).len() + 1 } else { 0 };
        // If each layer is a separate option, the options are not limited to one page; but longer chains are not needed.
        let longer = if overlays.each {
            lowers.len() * "lowerdir+=".len()
        } else {
            0
        };
        if options.len() - longer + room > OPTIONS_MAX {
            return Err(Failed::TooDeep);
        }
        let looks = layer::prepare(site, self.0, &volume, source, top.as_deref(), wait)?;
        let options = json!({ "type": "overlay", "device": "overlay", "o": options });
        volumes::create(site, "lease", &names[0], source.cache, &options, wait)?;
        if site.engine.is_podman() {
            self.settle(site, source, (&names[0], &volume), wait)?;
        }
        if self.0.reach && grows {
            let layers = Layers {
                upper: upper.into(),
                lowers: lowers.into_iter().map(PathBuf::from).collect(),
            };
            site.lent.lend(&names[0], layers);
        }
        Ok(looks)
    }

    fn birth(&self, kind: Kind, mountpoint: &str) -> Option<Birth> {
        let place = layer::place(kind, mountpoint);
        self.0.reach.then(|| Birth::of(Path::new(&place))).flatten()
    }

    /// Undoes what Podman does when a volume is mounted for the first time: it changes the owner of the root directory to the
    /// container's user. (For a plain volume this can be turned off, for a mount it cannot.)
    fn settle(
        &self,
        site: &Site,
        source: &Source<'_>,
        (lease, layer): (&str, &Volume),
        wait: Wait<'_>,
    ) -> Made<()> {
        let helper = volumes::helper(site, lease, wait)?;
        // Nothing is extracted, but this makes the engine mount it.
        archive::fill(&helper, &tar::archive([]), wait)?;
        if !self.0.reach {
            let root = Root {
                owner: source.owner,
                look: source.root,
            };
            archive::set_root(&helper, archive::ways(self.0)?.root, root, wait)?;
        }
        helper.remove();
        if self.0.reach {
            let upper = layer::upper(&layer.mountpoint);
            copy_direct::set_root(Path::new(&upper), source.owner, source.root)?;
        }
        Ok(())
    }

    /// Returns the directory of a part for the mount options.
    fn place(&self, site: &Site, part: &Part, wait: Wait<'_>) -> Made<String> {
        // The path alone is not enough: the engine may have created an empty volume in place of a missing one, or may be
        // another engine.
        if part.birth.is_some() && self.birth(part.kind, &part.mountpoint) == part.birth {
            return Ok(layer::place(part.kind, &part.mountpoint));
        }
        let volume = volumes::find_part(site, part, wait)?;
        let place = layer::place(part.kind, &volume.mountpoint);
        if self.0.reach && !Path::new(&place).is_dir() {
            return Err(Failed::missing(&part.volume));
        }
        Ok(place)
    }
}

/// Returns the mount options of a volume that is a stack of layers.
pub(crate) fn mount_options(
    lowers: &[String],
    (upper, work): (&str, &str),
    overlays: &Overlays,
) -> String {
    let lowers: Vec<String> = match overlays.each {
        // The kernel does not interpret special characters in this option.
        true => lowers
            .iter()
            .map(|lower| format!("lowerdir+={lower}"))
            .collect(),
        false => {
            let lowers: Vec<String> = lowers.iter().map(|lower| escape(lower)).collect();
            vec![format!("lowerdir={}", lowers.join(":"))]
        }
    };
    let mut options = format!(
        "{},upperdir={},workdir={}",
        lowers.join(","),
        escape(upper),
        escape(work)
    );
    if !overlays.extra.is_empty() {
        options.push(',');
        options.push_str(&overlays.extra);
    }
    options
}

/// Returns the approximate length of the options of a mount over these parts.
pub(crate) fn options_length(parts: &[Part]) -> usize {
    let places = parts
        .iter()
        .map(|part| escape(&layer::place(part.kind, &part.mountpoint)).len() + 1);
    let longest = parts
        .iter()
        .map(|part| part.mountpoint.len())
        .max()
        .unwrap_or_default();
    // The upper and work directories of a layer that does not exist yet, and the words in between.
    places.sum::<usize>() + 2 * longest + 128
}

/// The kernel splits at `:` and `,`, and a preceding backslash escapes them.
fn escape(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for c in path.chars() {
        if matches!(c, ':' | ',' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_separates_options_is_escaped_in_paths() {
        let options = |lowers: [&str; 2], each| {
            let overlays = Overlays {
                extra: "index=off".into(),
                each,
            };
            mount_options(&lowers.map(str::to_owned), ("/e\\f", "/g"), &overlays)
        };
        assert_eq!(
            options(["/a:b", "/c,d"], false),
            r"lowerdir=/a\:b:/c\,d,upperdir=/e\\f,workdir=/g,index=off"
        );
        assert_eq!(
            options(["/a:b", "/c"], true),
            r"lowerdir+=/a:b,lowerdir+=/c,upperdir=/e\\f,workdir=/g,index=off"
        );
    }
}
