//! Trials that find out whether this process and the engine see the same files.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chownat,
    fchown, fsetxattr, fstat, futimens, mkdirat, mknodat,
};

use crate::local::openat;
use crate::store::cache::files::look::{Marks, RootLook};
use crate::store::cache::files::{walk, xattr};

/// Returns the owner and the attributes of the directory at `place`.
pub(crate) fn folder(place: &Path) -> io::Result<((u32, u32), RootLook)> {
    let stat = fstat(walk::open_root(place)?)?;
    Ok(((stat.st_uid, stat.st_gid), walk::root_look(&stat)))
}

/// Creates a file of each kind that direct copying creates: a file `f` with `content` and a directory `d`, which belong to
/// `owner`, and a whiteout `w`.
pub(crate) fn add(
    place: &Path,
    content: &[u8],
    owner: (u32, u32),
    look: RootLook,
) -> io::Result<()> {
    let root = walk::open_root(place)?;
    mkdirat(&root, c"d", Mode::RWXU)?;
    chownat(
        &root,
        c"d",
        Some(Uid::from_raw(owner.0)),
        Some(Gid::from_raw(owner.1)),
        AtFlags::empty(),
    )?;
    mknodat(&root, c"w", FileType::CharacterDevice, Mode::empty(), 0)?;
    fsetxattr(&root, c"trusted.docker-store", b"y", XattrFlags::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = File::from(openat(&root, c"f", flags, Mode::RUSR)?);
    io::Write::write_all(&mut &file, content)?;
    fchown(
        &file,
        Some(Uid::from_raw(owner.0)),
        Some(Gid::from_raw(owner.1)),
    )?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(look.mode))?;
    let time = Timespec {
        tv_sec: look.mtime.0,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(futimens(&file, &times)?)
}

/// Returns whether a listing of the non-empty directory at `place` contains the types of its entries.
pub(crate) fn tells_types(place: &Path) -> bool {
    let tells = || -> io::Result<bool> {
        let mut directory = Dir::new(walk::open_root(place)?)?;
        let mut known = 0;
        while let Some(entry) = directory.read() {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                if entry.file_type() == FileType::Unknown {
                    return Ok(false);
                }
                known += 1;
            }
        }
        Ok(known > 0)
    };
    tells().unwrap_or(false)
}

/// Returns whether an overlay has marked the directory at `place` as hiding what is below.
pub(crate) fn is_opaque(place: &Path, marks: &Marks) -> bool {
    walk::open_root(place).is_ok_and(|folder| {
        let value = xattr::get(folder.as_fd(), &marks.opaque);
        value.is_ok_and(|value| value.is_some_and(|value| value == b"y"))
    })
}
