//! What really works on this engine, found out by trying.

use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid, XattrFlags, chownat, fsetxattr, mkdirat, mknodat};
use serde_json::json;

use crate::error::Result;
use crate::store::cache::copy::Copy;
use crate::store::cache::record::Record;
use crate::store::cache::strategy::Cloning;
use crate::store::cache::{tar, volumes, walk};
use crate::store::helper::Helper;
use crate::store::options::Strategy;
use crate::store::site::Site;
use crate::wait::Wait;

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// This process reaches the engine's volumes as files, and may do there what root may.
    pub(super) reach: bool,
    pub(super) strategy: Strategy,
    pub(super) why: String,
}

impl Facts {
    pub(super) fn cloning(&self) -> Box<dyn Cloning + '_> {
        Box::new(Copy(self))
    }
    pub(super) fn cloning_of(&self, _record: &Record) -> Box<dyn Cloning + '_> {
        Box::new(Copy(self))
    }
}

pub(super) fn probe(site: &Site, wait: Wait<'_>) -> Result<Facts> {
    Ok(Facts { reach: reach(site, wait)?, strategy: Strategy::Copy, why: String::new() })
}

fn reach(site: &Site, wait: Wait<'_>) -> Result<bool> {
    let name = site.names.volume("probe", &site.session.unique());
    let volume = volumes::create(site, "probe", &name, "", &json!({}), wait)?;
    let token = site.session.unique();
    let helper = Helper::create(site, &[(&name, tar::PLACE)], wait)?;
    let mut stream = tar::folder(&format!("c/{token}/"), (0, 0), crate::store::cache::head::RootLook::new()).to_vec();
    stream.resize(stream.len() + 1024, 0);
    helper.put("/", &mut stream.as_slice(), wait)?;
    helper.remove()?;
    let reach = may(Path::new(&volume.mountpoint), &token);
    site.engine.remove_volume(&name, Wait::forever())?;
    Ok(reach)
}

/// Whether the file `token` is there, and whether files can be made there as root can.
fn may(place: &Path, token: &str) -> bool {
    let try_it = || -> std::io::Result<()> {
        let root = walk::open_root(&place.join(token))?;
        mkdirat(&root, c"d", Mode::RWXU)?;
        chownat(&root, c"d", Some(Uid::from_raw(1)), Some(Gid::from_raw(1)), AtFlags::empty())?;
        mknodat(&root, c"w", FileType::CharacterDevice, Mode::empty(), 0)?;
        fsetxattr(&root, c"trusted.docker-store", b"y", XattrFlags::empty())?;
        Ok(())
    };
    try_it().inspect_err(|e| log::debug!("the engine's volumes are out of reach at {}: {e}", place.display())).is_ok()
}
