//! Which root an object on the engine belongs to. Every labelled object carries the identity of its root; an object without
//! that identity is never removed.

use std::collections::HashMap;

use serde_json::{Value, json};

/// The label with the identity of the root that an object belongs to.
pub(crate) const LABEL_ROOT: &str = "docker-store.root";
/// The label with the prefix of all names of the object's store.
pub(crate) const LABEL_STORE: &str = "docker-store.prefix";
/// The label with the session that created an object.
pub(crate) const LABEL_SESSION: &str = "docker-store.session";
/// The label that says what an object is for.
pub(crate) const LABEL_KIND: &str = "docker-store.kind";
/// The label with the cache that a volume belongs to, escaped as in its name.
pub(crate) const LABEL_CACHE: &str = "docker-store.cache";
/// The label that distinguishes one claim of a prefix from every other.
pub(crate) const LABEL_CLAIM: &str = "docker-store.claim";

/// The label of a claim that distinguishes the root's directory from its copies.
pub(crate) const LABEL_PLACE: &str = "docker-store.place";

/// The label of a claim with the root's path at that time: for people who find it.
pub(crate) const LABEL_PATH: &str = "docker-store.path";

/// What distinguishes this root's objects from other programs'.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    /// The root's identity.
    pub(crate) root: String,
    /// What distinguishes its directory from copies.
    pub(crate) mark: String,
    /// What its names on this engine start with.
    pub(crate) prefix: String,
    /// Version 0.1 created the root: objects of that version carry only the prefix.
    pub(crate) legacy: bool,
}

impl Owner {
    /// Returns whether an object with these labels belongs to this root.
    pub(crate) fn owns(&self, labels: Option<&HashMap<String, String>>) -> bool {
        let label = |name: &str| labels?.get(name).map(String::as_str);
        match label(LABEL_ROOT) {
            Some(root) => root == self.root,
            None => self.legacy && label(LABEL_STORE) == Some(&self.prefix),
        }
    }

    /// Returns whether this root may read an object with these labels: its own, and, if version 0.1 created the root, objects
    /// of that version, whatever the root's path was then.
    pub(crate) fn may_read(&self, labels: Option<&HashMap<String, String>>) -> bool {
        let has = |name: &str| labels.is_some_and(|labels| labels.contains_key(name));
        self.owns(labels) || self.legacy && !has(LABEL_ROOT) && has(LABEL_STORE)
    }

    /// Returns the labels of an object of this root.
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
