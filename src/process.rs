//! Which process something belongs to: a child that the host forks has a copy of everything its parent has, and must not use
//! it.

use std::io;

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn this() -> Self {
        Process(std::process::id())
    }

    /// Returns whether this is still the same process, and not a forked child.
    pub(crate) fn is_this(self) -> bool {
        self == Process::this()
    }

    /// The same as a result, for code that is about to use a descriptor.
    pub(crate) fn check(self) -> io::Result<()> {
        match self.is_this() {
            true => Ok(()),
            false => Err(io::Error::other(FORKED)),
        }
    }
}

/// The error message in a forked child.
pub(crate) const FORKED: &str = "this process was forked from the one that opened the store";
