//! Unpacks a tar stream from the engine into a local directory. The stream comes from a container whose contents nobody has
//! checked: no name and no link in it leads out of the directory.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};

use tar::EntryType;

use crate::engine::stopped;
use crate::error::{Error, ErrorKind, Result};
use crate::local::{self as fs, Dress, Tree, dress_file};
use crate::store::host::folder::{HostFolder, Owner};
use crate::store::tar_end::Watched;
use crate::store::tar_entry::{self, Entry, below, padding, parts, skip};
use crate::wait::Wait;

/// The buffer size for writing files.
const PIECE: usize = 256 << 10;

/// A local directory that files are unpacked into.
pub(crate) struct Unpacking<'a> {
    into: &'a HostFolder,
    wait: Wait<'a>,
    tree: Tree,
    is_new: bool,
    /// The parts of the first entry's name, and whether that is a directory: its contents go directly into the local one.
    top: Option<(Vec<Vec<u8>>, bool)>,
    /// What the new directories get when nothing more is put into them.
    folders: Vec<(Vec<u8>, Dress)>,
    bytes: u64,
}

impl<'a> Unpacking<'a> {
    /// Opens the directory, or creates it.
    pub(crate) fn into(into: &'a HostFolder, wait: Wait<'a>) -> Result<Self> {
        let path = &into.path;
        let opening = |e| Error::io(format!("opening the directory {}", path.display()), &e);
        let is_new = match fs::metadata(path) {
            Ok(_) => false,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(path).map_err(opening)?;
                true
            }
            Err(e) => return Err(opening(e)),
        };
        Ok(Unpacking {
            into,
            wait,
            tree: Tree::open(path).map_err(opening)?,
            is_new,
            top: None,
            folders: Vec::new(),
            bytes: 0,
        })
    }

    /// Unpacks everything in `stream`, and returns the number of bytes in the files.
    pub(crate) fn unpack(mut self, stream: &mut dyn Read) -> Result<u64> {
        let mut watched = Watched::new(stream, false);
        let done = self.entries(&mut watched);
        // Why the stream ended says more than what was missing then.
        watched.check().and(done)?;
        // From the inside outwards: each of these is the last change in its directory.
        for (path, dress) in self.folders.iter().rev() {
            let done = match path.is_empty() {
                true => self.tree.dress_root(dress),
                false => self.tree.dress_folder(path, dress),
            };
            done.map_err(|e| self.failed(path, &e))?;
        }
        Ok(self.bytes)
    }

    fn entries(&mut self, stream: &mut impl Read) -> Result<()> {
        let mut stream = BufReader::with_capacity(PIECE, stream);
        while let Some(entry) = tar_entry::next(&mut stream).map_err(|e| reading(&e))? {
            self.check(&[])?;
            let size = entry.size().map_err(|e| reading(&e))?;
            let mut contents = (&mut stream).take(size);
            self.entry(&entry, size, &mut contents)?;
            let left = contents.limit() + padding(size);
            skip(&mut stream, left).map_err(|e| reading(&e))?;
        }
        // What follows the end, so that the connection can be used again.
        io::copy(&mut stream, &mut io::sink()).map_err(|e| reading(&e))?;
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, size: u64, contents: &mut dyn Read) -> Result<()> {
        let kind = entry.header.entry_type();
        let whole = entry.path();
        if self.top.is_none() {
            self.top = Some((parts(&whole), kind.is_dir()));
        }
        let path = self.below_top(&whole)?;
        let dress = self.dress(entry).map_err(|e| reading(&e))?;
        let named = |what: &str, kind| {
            let name = String::from_utf8_lossy(&whole);
            Error::new(kind, format!("unpacking {name:?}: it is {what}"))
        };
        let target = || {
            let link = entry.link();
            link.ok_or_else(|| named("a link to nothing", ErrorKind::Engine))
        };
        let done = match kind {
            EntryType::Regular | EntryType::Continuous => match self.tree.file(&path, dress.mode) {
                Ok(file) => return self.content(&path, file, size, contents, &dress),
                Err(e) => Err(e),
            },
            EntryType::Directory => {
                let new = match path.is_empty() {
                    true => Ok(self.is_new),
                    false => self.tree.folder(&path, dress.mode),
                };
                new.map(|new| match new {
                    true => self.folders.push((path.clone(), dress)),
                    false if path.is_empty() => {}
                    false => self.folders.push((path.clone(), dress.only_time())),
                })
            }
            EntryType::Symlink => self.tree.link(&path, &target()?, &dress),
            EntryType::Link => {
                let target = self.below_top(&target()?)?;
                self.tree.hard_link(&path, &target)
            }
            EntryType::Fifo => self.tree.pipe(&path, &dress),
            EntryType::Char | EntryType::Block => {
                return Err(named(
                    "a device, which is not created here",
                    ErrorKind::Unsupported,
                ));
            }
            _ => return Err(named("of an unknown kind", ErrorKind::Unsupported)),
        };
        done.map_err(|e| self.failed(&path, &e))
    }

    fn content(
        &mut self,
        path: &[u8],
        mut file: File,
        size: u64,
        contents: &mut dyn Read,
        dress: &Dress,
    ) -> Result<()> {
        let mut buffer = vec![0; usize::try_from(size).unwrap_or(PIECE).clamp(1, PIECE)];
        let mut written = 0;
        loop {
            let n = contents.read(&mut buffer).map_err(|e| reading(&e))?;
            if n == 0 {
                break;
            }
            self.check(path)?;
            fs::room(written, n)
                .and_then(|()| file.write_all(&buffer[..n]))
                .map_err(|e| self.failed(path, &e))?;
            written += n as u64;
        }
        self.bytes += written;
        dress_file(&file, dress).map_err(|e| self.failed(path, &e))
    }

    /// Returns the path in the local directory.
    fn below_top(&self, name: &[u8]) -> Result<Vec<u8>> {
        let path = match &self.top {
            Some((top, true)) => below(name, top),
            Some((top, false)) => top.last().filter(|_| parts(name) == *top).cloned(),
            None => None,
        };
        let path = path.filter(|path| path != b".." && !path.contains(&0));
        path.ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            let why = format!("the engine sent {name:?}, which is not in what was asked for");
            Error::new(ErrorKind::Engine, why)
        })
    }

    fn dress(&self, entry: &Entry) -> io::Result<Dress> {
        let (user, group) = entry.owner()?;
        let number = |number: u64| {
            u32::try_from(number).map_err(|_| tar_entry::bad("an owner in it is too large"))
        };
        let owner = match self.into.owner {
            Owner::ThisUser => None,
            Owner::Given(user, group) => Some((user, group)),
            Owner::AsThere => Some((number(user)?, number(group)?)),
        };
        Ok(Dress {
            owner,
            mode: entry.header.mode()? & 0o7777,
            exact: self.into.exact_modes,
            changed: entry.changed()?,
        })
    }

    fn check(&self, path: &[u8]) -> Result<()> {
        self.wait
            .left()
            .map(drop)
            .map_err(|stop| stopped(&self.doing(path), stop))
    }

    fn doing(&self, path: &[u8]) -> String {
        let folder = self.into.path.display();
        match path.is_empty() {
            true => format!("unpacking into {folder}"),
            false => format!("unpacking {folder}/{}", String::from_utf8_lossy(path)),
        }
    }

    fn failed(&self, path: &[u8], e: &io::Error) -> Error {
        Error::io(self.doing(path), e)
    }
}

/// Returns the path to ask for: one that ends in `/.` is a directory, behind a link or not, and `/` says the same. But for the
/// former Podman (5.8) sends no entry of the directory itself.
pub(crate) fn asked(path: &str) -> &str {
    let mut path = path;
    loop {
        let more = match () {
            () if path.ends_with("/.") => ".",
            () if path.ends_with("/./") => "./",
            () => return path,
        };
        path = &path[..path.len() - more.len()];
    }
}

fn reading(e: &io::Error) -> Error {
    Error::io("reading the files", e)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::wait::Limits;

    /// A directory that is removed in the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("docker-store-unpack-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).expect("a directory");
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// A kind, a name, and contents or a target.
    type Raw<'a> = (EntryType, &'a [u8], &'a [u8]);

    /// A stream of entries, whose names and targets nobody checks.
    fn tar(entries: &[Raw<'_>]) -> Vec<u8> {
        let mut stream = Vec::new();
        for (kind, name, data) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_old_mut().name[..name.len()].copy_from_slice(name);
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(1_000_000_000);
            let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
            if is_link {
                header.as_old_mut().linkname[..data.len()].copy_from_slice(data);
            }
            let data: &[u8] = if is_link { b"" } else { data };
            header.set_size(data.len() as u64);
            header.set_cksum();
            stream.extend_from_slice(header.as_bytes());
            stream.extend_from_slice(data);
            stream.resize(stream.len().next_multiple_of(512), 0);
        }
        stream.resize(stream.len() + 1024, 0);
        stream
    }

    fn unpack(into: &Path, stream: &[u8]) -> Result<u64> {
        let (folder, limits) = (HostFolder::new(into), Limits::none());
        Unpacking::into(&folder, limits.wait())?.unpack(&mut &*stream)
    }

    const DIR: EntryType = EntryType::Directory;
    const FILE: EntryType = EntryType::Regular;
    const LINK: EntryType = EntryType::Symlink;
    const HARD: EntryType = EntryType::Link;

    #[test]
    fn nothing_in_a_stream_leads_out_of_the_directory() {
        let scratch = Scratch::new("out");
        let victim = scratch.0.join("victim");
        let outside = scratch.0.join("outside");
        fs::create_dir(&outside).expect("a directory");
        std::fs::write(&victim, "mine").expect("a file");
        let (up, there) = (b"../victim", b"../outside");
        let absolute = victim.to_str().expect("text").as_bytes();
        let top = (DIR, &b"top/"[..], &b""[..]);
        let attacks: &[&[Raw<'_>]] = &[
            &[top, (FILE, b"top/../../victim", b"x")],
            &[top, (FILE, b"../victim", b"x")],
            &[top, (FILE, b"/victim", b"x")],
            &[top, (FILE, absolute, b"x")],
            &[top, (LINK, b"top/l", there), (FILE, b"top/l/new", b"x")],
            &[top, (LINK, b"top/l", there), (DIR, b"top/l/new", b"")],
            &[top, (LINK, b"top/l", b"."), (FILE, b"top/l/new", b"x")],
            &[top, (LINK, b"top/l", up), (FILE, b"top/l", b"x")],
            &[
                top,
                (LINK, b"top/l", up),
                (HARD, b"top/h", b"top/l"),
                (FILE, b"top/h", b"x"),
            ],
            &[top, (HARD, b"top/h", up), (FILE, b"top/h", b"x")],
            &[top, (HARD, b"top/h", absolute)],
            &[
                top,
                (LINK, b"top/l", there),
                (HARD, b"top/h", b"top/l/../victim"),
            ],
            &[
                top,
                (LINK, b"top/l", b".."),
                (HARD, b"top/h", b"top/l/victim"),
            ],
            &[
                top,
                (LINK, b"top/l", there),
                (DIR, b"top/l", b""),
                (FILE, b"top/l/new", b"x"),
            ],
            &[(LINK, b"top", there), (FILE, b"top/new", b"x")],
            &[(FILE, b"..", b"x")],
            &[(FILE, b"/", b"x")],
            &[(DIR, b"..", b""), (FILE, b"../victim", b"x")],
            &[top, (DIR, b"top/..", b"")],
        ];
        for (number, attack) in attacks.iter().enumerate() {
            let into = scratch.0.join(format!("into{number}"));
            let _ = unpack(&into, &tar(attack));
            let kept = std::fs::read_to_string(&victim).expect("the victim");
            assert_eq!(kept, "mine", "{number}");
            assert_eq!(fs::metadata(&victim).expect("it").nlink(), 1, "{number}");
            let new = fs::read_dir(&outside).expect("a directory").count();
            assert_eq!(new, 0, "{number}");
        }
    }

    #[test]
    fn links_that_are_there_already_are_replaced_and_not_followed() {
        let scratch = Scratch::new("there");
        let (into, outside) = (scratch.0.join("into"), scratch.0.join("outside"));
        fs::create_dir(&into).expect("a directory");
        fs::create_dir(&outside).expect("a directory");
        std::fs::write(outside.join("f"), "mine").expect("a file");
        symlink(outside.join("f"), into.join("f")).expect("a link");
        symlink(&outside, into.join("d")).expect("a link");
        symlink(&outside, into.join("between")).expect("a link");
        let stream = tar(&[
            (DIR, b"top", b""),
            (FILE, b"top/f", b"new"),
            (DIR, b"top/d", b""),
            (FILE, b"top/d/f", b"newer"),
        ]);
        assert_eq!(unpack(&into, &stream).expect("unpacked"), 8);
        let read = |path: PathBuf| std::fs::read_to_string(path).expect("a file");
        assert_eq!(read(into.join("f")), "new");
        assert_eq!(read(into.join("d/f")), "newer");
        assert_eq!(read(outside.join("f")), "mine");
        assert!(fs::symlink_metadata(into.join("d")).expect("it").is_dir());
        // Without an entry for the directory, nothing says that one is to replace the link.
        let stream = tar(&[(DIR, b"top", b""), (FILE, b"top/between/f", b"x")]);
        let refused = unpack(&into, &stream).expect_err("a link");
        assert_eq!(refused.kind(), ErrorKind::Io);
        assert_eq!(read(outside.join("f")), "mine");
    }

    #[test]
    fn a_directory_is_asked_for_in_the_one_way_that_all_engines_answer_alike() {
        for (path, expected) in [
            ("/", "/"),
            ("/.", "/"),
            ("/a", "/a"),
            ("/a/", "/a/"),
            ("/a/.", "/a/"),
            ("/a/./.", "/a/"),
            ("/a/././", "/a/"),
            ("/./", "/"),
            ("/a.", "/a."),
            ("/a/..", "/a/.."),
        ] {
            assert_eq!(asked(path), expected);
        }
    }

    #[test]
    fn a_directory_is_not_removed_for_a_file() {
        let scratch = Scratch::new("dir");
        let kept = scratch.0.join("a/kept");
        fs::create_dir_all(kept.parent().expect("one")).expect("a directory");
        std::fs::write(&kept, "mine").expect("a file");
        for stream in [
            tar(&[(DIR, b"top", b""), (FILE, b"top/a", b"x")]),
            tar(&[(FILE, b"some/a", b"x")]),
        ] {
            let refused = unpack(&scratch.0, &stream).expect_err("a directory");
            assert_eq!(refused.kind(), ErrorKind::Io);
            assert_eq!(std::fs::read_to_string(&kept).expect("it"), "mine");
        }
    }

    #[test]
    fn directories_that_come_late_get_what_their_entry_says() {
        let scratch = Scratch::new("late");
        let stream = tar(&[
            (DIR, b"top", b""),
            (FILE, b"top/a/b/f", b"x"),
            (DIR, b"top/a/b", b""),
        ]);
        unpack(&scratch.0, &stream).expect("unpacked");
        let found = fs::metadata(scratch.0.join("a/b")).expect("a directory");
        assert_eq!(found.mtime(), 1_000_000_000);
        assert_eq!(found.mode() & 0o777, 0o644);
    }

    #[test]
    fn a_stream_that_is_cut_short_is_not_taken_for_whole() {
        let scratch = Scratch::new("cut");
        let stream = tar(&[(DIR, b"top", b""), (FILE, b"top/f", &[7; 2000])]);
        for cut in [0, 100, 512, 1000, 1024, 2000, stream.len() - 1024] {
            let failed = unpack(&scratch.0.join("into"), &stream[..cut]);
            let failed = failed.expect_err(&format!("{cut}"));
            assert_eq!(failed.kind(), ErrorKind::CutShort, "{cut}");
        }
    }
}
