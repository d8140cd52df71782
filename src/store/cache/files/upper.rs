//! The directories of a layer, as files: created for a mount that fills them, and examined afterwards.

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

/// Creates the directories of a new layer in `mountpoint`; for a first layer, also an empty directory to mount it over. The
/// layer's root gets the extended attributes of the root of `top`; returns a digest of them.
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
            // For example ACLs of the root, as the last release left them.
            let top = walk::open_root(Path::new(top))?;
            xattr::copy(top.as_fd(), upper.as_fd(), |name| !(marks.is_own)(name))?;
        }
        set_look(&upper, owner, look)?;
        attributes(&upper, marks)
    };
    made().map_err(|fault| fault.into_error("creating a layer in", mountpoint))
}

/// Returns a digest of a directory's extended attributes, except the overlay's own; an empty text if there are none.
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

/// Returns the state of the directory at `place` after a mount has filled it; `None` if it no longer exists.
pub(crate) fn seen(place: &Path, marks: &Marks) -> Result<Option<Upper>, Error> {
    let doing = "examining the layer";
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
