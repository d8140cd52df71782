//! Mount points on systems where the engine's files cannot be accessed directly: they are kept.

use std::io;
use std::path::{Path, PathBuf};

use crate::engine::containers::GraphDriver;

/// A stack of directories as an overlay shows them, which are not accessible here.
#[allow(dead_code)] // Recorded, and never read.
#[derive(Debug)]
pub(crate) struct Layers {
    /// The layer that contains the changes.
    pub(crate) upper: PathBuf,
    /// The layers below it, topmost first.
    pub(crate) lowers: Vec<PathBuf>,
}

/// A mount point that did not exist before; never known here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Point {}

/// A directory that is as it was before, except for its change time; never known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restored {}

impl Layers {
    pub(crate) fn of_container(_driver: &GraphDriver) -> Option<Self> {
        None
    }

    pub(crate) fn uncover(&self, _targets: &[String]) {}

    pub(crate) fn point(&self, _path: &Path) -> io::Result<Option<Point>> {
        Ok(None)
    }

    pub(crate) fn remove(&self, _points: &[Point]) -> io::Result<Vec<Restored>> {
        Ok(Vec::new())
    }
}
