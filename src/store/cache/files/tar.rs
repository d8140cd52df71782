//! The root directory in a tar stream: how a clone is given another owner, and how two streams are compared.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::store::cache::files::look::RootLook;
use crate::store::names::hex;

pub(crate) const BLOCK: usize = 512;

/// How many zero bytes end an archive.
pub(crate) const END: usize = 2 * BLOCK;

/// The longest extended header.
const EXTENDED_MAX: u64 = 1 << 20;

/// How many zeros a stream may hold in whole pieces. An archive knows no holes: what is one in a file of the source would be
/// written out, and a sparse file may be larger than any disk.
pub(crate) const MOST_ZEROS: u64 = 4 << 30;

/// The unit that holes are made of.
const PIECE: usize = 4096;

/// Where the helper containers have the volume. Streams name it `c/`.
pub(crate) const PLACE: &str = "/c";

/// A tar header for a directory.
pub(crate) fn folder(path: &str, owner: (u32, u32), look: RootLook) -> [u8; BLOCK] {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    // Ours are a few letters long; a header takes a hundred.
    let name = path.as_bytes();
    header.as_gnu_mut().expect("a GNU header was made").name[..name.len()].copy_from_slice(name);
    header.set_uid(owner.0.into());
    header.set_gid(owner.1.into());
    header.set_mode(look.mode);
    header.set_mtime(u64::try_from(look.mtime.0).unwrap_or_default());
    header.set_size(0);
    header.set_cksum();
    *header.as_bytes()
}

/// Reads the entry of the root, which comes first in a stream: its owner and how it looks.
pub(crate) fn root_entry(stream: &mut impl Read) -> io::Result<((u32, u32), RootLook)> {
    let mut block = [0; BLOCK];
    let (mut uid, mut gid) = (None, None);
    loop {
        stream.read_exact(&mut block)?;
        let header = tar::Header::from_byte_slice(&block);
        match header.entry_type() {
            // Numbers that the header itself has no room for.
            tar::EntryType::XHeader | tar::EntryType::XGlobalHeader => {
                // Up to 2^64 - 1, as its writer likes.
                let size = header.entry_size()?;
                if size > EXTENDED_MAX {
                    return Err(bad("an extended header of it is too long"));
                }
                let mut text = Vec::new();
                stream
                    .take(size.next_multiple_of(BLOCK as u64))
                    .read_to_end(&mut text)?;
                text.truncate(usize::try_from(size).unwrap_or_default());
                for record in tar::PaxExtensions::new(&text) {
                    let record = record?;
                    match record.key_bytes() {
                        b"uid" => uid = record.value().ok().and_then(|v| v.parse().ok()),
                        b"gid" => gid = record.value().ok().and_then(|v| v.parse().ok()),
                        _ => {}
                    }
                }
            }
            tar::EntryType::Directory => {
                let number = |n: io::Result<u64>| {
                    u32::try_from(n?).map_err(|_| bad("its root has no owner"))
                };
                let owner = (
                    number(uid.map_or_else(|| header.uid(), Ok))?,
                    number(gid.map_or_else(|| header.gid(), Ok))?,
                );
                let seconds = i64::try_from(header.mtime()?).unwrap_or_default();
                return Ok((
                    owner,
                    RootLook {
                        mode: header.mode()? & 0o7777,
                        mtime: (seconds, 0),
                    },
                ));
            }
            _ => return Err(bad("its first entry is no directory")),
        }
    }
}

/// A tar stream of one directory as the engine sends it, with the root's owner replaced, and watched: a digest over all of
/// it tells whether two streams show the same tree.
pub(crate) struct Watched<R> {
    inner: R,
    owner: Option<(u32, u32)>,
    /// What stands at the front and was not handed out yet.
    front: Vec<u8>,
    begun: bool,
    root: Option<RootLook>,
    digest: Sha256,
    bytes: u64,
    /// How many zero bytes the stream has ended with so far.
    zeros: usize,
    /// How many there were in whole pieces, and how many there may be.
    hollow: u64,
    most: u64,
}

impl<R: Read> Watched<R> {
    /// Keeps the root's owner where `owner` is `None`.
    pub(crate) fn new(inner: R, owner: Option<(u32, u32)>) -> Self {
        let digest = Sha256::new();
        Watched {
            inner,
            owner,
            front: Vec::new(),
            begun: false,
            root: None,
            digest,
            bytes: 0,
            zeros: 0,
            hollow: 0,
            most: MOST_ZEROS,
        }
    }

    /// Whether reading ended because there are more zeros than may be.
    pub(crate) fn is_too_hollow(&self) -> bool {
        self.hollow > self.most
    }

    /// Reads to the end: the digest, how many bytes there were, and how the root looks.
    pub(crate) fn finish(&mut self) -> io::Result<(String, u64, RootLook)> {
        io::copy(self, &mut io::sink())?;
        // What the engine could not finish it ends like what it could; only a whole archive ends in two empty blocks.
        let root = self
            .root
            .filter(|_| self.zeros >= END)
            .ok_or_else(|| bad("it has no end"))?;
        let digest = std::mem::take(&mut self.digest).finalize();
        Ok((hex(&digest), self.bytes, root))
    }

    /// Puts an entry of ours in the place of the root's.
    fn begin(&mut self) -> io::Result<()> {
        let (found, look) = root_entry(&mut self.inner)?;
        self.front = folder("c/", self.owner.unwrap_or(found), look).to_vec();
        self.root = Some(look);
        Ok(())
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.begun {
            self.begun = true;
            self.begin()?;
        }
        let n = if self.front.is_empty() {
            self.inner.read(buffer)?
        } else {
            let n = self.front.len().min(buffer.len());
            buffer[..n].copy_from_slice(&self.front[..n]);
            self.front.drain(..n);
            n
        };
        let got = &buffer[..n];
        self.digest.update(got);
        self.bytes += n as u64;
        let tail = got.iter().rev().take_while(|b| **b == 0).take(END).count();
        self.zeros = if tail == n { self.zeros + tail } else { tail };
        let empty = got.chunks_exact(PIECE).filter(|piece| *piece == [0; PIECE]);
        self.hollow += (empty.count() * PIECE) as u64;
        if self.is_too_hollow() {
            return Err(bad("it is mostly holes"));
        }
        Ok(n)
    }
}

fn bad(why: &str) -> io::Error {
    io::Error::other(format!(
        "the engine's tar stream of a volume cannot be used: {why}"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A stream with a file of zeros and as much that is none.
    fn stream(zeros: usize) -> Vec<u8> {
        let look = RootLook {
            mode: 0o755,
            mtime: (1, 0),
        };
        let mut stream = folder("c/", (0, 0), look).to_vec();
        stream.resize(stream.len() + zeros, 0);
        stream.extend(vec![b'x'; zeros]);
        stream.resize(stream.len() + END, 0);
        stream
    }

    #[test]
    fn a_stream_that_is_mostly_holes_is_not_read_to_its_end() {
        let whole = |zeros| {
            let stream = stream(zeros);
            let mut watched = Watched::new(stream.as_slice(), None);
            watched.most = 64 << 10;
            let ended = watched.finish();
            (ended.is_ok(), watched.is_too_hollow())
        };
        assert_eq!(whole(60 << 10), (true, false));
        assert_eq!(whole(128 << 10), (false, true));
    }

    /// An extended header that says it has so many bytes, and a directory after it.
    fn extended(size: u64, text: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_size(size);
        header.set_cksum();
        let mut wire = header.as_bytes().to_vec();
        wire.extend_from_slice(text);
        wire.resize(wire.len().next_multiple_of(BLOCK), 0);
        let look = RootLook {
            mode: 0o755,
            mtime: (1, 0),
        };
        wire.extend(folder("c/", (1, 2), look));
        wire
    }

    #[test]
    fn an_extended_header_of_any_size_is_read_or_refused() {
        let text = b"14 uid=123456\n";
        let (owner, _) = root_entry(&mut &extended(text.len() as u64, text)[..]).expect("a root");
        assert_eq!(owner, (123_456, 2));
        for size in [
            EXTENDED_MAX + 1,
            1 << 33,
            u64::MAX - 600,
            u64::MAX - 1,
            u64::MAX,
        ] {
            assert!(
                root_entry(&mut &extended(size, text)[..]).is_err(),
                "{size}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_root_or_refused(
            size in prop_oneof![0..2000u64, any::<u64>()],
            text in prop::collection::vec(any::<u8>(), 0..600),
            at in 0..600usize,
            byte: u8,
        ) {
            let mut wire = extended(size, &text);
            let at = at % wire.len();
            wire[at] = byte;
            let _ = root_entry(&mut &wire[..]);
            let mut watched = Watched::new(&wire[..], Some((1, 1)));
            let _ = watched.finish();
        }
    }
}
