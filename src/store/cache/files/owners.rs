//! Owners as an engine's archive calls give them. An engine that runs its containers in a user namespace takes a container's
//! numbers and gives those of its machine: what is read from one volume could not be written to another.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use tar::{EntryType, Header};

use crate::store::cache::files::tar::BLOCK;

/// Whom a container sees as the owner of what belongs to nobody that it knows.
const NOBODY: u32 = 65_534;

/// Where a header has the names of a user and a group.
const NAMES: std::ops::Range<usize> = 265..329;

/// The longest extended header that is taken: names and attributes of one file.
const EXTENDED_MAX: u64 = 4 << 20;

/// How much higher the numbers are that an engine gives than those that it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owners {
    pub(crate) users: u32,
    pub(crate) groups: u32,
}

impl Owners {
    /// As the pairs `(taken, given)` show it; `None` where that is no shift, or lower numbers.
    pub(crate) fn of(pairs: impl IntoIterator<Item = ((u32, u32), (u32, u32))>) -> Option<Self> {
        let shift = |(taken, given): ((u32, u32), (u32, u32))| {
            Some(Owners {
                users: given.0.checked_sub(taken.0)?,
                groups: given.1.checked_sub(taken.1)?,
            })
        };
        let mut shifts = pairs.into_iter().map(shift);
        let first = shifts.next()??;
        shifts.all(|other| other == Some(first)).then_some(first)
    }

    /// The stream of an archive as it must be to be written: with the numbers of containers.
    pub(crate) fn of_containers<R: Read>(self, stream: R) -> Shifted<R> {
        Shifted {
            stream,
            owners: self,
            ready: Vec::new(),
            given: 0,
            body: 0,
            size: None,
        }
    }

    fn user(self, number: u64) -> u32 {
        below(number, self.users)
    }

    fn group(self, number: u64) -> u32 {
        below(number, self.groups)
    }
}

fn below(number: u64, shift: u32) -> u32 {
    let shifted = number.checked_sub(shift.into());
    shifted.and_then(|n| n.try_into().ok()).unwrap_or(NOBODY)
}

/// A tar stream with the owner of each entry replaced.
pub(crate) struct Shifted<R> {
    stream: R,
    owners: Owners,
    /// Headers that are to be handed out, up to `given` already.
    ready: Vec<u8>,
    given: usize,
    /// How many bytes of contents come before the next header.
    body: u64,
    /// The size of the next entry, where an extended header says it.
    size: Option<u64>,
}

impl<R: Read> Shifted<R> {
    /// Reads the next header, and makes it ready. At the end of the stream nothing is.
    fn next_header(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.given = 0;
        let mut block = [0; BLOCK];
        if !read_block(&mut self.stream, &mut block)? {
            return Ok(());
        }
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(&block);
        // What ends an archive, or stands behind it.
        if block.iter().all(|b| *b == 0) {
            self.ready.extend(block);
            return Ok(());
        }
        match header.entry_type() {
            EntryType::XHeader | EntryType::XGlobalHeader => return self.extended(header),
            EntryType::GNULongName | EntryType::GNULongLink => {
                self.body = padded(header.entry_size()?);
            }
            kind => {
                header.set_uid(self.owners.user(header.uid()?).into());
                header.set_gid(self.owners.group(header.gid()?).into());
                // The machine's names for its own numbers.
                header.as_mut_bytes()[NAMES].fill(0);
                header.set_cksum();
                let size = self.size.take().map_or_else(|| header.entry_size(), Ok)?;
                let has_body = !(kind.is_dir() || kind.is_symlink() || kind.is_hard_link());
                self.body = if has_body { padded(size) } else { 0 };
            }
        }
        self.ready.extend(header.as_bytes());
        Ok(())
    }

    /// Owners that a header has no room for are in an extended one before it.
    fn extended(&mut self, mut header: Header) -> io::Result<()> {
        let size = header.entry_size()?;
        if size > EXTENDED_MAX {
            return Err(bad("an extended header of it is too long"));
        }
        let mut text = vec![0; usize::try_from(padded(size)).unwrap_or_default()];
        self.stream.read_exact(&mut text)?;
        text.truncate(usize::try_from(size).unwrap_or_default());
        let mut changed = Vec::new();
        let mut rest = text.as_slice();
        while !rest.is_empty() {
            let (key, value, after) =
                record(rest).ok_or_else(|| bad("an extended header of it is broken"))?;
            rest = after;
            let number = std::str::from_utf8(value)
                .ok()
                .and_then(|value| value.parse().ok());
            let owner = match (key, number) {
                (b"uname" | b"gname", _) => continue,
                (b"uid", Some(number)) => Some(self.owners.user(number)),
                (b"gid", Some(number)) => Some(self.owners.group(number)),
                (b"size", number) => {
                    self.size = number;
                    None
                }
                _ => None,
            };
            let owner = owner.map(|owner| owner.to_string());
            changed.extend(pax(key, owner.as_deref().map_or(value, str::as_bytes)));
        }
        header.set_size(changed.len() as u64);
        header.set_cksum();
        self.ready.extend(header.as_bytes());
        self.ready.extend(&changed);
        self.ready
            .resize(self.ready.len().next_multiple_of(BLOCK), 0);
        Ok(())
    }
}

impl<R: Read> Read for Shifted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.owners == Owners::default() {
            return self.stream.read(buffer);
        }
        if self.given == self.ready.len() && self.body == 0 && !buffer.is_empty() {
            self.next_header()?;
        }
        if self.given < self.ready.len() {
            let n = buffer.len().min(self.ready.len() - self.given);
            buffer[..n].copy_from_slice(&self.ready[self.given..self.given + n]);
            self.given += n;
            return Ok(n);
        }
        let most = usize::try_from(self.body).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let n = self.stream.read(&mut buffer[..most])?;
        self.body -= n as u64;
        Ok(n)
    }
}

/// Whether there was a whole block; `false` at the end of the stream.
fn read_block(stream: &mut impl Read, block: &mut [u8; BLOCK]) -> io::Result<bool> {
    let mut read = 0;
    while read < BLOCK {
        match stream.read(&mut block[read..]) {
            Ok(0) if read == 0 => return Ok(false),
            Ok(0) => return Err(bad("it ends in the middle of a header")),
            Ok(n) => read += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}

fn padded(size: u64) -> u64 {
    size.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64)
}

/// The key and the value of the first record, and what follows it. A value is any bytes, line breaks too: its length counts.
fn record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let digits = text.iter().position(|b| *b == b' ')?;
    let length: usize = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
    let line = text.get(digits + 1..length)?.strip_suffix(b"\n")?;
    let equals = line.iter().position(|b| *b == b'=')?;
    Some((&line[..equals], &line[equals + 1..], &text[length..]))
}

/// A record of an extended header: its length, which counts itself, the key and the value.
fn pax(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + " =\n".len();
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    let mut record = format!("{length} ").into_bytes();
    record.extend(key);
    record.push(b'=');
    record.extend(value);
    record.push(b'\n');
    record
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

    const SHIFT: Owners = Owners {
        users: 100_000,
        groups: 200_000,
    };

    /// Name, owner, size and content of each entry.
    type Entries = Vec<(String, u64, u64, Vec<u8>)>;

    fn entries(stream: impl Read) -> Entries {
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
                let mut content = Vec::new();
                entry.read_to_end(&mut content).expect("its content");
                (name, uid, gid, content)
            })
            .collect()
    }

    fn archive(owners: &[(u64, u64)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (n, (uid, gid)) in owners.iter().enumerate() {
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(0o640);
            header.set_uid(0);
            header.set_gid(0);
            header.set_username("named").expect("short");
            // As Go's packer does with numbers that are too large for a header.
            let (uid_text, gid_text) = (uid.to_string(), gid.to_string());
            if *uid > 0o7_777_777 || n % 3 == 0 {
                let records = [
                    ("uid", uid_text.as_bytes()),
                    ("gid", gid_text.as_bytes()),
                    ("SCHILY.xattr.user.x", b"a=b".as_slice()),
                ];
                tar.append_pax_extensions(records).expect("records");
            } else {
                header.set_uid(*uid);
                header.set_gid(*gid);
            }
            let content = vec![b'x'; n * 300];
            header.set_size(content.len() as u64);
            let name = format!("f{}/{n}", "long".repeat(n * 10));
            tar.append_data(&mut header, name, content.as_slice())
                .expect("in memory");
        }
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Symlink);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        tar.append_link(&mut header, "link", "target".repeat(30))
            .expect("in memory");
        tar.into_inner().expect("in memory")
    }

    #[test]
    fn owners_become_those_of_containers_and_all_else_stays() {
        let taken: Vec<(u64, u64)> = (0..12).map(|n| (n * 5_000, n * 3_000)).collect();
        let of_host = |(uid, gid): &(u64, u64)| (uid + 100_000, gid + 200_000);
        let given: Vec<_> = taken.iter().map(of_host).collect();
        let (want, stream) = (archive(&taken), archive(&given));
        for piece in [1, 7, 512, 100_000] {
            let mut shifted = SHIFT.of_containers(stream.as_slice());
            let mut got = Vec::new();
            let mut buffer = vec![0; piece];
            loop {
                match shifted.read(&mut buffer).expect("read") {
                    0 => break,
                    n => got.extend(&buffer[..n]),
                }
            }
            assert!(!got.windows(5).any(|word| word == b"named"));
            let (mut want, mut got) = (entries(want.as_slice()), entries(got.as_slice()));
            // The link is root's on the machine, and so nobody's in a container.
            assert_eq!(
                got.pop().map(|link| (link.1, link.2)),
                Some((65_534, 65_534))
            );
            want.pop();
            assert_eq!(got, want);
        }
        let same = Owners::default().of_containers(stream.as_slice());
        assert_eq!(entries(same), entries(stream.as_slice()));
    }

    #[test]
    fn a_stream_that_is_cut_off_is_no_whole_one() {
        let stream = archive(&[(100_001, 200_001), (100_002, 200_002)]);
        let whole = stream.len() - 2 * BLOCK;
        for end in (0..whole).step_by(37) {
            let mut got = Vec::new();
            let read = SHIFT.of_containers(&stream[..end]).read_to_end(&mut got);
            assert!(read.is_err() || got.len() <= end + BLOCK, "{end}");
        }
        let huge = {
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::XHeader);
            header.set_size(u64::MAX >> 4);
            header.set_cksum();
            header.as_bytes().to_vec()
        };
        assert!(
            SHIFT
                .of_containers(huge.as_slice())
                .read_to_end(&mut Vec::new())
                .is_err()
        );
    }

    #[test]
    fn records_of_an_extended_header_are_any_bytes() {
        for value in [
            &b""[..],
            b"=",
            b"a\nb=c\n",
            &[b'x'; 92],
            &[b'x'; 93],
            &[0, 255, 10],
        ] {
            let text = [pax(b"SCHILY.xattr.x", value), pax(b"uid", b"7")].concat();
            let (key, read, rest) = record(&text).expect("a record");
            assert_eq!((key, read), (&b"SCHILY.xattr.x"[..], value));
            assert_eq!(record(rest), Some((&b"uid"[..], &b"7"[..], &b""[..])));
        }
        for broken in [
            "",
            "x",
            "9999 a=b\n",
            "0 a=b\n",
            "1 a=b\n",
            "6 a=b",
            "5 ab\n",
            "18446744073709551615 a=b\n",
        ] {
            assert_eq!(record(broken.as_bytes()), None, "{broken:?}");
        }
    }

    #[test]
    fn a_shift_is_one_for_all_and_upwards() {
        let shift =
            |pairs: &[(u32, u32)]| Owners::of(pairs.iter().map(|(a, b)| ((*a, *a), (*b, *b))));
        assert_eq!(shift(&[(0, 0), (1000, 1000)]), Some(Owners::default()));
        let higher = Owners {
            users: 100_000,
            groups: 100_000,
        };
        assert_eq!(shift(&[(0, 100_000), (1000, 101_000)]), Some(higher));
        assert_eq!(shift(&[(0, 100_000), (1000, 300_000)]), None);
        assert_eq!(shift(&[(0, 0), (1000, 0)]), None);
        assert_eq!(shift(&[]), None);
    }

    proptest! {
        #[test]
        fn any_stream_is_passed_on_or_refused(
            size in prop_oneof![0..2000u64, any::<u64>()],
            kind in prop::sample::select(b"xgL05".to_vec()),
            text in prop::collection::vec(prop_oneof![Just(b' '), Just(b'='), Just(b'\n'), b'0'..=b'9', any::<u8>()], 0..1200),
        ) {
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::new(kind));
            header.set_size(size);
            header.set_cksum();
            let wire = [header.as_bytes(), &text[..]].concat();
            let _ = io::copy(&mut Owners { users: 100_000, groups: 100_000 }.of_containers(&wire[..]), &mut io::sink());
        }
    }
}
