//! Typed calls of the Docker Engine API, and nothing about stores.
//!
//! Facts about how engines behave come from runs against dockerd 20.10 and from the engine's own sources (moby);
//! the places that depend on one say so.

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

/// One engine: a pool of connections, and who answers there.
pub(crate) struct Engine {
    client: Client,
    peer: Peer,
}

impl Engine {
    /// The address, as a person would write it.
    pub(crate) fn address(&self) -> &str {
        self.client.address()
    }

    /// The API version that every call names.
    pub(crate) fn version(&self) -> ApiVersion {
        self.peer.version()
    }

    /// The newest API version that the engine speaks.
    pub(crate) fn offered(&self) -> ApiVersion {
        self.peer.offered()
    }

    /// What the engine calls itself: `Docker`, `Podman`.
    pub(crate) fn product(&self) -> String {
        self.peer.product()
    }

    /// How the engine names itself and its version; empty where it does not.
    pub(crate) fn server(&self) -> String {
        self.peer.server()
    }

    /// How often another engine answered than before. What was found out about one does not hold for another.
    pub(crate) fn changes(&self) -> u64 {
        self.peer.changes()
    }

    /// Whether it is Podman's service, and not Docker.
    pub(crate) fn is_podman(&self) -> bool {
        self.peer.is_podman()
    }

    /// Closes the connections that wait for a next call.
    pub(crate) fn close_idle(&self) {
        self.client.close_idle();
    }
}
