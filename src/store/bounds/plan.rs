//! Decides what is removed next. Uses neither the engine nor files, only a model of what exists, from which one thing after the
//! other is removed.

use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use crate::store::bounds::family::Family;
use crate::store::bounds::pins::Item;

/// Something that may be removed.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) item: Item,
    pub(crate) last_use: SystemTime,
    /// How long it takes to create it again, in milliseconds.
    pub(crate) cost: u64,
    /// Its size, if it is not a result.
    pub(crate) bytes: u64,
    /// If it is a result, its number in the family.
    pub(crate) member: Option<usize>,
    /// Why it must be kept.
    pub(crate) spared: Option<String>,
}

/// What still exists, and what was tried.
pub(crate) struct Plan {
    candidates: Vec<Candidate>,
    family: Family,
    /// The size of candidates that are not results.
    others: u64,
    /// Candidates of this round that have not been tried, in order.
    ready: BTreeSet<(SystemTime, u64, usize)>,
    tried: Vec<bool>,
    /// The candidates that are names of a member.
    names: HashMap<usize, Vec<usize>>,
    /// For each member, how many candidates of this round that are based on it have not been tried.
    waiting: Vec<usize>,
    /// How many results exist, and how many must be kept.
    results: usize,
    keep: usize,
    counts_results: bool,
    /// In the first round: what was not used since then is removed.
    before: Option<SystemTime>,
}

impl Plan {
    /// `results` is how many exist; `keep` is how many must be kept.
    pub(crate) fn new(
        candidates: Vec<Candidate>,
        family: Family,
        results: usize,
        keep: usize,
    ) -> Self {
        let mut names: HashMap<usize, Vec<usize>> = HashMap::new();
        for (number, candidate) in candidates.iter().enumerate() {
            if let Some(member) = candidate.member {
                names.entry(member).or_default().push(number);
            }
        }
        let others = candidates.iter().filter(|c| c.member.is_none());
        Plan {
            others: others.map(|candidate| candidate.bytes).sum(),
            tried: vec![false; candidates.len()],
            counts_results: candidates.iter().any(|c| c.member.is_some()),
            candidates,
            waiting: vec![0; family.len()],
            family,
            ready: BTreeSet::new(),
            names,
            results,
            keep,
            before: None,
        }
    }

    pub(crate) fn candidate(&self, number: usize) -> &Candidate {
        &self.candidates[number]
    }

    /// Returns everything that must be kept.
    pub(crate) fn spared(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(|c| c.spared.is_some())
    }

    /// Returns the size of what is left of the kinds that may be removed.
    pub(crate) fn kept(&self) -> u64 {
        let results = match self.counts_results {
            true => self.family.bytes(),
            false => 0,
        };
        results + self.others
    }

    /// Returns what removing a candidate would free.
    pub(crate) fn bytes(&self, number: usize) -> u64 {
        let candidate = &self.candidates[number];
        let member = candidate.member;
        member.map_or(candidate.bytes, |member| self.family.goes_with(member))
    }

    /// Begins a round: of what was not used since `before`, or of everything.
    pub(crate) fn begin(&mut self, before: Option<SystemTime>) {
        self.before = before;
        self.waiting.fill(0);
        let all = 0..self.candidates.len();
        for number in all.clone() {
            if self.is_to_go(number) {
                self.wait(number, 1);
            }
        }
        let ready: Vec<usize> = all.filter(|number| self.is_ready(*number)).collect();
        self.ready = ready.into_iter().map(|number| self.place(number)).collect();
    }

    /// Returns the next candidate to try in this round.
    pub(crate) fn next(&mut self) -> Option<usize> {
        loop {
            let (_, _, number) = self.ready.pop_first()?;
            if self.tried[number] || !self.is_ready(number) {
                continue;
            }
            self.tried[number] = true;
            self.wait(number, -1);
            return Some(number);
        }
    }

    /// Records that a candidate was removed; or, with `gone` false, that it is kept.
    pub(crate) fn note(&mut self, number: usize, gone: bool) {
        let Some(member) = self.candidates[number].member else {
            if gone {
                self.others -= self.candidates[number].bytes;
            }
            return;
        };
        if gone {
            self.family.lose(member);
            self.results = self.results.saturating_sub(1);
        }
        // Its base may be next, also if there is an image without a name in between.
        let mut at = self.family.member(member).parent;
        while let Some(parent) = at {
            let named = self.names.get(&parent).into_iter().flatten();
            let ready: Vec<_> = named
                .filter(|number| self.is_ready(**number))
                .map(|number| self.place(*number))
                .collect();
            self.ready.extend(ready);
            at = self.family.member(parent).parent;
        }
    }

    /// Records that something was removed together with another: a log with its result.
    pub(crate) fn went_along(&mut self, item: &Item) {
        let found = self.candidates.iter().position(|c| c.item == *item);
        if let Some(number) = found.filter(|number| !self.tried[*number]) {
            self.tried[number] = true;
            self.others -= self.candidates[number].bytes;
        }
    }

    fn place(&self, number: usize) -> (SystemTime, u64, usize) {
        let candidate = &self.candidates[number];
        (candidate.last_use, candidate.cost, number)
    }

    fn is_ready(&self, number: usize) -> bool {
        if !self.is_to_go(number) {
            return false;
        }
        let Some(member) = self.candidates[number].member else {
            return true;
        };
        if self.results <= self.keep {
            return false;
        }
        match self.before {
            // Removing it alone would free nothing.
            None => !self.family.has_children(member),
            Some(_) => self.waiting[member] == 0,
        }
    }

    /// Returns whether it may be tried in this round.
    fn is_to_go(&self, number: usize) -> bool {
        let candidate = &self.candidates[number];
        let is_old = |before| candidate.last_use <= before;
        !self.tried[number] && candidate.spared.is_none() && self.before.is_none_or(is_old)
    }

    /// Counts one candidate more or less that has to be tried before its base.
    fn wait(&mut self, number: usize, more: isize) {
        let member = self.candidates[number].member;
        let mut at = member.and_then(|member| self.family.member(member).parent);
        while let Some(parent) = at {
            self.waiting[parent] = self.waiting[parent].saturating_add_signed(more);
            at = self.family.member(parent).parent;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;
    use crate::engine::images::ListedImage;
    use crate::store::bounds::family::Given;
    use crate::store::bounds::record::{Base, Record};

    /// An image of a random store: which earlier one it is based on, its own size, and its names.
    #[derive(Clone, Debug)]
    struct Image {
        parent: Option<usize>,
        own: u64,
        held: bool,
        names: Vec<Name>,
    }

    /// Last use, cost, whether it must be kept, whether its removal fails.
    type Name = (u64, u64, bool, bool);

    fn image() -> impl Strategy<Value = (prop::sample::Index, bool, u64, bool, Vec<Name>)> {
        let name = (
            0..6u64,
            0..3u64,
            prop::bool::weighted(0.2),
            prop::bool::weighted(0.1),
        );
        (
            any::<prop::sample::Index>(),
            prop::bool::weighted(0.8),
            1..50u64,
            prop::bool::weighted(0.1),
            prop::collection::vec(name, 0..3),
        )
    }

    prop_compose! {
        fn store()(images in prop::collection::vec(image(), 1..14)) -> Vec<Image> {
            let images = images.into_iter().enumerate();
            images.map(|(number, (parent, has, own, held, names))| Image {
                parent: (has && number > 0).then(|| parent.index(number)),
                own,
                // The parent of a step's own image is known only from the engine.
                held: held && !names.is_empty(),
                names,
            }).collect()
        }
    }

    /// The library's plan for it; the names are numbered in order.
    fn plan(images: &[Image], keep: usize) -> Plan {
        let total = |mut at: usize| {
            let mut bytes = images[at].own;
            while let Some(parent) = images[at].parent {
                bytes += images[parent].own;
                at = parent;
            }
            bytes
        };
        let listed: Vec<ListedImage> = (0..images.len())
            .map(|number| ListedImage {
                id: format!("i{number}"),
                repo_tags: None,
                parent_id: String::new(),
                created: 0,
                size: total(number),
            })
            .collect();
        let record = |number: usize| {
            let base = images[number].parent.map(|parent| Base {
                id: format!("r{parent}"),
                image: format!("i{parent}"),
                bytes: total(parent),
                shared: true,
            });
            Record::new(base, Duration::ZERO)
        };
        let records: Vec<Record> = (0..images.len()).map(record).collect();
        // An image with neither a name nor a step is in no listing.
        let is_listed = |number: &usize| images[*number].held || !images[*number].names.is_empty();
        let shown: Vec<usize> = (0..images.len()).filter(is_listed).collect();
        let given: Vec<Given<'_>> = shown
            .iter()
            .map(|number| Given {
                image: &listed[*number],
                results: match images[*number].names.len() {
                    0 => vec![],
                    names => vec![("r", Some(&records[*number])); names],
                },
                held: images[*number].held,
            })
            .collect();
        let gone = |id: &str| {
            records
                .get(id.strip_prefix('r')?.parse::<usize>().ok()?)
                .cloned()
        };
        let (family, _) = Family::new(&given, &gone, true);
        let mut candidates = Vec::new();
        for (member, number) in shown.iter().enumerate() {
            for (name, (last_use, cost, stays, _)) in images[*number].names.iter().enumerate() {
                candidates.push(Candidate {
                    item: Item::Result(format!("r{number}-{name}")),
                    last_use: UNIX_EPOCH + Duration::from_secs(*last_use),
                    cost: *cost,
                    bytes: 0,
                    member: Some(member),
                    spared: (*stays || images[*number].held).then(String::new),
                });
            }
        }
        let results = candidates.len();
        Plan::new(candidates, family, results, keep)
    }

    /// The same store in a simple model.
    struct Model<'a> {
        images: &'a [Image],
        /// What exists, and what was tried: an image and a name of it.
        there: BTreeSet<(usize, usize)>,
        tried: BTreeSet<(usize, usize)>,
        keep: usize,
    }

    impl Model<'_> {
        fn stands_on(&self, mut above: usize, below: usize) -> bool {
            while let Some(parent) = self.images[above].parent {
                if parent == below {
                    return true;
                }
                above = parent;
            }
            false
        }

        /// Returns the size of all names: every image that has one or that a named image is based on. What only a step in
        /// progress uses does not count.
        fn kept(&self) -> u64 {
            let counts = |image: &usize| {
                self.there
                    .iter()
                    .any(|(named, _)| named == image || self.stands_on(*named, *image))
            };
            (0..self.images.len())
                .filter(counts)
                .map(|image| self.images[image].own)
                .sum()
        }

        fn may_go(&self, (image, name): (usize, usize), before: Option<u64>) -> bool {
            let (last_use, _, stays, _) = self.images[image].names[name];
            let old = before.is_none_or(|before| last_use <= before);
            old && !stays && !self.images[image].held && !self.tried.contains(&(image, name))
        }

        fn next(&self, before: Option<u64>) -> Option<(usize, usize)> {
            if self.there.len() <= self.keep {
                return None;
            }
            let ready = |one: &&(usize, usize)| {
                let above = |other: &(usize, usize)| self.stands_on(other.0, one.0);
                let blocked = match before {
                    None => {
                        self.there.iter().any(above)
                            || (0..self.images.len()).any(|image| {
                                self.images[image].held && self.stands_on(image, one.0)
                            })
                    }
                    Some(_) => self
                        .there
                        .iter()
                        .any(|other| above(other) && self.may_go(*other, before)),
                };
                self.may_go(**one, before) && !blocked
            };
            let order = |one: &&(usize, usize)| {
                let (last_use, cost, ..) = self.images[one.0].names[one.1];
                (last_use, cost, **one)
            };
            self.there.iter().filter(ready).min_by_key(order).copied()
        }
    }

    proptest! {
        #[test]
        fn what_goes_is_what_a_small_model_says(
            images in store(),
            keep in 0..4usize,
            before in prop::option::of(0..6u64),
            most in prop::option::of(0..200u64),
        ) {
            let names = |image: usize| (0..images[image].names.len()).map(move |name| (image, name));
            let there: BTreeSet<_> = (0..images.len()).flat_map(names).collect();
            let mut model = Model { images: &images, there, tried: BTreeSet::new(), keep };
            let mut plan = plan(&images, keep);
            prop_assert_eq!(plan.kept(), model.kept());
            for (before, most) in [(before, None), (None, most)] {
                let Some(most) = before.map(|_| 0).or(most) else { continue };
                plan.begin(before.map(|before| UNIX_EPOCH + Duration::from_secs(before)));
                while before.is_some() || model.kept() > most {
                    let (expected, found) = (model.next(before), plan.next());
                    let named = expected.map(|(image, name)| Item::Result(format!("r{image}-{name}")));
                    let shown = found.map(|number| plan.candidate(number).item.clone());
                    prop_assert_eq!(&shown, &named);
                    let (Some((image, name)), Some(number)) = (expected, found) else { break };
                    model.tried.insert((image, name));
                    let fails = images[image].names[name].3;
                    let (had, goes) = (model.kept(), plan.bytes(number));
                    if !fails {
                        model.there.remove(&(image, name));
                        prop_assert_eq!(had - model.kept(), goes);
                    }
                    plan.note(number, !fails);
                    prop_assert_eq!(plan.kept(), model.kept());
                }
            }
        }
    }
}
