//! What an engine makes to have something to mount on, where its files are out of reach: it stays there.

use std::io;
use std::path::{Path, PathBuf};

use crate::engine::containers::GraphDriver;

/// A stack of directories as an overlay shows them, which nobody here sees.
#[allow(dead_code)] // It is noted, and nobody looks.
#[derive(Debug)]
pub(crate) struct Layers {
    /// Where changes are.
    pub(crate) upper: PathBuf,
    /// What they were made over, the topmost first.
    pub(crate) lowers: Vec<PathBuf>,
}

/// A place to mount on that was not there before: none is ever seen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Point {}

/// A directory that is as it was before, but for the time of its last change: none is ever seen.
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
