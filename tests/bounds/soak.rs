//! Four processes that build random chains with caches, each pruning after every step: the store stays within its budget, and
//! no build misses a base that was promised to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use docker_store::{Begun, CacheRequest, ErrorKind, Limits, Policy, ResultUsage, Store};

use crate::common::{Root, amount, child_of, docker, role, sh, spawn};
use crate::records::usage;

const TEST: &str = "soak::four_processes_that_build_under_a_budget_stay_within_it_and_miss_no_base";

const BUDGET: u64 = 500_000_000;

/// How long a result is kept after a caller was told of it. A build that takes longer has no promise.
const SPARE: Duration = Duration::from_secs(10);

/// How long a prune may take, and a step from its last write to its commit.
const LAG: Duration = Duration::from_secs(15);

fn length() -> Duration {
    Duration::from_secs(amount(60, 600) as u64)
}

#[test]
fn four_processes_that_build_under_a_budget_stay_within_it_and_miss_no_base() {
    if let Some(path) = child_of(TEST) {
        let store = Store::open(&path, &Default::default()).expect("a store");
        work(&store, role().parse().expect("a number"));
        return store.close().expect("closed");
    }
    let root = Root::new("soak");
    let store = root.open_with_base();
    store.pin("base", &Limits::none()).expect("pinned");
    let children: Vec<_> = (0..4).map(|n| spawn(TEST, &root, &n.to_string())).collect();
    let began = Instant::now();
    let (mut looks, mut highest) = (0, 0);
    while began.elapsed() < length() {
        std::thread::sleep(Duration::from_secs(1));
        let (kept, in_flight) = sizes(&store);
        assert!(
            kept <= BUDGET + in_flight,
            "{kept} bytes, of which {in_flight} are in flight"
        );
        highest = highest.max(kept);
        looks += 1;
    }
    for child in children {
        child.pass();
    }
    let told = std::fs::read_dir(&root.path).expect("listed").flatten();
    let mut sum: BTreeMap<String, u64> = BTreeMap::new();
    for entry in told.filter(|entry| entry.file_name().to_string_lossy().starts_with("told-")) {
        for line in std::fs::read_to_string(entry.path()).expect("told").lines() {
            let (word, number) = line.split_once(' ').expect("a number");
            *sum.entry(word.to_owned()).or_default() += number.parse::<u64>().expect("a number");
        }
    }
    println!("{looks} looks, {highest} bytes at most, {sum:?}");
    assert!(sum["built"] > 20 && sum["pruned"] > 0, "{sum:?}");
    // Nothing is left at the end.
    store.unpin("base").expect("unpinned");
    let mut all = Policy::new();
    all.unused_for(Duration::ZERO).spare(Duration::ZERO);
    let report = store
        .prune(&all, &Limits::none(), |_| Ok(()))
        .expect("a prune");
    assert!(report.reached && report.kept == 0, "{report:?}");
    store.complete_deletes(&Limits::none()).expect("done");
    // What a close had no time for, it has reported: its session's file is kept, and a purge finds the rest.
    let sessions = root.path.join(".store/sessions");
    for name in root.leftovers() {
        let session = name.rsplit('-').nth(1).expect("a session");
        assert!(sessions.join(session).exists(), "{name}");
    }
    store.purge().expect("a purge");
    assert_eq!(
        docker(&["images", "-q", &root.image("*")]),
        Vec::<String>::new()
    );
    assert_eq!(root.leftovers(), Vec::<String>::new());
    let records = std::fs::read_dir(root.path.join(".store/results")).expect("listed");
    assert_eq!(records.count(), 0);
}

/// The size of the store; and the size of what must not be removed now: what was recently used or is being built on, including
/// all bases.
fn sizes(store: &Store) -> (u64, u64) {
    let found = usage(store);
    let rows: BTreeMap<&str, &ResultUsage> = found
        .results
        .iter()
        .map(|row| (row.id.as_str(), row))
        .collect();
    let mut in_flight = BTreeSet::new();
    for row in &found.results {
        let age = SystemTime::now()
            .duration_since(row.last_use)
            .unwrap_or_default();
        let mut at = (row.held || row.building || age < SPARE + LAG).then_some(row);
        while let Some(row) = at.filter(|row| in_flight.insert(row.id.as_str())) {
            at = row.base.as_deref().and_then(|base| rows.get(base)).copied();
        }
    }
    let own = |id: &&str| rows[id].own_bytes;
    (
        found.totals.results + found.totals.caches,
        in_flight.iter().map(own).sum(),
    )
}

/// Random chains with few ids, so that many are hits.
fn work(store: &Store, number: u64) {
    let until = Instant::now() + length();
    let mut seed = number * 7919 + 12345;
    let mut below = |n: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % n
    };
    let (mut built, mut hits, mut late, mut pruned) = (0u64, 0u64, 0u64, 0u64);
    while Instant::now() < until {
        let (mut base, mut promised) = (String::from("base"), Instant::now());
        let mut id = String::from("s");
        for depth in 0..3 + below(4) {
            id = format!("{id}-{}", below(4));
            let begun = match store.begin(Some(&base), &id, &Limits::none()) {
                Err(e)
                    if e.kind() == ErrorKind::NotFound
                        && promised.elapsed() >= SPARE - Duration::from_secs(1) =>
                {
                    late += 1;
                    break;
                }
                begun => begun.unwrap_or_else(|e| {
                    panic!("{id} on {base}, promised {:?} ago: {e}", promised.elapsed())
                }),
            };
            match begun {
                Begun::Present => hits += 1,
                Begun::Step(mut step) => {
                    let lease = (below(3) == 0).then(|| {
                        let name = format!("cache-{}", below(3));
                        store.cache(name, &CacheRequest::new()).expect("a lease")
                    });
                    let bytes = 4_000_000 + below(16) * 1_000_000;
                    let mut command = sh(&format!(
                        "head -c {bytes} /dev/urandom > /made-{depth}; [ ! -d /c ] || date >> /c/log"
                    ));
                    if let Some(lease) = &lease {
                        command = command.lease(lease, "/c").clone();
                    }
                    step.run(&command).expect("a run");
                    step.commit().expect("a commit");
                    built += 1;
                    if let Some(lease) = lease {
                        lease.release().expect("released");
                    }
                }
            }
            (base, promised) = (id.clone(), Instant::now());
            if below(2) == 0 {
                let mut policy = Policy::new();
                policy.most_bytes(BUDGET).spare(SPARE);
                let report = store
                    .prune(&policy, &Limits::none(), |_| Ok(()))
                    .expect("a prune");
                let gone = report
                    .rows
                    .iter()
                    .filter(|row| row.fate == docker_store::PruneFate::Removed);
                pruned += gone.count() as u64;
            }
        }
    }
    let told = format!("built {built}\nhits {hits}\nlate {late}\npruned {pruned}\n");
    std::fs::write(store.root().join(format!("told-{number}")), told).expect("written");
}
