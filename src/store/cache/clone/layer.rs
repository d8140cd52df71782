//! A layer: a plain volume with `upper/` and `work/`, which an overlay mount fills with what is changed.

use std::path::Path;

use crate::engine::volumes::Volume;
use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::store::cache::clone::archive;
use crate::store::cache::clone::strategy::Source;
use crate::store::cache::clone::volumes;
use crate::store::cache::facts::Facts;
use crate::store::cache::files::look::RootLook;
use crate::store::cache::files::tree::{Root, Tree};
use crate::store::cache::files::{tar, upper as upper_files, walk};
use crate::store::cache::state::head::Kind;
use crate::store::cache::state::record::Looks;
use crate::store::site::Site;
use crate::wait::Wait;

pub(crate) fn upper(mountpoint: &str) -> String {
    format!("{mountpoint}/upper")
}

pub(crate) fn work(mountpoint: &str) -> String {
    format!("{mountpoint}/work")
}

/// An empty directory to mount the first layer of a cache over.
pub(crate) fn lower(mountpoint: &str) -> String {
    format!("{mountpoint}/lower")
}

/// Where the tree of a part is.
pub(crate) fn place(kind: Kind, mountpoint: &str) -> String {
    match kind {
        Kind::Whole => mountpoint.to_owned(),
        Kind::Layer => upper(mountpoint),
    }
}

/// Makes the directories of a new layer. The root of the mount will look like `upper`, so the owner costs nothing.
pub(crate) fn prepare(
    site: &Site,
    facts: &Facts,
    volume: &Volume,
    source: &Source<'_>,
    top: Option<&str>,
    wait: Wait<'_>,
) -> Result<Looks> {
    let mountpoint = volume.mountpoint.clone();
    let (owner, mut root) = (source.owner, source.root);
    let mut attributes = String::new();
    if facts.reach {
        let place = Path::new(&mountpoint);
        let is_first = source.parts.is_empty();
        attributes = upper_files::make(place, (owner, root), is_first, top, &facts.marks())?;
    } else {
        // The engine's archives know whole seconds.
        root.mtime.1 = 0;
        let plain = RootLook {
            mode: 0o755,
            mtime: root.mtime,
        };
        let mut folders = Vec::new();
        folders.push(tar::folder("upper/", owner, root));
        folders.push(tar::folder("work/", (0, 0), plain));
        if source.parts.is_empty() {
            folders.push(tar::folder("lower/", (0, 0), plain));
        }
        let helper = volumes::helper(site, &volume.name, wait)?;
        archive::fill(&helper, &tar::archive(folders), wait)?;
        helper.remove();
    }
    Ok(Looks::Upper {
        owner,
        root,
        attributes,
        mountpoint,
    })
}

/// What became of a layer since it was prepared.
pub(crate) enum Changed {
    /// It was written to; its root looks like this now.
    Yes(RootLook),
    No,
    /// Somebody removed it.
    Gone,
}

/// Looks whether anything was written to the layer in `volume`.
pub(crate) fn changed(
    site: &Site,
    facts: &Facts,
    volume: &str,
    looks: &Looks,
    wait: Wait<'_>,
) -> Result<Changed> {
    let Looks::Upper { mountpoint, .. } = looks else {
        return Ok(Changed::Gone);
    };
    if !facts.reach {
        return changed_by_archive(site, facts, volume, looks, wait);
    }
    let place = upper(mountpoint);
    let place = Path::new(&place);
    let Some(seen) = upper_files::seen(place, &facts.marks())? else {
        return Ok(Changed::Gone);
    };
    let now = Looks::Upper {
        owner: seen.owner,
        root: seen.root,
        attributes: seen.attributes,
        mountpoint: mountpoint.clone(),
    };
    // Whoever wrote and took it back has left the directory with a new time.
    if seen.is_empty && now == *looks {
        return Ok(Changed::No);
    }
    tidy(Path::new(mountpoint));
    if site.cache_options.sync {
        walk::sync(place)?;
    }
    Ok(Changed::Yes(seen.root))
}

/// Takes away what only a mount needed: a killed container may have left a half-copied file there.
fn tidy(mountpoint: &Path) {
    for name in ["work", "lower"] {
        if let Err(e) = fs::remove_dir_all(mountpoint.join(name)) {
            log::debug!("tidying the layer {}: {e}", mountpoint.display());
        }
    }
}

/// The same through the engine: `upper` as a tar stream, of which only the beginning is read.
fn changed_by_archive(
    site: &Site,
    facts: &Facts,
    volume: &str,
    looks: &Looks,
    wait: Wait<'_>,
) -> Result<Changed> {
    if volumes::find(site, volume, wait)?.is_none() {
        return Ok(Changed::Gone);
    }
    let helper = volumes::helper(site, volume, wait)?;
    let mut stream = match helper.get(&upper(tar::PLACE), wait) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Changed::Gone),
        stream => stream?,
    };
    let mut tree = Tree::new(&mut stream, archive::ways(facts)?.owners, None);
    let beginning = tree.root().and_then(|root| Ok((root, tree.is_empty()?)));
    let (found, empty) = beginning.map_err(|e| {
        stream
            .why()
            .unwrap_or_else(|| Error::io(format_args!("looking at the layer {volume}"), &e))
    })?;
    drop(stream);
    helper.remove();
    match looks {
        Looks::Upper {
            owner: o, root: r, ..
        } if empty
            && found
                == (Root {
                    owner: *o,
                    look: RootLook {
                        mtime: (r.mtime.0, 0),
                        ..*r
                    },
                }) =>
        {
            Ok(Changed::No)
        }
        _ => Ok(Changed::Yes(found.look)),
    }
}
