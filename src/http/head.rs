//! [`Head`]: the first part of a response, and what it says about the rest.

use std::mem::MaybeUninit;

use super::body::Framing;
use super::{Failure, Method};

/// The maximum size of the heads of one response, including interim ones. An engine's have some hundred bytes, and proxies add
/// some. Anything larger is not a head.
pub(super) const LIMIT: usize = 64 << 10;

/// The maximum number of headers in one head. They are parsed into memory on the stack; an engine sends about ten.
const MOST_HEADERS: usize = 100;

/// The contents of a response's head, except the headers that only some callers need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Its size in bytes.
    pub(super) length: usize,
    pub(super) status: u16,
    pub(super) framing: Framing,
    /// The connection can be used for another request once the body has been read.
    pub(super) reusable: bool,
}

impl Head {
    /// Returns whether it is an interim response: `100 Continue` and the like.
    pub(super) fn is_interim(&self) -> bool {
        matches!(self.status, 100..=199) && self.status != 101
    }

    /// Parses the head at the start of `bytes`, the response to a `method`; returns `None` while it is incomplete.
    pub(super) fn parse(bytes: &[u8], method: Method) -> Result<Option<Head>, Failure> {
        // Never reads beyond the limit, so that the result does not depend on how the bytes were split.
        let seen = &bytes[..bytes.len().min(LIMIT)];
        let mut space = [const { MaybeUninit::uninit() }; MOST_HEADERS];
        let Some((response, length)) = parsed(seen, &mut space)? else {
            return match seen.len() {
                LIMIT => Err(Failure::TooLarge("response head")),
                _ => Ok(None),
            };
        };
        let status = response.code.unwrap_or(0);
        if !(100..=999).contains(&status) {
            return Err(malformed("a status below 100"));
        }
        let said = Said::read(response.headers)?;
        let bodiless = method == Method::Head || matches!(status, 100..=199 | 204 | 304);
        let framing = match (status, bodiless, said.chunked, said.length) {
            (101, ..) => Framing::UntilEnd,
            (_, true, ..) => Framing::Length(0),
            (_, _, true, _) => Framing::Chunked,
            (_, _, _, Some(length)) => Framing::Length(length),
            (_, _, _, None) => Framing::UntilEnd,
        };
        // RFC 9112 6.3: a response with both a length and chunks may be an attempt to have its end misread.
        let suspicious = said.chunked && said.length.is_some();
        let reusable = response.version == Some(1)
            && !said.close
            && !suspicious
            && framing != Framing::UntilEnd;
        Ok(Some(Head {
            length,
            status,
            framing,
            reusable,
        }))
    }
}

/// Returns the value of the header `name` in `head`, which [`Head::parse`] has accepted; the first, if there are several.
pub(super) fn header<'b>(head: &'b [u8], name: &str) -> Option<&'b str> {
    let mut space = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let (response, _) = parsed(head, &mut space).ok()??;
    let header = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(header.value).ok()
}

fn parsed<'h, 'b>(
    bytes: &'b [u8],
    space: &'h mut [MaybeUninit<httparse::Header<'b>>],
) -> Result<Option<(httparse::Response<'h, 'b>, usize)>, Failure> {
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        bytes,
        space,
    );
    match parsed {
        Ok(httparse::Status::Complete(length)) => Ok(Some((response, length))),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(Failure::TooLarge("number of headers")),
        Err(error) => Err(Failure::Malformed(format!("{error} in a response's head"))),
    }
}

fn malformed(why: &str) -> Failure {
    Failure::Malformed(String::from(why))
}

/// The headers that decide about the body and the connection.
#[derive(Default)]
struct Said {
    length: Option<u64>,
    chunked: bool,
    close: bool,
}

impl Said {
    fn read(headers: &[httparse::Header<'_>]) -> Result<Said, Failure> {
        let mut said = Said::default();
        for header in headers {
            let is = |name| header.name.eq_ignore_ascii_case(name);
            if is("Content-Length") {
                for part in parts(header.value) {
                    said.add_length(part)?;
                }
            } else if is("Transfer-Encoding") {
                for part in parts(header.value) {
                    // The only coding that engines use. Another would have to be decoded, and repeated chunking is invalid.
                    if said.chunked || !part.eq_ignore_ascii_case(b"chunked") {
                        return Err(malformed("an unknown transfer encoding"));
                    }
                    said.chunked = true;
                }
            } else if is("Connection") {
                said.close |= parts(header.value).any(|part| part.eq_ignore_ascii_case(b"close"));
            }
        }
        Ok(said)
    }

    /// Adds a value of `Content-Length`: only digits, and equal to all others.
    fn add_length(&mut self, value: &[u8]) -> Result<(), Failure> {
        let digits = std::str::from_utf8(value)
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length = digits.and_then(|digits| digits.parse::<u64>().ok());
        let Some(length) = length else {
            return Err(malformed("a content length that is not a number"));
        };
        if self.length.is_some_and(|other| other != length) {
            return Err(malformed("two different content lengths"));
        }
        self.length = Some(length);
        Ok(())
    }
}

/// Returns the comma-separated parts of a header's value.
fn parts(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(bytes: &[u8]) -> Result<Option<Head>, Failure> {
        Head::parse(bytes, Method::Get)
    }

    fn whole(head: &str) -> Head {
        get(head.as_bytes()).unwrap().unwrap()
    }

    fn with(headers: &str) -> Head {
        whole(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n"))
    }

    fn refused(headers: &str) -> bool {
        let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
        matches!(get(head.as_bytes()), Err(Failure::Malformed(_)))
    }

    #[test]
    fn a_head_is_whole_only_with_its_last_byte() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n";
        for cut in 0..head.len() {
            assert_eq!(get(&head[..cut]).unwrap(), None, "{cut}");
        }
        let parsed = get(&[head, &b"hello"[..]].concat()).unwrap().unwrap();
        assert_eq!(parsed.length, head.len());
        assert_eq!(parsed.status, 200);
        assert_eq!(parsed.framing, Framing::Length(5));
        assert!(parsed.reusable);
    }

    #[test]
    fn what_is_not_http_is_said_to_be_so_at_once() {
        for garbage in [
            &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
            b"\x15\x03\x01\x00\x02\x02\x46",
            b"{\"message\":\"no\"}",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.1 20x OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
            b"HTTP/1.1 007 Bond\r\n\r\n",
        ] {
            assert!(
                matches!(get(garbage), Err(Failure::Malformed(_))),
                "{garbage:?}"
            );
        }
    }

    #[test]
    fn a_head_has_its_limits() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(LIMIT));
        assert!(matches!(get(long.as_bytes()), Err(Failure::TooLarge(_))));
        assert!(get(&long.as_bytes()[..LIMIT - 1]).unwrap().is_none());
        let many = |n| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(n));
        assert!(get(many(100).as_bytes()).unwrap().is_some());
        assert!(matches!(
            get(many(101).as_bytes()),
            Err(Failure::TooLarge(_))
        ));
    }

    #[test]
    fn lines_may_end_in_a_bare_line_feed() {
        let head = whole("HTTP/1.1 200 OK\nContent-Length: 3\n\n");
        assert_eq!(head.framing, Framing::Length(3));
    }

    #[test]
    fn chunks_beat_a_length_but_the_connection_is_not_trusted_again() {
        let head = with("Content-Length: 5\r\nTransfer-Encoding: CHUNKED\r\n");
        assert_eq!(head.framing, Framing::Chunked);
        assert!(!head.reusable);
        assert!(with("Transfer-Encoding: chunked\r\n").reusable);
    }

    #[test]
    fn lengths_must_be_numbers_and_agree() {
        assert_eq!(
            with("Content-Length: 5\r\ncontent-length: 5\r\n").framing,
            Framing::Length(5)
        );
        assert_eq!(with("Content-Length: 5, 5\r\n").framing, Framing::Length(5));
        let largest = with("Content-Length: 18446744073709551615\r\n");
        assert_eq!(largest.framing, Framing::Length(u64::MAX));
        for headers in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 6\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 5,\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding:\r\n",
        ] {
            assert!(refused(headers), "{headers:?}");
        }
    }

    #[test]
    fn some_answers_have_no_body_whatever_their_headers_say() {
        for status in [100, 103, 199, 204, 304] {
            let head = whole(&format!("HTTP/1.1 {status} x\r\nContent-Length: 5\r\n\r\n"));
            assert_eq!(head.framing, Framing::Length(0), "{status}");
            assert!(head.reusable);
            assert_eq!(head.is_interim(), status < 200);
        }
        let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let head = Head::parse(bytes, Method::Head).unwrap().unwrap();
        assert_eq!(head.framing, Framing::Length(0));
        assert!(head.reusable);
    }

    #[test]
    fn what_has_no_length_ends_with_the_connection() {
        assert_eq!(with("").framing, Framing::UntilEnd);
        assert!(!with("").reusable);
        let upgraded = whole("HTTP/1.1 101 UPGRADED\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(upgraded.framing, Framing::UntilEnd);
        assert!(!upgraded.is_interim() && !upgraded.reusable);
    }

    #[test]
    fn an_old_or_a_closing_server_is_asked_once_for_each_connection() {
        assert!(!whole("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n").reusable);
        for value in ["close", "Close", "keep-alive, close", "close ,x"] {
            assert!(!with(&format!("Content-Length: 0\r\nConnection: {value}\r\n")).reusable);
        }
        assert!(with("Content-Length: 0\r\nConnection: keep-alive\r\n").reusable);
        assert!(with("Content-Length: 0\r\nConnection: closed\r\n").reusable);
    }

    #[test]
    fn headers_are_found_whatever_their_case_and_only_as_text() {
        let head = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nX: 1\r\nx: 2\r\nBin: \xff\r\n\r\n";
        assert_eq!(header(head, "API-VERSION"), Some("1.41"));
        assert_eq!(header(head, "x"), Some("1"));
        assert_eq!(header(head, "Bin"), None);
        assert_eq!(header(head, "y"), None);
    }
}
