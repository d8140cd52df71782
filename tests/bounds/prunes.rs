//! What a prune removes, and what it never does.

use std::time::{Duration, SystemTime};

use docker_store::{
    Begun, CacheRequest, Error, ErrorKind, Item, Limits, Options, Policy, PruneFate, PruneReport,
    PruneRow, Store, Strategy,
};

use crate::common::{ImageStore, Root, begin, build, docker, image_store, import_base, sh};

/// A prune that does not spare recently used results.
pub(crate) fn prune(store: &Store, policy: &mut Policy) -> PruneReport {
    let policy = policy.spare(Duration::ZERO);
    let pruned = store.prune(policy, &Limits::none(), |_| Ok(()));
    pruned.expect("a prune")
}

/// The ids in the rows of results with this fate.
fn ids(report: &PruneReport, fate: PruneFate) -> Vec<String> {
    let rows = report.rows.iter().filter(|row| row.fate == fate);
    rows.filter_map(|row| match &row.item {
        Item::Result(id) => Some(id.clone()),
        _ => None,
    })
    .collect()
}

fn left(store: &Store) -> Vec<String> {
    let rows = store.results().expect("listed");
    rows.into_iter().map(|row| row.id).collect()
}

/// Makes the last use of a result older by this many seconds.
fn age(root: &Root, id: &str, seconds: u64) {
    let record = root.path.join(".store/results").join(id);
    let file = std::fs::File::options().write(true).open(record);
    let at = SystemTime::now() - Duration::from_secs(seconds);
    file.and_then(|file| file.set_modified(at)).expect("older");
}

const KB: u64 = 1000;

/// Four results on `base`, with 100 kB each of their own: `a`, `b` on `a`, `c` and `d`.
fn four(root: &Root) -> Store {
    let store = root.open_with_base();
    for (base, id) in [("base", "a"), ("a", "b"), ("base", "c"), ("base", "d")] {
        let script = format!("head -c 100000 /dev/urandom > /{id}");
        build(&store, base, id, &script);
    }
    store
}

#[test]
fn what_was_used_the_longest_ago_goes_until_the_bytes_are_few_enough() {
    let root = Root::new("lru");
    let store = four(&root);
    for (id, seconds) in [("c", 100), ("a", 90), ("b", 50), ("d", 10), ("base", 1000)] {
        age(&root, id, seconds);
    }
    let usage = store.usage(&Limits::none()).expect("usage");
    let own = |id: &str| {
        let row = usage.results.iter().find(|row| row.id == id);
        row.expect("a row").own_bytes
    };
    // Two of them are too few.
    let most = usage.totals.results - own("c") * 5 / 2;
    // A dry run reports what would be removed, and does nothing.
    let dry = prune(&store, Policy::new().most_bytes(most).dry_run(true));
    assert_eq!(left(&store).len(), 5);
    // `a` has been unused for longer than `b`, which is built on it.
    let report = prune(&store, Policy::new().most_bytes(most));
    assert_eq!(ids(&report, PruneFate::Removed), ["c", "b", "a"]);
    assert_eq!(
        ids(&dry, PruneFate::Removed),
        ids(&report, PruneFate::Removed)
    );
    assert!(report.reached && dry.reached && dry.kept == report.kept);
    assert_eq!(left(&store), ["base", "d"]);
    let now = store.usage(&Limits::none()).expect("usage").totals.results;
    assert_eq!(now, report.kept);
    for row in &report.rows {
        // Containerd keeps it twice: unpacked, and packed.
        let copies = if image_store() == ImageStore::Containerd {
            2
        } else {
            1
        };
        assert!(
            row.bytes >= 100 * KB && row.bytes < 120 * KB * copies,
            "{row:?}"
        );
        let Item::Result(id) = &row.item else {
            panic!("{row:?}");
        };
        assert_eq!(row.bytes, own(id), "{row:?}");
    }
    assert!(report.freed.is_some() && dry.freed.is_none());
    // Nothing to do any more.
    assert!(
        prune(&store, Policy::new().most_bytes(most))
            .rows
            .is_empty()
    );
    assert!(prune(&store, &mut Policy::new()).rows.is_empty());
    assert!(prune(&store, Policy::new().most_bytes(0)).reached);
    assert_eq!(left(&store), Vec::<String>::new());
}

#[test]
fn what_is_unused_for_long_goes_a_base_alone_where_only_its_child_is_used() {
    let root = Root::new("unused");
    let store = four(&root);
    for (id, seconds) in [("a", 9000), ("c", 5000), ("d", 6000), ("base", 9000)] {
        age(&root, id, seconds);
    }
    let policy = || Policy::new().unused_for(Duration::from_secs(3600)).clone();
    let report = prune(&store, policy().keep_results(2));
    assert_eq!(ids(&report, PruneFate::Removed), ["a", "d", "c"]);
    let bytes: Vec<bool> = report.rows.iter().map(|row| row.bytes > 0).collect();
    assert_eq!(bytes, [false, true, true], "alone, a base frees nothing");
    let report = prune(&store, &mut policy());
    assert_eq!(ids(&report, PruneFate::Removed), ["base"]);
    // Its layers still exist.
    assert_eq!(
        crate::common::output_in(&store, "b", "wc -c < /a"),
        "100000\n"
    );
}

#[test]
fn a_cache_that_nobody_has_counted_yet_counts_in_the_bytes_that_a_prune_keeps() {
    let root = Root::new("uncounted");
    let store = root.open_with_base();
    let fill = |name: &str| {
        let lease = store.cache(name, &CacheRequest::new()).expect("a lease");
        let mut step = begin(&store, "base", "writes");
        step.run(sh("head -c 3000000 /dev/urandom > /c/f").lease(&lease, "/c"))
            .expect("a run");
        step.abort().expect("aborted");
        lease.release().expect("released");
    };
    fill("older");
    fill("newer");
    let unknown = store.usage(&Limits::none()).expect("usage");
    assert_eq!(unknown.totals.caches_unknown, 2, "nobody has");
    let report = prune(&store, Policy::new().results(false).most_bytes(4000 * KB));
    assert!(report.reached && report.kept > 2900 * KB, "{report:?}");
    let names = |store: &Store| -> Vec<Vec<u8>> {
        let listed = store.caches().expect("a listing");
        listed.into_iter().map(|row| row.name).collect()
    };
    assert_eq!(names(&store), [b"newer"]);
    let report = prune(&store, Policy::new().results(false).most_bytes(0));
    assert!(report.reached && report.kept == 0, "{report:?}");
    assert!(names(&store).is_empty());
}

#[test]
fn where_nobody_sees_the_files_of_caches_the_engine_says_how_much_they_hold() {
    if image_store() == ImageStore::Podman {
        println!("skipped: Podman's archives are no way to copy a volume");
        return;
    }
    let root = Root::new("unseen");
    let mut options = Options::new();
    options.strategy(Strategy::Copy).direct(false);
    let store = root.open_with(&options);
    import_base(&store, "base");
    let lease = store.cache("c", &CacheRequest::new()).expect("a lease");
    let mut step = begin(&store, "base", "writes");
    step.run(sh("head -c 3000000 /dev/urandom > /c/f").lease(&lease, "/c"))
        .expect("a run");
    step.abort().expect("aborted");
    lease.release().expect("released");
    let kept = prune(&store, Policy::new().results(false).most_bytes(5000 * KB));
    assert!(kept.reached && kept.kept > 2900 * KB, "{kept:?}");
    let report = prune(&store, Policy::new().results(false).most_bytes(1000 * KB));
    assert!(report.reached && report.kept == 0, "{report:?}");
    assert!(store.caches().expect("a listing").is_empty());
}

#[test]
fn among_equals_what_was_built_in_the_shortest_time_goes_first() {
    let root = Root::new("cheap");
    let store = root.open_with_base();
    let took = [("a-slow", 2000), ("quick", 100), ("z-slower", 4000)];
    for (id, _) in took {
        build(&store, "base", id, "true");
    }
    let at = SystemTime::now() - Duration::from_secs(100);
    for (id, built) in took {
        let record = root.path.join(".store/results").join(id);
        // The real duration would depend on how busy this machine is.
        let text = std::fs::read_to_string(&record).expect("a record");
        let (before, after) = text.split_once("\"built_ms\":").expect("its time");
        let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
        std::fs::write(&record, format!("{before}\"built_ms\":{built}{after}")).expect("written");
        let file = std::fs::File::options().write(true).open(record);
        file.and_then(|file| file.set_modified(at)).expect("set");
    }
    let report = prune(&store, Policy::new().unused_for(Duration::from_secs(50)));
    assert_eq!(
        ids(&report, PruneFate::Removed),
        ["quick", "a-slow", "z-slower"]
    );
}

#[test]
fn what_is_built_held_leased_or_in_use_elsewhere_stays_and_is_told_why() {
    let root = Root::new("stays");
    let store = four(&root);
    let other = root.open();
    let step = begin(&other, "b", "x");
    let under_way = begin(&other, "base", "y");
    let lease = store
        .cache("leased", &CacheRequest::new())
        .expect("a lease");
    drop(store.cache("free", &CacheRequest::new()).expect("a lease"));
    store.complete_deletes(&Limits::none()).expect("discarded");
    let container = docker(&["create", &root.image("c"), "x"]).remove(0);
    let report = prune(&store, Policy::new().most_bytes(0));
    assert_eq!(ids(&report, PruneFate::Removed), ["d"]);
    assert_eq!(ids(&report, PruneFate::Failed), ["c"]);
    assert_eq!(ids(&report, PruneFate::Spared), ["b", "base"]);
    assert!(!report.reached);
    let why = |item: &Item| -> String {
        let row = report.rows.iter().find(|row| row.item == *item);
        row.map(|row| row.why.clone()).unwrap_or_default()
    };
    assert!(why(&Item::Result("b".into())).contains("built on it"));
    assert!(why(&Item::Result("c".into())).contains(&container[..12]));
    assert!(why(&Item::Cache(b"leased".to_vec())).contains("leased"));
    let caches = store.caches().expect("listed");
    assert_eq!(caches.len(), 1);
    assert_eq!(left(&store), ["a", "b", "base", "c"]);
    step.commit().expect("on a base that is there");
    under_way.abort().expect("aborted");
    lease.release().expect("released");
    docker(&["rm", &container]);
    assert!(prune(&store, Policy::new().most_bytes(0)).reached);
    store.complete_deletes(&Limits::none()).expect("done");
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn who_was_told_just_now_that_a_result_is_there_has_a_while_to_begin_on_it() {
    let root = Root::new("told");
    let store = root.open_with_base();
    build(&store, "base", "a", "true");
    age(&root, "base", 100);
    let tool = root.open();
    assert!(tool.result("a").expect("a look"));
    // By default, while others are active.
    let report = store.prune(Policy::new().most_bytes(0), &Limits::none(), |_| Ok(()));
    let report = report.expect("a prune");
    assert_eq!(ids(&report, PruneFate::Spared), ["a"]);
    let begun = tool.begin(Some("a"), "b", &Limits::none()).expect("begun");
    let Begun::Step(step) = begun else {
        panic!("b is there")
    };
    step.commit().expect("a commit");
    drop((tool, store));
    // No caller was told anything.
    let store = root.open();
    let report = store.prune(Policy::new().most_bytes(0), &Limits::none(), |_| Ok(()));
    assert!(report.expect("a prune").reached);
    assert_eq!(left(&store), Vec::<String>::new());
}

#[test]
fn logs_go_by_themselves_where_that_is_asked_for_and_with_their_results() {
    let root = Root::new("logs");
    let store = root.open_with_base();
    build(&store, "base", "a", "echo hello");
    let log = |id: &str| root.path.join(format!("logs/{id}.log"));
    std::fs::write(log("failed"), "123").expect("written");
    prune(
        &store,
        Policy::new().most_bytes(0).results(false).caches(false),
    );
    assert!(log("failed").exists());
    let report = prune(
        &store,
        Policy::new()
            .most_bytes(6)
            .results(false)
            .caches(false)
            .logs(true),
    );
    assert!(report.reached && left(&store).len() == 2);
    let gone: Vec<_> = report
        .rows
        .iter()
        .map(|row| (row.item.clone(), row.bytes))
        .collect();
    assert!(
        gone.contains(&(Item::Log("a".into()), 6))
            || gone.contains(&(Item::Log("failed".into()), 3)),
        "{gone:?}"
    );
    std::fs::write(log("a"), "hello\n").expect("written");
    prune(&store, Policy::new().most_bytes(0));
    assert!(!log("a").exists() && left(&store).is_empty());
}

#[test]
fn a_prune_ends_when_it_is_told_to_by_its_progress_its_limits_or_a_bad_policy() {
    let root = Root::new("ends");
    let store = four(&root);
    let mut seen = Vec::new();
    let error = store.prune(
        Policy::new().most_bytes(0).spare(Duration::ZERO),
        &Limits::none(),
        |row: &PruneRow| {
            seen.push(row.item.clone());
            Err(Error::new(ErrorKind::Callback, "enough"))
        },
    );
    assert_eq!(error.expect_err("ended").kind(), ErrorKind::Callback);
    assert_eq!((seen.len(), left(&store).len()), (1, 4));
    let cancel = docker_store::Cancel::new();
    cancel.cancel();
    let told = Limits::none().cancel(&cancel);
    let error = store.prune(Policy::new().most_bytes(0), &told, |_| Ok(()));
    assert_eq!(error.expect_err("cancelled").kind(), ErrorKind::Cancelled);
    assert!(Policy::new().least_free_percent(f64::NAN).is_err());
    assert!(Policy::new().least_free_percent(100.5).is_err());
    // More than any disk has: everything is removed, and it is not enough.
    let report = prune(&store, Policy::new().least_free(u64::MAX));
    assert!(!report.reached && left(&store).is_empty());
    let report = prune(
        &store,
        Policy::new()
            .least_free(1)
            .least_free_percent(0.0)
            .expect("a percentage"),
    );
    assert!(report.reached && report.rows.is_empty());
}
