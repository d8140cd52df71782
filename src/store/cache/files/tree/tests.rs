use proptest::prelude::*;

use tar::EntryType;

use super::*;
use crate::store::cache::files::tar::folder;
use crate::store::tar_entry::EXTENDED_MAX;

const SHIFT: Owners = Owners {
    users: 100_000,
    groups: 200_000,
};

const LOOK: RootLook = RootLook {
    mode: 0o2750,
    mtime: (1_000_000_007, 0),
};

/// The contents of an entry: name, link, owner, mode, time, content.
type Entry = (String, String, (u64, u64), u32, u64, Vec<u8>);

fn entries(stream: impl Read) -> Vec<Entry> {
    let mut archive = tar::Archive::new(stream);
    let entries = archive.entries().expect("a tar");
    entries
        .map(|entry| {
            let mut entry = entry.expect("an entry");
            let pax = |key: &str, entry: &mut tar::Entry<'_, _>| -> Option<u64> {
                let all = entry.pax_extensions().expect("records")?;
                let found = all.flatten().find(|record| record.key() == Ok(key));
                found.and_then(|record| record.value().ok()?.parse().ok())
            };
            let (uid, gid) = (pax("uid", &mut entry), pax("gid", &mut entry));
            let uid = uid.unwrap_or_else(|| entry.header().uid().expect("a user"));
            let gid = gid.unwrap_or_else(|| entry.header().gid().expect("a group"));
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let link = entry.link_name_bytes().unwrap_or_default();
            let link = String::from_utf8_lossy(&link).into_owned();
            let mode = entry.header().mode().expect("a mode");
            let time = entry.header().mtime().expect("a time");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("its content");
            (name, link, (uid, gid), mode, time, content)
        })
        .collect()
}

/// How an engine names a tree: `root` is its name for the root, and `below` precedes each name in it.
struct Dialect {
    root: &'static str,
    below: &'static str,
    /// Long numbers and names in the form of GNU tar.
    gnu: bool,
}

const DIALECTS: [Dialect; 5] = [
    // Docker; Docker if the path ends in a dot; Podman; Podman in a directory; an invented form.
    dialect("c/", "c/", false),
    dialect("./", "./", false),
    dialect("/", "/", false),
    dialect("c", "c/", false),
    dialect("/a/b/", "a/b/", true),
];

const fn dialect(root: &'static str, below: &'static str, gnu: bool) -> Dialect {
    Dialect { root, below, gnu }
}

impl Dialect {
    fn stream(&self, owners: &[(u64, u64)]) -> Vec<u8> {
        let mut stream = Vec::new();
        let mut add = |name: &str, link: Option<&str>, kind, owner: (u64, u64), content: &[u8]| {
            let mut header = match self.gnu {
                true => Header::new_gnu(),
                false => Header::new_ustar(),
            };
            header.set_entry_type(kind);
            header.set_mode(0o640);
            header.set_mtime(1_000_000_000);
            header.set_size(content.len() as u64);
            header.set_username("named").expect("short");
            let mut records = Vec::new();
            let mut field = |at: usize, key: &[u8], letter: u8, value: &[u8]| {
                set_field(&mut header.as_mut_bytes()[at..at + NAME_MAX], value);
                if value.len() <= NAME_MAX {
                    return;
                }
                if !self.gnu {
                    return pax::add(&mut records, key, value);
                }
                let mut long = Header::new_gnu();
                long.set_entry_type(EntryType::new(letter));
                long.set_size(value.len() as u64 + 1);
                long.set_cksum();
                stream.extend(long.as_bytes());
                stream.extend(value);
                stream.resize((stream.len() + 1).next_multiple_of(BLOCK), 0);
            };
            field(0, b"path", b'L', name.as_bytes());
            if let Some(link) = link {
                field(157, b"linkpath", b'K', link.as_bytes());
            }
            if owner.0 > 0o7_777_777 && !self.gnu {
                pax::add(&mut records, b"uid", owner.0.to_string().as_bytes());
                pax::add(&mut records, b"uname", b"named");
            }
            header.set_uid(owner.0);
            header.set_gid(owner.1);
            header.set_cksum();
            if !records.is_empty() {
                stream.extend(pax::header(&records));
            }
            stream.extend(header.as_bytes());
            stream.extend(content);
            stream.resize(stream.len().next_multiple_of(BLOCK), 0);
        };
        let own = |n: usize| owners[n % owners.len()];
        add(self.root, None, EntryType::Directory, own(0), b"");
        let mut first = None;
        for n in 0..12 {
            let name = format!("{}f{}/{n}", self.below, "long".repeat(n * 10));
            let content = vec![b'x'; n * 300];
            add(&name, None, EntryType::Regular, own(n), &content);
            first.get_or_insert(name);
        }
        let hard = format!("{}hard", self.below);
        add(&hard, first.as_deref(), EntryType::Link, own(1), b"");
        let long = format!("{}f{}/11", self.below, "long".repeat(110));
        let other = format!("{}other", self.below);
        add(&other, Some(&long), EntryType::Link, own(1), b"");
        let symbolic = format!("{}symbolic", self.below);
        add(&symbolic, Some("/c/../x"), EntryType::Symlink, own(2), b"");
        stream.resize(stream.len() + END, 0);
        stream
    }
}

fn read(tree: &mut Tree<&[u8]>, piece: usize) -> io::Result<Vec<u8>> {
    let mut got = Vec::new();
    let mut buffer = vec![0; piece];
    loop {
        match tree.read(&mut buffer)? {
            0 => return Ok(got),
            n => got.extend(&buffer[..n]),
        }
    }
}

#[test]
fn names_are_below_the_root_whatever_an_engine_calls_it() {
    let owners = [(5, 6), (10_000_000, 7)];
    let mut seen = Vec::new();
    for dialect in &DIALECTS {
        for piece in [1, 7, 512, 100_000] {
            let stream = dialect.stream(&owners);
            let mut tree = Tree::new(stream.as_slice(), Owners::default(), None);
            let got = read(&mut tree, piece).expect("read");
            let root = dialect.root;
            assert!(!got.windows(5).any(|word| word == b"named"), "{root}");
            let entries = entries(got.as_slice());
            assert_eq!(entries[0].0, "./", "{root}");
            let names = entries
                .iter()
                .skip(1)
                .flat_map(|entry| [&entry.0, &entry.1]);
            for name in names.filter(|name| !name.is_empty() && *name != "/c/../x") {
                let first = name.split('/').next().unwrap_or_default();
                assert!(
                    first.starts_with('f') || ["hard", "other", "symbolic"].contains(&first),
                    "{root}: {name}"
                );
            }
            let links: Vec<&str> = entries.iter().map(|entry| entry.1.as_str()).collect();
            assert!(
                links.contains(&"f/0") && links.contains(&"/c/../x"),
                "{root}"
            );
            let finished = tree.finish().expect("whole");
            assert_eq!(finished.entries, 16);
            seen.push((entries, finished.digest));
        }
    }
    assert!(seen.windows(2).all(|two| two[0] == two[1]));
}

#[test]
fn owners_become_those_of_containers_and_all_else_stays() {
    let taken: Vec<(u64, u64)> = (0..12).map(|n| (n * 5_000, n * 3_000)).collect();
    let given: Vec<_> = taken
        .iter()
        .map(|(uid, gid)| (uid + 100_000, gid + 200_000))
        .collect();
    for dialect in &DIALECTS {
        let (want, stream) = (dialect.stream(&taken), dialect.stream(&given));
        let mut want = Tree::new(want.as_slice(), Owners::default(), Some((3, 4)));
        let mut got = Tree::new(stream.as_slice(), SHIFT, Some((3, 4)));
        let read_all = |tree: &mut Tree<&[u8]>| entries(read(tree, 100).expect("read").as_slice());
        let (want_entries, got_entries) = (read_all(&mut want), read_all(&mut got));
        assert_eq!(want_entries, got_entries);
        assert_eq!(got_entries[0].2, (3, 4));
        let root = Root {
            owner: (3, 4),
            look: RootLook {
                mode: 0o640,
                mtime: (1_000_000_000, 0),
            },
        };
        let (want, got) = (want.finish(), got.finish());
        let (want, got) = (want.expect("whole"), got.expect("whole"));
        assert_eq!((want.digest, want.root), (got.digest, root));
    }
    // The host's root is a user that the container does not know.
    let stream = DIALECTS[0].stream(&[(0, 0)]);
    let mut tree = Tree::new(stream.as_slice(), SHIFT, None);
    assert_eq!(tree.root().expect("a root").owner, (65_534, 65_534));
}

#[test]
fn what_is_otherwise_in_one_entry_is_another_tree() {
    let digest = |stream: &[u8]| {
        let mut tree = Tree::new(stream, Owners::default(), None);
        tree.finish().map(|seen| seen.digest).ok()
    };
    let stream = DIALECTS[0].stream(&[(5, 6)]);
    let whole = digest(&stream);
    assert!(whole.is_some());
    let change = |at: usize, change: &dyn Fn(&mut Header)| {
        let mut changed = stream.clone();
        let mut header = Header::new_old();
        header
            .as_mut_bytes()
            .copy_from_slice(&changed[at..at + BLOCK]);
        change(&mut header);
        header.set_cksum();
        changed[at..at + BLOCK].copy_from_slice(header.as_bytes());
        digest(&changed)
    };
    // The root, and the first file in it.
    for at in [0, BLOCK] {
        let changes: [&dyn Fn(&mut Header); 5] = [
            &|h| h.set_uid(7),
            &|h| h.set_gid(7),
            &|h| h.set_mode(0o600),
            &|h| h.set_mtime(1),
            &|h| h.as_mut_bytes()[3] = b'z',
        ];
        for (n, with) in changes.iter().enumerate() {
            if (at, n) != (0, 4) {
                assert_ne!(change(at, *with), whole, "{n} at {at}");
            }
        }
        // The host's user names are not part of a tree.
        assert_eq!(change(at, &|h| h.set_username("x").expect("short")), whole);
    }
    // Contents: the last byte of the second file.
    let at = 3 * BLOCK + 10;
    let mut changed = stream.clone();
    assert_eq!(changed[at], b'x');
    changed[at] = b'y';
    assert_ne!(digest(&changed), whole);
    assert!(digest(&changed).is_some());
}

#[test]
fn a_time_that_an_engine_cannot_keep_is_the_one_that_it_keeps_instead() {
    // A directory below the root, whose time is in the header (5), or in a record before it.
    let digest = |record: Option<&str>| {
        let mut stream = folder("c/", (0, 0), LOOK).to_vec();
        if let Some(time) = record {
            let mut records = Vec::new();
            pax::add(&mut records, b"mtime", time.as_bytes());
            stream.extend(pax::header(&records));
        }
        let mtime = if record == Some("0") { (0, 0) } else { (5, 0) };
        stream.extend(folder("c/d/", (0, 0), RootLook { mtime, ..LOOK }));
        stream.resize(stream.len() + END, 0);
        let seen = Tree::new(&stream[..], Owners::default(), None).finish();
        seen.map(|seen| seen.digest).ok()
    };
    let first = digest(Some("0"));
    assert!(first.is_some());
    for time in [
        "-1",
        "-0.5",
        "-1000000000.25",
        "9223372037",
        "9223372036854775807",
    ] {
        assert_eq!(digest(Some(time)), first, "{time}");
    }
    assert_eq!(digest(Some("5.999")), digest(None));
    assert_ne!(digest(Some("9223372036")), first);
    assert_ne!(digest(None), first);
    for time in ["", "x", "92233720368547758070"] {
        assert_eq!(digest(Some(time)), None, "{time:?}");
    }
}

#[test]
fn a_stream_that_is_cut_off_or_leaves_its_root_is_refused() {
    let stream = DIALECTS[0].stream(&[(1, 1)]);
    let finish = |stream: &[u8]| Tree::new(stream, Owners::default(), None).finish();
    assert!(finish(&stream).is_ok());
    for end in (0..stream.len() - BLOCK).step_by(37) {
        assert!(finish(&stream[..end]).is_err(), "{end}");
    }
    let of = |names: &[&str]| {
        let mut stream = Vec::new();
        for name in names {
            stream.extend(folder(name, (0, 0), LOOK));
        }
        stream.resize(stream.len() + END, 0);
        stream
    };
    assert!(finish(&of(&["c/", "c/a/"])).is_ok());
    for outside in [
        &["c/", "d/"][..],
        &["c/", "c/../d/"],
        &["c/", "c/"],
        &["/", "../a/"],
    ] {
        assert!(finish(&of(outside)).is_err(), "{outside:?}");
    }
    let mut file = of(&["c/"]);
    file[156] = b'0';
    assert!(finish(&file).is_err());
}

#[test]
fn an_empty_tree_is_told_from_one_with_something_in_it() {
    let empty = [&folder("c/", (1, 2), LOOK)[..], &[0; END]].concat();
    let mut tree = Tree::new(empty.as_slice(), Owners::default(), None);
    let root = Root {
        owner: (1, 2),
        look: LOOK,
    };
    assert_eq!(tree.root().expect("a root"), root);
    assert!(tree.is_empty().expect("whole"));
    let stream = DIALECTS[2].stream(&[(1, 1)]);
    let mut tree = Tree::new(stream.as_slice(), Owners::default(), None);
    assert!(!tree.is_empty().expect("whole"));
}

#[test]
fn a_stream_that_is_mostly_holes_is_not_read_to_its_end() {
    let stream = |zeros: usize| {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..3].copy_from_slice(b"c/f");
        header.set_entry_type(EntryType::Regular);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(0);
        header.set_mtime(0);
        header.set_size(2 * zeros as u64);
        header.set_cksum();
        let mut stream = folder("c/", (0, 0), LOOK).to_vec();
        stream.extend(header.as_bytes());
        stream.resize(stream.len() + zeros, 0);
        stream.extend(vec![b'x'; zeros]);
        stream.resize(stream.len() + END, 0);
        stream
    };
    let whole = |zeros| {
        let stream = stream(zeros);
        let mut tree = Tree::new(stream.as_slice(), Owners::default(), None);
        tree.most = 64 << 10;
        let ended = tree.finish();
        (ended.is_ok(), tree.is_too_hollow())
    };
    assert_eq!(whole(60 << 10), (true, false));
    assert_eq!(whole(128 << 10), (false, true));
}

/// An extended header that declares a given number of bytes, and a directory after it.
fn extended(size: u64, text: &[u8], kind: u8) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::new(kind));
    header.set_size(size);
    header.set_cksum();
    let mut wire = header.as_bytes().to_vec();
    wire.extend_from_slice(text);
    wire.resize(wire.len().next_multiple_of(BLOCK), 0);
    wire.extend(folder("c/", (1, 2), LOOK));
    wire
}

#[test]
fn an_extended_header_of_any_size_is_read_or_refused() {
    let root = |wire: &[u8]| Tree::new(wire, Owners::default(), None).root();
    let text = b"14 uid=123456\n";
    let wire = extended(text.len() as u64, text, b'x');
    assert_eq!(root(&wire).expect("a root").owner, (123_456, 2));
    let huge = [EXTENDED_MAX + 1, 1 << 33, u64::MAX - 600, u64::MAX];
    for size in huge {
        assert!(root(&extended(size, text, b'x')).is_err(), "{size}");
    }
}

proptest! {
    #[test]
    fn any_stream_is_passed_on_or_refused(
        size in prop_oneof![0..2000u64, any::<u64>()],
        kind in prop::sample::select(b"xgLK05".to_vec()),
        text in prop::collection::vec(prop_oneof![Just(b' '), Just(b'='), Just(b'\n'), b'0'..=b'9', any::<u8>()], 0..1200),
        at in 0..600usize,
        byte: u8,
    ) {
        let mut wire = extended(size, &text, kind);
        let at = at % wire.len();
        wire[at] = byte;
        for owners in [SHIFT, Owners::default()] {
            let _ = Tree::new(&wire[..], owners, Some((1, 1))).finish();
            let _ = Tree::new(&wire[..], owners, None).is_empty();
        }
    }
}
