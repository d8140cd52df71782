//! The directories of a layer, as files: made for a mount that is to fill them, and looked at when it has.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, fstat, mkdirat};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::local::openat;
use crate::store::cache::files::copy_direct::set_look;
use crate::store::cache::files::look::{Marks, RootLook, Upper};
use crate::store::cache::files::walk::{self, FOLDER, Fault};
use crate::store::cache::files::xattr;
use crate::store::names::hex;

/// Makes the directories of a new layer in `mountpoint`: with an empty one to mount the first layer over, if it is that. What of
/// attributes the root of `top` has, that of the layer has, too; a digest of these is given.
pub(crate) fn make(
    mountpoint: &Path,
    (owner, look): ((u32, u32), RootLook),
    is_first: bool,
    top: Option<&str>,
    marks: &Marks,
) -> Result<String, Error> {
    let made = || -> Result<String, Fault> {
        let volume = walk::open_root(mountpoint)?;
        mkdirat(&volume, c"work", Mode::RWXU)?;
        if is_first {
            mkdirat(&volume, c"lower", Mode::RWXU)?;
        }
        mkdirat(&volume, c"upper", Mode::RWXU)?;
        let upper = openat(&volume, c"upper", FOLDER, Mode::empty())?;
        if let Some(top) = top {
            // ACLs and the like of the root, as the last release left them.
            let top = walk::open_root(Path::new(top))?;
            xattr::copy(top.as_fd(), upper.as_fd(), |name| !(marks.is_own)(name))?;
        }
        set_look(&upper, owner, look)?;
        attributes(&upper, marks)
    };
    made().map_err(|fault| fault.into_error("making a layer in", mountpoint))
}

/// A digest over a directory's attributes, but for the overlay's own; nothing where there are none.
fn attributes(folder: &OwnedFd, marks: &Marks) -> Result<String, Fault> {
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

/// What the directory at `place` is now that a mount has filled; `None` where somebody removed it.
pub(crate) fn seen(place: &Path, marks: &Marks) -> Result<Option<Upper>, Error> {
    let doing = "looking at the layer";
    let upper = match walk::open_root(place) {
        Ok(upper) => upper,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Fault::from(e).into_error(doing, place)),
    };
    let look = || -> Result<Upper, Fault> {
        let stat = fstat(&upper)?;
        Ok(Upper {
            owner: (stat.st_uid, stat.st_gid),
            root: walk::root_look(&stat),
            attributes: attributes(&upper, marks)?,
            is_empty: walk::names(&upper)?.is_empty(),
        })
    };
    look()
        .map(Some)
        .map_err(|fault| fault.into_error(doing, place))
}
