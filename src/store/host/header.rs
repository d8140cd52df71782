//! The header blocks of a tar entry. They are built by hand, because the stream is produced while it is read, and no writer can
//! be used.

use tar::{EntryType, Header};

use crate::os::Facts;
use crate::store::pax::{self, BLOCK};

/// The maximum length of a name and a link in an old header.
const SHORT: usize = 100;

/// The metadata of an entry.
pub(super) struct Entry<'a> {
    pub(super) kind: EntryType,
    pub(super) name: &'a [u8],
    pub(super) link: &'a [u8],
    pub(super) size: u64,
    pub(super) facts: &'a Facts,
}

impl Entry<'_> {
    /// Appends the entry's header to `stream`, preceded by what does not fit into it.
    pub(super) fn write(&self, stream: &mut Vec<u8>) {
        let mut records = Vec::new();
        if self.name.len() > SHORT {
            pax::add(&mut records, b"path", self.name);
        }
        if self.link.len() > SHORT {
            pax::add(&mut records, b"linkpath", self.link);
        }
        let (seconds, nanos) = self.facts.changed;
        if nanos != 0 || seconds < 0 {
            pax::add(&mut records, b"mtime", moment(seconds, nanos).as_bytes());
        }
        if !records.is_empty() {
            let mut header = Header::new_ustar();
            fill(&mut header.as_old_mut().name, b"PaxHeaders/next");
            header.set_entry_type(EntryType::XHeader);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(records.len() as u64);
            header.set_cksum();
            stream.extend_from_slice(header.as_bytes());
            stream.extend_from_slice(&records);
            stream.resize(stream.len().next_multiple_of(BLOCK), 0);
        }
        let mut header = Header::new_ustar();
        fill(&mut header.as_old_mut().name, self.name);
        fill(&mut header.as_old_mut().linkname, self.link);
        header.set_entry_type(self.kind);
        header.set_mode(self.facts.mode);
        header.set_uid(self.facts.owner.0.into());
        header.set_gid(self.facts.owner.1.into());
        header.set_mtime(seconds.max(0).unsigned_abs());
        header.set_size(self.size);
        if let Some(ustar) = header.as_ustar_mut() {
            ustar.set_device_major(self.facts.device.0);
            ustar.set_device_minor(self.facts.device.1);
        }
        header.set_cksum();
        stream.extend_from_slice(header.as_bytes());
    }
}

/// Writes as much of `bytes` as fits.
fn fill(field: &mut [u8], bytes: &[u8]) {
    let n = bytes.len().min(field.len());
    field[..n].copy_from_slice(&bytes[..n]);
}

/// Formats seconds since 1970 with a fraction: half a second before that is -0.5.
fn moment(seconds: i64, nanos: u32) -> String {
    match (seconds, nanos) {
        (seconds, 0) => seconds.to_string(),
        (0.., nanos) => format!("{seconds}.{nanos:09}"),
        (seconds, nanos) => {
            format!(
                "-{}.{:09}",
                (seconds + 1).unsigned_abs(),
                1_000_000_000 - nanos
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_before_1970_is_negative_as_a_whole() {
        assert_eq!(moment(5, 0), "5");
        assert_eq!(moment(5, 10), "5.000000010");
        assert_eq!(moment(-1, 500_000_000), "-0.500000000");
        assert_eq!(moment(-2, 0), "-2");
    }
}
