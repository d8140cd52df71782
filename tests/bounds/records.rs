//! Last use and lineage, usage, pins.

use std::time::{Duration, SystemTime};

use docker_store::{Begun, CacheRequest, Item, Limits, ResultUsage, Store, Usage, Went};

use std::process::Command as Process;

use serde_json::Value;

use crate::common::{ImageStore, Root, build, docker, image_store, import_base, sh, untar};

pub(crate) fn usage(store: &Store) -> Usage {
    store.usage(&Limits::none()).expect("what takes the space")
}

pub(crate) fn row(store: &Store, id: &str) -> ResultUsage {
    let found = usage(store).results.into_iter().find(|row| row.id == id);
    found.unwrap_or_else(|| panic!("{id} is not there"))
}

/// The size of the newest layer of an image, according to the engine.
fn newest_layer(image: &str) -> u64 {
    let lines = docker(&["history", "--human=false", "--format", "{{.Size}}", image]);
    let unpacked: u64 = lines[0].parse().expect("a number");
    match image_store() {
        ImageStore::Docker | ImageStore::Podman => unpacked,
        // It keeps the layer a second time, packed, as it would push it.
        ImageStore::Containerd => unpacked + newest_blob(image),
    }
}

/// The size of an image's newest layer in the file that `docker save` writes.
fn newest_blob(image: &str) -> u64 {
    let saved = Process::new("docker").args(["save", image]).output();
    let files = untar(&saved.expect("docker save").stdout);
    let file = |wanted: &str| {
        let found = files.iter().find(|(name, _)| name == wanted);
        &found.unwrap_or_else(|| panic!("no {wanted}")).1
    };
    let manifest: Value = serde_json::from_slice(file("manifest.json")).expect("JSON");
    let layers = manifest[0]["Layers"].as_array().expect("layers");
    let newest = layers.last().and_then(Value::as_str).expect("a layer");
    file(newest).len() as u64
}

/// Whether a number of bytes is that of `images` images with these layers. Docker's own store counts nothing else. The others
/// count an image's configuration and manifest, too; and containerd, in a list but not in a history, the blocks of directories
/// (seven of 4096 bytes in a step that runs something).
fn is_size(bytes: u64, layers: u64, images: u64) -> bool {
    let more = match image_store() {
        ImageStore::Docker => 0,
        ImageStore::Podman => 8192 * images,
        ImageStore::Containerd => (8192 + 7 * 4096) * images,
    };
    (layers..=layers + more).contains(&bytes)
}

fn size(image: &str) -> u64 {
    let said = docker(&["image", "inspect", "--format", "{{.Size}}", image]);
    said[0].parse().expect("a number")
}

#[test]
fn a_result_says_what_it_was_built_on_what_it_adds_and_how_long_it_took() {
    let root = Root::new("lineage");
    let store = root.open_with_base();
    let script = "head -c 1000000 /dev/urandom > /made; sleep 0.3";
    build(&store, "base", "made", script);
    let made = row(&store, "made");
    assert_eq!(made.base.as_deref(), Some("base"));
    let layer = newest_layer(&root.image("made"));
    assert!(is_size(made.own_bytes, layer, 1), "{layer}: {made:?}");
    assert!(made.own_bytes >= 1_000_000, "{made:?}");
    // Asked for one image, containerd says only what is packed.
    if image_store() != ImageStore::Containerd {
        assert_eq!(made.bytes, size(&root.image("made")));
    }
    let took = made.build_time.expect("recorded");
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(300));
    assert!(!made.pinned && !made.building && !made.held);
    let base = row(&store, "base");
    assert_eq!((base.base, base.own_bytes), (None, base.bytes));
    assert_eq!(base.bytes + made.own_bytes, made.bytes);
}

#[test]
fn a_hit_a_begin_a_copy_out_and_a_look_each_mark_a_result_used_and_a_miss_does_not() {
    let root = Root::new("marks");
    let store = root.open_with_base();
    build(&store, "base", "a", "true");
    let uses: [(&str, &str, &dyn Fn()); 5] = [
        ("a look", "a", &|| {
            assert!(store.result("a").expect("a look"))
        }),
        ("a hit", "a", &|| {
            let begun = store.begin(Some("base"), "a", &Limits::none());
            assert!(matches!(begun, Ok(Begun::Present)));
        }),
        ("a begin", "a", &|| {
            let begun = store.begin(Some("a"), "b", &Limits::none());
            assert!(matches!(begun, Ok(Begun::Step(_))));
        }),
        ("a copy out", "a", &|| {
            let mut tar = Vec::new();
            let copied = store.copy_out("a", "/etc/passwd", &mut tar, &Limits::none());
            copied.expect("copied");
        }),
        ("a commit", "c", &|| build(&store, "base", "c", "true")),
    ];
    for (what, id, used) in uses {
        let before = SystemTime::now();
        std::thread::sleep(Duration::from_millis(20));
        used();
        let last_use = row(&store, id).last_use;
        assert!(last_use > before && last_use <= SystemTime::now(), "{what}");
    }
    let before = row(&store, "a").last_use;
    assert!(!store.result("absent").expect("a look"));
    store.result("c").expect("a look");
    assert_eq!(row(&store, "a").last_use, before);
}

#[test]
fn what_another_tool_made_and_a_record_that_is_lost_or_torn_fall_back_to_the_images_own_dates() {
    let root = Root::new("foreign");
    let store = root.open_with_base();
    // As OBuilder does.
    let container = docker(&["create", &root.image("base"), "x"]).remove(0);
    docker(&["commit", &container, &root.image("theirs")]);
    docker(&["rm", &container]);
    let theirs = row(&store, "theirs");
    assert_eq!((theirs.last_use, theirs.build_time), (theirs.created, None));
    build(&store, "base", "ours", "true");
    let record = root.path.join(".store/results/ours");
    let whole = std::fs::read(&record).expect("a record");
    for torn in [&b""[..], &whole[..whole.len() / 2], b"{}", b"\xff\0"] {
        std::fs::write(&record, torn).expect("torn");
        let ours = row(&store, "ours");
        assert_eq!(ours.build_time, None, "{torn:?}");
        assert!(ours.last_use >= ours.created);
    }
    std::fs::remove_file(&record).expect("removed");
    let ours = row(&store, "ours");
    assert_eq!(ours.last_use, ours.created);
    // Since its first use, there is one.
    for id in ["theirs", "ours"] {
        assert!(store.result(id).expect("a look"));
        let used = row(&store, id);
        assert!(used.last_use >= used.created, "{used:?}");
        assert!(root.path.join(".store/results").join(id).exists());
    }
}

#[test]
fn shared_layers_are_counted_once_also_those_of_a_base_that_was_deleted() {
    let root = Root::new("once");
    let store = root.open_with_base();
    build(&store, "base", "a", "head -c 300000 /dev/urandom > /a");
    build(&store, "a", "b", "head -c 200000 /dev/urandom > /b");
    build(&store, "a", "c", "head -c 100000 /dev/urandom > /c");
    docker(&["tag", &root.image("c"), &root.image("alias")]);
    // The engine's size of each layer, each counted once.
    let layers: u64 = ["base", "a", "b", "c"]
        .iter()
        .map(|id| newest_layer(&root.image(id)))
        .sum();
    let before = usage(&store);
    assert_eq!(before.totals.results_unknown, 0);
    let all = before.totals.results;
    assert!(is_size(all, layers, 4), "{all}, and layers of {layers}");
    assert!(store.delete("a").expect("deleted"));
    let after = usage(&store);
    assert_eq!(after.totals.results, all);
    assert_eq!(row(&store, "b").base.as_deref(), Some("a"));
    assert!(
        after.totals.how.contains("counted once"),
        "{}",
        after.totals.how
    );
    assert_eq!(after.results.len(), 4);
}

#[test]
fn a_result_that_was_deleted_past_the_store_leaves_no_record_and_is_known_to_have_gone() {
    let root = Root::new("vanished");
    let store = root.open_with_base();
    for id in ["theirs", "ours"] {
        build(&store, "base", id, "true");
    }
    assert_eq!(store.went("theirs").expect("asked"), None);
    docker(&["rmi", &root.image("theirs")]);
    assert!(store.delete("ours").expect("deleted"));
    let records = || root.path.join(".store/results");
    // A recent record may belong to a commit that came after the listing.
    usage(&store);
    assert!(records().join("theirs").exists());
    let old = SystemTime::now() - Duration::from_secs(3600);
    let file = std::fs::File::options()
        .write(true)
        .open(records().join("theirs"));
    file.and_then(|file| file.set_modified(old)).expect("older");
    usage(&store);
    assert!(!records().join("theirs").exists() && !records().join("ours").exists());
    let went = |id| store.went(id).expect("asked").map(|(how, _)| how);
    assert_eq!(went("theirs"), Some(Went::Vanished));
    assert_eq!(went("ours"), Some(Went::Deleted));
    assert_eq!((went("base"), went("never")), (None, None));
    build(&store, "base", "ours", "true");
    assert_eq!(went("ours"), None);
}

#[test]
fn usage_has_a_row_for_each_cache_and_log_and_knows_what_is_under_way_and_what_was_left() {
    let root = Root::new("rows");
    let store = root.open_with_base();
    let lease = store.cache("c", &CacheRequest::new()).expect("a lease");
    let mut step = crate::common::begin(&store, "base", "filler");
    step.run(sh("head -c 50000 /dev/urandom > /c/x").lease(&lease, "/c"))
        .expect("a run");
    step.commit().expect("a commit");
    lease.release().expect("released");
    let mut step = crate::common::begin(&store, "base", "running");
    step.write_log(b"so far\n").expect("written");
    let held = store.cache("c", &CacheRequest::new()).expect("a lease");
    // A store knows what it has measured.
    store.caches().expect("counted");
    store.complete_deletes(&Limits::none()).expect("noted");
    // A step of a process that was killed.
    docker(&[
        "tag",
        &root.image("base"),
        &format!("{}-image-tmp-dead", root.prefix()),
    ]);
    std::fs::write(root.path.join(".store/builds/dead"), "").expect("written");
    std::fs::write(root.path.join("logs/failed.log"), "12345").expect("written");
    let found = usage(&store);
    assert!(row(&store, "base").held);
    let logs: Vec<_> = found
        .logs
        .iter()
        .map(|log| (log.id.as_str(), log.bytes, log.has_result))
        .collect();
    assert_eq!(
        logs,
        [
            ("base", 0, true),
            ("failed", 5, false),
            ("filler", 0, true),
            ("running", 7, false)
        ]
    );
    assert_eq!(found.totals.logs, 12);
    let cache = &found.caches[0];
    assert_eq!(
        (cache.info.name.as_slice(), cache.info.leases, cache.pinned),
        (&b"c"[..], 1, false)
    );
    let bytes = cache.info.bytes.unwrap_or_else(|| panic!("{cache:?}"));
    assert!((50_000..200_000).contains(&bytes), "{bytes}");
    assert_eq!(
        (found.totals.caches, found.totals.caches_unknown),
        (bytes, 0)
    );
    // The image that it holds is a result, and is also held by an active step.
    assert_eq!(
        (found.leftovers.containers, found.leftovers.volumes),
        (0, 0)
    );
    step.abort().expect("aborted");
    let found = usage(&store);
    assert_eq!(found.leftovers.images, 1);
    assert!(!row(&store, "base").held);
    held.discard().expect("discarded");
    store.purge().expect("a purge");
    assert_eq!(usage(&store).leftovers.images, 0);
}

#[test]
fn pins_are_kept_in_the_root_and_listed_and_a_prune_leaves_what_is_pinned() {
    let root = Root::new("pins");
    let store = root.open_with_base();
    build(&store, "base", "a", "true");
    build(&store, "a", "b", "true");
    store.cache("c", &CacheRequest::new()).expect("a lease");
    store.cache("d", &CacheRequest::new()).expect("a lease");
    store.complete_deletes(&Limits::none()).expect("discarded");
    let none = Limits::none();
    assert!(store.pin("a", &none).expect("pinned") && !store.pin("a", &none).expect("again"));
    assert!(
        store
            .pin("later", &none)
            .expect("pinned before it is there")
    );
    let odd = b"c/\xff\0long".repeat(40);
    assert!(store.pin_cache("c", &none).expect("pinned"));
    assert!(store.pin_cache(&odd, &none).expect("pinned"));
    assert!(store.pin("no/id", &none).is_err() && store.pin_cache("", &none).is_err());
    drop(store);
    let store = root.open();
    let items: Vec<Item> = store
        .pins()
        .expect("pins")
        .into_iter()
        .map(|pin| pin.item)
        .collect();
    let results = ["a", "later"].map(|id| Item::Result(id.into()));
    let mut caches = [Item::Cache(b"c".to_vec()), Item::Cache(odd.clone())];
    caches.sort();
    assert_eq!(items, [&results[..], &caches[..]].concat());
    assert!(row(&store, "a").pinned && !row(&store, "b").pinned);
    let report = super::prunes::prune(&store, docker_store::Policy::new().most_bytes(0));
    assert!(!report.reached);
    let left = |store: &Store| -> Vec<String> {
        store
            .results()
            .expect("listed")
            .into_iter()
            .map(|row| row.id)
            .collect()
    };
    assert_eq!(left(&store), ["a", "base"]);
    let caches = store.caches().expect("listed");
    assert_eq!(caches.len(), 1);
    assert!(store.unpin("a").expect("unpinned") && !store.unpin("a").expect("again"));
    assert!(store.unpin_cache("c").expect("unpinned"));
    assert!(store.unpin_cache(&odd).expect("unpinned"));
    // Empty, it does not exceed the limit.
    let all = docker_store::Policy::new()
        .unused_for(Duration::ZERO)
        .clone();
    let report = super::prunes::prune(&store, &mut all.clone());
    assert!(report.reached && left(&store).is_empty());
    assert!(store.caches().expect("listed").is_empty());
    import_base(&store, "later");
    super::prunes::prune(&store, &mut all.clone());
    assert_eq!(left(&store), ["later"]);
}

#[test]
fn what_a_killed_writer_left_is_removed_after_a_while_wherever_it_is() {
    let root = Root::new("killed-writers");
    let store = root.open_with_base();
    store.pin("base", &Limits::none()).expect("pinned");
    store.pin_cache("c", &Limits::none()).expect("pinned");
    store.limit_cache("c", Some(1000)).expect("limited");
    let mut left = Vec::new();
    for folder in [
        "",
        "pins/results",
        "pins/caches",
        "limits",
        "results",
        "gone",
    ] {
        let folder = root.path.join(".store").join(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        for (kind, days) in [("old", 40), ("new", 1)] {
            let path = folder.join(format!(".new-{kind}"));
            let file = std::fs::File::create(&path).expect("created");
            let at = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
            file.set_modified(at).expect("set");
            left.push((path, kind == "old"));
        }
    }
    usage(&store);
    for (path, old) in left {
        assert_eq!(path.exists(), !old, "{}", path.display());
    }
    assert_eq!(store.pins().expect("listed").len(), 2);
    store.close().expect("closed");
}
