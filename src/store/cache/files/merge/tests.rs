//! Arbitrary layers, including ones that no kernel would write, compared with a model of what a mount of them shows.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use proptest::prelude::*;
use rustix::fs::setxattr;

use super::*;
use crate::store::cache::facts::{EXTRAS, marks};

/// What a layer has under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    File(u8),
    Whiteout,
    Folder(Folder),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Folder {
    opaque: bool,
    entries: BTreeMap<String, Node>,
}

/// What a mount shows: a file, or the contents of a directory.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    File(u8),
    Folder(BTreeMap<String, Seen>),
}

/// Returns what a mount of these layers shows, topmost first.
fn mounted(layers: &[&Folder]) -> BTreeMap<String, Seen> {
    let names = layers.iter().flat_map(|layer| layer.entries.keys());
    let seen = names.filter_map(|name| Some((name.clone(), found(layers, name)?)));
    seen.collect()
}

fn found(layers: &[&Folder], name: &str) -> Option<Seen> {
    let mut folders: Vec<&Folder> = Vec::new();
    for node in layers.iter().filter_map(|layer| layer.entries.get(name)) {
        match node {
            Node::File(content) if folders.is_empty() => return Some(Seen::File(*content)),
            Node::Folder(folder) => {
                folders.push(folder);
                if folder.opaque {
                    break;
                }
            }
            Node::File(_) | Node::Whiteout => break,
        }
    }
    (!folders.is_empty()).then(|| Seen::Folder(mounted(&folders)))
}

/// Checks that a merged layer hides only what `below` shows, as the kernel would have written it.
fn hides_no_more_than_it_must(merged: &Folder, below: &[&Folder]) {
    for (name, node) in &merged.entries {
        let shown = found(below, name);
        match node {
            Node::Whiteout => assert!(shown.is_some(), "a whiteout of nothing: {name}"),
            Node::File(_) => {}
            Node::Folder(folder) => {
                assert!(
                    !folder.opaque || shown.is_some(),
                    "opaque over nothing: {name}"
                );
                let mut through = Vec::new();
                for layer in below.iter().filter(|_| !folder.opaque) {
                    match layer.entries.get(name) {
                        None => {}
                        Some(Node::Folder(lower)) => {
                            through.push(lower);
                            if lower.opaque {
                                break;
                            }
                        }
                        Some(_) => break,
                    }
                }
                hides_no_more_than_it_must(folder, &through);
            }
        }
    }
}

fn folder() -> impl Strategy<Value = Folder> {
    let leaf = prop_oneof![
        3 => any::<u8>().prop_map(Node::File),
        2 => Just(Node::Whiteout),
        1 => Just(Node::Folder(Folder::default())),
    ];
    let node = leaf.prop_recursive(3, 20, 4, |inner| {
        let entries = prop::collection::btree_map("[a-d]", inner, 0..4);
        (any::<bool>(), entries)
            .prop_map(|(opaque, entries)| Node::Folder(Folder { opaque, entries }))
    });
    // What the root of a layer says of those below it is not used.
    prop::collection::btree_map("[a-d]", node, 0..4).prop_map(|entries| Folder {
        opaque: false,
        entries,
    })
}

fn write(at: &Path, folder: &Folder, marks: &Marks) {
    fs::create_dir(at).expect("a folder");
    if folder.opaque {
        setxattr(at, &*marks.opaque, b"y", XattrFlags::empty()).expect("marked");
    }
    for (name, node) in &folder.entries {
        let path = at.join(name);
        match node {
            Node::File(content) => fs::write(&path, [*content]).expect("written"),
            Node::Folder(inner) => write(&path, inner, marks),
            Node::Whiteout => {
                fs::write(&path, b"").expect("written");
                setxattr(&path, &*marks.whiteout, b"y", XattrFlags::empty()).expect("marked");
            }
        }
    }
}

fn read(at: &Path, marks: &Marks) -> Folder {
    let mark =
        |path: &Path, name: &CStr| rustix::fs::lgetxattr(path, name, &mut [0; 8][..]).is_ok();
    let entries = fs::read_dir(at).expect("a folder").map(|entry| {
        let entry = entry.expect("an entry");
        let path = entry.path();
        let node = match entry.file_type().expect("its kind") {
            kind if kind.is_dir() => Node::Folder(read(&path, marks)),
            kind if !kind.is_file() || mark(&path, &marks.whiteout) => Node::Whiteout,
            _ => Node::File(fs::read(&path).expect("its content")[0]),
        };
        (entry.file_name().into_string().expect("a name"), node)
    });
    Folder {
        entries: entries.collect(),
        opaque: mark(at, &marks.opaque),
    }
}

/// Checks that writing to them changes nothing else.
fn are_files_of_their_own(at: &Path) {
    for entry in fs::read_dir(at).expect("a folder") {
        let entry = entry.expect("an entry");
        match entry.file_type().expect("its kind").is_dir() {
            true => are_files_of_their_own(&entry.path()),
            false => assert_eq!(entry.metadata().expect("a look").nlink(), 1),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn merged_layers_show_what_the_layers_did_and_hide_no_more(
        layers in prop::collection::vec(folder(), 1..5),
        from in any::<prop::sample::Index>(),
        length in any::<prop::sample::Index>(),
    ) {
        let marks = marks(EXTRAS[2]);
        let place = std::env::temp_dir().join(format!("docker-store-any-layers-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir(&place).expect("a folder");
        let tried = setxattr(&place, &*marks.opaque, b"y", XattrFlags::empty());
        if tried.is_err() {
            eprintln!("not tried: no attributes can be set here");
            return Ok(());
        }
        let paths: Vec<PathBuf> = (0..layers.len()).map(|n| place.join(n.to_string())).collect();
        for (path, layer) in paths.iter().zip(&layers) {
            write(path, layer, &marks);
        }
        let from = from.index(layers.len());
        let to = from + 1 + length.index(layers.len() - from);
        let merged = place.join("merged");
        fs::create_dir(&merged).expect("a folder");
        let done = merge(&paths[from..to], &paths[to..], &merged, &marks, Wait::unbounded());
        done.expect("merged");
        let merged = read(&merged, &marks);
        let copied = place.join("copied");
        fs::create_dir(&copied).expect("a folder");
        // Only root can change the owner.
        let look = copied.metadata().expect("a look");
        let owner = (look.uid(), if look.uid() == 0 { 7 } else { look.gid() });
        super::copy(&paths, &copied, owner, &marks, Wait::unbounded()).expect("copied");
        prop_assert_eq!(copied.metadata().expect("a look").gid(), owner.1);
        are_files_of_their_own(&copied);
        let copied = read(&copied, &marks);
        fs::remove_dir_all(&place).expect("removed");

        let all: Vec<&Folder> = layers.iter().collect();
        let (above, below) = (&all[..from], &all[to..]);
        let with: Vec<&Folder> = above.iter().copied().chain([&merged]).chain(below.iter().copied()).collect();
        prop_assert_eq!(mounted(&with), mounted(&all));
        prop_assert_eq!(mounted(&[&copied]), mounted(&all));
        hides_no_more_than_it_must(&copied, &[]);
        hides_no_more_than_it_must(&merged, below);
    }
}
