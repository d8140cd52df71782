//! [`Gunzip`]: decompresses a gzip stream while it is read. Checksums are not verified, because the reader has digests of the
//! contents.

use std::io::{self, Read};

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use crate::store::tar_end::{HEADER_MAX, header_length};

/// The bytes that every member of a gzip stream starts with.
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The buffer size for reading the source.
const PIECE: usize = 64 << 10;

/// The length of the trailer of a member.
const TRAILER: usize = 8;

/// Reads a gzip stream, member by member.
pub(crate) struct Gunzip<R> {
    source: R,
    input: Vec<u8>,
    /// How much of `input` was consumed.
    at: usize,
    inflate: Box<InflateState>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Body,
    Trailer,
    Ended,
}

impl<R: Read> Gunzip<R> {
    pub(crate) fn new(source: R) -> Self {
        Gunzip {
            source,
            input: Vec::new(),
            at: 0,
            inflate: InflateState::new_boxed(DataFormat::Raw),
            state: State::Header,
        }
    }

    /// Reads more of the source; `false` at its end.
    fn fill(&mut self) -> io::Result<bool> {
        self.input.drain(..self.at);
        self.at = 0;
        let old = self.input.len();
        self.input.resize(old + PIECE, 0);
        let read = self.source.read(&mut self.input[old..]);
        self.input.truncate(old + *read.as_ref().unwrap_or(&0));
        read.map(|n| n > 0)
    }

    fn ahead(&self) -> &[u8] {
        &self.input[self.at..]
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let more = match self.state {
                State::Ended => return Ok(0),
                State::Header => match header_length(self.ahead()) {
                    _ if self.ahead().len() >= MAGIC.len() && !self.ahead().starts_with(&MAGIC) => {
                        return Err(senseless("its header is invalid"));
                    }
                    Some(length) => {
                        self.at += length;
                        self.inflate = InflateState::new_boxed(DataFormat::Raw);
                        self.state = State::Body;
                        continue;
                    }
                    None if self.ahead().len() > HEADER_MAX => {
                        return Err(senseless("its header has no end"));
                    }
                    None => self.ahead().len() + 1,
                },
                State::Body => {
                    let done = inflate(
                        &mut self.inflate,
                        &self.input[self.at..],
                        buffer,
                        MZFlush::None,
                    );
                    self.at += done.bytes_consumed;
                    match done.status {
                        Ok(MZStatus::StreamEnd) => self.state = State::Trailer,
                        Ok(_) | Err(MZError::Buf) => {}
                        Err(_) => return Err(senseless("its data is invalid")),
                    }
                    match done.bytes_written {
                        0 if self.state == State::Trailer => continue,
                        0 if done.bytes_consumed > 0 => continue,
                        0 => 1,
                        n => return Ok(n),
                    }
                }
                State::Trailer if self.ahead().len() < TRAILER => TRAILER,
                State::Trailer => {
                    self.at += TRAILER;
                    // The next member, or the end; some streams are padded with zeros.
                    while self.ahead().is_empty() && self.fill()? {}
                    self.state = match self.ahead().starts_with(&MAGIC[..1]) {
                        true => State::Header,
                        false => State::Ended,
                    };
                    continue;
                }
            };
            if !self.fill()? && self.ahead().len() < more {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the gzip stream is truncated",
                ));
            }
        }
    }
}

fn senseless(why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the gzip stream cannot be decompressed: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    /// Supplies bytes in pieces of a given size.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(buffer.len()).min(self.0.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    /// The stored form (RFC 1951, 3.2.4) needs no compressor.
    fn stored(bytes: &[u8]) -> Vec<u8> {
        let mut packed = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3];
        packed.extend_from_slice(b"a name\0");
        let length = u16::try_from(bytes.len()).expect("short");
        packed.push(1);
        packed.extend(length.to_le_bytes());
        packed.extend((!length).to_le_bytes());
        packed.extend_from_slice(bytes);
        packed.extend([0; TRAILER]);
        packed
    }

    fn unpack(packed: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Gunzip::new(Pieces(packed, piece)).read_to_end(&mut out)?;
        Ok(out)
    }

    #[cfg(unix)]
    #[test]
    fn what_gzip_packs_is_unpacked_and_every_cut_is_seen() {
        let script = "seq 1 20000 | gzip -1; echo end | gzip -9";
        let made = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::null())
            .output()
            .expect("gzip");
        let packed = made.stdout;
        let plain: String = (1..=20_000).map(|n| format!("{n}\n")).collect();
        for piece in [1, 7, 4096, 1 << 20] {
            let text = unpack(&packed, piece).expect("unpacked");
            assert_eq!(text, format!("{plain}end\n").as_bytes(), "{piece}");
        }
        for cut in (0..packed.len()).step_by(997) {
            let first = unpack(&packed[..cut], 4096);
            assert!(first.is_err(), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_out_as_they_went_in_or_are_refused(
            one in prop::collection::vec(any::<u8>(), 0..300),
            two in prop::collection::vec(any::<u8>(), 0..300),
            piece in 1..50usize,
            spoilt in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut packed = [stored(&one), stored(&two)].concat();
            if let Some((at, byte)) = spoilt {
                let at = at.index(packed.len());
                packed[at] = byte;
                let _ = unpack(&packed, piece);
            } else {
                prop_assert_eq!(unpack(&packed, piece).expect("unpacked"), [one, two].concat());
                let padded = [packed, vec![0; 100]].concat();
                prop_assert!(unpack(&padded, piece).is_ok());
            }
        }
    }
}
