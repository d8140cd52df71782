//! [`Request`]: a request, and how its head is written.

use std::io::Read;
use std::time::Duration;

use super::{Failure, Target};

/// The methods that engines support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }
}

/// The body of a request.
pub(crate) enum Body<'a> {
    Empty,
    /// Bytes in memory, sent with their length.
    Bytes {
        content_type: &'a str,
        bytes: &'a [u8],
    },
    /// An unknown number of bytes, sent in chunks while they are read.
    ///
    /// A `source` that blocks delays the call: neither a cancel nor a deadline interrupts its `read`.
    Stream {
        content_type: &'a str,
        source: &'a mut dyn Read,
    },
}

/// One request, for [`Client::send`](super::Client::send).
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) target: Target,
    /// Headers besides those that every request and its body have.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Body<'a>,
    /// Whether sending it twice has the same effect as once, so that it can be repeated if a kept connection turns out to be
    /// closed.
    pub(crate) repeatable: bool,
    /// Requests the bare connection, see [`Response::upgrade`](super::Response::upgrade).
    pub(crate) upgrade: bool,
    /// How long one send or receive may stall; `None`: only the call's wait bounds it.
    pub(crate) stall: Option<Duration>,
}

/// Engines ignore the name, but some proxies and Go's own client require a valid one.
const HOST: &str = "docker";

impl Request<'_> {
    /// Writes the head, including the empty line. Nothing in it can end a line early.
    pub(super) fn write_head(&self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let target = self.target.sendable().map_err(Failure::Unsendable)?;
        let mut put = |part: &str| out.extend_from_slice(part.as_bytes());
        put(self.method.name());
        put(" ");
        put(target);
        put(" HTTP/1.1\r\nHost: ");
        put(HOST);
        put("\r\nUser-Agent: docker-store/");
        put(env!("CARGO_PKG_VERSION"));
        put("\r\n");
        let mut header = |name: &str, value: &str| {
            if name.is_empty() || !name.bytes().all(is_token) {
                return Err(Failure::Unsendable("a header name that is not a token"));
            }
            if !value.bytes().all(is_field) {
                return Err(Failure::Unsendable("a control character in a header"));
            }
            put(name);
            put(": ");
            put(value);
            put("\r\n");
            Ok(())
        };
        for (name, value) in self.headers {
            header(name, value)?;
        }
        match &self.body {
            // Declares that there is no body, because a server might wait for one.
            Body::Empty if matches!(self.method, Method::Post | Method::Put) => {
                header("Content-Length", "0")?;
            }
            Body::Empty => {}
            Body::Bytes {
                content_type,
                bytes,
            } => {
                header("Content-Type", content_type)?;
                header("Content-Length", &bytes.len().to_string())?;
            }
            Body::Stream { content_type, .. } => {
                header("Content-Type", content_type)?;
                header("Transfer-Encoding", "chunked")?;
            }
        }
        if self.upgrade {
            // Docker upgrades the connection without this header, Podman only with it.
            header("Connection", "Upgrade")?;
            header("Upgrade", "tcp")?;
        }
        put("\r\n");
        Ok(())
    }
}

/// The characters that RFC 9110 allows in a header's name.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The characters that are allowed in a header's value: no line break, no NUL, no other control character.
fn is_field(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(method: Method, body: Body<'a>) -> Request<'a> {
        Request {
            method,
            target: Target::new("/x"),
            headers: &[],
            body,
            repeatable: false,
            upgrade: false,
            stall: None,
        }
    }

    fn head(request: &Request<'_>) -> String {
        let mut out = Vec::new();
        request.write_head(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const VERSION: &str = env!("CARGO_PKG_VERSION");

    #[test]
    fn a_bare_get_has_no_more_than_it_must() {
        let expected = format!(
            "GET /x HTTP/1.1\r\nHost: docker\r\nUser-Agent: docker-store/{VERSION}\r\n\r\n"
        );
        assert_eq!(head(&request(Method::Get, Body::Empty)), expected);
    }

    #[test]
    fn every_body_says_how_long_it_is() {
        for method in [Method::Post, Method::Put] {
            assert!(head(&request(method, Body::Empty)).ends_with("\r\nContent-Length: 0\r\n\r\n"));
        }
        for method in [Method::Get, Method::Head, Method::Delete] {
            assert!(!head(&request(method, Body::Empty)).contains("Content-Length"));
        }
        let json = Body::Bytes {
            content_type: "application/json",
            bytes: b"{}",
        };
        assert!(
            head(&request(Method::Post, json))
                .ends_with("\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n")
        );
        let tar = Body::Stream {
            content_type: "application/x-tar",
            source: &mut std::io::empty(),
        };
        assert!(head(&request(Method::Put, tar)).ends_with(
            "\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
    }

    #[test]
    fn an_upgrade_is_asked_for_in_the_words_podman_waits_for() {
        let mut request = request(Method::Post, Body::Empty);
        request.upgrade = true;
        assert!(head(&request).ends_with("\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"));
    }

    #[test]
    fn a_header_cannot_smuggle_in_another() {
        for bad in [
            ("X", "a\r\nY: b"),
            ("X", "a\nb"),
            ("X", "a\rb"),
            ("X", "a\0b"),
            ("X", "\x7f"),
            ("X\r\nY", "a"),
            ("X:", "a"),
            ("X ", "a"),
            ("", "a"),
        ] {
            let headers = [bad];
            let mut request = request(Method::Get, Body::Empty);
            request.headers = &headers;
            let refused = request.write_head(&mut Vec::new());
            assert!(matches!(refused, Err(Failure::Unsendable(_))), "{bad:?}");
        }
        let headers = [("X-Registry-Auth", "e30=\tpl\u{e9}n")];
        let mut request = request(Method::Get, Body::Empty);
        request.headers = &headers;
        assert!(head(&request).contains("\r\nX-Registry-Auth: e30=\tpl\u{e9}n\r\n"));
        request.headers = &[];
        request.body = Body::Bytes {
            content_type: "a\r\nb: c",
            bytes: b"",
        };
        assert!(request.write_head(&mut Vec::new()).is_err());
    }
}
