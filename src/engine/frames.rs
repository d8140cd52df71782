//! The frames in which an engine sends a container's stdout and stderr over one connection: `[kind, 0, 0, 0, length as 4 bytes,
//! big-endian]`, then the data (Engine API, "Attach to a container").

/// Which stream a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Stdout,
    Stderr,
    /// An error of the engine itself, sent in band.
    Daemon,
}

/// Splits a byte stream into frames, wherever the reads happen to cut it.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    head: [u8; 8],
    /// How many bytes of `head` have arrived.
    have: usize,
    /// How many bytes of the frame's body are left.
    left: usize,
}

/// A kind of frame that no engine sends: the stream is invalid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownKind(pub(crate) u8);

impl Frames {
    /// Parses the next `bytes` of the stream and passes the pieces of frames in them to `sink`, in order.
    pub(crate) fn feed<E: From<UnknownKind>>(
        &mut self,
        mut bytes: &[u8],
        mut sink: impl FnMut(Channel, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            if self.left == 0 {
                let take = (self.head.len() - self.have).min(bytes.len());
                self.head[self.have..self.have + take].copy_from_slice(&bytes[..take]);
                self.have += take;
                bytes = &bytes[take..];
                if self.have < self.head.len() {
                    break;
                }
                self.channel()?;
                let [_, _, _, _, a, b, c, d] = self.head;
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                if self.left == 0 {
                    self.have = 0;
                }
                continue;
            }
            let take = self.left.min(bytes.len());
            sink(self.channel()?, &bytes[..take])?;
            self.left -= take;
            if self.left == 0 {
                self.have = 0;
            }
            bytes = &bytes[take..];
        }
        Ok(())
    }

    /// Returns whether the stream may end here: between two frames.
    pub(crate) fn is_whole(&self) -> bool {
        self.have == 0
    }

    fn channel(&self) -> Result<Channel, UnknownKind> {
        match self.head[0] {
            // 0 is stdin, which engines write to stdout.
            0 | 1 => Ok(Channel::Stdout),
            2 => Ok(Channel::Stderr),
            3 => Ok(Channel::Daemon),
            other => Err(UnknownKind(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut f = vec![kind, 0, 0, 0];
        f.extend((body.len() as u32).to_be_bytes());
        f.extend(body);
        f
    }

    fn run(pieces: &[&[u8]]) -> (Vec<u8>, Vec<u8>, bool) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut frames = Frames::default();
        for piece in pieces {
            frames
                .feed::<UnknownKind>(piece, |channel, bytes| {
                    match channel {
                        Channel::Stdout => out.extend_from_slice(bytes),
                        _ => err.extend_from_slice(bytes),
                    }
                    Ok(())
                })
                .expect("known kinds");
        }
        (out, err, frames.is_whole())
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_bytes() {
        let mut stream = frame(1, b"hello ");
        stream.extend(frame(2, b"oops"));
        stream.extend(frame(1, b""));
        stream.extend(frame(0, b"world"));
        for a in 0..=stream.len() {
            for b in a..=stream.len() {
                let got = run(&[&stream[..a], &stream[a..b], &stream[b..]]);
                assert_eq!(got, (b"hello world".to_vec(), b"oops".to_vec(), true));
            }
        }
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_not_whole() {
        let stream = frame(1, b"hello");
        for cut in 1..stream.len() {
            assert!(!run(&[&stream[..cut]]).2, "cut at {cut}");
        }
    }

    #[test]
    fn an_unknown_kind_is_an_error() {
        let mut frames = Frames::default();
        let got = frames.feed::<UnknownKind>(&frame(7, b"x"), |_, _| Ok(()));
        assert_eq!(got, Err(UnknownKind(7)));
    }

    /// Returns the outcome of a stream: the pieces of each channel, joined, and whether it consists of complete frames.
    fn essence<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<u8>, Vec<u8>, Vec<u8>, Option<bool>) {
        let (mut frames, mut seen) = (Frames::default(), [Vec::new(), Vec::new(), Vec::new()]);
        let mut whole = Ok(());
        for piece in pieces {
            whole = frames.feed(piece, |channel, bytes| {
                seen[channel as usize].extend_from_slice(bytes);
                Ok::<(), UnknownKind>(())
            });
            if whole.is_err() {
                break;
            }
        }
        let [out, err, daemon] = seen;
        (out, err, daemon, whole.ok().map(|()| frames.is_whole()))
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_wherever_the_stream_is_cut(
            sent in prop::collection::vec((0..4u8, prop::collection::vec(any::<u8>(), 0..40)), 0..8),
            cut in 1..30usize,
        ) {
            let wire: Vec<u8> = sent.iter().flat_map(|(kind, body)| frame(*kind, body)).collect();
            let joined = |kinds: [u8; 2]| -> Vec<u8> {
                let of = sent.iter().filter(|(kind, _)| kinds.contains(kind));
                of.flat_map(|(_, body)| body.clone()).collect()
            };
            let want = (joined([0, 1]), joined([2, 2]), joined([3, 3]), Some(true));
            prop_assert_eq!(essence(wire.chunks(cut)), want);
        }

        #[test]
        fn any_bytes_give_one_answer_however_they_are_cut(
            wire in prop::collection::vec(prop_oneof![0..5u8, any::<u8>()], 0..200),
            cut in 1..30usize,
        ) {
            prop_assert_eq!(essence(wire.chunks(cut)), essence([&wire[..]]));
        }
    }
}
