//! [`Packed`]: local files as a tar stream that is produced while it is read. Only the names of the open directories and of
//! files with several names are kept in memory.
//!
//! The digest covers the entries' metadata and contents, not the stream: different tars may represent the same files.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::vec;

use sha2::{Digest, Sha256};
use tar::EntryType;

use crate::engine::stopped;
use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::os::{self, Facts, Sort};
use crate::store::host::files::{HostFiles, Owner};
use crate::store::host::header::Entry;
use crate::store::names::hex;
use crate::store::pax::BLOCK;
use crate::wait::{Limits, Wait};

/// The start of every digest's input: a different way of computing digests will use a different word.
const WAY: &[u8] = b"docker-store files 1";

/// The buffer size for reading files.
const PIECE: usize = 256 << 10;

/// The tar stream of some files.
pub(crate) struct Packed<'a> {
    files: &'a HostFiles,
    wait: Wait<'a>,
    hash: Sha256,
    levels: Vec<Level>,
    /// The file whose contents come next.
    open: Option<Open>,
    /// What is returned first, from `at` on.
    ready: Vec<u8>,
    at: usize,
    /// The first name of each file that has several.
    named: HashMap<(u64, u64), Vec<u8>>,
    ended: bool,
    fault: Option<Error>,
}

/// A directory that is being read.
struct Level {
    path: PathBuf,
    /// Its path for the patterns, with a trailing `/`; empty for the top directory.
    inside: String,
    /// Its path for the stream.
    name: Vec<u8>,
    names: vec::IntoIter<OsString>,
    /// An excluded directory, which is added if something in it is included.
    withheld: Option<Facts>,
}

struct Open {
    path: PathBuf,
    file: File,
    left: u64,
    padding: usize,
    before: Facts,
}

impl HostFiles {
    /// Returns the digest of what [`copy_in_host`](crate::Step::copy_in_host) would send now, without sending it: 64 hex digits
    /// of a SHA-256, for an [`id`](crate::id()). It covers names, kinds, modes, owners, times, contents and links. It does not
    /// depend on where the directory is, how its file system orders names, or which parts of a file are holes.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for an invalid name, or a socket; [`Io`](ErrorKind::Io) for a file that
    /// cannot be read, or is changed while it is read; [`Cancelled`](ErrorKind::Cancelled) and
    /// [`TimedOut`](ErrorKind::TimedOut).
    pub fn digest(&self, limits: &Limits) -> Result<String> {
        Packed::of(self, limits.wait())?.digest()
    }
}

impl<'a> Packed<'a> {
    /// Starts with `files`.
    pub(crate) fn of(files: &'a HostFiles, wait: Wait<'a>) -> Result<Self> {
        let path = &files.path;
        let facts = fs::metadata(path)
            .map_err(|e| Error::io(looking(path), &e))
            .map(|found| Facts::of(&found))?;
        let mut packed = Packed {
            files,
            wait,
            hash: Sha256::new(),
            levels: Vec::new(),
            open: None,
            ready: Vec::new(),
            at: 0,
            named: HashMap::new(),
            ended: false,
            fault: None,
        };
        packed.hash.update(WAY);
        let refused = |why: &str| {
            let why = format!("{} {why}", path.display());
            Err(Error::new(ErrorKind::InvalidArgument, why))
        };
        let name = match (&files.name, facts.sort) {
            (Some(name), _) => one_name(name)?,
            (None, Sort::Folder) => Vec::new(),
            (None, _) => match path.file_name() {
                Some(name) => os::bytes_of(name).into_owned(),
                None => return refused("has no name"),
            },
        };
        match facts.sort {
            Sort::Folder if name.is_empty() => packed.enter(path.clone(), "", name, None)?,
            Sort::Folder => {
                packed.folder(&name, &facts);
                packed.enter(path.clone(), "", name, None)?;
            }
            Sort::Socket => return refused("is a socket, which cannot be copied"),
            _ => packed.entry(path, name, facts)?,
        }
        Ok(packed)
    }

    /// Returns the digest of everything that was read; call it after the end was reached.
    pub(crate) fn digest_so_far(&self) -> String {
        hex(&self.hash.clone().finalize())
    }

    /// Returns the error that ended the stream early.
    pub(crate) fn why(&mut self) -> Option<Error> {
        self.fault.take()
    }

    /// Reads everything, only for the digest.
    pub(crate) fn digest(mut self) -> Result<String> {
        let mut buffer = vec![0; PIECE];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok(self.digest_so_far()),
                Ok(_) => {}
                Err(e) => {
                    let why = Error::io(looking(&self.files.path), &e);
                    return Err(self.why().unwrap_or(why));
                }
            }
        }
    }

    fn enter(
        &mut self,
        path: PathBuf,
        inside: &str,
        name: Vec<u8>,
        withheld: Option<Facts>,
    ) -> Result<()> {
        let names = || -> io::Result<Vec<OsString>> {
            let names = fs::read_dir(&path)?.map(|entry| Ok(entry?.file_name()));
            names.collect()
        };
        let mut names = names().map_err(|e| Error::io(looking(&path), &e))?;
        names.sort_by(|a, b| os::bytes_of(a).cmp(&os::bytes_of(b)));
        let with_slash = |mut name: Vec<u8>| {
            if !name.is_empty() {
                name.push(b'/');
            }
            name
        };
        self.levels.push(Level {
            path,
            inside: match inside {
                "" => String::new(),
                inside => format!("{inside}/"),
            },
            name: with_slash(name),
            names: names.into_iter(),
            withheld,
        });
        Ok(())
    }

    /// Advances to the next entry, or to the end.
    fn next(&mut self) -> Result<()> {
        while self.ready.is_empty() && self.open.is_none() {
            let doing = looking(&self.files.path);
            self.wait.left().map_err(|stop| stopped(&doing, stop))?;
            let Some(level) = self.levels.last_mut() else {
                self.ready.resize(2 * BLOCK, 0);
                self.ended = true;
                return Ok(());
            };
            let Some(name) = level.names.next() else {
                self.levels.pop();
                continue;
            };
            let path = level.path.join(&name);
            let inside = format!("{}{}", level.inside, text(&os::bytes_of(&name)));
            let stream = [&level.name[..], &os::bytes_of(&name)].concat();
            let found = fs::symlink_metadata(&path).map_err(|e| Error::io(looking(&path), &e))?;
            let facts = Facts::of(&found);
            let patterns = &self.files.patterns;
            let left_out = patterns.leave_out(&inside);
            match (facts.sort, left_out) {
                (Sort::Folder, true) => {
                    if patterns.may_take_in(&inside) {
                        self.enter(path, &inside, stream, Some(facts))?;
                    }
                }
                (Sort::Folder, false) => {
                    self.folder(&stream, &facts);
                    self.enter(path, &inside, stream, None)?;
                }
                (Sort::Socket, false) => {
                    log::info!("{} is a socket, and is skipped", path.display());
                }
                (_, false) => self.entry(&path, stream, facts)?,
                (_, true) => {}
            }
        }
        Ok(())
    }

    fn folder(&mut self, name: &[u8], facts: &Facts) {
        self.with_folders_above();
        self.say(EntryType::Directory, &[name, b"/"].concat(), b"", 0, facts);
    }

    /// Adds the excluded directories that now contain an included file.
    fn with_folders_above(&mut self) {
        for n in 0..self.levels.len() {
            if let Some(facts) = self.levels[n].withheld.take() {
                let name = self.levels[n].name.clone();
                self.say(EntryType::Directory, &name, b"", 0, &facts);
            }
        }
    }

    /// Adds anything but a directory.
    fn entry(&mut self, path: &Path, name: Vec<u8>, facts: Facts) -> Result<()> {
        self.with_folders_above();
        if let Some(number) = facts.shared {
            if let Some(first) = self.named.get(&number).cloned() {
                self.say(EntryType::Link, &name, &first, 0, &facts);
                return Ok(());
            }
            self.named.insert(number, name.clone());
        }
        let kind = match facts.sort {
            Sort::File => return self.file(path, &name, &facts),
            Sort::Link => {
                let link = fs::read_link(path).map_err(|e| Error::io(looking(path), &e))?;
                let link = os::bytes_of(link.as_os_str()).into_owned();
                self.say(EntryType::Symlink, &name, &link, 0, &facts);
                return Ok(());
            }
            Sort::Pipe => EntryType::Fifo,
            Sort::CharDevice => EntryType::Char,
            Sort::BlockDevice => EntryType::Block,
            Sort::Folder | Sort::Socket => return Ok(()),
        };
        self.say(kind, &name, b"", 0, &facts);
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &[u8], seen: &Facts) -> Result<()> {
        let doing = |e| Error::io(format!("opening {}", path.display()), &e);
        // Without waiting, because it may have become a pipe.
        let file = os::open_silent(path).map_err(doing)?;
        let before = Facts::of(&file.metadata().map_err(doing)?);
        if before.sort != Sort::File || before.number != seen.number {
            return Err(changed(path));
        }
        self.say(EntryType::Regular, name, b"", before.size, &before);
        self.open = Some(Open {
            path: path.to_owned(),
            file,
            left: before.size,
            padding: (before.size.next_multiple_of(BLOCK as u64) - before.size) as usize,
            before,
        });
        Ok(())
    }

    /// Writes the header of an entry into the stream, and its metadata into the digest.
    fn say(&mut self, kind: EntryType, name: &[u8], link: &[u8], size: u64, facts: &Facts) {
        let facts = Facts {
            owner: match self.files.owner {
                Owner::Given(user, group) => (user, group),
                Owner::AsHere => facts.owner,
            },
            changed: self.files.time.map_or(facts.changed, |time| (time, 0)),
            ..facts.clone()
        };
        self.hash.update([kind.as_byte()]);
        for text in [name, link] {
            self.hash.update((text.len() as u64).to_be_bytes());
            self.hash.update(text);
        }
        for number in [
            facts.mode,
            facts.owner.0,
            facts.owner.1,
            facts.changed.1,
            facts.device.0,
            facts.device.1,
        ] {
            self.hash.update(number.to_be_bytes());
        }
        self.hash.update(facts.changed.0.to_be_bytes());
        self.hash.update(size.to_be_bytes());
        let entry = Entry {
            kind,
            name,
            link,
            size,
            facts: &facts,
        };
        entry.write(&mut self.ready);
    }

    /// Returns the next bytes of the open file; 0 once it is closed.
    fn content(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some(open) = self.open.as_mut() else {
            return Ok(0);
        };
        let doing = |e, path: &Path| Error::io(format!("reading {}", path.display()), &e);
        let stop = |stop| stopped(&format!("reading {}", open.path.display()), stop);
        self.wait.left().map_err(stop)?;
        if open.left > 0 {
            let most = buffer
                .len()
                .min(PIECE)
                .min(open.left.try_into().unwrap_or(PIECE));
            let n = loop {
                match open.file.read(&mut buffer[..most]) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    read => break read.map_err(|e| doing(e, &open.path))?,
                }
            };
            if n == 0 {
                return Err(changed(&open.path));
            }
            open.left -= n as u64;
            self.hash.update(&buffer[..n]);
            return Ok(n);
        }
        let after = open.file.metadata().map_err(|e| doing(e, &open.path))?;
        let after = Facts::of(&after);
        if (after.size, after.changed) != (open.before.size, open.before.changed) {
            return Err(changed(&open.path));
        }
        self.ready.resize(open.padding, 0);
        self.open = None;
        Ok(0)
    }

    fn more(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let left = &self.ready[self.at..];
            if !left.is_empty() {
                let n = left.len().min(buffer.len());
                buffer[..n].copy_from_slice(&left[..n]);
                self.at += n;
                return Ok(n);
            }
            (self.at, self.ready) = (0, Vec::new());
            if self.open.is_some() {
                match self.content(buffer)? {
                    0 => continue,
                    n => return Ok(n),
                }
            }
            if self.ended {
                return Ok(0);
            }
            self.next()?;
        }
    }
}

impl Read for Packed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.fault.is_none() {
            match self.more(buffer) {
                Ok(n) => return Ok(n),
                Err(e) => self.fault = Some(e),
            }
        }
        Err(io::Error::other("the files could not be read"))
    }
}

fn looking(path: &Path) -> String {
    format!("looking at {}", path.display())
}

fn changed(path: &Path) -> Error {
    let why = format!("{} was changed while it was read", path.display());
    Error::new(ErrorKind::Io, why)
}

/// Checks the name in the step: a single component, and neither `.` nor `..`.
fn one_name(name: &OsStr) -> Result<Vec<u8>> {
    let bytes = os::bytes_of(name).into_owned();
    if matches!(&bytes[..], b"" | b"." | b"..") || bytes.contains(&b'/') || bytes.contains(&0) {
        let why = format!("{name:?} is not the name of a file");
        return Err(Error::new(ErrorKind::InvalidArgument, why));
    }
    Ok(bytes)
}

/// Returns a name as patterns see it: a byte that is not valid text becomes a replacement character.
fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}
