//! Everything that is visible in a tree: kinds, owners, modes, times, contents, links, attributes.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{lgetxattr, llistxattr};

/// A tree, by path.
pub type Tree = BTreeMap<PathBuf, Item>;

/// One file of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub kind: &'static str,
    pub owner: (u32, u32),
    pub mode: u32,
    pub mtime: (i64, i64),
    pub device: u64,
    pub content: Vec<u8>,
    pub target: Option<OsString>,
    /// The first path, in order, of the same file.
    pub first: PathBuf,
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

pub fn of(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut paths = Vec::new();
    collect(root, root, &mut paths);
    paths.sort();
    let mut firsts: HashMap<(u64, u64), PathBuf> = HashMap::new();
    for path in paths {
        let full = root.join(&path);
        let stat = fs::symlink_metadata(&full).expect("there");
        let kind = stat.file_type();
        let first = match kind.is_dir() {
            true => path.clone(),
            false => firsts
                .entry((stat.dev(), stat.ino()))
                .or_insert_with(|| path.clone())
                .clone(),
        };
        let item = Item {
            kind: match () {
                () if kind.is_dir() => "directory",
                () if kind.is_file() => "file",
                () if kind.is_symlink() => "link",
                () if kind.is_fifo() => "fifo",
                () if kind.is_socket() => "socket",
                () if kind.is_char_device() => "character device",
                () => "block device",
            },
            owner: (stat.uid(), stat.gid()),
            mode: stat.mode() & 0o7777,
            mtime: (stat.mtime(), stat.mtime_nsec()),
            device: stat.rdev(),
            content: if kind.is_file() {
                fs::read(&full).expect("read")
            } else {
                Vec::new()
            },
            target: kind
                .is_symlink()
                .then(|| fs::read_link(&full).expect("a link").into_os_string()),
            first,
            attributes: attributes(&full),
        };
        tree.insert(path, item);
    }
    tree
}

fn collect(root: &Path, folder: &Path, paths: &mut Vec<PathBuf>) {
    paths.push(folder.strip_prefix(root).expect("below").to_owned());
    for entry in fs::read_dir(folder).expect("a directory") {
        let entry = entry.expect("an entry");
        match entry.file_type().expect("a kind").is_dir() {
            true => collect(root, &entry.path(), paths),
            false => paths.push(entry.path().strip_prefix(root).expect("below").to_owned()),
        }
    }
}

fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut list = vec![0; 64 << 10];
    let n = llistxattr(path, &mut list[..]).unwrap_or(0);
    let names = list[..n].split(|b| *b == 0).filter(|name| !name.is_empty());
    // Visible only from inside of a layer; a mount hides them.
    let names = names.filter(|name| !name.starts_with(b"trusted.overlay."));
    names
        .map(|name| {
            let mut value = vec![0; 64 << 10];
            let text = std::ffi::OsStr::from_bytes(name);
            let n = lgetxattr(path, text, &mut value[..]).expect("a value");
            (name.to_vec(), value[..n].to_vec())
        })
        .collect()
}

/// Fails with the first difference.
pub fn assert_same(before: &Tree, after: &Tree, what: &str) {
    for (path, item) in before {
        let Some(found) = after.get(path) else {
            panic!("{what}: {path:?} is gone")
        };
        let short = |item: &Item| Item {
            content: item.content[..item.content.len().min(40)].to_vec(),
            ..item.clone()
        };
        assert!(
            item == found,
            "{what}: {path:?}\n was {:?}\n is  {:?}",
            short(item),
            short(found)
        );
    }
    for path in after.keys() {
        assert!(
            before.contains_key(path),
            "{what}: {path:?} came from nowhere"
        );
    }
}
