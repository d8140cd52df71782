//! Random stores against a small model: what must not be removed is kept, the bounds are reached if possible, and the least
//! recently used is removed first; with one prune or two at the same time, while others build.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use docker_store::{Begun, CacheRequest, Limits, Policy, PruneFate, Store};

use crate::common::{Root, amount, begin, tar_of};
use crate::records::usage;

/// Numbers that look random, from a seed that is printed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A result of the model.
#[derive(Clone, Debug)]
struct Result {
    base: Option<String>,
    own: u64,
    /// How many seconds ago it was used.
    age: u64,
    stays: bool,
}

type Model = BTreeMap<String, Result>;

/// What `id` is based on, including bases that have lost their name.
fn below<'a>(all: &'a Model, id: &str) -> Vec<&'a str> {
    let base = |id: &str| all.get(id)?.base.as_deref();
    std::iter::successors(base(id), |id| base(id)).collect()
}

/// What a prune to a given size leaves: the oldest that nothing is based on is removed, one after the other. `all` includes
/// what was removed before, whose layers exist for as long as something is based on them.
fn pruned(model: &Model, all: &Model, most: u64) -> Model {
    let mut left = model.clone();
    loop {
        let stood_on: BTreeSet<&str> = left.keys().flat_map(|id| below(all, id)).collect();
        let there: BTreeSet<&str> = left
            .keys()
            .map(String::as_str)
            .chain(stood_on.iter().copied())
            .collect();
        let bytes: u64 = there.iter().filter_map(|id| Some(all.get(*id)?.own)).sum();
        let may_go = left
            .iter()
            .filter(|(id, one)| !one.stays && !stood_on.contains(id.as_str()));
        let oldest = may_go
            .max_by_key(|(_, one)| one.age)
            .map(|(id, _)| id.clone());
        match oldest {
            Some(id) if bytes > most => left.remove(&id),
            _ => return left,
        };
    }
}

/// What a prune of results that were unused for a given time leaves.
fn unused(model: &Model, age: u64) -> Model {
    let kept = model.iter().filter(|(_, one)| one.stays || one.age < age);
    kept.map(|(id, one)| (id.clone(), one.clone())).collect()
}

/// Builds several results, each on an earlier one.
fn grow(root: &Root, store: &Store, random: &mut Random, round: usize) {
    let none = Limits::none();
    for n in 0..8 {
        let there: Vec<String> = store
            .results()
            .expect("listed")
            .into_iter()
            .map(|row| row.id)
            .collect();
        let id = format!("r{round}-{n}");
        let base = (!there.is_empty() && !random.one_in(4))
            .then(|| there[random.below(there.len())].clone());
        let Begun::Step(mut step) = store.begin(base.as_deref(), &id, &none).expect("begun") else {
            continue;
        };
        let content: Vec<u8> = (0..20_000 + random.below(50_000))
            .map(|at| (at * 7 + n + round) as u8)
            .collect();
        step.copy_in("/", &mut &tar_of(&id, &content)[..])
            .expect("copied in");
        step.commit().expect("a commit");
    }
    let names = store
        .results()
        .expect("listed")
        .into_iter()
        .map(|row| row.id);
    for (id, age) in names.zip(0..) {
        let age = 1000 + 100 * random.below(1000) as u64 + age;
        let at = SystemTime::now() - Duration::from_secs(age);
        let record = root.path.join(".store/results").join(id);
        let file = std::fs::File::options().write(true).open(record);
        file.and_then(|file| file.set_modified(at)).expect("older");
    }
}

#[test]
fn random_stores_are_pruned_as_a_small_model_is() {
    let seed = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(1, |t| t.as_nanos() as u64)
        | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let root = Root::new("model");
    let (store, other) = (root.open(), root.open());
    let rounds = amount(3, 40);
    let mut all_ever = Model::new();
    for round in 0..rounds {
        grow(&root, &store, &mut random, round);
        let rows = usage(&store).results;
        let none = Limits::none();
        let mut model: Model = rows
            .iter()
            .map(|row| {
                let age = SystemTime::now()
                    .duration_since(row.last_use)
                    .expect("older")
                    .as_secs();
                let one = Result {
                    base: row.base.clone(),
                    own: row.own_bytes,
                    age,
                    stays: random.one_in(5),
                };
                (row.id.clone(), one)
            })
            .collect();
        all_ever.extend(model.clone());
        // Pins, a build in progress, a lease.
        let ids: Vec<String> = model.keys().cloned().collect();
        for id in ids.iter().filter(|id| model[*id].stays) {
            store.pin(id, &none).expect("pinned");
        }
        let base = ids[random.below(ids.len())].clone();
        let mut step = begin(&other, &base, &format!("under-way-{round}"));
        // Otherwise the result would be another name of its base's image.
        let change = tar_of("under-way", format!("{round}").as_bytes());
        step.copy_in("/", &mut &change[..]).expect("copied in");
        if let Some(held) = model.get_mut(&base) {
            held.stays = true;
        }
        let lease = other.cache("c", &CacheRequest::new()).expect("a lease");
        // It was just used as a base, so it is the youngest.
        let all: u64 = model.values().map(|one| one.own).sum();
        let mut policy = Policy::new();
        policy.spare(Duration::ZERO);
        let expected = match random.one_in(2) {
            true => {
                let most = random.below(all as usize) as u64;
                policy.most_bytes(most);
                pruned(&model, &all_ever, most)
            }
            false => {
                let age = 1000 + 100 * random.below(1000) as u64;
                policy.unused_for(Duration::from_secs(age));
                unused(&model, age)
            }
        };
        // Usually by two prunes at the same time.
        let twice = !random.one_in(3);
        let prune = |store: &Store| store.prune(&policy, &none, |_| Ok(())).expect("a prune");
        let (first, second) = std::thread::scope(|scope| {
            let second = twice.then(|| scope.spawn(|| prune(&other)));
            (
                prune(&store),
                second.map(|second| second.join().expect("no panic")),
            )
        });
        let left: BTreeSet<String> = usage(&store)
            .results
            .into_iter()
            .map(|row| row.id)
            .collect();
        let wanted: BTreeSet<String> = expected.keys().cloned().collect();
        assert_eq!(
            left, wanted,
            "seed {seed}, round {round}, {policy:?}, {model:?}, {first:?}, {second:?}"
        );
        for report in [Some(first), second].into_iter().flatten() {
            assert!(
                report.rows.iter().all(|row| row.fate != PruneFate::Failed),
                "{report:?}"
            );
            let mut items: Vec<_> = report.rows.iter().map(|row| row.item.clone()).collect();
            let rows = items.len();
            items.sort();
            items.dedup();
            assert_eq!(items.len(), rows, "each once");
        }
        assert_eq!(
            store.caches().expect("listed").len(),
            1,
            "a leased cache stays"
        );
        step.commit().expect("on a base that is there");
        lease.release().expect("released");
        for pin in store.pins().expect("listed") {
            if let docker_store::Item::Result(id) = pin.item {
                store.unpin(&id).expect("unpinned");
            }
        }
    }
    let mut all = Policy::new();
    all.unused_for(Duration::ZERO).spare(Duration::ZERO);
    let report = store
        .prune(&all, &Limits::none(), |_| Ok(()))
        .expect("a prune");
    assert!(report.reached && report.kept == 0);
    store.complete_deletes(&Limits::none()).expect("done");
    assert_eq!(root.leftovers(), Vec::<String>::new());
}
