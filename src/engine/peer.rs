//! Which engine answers. Every response of an engine names the newest API that it supports and its own version. They are read
//! from the first response on a connection and from a refusal. So an engine that was upgraded or replaced under an open handle
//! is noticed by the next request.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::engine::version::ApiVersion;

/// The last known state.
#[derive(Debug)]
pub(crate) struct Peer {
    said: Mutex<Said>,
    changes: AtomicU64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    /// The newest API that it supports.
    offered: ApiVersion,
    /// `Docker/28.5.2 (linux)`; empty if it does not report it.
    server: String,
    podman: bool,
}

impl Peer {
    /// No engine has answered yet.
    pub(crate) fn unknown() -> Self {
        Peer {
            said: Mutex::new(Said {
                offered: ApiVersion::OLDEST,
                server: String::new(),
                podman: false,
            }),
            changes: AtomicU64::new(0),
        }
    }

    /// Returns the version to use: the newest that both sides support. An engine that is too old refuses it, with the reason.
    pub(crate) fn version(&self) -> ApiVersion {
        let offered = self.said.lock().offered;
        offered.clamp(ApiVersion::OLDEST, ApiVersion::NEWEST)
    }

    /// Returns the newest version that the engine supports.
    pub(crate) fn offered(&self) -> ApiVersion {
        self.said.lock().offered
    }

    /// Returns its name for itself: `Docker`, `Podman`.
    pub(crate) fn product(&self) -> String {
        let said = self.said.lock();
        match said.server.split('/').next() {
            _ if said.podman => String::from("Podman"),
            // A proxy may have removed its name; the protocol is Docker's.
            None | Some("") => String::from("Docker"),
            Some(name) => name.to_owned(),
        }
    }

    /// Returns its name and version as it reports them: `Docker/28.5.2 (linux)`; empty if it does not.
    pub(crate) fn server(&self) -> String {
        self.said.lock().server.clone()
    }

    /// Returns whether it is Podman's service.
    pub(crate) fn is_podman(&self) -> bool {
        self.said.lock().podman
    }

    /// Returns how often another engine, or another version of it, answered than before.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Records the headers of a response.
    pub(crate) fn heard(&self, api: Option<&str>, podman: bool, server: Option<&str>) {
        // A proxy may answer by itself, without a version: that is not an engine.
        let Some(offered) = api.and_then(ApiVersion::parse) else {
            return;
        };
        let server = server.unwrap_or_default();
        let mut said = self.said.lock();
        if (said.offered, said.podman) == (offered, podman) && said.server == server {
            return;
        }
        let first = self.changes.fetch_add(1, Ordering::Release) == 0;
        if !first {
            log::info!(
                "another engine answers than before: {server}, API {offered}; it was {said}"
            );
        }
        *said = Said {
            offered,
            server: server.to_owned(),
            podman,
        };
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, API {}", self.server, self.offered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_is_spoken_is_the_newest_that_both_know() {
        let peer = Peer::unknown();
        let after = |api: &str| {
            peer.heard(Some(api), false, Some("Docker/1"));
            peer.version().to_string()
        };
        assert_eq!(after("1.41"), "1.41");
        assert_eq!(after("1.44"), "1.44");
        assert_eq!(after("1.99"), ApiVersion::NEWEST.to_string());
        assert_eq!(peer.offered().to_string(), "1.99");
        assert_eq!(after("1.12"), ApiVersion::OLDEST.to_string());
    }

    #[test]
    fn another_engine_is_noticed_and_the_same_one_is_not() {
        let peer = Peer::unknown();
        peer.heard(Some("1.41"), false, Some("Docker/20.10"));
        let first = peer.changes();
        peer.heard(Some("1.41"), false, Some("Docker/20.10"));
        peer.heard(None, false, Some("nginx"));
        peer.heard(Some("senseless"), false, Some("Docker/20.10"));
        assert_eq!(peer.changes(), first);
        peer.heard(Some("1.41"), false, Some("Docker/20.10.1"));
        assert_eq!(peer.changes(), first + 1);
        peer.heard(Some("1.44"), false, Some("Docker/20.10.1"));
        assert_eq!(peer.changes(), first + 2);
    }
}
