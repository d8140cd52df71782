//! Whether this process and the engine see the same files: a sample is written both ways, and everything that a cache needs is
//! compared.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use tar::EntryType;

use crate::store::cache::files::look::RootLook;
use crate::store::cache::files::owners::Owners;
use crate::store::cache::files::tar::{archive, folder};
use crate::store::cache::files::trial;
use crate::store::tar_entry::{self, padding, parts, skip};

/// Owners that must be kept apart: root, two different ones, a normal user's, and the last one that most user namespaces have.
const OWNERS: [(u32, u32); 4] = [(0, 0), (1, 2), (1000, 1001), (65_534, 65_533)];

/// The owner and the attributes of what is created as files.
const OWN: (u32, u32) = (3, 4);
const LOOK: RootLook = RootLook {
    mode: 0o2750,
    mtime: (1_000_000_007, 0),
};

/// A directory with a subdirectory for each of several owners, and a file.
pub(crate) struct Sample {
    token: String,
    owners: &'static [(u32, u32)],
}

/// What is compared of an entry: its kind, owner, mode, time and content.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    kind: EntryType,
    owner: (u64, u64),
    mode: u32,
    mtime: u64,
    content: Vec<u8>,
}

impl Sample {
    /// `token` is the directory's name, which no other trial uses.
    pub(crate) fn of_all_owners(token: &str) -> Self {
        Sample {
            token: token.to_owned(),
            owners: &OWNERS,
        }
    }

    /// With owners that exist in any user namespace.
    pub(crate) fn of_few_owners(token: &str) -> Self {
        Sample {
            token: token.to_owned(),
            owners: &OWNERS[..OWNERS.len() - 1],
        }
    }

    /// Returns the tar stream that creates it in a volume.
    pub(crate) fn stream(&self) -> Vec<u8> {
        let plain = RootLook {
            mode: 0o755,
            ..LOOK
        };
        let first = folder(&format!("{}/", self.token), (0, 0), plain);
        let owned = self.owners.iter().enumerate();
        let owned = owned.map(|(n, owner)| folder(&format!("{}/{n}/", self.token), *owner, LOOK));
        archive([first].into_iter().chain(owned))
    }

    /// Determines how the engine changes owners, from the archive in which it returns the sample.
    pub(crate) fn owners(&self, given: &[u8]) -> Option<Owners> {
        let given = self.read(given).ok()?;
        let pairs = self.owners.iter().enumerate().map(|(n, taken)| {
            let entry = given.get(&n.to_string())?;
            let number = |n: u64| u32::try_from(n).ok();
            Some((*taken, (number(entry.owner.0)?, number(entry.owner.1)?)))
        });
        Owners::of(pairs.collect::<Option<Vec<_>>>()?)
    }

    /// Returns whether the sample at `place` is as it was sent to the engine.
    pub(crate) fn is_seen(&self, place: &Path) -> io::Result<()> {
        for (n, owner) in self.owners.iter().enumerate() {
            let seen = trial::folder(&place.join(n.to_string()))?;
            if seen != (*owner, LOOK) {
                let why = format!(
                    "the owner {owner:?} and the look {LOOK:?} that the engine was given are seen as {seen:?}"
                );
                return Err(io::Error::other(why));
            }
        }
        Ok(())
    }

    /// Creates a file of each kind that direct copying creates.
    pub(crate) fn add(&self, place: &Path) -> io::Result<()> {
        trial::add(place, self.token.as_bytes(), OWN, LOOK)
    }

    /// Returns whether the engine's archive contains what was added. Owners are ignored if the engine never reports them.
    pub(crate) fn is_added(&self, given: &[u8], owned: bool) -> bool {
        let Ok(given) = self.read(given) else {
            return false;
        };
        let owner = (OWN.0.into(), OWN.1.into());
        let is = |name: &str, kind, owner| {
            let entry = given.get(name);
            entry.is_some_and(|entry| entry.kind == kind && (!owned || entry.owner == owner))
        };
        let file = given.get("f").is_some_and(|file| {
            let look = (file.mode, file.mtime, file.content.as_slice());
            look == (
                LOOK.mode,
                LOOK.mtime.0.unsigned_abs(),
                self.token.as_bytes(),
            )
        });
        file && is("f", EntryType::Regular, owner)
            && is("d", EntryType::Directory, owner)
            && is("w", EntryType::Char, (0, 0))
    }

    /// Returns the contents of an archive of the directory, by name.
    fn read(&self, archive: &[u8]) -> io::Result<BTreeMap<String, Entry>> {
        let mut archive = archive;
        let mut read = BTreeMap::new();
        while let Some(entry) = tar_entry::next(&mut archive)? {
            let (size, owner) = (entry.size()?, entry.owner()?);
            let mut content = Vec::new();
            Read::take(&mut archive, size).read_to_end(&mut content)?;
            skip(&mut archive, padding(size))?;
            let name = parts(&entry.path()).pop().unwrap_or_default();
            let name = String::from_utf8_lossy(&name).into_owned();
            let header = entry.header;
            let found = Entry {
                kind: header.entry_type(),
                owner,
                mode: header.mode()? & 0o7777,
                mtime: header.mtime()?,
                content,
            };
            read.insert(name, found);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(sample: &Sample, change: impl Fn(&mut tar::Header)) -> Vec<u8> {
        let stream = sample.stream();
        let mut out = Vec::new();
        for block in stream.chunks(512) {
            let mut header = tar::Header::new_old();
            header.as_mut_bytes().copy_from_slice(block);
            if block.iter().any(|b| *b != 0) {
                change(&mut header);
                header.set_cksum();
            }
            out.extend(header.as_bytes());
        }
        out
    }

    #[test]
    fn owners_that_come_back_otherwise_are_seen() {
        let sample = Sample::of_all_owners("token");
        let shifted = |users, groups| {
            given(&sample, |header| {
                header.set_uid(header.uid().expect("a user") + users);
                header.set_gid(header.gid().expect("a group") + groups);
            })
        };
        let owners = |users, groups| Some(Owners { users, groups });
        assert_eq!(sample.owners(&shifted(0, 0)), owners(0, 0));
        assert_eq!(
            sample.owners(&shifted(100_000, 200_000)),
            owners(100_000, 200_000)
        );
        // All mapped to one owner, as an NFS server with root squashing does; and an incomplete sample.
        assert_eq!(
            sample.owners(&given(&sample, |header| header.set_uid(65_534))),
            None
        );
        assert_eq!(sample.owners(&sample.stream()[..1024]), None);
    }
}
