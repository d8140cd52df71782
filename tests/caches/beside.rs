//! A cache, and a plain directory that sees the same changes: the cache must list what the directory lists.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use docker_store::{CacheRequest, Lease, Released, Store, Strategy};
use rustix::fs::{llistxattr, lremovexattr};

use super::changes::{Pair, set_time};
use super::children::place_to_write;
use super::ground::{Root, View, Way, settle};
use super::snapshot;

/// A cache and the plain directory.
pub struct Beside<'a> {
    store: &'a Store,
    plain: Plain,
    way: Way,
    layers: usize,
    pub compactions: usize,
}

/// Removed when it is dropped.
struct Plain(PathBuf);

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl<'a> Beside<'a> {
    pub fn new(store: &'a Store, root: &Root, way: Way) -> Self {
        let plain = Plain(root.path.with_extension("plain"));
        fs::create_dir(&plain.0).expect("made");
        set_time(&plain.0, (1, 0));
        Beside {
            store,
            plain,
            way,
            layers: 0,
            compactions: 0,
        }
    }

    /// One generation: a lease is examined, `before` is called with it while it is not mounted by the test, then `change`
    /// changes both trees, and it is released.
    pub fn generation(
        &mut self,
        round: usize,
        before: impl FnOnce(&Lease),
        change: impl FnOnce(&Pair),
    ) {
        let lease = self.look(round);
        before(&lease);
        {
            let view = View::of(&lease);
            if round == 0 {
                set_time(&view.path, (1, 0));
            }
            let upper = (self.way.strategy == Strategy::Overlay).then(|| place_to_write(&lease));
            let pair = Pair::new(&view.path, &self.plain.0, upper);
            change(&pair);
            pair.settle(round as i64);
        }
        let released = lease.release().expect("released");
        assert!(
            matches!(released, Released::Won(_) | Released::Unchanged),
            "{released:?}"
        );
        settle(self.store);
        let now = self.store.caches().expect("a listing")[0].layers;
        if now <= self.layers
            && matches!(released, Released::Won(_))
            && self.way.strategy == Strategy::Overlay
        {
            self.compactions += 1;
            if !self.way.direct {
                through_archive(&self.plain.0, true);
            }
        }
        self.layers = now;
    }

    /// A lease of the newest generation, which lists what the plain directory lists.
    pub fn look(&self, round: usize) -> Lease {
        let mut request = CacheRequest::new();
        let lease = self.store.cache("a", request.owner(0, 0)).expect("a lease");
        if round > 0 {
            // What is lost on the way to a lease: with overlays, only the root is recreated.
            if !self.way.direct {
                through_archive(&self.plain.0, self.way.strategy == Strategy::Copy);
            }
            let what = format!("{:?}, after {round} generations", self.way);
            let view = View::of(&lease);
            snapshot::assert_same(
                &snapshot::of(&self.plain.0),
                &snapshot::of(&view.path),
                &what,
            );
        }
        lease
    }
}

/// Does to a tree, or only to its root, what an engine's archive does, and nothing else: it contains no sockets, no fractions
/// of seconds, no times before 1970, and no attributes other than capabilities (so no ACLs). It fills holes, which do not show
/// here.
fn through_archive(path: &Path, deep: bool) {
    if deep {
        for entry in fs::read_dir(path).expect("a directory") {
            let path = entry.expect("an entry").path();
            let stat = fs::symlink_metadata(&path).expect("there");
            if stat.file_type().is_socket() {
                let above = fs::metadata(path.parent().expect("a parent")).expect("there");
                fs::remove_file(&path).expect("removed");
                set_time(
                    path.parent().expect("a parent"),
                    (above.mtime(), above.mtime_nsec()),
                );
            } else if stat.is_dir() {
                through_archive(&path, true);
            } else {
                strip(&path);
            }
        }
    }
    strip(path);
}

fn strip(path: &Path) {
    let mut list = vec![0; 64 << 10];
    let n = llistxattr(path, &mut list[..]).unwrap_or(0);
    for name in list[..n]
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty() && *name != b"security.capability")
    {
        lremovexattr(path, std::ffi::OsStr::from_bytes(name)).expect("removed");
    }
    let stat = fs::symlink_metadata(path).expect("there");
    set_time(path, (stat.mtime().max(0), 0));
}
