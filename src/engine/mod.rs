//! Typed requests of the Docker Engine API; nothing here knows about stores.
//!
//! Facts about how engines behave come from runs against dockerd 20.10 and from the engine's own sources (moby); the code that
//! depends on one says so.

pub(crate) mod address;
mod answer;
mod archive;
mod call;
pub(crate) mod complaint;
pub(crate) mod containers;
pub(crate) mod context;
pub(crate) mod events;
pub(crate) mod frames;
pub(crate) mod images;
mod lost_layer;
pub(crate) mod moment;
mod peer;
pub(crate) mod progress;
mod reading;
pub(crate) mod system;
pub(crate) mod version;
pub(crate) mod volumes;

use crate::engine::peer::Peer;
use crate::engine::version::ApiVersion;
use crate::http::Client;

pub(crate) use crate::engine::call::{one_line, stopped};
pub(crate) use crate::engine::reading::BodyReader;

/// One engine: a pool of connections, and which engine answers.
pub(crate) struct Engine {
    client: Client,
    peer: Peer,
}

impl Engine {
    /// Returns the address in human-readable form.
    pub(crate) fn address(&self) -> &str {
        self.client.address()
    }

    /// Returns the API version that every request names.
    pub(crate) fn version(&self) -> ApiVersion {
        self.peer.version()
    }

    /// Returns the newest API version that the engine supports.
    pub(crate) fn offered(&self) -> ApiVersion {
        self.peer.offered()
    }

    /// Returns the engine's name for itself: `Docker`, `Podman`.
    pub(crate) fn product(&self) -> String {
        self.peer.product()
    }

    /// Returns the engine's name and version as it reports them; empty if it does not.
    pub(crate) fn server(&self) -> String {
        self.peer.server()
    }

    /// Returns how often a different engine answered than before. What was found out about one does not hold for another.
    pub(crate) fn changes(&self) -> u64 {
        self.peer.changes()
    }

    /// Returns whether it is Podman's service, and not Docker.
    pub(crate) fn is_podman(&self) -> bool {
        self.peer.is_podman()
    }

    /// Closes the idle connections.
    pub(crate) fn close_idle(&self) {
        self.client.close_idle();
    }
}
