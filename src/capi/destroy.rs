//! Destroying a root, and finding what is left of one.

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

/// A list of objects of roots that exist, or that were removed. It is immutable, so any number of
/// threads may read it.
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

/// The kind of an object in a dstore_remains list.
#[repr(i32)]
#[derive(Clone, Copy, Debug)]
pub enum dstore_remnant {
    /// A container of a step or a copy.
    DSTORE_REMNANT_CONTAINER = 1,
    /// A tag of an image, or an untagged image.
    DSTORE_REMNANT_IMAGE = 2,
    /// A volume of a cache, a lease or a secret, or the volume that claims the root's names.
    DSTORE_REMNANT_VOLUME = 3,
    /// A file or directory of the root.
    DSTORE_REMNANT_FILE = 4,
    /// Everything on an engine that cannot be reached.
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

/// Destroys the root at `root` (any bytes): removes everything of it from every engine that it was
/// used with, and from the disk. That is its results, caches, logs, leftovers of steps, the
/// caller's own files in its state directory, and the directory itself. Tags added by
/// dstore_store_tag() are kept. If `dry_run` is true, nothing is removed. `*remains` lists the
/// root's objects and, for each that could not be removed, the reason. In that case the root is
/// kept as well, and the next call continues, as it does after a call that was interrupted or
/// killed.
///
/// Returns DSTORE_BUSY while a store is open there, in any process; DSTORE_NOT_FOUND if nothing
/// exists there; DSTORE_INVALID_ARGUMENT if it is not a store's root. Returns DSTORE_UNREACHABLE,
/// and removes nothing, if an engine that the root was used with cannot be reached. If `abandon` is
/// true, the root is destroyed anyway; what is on that engine can be found later by the root's
/// identity. `options` gives the address of an engine whose address has changed. `timeout_ms` 0
/// means no timeout. Free the list with dstore_remains_free().
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

/// Lists the objects that roots have on an engine, by the identities that the objects carry. If
/// `identity` is not NULL, lists only the objects of that root. Removes nothing. The engine does
/// not know whether a root still exists; the list says where the root was, and a person must
/// decide. `timeout_ms` 0 means no timeout. Free the list with dstore_remains_free().
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

/// Removes from an engine what is left of the root with this identity, whose directory no longer
/// exists. Call dstore_find_remains() first. Returns DSTORE_BUSY while one of its containers is
/// running, and DSTORE_CONFLICT if the root still exists at its path on the local machine. A root
/// that exists elsewhere loses its results and caches. `timeout_ms` 0 means no timeout. Free the
/// list with dstore_remains_free().
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

/// Returns the number of objects in the list, or 0 if `remains` is NULL.
///
/// Does not block. May be NULL: remains.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_remains_count(remains: *const dstore_remains) -> usize {
    infallible!(0, |remains: &dstore_remains| remains.0.len())
}

/// Returns the kind of the object at `index`, counted from 0: a dstore_remnant, or 0 beyond the
/// end.
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

/// Returns the name of the object at `index` on its engine, or its path. Borrowed from `remains`.
/// Returns NULL if `index` is beyond the end.
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

/// Returns the identity of the root that the object at `index` belongs to. Borrowed from `remains`.
/// Returns NULL if `index` is beyond the end.
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

/// Returns the path at which that root claimed its names. Borrowed from `remains`. Returns NULL if
/// it is unknown, and beyond the end.
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

/// Returns the address of the engine that has the object at `index`, or "" for a file. Borrowed
/// from `remains`. Returns NULL if `index` is beyond the end.
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

/// Returns whether the object at `index` was removed, or false beyond the end.
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

/// Returns why the object at `index` could not be removed. Borrowed from `remains`. Returns NULL if
/// there was no such failure, and beyond the end.
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

/// Frees a list; no-op if NULL.
///
/// Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dstore_remains_free(remains: *mut dstore_remains) {
    infallible!((), |remains: GivenBack<dstore_remains>| drop(remains))
}
