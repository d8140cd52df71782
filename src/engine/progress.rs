//! Progress streams: JSON values, one after the other, with errors in band (image import, load, pull and push).

use serde::Deserialize;

use crate::engine::Engine;
use crate::engine::call::one_line;
use crate::error::{Error, ErrorKind, Result};
use crate::http::Response;
use crate::wait::Wait;

/// A longer message is not a progress message. An engine's messages have some hundred bytes; an endless one must not use up the
/// memory.
const MESSAGE_LIMIT: usize = 1 << 20;

/// One message of a progress stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Message {
    pub(crate) status: String,
    pub(crate) id: String,
    /// `load` and `build` report their outcome here.
    pub(crate) stream: String,
    #[serde(rename = "progressDetail")]
    pub(crate) detail: Detail,
    /// The result of a push: an object with `Digest`. Other requests report other things here.
    aux: Option<serde_json::Value>,
    #[serde(rename = "errorDetail")]
    error_detail: Option<ErrorDetail>,
    /// The older form of `errorDetail`, removed in API 1.48.
    error: Option<String>,
}

/// The progress of a layer, in bytes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Detail {
    pub(crate) current: u64,
    pub(crate) total: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorDetail {
    message: String,
}

impl Message {
    /// Returns the digest of what was pushed, from a push's last message.
    pub(crate) fn digest(&self) -> Option<&str> {
        self.aux.as_ref()?.get("Digest")?.as_str()
    }

    fn failure(&self) -> Option<&str> {
        match (&self.error_detail, &self.error) {
            (Some(detail), _) => Some(&detail.message),
            (None, Some(text)) => Some(text),
            (None, None) => None,
        }
    }
}

impl Engine {
    /// Reads a progress stream to its end. A message that reports an error is an error, whatever the status was.
    pub(super) fn follow(
        &self,
        doing: &dyn std::fmt::Display,
        mut response: Response,
        wait: Wait<'_>,
        mut each: impl FnMut(&Message) -> Result<()>,
    ) -> Result<()> {
        let mut lines = Lines::default();
        let mut buffer = vec![0; 16 << 10];
        loop {
            let n = response
                .read(&mut buffer, wait)
                .map_err(|f| self.failed(doing, f))?;
            let senseless = |why: &dyn std::fmt::Display| {
                Error::new(
                    // A truncated message is a different error from an invalid one.
                    match n {
                        0 => ErrorKind::CutShort,
                        _ => ErrorKind::Engine,
                    },
                    format!("{doing}: the engine's progress cannot be read: {why}"),
                )
            };
            // Parsed one at a time: a line of a thousand messages does not put a thousand messages into memory.
            let mut heard = |message: &Message| match message.failure() {
                Some(why) => Err(Error::new(
                    ErrorKind::Engine,
                    format!("{doing}: the engine reported: {}", one_line(why)),
                )),
                None => each(message),
            };
            if n == 0 {
                lines.finish(&senseless, &mut heard)?;
            } else {
                lines.feed(&buffer[..n], &senseless, &mut heard)?;
            }
            if n == 0 {
                return Ok(());
            }
        }
    }
}

/// Splits a byte stream into lines, and lines into messages. Docker ends each message with CRLF and never splits one.
#[derive(Default)]
struct Lines {
    partial: Vec<u8>,
}

type Senseless<'a> = &'a dyn Fn(&dyn std::fmt::Display) -> Error;

impl Lines {
    fn feed(
        &mut self,
        bytes: &[u8],
        senseless: Senseless<'_>,
        each: &mut dyn FnMut(&Message) -> Result<()>,
    ) -> Result<()> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            self.partial.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            self.finish(senseless, each)?;
        }
        self.partial.extend_from_slice(rest);
        match self.partial.len() > MESSAGE_LIMIT {
            true => Err(senseless(&"a message without an end")),
            false => Ok(()),
        }
    }

    fn finish(
        &mut self,
        senseless: Senseless<'_>,
        each: &mut dyn FnMut(&Message) -> Result<()>,
    ) -> Result<()> {
        // Podman may put several values on a line; a stream deserializer handles one or several.
        for message in serde_json::Deserializer::from_slice(&self.partial).into_iter::<Message>() {
            each(&message.map_err(|e| senseless(&e))?)?;
        }
        self.partial.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(pieces: &[&[u8]]) -> std::result::Result<Vec<(String, Option<String>)>, String> {
        let (mut lines, mut got) = (Lines::default(), Vec::new());
        let senseless =
            |why: &dyn std::fmt::Display| Error::new(ErrorKind::Engine, why.to_string());
        let mut each = |m: &Message| {
            got.push((m.status.clone(), m.failure().map(str::to_owned)));
            Ok(())
        };
        let read = pieces
            .iter()
            .try_for_each(|piece| lines.feed(piece, &senseless, &mut each))
            .and_then(|()| lines.finish(&senseless, &mut each));
        read.map(|()| got).map_err(|e| e.to_string())
    }

    #[test]
    fn messages_are_whole_wherever_the_stream_is_cut() {
        let stream = b"{\"status\":\"a\"}\r\n{\"status\":\"b\",\"progressDetail\":{\"current\":1,\"total\":2}}\r\n{\"errorDetail\":{\"message\":\"no\"},\"error\":\"no\"}\r\n";
        let want = vec![
            (String::from("a"), None),
            (String::from("b"), None),
            (String::new(), Some(String::from("no"))),
        ];
        for cut in 0..=stream.len() {
            assert_eq!(
                all(&[&stream[..cut], &stream[cut..]]),
                Ok(want.clone()),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn an_error_is_seen_in_its_old_and_its_new_form() {
        for text in [r#"{"error":"no"}"#, r#"{"errorDetail":{"message":"no"}}"#] {
            assert_eq!(
                all(&[text.as_bytes()]),
                Ok(vec![(String::new(), Some(String::from("no")))])
            );
        }
    }

    #[test]
    fn a_stream_that_ends_inside_a_message_is_an_error() {
        assert!(all(&[b"{\"status\":\"a\""]).is_err());
    }

    #[test]
    fn a_message_longer_than_a_line_buffer_is_whole() {
        let text = format!("{{\"status\":\"{}\"}}\r\n", "x".repeat(200_000));
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(16 << 10).collect();
        assert_eq!(all(&pieces).map(|m| m[0].0.len()), Ok(200_000));
    }

    proptest! {
        #[test]
        fn any_bytes_give_one_answer_however_they_are_cut(
            words in prop::collection::vec(
                prop::sample::select(vec!["{", "}", "\"status\"", ":", "\"a\"", "\r\n", ",", "{\"error\":\"no\"}", "null", "1e999", "\u{0}"]),
                0..30,
            ),
            cut in 1..20usize,
        ) {
            let wire = words.concat().into_bytes();
            let pieces: Vec<&[u8]> = wire.chunks(cut).collect();
            prop_assert_eq!(all(&pieces), all(&[&wire]));
        }
    }
}
