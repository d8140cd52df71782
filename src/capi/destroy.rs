//! Giving a root up, and what is left of one.

use std::ffi::{CString, c_char};
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use crate::capi::arguments::{GivenBack, Owned};
use crate::capi::boundary::infallible;
use crate::capi::cancel::dstore_cancel;
use crate::capi::error::dstore_error;
use crate::capi::fallible::fallible;
use crate::capi::handle::Handle;
use crate::capi::options::dstore_options;
use crate::capi::settings::Settable;
use crate::capi::status::dstore_status;
use crate::capi::text::c_string;
use crate::error::Result;
use crate::store::{Destroy, Fate, Options, Remains, RemnantKind, Store};
use crate::wait::Limits;

/// What there is, or was, of roots: a list that does not change, so any number of threads may read it.
#[derive(Debug)]
pub struct dstore_remains(Vec<Row>);

impl Handle for dstore_remains {}

#[derive(Debug)]
struct Row {
    kind: i32,
    name: CString,
    identity: CString,
    root: Option<CString>,
    engine: CString,
    removed: bool,
    kept: Option<CString>,
}

/// What kind of thing is left of a root.
#[repr(i32)]
#[derive(Clone, Copy, Debug)]
pub enum dstore_remnant {
    /// A container of a step or a copy.
    DSTORE_REMNANT_CONTAINER = 1,
    /// A name of an image, or an image without one.
    DSTORE_REMNANT_IMAGE = 2,
    /// A volume: of a cache, a lease, a secret, or the claim on the root's names.
    DSTORE_REMNANT_VOLUME = 3,
    /// A file or folder of the root.
    DSTORE_REMNANT_FILE = 4,
    /// All that an engine has which cannot be asked.
    DSTORE_REMNANT_ENGINE = 5,
}

use dstore_remnant::*;

impl dstore_remains {
    fn new(remains: Remains) -> Self {
        let rows = remains.things.into_iter().map(|thing| Row {
            kind: match thing.kind {
                RemnantKind::Container => DSTORE_REMNANT_CONTAINER,
                RemnantKind::Image => DSTORE_REMNANT_IMAGE,
                RemnantKind::Volume => DSTORE_REMNANT_VOLUME,
                RemnantKind::File => DSTORE_REMNANT_FILE,
                RemnantKind::Engine => DSTORE_REMNANT_ENGINE,
            } as i32,
            name: c_string(thing.name),
            identity: c_string(thing.identity),
            root: thing.root.map(c_string),
            engine: c_string(thing.engine),
            removed: thing.fate == Fate::Removed,
            kept: match thing.fate {
                Fate::Kept(why) => Some(c_string(why)),
                Fate::Found | Fate::Removed => None,
            },
        });
        dstore_remains(rows.collect())
    }
}

fn chosen(options: Option<Arc<dstore_options>>) -> Result<Options> {
    options.map_or_else(
        || Ok(Options::default()),
        |options| options.settings().get(),
    )
}

/// Gives up the root at `root` (any bytes): removes everything of it from every engine that it was used
/// with, and from the disk: results, caches, logs, what steps left, the caller's own files in its state
/// directory, and the directory. Names that dstore_store_tag() gave stay. With `dry_run` nothing is removed.
/// What could not be removed is in `remains` with its reason: then the root stays, too, and the next call
/// goes on, as it does after one that was cut off or killed.
///
/// DSTORE_BUSY while a store is open there, in any process; DSTORE_NOT_FOUND where nothing is there;
/// DSTORE_INVALID_ARGUMENT for what is no store's root. DSTORE_UNREACHABLE where an engine cannot be asked
/// that the root was used with: nothing was removed then. With `abandon` what is there is given up, too; it
/// can be found later by the root's identity. `options` say where an engine is that has another address
/// now. `timeout_ms` 0 is none. Free what it gives with dstore_remains_free().
///
/// Blocks. May be NULL: options, cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_destroy(
    root: *const c_char,
    options: *const dstore_options,
    dry_run: bool,
    abandon: bool,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    remains: *mut *mut dstore_remains,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |root: &Path,
         options: Option<Arc<dstore_options>>,
         limits @ (timeout_ms, cancel): Limits,
         remains: Owned<dstore_remains>| {
            let mut how = Destroy::new();
            how.dry_run(dry_run).abandon(abandon);
            let found = Store::destroy(root, &chosen(options)?, &how, &limits)?;
            remains.set(dstore_remains::new(found));
            Ok(())
        }
    )
}

/// What roots have on an engine, by the identities that the objects carry; that of `identity` alone, if it
/// is not NULL. Nothing is removed. Whether a root is still there, the engine does not know: where it was
/// is told, and people know the rest. `timeout_ms` 0 is none. Free what it gives with
/// dstore_remains_free().
///
/// Blocks. May be NULL: options, identity, cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_find_remains(
    options: *const dstore_options,
    identity: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    remains: *mut *mut dstore_remains,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |options: Option<Arc<dstore_options>>,
         identity: Option<&str>,
         limits @ (timeout_ms, cancel): Limits,
         remains: Owned<dstore_remains>| {
            let found = Store::remains(&chosen(options)?, identity, &limits)?;
            remains.set(dstore_remains::new(found));
            Ok(())
        }
    )
}

/// Removes from an engine what is left there of a root whose directory is gone, by its identity: look with
/// dstore_find_remains() first. DSTORE_BUSY while a container of it runs; DSTORE_CONFLICT where the root is on
/// this machine, where it was. A root that is elsewhere loses its results and caches. `timeout_ms` 0 is
/// none. Free what it gives with dstore_remains_free().
///
/// Blocks. May be NULL: options, cancel.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_destroy_remains(
    options: *const dstore_options,
    identity: *const c_char,
    timeout_ms: u64,
    cancel: *const dstore_cancel,
    remains: *mut *mut dstore_remains,
    error: *mut *mut dstore_error,
) -> dstore_status {
    fallible!(
        error,
        |options: Option<Arc<dstore_options>>,
         identity: &str,
         limits @ (timeout_ms, cancel): Limits,
         remains: Owned<dstore_remains>| {
            let found = Store::destroy_remains(&chosen(options)?, identity, &limits)?;
            remains.set(dstore_remains::new(found));
            Ok(())
        }
    )
}

/// How many things are in the list; 0 for NULL.
///
/// Does not block. May be NULL: remains.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_remains_count(remains: *const dstore_remains) -> usize {
    infallible!(0, |remains: &dstore_remains| remains.0.len())
}

/// What the thing at `index` is, from 0 on: a dstore_remnant; 0 beyond the end.
///
/// Does not block. May be NULL: remains.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_remains_kind(remains: *const dstore_remains, index: usize) -> i32 {
    infallible!(0, |remains: &dstore_remains| {
        remains.0.get(index).map_or(0, |row| row.kind)
    })
}

fn text(remains: &dstore_remains, index: usize, of: fn(&Row) -> Option<&CString>) -> *const c_char {
    let row = remains.0.get(index);
    row.and_then(of).map_or(ptr::null(), |text| text.as_ptr())
}

/// The name of the thing at `index` on its engine, or its path. Borrowed from `remains`; NULL beyond the
/// end.
///
/// Does not block. May be NULL: remains.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_remains_name(
    remains: *const dstore_remains,
    index: usize,
) -> *const c_char {
    infallible!(ptr::null(), |remains: &dstore_remains| {
        text(remains, index, |row| Some(&row.name))
    })
}

/// The identity of the root that the thing at `index` is of. Borrowed from `remains`; NULL beyond the end.
///
/// Does not block. May be NULL: remains.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_remains_identity(
    remains: *const dstore_remains,
    index: usize,
) -> *const c_char {
    infallible!(ptr::null(), |remains: &dstore_remains| {
        text(remains, index, |row| Some(&row.identity))
    })
}

/// Where that root was when it claimed its names. Borrowed from `remains`; NULL where that is not known,
/// and beyond the end.
///
/// Does not block. May be NULL: remains.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_remains_root(
    remains: *const dstore_remains,
    index: usize,
) -> *const c_char {
    infallible!(ptr::null(), |remains: &dstore_remains| {
        text(remains, index, |row| row.root.as_ref())
    })
}

/// The address of the engine that has the thing at `index`; "" for a file. Borrowed from `remains`; NULL
/// beyond the end.
///
/// Does not block. May be NULL: remains.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_remains_engine(
    remains: *const dstore_remains,
    index: usize,
) -> *const c_char {
    infallible!(ptr::null(), |remains: &dstore_remains| {
        text(remains, index, |row| Some(&row.engine))
    })
}

/// Whether the thing at `index` was removed; false beyond the end.
///
/// Does not block. May be NULL: remains.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_remains_removed(
    remains: *const dstore_remains,
    index: usize,
) -> bool {
    infallible!(false, |remains: &dstore_remains| {
        remains.0.get(index).is_some_and(|row| row.removed)
    })
}

/// Why the thing at `index` is there still that was to go. Borrowed from `remains`; NULL where it is not,
/// and beyond the end.
///
/// Does not block. May be NULL: remains.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_remains_kept(
    remains: *const dstore_remains,
    index: usize,
) -> *const c_char {
    infallible!(ptr::null(), |remains: &dstore_remains| {
        text(remains, index, |row| row.kept.as_ref())
    })
}

/// Frees a list. NULL is fine.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_remains_free(remains: *mut dstore_remains) {
    infallible!((), |remains: GivenBack<dstore_remains>| drop(remains))
}
