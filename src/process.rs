//! Whose something is: a child that the host forks has a copy of all that its parent has, and must do nothing with it.

use std::io;

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn this() -> Self {
        Process(std::process::id())
    }

    /// Whether this is still the same one, and no child of it.
    pub(crate) fn is_this(self) -> bool {
        self == Process::this()
    }

    /// The same as an answer to who is about to use a descriptor.
    pub(crate) fn check(self) -> io::Result<()> {
        match self.is_this() {
            true => Ok(()),
            false => Err(io::Error::other(FORKED)),
        }
    }
}

/// What a child is told.
pub(crate) const FORKED: &str = "this process was forked from the one that opened the store";
