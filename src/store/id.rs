//! [`id`]: a result's id, derived from everything that goes into the result.

use sha2::{Digest, Sha256};

use crate::store::names::hex;

/// The start of every hash's input: a different way of deriving ids will use a different word.
const WAY: &[u8] = b"docker-store id 1";

/// How much of the name precedes the hash. It is enough for people to recognize a result. The hash alone makes ids distinct,
/// and an id must leave room for the prefix in an image's name.
const READABLE: usize = 40;

/// The longest id that [`id`] returns, in bytes. Every store accepts it.
pub const ID_MAX: usize = READABLE + 1 + 64;

/// Derives the id of a result from everything that goes into it: its `name` and `parts`, such as the id of its base, its
/// commands and the digests of the files that it uses. The same name and parts give the same id in every version, from Rust, C
/// and OCaml. Different ones give a different id, as far as SHA-256 is collision-free. The boundaries of parts count: `["ab",
/// "c"]` is not `["a", "bc"]`.
///
/// An id consists of the readable part of the name (a-z, 0-9 and `-`, at most 40 characters), `-`, and the hash: 64 hex digits.
///
/// ```
/// let base = "base";
/// let id = docker_store::id("compile foo.c", [base, "cc -c foo.c"]);
/// assert!(id.starts_with("compile-foo-c-"));
/// assert_ne!(id, docker_store::id("compile foo.c", [base, "cc -c -O2 foo.c"]));
/// ```
pub fn id<Part: AsRef<[u8]>>(
    name: impl AsRef<[u8]>,
    parts: impl IntoIterator<Item = Part>,
) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(WAY);
    add(name.as_ref());
    for part in parts {
        add(part.as_ref());
    }
    let digits = hex(&hash.finalize());
    match readable(name.as_ref()) {
        none if none.is_empty() => digits,
        readable => format!("{readable}-{digits}"),
    }
}

/// Returns as much of the name as an id can start with.
fn readable(name: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric();
    let words = name.split(|byte| !plain(byte));
    let words = words.filter(|word| !word.is_empty());
    let words: Vec<_> = words.map(String::from_utf8_lossy).collect();
    let mut all = words.join("-").to_ascii_lowercase();
    // The names of steps in progress start with this.
    if all == "tmp" || all.starts_with("tmp-") {
        all.insert_str(0, "a-");
    }
    all.truncate(READABLE);
    all.truncate(all.trim_end_matches('-').len());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::names::Names;

    const NONE: [&str; 0] = [];

    #[test]
    fn every_name_makes_an_id_that_every_store_takes() {
        let names = Names::new("abcdefghijklmnopqrstuvwxyz012345-0123456");
        let long = "x".repeat(10_000);
        let cases = [
            "",
            "a",
            "tmp",
            "TMP-x",
            "tmp-",
            "-a-",
            "a//b__c..d",
            "Größe",
            "\n",
            &long,
        ];
        for name in cases {
            let id = id(name, ["part"]);
            names.id(&id).expect(name);
            assert!(id.len() <= ID_MAX, "{name:?}: {id}");
        }
        let odd = id([0xff, b'a', 0, b'b', 0xfe], NONE);
        assert!(odd.starts_with("a-b-"), "{odd}");
        for end in 30..60 {
            let name = format!("{}-b", "a".repeat(end));
            names.id(&id(&name, NONE)).expect("an id");
        }
    }

    #[test]
    fn where_a_part_ends_counts_and_so_does_all_of_the_name() {
        let long = "n".repeat(READABLE);
        let ids = [
            id("n", ["ab", "c"]),
            id("n", ["a", "bc"]),
            id("n", ["abc"]),
            id("n", ["abc", ""]),
            id("n", NONE),
            id("n", [""]),
            id("N", NONE),
            id("n a", ["bc"]),
            id("nab", ["c"]),
            id(format!("{long}a"), NONE),
            id(format!("{long}b"), NONE),
        ];
        let different: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len(), "{ids:?}");
    }

    /// Ids name objects on disks, so they must never change.
    #[test]
    fn the_same_parts_give_the_same_id_for_ever() {
        let parts: [&[u8]; 2] = [b"base", b"\x00\xff"];
        assert_eq!(id("Compile foo.c!", parts), KNOWN);
    }

    /// Computed by another program (Python's hashlib).
    const KNOWN: &str =
        "compile-foo-c-0a19f0228d163f358e06b906fae27f7134e723b892c7ac5a448661351e821bc8";
}
