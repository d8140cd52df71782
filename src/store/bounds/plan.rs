//! What goes next. No engine and no file: a picture of what there is, of which one thing after the other is taken away.

use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use crate::store::bounds::family::Family;
use crate::store::bounds::pins::Item;

/// Something that may go.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) item: Item,
    pub(crate) last_use: SystemTime,
    /// How long it takes to make it again, in milliseconds.
    pub(crate) cost: u64,
    /// What it holds, of something that is no result.
    pub(crate) bytes: u64,
    /// Of a result, its number in the family.
    pub(crate) member: Option<usize>,
    /// Why it must stay.
    pub(crate) spared: Option<String>,
}

/// What there is still, and what was tried.
pub(crate) struct Plan {
    candidates: Vec<Candidate>,
    family: Family,
    /// What candidates that are no results hold.
    others: u64,
    /// Candidates that nobody has tried, in their order, of this round.
    ready: BTreeSet<(SystemTime, u64, usize)>,
    tried: Vec<bool>,
    /// The candidates that are a member.
    names: HashMap<usize, Vec<usize>>,
    /// How many candidates that stand on a member are to go in this round, too, and were not tried.
    waiting: Vec<usize>,
    /// How many results are there, and how many are to stay.
    results: usize,
    keep: usize,
    counts_results: bool,
    /// In the first round: what was not used since then goes.
    before: Option<SystemTime>,
}

impl Plan {
    /// `results`: how many there are; `keep`: how many stay.
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

    /// All that must stay.
    pub(crate) fn spared(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(|c| c.spared.is_some())
    }

    /// What is kept of what may go.
    pub(crate) fn kept(&self) -> u64 {
        let results = match self.counts_results {
            true => self.family.bytes(),
            false => 0,
        };
        results + self.others
    }

    /// What would go with a candidate.
    pub(crate) fn bytes(&self, number: usize) -> u64 {
        let candidate = &self.candidates[number];
        let member = candidate.member;
        member.map_or(candidate.bytes, |member| self.family.goes_with(member))
    }

    /// Begins a round: of what was not used since `before`, or of all.
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

    /// The next one to be tried in this round.
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

    /// A candidate that was tried is gone; or, not `gone`, it stays.
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
        // What it stood on may be the next, also by way of one without a name.
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

    /// Something went along with another: a log with its result.
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
            // Alone it would free nothing.
            None => !self.family.has_children(member),
            Some(_) => self.waiting[member] == 0,
        }
    }

    /// Whether it may be tried in this round.
    fn is_to_go(&self, number: usize) -> bool {
        let candidate = &self.candidates[number];
        let is_old = |before| candidate.last_use <= before;
        !self.tried[number] && candidate.spared.is_none() && self.before.is_none_or(is_old)
    }

    /// One more, or one less, is to go that stands on what this one stands on.
    fn wait(&mut self, number: usize, more: isize) {
        let member = self.candidates[number].member;
        let mut at = member.and_then(|member| self.family.member(member).parent);
        while let Some(parent) = at {
            self.waiting[parent] = self.waiting[parent].saturating_add_signed(more);
            at = self.family.member(parent).parent;
        }
    }
}
