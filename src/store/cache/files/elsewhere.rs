//! The same names for systems without an engine's volumes: on Windows and macOS, a Linux engine runs in a virtual machine, and
//! its files cannot be accessed directly. The probe finds that out first, so nothing else here is ever called.

use std::io;
use std::path::Path;

use crate::error::{Error, ErrorKind};

fn unreached(path: &Path) -> Error {
    let why = format!(
        "{}: the files of engines cannot be accessed directly on this system",
        path.display()
    );
    Error::new(ErrorKind::Unsupported, why)
}

pub(crate) mod trial {
    use super::{Path, io};
    use crate::store::cache::files::look::{Marks, RootLook};

    pub(crate) fn folder(_place: &Path) -> io::Result<((u32, u32), RootLook)> {
        let why = "the files of engines cannot be accessed directly on this system";
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }

    pub(crate) fn add(
        place: &Path,
        _content: &[u8],
        _owner: (u32, u32),
        _look: RootLook,
    ) -> io::Result<()> {
        folder(place).map(drop)
    }

    pub(crate) fn tells_types(_place: &Path) -> bool {
        false
    }

    pub(crate) fn is_opaque(_place: &Path, _marks: &Marks) -> bool {
        false
    }
}

pub(crate) mod walk {
    use super::{Error, Path, io, unreached};
    use crate::store::cache::files::look::{Look, RootLook, Size};
    use crate::store::points::Restored;
    use crate::wait::Wait;

    pub(crate) fn size(path: &Path, _wait: Wait<'_>) -> Result<Size, Error> {
        Err(unreached(path))
    }

    pub(crate) fn look(path: &Path, _wait: Wait<'_>) -> Result<Look, Error> {
        Err(unreached(path))
    }

    pub(crate) fn look_as_before(
        path: &Path,
        _restored: &[Restored],
        wait: Wait<'_>,
    ) -> Result<Look, Error> {
        look(path, wait)
    }

    pub(crate) fn sync(path: &Path) -> Result<(), Error> {
        Err(unreached(path))
    }

    pub(crate) fn disk(_path: &Path) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn root_look_at(_path: &Path) -> Option<RootLook> {
        None
    }
}

pub(crate) mod copy_direct {
    use super::{Error, Path, unreached};
    use crate::store::cache::files::look::RootLook;
    use crate::wait::Wait;

    pub(crate) fn copy_tree(
        from: &Path,
        _to: &Path,
        _owner: (u32, u32),
        _wait: Wait<'_>,
    ) -> Result<u64, Error> {
        Err(unreached(from))
    }

    pub(crate) fn set_root(place: &Path, _owner: (u32, u32), _look: RootLook) -> Result<(), Error> {
        Err(unreached(place))
    }
}

pub(crate) mod upper {
    use super::{Error, Path, unreached};
    use crate::store::cache::files::look::{Marks, RootLook, Upper};

    pub(crate) fn make(
        mountpoint: &Path,
        _: ((u32, u32), RootLook),
        _is_first: bool,
        _top: Option<&str>,
        _marks: &Marks,
    ) -> Result<String, Error> {
        Err(unreached(mountpoint))
    }

    pub(crate) fn seen(place: &Path, _marks: &Marks) -> Result<Option<Upper>, Error> {
        Err(unreached(place))
    }
}

pub(crate) mod merge {
    use std::path::PathBuf;

    use super::{Error, Path, unreached};
    use crate::store::cache::files::look::Marks;
    use crate::wait::Wait;

    pub(crate) fn merge(
        _sources: &[PathBuf],
        _below: &[PathBuf],
        to: &Path,
        _marks: &Marks,
        _wait: Wait<'_>,
    ) -> Result<(), Error> {
        Err(unreached(to))
    }

    pub(crate) fn copy(
        _layers: &[PathBuf],
        to: &Path,
        _owner: (u32, u32),
        _marks: &Marks,
        _wait: Wait<'_>,
    ) -> Result<u64, Error> {
        Err(unreached(to))
    }
}
