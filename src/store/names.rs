//! The names of everything that a store keeps on the engine, and which characters they may contain. They follow OBuilder's
//! Docker store (`lib/docker.ml`), so that each finds the other's results.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};

/// The word at the start of every prefix, unless an option sets another.
pub(crate) const WORD: &str = "obuilder";

/// The longest repository name that an engine accepts: 255 characters with `docker.io/library/` in front (distribution
/// `reference`, `NameTotalLengthMax`).
const REPOSITORY_MAX: usize = 255 - "docker.io/library/".len();

/// The maximum length of a word. It is part of every name, so a longer one leaves less room for ids.
const WORD_MAX: usize = 32;

/// How many hex digits a prefix has: the same number as OBuilder's.
pub(crate) const HASH: usize = 7;

/// The maximum length of an escaped cache name; a longer one is replaced by its digest. Leaves room in a file name (255 bytes)
/// for the prefix, the generation and the session.
const CACHE_MAX: usize = 120;

/// Refuses a word that cannot start a name.
pub(crate) fn check_word(word: &str) -> Result<()> {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    if word.is_empty() || word.len() > WORD_MAX || !word.bytes().all(plain) {
        return Err(invalid(format!(
            "the name {:?} of a store: use 1 to {WORD_MAX} of a-z and 0-9",
            shown(word)
        )));
    }
    Ok(())
}

/// Returns the prefix that OBuilder would use for the store at `real_root`, a path without links.
pub(crate) fn prefix_of_path(word: &str, real_root: &Path) -> String {
    prefix_of(
        word,
        &hex(&Sha256::digest(real_root.as_os_str().as_encoded_bytes())),
    )
}

/// Returns a prefix of the same form.
pub(crate) fn prefix_of(word: &str, digits: &str) -> String {
    format!("{word}-{}", &digits[..HASH.min(digits.len())])
}

/// The names of one store.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    prefix: String,
}

impl Names {
    /// Returns the names that start with `prefix`.
    pub(crate) fn new(prefix: &str) -> Self {
        Names {
            prefix: prefix.to_owned(),
        }
    }

    /// Returns `WORD-` and 7 hex digits: the start of every name on the engine.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the image name of the result `id`.
    pub(crate) fn image(&self, id: &Id) -> String {
        format!("{}-image-{}", self.prefix, id.0)
    }

    /// Returns the tag that a step in progress holds.
    pub(crate) fn tmp_image(&self, id: &Id) -> String {
        format!("{}-image-tmp-{}", self.prefix, id.0)
    }

    /// Returns an additional tag of such a step: they are numbered from 1.
    pub(crate) fn further_tmp_image(&self, id: &Id, number: u16) -> String {
        format!("{}:{number}", self.tmp_image(id))
    }

    /// Returns all tags that such a step may hold, `further` besides the first; newest first, because each image is based on
    /// the previous one.
    pub(crate) fn tmp_images(&self, id: &Id, further: u16) -> impl Iterator<Item = String> {
        let numbered = (1..=further).rev();
        let numbered = numbered.map(|number| self.further_tmp_image(id, number));
        numbered.chain([self.tmp_image(id)])
    }

    /// Returns the volume that claims the prefix.
    pub(crate) fn claim(&self) -> String {
        format!("{}-store", self.prefix)
    }

    /// Returns the container of a step in progress.
    pub(crate) fn container(&self, id: &Id) -> String {
        format!("{}-container-{}", self.prefix, id.0)
    }

    /// Returns an image without files, for containers that are never started.
    pub(crate) fn empty_image(&self) -> String {
        format!("{}-empty", self.prefix)
    }

    /// Returns the name of a container that is never started, only copied into and out of. `unique` is unique to this session.
    pub(crate) fn helper(&self, unique: &str) -> String {
        format!("{}-helper-{unique}", self.prefix)
    }

    /// Returns the name of any other volume of a session: `kind` says what it is for.
    pub(crate) fn volume(&self, kind: &str, unique: &str) -> String {
        format!("{}-{kind}-{unique}", self.prefix)
    }

    /// Checks an id before anything is sent.
    pub(crate) fn id(&self, id: &str) -> Result<Id> {
        let max = REPOSITORY_MAX - self.prefix.len() - "-image-tmp-".len();
        let refuse = |why: &str| Err(invalid(format!("the id {:?}: {why}", shown(id))));
        if id.is_empty() {
            return refuse("it is empty");
        }
        if id.len() > max {
            return refuse(&format!(
                "it is {} characters long, and {max} is the most",
                id.len()
            ));
        }
        if id.starts_with("tmp-") {
            return refuse("it starts with \"tmp-\", which is reserved for steps in progress");
        }
        if !is_path_component(id) {
            return refuse(
                "an image name takes a-z and 0-9, with single . _ __ or any number of - between them",
            );
        }
        Ok(Id(id.to_owned()))
    }

    /// Returns the id in the name (or tag `NAME:latest`) of a result; `None` for any other name.
    pub(crate) fn id_of_image<'a>(&self, name: &'a str) -> Option<&'a str> {
        let id = self.after(name.strip_suffix(":latest")?, "-image-")?;
        (!id.starts_with("tmp-")).then_some(id)
    }

    /// Returns the id in a tag of a step in progress, whichever of its tags it is.
    pub(crate) fn id_of_tmp_image<'a>(&self, name: &'a str) -> Option<&'a str> {
        let (repo, _tag) = name.rsplit_once(':')?;
        self.after(repo, "-image-tmp-")
    }

    /// Returns the id in the name of a step's container.
    pub(crate) fn id_of_container<'a>(&self, name: &'a str) -> Option<&'a str> {
        self.after(name, "-container-")
    }

    /// Returns what follows the prefix and `kind`, if it is an id. Podman shows `localhost/` or `docker.io/library/` in front.
    fn after<'a>(&self, name: &'a str, kind: &str) -> Option<&'a str> {
        let name = name.rsplit('/').next()?;
        let id = name
            .strip_prefix(self.prefix.as_str())?
            .strip_prefix(kind)?;
        is_path_component(id).then_some(id)
    }
}

/// An id that the engine accepts in an image name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(String);

impl Id {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A cache's name in a form that the engine and the file system accept: injective, and bounded in length.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CacheName {
    escaped: String,
    /// The name that an OBuilder store would use; `None` if it could not have created that volume.
    seeds: Option<String>,
}

impl CacheName {
    /// Any non-empty byte string is a valid name.
    pub(crate) fn new(name: &[u8]) -> Result<Self> {
        if name.is_empty() {
            return Err(invalid("the name of a cache is empty"));
        }
        let mut escaped = String::from("c-");
        for byte in name {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => {
                    escaped.push(char::from(*byte))
                }
                // OBuilder writes `%hex` without padding, which no engine accepts in a volume name, and which can give two
                // names the same form.
                other => escaped.push_str(&format!("_{other:02x}")),
            }
        }
        if escaped.len() > CACHE_MAX {
            escaped = format!("h-{}", hex(&Sha256::digest(name)));
        }
        let as_is = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let seeds = name
            .iter()
            .all(as_is)
            .then(|| format!("c-{}", String::from_utf8_lossy(name)));
        Ok(CacheName { escaped, seeds })
    }

    /// Returns the name as a part of a volume or file name.
    pub(crate) fn as_str(&self) -> &str {
        &self.escaped
    }

    /// Returns what an OBuilder store would have used instead, if that name can exist.
    pub(crate) fn as_the_seed_wrote_it(&self) -> Option<&str> {
        self.seeds.as_deref()
    }
}

/// Returns whether it is one component of a repository's path: runs of a-z0-9 with separators between them (distribution
/// `reference`, `path-component`).
pub(crate) fn is_path_component(text: &str) -> bool {
    let mut separator = 1; // as if one had come before the first character
    let mut last = b'.';
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => separator = 0,
            b'-' if separator == 0 || last == b'-' && separator > 0 => separator += 1,
            b'_' if separator == 0 || separator == 1 && last == b'_' => separator += 1,
            b'.' if separator == 0 => separator += 1,
            _ => return false,
        }
        last = byte;
    }
    separator == 0
}

/// Returns the SHA-256 of a text, as hex.
pub(crate) fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Reverses [`hex`]; returns `None` for any other text.
pub(crate) fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let is_whole = text.len() % 2 == 0;
    is_whole
        .then(|| text.chunks(2).map(byte).collect())
        .flatten()
}

/// Shortens text from outside before it goes into a message.
fn shown(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn names() -> Names {
        Names::new(&prefix_of_path(WORD, Path::new("/var/cache/obuilder")))
    }

    #[test]
    fn the_prefix_is_the_seeds() {
        // printf %s /var/cache/obuilder | sha256sum
        let digest = hex(&Sha256::digest("/var/cache/obuilder"));
        assert_eq!(names().prefix(), format!("obuilder-{}", &digest[..7]));
    }

    #[test]
    fn an_id_that_no_image_name_takes_is_refused() {
        let long = "a".repeat(10_000);
        for id in [
            "",
            "../x",
            "a b",
            "A",
            "x\r\nHost: y",
            "%2f",
            &long,
            "😀",
            ".a",
            "a.",
            "-a",
            "a-",
            "_a",
            "a_",
            "a..b",
            "a___b",
            "a._b",
            "a-_b",
            "a/b",
            "a:b",
            "tmp-a",
            "a\0",
            "é",
        ] {
            let error = names().id(id).expect_err(id);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(
                error.message().len() < 400 && !error.message().contains('\n'),
                "{error}"
            );
        }
        for id in [
            "a",
            "0",
            "a-b",
            "a--b",
            "a---b",
            "a.b",
            "a_b",
            "a__b",
            "tmp",
            "tmpa",
            &"f".repeat(64),
        ] {
            assert_eq!(names().id(id).expect(id).as_str(), id);
        }
    }

    #[test]
    fn the_longest_id_fits_a_repository_name() {
        let names = names();
        let longest = (1..300)
            .take_while(|n| names.id(&"a".repeat(*n)).is_ok())
            .last()
            .expect("some length");
        let id = names.id(&"a".repeat(longest)).expect("an id");
        assert_eq!(names.tmp_image(&id).len(), REPOSITORY_MAX);
    }

    #[test]
    fn a_name_that_merely_starts_alike_is_not_ours() {
        let names = names();
        let p = names.prefix().to_owned();
        assert_eq!(
            names.id_of_container(&format!("{p}-container-x")),
            Some("x")
        );
        assert_eq!(names.id_of_container(&format!("{p}xyz-precious")), None);
        assert_eq!(names.id_of_container(&format!("{p}-containers-x")), None);
        assert_eq!(names.id_of_container(&format!("a{p}-container-x")), None);
        assert_eq!(names.id_of_image(&format!("{p}-image-x:latest")), Some("x"));
        assert_eq!(names.id_of_image(&format!("{p}-image-tmp-x:latest")), None);
        assert_eq!(names.id_of_image(&format!("{p}-image-x:other")), None);
        assert_eq!(
            names.id_of_tmp_image(&format!("docker.io/library/{p}-image-tmp-x:latest")),
            Some("x")
        );
    }

    #[test]
    fn plain_cache_names_are_the_seeds_and_long_ones_are_bounded() {
        let name = CacheName::new(b"opam-archives").expect("a name");
        assert_eq!(name.as_str(), "c-opam-archives");
        assert_eq!(name.as_the_seed_wrote_it(), Some("c-opam-archives"));
        let odd = CacheName::new(b"a/b").expect("a name");
        assert_eq!(
            (odd.as_str(), odd.as_the_seed_wrote_it()),
            ("c-a_2fb", None)
        );
        assert_eq!(CacheName::new(b"a_b").expect("a name").as_str(), "c-a_5fb");
        assert!(
            CacheName::new(&vec![b'x'; 10_000])
                .expect("a name")
                .as_str()
                .len()
                <= CACHE_MAX
        );
        assert!(CacheName::new(b"").is_err());
    }

    proptest! {
        #[test]
        fn two_cache_names_never_share_an_escape(names in prop::collection::hash_set(prop::collection::vec(any::<u8>(), 1..90), 2..20)) {
            let escaped: HashSet<String> =
                names.iter().map(|n| CacheName::new(n).expect("a name").as_str().to_owned()).collect();
            prop_assert_eq!(escaped.len(), names.len());
            for name in escaped {
                prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)));
            }
        }

        #[test]
        fn an_id_is_taken_exactly_when_the_grammar_of_image_names_takes_it(id in "[ab0._-]{1,9}") {
            // distribution's own expression, by hand: [a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*
            let mut rest = id.as_str();
            let word = |r: &str| r.len() - r.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).len();
            let mut good = word(rest) > 0;
            rest = &rest[word(rest)..];
            while good && !rest.is_empty() {
                let dashes = rest.len() - rest.trim_start_matches('-').len();
                let cut = if dashes > 0 { dashes } else if rest.starts_with("__") { 2 } else { 1 };
                rest = &rest[cut..];
                let n = word(rest);
                good = n > 0;
                rest = &rest[n..];
            }
            prop_assert_eq!(names().id(&id).is_ok(), good);
        }
    }
}
