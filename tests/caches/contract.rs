//! What a cache promises, with every strategy. Includes what OBuilder's own stress program checks.

use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use docker_store::{CacheMode, CacheRequest, Cancel, ErrorKind, Limits, Released};
use serde_json::json;

use crate::common::{begin, import_base, sh};

use super::ground::{
    Root, View, Way, change, get, here, in_all_ways, lease, newest, request, settle,
};

#[test]
fn a_new_cache_belongs_to_who_asked_and_what_is_released_is_in_the_next_lease() {
    in_all_ways(|way| {
        let root = Root::new("carry");
        let store = root.open(way);
        assert_eq!(store.strategy().expect("a strategy").0, way.strategy);
        let first = store
            .cache("a", CacheRequest::new().owner(12, 34))
            .expect("a lease");
        {
            let view = View::of(&first);
            let found = std::fs::metadata(&view.path).expect("the root");
            assert_eq!(
                (found.uid(), found.gid(), found.mode() & 0o7777),
                (12, 34, 0o755)
            );
            assert!(view.files().is_empty());
            view.write("x", "one");
        }
        assert_eq!(first.generation(), 0);
        assert_eq!(first.release().expect("released"), Released::Won(1));

        let second = store
            .cache("a", CacheRequest::new().owner(3_000_000_000, 78))
            .expect("a lease");
        {
            let view = View::of(&second);
            let found = std::fs::metadata(&view.path).expect("the root");
            assert_eq!((found.uid(), found.gid()), (3_000_000_000, 78));
            assert_eq!(view.read("x").as_deref(), Some("one"));
            view.write("y", "two");
        }
        assert_eq!(
            (second.generation(), second.release().expect("released")),
            (1, Released::Won(2))
        );
        let both = [
            ("x".to_owned(), "one".to_owned()),
            ("y".to_owned(), "two".to_owned()),
        ];
        assert_eq!(newest(&store, "a"), both.into());

        let rows = store.caches().expect("a listing");
        assert_eq!(
            (rows.len(), rows[0].generation, rows[0].strategy),
            (1, 2, way.strategy)
        );
        assert_eq!(rows[0].name, b"a");
        assert!(rows[0].bytes.is_some() || !way.direct);
        settle(&store);
        assert_eq!(root.volumes().len(), rows[0].layers, "{:?}", root.left());
        assert_eq!(store.caches().expect("a listing")[0].leases, 0);
        assert!(store.delete_cache("a").expect("deleted"));
        assert!(!store.delete_cache("a").expect("deleted before"));
        settle(&store);
        assert_eq!(root.left(), Vec::<String>::new());
        store.close().expect("closed");
    });
}

#[test]
fn of_two_leases_the_first_changed_one_that_is_released_wins_and_neither_sees_the_other() {
    in_all_ways(|way| {
        let root = Root::new("race");
        let store = root.open(way);
        change(&store, "a", |view| view.write("x", "old"));
        let (one, two, three) = (lease(&store, "a"), lease(&store, "a"), lease(&store, "a"));
        assert_eq!(store.caches().expect("a listing")[0].leases, 3);
        View::of(&one).write("x", "one");
        assert_eq!(View::of(&two).read("x").as_deref(), Some("old"));
        View::of(&two).write("y", "two");
        assert_eq!(View::of(&one).read("y"), None);
        // An unchanged lease does not affect others, even if it is released first.
        assert_eq!(three.release().expect("released"), Released::Unchanged);
        assert_eq!(two.release().expect("released"), Released::Won(2));
        assert_eq!(one.release().expect("released"), Released::Lost);
        let files = newest(&store, "a");
        assert_eq!(files.get("x").map(String::as_str), Some("old"));
        assert_eq!(files.get("y").map(String::as_str), Some("two"));
        let stats = store.stats();
        assert_eq!(
            (
                stats.releases_won,
                stats.releases_lost,
                stats.releases_unchanged
            ),
            (2, 1, 1)
        );
        assert_eq!((stats.cache_misses, stats.cache_hits), (1, 4));
        assert_eq!(stats.clones_copy + stats.clones_overlay, 5);
    });
}

#[test]
fn deleting_a_cache_during_a_lease_makes_that_lease_lose() {
    in_all_ways(|way| {
        let root = Root::new("delete");
        let store = root.open(way);
        change(&store, "a", |view| view.write("x", "old"));
        let during = lease(&store, "a");
        assert!(store.delete_cache("a").expect("deleted"));
        // A lease does not change until it is released.
        settle(&store);
        assert_eq!(View::of(&during).read("x").as_deref(), Some("old"));
        View::of(&during).write("x", "new");
        assert!(store.caches().expect("a listing").is_empty());
        assert!(newest(&store, "a").is_empty());
        assert_eq!(during.release().expect("released"), Released::Lost);
        // Even the first release after a delete must be newer than it.
        let again = lease(&store, "a");
        store.delete_cache("a").expect("deleted");
        View::of(&again).write("z", "z");
        assert_eq!(again.release().expect("released"), Released::Lost);
        assert!(matches!(
            change(&store, "a", |view| view.write("n", "new")),
            Released::Won(_)
        ));
        assert_eq!(newest(&store, "a").len(), 1);
        store.delete_cache("a").expect("deleted");
        settle(&store);
        assert_eq!(root.left(), Vec::<String>::new());
    });
}

#[test]
fn a_lease_that_a_container_still_has_is_busy_and_stays_open() {
    in_all_ways(|way| {
        let root = Root::new("busy");
        let store = root.open(way);
        let held = lease(&store, "a");
        View::of(&held).write("x", "x");
        let container = container_with(&root, "holder", held.volume());
        assert_eq!(held.release().expect_err("mounted").kind(), ErrorKind::Busy);
        assert_eq!(held.release().expect_err("mounted").kind(), ErrorKind::Busy);
        assert_eq!(newest(&store, "a").len(), 0);
        request("DELETE", &format!("/containers/{container}?force=1"), None);
        assert_eq!(held.release().expect("released"), Released::Won(1));
        assert_eq!(held.release().expect_err("twice").kind(), ErrorKind::Closed);
        assert_eq!(held.discard().expect_err("twice").kind(), ErrorKind::Closed);

        // A volume that cannot be removed yet is remembered, and removed when possible.
        let given_up = lease(&store, "a");
        let container = container_with(&root, "holder", given_up.volume());
        drop(given_up);
        settle(&store);
        let before = root.volumes().len();
        request("DELETE", &format!("/containers/{container}?force=1"), None);
        settle(&store);
        assert!(root.volumes().len() < before);
    });
}

#[test]
fn a_cache_whose_volume_a_foreign_container_mounts_is_busy_and_not_deleted() {
    in_all_ways(|way| {
        let root = Root::new("foreign");
        let store = root.open(way);
        change(&store, "a", |view| view.write("x", "x"));
        settle(&store);
        let part = root.volumes().pop().expect("a part");
        let container = container_with(&root, "foreign", &part);
        assert_eq!(
            store.delete_cache("a").expect_err("mounted").kind(),
            ErrorKind::Busy
        );
        assert_eq!(newest(&store, "a").len(), 1);
        request("DELETE", &format!("/containers/{container}?force=1"), None);
        assert!(store.delete_cache("a").expect("deleted"));
        assert!(!store.delete_cache("never made").expect("absent is fine"));
    });
}

#[test]
fn any_bytes_name_a_cache_and_no_two_names_share_one() {
    let way = super::ground::Way::ALL[1];
    let root = Root::new("names");
    let store = root.open(way);
    let long = vec![b'y'; 10_000];
    let names: [&[u8]; 9] = [
        b"a/b",
        b"a_b",
        b"a_2fb",
        b"foo:bar",
        b"a b",
        b"../x",
        "\u{1f600}".as_bytes(),
        b"\xff\0\n",
        &long,
    ];
    for (n, name) in names.iter().enumerate() {
        let lease = store.cache(name, &CacheRequest::new()).expect("a lease");
        View::of(&lease).write("n", &n.to_string());
        assert_eq!(lease.release().expect("released"), Released::Won(1));
    }
    for (n, name) in names.iter().enumerate() {
        let lease = store.cache(name, &CacheRequest::new()).expect("a lease");
        assert_eq!(View::of(&lease).read("n"), Some(n.to_string()));
    }
    let mut listed: Vec<Vec<u8>> = store
        .caches()
        .expect("a listing")
        .into_iter()
        .map(|row| row.name)
        .collect();
    let mut given: Vec<Vec<u8>> = names.iter().map(|name| name.to_vec()).collect();
    listed.sort();
    given.sort();
    assert_eq!(listed, given);
    assert_eq!(
        store
            .cache("", &CacheRequest::new())
            .expect_err("no name")
            .kind(),
        ErrorKind::InvalidArgument
    );
}

#[test]
fn locked_leases_come_one_after_the_other_and_waiting_ends_by_deadline_and_cancel() {
    in_all_ways(|way| {
        let root = Root::new("locked");
        let (one, two) = (root.open(way), root.open(way));
        // The first trial of what works takes time.
        assert_eq!(
            one.strategy().expect("known"),
            two.strategy().expect("known")
        );
        let mut locked = CacheRequest::new();
        locked.mode(CacheMode::Locked);
        let held = one.cache("a", &locked).expect("a lease");
        for store in [&one, &two] {
            let mut soon = locked.clone();
            soon.limits(Limits::none().timeout(Duration::from_millis(50)));
            assert_eq!(
                store.cache("a", &soon).expect_err("held").kind(),
                ErrorKind::TimedOut
            );
        }
        let cancel = Cancel::new();
        let mut cancelled = locked.clone();
        cancelled.limits(Limits::none().cancel(&cancel));
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(50));
                cancel.cancel();
            });
            assert_eq!(
                two.cache("a", &cancelled).expect_err("held").kind(),
                ErrorKind::Cancelled
            );
        });
        // A private lease does not wait, and another cache is independent.
        drop(lease(&two, "a"));
        drop(two.cache("b", &locked).expect("another cache"));
        View::of(&held).write("0", "");
        held.release().expect("released");

        // Each sees what the previous ones released.
        let count = 4;
        thread::scope(|scope| {
            for n in 1..=count {
                let (store, locked) = (if n % 2 == 0 { &one } else { &two }, &locked);
                scope.spawn(move || {
                    let lease = store.cache("a", locked).expect("a turn");
                    let view = View::of(&lease);
                    let before = view.files().len();
                    view.write(&before.to_string(), "");
                    drop(view);
                    assert!(matches!(
                        lease.release().expect("released"),
                        Released::Won(_)
                    ));
                });
            }
        });
        assert_eq!(newest(&one, "a").len(), count + 1);
        assert_eq!(one.stats().releases_lost + two.stats().releases_lost, 0);
    });
}

#[test]
fn shared_leases_are_one_and_the_last_release_publishes_it() {
    in_all_ways(|way| {
        let root = Root::new("shared");
        let (one, two) = (root.open(way), root.open(way));
        let mut shared = CacheRequest::new();
        shared.mode(CacheMode::Shared);
        let a = one.cache("a", &shared).expect("a lease");
        let b = two.cache("a", &shared).expect("a lease");
        let c = one.cache("a", &shared).expect("a lease");
        assert_eq!((a.volume(), a.volume()), (b.volume(), c.volume()));
        // Several containers have it at the same time, because the engine mounts it once for all.
        let containers = ["p", "q"].map(|name| container_with(&root, name, a.volume()));
        for container in containers {
            request("DELETE", &format!("/containers/{container}?force=1"), None);
        }
        View::of(&a).write("x", "by all");
        let mut locked = CacheRequest::new();
        locked
            .mode(CacheMode::Locked)
            .limits(Limits::none().timeout(Duration::from_millis(30)));
        assert_eq!(
            two.cache("a", &locked).expect_err("shared").kind(),
            ErrorKind::TimedOut
        );
        assert_eq!(b.release().expect("released"), Released::Shared);
        assert_eq!(b.release().expect_err("twice").kind(), ErrorKind::Closed);
        assert!(newest(&one, "a").is_empty());
        assert_eq!(a.release().expect("released"), Released::Shared);
        // Its holder released it and relies on it, whatever the last holder does.
        drop(c);
        let began = Instant::now();
        while newest(&two, "a").is_empty() {
            assert!(began.elapsed() < Duration::from_secs(20), "never published");
            thread::sleep(Duration::from_millis(10));
        }
        let d = two.cache("a", &shared).expect("a lease");
        assert_eq!(
            (d.generation(), View::of(&d).read("x").as_deref()),
            (1, Some("by all"))
        );
        View::of(&d).write("y", "y");
        assert_eq!(d.release().expect("released"), Released::Won(2));
    });
}

#[test]
fn leases_are_taken_and_given_back_without_a_look_at_the_others_that_are_out() {
    let way = Way::ALL[1];
    let root = Root::new("crowded");
    let store = root.open(way);
    let shared = || {
        let mut request = CacheRequest::new();
        request.mode(CacheMode::Shared);
        store.cache("a", &request).expect("a shared lease")
    };
    let first = shared();
    View::of(&first).write("x", "x");
    // A record of an active session that cannot be read: a caller that reads all of them fails.
    let session = std::fs::read_dir(root.path.join(".store/sessions"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .find(|name| name.len() == 20)
        .expect("a session");
    let other = format!("{}-999", session.to_str().expect("text"));
    let other = root.path.join(".store/caches/c-a/leases").join(other);
    std::fs::write(&other, "torn").expect("written");
    let (second, third) = (shared(), shared());
    assert_eq!(first.volume(), second.volume());
    assert_eq!(second.release().expect("left"), Released::Shared);
    third.discard().expect("left");
    settle(&store);
    assert_eq!(first.release().expect("published"), Released::Won(1));
    assert_eq!(
        change(&store, "a", |view| view.write("y", "y")),
        Released::Won(2)
    );
    std::fs::remove_file(&other).expect("removed");
    assert_eq!(newest(&store, "a").len(), 2);
    assert!(!root.path.join(".store/caches/c-a/shared").exists());
}

#[test]
fn shared_leases_that_threads_take_at_once_are_cloned_once() {
    in_all_ways(|way| {
        let root = Root::new("together");
        let (one, two) = (root.open(way), root.open(way));
        let mut shared = CacheRequest::new();
        shared.mode(CacheMode::Shared);
        let leases = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for n in 0..6 {
                let (store, shared, leases) =
                    (if n % 2 == 0 { &one } else { &two }, &shared, &leases);
                scope.spawn(move || {
                    let lease = store.cache("a", shared).expect("a lease");
                    leases.lock().expect("unpoisoned").push(lease);
                });
            }
        });
        let leases = leases.into_inner().expect("unpoisoned");
        assert!(
            leases
                .iter()
                .all(|lease| lease.volume() == leases[0].volume())
        );
        assert_eq!(one.stats().cache_misses + two.stats().cache_misses, 1);
        View::of(&leases[0]).write("x", "x");
        let outcomes: Vec<Released> = leases
            .iter()
            .map(|lease| lease.release().expect("released"))
            .collect();
        assert_eq!(
            outcomes.iter().filter(|o| **o == Released::Won(1)).count(),
            1
        );
        assert_eq!(
            outcomes.iter().filter(|o| **o == Released::Shared).count(),
            5
        );
    });
}

#[test]
fn a_closed_store_lends_and_takes_nothing() {
    in_all_ways(|way| {
        let root = Root::new("closed");
        let store = root.open(way);
        let lease = lease(&store, "a");
        View::of(&lease).write("x", "x");
        store.close().expect("closed");
        assert_eq!(
            lease.release().expect_err("closed").kind(),
            ErrorKind::Closed
        );
        drop(lease);
        // Its removal may still be in progress; a later open finds its session stale and removes it, or it is gone.
        let began = Instant::now();
        let store = root.open(way);
        while !root.volumes().is_empty() {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{:?}",
                root.volumes()
            );
            thread::sleep(Duration::from_millis(10));
            store.purge().expect("purged");
        }
        assert!(newest(&store, "a").is_empty());
    });
}

#[test]
fn what_an_obuilder_store_left_becomes_generation_one() {
    in_all_ways(|way| {
        let root = Root::new("adopt");
        let prefix = root.prefix();
        let make = |name: &str| {
            let body = json!({ "Name": name });
            assert_eq!(request("POST", "/volumes/create", Some(&body)).0, 201);
            View::of_volume(name)
        };
        let seeds = format!("{prefix}cache-c-op_am");
        make(&seeds).write("x", "precious");
        // OBuilder forgets its leases when it is killed. The other volumes are foreign, however similar.
        make(&format!("{prefix}cache-tmp-12-c-op_am"));
        let strangers = [
            format!("{prefix}cache-tmp-mine"),
            format!("{}x-cache-tmp-1-c-a", &prefix[..prefix.len() - 1]),
        ];
        strangers.iter().for_each(|name| drop(make(name)));

        let store = root.open(way);
        assert_eq!(root.volumes().len(), 2);
        let adopted = lease(&store, "op_am");
        assert_eq!(
            (
                adopted.generation(),
                View::of(&adopted).read("x").as_deref()
            ),
            (1, Some("precious"))
        );
        View::of(&adopted).write("y", "y");
        assert_eq!(adopted.release().expect("released"), Released::Won(2));
        settle(&store);
        let files = newest(&store, "op_am");
        assert_eq!(files.get("x").map(String::as_str), Some("precious"));
        assert!(store.delete_cache("op_am").expect("deleted"));
        settle(&store);
        store.close().expect("closed");
        // A deleted cache is not adopted again.
        let store = root.open(way);
        assert!(newest(&store, "op_am").is_empty());
        settle(&store);
        assert_eq!(root.volumes(), [strangers[0].clone()]);
        assert_eq!(
            get(&format!("/volumes/{}", strangers[1]))["Name"],
            strangers[1].as_str()
        );
        strangers
            .iter()
            .for_each(|name| drop(request("DELETE", &format!("/volumes/{name}"), None)));
    });
}

#[test]
fn steps_change_a_cache_through_the_engines_own_mount() {
    in_all_ways(|way| {
        let root = Root::new("steps");
        let store = root.open(way);
        import_base(&store, "base");
        let run = |id: &str, script: &str| {
            let mut step = begin(&store, "base", id);
            let held = lease(&store, "a");
            step.run(sh(script).lease(&held, "/c")).expect("a run");
            // While the step has its container, the lease is in use.
            assert_eq!(held.release().expect_err("mounted").kind(), ErrorKind::Busy);
            step.commit().expect("a commit");
            held.release().expect("released")
        };
        let first = "mkdir /c/d && echo one >/c/x && echo two >/c/d/y && chmod 1777 /c";
        assert_eq!(run("one", first), Released::Won(1));
        let second =
            "test $(cat /c/x) = one && rm /c/x && rm -r /c/d && mkdir /c/d && echo three >/c/d/z";
        assert_eq!(run("two", second), Released::Won(2));
        assert_eq!(
            run("three", "test ! -e /c/x && test ! -e /c/d/y && test -k /c"),
            Released::Unchanged
        );
        let files = newest(&store, "a");
        assert_eq!(
            files.into_iter().collect::<Vec<_>>(),
            [("d/z".to_owned(), "three\n".to_owned())]
        );
    });
}

#[test]
fn one_strategy_goes_on_where_another_left_off() {
    let root = Root::new("mixed");
    let ways = [1, 0, 1, 2, 3, 0, 3, 1, 2].map(|n| super::ground::Way::ALL[n]);
    let ways: Vec<_> = here(ways).collect();
    for (n, way) in ways.iter().copied().enumerate() {
        let store = root.open(way);
        let lease = lease(&store, "a");
        {
            let view = View::of(&lease);
            let names: Vec<String> = view.files().into_keys().collect();
            assert_eq!(
                names,
                (n.saturating_sub(2)..n)
                    .map(|n| n.to_string())
                    .collect::<Vec<_>>(),
                "{way:?}"
            );
            view.write(&n.to_string(), "");
            if n >= 2 {
                view.remove(&(n - 2).to_string());
            }
        }
        assert_eq!(
            lease.release().expect("released"),
            Released::Won(n as u64 + 1)
        );
        store.close().expect("closed");
    }
    // Two at the same time, of different kinds, over the same generation.
    let (one, two) = (root.open(ways[0]), root.open(ways[1]));
    let (a, b) = (lease(&one, "a"), lease(&two, "a"));
    assert_eq!(View::of(&a).files(), View::of(&b).files());
    View::of(&b).write("b", "");
    View::of(&a).write("a", "");
    let next = ways.len() as u64 + 1;
    assert_eq!(b.release().expect("released"), Released::Won(next));
    assert_eq!(a.release().expect("released"), Released::Lost);
    assert!(newest(&one, "a").contains_key("b"));
    one.delete_cache("a").expect("deleted");
    settle(&one);
    settle(&two);
    assert_eq!(root.left(), Vec::<String>::new());
}

#[test]
fn an_acquire_that_is_cancelled_leaves_nothing() {
    in_all_ways(|way| {
        let root = Root::new("cancelled");
        let store = root.open(way);
        change(&store, "a", |view| {
            (0..200).for_each(|n| view.write(&n.to_string(), &"x".repeat(100_000)))
        });
        settle(&store);
        let left = root.left();
        for microseconds in [0, 300, 1_000, 3_000, 10_000, 30_000] {
            let limits = Limits::none().timeout(Duration::from_micros(microseconds));
            match store.cache("a", CacheRequest::new().limits(limits)) {
                Ok(lease) => drop(lease),
                Err(e) => assert_eq!(e.kind(), ErrorKind::TimedOut, "{e}"),
            }
            settle(&store);
            assert_eq!(
                root.left(),
                left,
                "after {microseconds} microseconds, {way:?}"
            );
        }
        assert_eq!(store.caches().expect("a listing")[0].leases, 0);
        assert_eq!(newest(&store, "a").len(), 200);
    });
}

#[test]
fn files_are_synced_before_the_head_moves_where_an_option_says_so() {
    in_all_ways(|way| {
        let root = Root::new("synced");
        let store =
            docker_store::Store::open(&root.path, way.options().sync(true)).expect("an open store");
        assert_eq!(
            change(&store, "a", |view| view.write("x", "x")),
            Released::Won(1)
        );
        assert_eq!(newest(&store, "a").len(), 1);
    });
}

#[test]
fn a_head_that_cannot_be_read_is_an_error_until_the_cache_is_deleted() {
    let way = super::ground::Way::ALL[1];
    let root = Root::new("corrupt");
    let store = root.open(way);
    change(&store, "a", |view| view.write("x", "x"));
    let during = lease(&store, "a");
    View::of(&during).write("x", "y");
    std::fs::write(root.path.join(".store/caches/c-a/head"), "torn").expect("written");
    let error = store.cache("a", &CacheRequest::new()).expect_err("torn");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(store.caches().expect("a listing").is_empty());
    store.purge().expect("purged");
    store.delete_cache("a").expect("healed");
    assert_eq!(during.release().expect("released"), Released::Lost);
    assert_eq!(
        change(&store, "a", |view| view.write("n", "n")),
        Released::Won(3)
    );
}

#[test]
fn the_folder_of_a_deleted_cache_goes_with_the_next_purge_but_not_while_it_is_lent() {
    let way = super::ground::Way::ALL[1];
    let root = Root::new("folders");
    let store = root.open(way);
    change(&store, "a", |view| view.write("x", "x"));
    let folder = root.path.join(".store/caches/c-a");
    store.delete_cache("a").expect("deleted");
    let during = lease(&store, "a");
    store.purge().expect("purged");
    assert!(folder.exists());
    during.discard().expect("discarded");
    settle(&store);
    store.purge().expect("purged");
    assert!(!folder.exists());
    assert_eq!(
        change(&store, "a", |view| view.write("x", "x")),
        Released::Won(1)
    );
}

/// A container that is never started and has the volume.
pub(super) fn container_with(root: &Root, name: &str, volume: &str) -> String {
    // The helpers' image is created with the first of them; any image works, because nothing is run.
    let image = format!("{}empty", root.prefix());
    let name = format!("{}x-{name}", root.prefix());
    let body = json!({
        "Image": image,
        "Cmd": ["-"],
        "HostConfig": { "Mounts": [
            { "Type": "volume", "Source": volume, "Target": "/c", "VolumeOptions": { "NoCopy": true } }
        ] },
    });
    let (status, answer) = request(
        "POST",
        &format!("/containers/create?name={name}"),
        Some(&body),
    );
    assert_eq!(status, 201, "{answer}");
    name
}
