//! The tar stream of one tree, converted to the one form that all engines accept: names relative to the tree's root, owners as
//! containers have them. Docker names entries after the last component of the requested path (`c/`, `c/kept`), Podman after
//! what is mounted there (`/`, `/kept`). Both extract relative names into the directory itself. Podman also accepts names that
//! start with `c/` and are extracted at `/`, but puts them below the mount, where they are not visible.
//!
//! The stream is checked while it passes: a digest of the metadata and contents of each entry shows whether two streams
//! describe the same tree.

use std::io::{self, BufReader, Read};

use sha2::{Digest, Sha256};
use tar::Header;

use crate::store::cache::files::look::RootLook;
use crate::store::cache::files::owners::Owners;
use crate::store::cache::files::tar::{BLOCK, END, MOST_ZEROS};
use crate::store::names::hex;
use crate::store::pax;
use crate::store::tar_entry::{self, Entry, Extended, NO_END, bad, below, padded, parts};

/// The maximum length of a name, and of the target of a link, in a header.
const NAME_MAX: usize = 100;

/// Where a header has the names of a user and a group, and the first part of a long name.
const NAMES: std::ops::Range<usize> = 265..329;
const PREFIX: std::ops::Range<usize> = 345..500;

/// The last second that fits into 63 bits of nanoseconds.
const LATEST: i64 = i64::MAX / 1_000_000_000;

/// The block size in which holes are counted.
const PIECE: usize = 4096;

/// The attributes of the root, from the first entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) owner: (u32, u32),
    pub(crate) look: RootLook,
}

/// What a whole stream contained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) digest: String,
    /// Including the root.
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) root: Root,
}

/// A stream of one tree in the form in which it is written.
pub(crate) struct Tree<R> {
    stream: BufReader<R>,
    owners: Owners,
    /// The new owner of the root.
    owner: Option<(u32, u32)>,
    /// The root, and its name in the stream.
    root: Option<(Root, Vec<Vec<u8>>)>,
    /// Headers that are ready to be returned; `given` bytes already were.
    ready: Vec<u8>,
    given: usize,
    /// How many bytes of contents precede the next header.
    body: u64,
    /// Whether all entries have been read: the rest is the end of the archive.
    ended: bool,
    digest: Sha256,
    entries: u64,
    bytes: u64,
    /// How many zero bytes the stream has ended with so far.
    zeros: usize,
    /// How many zero bytes there were in whole blocks, and how many are allowed.
    hollow: u64,
    most: u64,
}

impl<R: Read> Tree<R> {
    /// Gives the root to `owner`; with `None`, it keeps its own.
    pub(crate) fn new(stream: R, owners: Owners, owner: Option<(u32, u32)>) -> Self {
        Tree {
            stream: BufReader::with_capacity(64 << 10, stream),
            owners,
            owner,
            root: None,
            ready: Vec::new(),
            given: 0,
            body: 0,
            ended: false,
            digest: Sha256::new(),
            entries: 0,
            bytes: 0,
            zeros: 0,
            hollow: 0,
            most: MOST_ZEROS,
        }
    }

    /// Returns the attributes of the root, for which the stream is read up to its first entry.
    pub(crate) fn root(&mut self) -> io::Result<Root> {
        if self.root.is_none() {
            self.next_header()?;
        }
        match &self.root {
            Some((root, _)) => Ok(*root),
            None => Err(bad("there is nothing in it")),
        }
    }

    /// Returns whether there is nothing below the root. Call it before anything was read.
    pub(crate) fn is_empty(&mut self) -> io::Result<bool> {
        self.root()?;
        self.next_header()?;
        Ok(self.ended)
    }

    /// Returns whether reading ended because there are more zeros than allowed.
    pub(crate) fn is_too_hollow(&self) -> bool {
        self.hollow > self.most
    }

    /// Reads to the end.
    pub(crate) fn finish(&mut self) -> io::Result<Seen> {
        io::copy(self, &mut io::sink())?;
        // An engine ends a stream that it could not finish like a complete one; but only a complete archive ends in two empty
        // blocks.
        let root = self.root.as_ref().filter(|_| self.zeros >= END);
        let (root, _) = root.ok_or_else(|| bad(NO_END))?;
        let digest = std::mem::take(&mut self.digest).finalize();
        Ok(Seen {
            digest: hex(&digest),
            entries: self.entries,
            bytes: self.bytes,
            root: *root,
        })
    }

    /// Reads the next header, and prepares it for output.
    fn next_header(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.given = 0;
        match tar_entry::next(&mut self.stream)? {
            Some(entry) => self.entry(entry),
            None => {
                self.ended = true;
                self.ready.extend([0; BLOCK]);
                Ok(())
            }
        }
    }

    /// Prepares an entry in the form in which it is written.
    fn entry(&mut self, entry: Entry) -> io::Result<()> {
        let (owner, size) = (entry.owner()?, entry.size()?);
        let Entry {
            mut header,
            mut extended,
        } = entry;
        let kind = header.entry_type();
        let path = match extended.path.take() {
            Some(path) => (path, true),
            None => (header.path_bytes().into_owned(), false),
        };
        let mut user = self.owners.user(owner.0);
        let mut group = self.owners.group(owner.1);
        let mut name = self.relative(&path.0)?;
        if self.root.is_none() {
            if !kind.is_dir() {
                return Err(bad("its first entry is not a directory"));
            }
            (user, group) = self.owner.unwrap_or((user, group));
            let look = RootLook {
                mode: header.mode()? & 0o7777,
                mtime: (i64::try_from(header.mtime()?).unwrap_or_default(), 0),
            };
            let owner = (user, group);
            self.root = Some((Root { owner, look }, parts(&path.0)));
            name = b".".to_vec();
        }
        if name.is_empty() {
            return Err(bad("its root comes twice"));
        }
        if kind.is_dir() {
            name.push(b'/');
        }
        let mut link = extended.link.take().map(|link| (link, true));
        if link.is_none() && (kind.is_hard_link() || kind.is_symlink()) {
            let short = header.link_name_bytes().unwrap_or_default();
            link = Some((short.into_owned(), false));
        }
        if kind.is_hard_link() {
            // The target of a hard link is an entry's name; that of a symbolic link is any text.
            let (target, long) = link.unwrap_or_default();
            link = Some((self.relative(&target)?, long));
        }
        self.body = padded(size);
        self.entries += 1;

        // In the engine's form, reduced to what describes the file.
        let target = link.as_ref().map_or(&[][..], |(target, _)| target);
        let device = match kind.is_character_special() || kind.is_block_special() {
            true => (header.device_major()?, header.device_minor()?),
            false => (None, None),
        };
        let mode = header.mode()? & 0o7777;
        let plain = if kind.is_file() { b'0' } else { kind.as_byte() };
        let what = format!(
            "{plain} {user} {group} {mode:o} {size} {device:?} {}",
            mtime(&extended, &header)?
        );
        self.note(&[what.as_bytes(), &name, target]);
        for (key, value) in &extended.others {
            if key.starts_with(ATTRIBUTE) {
                self.note(&[key, value]);
            }
        }

        header.set_uid(user.into());
        header.set_gid(group.into());
        let mut records = Vec::new();
        if extended.user.is_some() {
            pax::add(&mut records, b"uid", user.to_string().as_bytes());
        }
        if extended.group.is_some() {
            pax::add(&mut records, b"gid", group.to_string().as_bytes());
        }
        if let Some(size) = extended.size {
            pax::add(&mut records, b"size", size.to_string().as_bytes());
        }
        for (key, value) in &extended.others {
            pax::add(&mut records, key, value);
        }
        if path.1 || name.len() > NAME_MAX {
            pax::add(&mut records, b"path", &name);
        }
        let old = header.as_mut_bytes();
        set_field(&mut old[..NAME_MAX], &name);
        if let Some((target, long)) = &link {
            if *long || target.len() > NAME_MAX {
                pax::add(&mut records, b"linkpath", target);
            }
            set_field(&mut old[157..157 + NAME_MAX], target);
        }
        // The host's names for its own numbers.
        old[NAMES].fill(0);
        if header.as_ustar().is_some() {
            header.as_mut_bytes()[PREFIX].fill(0);
        }
        header.set_cksum();
        if !records.is_empty() {
            self.ready.extend(pax::header(&records));
        }
        self.ready.extend(header.as_bytes());
        Ok(())
    }

    /// Returns the name relative to the root.
    fn relative(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        let Some((_, root)) = &self.root else {
            return Ok(Vec::new());
        };
        below(name, root).ok_or_else(|| bad("a name in it is not below its root"))
    }

    fn note(&mut self, fields: &[&[u8]]) {
        for field in fields {
            self.digest.update((field.len() as u64).to_le_bytes());
            self.digest.update(field);
        }
    }

    /// Counts what is returned.
    fn pass(&mut self, got: &[u8]) -> io::Result<()> {
        self.bytes += got.len() as u64;
        let tail = got.iter().rev().take_while(|b| **b == 0).take(END).count();
        self.zeros = if tail == got.len() {
            self.zeros + tail
        } else {
            tail
        };
        let empty = got.chunks_exact(PIECE).filter(|piece| *piece == [0; PIECE]);
        self.hollow += (empty.count() * PIECE) as u64;
        match self.is_too_hollow() {
            true => Err(bad("it is mostly holes")),
            false => Ok(()),
        }
    }
}

/// The prefix that an engine gives to a file's extended attributes.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";

impl<R: Read> Read for Tree<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.given == self.ready.len() && self.body == 0 && !self.ended {
            self.next_header()?;
        }
        let n = if self.given < self.ready.len() {
            let n = buffer.len().min(self.ready.len() - self.given);
            buffer[..n].copy_from_slice(&self.ready[self.given..self.given + n]);
            self.given += n;
            n
        } else if self.ended {
            self.stream.read(buffer)?
        } else {
            let most = usize::try_from(self.body).unwrap_or(usize::MAX);
            let most = most.min(buffer.len());
            let n = self.stream.read(&mut buffer[..most])?;
            if n == 0 {
                return Err(bad(NO_END));
            }
            self.body -= n as u64;
            self.digest.update(&buffer[..n]);
            n
        };
        self.pass(&buffer[..n])?;
        Ok(n)
    }
}

/// Returns the second in which an entry was changed; engines differ in the fractions that they keep. Docker turns times
/// before 1970, and times that it cannot represent, into the start of 1970 (moby, `pkg/system/chtimes.go`).
fn mtime(extended: &Extended, header: &Header) -> io::Result<i64> {
    let text = extended.others.iter().find(|(key, _)| key == b"mtime");
    let time = match text {
        Some((_, text)) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.split('.').next()?.parse().ok())
            .ok_or_else(|| bad("a time in it is not a number"))?,
        None => i64::try_from(header.mtime()?).unwrap_or(i64::MAX),
    };
    Ok(if (0..=LATEST).contains(&time) {
        time
    } else {
        0
    })
}

/// Writes as much of `value` as fits.
fn set_field(field: &mut [u8], value: &[u8]) {
    let n = value.len().min(field.len());
    field.fill(0);
    field[..n].copy_from_slice(&value[..n]);
}

#[cfg(test)]
mod tests;
