//! The files of one cache: its directory and lock, its head, a record of each lease.

pub(crate) mod folder;
pub(crate) mod group;
pub(crate) mod head;
pub(crate) mod part;
pub(crate) mod record;
