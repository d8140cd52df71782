//! The outcome of trials, stored in a file of the root. If the file cannot be read or written, the trial is repeated.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::local as fs;
use crate::store::replace::{beside, replace};

/// Returns what was stored; `None` if nothing was, or if it is invalid.
pub(crate) fn read<T: DeserializeOwned>(file: &Path) -> Option<T> {
    let text = fs::read(file).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Writes it atomically.
pub(crate) fn write(file: &Path, found: &impl Serialize, unique: &str) {
    let text = serde_json::to_vec(found).unwrap_or_default();
    if let Err(e) = replace(file, &beside(file, unique), &text) {
        log::debug!("remembering what was found in {}: {e}", file.display());
    }
}
