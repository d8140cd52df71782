//! [`Contents`]: the digest of what is in a layer's file, as it passes: by that an image's configuration knows the layer.

use sha2::{Digest, Sha256};

use crate::store::gunzip::MAGIC;
use crate::store::names::hex;
use crate::store::tar_end::{Gzip, Take};

/// What other packers' files begin with: bzip2, xz, zstd.
const OTHERS: [&[u8]; 3] = [b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"];

/// A file, looked at from its beginning.
#[derive(Default)]
pub(super) struct Contents {
    first: Vec<u8>,
    kind: Option<Kind>,
}

enum Kind {
    Plain(Sha256),
    Gzip(Box<Gzip<Sum>>),
    /// Packed in a way that is not unpacked here.
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

    /// The digest, `sha256:…`, of all that there was; `None` where it is not unpacked here.
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

    /// That of these bytes.
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
