//! Which images share layers with which, and so what is freed when a result is removed: a forest in which each image is based
//! on the one that it was committed on. This is known from the records of results, and without a record from what the engine
//! knows of an image's parent.
//!
//! An image whose last name was removed stays on disk for as long as others are based on it.

use std::collections::HashMap;

use crate::engine::images::ListedImage;
use crate::store::bounds::record::Record;

/// One image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Member {
    /// What it holds in addition to its base.
    pub(crate) own: u64,
    /// Its whole size.
    pub(crate) total: u64,
    pub(crate) parent: Option<usize>,
    /// How many existing images are directly based on it.
    children: usize,
    /// How many results it is.
    names: usize,
    /// Whether a step in progress uses it.
    held: bool,
    /// Whether its whole size is not known.
    is_unknown: bool,
}

/// All images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Family {
    members: Vec<Member>,
    /// The size of all results; shared layers count once.
    bytes: u64,
}

/// An input image: identified by its number in the listing.
pub(crate) struct Given<'a> {
    pub(crate) image: &'a ListedImage,
    /// The ids of the results that it is, each with its record.
    pub(crate) results: Vec<(&'a str, Option<&'a Record>)>,
    /// Whether a step in progress uses it.
    pub(crate) held: bool,
}

impl Family {
    /// `gone` finds the record of a result that no longer exists. `alike` is whether the sizes in records are those of the
    /// listing. Returns the members in the order of `given`, and the number of results whose base is unknown.
    pub(crate) fn new<'a>(
        given: &[Given<'a>],
        gone: &dyn Fn(&str) -> Option<Record>,
        alike: bool,
    ) -> (Self, usize) {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut members: Vec<Member> = Vec::new();
        for (number, given) in given.iter().enumerate() {
            numbers.insert(given.image.id.as_str(), number);
            members.push(Member {
                total: given.image.size,
                names: given.results.len(),
                held: given.held,
                ..Member::default()
            });
        }
        let mut unknown = 0;
        let mut ghosts: HashMap<String, usize> = HashMap::new();
        for (number, given) in given.iter().enumerate() {
            // A step that changed nothing gives its base's image another name: that result's record does not say what the image
            // is based on.
            let records = || given.results.iter().filter_map(|(_, record)| *record);
            let is_own = |record: &&Record| {
                let base = record.base.as_ref();
                base.is_none_or(|base| base.image != given.image.id)
            };
            let record = records().find(is_own).or_else(|| records().next());
            let parent = match record {
                Some(record) => match &record.base {
                    Some(base) if base.shared => {
                        let listed = numbers.get(base.image.as_str()).copied();
                        let of_ghost = || {
                            let seen = Ghosts {
                                numbers: &numbers,
                                gone,
                                alike,
                            };
                            seen.number(
                                &mut members,
                                &mut ghosts,
                                &base.image,
                                &base.id,
                                base.bytes,
                            )
                        };
                        Some(listed.unwrap_or_else(of_ghost))
                    }
                    _ => None,
                },
                None => {
                    let known = numbers.get(given.image.parent_id.as_str()).copied();
                    unknown += usize::from(known.is_none() && !given.results.is_empty());
                    known
                }
            };
            members[number].parent = parent.filter(|parent| *parent != number);
        }
        let mut family = Family { members, bytes: 0 };
        family.cut_circles();
        family.guess();
        family.count();
        (family, unknown)
    }

    /// Returns whether the sizes in records are those of the listing; `None` if nothing shows it, and it matters. Engines with
    /// containerd's image store (seen on Docker 28.5) count in a list what is packed and what is unpacked, and only the former
    /// when they are asked for one image.
    pub(crate) fn alike(given: &[Given<'_>]) -> Option<bool> {
        let sizes = given
            .iter()
            .map(|given| (&given.image.id, given.image.size));
        let sizes: HashMap<&String, u64> = sizes.collect();
        let records = given.iter().flat_map(|given| &given.results);
        let bases = records.filter_map(|(_, record)| record.as_ref()?.base.as_ref());
        let (mut shown, mut matters) = (None, false);
        for base in bases {
            match sizes.get(&base.image) {
                Some(size) => shown = Some(shown.unwrap_or(true) && *size == base.bytes),
                None => matters |= base.shared,
            }
        }
        shown.or((!matters).then_some(true))
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn member(&self, number: usize) -> &Member {
        &self.members[number]
    }

    /// Returns the size of all results.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns whether an existing image is based on it.
    pub(crate) fn has_children(&self, number: usize) -> bool {
        self.members[number].children > 0
    }

    /// Returns whether a step in progress uses it.
    pub(crate) fn is_held(&self, number: usize) -> bool {
        self.members[number].held
    }

    /// Returns what would be freed if one of the member's names were removed now.
    pub(crate) fn goes_with(&self, number: usize) -> u64 {
        let mut bytes = 0;
        let mut at = Some(number);
        let mut names = 1;
        while let Some(number) = at {
            let member = &self.members[number];
            // The image just visited is its last child.
            let children = usize::from(names == 0);
            if member.held || member.names > names || member.children > children {
                break;
            }
            bytes += member.own;
            at = member.parent;
            names = 0;
        }
        bytes
    }

    /// Records that one of the member's names was removed.
    pub(crate) fn lose(&mut self, number: usize) {
        let goes = self.goes_with(number);
        self.bytes = self.bytes.saturating_sub(goes);
        self.members[number].names = self.members[number].names.saturating_sub(1);
        let mut at = number;
        while !self.is_there(at) {
            let Some(parent) = self.members[at].parent else {
                break;
            };
            self.members[parent].children -= 1;
            at = parent;
        }
    }

    fn is_there(&self, number: usize) -> bool {
        let member = &self.members[number];
        member.held || member.names > 0 || member.children > 0
    }

    /// Records read from files may contain anything, even cycles.
    fn cut_circles(&mut self) {
        let mut seen = vec![0; self.members.len()];
        for start in 0..self.members.len() {
            let (mut at, turn) = (start, start + 1);
            while seen[at] == 0 {
                seen[at] = turn;
                match self.members[at].parent {
                    Some(parent) if seen[parent] == turn => self.members[at].parent = None,
                    Some(parent) => at = parent,
                    None => {}
                }
            }
        }
    }

    /// Gives ghosts of an unknown size the largest that they can have: that of the smallest image which is based on them.
    fn guess(&mut self) {
        loop {
            let mut most: HashMap<usize, u64> = HashMap::new();
            for member in self.members.iter().filter(|member| !member.is_unknown) {
                let parent = member.parent.filter(|at| self.members[*at].is_unknown);
                if let Some(parent) = parent {
                    let size = most.entry(parent).or_insert(member.total);
                    *size = member.total.min(*size);
                }
            }
            if most.is_empty() {
                return;
            }
            for (number, size) in most {
                self.members[number].total = size;
                self.members[number].is_unknown = false;
            }
        }
    }

    /// Computes the children and sizes of the images that exist.
    fn count(&mut self) {
        for number in 0..self.members.len() {
            let below = self.members[number]
                .parent
                .map(|parent| &self.members[parent]);
            let below = below.map_or(0, |parent| parent.total);
            let member = &mut self.members[number];
            member.own = member.total.saturating_sub(below);
        }
        let mut there = vec![false; self.members.len()];
        for number in 0..self.members.len() {
            let member = &self.members[number];
            let mut at = Some(number).filter(|_| member.held || member.names > 0);
            while let Some(number) = at.filter(|number| !there[*number]) {
                there[number] = true;
                at = self.members[number].parent;
                if let Some(parent) = at {
                    self.members[parent].children += 1;
                }
            }
        }
        // The images of steps in progress belong to the steps, not to a result.
        let of_result = self.stand_under_results();
        let own = self.members.iter().zip(of_result);
        self.bytes = own
            .filter(|(_, counts)| *counts)
            .map(|(member, _)| member.own)
            .sum();
    }

    fn stand_under_results(&self) -> Vec<bool> {
        let mut under = vec![false; self.members.len()];
        for number in 0..self.members.len() {
            let mut at = Some(number).filter(|number| self.members[*number].names > 0);
            while let Some(number) = at.filter(|number| !under[*number]) {
                under[number] = true;
                at = self.members[number].parent;
            }
        }
        under
    }
}

/// Images that are no longer listed, and on which others are based.
struct Ghosts<'a> {
    numbers: &'a HashMap<&'a str, usize>,
    gone: &'a dyn Fn(&str) -> Option<Record>,
    alike: bool,
}

impl Ghosts<'_> {
    fn number(
        &self,
        members: &mut Vec<Member>,
        ghosts: &mut HashMap<String, usize>,
        image: &str,
        id: &str,
        bytes: u64,
    ) -> usize {
        if let Some(number) = ghosts.get(image) {
            return *number;
        }
        let number = members.len();
        let record = (self.gone)(id);
        let listed = record.as_ref().and_then(|record| record.bytes);
        let total = listed.or(self.alike.then_some(bytes));
        members.push(Member {
            total: total.unwrap_or_default(),
            is_unknown: total.is_none(),
            ..Member::default()
        });
        ghosts.insert(image.to_owned(), number);
        let base = record.and_then(|record| record.base);
        // Both sizes are from records.
        if let Some(base) = base.filter(|base| base.shared && base.bytes <= bytes) {
            let parent = match self.numbers.get(base.image.as_str()) {
                Some(parent) => *parent,
                None => self.number(members, ghosts, &base.image, &base.id, base.bytes),
            };
            members[number].parent = Some(parent).filter(|parent| *parent != number);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::bounds::record::Base;

    fn image(id: &str, size: u64, parent: &str) -> ListedImage {
        ListedImage {
            id: id.to_owned(),
            repo_tags: None,
            parent_id: parent.to_owned(),
            created: 0,
            size,
        }
    }

    fn on(id: &str, bytes: u64, shared: bool) -> Record {
        let base = Base {
            id: id.to_owned(),
            image: format!("i-{id}"),
            bytes,
            shared,
        };
        Record::new(Some(base), Duration::ZERO)
    }

    fn family(
        images: &[ListedImage],
        records: &HashMap<&str, Record>,
        gone: &HashMap<&str, Record>,
    ) -> (Family, usize) {
        let given: Vec<_> = images
            .iter()
            .map(|image| {
                let id = image.id.strip_prefix("i-").unwrap_or_default();
                Given {
                    image,
                    results: vec![(id, records.get(id))],
                    held: false,
                }
            })
            .collect();
        Family::new(
            &given,
            &|id| gone.get(id).cloned(),
            Family::alike(&given).unwrap_or(true),
        )
    }

    #[test]
    fn layers_are_counted_once_also_those_of_bases_that_have_lost_their_name() {
        // a <- b (removed) <- c, d; a <- e as one layer; f has no record, and g is based on f according to the engine.
        let images = [
            image("i-a", 100, ""),
            image("i-c", 160, ""),
            image("i-d", 170, ""),
            image("i-e", 130, ""),
            image("i-f", 1000, "x"),
            image("i-g", 1001, "i-f"),
        ];
        let records = HashMap::from([
            ("a", Record::new(None, Duration::ZERO)),
            ("c", on("b", 150, true)),
            ("d", on("b", 150, true)),
            ("e", on("a", 100, false)),
        ]);
        let gone = HashMap::from([("b", on("a", 100, true))]);
        let (mut family, unknown) = family(&images, &records, &gone);
        assert_eq!(unknown, 1);
        let own: Vec<u64> = (0..6).map(|number| family.member(number).own).collect();
        assert_eq!(own, [100, 10, 20, 130, 1000, 1]);
        assert_eq!(family.bytes(), 100 + 50 + 10 + 20 + 130 + 1001);
        // Removing a base's name alone frees nothing; removing the last image on top frees the base, too.
        assert_eq!((family.goes_with(0), family.has_children(0)), (0, true));
        family.lose(0);
        assert_eq!(family.bytes(), 1311);
        assert_eq!(family.goes_with(1), 10);
        family.lose(1);
        assert_eq!(family.goes_with(2), 20 + 50 + 100);
        family.lose(2);
        assert_eq!(family.bytes(), 130 + 1001);
        assert!(!family.has_children(0));
    }

    #[test]
    fn where_records_have_other_sizes_than_the_listing_a_base_that_went_has_its_listed_size_or_is_guessed()
     {
        // a <- b (removed) <- c, d. In records, sizes are a tenth.
        let images = [
            image("i-a", 100, ""),
            image("i-c", 160, ""),
            image("i-d", 170, ""),
        ];
        let records = HashMap::from([("c", on("b", 15, true)), ("d", on("b", 15, true))]);
        let mut b = on("a", 10, true);
        let gone = HashMap::from([("b", b.clone())]);
        // Nothing is listed that a record gives a size to, so nothing shows it.
        let given = |records: &[(&'static str, Record)], gone: &HashMap<&str, Record>, alike| {
            let given = images.iter().map(|image| {
                let id = image.id.strip_prefix("i-").unwrap_or_default();
                let record = records.iter().find(|(of, _)| *of == id);
                Given {
                    image,
                    results: vec![(id, record.map(|(_, record)| record))],
                    held: false,
                }
            });
            let given: Vec<_> = given.collect();
            let (family, _) = Family::new(&given, &|id| gone.get(id).cloned(), alike);
            (Family::alike(&given), family.bytes())
        };
        let all: Vec<_> = records.into_iter().collect();
        assert_eq!(given(&all, &gone, false), (None, 100 + 60 + 10));
        b.bytes = Some(150);
        let gone = HashMap::from([("b", b)]);
        assert_eq!(given(&all, &gone, false), (None, 100 + 50 + 10 + 20));
        // One that is listed shows it.
        for (size, alike) in [(10, false), (100, true)] {
            let shows = [("c", on("a", size, true))];
            assert_eq!(given(&shows, &gone, alike).0, Some(alike));
        }
    }

    #[test]
    fn records_that_say_what_cannot_be_are_no_trouble() {
        let images = [image("i-a", 10, "i-a"), image("i-b", 20, "i-a")];
        let records = HashMap::from([("a", on("b", 20, true)), ("b", on("a", 10, true))]);
        let gone = HashMap::from([("c", on("d", 5, true)), ("d", on("c", 5, true))]);
        let (family, _) = family(&images, &records, &gone);
        assert!(family.bytes() <= 30);
        let images = [image("i-e", 10, "")];
        let records = HashMap::from([("e", on("c", 5, true))]);
        let (mut family, _) = super::tests::family(&images, &records, &gone);
        assert!(family.bytes() <= 20);
        family.lose(0);
    }
}
