//! What becomes of a lease at its release: the only place that decides who wins and who loses.

use std::fmt;

use crate::store::cache::clone::strategy::{Seal, Sealed};
use crate::store::cache::state::head::Head;

/// What a lease has to offer.
#[derive(Debug)]
pub(super) enum Offer {
    /// It was not looked at: the head had moved on already.
    Unseen,
    /// With it the cache would exceed its limit.
    TooLarge,
    Sealed(Seal),
}

/// What becomes of it.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It becomes the next generation.
    Wins(Sealed),
    /// Nothing was changed, so the newest generation stays.
    Unchanged,
    TooLarge,
    Loses(Loss),
}

/// Each way to lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Another lease of the same generation was released before.
    Overtaken,
    /// The cache was deleted since it was leased.
    Deleted,
    /// The file that says what the cache is no longer exists.
    NoHead,
    /// Something other than this store removed the lease's volume.
    Removed,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::Overtaken => "another was released before",
            Loss::Deleted => "the cache was deleted in the meantime",
            Loss::NoHead => "the cache no longer exists",
            Loss::Removed => "its volume was removed",
        })
    }
}

/// Decides, by the head under the cache's lock, about a lease of the generation `base`.
pub(super) fn decide(offer: Offer, head: Option<&Head>, base: u64) -> Verdict {
    let moved_on = match head {
        None => Some(Loss::NoHead),
        Some(head) if head.generation == base => None,
        Some(head) if head.deleted => Some(Loss::Deleted),
        Some(_) => Some(Loss::Overtaken),
    };
    match (offer, moved_on) {
        // A lease without changes cannot lose any.
        (Offer::Sealed(Seal::Unchanged), _) => Verdict::Unchanged,
        (Offer::Sealed(Seal::Gone), _) => Verdict::Loses(Loss::Removed),
        (_, Some(loss)) => Verdict::Loses(loss),
        (Offer::Sealed(Seal::Changed(sealed)), None) => Verdict::Wins(sealed),
        (Offer::TooLarge, None) => Verdict::TooLarge,
        // The head was another one a moment ago.
        (Offer::Unseen, None) => Verdict::Loses(Loss::Overtaken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::cache::state::part::{Kind, Part};

    fn head(generation: u64, deleted: bool) -> Head {
        let mut head = Head::new(b"cache");
        (head.generation, head.deleted) = (generation, deleted);
        head
    }

    #[test]
    fn the_first_release_with_changes_wins_and_each_way_to_lose_has_its_name() {
        let changed = || {
            let part = Part {
                volume: "volume".to_owned(),
                kind: Kind::Layer,
                mountpoint: String::new(),
                birth: None,
                generation: 0,
                adopted: false,
                size: None,
            };
            Offer::Sealed(Seal::Changed(Sealed { part, root: None }))
        };
        let (same, newer, deleted) = (head(7, false), head(8, false), head(8, true));
        let again = head(7, true);
        let cases: [(Offer, Option<&Head>, &str); 18] = [
            (changed(), Some(&same), "Wins"),
            (changed(), Some(&again), "Wins"),
            (changed(), Some(&newer), "Loses(Overtaken)"),
            (changed(), Some(&deleted), "Loses(Deleted)"),
            (changed(), None, "Loses(NoHead)"),
            (Offer::Sealed(Seal::Unchanged), Some(&same), "Unchanged"),
            (Offer::Sealed(Seal::Unchanged), Some(&newer), "Unchanged"),
            (Offer::Sealed(Seal::Unchanged), None, "Unchanged"),
            (Offer::Sealed(Seal::Gone), Some(&same), "Loses(Removed)"),
            (Offer::Sealed(Seal::Gone), Some(&newer), "Loses(Removed)"),
            (Offer::Sealed(Seal::Gone), None, "Loses(Removed)"),
            (Offer::TooLarge, Some(&same), "TooLarge"),
            (Offer::TooLarge, Some(&newer), "Loses(Overtaken)"),
            (Offer::TooLarge, Some(&deleted), "Loses(Deleted)"),
            (Offer::TooLarge, None, "Loses(NoHead)"),
            (Offer::Unseen, Some(&newer), "Loses(Overtaken)"),
            (Offer::Unseen, None, "Loses(NoHead)"),
            (Offer::Unseen, Some(&same), "Loses(Overtaken)"),
        ];
        for (offer, head, expected) in cases {
            let what = format!("{offer:?} beside {:?}", head.map(|head| head.generation));
            let verdict = format!("{:?}", decide(offer, head, 7));
            assert!(verdict.starts_with(expected), "{what}: {verdict}");
        }
    }
}
