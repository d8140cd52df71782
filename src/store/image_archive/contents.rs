//! [`Contents`]: the digest of a layer's uncompressed contents, computed while they pass: an image's configuration identifies
//! the layer by it.

use sha2::{Digest, Sha256};

use crate::store::gunzip::MAGIC;
use crate::store::names::hex;
use crate::store::tar_end::{Gzip, Take};

/// The start of files of other compressors: bzip2, xz, zstd.
const OTHERS: [&[u8]; 3] = [b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"];

/// A file, examined from its start.
#[derive(Default)]
pub(super) struct Contents {
    first: Vec<u8>,
    kind: Option<Kind>,
}

enum Kind {
    Plain(Sha256),
    Gzip(Box<Gzip<Sum>>),
    /// Compressed in a form that is not decompressed here.
    Other,
}

/// The digest so far.
#[derive(Default)]
struct Sum(Sha256);

impl Take for Sum {
    fn take(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

impl Contents {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        match &mut self.kind {
            Some(kind) => kind.take(bytes),
            None => {
                self.first.extend_from_slice(bytes);
                if self.first.len() >= OTHERS[1].len() {
                    self.settle();
                }
            }
        }
    }

    fn settle(&mut self) {
        let first = std::mem::take(&mut self.first);
        let mut kind = if first.starts_with(&MAGIC) {
            Kind::Gzip(Box::default())
        } else if OTHERS.iter().any(|magic| first.starts_with(magic)) {
            Kind::Other
        } else {
            Kind::Plain(Sha256::new())
        };
        kind.take(&first);
        self.kind = Some(kind);
    }

    /// Returns the digest, `sha256:…`, of everything that was read; `None` if it was not decompressed here.
    pub(super) fn digest(mut self) -> Option<String> {
        if self.kind.is_none() {
            self.settle();
        }
        let sum = match self.kind? {
            Kind::Plain(sum) => sum,
            Kind::Gzip(gzip) => gzip.to.0,
            Kind::Other => return None,
        };
        Some(format!("sha256:{}", hex(&sum.finalize())))
    }

    /// Returns the digest of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Option<String> {
        let mut contents = Contents::default();
        contents.take(bytes);
        contents.digest()
    }
}

impl Kind {
    fn take(&mut self, bytes: &[u8]) {
        match self {
            Kind::Plain(sum) => sum.update(bytes),
            Kind::Gzip(gzip) => gzip.take(bytes),
            Kind::Other => {}
        }
    }
}
