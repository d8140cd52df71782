//! Checks while a tar stream passes whether it is complete. Engines accept a stream without its end if it stops between two
//! entries, and an empty one.
//!
//! The end is a block of zeros where an entry would start. (There should be two; one is accepted, as by every tar. What follows
//! is ignored.) A compressed stream has an end of its own, which the engine notices if it is missing; but a complete compressed
//! stream may contain a truncated tar. So gzip streams are decompressed for this check; bzip2, xz and zstd are left to the
//! engine.

use std::io::{self, Read};

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use crate::error::{Error, ErrorKind, Result};
use crate::store::pax::{self, BLOCK};

/// The maximum distance to which a compressed stream may refer back.
const WINDOW: usize = 32 << 10;

/// What is wrong with a stream that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Empty,
    CutShort,
    /// It was written by `docker save`: an image, and not a root file system.
    SavedImage,
}

/// A tar stream that is being checked. At an invalid end it fails instead of ending, so that the engine does not accept it as
/// complete.
pub(crate) struct Watched<'a> {
    source: &'a mut dyn Read,
    stream: Stream,
    /// Whether it has to be a root file system, and not any files.
    is_root: bool,
    bytes: u64,
    flaw: Option<Flaw>,
}

enum Stream {
    /// Its first bytes, which are too few to decide.
    Unknown(Vec<u8>),
    Plain(Entries),
    Gzip(Box<Gzip<Entries>>),
    Other,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(source: &'a mut dyn Read, is_root: bool) -> Self {
        Watched {
            source,
            stream: Stream::Unknown(Vec::new()),
            is_root,
            bytes: 0,
            flaw: None,
        }
    }

    /// Returns the error that the stream ended with, if there is one.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.flaw {
            None => Ok(()),
            Some(Flaw::Empty) => Err(Error::new(ErrorKind::CutShort, "the tar stream is empty")),
            Some(Flaw::CutShort) => Err(Error::new(
                ErrorKind::CutShort,
                format!(
                    "the tar stream is truncated: it has {} bytes, and no end marker",
                    self.bytes
                ),
            )),
            Some(Flaw::SavedImage) => Err(Error::new(
                ErrorKind::InvalidArgument,
                "this is an image as `docker save` writes it (it has a manifest.json or an oci-layout), and not a root file \
                 system: have the engine load it, and start from the image",
            )),
        }
    }

    fn look(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        match &mut self.stream {
            Stream::Unknown(first) => {
                first.extend_from_slice(bytes);
                if first.len() >= 6 {
                    self.settle();
                }
            }
            Stream::Plain(entries) => entries.take(bytes),
            Stream::Gzip(gzip) => gzip.take(bytes),
            Stream::Other => {}
        }
    }

    fn settle(&mut self) {
        let Stream::Unknown(first) = &mut self.stream else {
            return;
        };
        let first = std::mem::take(first);
        let others: [&[u8]; 3] = [b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];
        self.stream = if first.starts_with(&[0x1f, 0x8b]) {
            let mut gzip = Box::<Gzip<Entries>>::default();
            gzip.take(&first);
            Stream::Gzip(gzip)
        } else if others.iter().any(|magic| first.starts_with(magic)) {
            Stream::Other
        } else {
            let mut entries = Entries::default();
            entries.take(&first);
            Stream::Plain(entries)
        };
    }

    fn flaw_at_end(&mut self) -> Option<Flaw> {
        if self.bytes == 0 {
            return Some(Flaw::Empty);
        }
        self.settle();
        let entries = match &self.stream {
            Stream::Plain(entries) => entries,
            Stream::Gzip(gzip) => &gzip.to,
            _ => return None,
        };
        if self.is_root && entries.is_saved_image() {
            return Some(Flaw::SavedImage);
        }
        (!entries.ended).then_some(Flaw::CutShort)
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        if n > 0 {
            self.look(&buffer[..n]);
            return Ok(n);
        }
        if !buffer.is_empty() {
            self.flaw = self.flaw_at_end();
        }
        match self.flaw {
            None => Ok(0),
            Some(_) => Err(io::Error::other("the tar stream is incomplete")),
        }
    }
}

/// Receives decompressed data, piece by piece.
pub(crate) trait Take {
    fn take(&mut self, bytes: &[u8]);

    /// Returns whether it needs no more.
    fn has_enough(&self) -> bool {
        false
    }
}

impl Take for Entries {
    fn take(&mut self, bytes: &[u8]) {
        Entries::take(self, bytes);
    }

    fn has_enough(&self) -> bool {
        self.ended
    }
}

/// Skips from one entry of a tar to the next.
#[derive(Default)]
struct Entries {
    block: Vec<u8>,
    /// How many bytes of an entry are left, including padding.
    skip: u64,
    /// The bytes that are the records of a pax header.
    records: Option<Vec<u8>>,
    /// The next entry's size according to such records.
    size: Option<u64>,
    /// More blocks of a sparse map follow (the old GNU form).
    more_map: bool,
    ended: bool,
    manifest: bool,
    layout: bool,
    index: bool,
    layers: bool,
}

/// A longer pax header is not accepted as one.
const RECORDS_MAX: u64 = 1 << 20;

impl Entries {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.ended {
            if self.skip > 0 {
                let n = self.skip.min(bytes.len() as u64) as usize;
                if let Some(records) = &mut self.records {
                    records.extend_from_slice(&bytes[..n]);
                }
                self.skip -= n as u64;
                bytes = &bytes[n..];
                if self.skip == 0 {
                    let records = self.records.take();
                    self.size = records.map_or(self.size, |records| size_in(&records));
                }
                continue;
            }
            let n = (BLOCK - self.block.len()).min(bytes.len());
            self.block.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            if self.block.len() == BLOCK {
                let block = std::mem::take(&mut self.block);
                self.header(&block);
            }
        }
    }

    fn header(&mut self, block: &[u8]) {
        if self.more_map {
            self.more_map = block[504] != 0;
            return;
        }
        if block.iter().all(|byte| *byte == 0) {
            self.ended = true;
            return;
        }
        let kind = block[156];
        let written = number(&block[124..136]);
        let size = match kind {
            b'x' | b'g' | b'L' | b'K' => written,
            // These have no data, whatever their size says.
            b'1'..=b'6' => {
                self.size = None;
                0
            }
            _ => self.size.take().unwrap_or(written),
        };
        if kind == b'x' && size <= RECORDS_MAX {
            self.records = Some(Vec::new());
        }
        self.more_map = kind == b'S' && block[482] != 0;
        // A size that no stream can have: the end is then never reached.
        self.skip = size
            .checked_next_multiple_of(BLOCK as u64)
            .unwrap_or(u64::MAX);
        if self.skip == 0 {
            self.records = None;
        }
        self.note(&block[..100]);
    }

    fn note(&mut self, name: &[u8]) {
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = name.strip_prefix(b"./").unwrap_or(name);
        self.manifest |= name == b"manifest.json";
        self.layout |= name == b"oci-layout";
        self.index |= name == b"index.json";
        self.layers |= name.ends_with(b"/layer.tar") || name.starts_with(b"blobs/sha256/");
    }

    fn is_saved_image(&self) -> bool {
        self.layers && self.manifest || self.layout && self.index
    }
}

/// Parses a number in a header: octal digits, or bytes with the highest bit set in front.
fn number(field: &[u8]) -> u64 {
    if field[0] & 0x80 != 0 {
        let bytes = field.iter().skip(1);
        return bytes.fold(u64::from(field[0] & 0x7f), |sum, byte| {
            sum.checked_mul(256)
                .map_or(u64::MAX, |sum| sum | u64::from(*byte))
        });
    }
    let digits = field
        .iter()
        .skip_while(|byte| **byte == b' ')
        .take_while(|byte| matches!(byte, b'0'..=b'7'));
    digits.fold(0, |sum: u64, digit| {
        sum.saturating_mul(8)
            .saturating_add(u64::from(digit - b'0'))
    })
}

/// Returns the size in the records of a pax header.
fn size_in(records: &[u8]) -> Option<u64> {
    let (mut rest, mut size) = (records, None);
    while let Some((key, value, after)) = pax::record(rest) {
        if key == b"size" {
            size = std::str::from_utf8(value).ok();
        }
        rest = after;
    }
    size?.parse().ok()
}

/// A longer gzip header is not accepted as one: it contains a file name, and perhaps a comment.
pub(crate) const HEADER_MAX: usize = 128 << 10;

/// Decompresses a gzip stream, member by member, only for this check.
pub(crate) struct Gzip<T> {
    state: State,
    inflate: Box<DecompressorOxide>,
    window: Vec<u8>,
    at: usize,
    /// What has not been consumed yet.
    input: Vec<u8>,
    pub(crate) to: T,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Body,
    Trailer,
    /// The stream is invalid: the engine reports it.
    Broken,
}

impl<T: Default> Default for Gzip<T> {
    fn default() -> Self {
        Gzip {
            state: State::Header,
            inflate: Box::default(),
            window: vec![0; WINDOW],
            at: 0,
            input: Vec::new(),
            to: T::default(),
        }
    }
}

impl<T: Take> Gzip<T> {
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if self.to.has_enough() || self.state == State::Broken {
            return;
        }
        self.input.extend_from_slice(bytes);
        loop {
            let took = match self.state {
                State::Header
                    if self.input.len() > HEADER_MAX && header_length(&self.input).is_none() =>
                {
                    self.state = State::Broken;
                    self.input = Vec::new();
                    None
                }
                State::Header => header_length(&self.input).inspect(|_| {
                    self.state = State::Body;
                    self.inflate.init();
                    self.at = 0;
                }),
                State::Body => self.body(),
                State::Trailer => (self.input.len() >= 8).then(|| {
                    self.state = State::Header;
                    8
                }),
                State::Broken => None,
            };
            match took {
                Some(took) => drop(self.input.drain(..took)),
                None => return,
            }
        }
    }

    /// Decompresses a part; returns `None` if it needs more input.
    fn body(&mut self) -> Option<usize> {
        let mut took = 0;
        loop {
            let flags = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
            let (status, read, made) = decompress(
                &mut self.inflate,
                &self.input[took..],
                &mut self.window,
                self.at,
                flags,
            );
            took += read;
            self.to.take(&self.window[self.at..self.at + made]);
            self.at = (self.at + made) % WINDOW;
            match status {
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::Done => {
                    self.state = State::Trailer;
                    return Some(took);
                }
                TINFLStatus::NeedsMoreInput | TINFLStatus::FailedCannotMakeProgress => {
                    self.input.drain(..took);
                    return None;
                }
                _ => {
                    self.state = State::Broken;
                    return None;
                }
            }
        }
    }
}

/// Returns the length of a gzip member's header (RFC 1952), once it is complete.
pub(crate) fn header_length(input: &[u8]) -> Option<usize> {
    let flags = *input.get(3)?;
    let mut at = 10;
    if flags & 4 != 0 {
        let length = [*input.get(at)?, *input.get(at + 1)?];
        at += 2 + usize::from(u16::from_le_bytes(length));
    }
    for text in [8, 16] {
        if flags & text != 0 {
            at += input.get(at..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    at += if flags & 2 != 0 { 2 } else { 0 };
    (input.len() >= at).then_some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(tar: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content)
            .expect("in memory");
    }

    fn sample() -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        entry(&mut tar, "a", b"hello");
        entry(&mut tar, "zeros", &[0; 3000]);
        entry(&mut tar, &"long/".repeat(40), b"");
        // Its header does not contain its size; the records before it do.
        tar.append_pax_extensions([("size", &b"700"[..]), ("mtime", b"1.5")])
            .expect("in memory");
        let mut header = tar::Header::new_ustar();
        header.set_path("pax").expect("a name");
        header.set_size(0);
        header.set_cksum();
        tar.get_mut().extend_from_slice(header.as_bytes());
        tar.get_mut().extend_from_slice(&[7; 1024]);
        entry(&mut tar, "b", &[1; 512]);
        tar.into_inner().expect("in memory")
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3, b'n', 0];
        packed.extend(miniz_oxide::deflate::compress_to_vec(bytes, 6));
        // The checksum is not verified here, but by the engine.
        packed.extend([0; 8]);
        packed
    }

    fn flaw(bytes: &[u8], step: usize, is_root: bool) -> Option<Flaw> {
        let mut source = bytes;
        let mut watched = Watched::new(&mut source, is_root);
        let mut buffer = vec![0; step];
        loop {
            match watched.read(&mut buffer) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(_) => return watched.flaw.clone(),
            }
        }
    }

    #[test]
    fn a_stream_is_whole_if_it_comes_to_a_block_of_zeros_where_an_entry_would_begin() {
        let whole = sample();
        let end = whole.len() - 1024;
        for step in [1, 7, 512, 100_000] {
            assert_eq!(flaw(&whole, step, true), None);
            assert_eq!(flaw(&gzip(&whole), step, true), None);
            // One block is an end; what follows it does not matter.
            assert_eq!(flaw(&whole[..end + 512], step, true), None);
            let after = [&whole[..], b"whatever"].concat();
            assert_eq!(flaw(&after, step, true), None);
            assert_eq!(flaw(b"", step, true), Some(Flaw::Empty));
        }
        for cut in (1..end + 512).step_by(37).chain([end, end + 511]) {
            assert_eq!(
                flaw(&whole[..cut], 1000, false),
                Some(Flaw::CutShort),
                "{cut}"
            );
            let packed = gzip(&whole[..cut]);
            assert_eq!(flaw(&packed, 1000, false), Some(Flaw::CutShort), "{cut}");
        }
        let packed = gzip(&whole);
        for cut in 1..packed.len() / 2 {
            assert_eq!(
                flaw(&packed[..cut], 10, false),
                Some(Flaw::CutShort),
                "{cut}"
            );
        }
        // Two members form one stream.
        let two = [gzip(&whole[..700]), gzip(&whole[700..])].concat();
        assert_eq!(flaw(&two, 100, true), None);
    }

    #[test]
    fn a_line_break_in_a_name_ends_no_record() {
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_pax_extensions([("size", &b"5"[..]), ("path", b"a\n14 size=7000\nb")])
            .expect("in memory");
        entry(&mut tar, "short", b"hello");
        let whole = tar.into_inner().expect("in memory");
        assert_eq!(flaw(&whole, 100, false), None);
    }

    #[test]
    fn a_size_that_no_stream_can_have_is_no_panic() {
        let mut header = [0; 1536];
        header[0] = b'x';
        for size in [&[0xff; 12][..], b"777777777777", b"\x80zzzzzzzzzzz"] {
            header[124..136].copy_from_slice(size);
            assert_eq!(flaw(&header, 512, true), Some(Flaw::CutShort));
        }
    }

    #[test]
    fn a_packed_name_without_an_end_is_not_kept() {
        let mut endless = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3];
        endless.resize(4 << 20, b'n');
        let mut gzip = Gzip::<Entries>::default();
        for piece in endless.chunks(8 << 10) {
            gzip.take(piece);
            assert!(gzip.input.len() <= HEADER_MAX + piece.len());
        }
        assert_eq!(flaw(&endless, 8 << 10, true), Some(Flaw::CutShort));
    }

    #[test]
    fn an_image_as_docker_saves_it_is_no_root_file_system() {
        let named = |names: &[&str]| {
            let mut tar = tar::Builder::new(Vec::new());
            names.iter().for_each(|name| entry(&mut tar, name, b"{}"));
            tar.into_inner().expect("in memory")
        };
        for image in [
            &["0123/layer.tar", "0123.json", "manifest.json"][..],
            &[
                "blobs/sha256/01",
                "index.json",
                "oci-layout",
                "manifest.json",
            ],
            &["oci-layout", "index.json"],
        ] {
            let tar = named(image);
            assert_eq!(flaw(&tar, 100, true), Some(Flaw::SavedImage), "{image:?}");
            assert_eq!(flaw(&gzip(&tar), 100, true), Some(Flaw::SavedImage));
            assert_eq!(flaw(&tar, 100, false), None, "{image:?}");
        }
        for files in [
            &["manifest.json", "bin/sh"][..],
            &["index.json"],
            &["srv/layer.tar"],
        ] {
            assert_eq!(flaw(&named(files), 100, true), None, "{files:?}");
        }
    }

    /// Bytes that are almost a tar: headers with sizes of all kinds, records, contents, and arbitrary bytes.
    fn nearly() -> impl Strategy<Value = Vec<u8>> {
        let field = prop_oneof![
            3 => (0..2000u64).prop_map(|size| format!("{size:011o}\0").into_bytes()),
            1 => any::<u64>().prop_map(|size| [&[0x80, 0, 0, 0][..], &size.to_be_bytes()].concat()),
            1 => prop::collection::vec(any::<u8>(), 12),
        ];
        let header = (
            field,
            prop::sample::select(b"0xgLKS15\0".to_vec()),
            any::<bool>(),
        );
        let header = header.prop_map(|(size, kind, more)| {
            let mut block = vec![0; BLOCK];
            block[0] = b'a';
            block[124..136].copy_from_slice(&size);
            block[156] = kind;
            block[482] = u8::from(more);
            block
        });
        let records = prop_oneof![
            (0..3000u64).prop_map(|size| format!("12 size={size}\n")),
            any::<u64>().prop_map(|size| format!("30 mtime=1\n99 size={size}\n")),
            "[0-9]{0,20} size=[0-9-]{0,25}\n?",
        ];
        let records = records.prop_map(|text| {
            let mut block = text.into_bytes();
            block.resize(BLOCK, 0);
            block
        });
        let piece = prop_oneof![
            4 => header,
            2 => records,
            2 => Just(vec![0; BLOCK]),
            1 => prop::collection::vec(any::<u8>(), 0..700),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_stream_has_one_answer_however_it_is_cut_and_packed(wire in nearly(), step in 1..900usize) {
            let whole = flaw(&wire, 1 << 20, true);
            prop_assert_eq!(flaw(&wire, step, true), whole.clone());
            // Contents that look compressed are not decompressed again.
            if !wire.is_empty() && !wire.starts_with(&[0x1f, 0x8b]) {
                prop_assert_eq!(flaw(&gzip(&wire), step, true), whole.clone());
            }
            // A truncated stream is never complete.
            if whole == Some(Flaw::CutShort) {
                prop_assert!(flaw(&wire[..wire.len() / 2], step, true).is_some());
            }
        }

        #[test]
        fn any_bytes_behind_the_head_of_gzip_have_one_answer(
            flags: u8,
            rest in prop::collection::vec(any::<u8>(), 0..200),
            step in 1..50usize,
        ) {
            let wire = [&[0x1f, 0x8b, 8, flags][..], &rest].concat();
            prop_assert_eq!(flaw(&wire, step, true), flaw(&wire, 1 << 20, true));
        }
    }
}
