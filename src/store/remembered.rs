//! What was found out by trying, kept in a file of the root. Whoever cannot read it, or not write it, tries again.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::local as fs;
use crate::store::replace::{beside, replace};

/// What was found before; `None` where that is nothing, or makes no sense.
pub(crate) fn read<T: DeserializeOwned>(file: &Path) -> Option<T> {
    let text = fs::read(file).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Writes it, whole or not at all.
pub(crate) fn write(file: &Path, found: &impl Serialize, unique: &str) {
    let text = serde_json::to_vec(found).unwrap_or_default();
    if let Err(e) = replace(file, &beside(file, unique), &text) {
        log::debug!("remembering what was found in {}: {e}", file.display());
    }
}
