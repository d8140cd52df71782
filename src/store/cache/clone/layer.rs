//! A layer: a plain volume with `upper/` and `work/`, to which an overlay mount writes the changes.

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

/// Returns an empty directory for mounting the first layer of a cache over it.
pub(crate) fn lower(mountpoint: &str) -> String {
    format!("{mountpoint}/lower")
}

/// Returns the path of a part's tree.
pub(crate) fn place(kind: Kind, mountpoint: &str) -> String {
    match kind {
        Kind::Whole => mountpoint.to_owned(),
        Kind::Layer => upper(mountpoint),
    }
}

/// Creates the directories of a new layer. The root of the mount gets the attributes of `upper`, so setting the owner costs
/// nothing.
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
        // The engine's archives contain whole seconds.
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

/// What happened to a layer since it was prepared.
pub(crate) enum Changed {
    /// It was written to; these are its root's attributes now.
    Yes(RootLook),
    No,
    /// It was removed by something other than this store.
    Gone,
}

/// Checks whether anything was written to the layer in `volume`.
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
    // A program that wrote something and removed it again has changed the directory's time.
    if seen.is_empty && now == *looks {
        return Ok(Changed::No);
    }
    tidy(Path::new(mountpoint));
    if site.cache_options.sync {
        walk::sync(place)?;
    }
    Ok(Changed::Yes(seen.root))
}

/// Removes what was needed only by a mount: a killed container may have left a half-copied file there.
fn tidy(mountpoint: &Path) {
    for name in ["work", "lower"] {
        if let Err(e) = fs::remove_dir_all(mountpoint.join(name)) {
            log::debug!("tidying the layer {}: {e}", mountpoint.display());
        }
    }
}

/// The same through the engine: reads the beginning of `upper` as a tar stream.
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
            .unwrap_or_else(|| Error::io(format_args!("examining the layer {volume}"), &e))
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
