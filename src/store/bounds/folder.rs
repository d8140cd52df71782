//! Reading a directory of small files, which may not exist.

use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::local as fs;

/// Calls `each` with the name and the path of every file in `folder`. A name that is not valid text is not one of ours.
pub(crate) fn for_each(folder: &Path, mut each: impl FnMut(&str, &Path)) -> Result<()> {
    let failed = |e: io::Error| Error::io(format!("listing {}", folder.display()), &e);
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if let Some(name) = entry.file_name().to_str() {
            each(name, &entry.path());
        }
    }
    Ok(())
}
