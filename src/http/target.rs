//! [`Target`]: the path and query of a request, built so that no name can change what is requested.

use std::fmt::{self, Write};

/// A request target. The library's own words are used as they are; text from a caller is percent-encoded.
///
/// ```text
/// Target::new("/v1.41/images").segment(name).fixed("/json").query("platform", platform)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    text: String,
    has_query: bool,
    fault: Option<&'static str>,
}

impl Target {
    /// Creates a target that starts with `fixed`: a path in the library's own words, never a caller's.
    pub(crate) fn new(fixed: &str) -> Self {
        Target::of(format_args!("{fixed}"))
    }

    /// The same, from several parts.
    pub(crate) fn of(fixed: fmt::Arguments<'_>) -> Self {
        let mut text = String::with_capacity(128);
        // Writing to a string never fails.
        let _ = text.write_fmt(fixed);
        Target {
            text,
            has_query: false,
            fault: None,
        }
    }

    /// Appends a path in the library's own words.
    pub(crate) fn fixed(mut self, fixed: &str) -> Self {
        debug_assert!(!self.has_query, "a path after the query");
        self.text.push_str(fixed);
        self
    }

    /// Returns the same target for another version of the API: `start` is the start of its paths, such as `/v1.41`.
    pub(crate) fn at_version(mut self, start: &str) -> Self {
        if let Some(rest) = self.text.strip_prefix("/v") {
            let rest = rest.find('/').map_or("", |at| &rest[at..]);
            self.text = format!("{start}{rest}");
        }
        self
    }

    /// Appends one path segment, including any `/`: an engine takes `%2F` for a part of the name.
    ///
    /// A name with an empty, `.` or `..` component cannot be sent at all. Encoding does not help: engines decode first and
    /// normalize the path afterwards, and then respond for another one.
    pub(crate) fn segment(mut self, name: &str) -> Self {
        debug_assert!(!self.has_query, "a path after the query");
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            self.fault = Some("a name with an empty, `.` or `..` component");
        }
        self.text.push('/');
        self.push_encoded(name);
        self
    }

    /// Appends one `key=value` to the query.
    pub(crate) fn query(mut self, key: &str, value: &str) -> Self {
        self.text.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        self.push_encoded(key);
        self.text.push('=');
        self.push_encoded(value);
        self
    }

    /// Returns the target in the form of a request line, or why that is not possible.
    pub(super) fn sendable(&self) -> Result<&str, &'static str> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        // A "fixed" part may contain text from an engine's own response, such as its version.
        let visible = self.text.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !self.text.starts_with('/') {
            return Err("a target that is not a path");
        }
        Ok(&self.text)
    }

    /// Percent-encodes everything outside RFC 3986's unreserved characters.
    fn push_encoded(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    self.text.push(char::from(byte));
                }
                _ => write!(self.text, "%{byte:02X}").expect("a String takes all"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(target: &Target) -> &str {
        target.sendable().unwrap()
    }

    #[test]
    fn a_target_reads_as_it_was_built() {
        let target = Target::new("/v1.41/images")
            .segment("debian:12")
            .fixed("/json")
            .query("k", "v")
            .query("filters", "{\"a\": [1]}");
        assert_eq!(
            text(&target),
            "/v1.41/images/debian%3A12/json?k=v&filters=%7B%22a%22%3A%20%5B1%5D%7D"
        );
    }

    #[test]
    fn a_target_can_be_of_another_version() {
        let target = |version| {
            let start = format!("/v{version}/images");
            Target::new(&start).segment("v1.41/x").query("v", "/v1.41/")
        };
        assert_eq!(target("1.41").at_version("/v1.47"), target("1.47"));
        assert_eq!(target("1.41").at_version("/v1.41"), target("1.41"));
        let ping = Target::new("/_ping");
        assert_eq!(ping.clone().at_version("/v1.47"), ping);
    }

    #[test]
    fn no_name_adds_a_segment_a_query_or_a_header() {
        for (name, encoded) in [
            ("a b", "a%20b"),
            ("x\r\nHost: y", "x%0D%0AHost%3A%20y"),
            ("%2f", "%252f"),
            ("a/b", "a%2Fb"),
            ("a?b=c&d#e", "a%3Fb%3Dc%26d%23e"),
            ("\u{1f980}", "%F0%9F%A6%80"),
            ("nul\0", "nul%00"),
            ("..x", "..x"),
        ] {
            let target = Target::new("/containers").segment(name).fixed("/json");
            assert_eq!(text(&target), format!("/containers/{encoded}/json"));
            let target = Target::new("/x").query(name, name);
            assert_eq!(text(&target), format!("/x?{encoded}={encoded}"));
        }
        let long = "\n".repeat(10_000);
        let target = Target::new("/x").segment(&long);
        assert_eq!(text(&target), format!("/x/{}", "%0A".repeat(10_000)));
    }

    #[test]
    fn a_name_that_a_servers_path_cleaning_would_resolve_is_not_sent() {
        for name in ["", ".", "..", "../x", "x/..", "a//b", "/a", "a/", "a/./b"] {
            let target = Target::new("/images").segment(name).fixed("/json");
            assert!(target.sendable().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_version_that_an_engine_made_up_cannot_end_the_line() {
        for version in ["1.41 HTTP/1.1\r\nX: y", "1 2", "\u{e9}"] {
            assert!(Target::new(&format!("/v{version}/x")).sendable().is_err());
        }
        assert!(Target::new("x").sendable().is_err());
        assert!(Target::new("").segment("v1.41").sendable().is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_decodes_to_itself(name in ".{1,50}") {
            let target = Target::new("/a").query("k", &name);
            let encoded = text(&target).strip_prefix("/a?k=").unwrap();
            let mut decoded = Vec::new();
            let mut rest = encoded.as_bytes();
            while let Some((&first, after)) = rest.split_first() {
                if first == b'%' {
                    let digits = std::str::from_utf8(&after[..2]).unwrap();
                    decoded.push(u8::from_str_radix(digits, 16).unwrap());
                    rest = &after[2..];
                } else {
                    prop_assert!(first.is_ascii_alphanumeric() || b"-._~".contains(&first));
                    decoded.push(first);
                    rest = after;
                }
            }
            prop_assert_eq!(decoded, name.as_bytes());
        }
    }
}
