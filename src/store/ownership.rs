//! Whose an object on the engine is. Every labelled object carries the identity of its root; what does not is never removed.

use std::collections::HashMap;

use serde_json::{Value, json};

/// The label that names the root whose an object is: the root's identity.
pub(crate) const LABEL_ROOT: &str = "docker-store.root";
/// The label with what all names of the object's store begin with.
pub(crate) const LABEL_STORE: &str = "docker-store.prefix";
/// The label that names the session which made an object.
pub(crate) const LABEL_SESSION: &str = "docker-store.session";
/// The label that says what an object is for.
pub(crate) const LABEL_KIND: &str = "docker-store.kind";
/// The label that names the cache a volume is of, escaped as in its name.
pub(crate) const LABEL_CACHE: &str = "docker-store.cache";
/// The label that tells one claim of a prefix from every other.
pub(crate) const LABEL_CLAIM: &str = "docker-store.claim";

/// The label of a claim that tells the root's directory from its copies.
pub(crate) const LABEL_PLACE: &str = "docker-store.place";

/// The label of a claim that says where the root was then: for people who find it.
pub(crate) const LABEL_PATH: &str = "docker-store.path";

/// What tells this root's objects from others'.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    /// The root's identity.
    pub(crate) root: String,
    /// What tells its directory from copies.
    pub(crate) mark: String,
    /// What its names on this engine begin with.
    pub(crate) prefix: String,
    /// Version 0.1 made the root: what that left carries the prefix alone.
    pub(crate) legacy: bool,
}

impl Owner {
    /// Whether an object with these labels is this root's.
    pub(crate) fn owns(&self, labels: Option<&HashMap<String, String>>) -> bool {
        let label = |name: &str| labels?.get(name).map(String::as_str);
        match label(LABEL_ROOT) {
            Some(root) => root == self.root,
            None => self.legacy && label(LABEL_STORE) == Some(&self.prefix),
        }
    }

    /// Whether this root may read what carries these labels: what is its own, and, where version 0.1 made the root, what that
    /// left, under whatever path it was then.
    pub(crate) fn may_read(&self, labels: Option<&HashMap<String, String>>) -> bool {
        let has = |name: &str| labels.is_some_and(|labels| labels.contains_key(name));
        self.owns(labels) || self.legacy && !has(LABEL_ROOT) && has(LABEL_STORE)
    }

    /// The labels of an object of this root.
    pub(crate) fn labels(&self, session: &str, kind: &str) -> Value {
        json!({
            LABEL_ROOT: self.root,
            LABEL_STORE: self.prefix,
            LABEL_SESSION: session,
            LABEL_KIND: kind,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_owned_by_its_root_alone_or_by_a_root_of_version_0_1_of_its_prefix() {
        let labels = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        let owner = |legacy| Owner {
            root: String::from("r"),
            mark: String::new(),
            prefix: String::from("obuilder-1234567"),
            legacy,
        };
        let ours = labels(&[(LABEL_ROOT, "r"), (LABEL_STORE, "obuilder-7654321")]);
        let theirs = labels(&[(LABEL_ROOT, "s"), (LABEL_STORE, "obuilder-1234567")]);
        let old = labels(&[(LABEL_STORE, "obuilder-1234567")]);
        let other = labels(&[(LABEL_STORE, "obuilder-7654321")]);
        for legacy in [false, true] {
            assert!(owner(legacy).owns(Some(&ours)));
            assert!(!owner(legacy).owns(Some(&theirs)));
            assert!(!owner(legacy).owns(Some(&other)));
            assert!(!owner(legacy).owns(Some(&labels(&[]))) && !owner(legacy).owns(None));
            assert_eq!(owner(legacy).owns(Some(&old)), legacy);
            let read = |labels| owner(legacy).may_read(labels);
            assert!(read(Some(&ours)) && !read(Some(&theirs)) && !read(None));
            assert_eq!((read(Some(&old)), read(Some(&other))), (legacy, legacy));
        }
    }
}
