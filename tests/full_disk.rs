//! A root on a full disk: each call reports that or works without space, nothing is lost, and deleting frees space.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Root, build, import_base, output_in, sh};
use docker_store::{Begun, CacheRequest, Error, ErrorKind, Lease, Limits, Released, Store};

/// A file system for a few files, in memory, at a separate root.
struct Disk {
    root: Root,
    path: PathBuf,
}

impl Disk {
    /// `None` if nothing can be mounted.
    fn new(name: &str) -> Option<Self> {
        let path =
            std::env::temp_dir().join(format!("docker-store-disk-{}-{name}", std::process::id()));
        fs::create_dir(&path).expect("a mount point");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k,nr_inodes=200", "disk"])
            .arg(&path)
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            println!("not tried: nothing may be mounted here");
            let _ = fs::remove_dir(&path);
            return None;
        }
        Some(Disk {
            root: Root::at(path.join("root")),
            path,
        })
    }

    /// Fills all space for data; and for names, too, if `names` is set.
    fn fill(&self, names: bool) {
        for size in [64 << 10, 4 << 10, 1] {
            while grow(&self.path.join("data"), size) {}
        }
        let mut number = 0;
        while names && fs::write(self.path.join(format!("name{number}")), "").is_ok() {
            number += 1;
        }
        let full = fs::write(self.path.join("more"), "more");
        let _ = fs::remove_file(self.path.join("more"));
        assert!(full.is_err(), "there is room still");
    }

    fn empty(&self) {
        for entry in fs::read_dir(&self.path).expect("the disk") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                fs::remove_file(path).expect("removed");
            }
        }
    }
}

/// Returns whether this many more bytes fit into a file.
fn grow(path: &Path, size: usize) -> bool {
    use std::io::Write;
    let file = fs::File::options().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(&vec![0; size]))
        .is_ok()
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.empty();
        // The root's objects on the engine are removed while it can still be opened; then the disk.
        let path = self.path.clone();
        let root = std::mem::replace(&mut self.root, Root::new("disk-gone"));
        drop(root);
        let _ = Command::new("umount").arg("-l").arg(&path).status();
        let _ = fs::remove_dir(&path);
    }
}

fn is_full(e: &Error) -> bool {
    e.kind() == ErrorKind::Io && e.os_errno() == Some(28) && e.message().contains("o space left")
}

fn lease(store: &Store, name: &str) -> Lease {
    store.cache(name, &CacheRequest::new()).expect("a lease")
}

/// What a step finds in the newest generation of a cache.
fn newest(store: &Store, id: &str, name: &str) -> String {
    let lease = lease(store, name);
    let Begun::Step(mut step) = store
        .begin(Some("base"), id, &Limits::none())
        .expect("begun")
    else {
        panic!("present");
    };
    step.run(sh("cat /c/* 2>/dev/null; true").lease(&lease, "/c"))
        .expect("a run");
    step.abort().expect("aborted");
    lease.discard().expect("discarded");
    fs::read_to_string(store.log_file(id).expect("a path")).expect("a log")
}

fn write(store: &Store, id: &str, lease: &Lease, script: &str) {
    let Begun::Step(mut step) = store
        .begin(Some("base"), id, &Limits::none())
        .expect("begun")
    else {
        panic!("present");
    };
    step.run(sh(script).lease(lease, "/c")).expect("a run");
    step.abort().expect("aborted");
}

fn on_a_full_disk(names: bool) {
    let Some(disk) = Disk::new(if names { "names" } else { "data" }) else {
        return;
    };
    let store = disk.root.open();
    import_base(&store, "base");
    build(&store, "base", "one", "echo one >/made");
    for name in ["kept", "deleted"] {
        let lease = lease(&store, name);
        write(&store, "fill", &lease, "echo first >/c/first");
        assert_eq!(lease.release().expect("released"), Released::Won(1));
    }
    // In progress when the disk fills.
    let (changed, discarded) = (lease(&store, "kept"), lease(&store, "kept"));
    let loser = lease(&store, "deleted");
    write(&store, "fill", &changed, "echo second >/c/second");
    write(&store, "fill", &loser, "echo lost >/c/lost");
    let Ok(Begun::Step(mut step)) = store.begin(Some("one"), "two", &Limits::none()) else {
        panic!("no step");
    };
    let Ok(Begun::Step(aborted)) = store.begin(Some("one"), "three", &Limits::none()) else {
        panic!("no step");
    };
    disk.fill(names);

    // Calls that only read work.
    assert!(store.result("one").expect("a look") && !store.result("two").expect("a look"));
    assert_eq!(store.results().expect("a list").len(), 2);
    assert_eq!(store.caches().expect("a list").len(), 2);
    assert!(store.df().expect("asked").root < 5.0);
    assert!(store.building("two").expect("a look"));
    // Calls that need space report it, and can be repeated.
    let full = store
        .cache("kept", &CacheRequest::new())
        .map(drop)
        .expect_err("no room for a lease");
    assert!(is_full(&full), "{full}");
    let full = store
        .cache("new", &CacheRequest::new())
        .map(drop)
        .expect_err("no room for a cache");
    assert!(is_full(&full), "{full}");
    let full = store
        .begin(Some("one"), "four", &Limits::none())
        .map(drop)
        .expect_err("no room for a step");
    assert!(is_full(&full), "{full}");
    assert!(!store.building("four").expect("a look"));
    // A pin, or a limit, exists completely or not at all.
    if !names {
        let full = store
            .pin_cache("kept", &Limits::none())
            .expect_err("no room for a pin");
        assert!(is_full(&full), "{full}");
        let full = store.limit_cache("kept", Some(1)).expect_err("no room");
        assert!(is_full(&full), "{full}");
    }
    let full = changed.release().expect_err("no room for a head");
    assert!(is_full(&full), "{full}");
    let full = step.run(&sh("echo output; echo two >/made")).map(drop);
    assert!(full.as_ref().is_err_and(is_full), "{full:?}");
    step.abort().expect("aborted");
    aborted.abort().expect("aborted");
    discarded.discard().expect("discarded");
    // Removals may have freed space for a session by now.
    let opened = Store::open(&disk.root.path, &docker_store::Options::new());
    if let Err(e) = &opened {
        assert!(is_full(e), "{e}");
    }
    drop(opened);
    store.purge().expect("a purge");

    // Deleting works, and frees space.
    assert!(store.delete_cache("deleted").expect("deleted"));
    assert!(!store.delete_cache("deleted").expect("deleted before"));
    let names_left: Vec<Vec<u8>> = store
        .caches()
        .expect("a list")
        .into_iter()
        .map(|c| c.name)
        .collect();
    assert_eq!(names_left, [b"kept".to_vec()]);
    assert!(store.delete("one").expect("deleted"));
    assert_eq!(loser.release().expect("released"), Released::Lost);
    store.purge().expect("a purge");

    // With space again, everything is as before.
    disk.empty();
    assert_eq!(store.pins().expect("a list"), []);
    assert!(store.pin_cache("kept", &Limits::none()).expect("pinned"));
    assert_eq!(store.pins().expect("a list").len(), 1);
    assert!(store.unpin_cache("kept").expect("unpinned"));
    assert_eq!(
        changed.release().expect("released at last"),
        Released::Won(2)
    );
    assert_eq!(newest(&store, "look", "kept"), "first\nsecond\n");
    assert_eq!(newest(&store, "look", "deleted"), "");
    let lease = lease(&store, "deleted");
    write(&store, "fill", &lease, "echo anew >/c/anew");
    assert!(matches!(
        lease.release().expect("released"),
        Released::Won(_)
    ));
    build(&store, "base", "four", "echo four >/made");
    assert_eq!(output_in(&store, "four", "cat /made"), "four\n");
    store.complete_deletes(&Limits::none()).expect("done");
    store.close().expect("closed");
    let store = disk.root.open();
    assert_eq!(newest(&store, "look", "kept"), "first\nsecond\n");
    assert_eq!(newest(&store, "look", "deleted"), "anew\n");
    store.complete_deletes(&Limits::none()).expect("done");
    assert_eq!(disk.root.leftovers_beside_caches(), Vec::<String>::new());
}

#[test]
fn on_a_disk_without_room_for_data_nothing_is_lost_and_deleting_works() {
    on_a_full_disk(false);
}

#[test]
fn on_a_disk_without_room_for_names_nothing_is_lost_and_deleting_works() {
    on_a_full_disk(true);
}
