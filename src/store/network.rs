//! What is known of how steps without a network are given none. Data only: `loopback` finds it out.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The format of what is remembered. Another one is not read.
pub(crate) const FORMAT: u32 = 1;

/// For how many seconds it is remembered that it could not be tried. A base without a shell is followed by one with a shell,
/// mostly: so it is not for ever; and not for a moment, as a trial costs about as much as a step.
const DOUBT: i64 = 600;

/// What the runtime is given in place of a network that the engine makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alone {
    pub(crate) host_name: String,
    /// The file for `/etc/hosts`, on the engine's machine.
    pub(crate) hosts: String,
}

/// How steps without a network are given none, for one open store.
#[derive(Debug)]
pub(crate) struct Networks {
    /// The engine sets it up, as an option says.
    pub(crate) forced: bool,
    pub(crate) known: Mutex<Option<Memory>>,
    /// Held by whoever tries it.
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
    /// For people.
    pub(crate) why: String,
    /// Seconds since this machine was started.
    pub(crate) at: i64,
    /// For which names of containers there are files of hosts.
    pub(crate) hosts: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Found {
    Behaves,
    Misbehaves,
    /// It could not be tried: the image has no shell, say.
    Unknown,
}

/// For what it is remembered: another engine, version or boot may behave otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    /// The mark of the root's claim on that engine.
    pub(crate) claim: String,
    pub(crate) server: String,
    pub(crate) boot: String,
}

impl Memory {
    /// Whether it is still to be believed.
    pub(crate) fn holds(&self, now: &Memory) -> bool {
        let age = now.at - self.at;
        let fresh = self.found != Found::Unknown || (0..DOUBT).contains(&age);
        (self.format, &self.key) == (FORMAT, &now.key) && fresh
    }
}
