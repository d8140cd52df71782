//! What is on disk of one cache: its folder and lock, its head, a record of each lease.

pub(crate) mod folder;
pub(crate) mod group;
pub(crate) mod head;
pub(crate) mod part;
pub(crate) mod record;
