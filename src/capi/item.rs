//! Results, caches and logs as C sees them in one list.

use std::ffi::CString;

use crate::capi::text::{c_string, seconds};
use crate::store::{Item, PruneFate, PruneRow};

/// The kind of an item that a store keeps.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum dstore_item {
    /// A result. Its name is its id.
    DSTORE_ITEM_RESULT = 1,
    /// A cache.
    DSTORE_ITEM_CACHE = 2,
    /// The log of the builds of an id. Its name is that id.
    DSTORE_ITEM_LOG = 3,
}

use dstore_item::*;

/// An item as C sees it: its kind, and its NUL-terminated name.
pub(super) fn parts(item: &Item) -> (dstore_item, Vec<u8>) {
    let (kind, name) = match item {
        Item::Result(id) => (DSTORE_ITEM_RESULT, id.as_bytes()),
        Item::Cache(name) => (DSTORE_ITEM_CACHE, name.as_slice()),
        Item::Log(id) => (DSTORE_ITEM_LOG, id.as_bytes()),
    };
    (kind, [name, b"\0"].concat())
}

/// What a prune did with an item.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum dstore_fate {
    /// It was removed. In a dry run, it would be removed.
    DSTORE_FATE_REMOVED = 1,
    /// Another caller or process removed it in the meantime.
    DSTORE_FATE_GONE = 2,
    /// It must be kept. The row says why.
    DSTORE_FATE_SPARED = 3,
    /// It could not be removed. The row says why.
    DSTORE_FATE_FAILED = 4,
}

use dstore_fate::*;

impl From<PruneFate> for dstore_fate {
    fn from(fate: PruneFate) -> Self {
        match fate {
            PruneFate::Removed => DSTORE_FATE_REMOVED,
            PruneFate::Gone => DSTORE_FATE_GONE,
            PruneFate::Spared => DSTORE_FATE_SPARED,
            PruneFate::Failed => DSTORE_FATE_FAILED,
        }
    }
}

/// A row as C sees it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) kind: dstore_item,
    /// NUL-terminated.
    pub(super) name: Vec<u8>,
    pub(super) bytes: u64,
    pub(super) last_use: i64,
    pub(super) fate: dstore_fate,
    pub(super) why: CString,
}

impl From<&PruneRow> for Row {
    fn from(row: &PruneRow) -> Self {
        let (kind, name) = parts(&row.item);
        Row {
            kind,
            name,
            bytes: row.bytes,
            last_use: seconds(row.last_use),
            fate: row.fate.into(),
            why: c_string(row.why.as_str()),
        }
    }
}
