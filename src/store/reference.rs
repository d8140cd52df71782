//! [`Reference`]: an image name that the caller chose, `[HOST[:PORT]/]PATH[:TAG]`, checked before anything is sent.

use crate::error::{Error, ErrorKind, Result};
use crate::store::names::is_path_component;

/// The longest name without its tag (distribution `reference`, `NameTotalLengthMax`), in its full form.
const NAME_MAX: usize = 255;
const TAG_MAX: usize = 128;

/// A name and a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    name: String,
    tag: String,
}

impl Reference {
    /// Parses the name `text`; the tag is `latest` if there is none. Refuses a name that no engine accepts, and a name that is
    /// reserved for the objects of a store, this one or another: that store would take the image for its own.
    pub(crate) fn of_callers(text: &str) -> Result<Self> {
        let refuse = |why: &str| {
            let shown: String = text.chars().take(80).collect();
            let why = format!("the name {shown:?} for an image: {why}");
            Err(Error::new(ErrorKind::InvalidArgument, why))
        };
        if text.contains('@') {
            return refuse(
                "a digest is derived from an image's contents, and cannot be assigned to it",
            );
        }
        let Some(reference) = Reference::parse(text) else {
            return refuse(
                "use [HOST[:PORT]/]PATH[:TAG], with a path of a-z and 0-9 and single . _ __ or any number of - between them, and a tag of at most 128 of a-z, A-Z, 0-9, _ . -",
            );
        };
        if is_a_stores(reference.name.rsplit('/').next().unwrap_or_default()) {
            return refuse("such names are reserved for objects of a store");
        }
        Ok(reference)
    }

    fn parse(text: &str) -> Option<Self> {
        let (name, tag) = match text.rsplit_once(':') {
            // Before a slash, a colon separates a port.
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (text, "latest"),
        };
        let reference = Reference {
            name: name.to_owned(),
            tag: tag.to_owned(),
        };
        let path = match name.split_once('/') {
            Some((host, path)) if is_host(host) => path,
            _ => name,
        };
        let is_id = name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
        let good = reference.full_name().len() <= NAME_MAX
            && path.split('/').all(is_path_component)
            && is_tag(tag)
            && !is_id;
        good.then_some(reference)
    }

    /// Returns the name with the registry and the directory that engines add by default.
    fn full_name(&self) -> String {
        full(&self.name)
    }

    /// Returns the name and the tag, as they were given.
    pub(crate) fn text(&self) -> String {
        format!("{}:{}", self.name, self.tag)
    }

    /// Returns the full name with its tag, as engines do.
    pub(crate) fn full_text(&self) -> String {
        format!("{}:{}", self.full_name(), self.tag)
    }

    /// Returns whether it is in the repository, in the form in which engines list digests.
    pub(crate) fn is_of(&self, repository: &str) -> bool {
        full(repository) == self.full_name()
    }
}

/// Returns a name with the registry that engines add by default.
pub(crate) fn full(name: &str) -> String {
    match name.split_once('/') {
        None => format!("docker.io/library/{name}"),
        Some((host, _)) if is_host(host) => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
    }
}

/// Returns whether the first part of a name is a registry, and not a directory in the default one. Only a host may have capital
/// letters.
fn is_host(part: &str) -> bool {
    let looks = part.contains(['.', ':'])
        || part == "localhost"
        || part.bytes().any(|b| b.is_ascii_uppercase());
    let (host, port) = match part.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (part, None),
    };
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_label = |label: &str| {
        let inner = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let good = match address {
        Some(address) => {
            !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
        }
        None => host.split('.').all(is_label),
    };
    looks && good && port.is_none_or(digits)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= TAG_MAX
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
}

/// Returns whether it is the name of a result, a step's tag or the empty image of any store: `WORD-1234567-image-ID`.
fn is_a_stores(name: &str) -> bool {
    let mut parts = name.splitn(3, '-');
    let (word, digits, rest) = (parts.next(), parts.next(), parts.next());
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let is_prefix = |digits: &str| {
        digits.len() == crate::store::names::HASH
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    word.is_some_and(is_word)
        && digits.is_some_and(is_prefix)
        && rest.is_some_and(|rest| rest.starts_with("image-") || rest == "empty")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_engines_take_is_taken_and_has_a_tag() {
        let long = "t".repeat(128);
        for (text, full) in [
            ("app", "docker.io/library/app:latest"),
            ("app:1.0", "docker.io/library/app:1.0"),
            ("team/app:V1_x", "docker.io/team/app:V1_x"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:5000/app:1", "localhost:5000/app:1"),
            ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:latest"),
            ("[::1]:5000/app", "[::1]:5000/app:latest"),
            ("Registry.example/app:1", "Registry.example/app:1"),
            (
                "my-team/app--x__y.z:a-b",
                "docker.io/my-team/app--x__y.z:a-b",
            ),
            // Almost, but not quite, a reserved name.
            ("obuilder-1234567:1", "docker.io/library/obuilder-1234567:1"),
            (
                "obuilder-1234567-imagex",
                "docker.io/library/obuilder-1234567-imagex:latest",
            ),
            (
                "obuilder-123456g-image-x",
                "docker.io/library/obuilder-123456g-image-x:latest",
            ),
            (&format!("a:{long}"), &format!("docker.io/library/a:{long}")),
        ] {
            let reference = Reference::of_callers(text).expect(text);
            assert_eq!(reference.full_text(), full);
        }
    }

    #[test]
    fn a_name_is_of_the_registry_that_engines_take_it_to_be_of() {
        for (name, in_full) in [
            ("a:1", "docker.io/library/a:1"),
            ("a/b:1", "docker.io/a/b:1"),
            ("localhost/a:1", "localhost/a:1"),
            ("r.example:5000/a:1", "r.example:5000/a:1"),
        ] {
            assert_eq!(full(name), in_full);
        }
    }

    #[test]
    fn what_no_engine_takes_and_what_is_a_stores_own_is_refused() {
        let long_tag = format!("a:{}", "t".repeat(129));
        let long_name = "a".repeat(256 - "docker.io/library/".len());
        let id = "0".repeat(64);
        for text in [
            "",
            ":",
            "a:",
            ":a",
            "A",
            "a b",
            "a/",
            "/a",
            "a//b",
            "a:b:c",
            "a@sha256:00",
            "a:.b",
            "a:-b",
            "-a",
            "a-",
            "a..b",
            "a\n",
            "é",
            "http://x/a",
            "host:port/a",
            "host:/a",
            "-x.example/a",
            "a:ü",
            "a:b/c:",
            "team/A",
            &long_tag,
            &long_name,
            &id,
            "obuilder-1234567-image-x",
            "obuilder-1234567-image-tmp-x:1",
            "x-abcdef0-empty",
            "localhost/obuilder-1234567-image-x",
            "registry.example/t/obuilder-1234567-image-x:1",
        ] {
            let error = Reference::of_callers(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text:?}");
            assert!(error.message().len() < 500 && !error.message().contains('\n'));
        }
    }
}
