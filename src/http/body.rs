//! [`Decoder`]: finds where a response's body ends, and which of the bytes before that are its content.
//!
//! It reads no socket and copies nothing: it is given the bytes that have arrived and says what they are. So any split of the
//! stream results in the same body, which the tests check split by split.

use super::Failure;

/// How the end of a body is determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    /// By the end of the connection.
    UntilEnd,
}

/// The maximum number of bytes of a chunk's extensions, and of the trailers at the body's end. No engine is known to send
/// either; the limit is for servers that are no engine.
const OVERHEAD: usize = 16 << 10;

/// Follows one body from its first byte to its end.
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    /// Bytes that were neither content nor a size, since the last content.
    overhead: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// This much content, then the end.
    Length(u64),
    UntilEnd,
    /// Before the first digit of a chunk's size.
    NoDigit,
    Size(u64),
    /// After the digits of a size: white space.
    Blank(u64),
    Extension(u64),
    /// After the carriage return at the end of a size line.
    SizeReturn(u64),
    Data(u64),
    DataEnd,
    DataReturn,
    /// At the start of a trailer line; an empty one is the last.
    Trailers,
    TrailersReturn,
    Trailer,
    Done,
    Bad(&'static str),
    TooLarge,
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::NoDigit,
            Framing::UntilEnd => State::UntilEnd,
        };
        Decoder { state, overhead: 0 }
    }

    /// Examines what has arrived. Returns how many bytes are framing, which is thereby consumed, and how many bytes after them
    /// are content, which must be acknowledged with [`took`](Self::took). If there is no content, more must arrive, or the body
    /// [is done](Self::is_done).
    pub(super) fn next(&mut self, input: &[u8]) -> Result<(usize, usize), Failure> {
        let mut framing = 0;
        loop {
            match self.state {
                State::Bad(why) => return Err(Failure::Malformed(String::from(why))),
                State::TooLarge => return Err(Failure::TooLarge("framing of a chunk")),
                State::Done => return Ok((framing, 0)),
                _ => {}
            }
            let rest = &input[framing..];
            let content = self.content();
            if content > 0 || rest.is_empty() {
                return Ok((framing, content.min(rest.len())));
            }
            self.state = self.step(rest[0]);
            framing += 1;
        }
    }

    /// Returns the state after one byte of framing.
    fn step(&mut self, byte: u8) -> State {
        match self.state {
            State::NoDigit | State::Size(_) | State::Data(_) | State::Done => {}
            _ => self.overhead += 1,
        }
        if self.overhead > OVERHEAD {
            return State::TooLarge;
        }
        match (self.state, byte) {
            (State::NoDigit | State::Size(_), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.digit(byte)
            }
            (State::NoDigit, _) => State::Bad("a chunk without a size"),
            (State::Size(n) | State::Blank(n), b' ' | b'\t') => State::Blank(n),
            (State::Size(n) | State::Blank(n), b';') => State::Extension(n),
            (State::Size(n) | State::Blank(n) | State::Extension(n), b'\r') => State::SizeReturn(n),
            (
                State::Size(n) | State::Blank(n) | State::Extension(n) | State::SizeReturn(n),
                b'\n',
            ) => match n {
                0 => State::Trailers,
                _ => State::Data(n),
            },
            (State::Size(_) | State::Blank(_), _) => {
                State::Bad("a chunk's size that is not a number")
            }
            (State::Extension(n), _) => State::Extension(n),
            (State::DataEnd, b'\r') => State::DataReturn,
            (State::DataEnd | State::DataReturn, b'\n') => State::NoDigit,
            (State::DataEnd, _) => State::Bad("a chunk longer than its size"),
            (State::Trailers, b'\r') => State::TrailersReturn,
            (State::Trailers | State::TrailersReturn, b'\n') => State::Done,
            (State::Trailer, b'\n') => State::Trailers,
            (State::Trailers | State::Trailer, _) => State::Trailer,
            (State::SizeReturn(_) | State::DataReturn | State::TrailersReturn, _) => {
                State::Bad("a carriage return that ends no line")
            }
            (
                State::Length(_)
                | State::UntilEnd
                | State::Data(_)
                | State::Done
                | State::Bad(_)
                | State::TooLarge,
                _,
            ) => unreachable!("no framing follows"),
        }
    }

    fn digit(&mut self, byte: u8) -> State {
        let before = match self.state {
            State::Size(n) => n,
            _ => 0,
        };
        // Leading zeros are allowed, but not without limit.
        self.overhead += usize::from(before == 0);
        let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
        match before.checked_mul(16) {
            Some(shifted) => State::Size(shifted | digit),
            None => State::Bad("a chunk's size beyond 64 bits"),
        }
    }

    /// Returns how many content bytes come next, before any framing: they may be received directly into the caller's buffer.
    pub(super) fn content(&self) -> usize {
        match self.state {
            State::Length(n) | State::Data(n) => usize::try_from(n).unwrap_or(usize::MAX),
            State::UntilEnd => usize::MAX,
            _ => 0,
        }
    }

    /// Acknowledges that `n` content bytes, of the next [`content`](Self::content), were taken.
    pub(super) fn took(&mut self, n: usize) {
        debug_assert!(n <= self.content());
        if n == 0 {
            return;
        }
        let n = n as u64;
        self.state = match self.state {
            State::Length(left) if left == n => State::Done,
            State::Length(left) => State::Length(left - n),
            State::Data(left) if left == n => State::DataEnd,
            State::Data(left) => State::Data(left - n),
            other => other,
        };
        self.overhead = 0;
    }

    /// Says that the connection has ended: this ends some bodies, and truncates others.
    pub(super) fn ended(&mut self) -> Result<(), Failure> {
        match self.state {
            State::UntilEnd | State::Done => {
                self.state = State::Done;
                Ok(())
            }
            _ => Err(Failure::CutShort),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes `input`, passed in pieces of `piece` bytes, followed by the end of the connection.
    fn decode(framing: Framing, input: &[u8], piece: usize) -> Result<(Vec<u8>, usize), Failure> {
        let mut decoder = Decoder::new(framing);
        let mut body = Vec::new();
        let (mut start, mut end) = (0, 0);
        loop {
            let (framing, content) = decoder.next(&input[start..end])?;
            start += framing;
            body.extend_from_slice(&input[start..start + content]);
            start += content;
            decoder.took(content);
            if decoder.is_done() {
                return Ok((body, start));
            }
            if content == 0 {
                if end == input.len() {
                    decoder.ended()?;
                } else {
                    end = input.len().min(end + piece);
                }
            }
        }
    }

    /// Returns the body of `input`, which must be the same for every piece size, and its length on the wire.
    fn chunked(input: &[u8]) -> Result<(Vec<u8>, usize), Failure> {
        let whole = decode(Framing::Chunked, input, usize::MAX);
        for piece in 1..input.len().min(64) {
            let split = decode(Framing::Chunked, input, piece);
            assert_eq!(format!("{split:?}"), format!("{whole:?}"), "{piece}");
        }
        whole
    }

    #[test]
    fn a_length_is_neither_exceeded_nor_fallen_short_of() {
        for piece in 1..8 {
            let whole = decode(Framing::Length(5), b"helloX", piece).unwrap();
            assert_eq!(whole, (b"hello".to_vec(), 5));
            let short = decode(Framing::Length(5), b"hell", piece);
            assert!(matches!(short, Err(Failure::CutShort)));
        }
        assert_eq!(decode(Framing::Length(0), b"", 1).unwrap(), (vec![], 0));
    }

    #[test]
    fn without_a_length_the_end_of_the_connection_is_the_end() {
        assert_eq!(decode(Framing::UntilEnd, b"hello", 2).unwrap().0, b"hello");
        assert_eq!(decode(Framing::UntilEnd, b"", 2).unwrap().0, b"");
    }

    #[test]
    fn chunks_may_carry_extensions_and_trailers() {
        for input in [
            &b"5\r\nhello\r\n0\r\n\r\n"[..],
            b"0000005\r\nhello\r\n000\r\n\r\n",
            b"2;a=b;c=\"d;e\"\r\nhe\r\n3 \t; x\r\nllo\r\n0;last\r\n\r\n",
            b"5  \r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n",
            b"5\nhello\n0\n\n",
            b"1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\nT: \r\r\n\r\n",
        ] {
            let (body, length) = chunked(input).unwrap();
            assert_eq!((body.as_slice(), length), (&b"hello"[..], input.len()));
            // What follows is not read.
            let (_, length) = chunked(&[input, b"HTTP/1.1"].concat()).unwrap();
            assert_eq!(length, input.len());
            // And any shorter input is incomplete.
            for cut in 0..input.len() {
                let short = chunked(&input[..cut]);
                assert!(matches!(short, Err(Failure::CutShort)), "{cut}");
            }
        }
        let (body, _) = chunked(b"A\r\n0123456789\r\n0\r\n\r\n").unwrap();
        assert_eq!(body, b"0123456789");
    }

    #[test]
    fn what_is_no_chunk_is_malformed() {
        for input in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-5\r\nhello\r\n",
            b"0x5\r\nhello\r\n",
            b"5 5\r\nhello\r\n",
            b"5\rhello",
            b"5;a\rb\r\nhello\r\n",
            b"5\r\nhello!\r\n0\r\n\r\n",
            b"5\r\nhello\rX",
            b"0\r\n\rX",
            b"10000000000000000\r\n",
            b"fffffffffffffffff\r\n",
        ] {
            let refused = chunked(input);
            assert!(matches!(refused, Err(Failure::Malformed(_))), "{input:?}");
        }
        // The largest size does not overflow: the content just never arrives.
        let largest = chunked(b"ffffffffffffffff\r\nhello");
        assert!(matches!(largest, Err(Failure::CutShort)));
    }

    #[test]
    fn framing_without_end_is_refused() {
        let filler = vec![b'0'; OVERHEAD + 2];
        for start in [&b"5;"[..], b"0\r\n", b"0\r\nA: b\r\n", b""] {
            let refused = decode(Framing::Chunked, &[start, &filler].concat(), 1000);
            assert!(matches!(refused, Err(Failure::TooLarge(_))), "{start:?}");
        }
        // The limit applies to each chunk, not to the body.
        let chunk = [b"1;", &filler[..OVERHEAD / 2], b"\r\nx\r\n"].concat();
        let body = [chunk.repeat(4), b"0\r\n\r\n".to_vec()].concat();
        assert_eq!(decode(Framing::Chunked, &body, 1000).unwrap().0, b"xxxx");
    }

    #[test]
    fn an_error_stays_an_error() {
        let mut decoder = Decoder::new(Framing::Chunked);
        assert!(decoder.next(b"x").is_err());
        assert!(decoder.next(b"5\r\nhello\r\n0\r\n\r\n").is_err());
        assert!(!decoder.is_done());
    }

    proptest! {
        #[test]
        fn any_content_in_any_chunks_comes_out_whole(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8),
            piece in 1..200usize,
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            let (body, length) = decode(Framing::Chunked, &wire, piece).unwrap();
            prop_assert_eq!(body, chunks.concat());
            prop_assert_eq!(length, wire.len());
        }

        #[test]
        fn any_bytes_at_all_give_one_answer_however_they_are_split(
            input in "[0-3a;\r\n xX]{0,40}",
            piece in 1..40usize,
        ) {
            let whole = decode(Framing::Chunked, input.as_bytes(), usize::MAX);
            let split = decode(Framing::Chunked, input.as_bytes(), piece);
            prop_assert_eq!(format!("{whole:?}"), format!("{split:?}"));
        }
    }
}
