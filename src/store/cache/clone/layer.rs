//! A layer: a plain volume with `upper/` and `work/`, which an overlay mount fills with what is changed.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, fstat, mkdirat};
use sha2::{Digest, Sha256};

use crate::engine::volumes::Volume;
use crate::error::{Error, ErrorKind, Result};
use crate::local::{self as fs, openat};
use crate::store::cache::clone::archive;
use crate::store::cache::clone::strategy::Source;
use crate::store::cache::clone::volumes;
use crate::store::cache::facts::Facts;
use crate::store::cache::files::copy_direct::set_look;
use crate::store::cache::files::look::RootLook;
use crate::store::cache::files::merge::Marks;
use crate::store::cache::files::tree::{Root, Tree};
use crate::store::cache::files::walk::{self, FOLDER, Fault};
use crate::store::cache::files::{tar, xattr};
use crate::store::cache::state::head::Kind;
use crate::store::cache::state::record::Looks;
use crate::store::names::hex;
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
        let made = make_folders(Path::new(&mountpoint), source, top, &facts.marks());
        attributes =
            made.map_err(|fault| fault.into_error("making a layer in", Path::new(&mountpoint)))?;
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

fn make_folders(
    mountpoint: &Path,
    source: &Source<'_>,
    top: Option<&str>,
    marks: &Marks,
) -> std::result::Result<String, Fault> {
    let volume = walk::open_root(mountpoint)?;
    mkdirat(&volume, c"work", Mode::RWXU)?;
    if source.parts.is_empty() {
        mkdirat(&volume, c"lower", Mode::RWXU)?;
    }
    mkdirat(&volume, c"upper", Mode::RWXU)?;
    let upper = openat(&volume, c"upper", FOLDER, Mode::empty())?;
    if let Some(top) = top {
        // ACLs and the like of the root, as the last release left them.
        let top = walk::open_root(Path::new(top))?;
        xattr::copy(top.as_fd(), upper.as_fd(), |name| !(marks.is_own)(name))?;
    }
    set_look(&upper, source.owner, source.root)?;
    attributes(&upper, marks)
}

/// A digest over a directory's attributes, but for the overlay's own; nothing where there are none.
fn attributes(folder: &OwnedFd, marks: &Marks) -> std::result::Result<String, Fault> {
    let mut names: Vec<CString> = xattr::list(folder.as_fd())?;
    names.retain(|name| !(marks.is_own)(name.to_bytes()));
    if names.is_empty() {
        return Ok(String::new());
    }
    names.sort_unstable();
    let mut digest = Sha256::new();
    for name in names {
        let value = xattr::get(folder.as_fd(), &name)?.unwrap_or_default();
        for part in [name.to_bytes(), &value] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    }
    Ok(hex(&digest.finalize()))
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
    let doing = "looking at the layer";
    let upper = match walk::open_root(place) {
        Ok(upper) => upper,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Changed::Gone),
        Err(e) => return Err(Fault::from(e).into_error(doing, place)),
    };
    let look = || -> std::result::Result<(Looks, RootLook, bool), Fault> {
        let stat = fstat(&upper)?;
        let root = walk::root_look(&stat);
        let attributes = attributes(&upper, &facts.marks())?;
        let now = Looks::Upper {
            owner: (stat.st_uid, stat.st_gid),
            root,
            attributes,
            mountpoint: mountpoint.clone(),
        };
        Ok((now, root, walk::names(&upper)?.is_empty()))
    };
    let (now, root, empty) = look().map_err(|fault| fault.into_error(doing, place))?;
    // Whoever wrote and took it back has left the directory with a new time.
    if empty && now == *looks {
        return Ok(Changed::No);
    }
    tidy(Path::new(mountpoint));
    if site.cache_options.sync {
        walk::sync(place)?;
    }
    Ok(Changed::Yes(root))
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
