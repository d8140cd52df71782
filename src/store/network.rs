//! What is known of how steps without a network are set up. Data only: `loopback` finds it out.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The format of the stored record. A record of another format is ignored.
pub(crate) const FORMAT: u32 = 1;

/// For how many seconds it is remembered that it could not be tried. A base without a shell is usually followed by one with a
/// shell, so this is not forever. It is not very short either, because a trial costs about as much as a step.
const DOUBT: i64 = 600;

/// What the runtime is given instead of a network of the engine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alone {
    pub(crate) host_name: String,
    /// The file for `/etc/hosts`, on the engine's host.
    pub(crate) hosts: String,
}

/// How steps without a network are set up, for one open store.
#[derive(Debug)]
pub(crate) struct Networks {
    /// The engine sets it up, because an option says so.
    pub(crate) forced: bool,
    pub(crate) known: Mutex<Option<Memory>>,
    /// Held during a trial.
    pub(crate) trial: Mutex<()>,
}

impl Networks {
    pub(crate) fn new(forced: bool) -> Self {
        Networks {
            forced,
            known: Mutex::new(None),
            trial: Mutex::new(()),
        }
    }
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) format: u32,
    pub(crate) key: Key,
    pub(crate) found: Found,
    /// Human-readable.
    pub(crate) why: String,
    /// Seconds since the local machine was started.
    pub(crate) at: i64,
    /// The names of containers for which there are hosts files.
    pub(crate) hosts: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Found {
    Behaves,
    Misbehaves,
    /// It could not be tried; for example, the image has no shell.
    Unknown,
}

/// What it is remembered for: another engine, version or boot may behave differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    /// The mark of the root's claim on that engine.
    pub(crate) claim: String,
    pub(crate) server: String,
    pub(crate) boot: String,
}

impl Memory {
    /// Returns whether it is still valid.
    pub(crate) fn holds(&self, now: &Memory) -> bool {
        let age = now.at - self.at;
        let fresh = self.found != Found::Unknown || (0..DOUBT).contains(&age);
        (self.format, &self.key) == (FORMAT, &now.key) && fresh
    }
}
