//! How a store stays within its bounds: what is recorded of each result (its base, its last use), what must be kept, what uses
//! the space, and what is removed when that is too much.

mod family;
mod folder;
pub(crate) mod found;
pub(crate) mod pins;
mod plan;
pub(crate) mod policy;
pub(crate) mod prune;
pub(crate) mod record;
mod removal;
pub(crate) mod usage;
