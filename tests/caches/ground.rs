//! The foundation of the tests: a root of their own, an engine that is queried without the library, and access to leases as
//! files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use docker_store::{CacheRequest, Lease, Limits, Options, Released, Store, Strategy};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::common::asked::{connect, containers, image_names, volumes};
pub use crate::common::asked::{get, request};
use crate::common::is_long;
use crate::common::patience::Watch;

/// How a store clones caches and accesses the engine's volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    pub strategy: Strategy,
    pub direct: bool,
}

impl Way {
    pub const ALL: [Way; 4] = [
        Way {
            strategy: Strategy::Copy,
            direct: true,
        },
        Way {
            strategy: Strategy::Overlay,
            direct: true,
        },
        Way {
            strategy: Strategy::Copy,
            direct: false,
        },
        Way {
            strategy: Strategy::Overlay,
            direct: false,
        },
    ];

    pub fn options(self) -> Options {
        let mut options = Options::new();
        options.strategy(self.strategy).direct(self.direct);
        options
    }

    /// As text, for a child process.
    pub fn number(self) -> usize {
        Way::ALL
            .iter()
            .position(|way| *way == self)
            .expect("one of all")
    }
}

/// Those of `ways` that exist on this engine. Podman's archives do not report owners, so they are left out there.
pub fn here(ways: impl IntoIterator<Item = Way>) -> impl Iterator<Item = Way> {
    let podman = is_podman();
    ways.into_iter().filter(move |way| {
        let is_here = way.direct || !podman;
        if !is_here {
            println!("not on this engine: {way:?}");
        }
        is_here
    })
}

/// Whether the engine is Podman.
pub fn is_podman() -> bool {
    let version = get("/version");
    let mut parts = version["Components"].as_array().into_iter().flatten();
    parts.any(|part| part["Name"] == "Podman Engine")
}

/// Runs a test in each way. An archive costs the engine a process of its own: in the ordinary run a test has one of the two ways
/// by archive, which one its name says, and so each of them has half of the tests.
pub fn in_all_ways(test: impl Fn(Way)) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    let left_out = Way::ALL[2 + usize::from(Sha256::digest(name)[0] % 2)];
    for way in here(Way::ALL).filter(|way| is_long() || *way != left_out) {
        println!("-- {way:?}");
        test(way);
    }
}

/// What a store at an earlier root has found out about the engine. It is for one address: who uses another one probes anew.
static PROBED: OnceLock<Vec<u8>> = OnceLock::new();

/// A root that no other test has. Everything of it on the engine is removed when it is dropped.
pub struct Root {
    pub path: PathBuf,
    _watch: Watch,
}

impl Root {
    pub fn new(name: &str) -> Self {
        log_to_stderr();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("docker-store-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder for the root");
        Root {
            path,
            _watch: Watch::new(),
        }
    }

    pub fn open(&self, way: Way) -> Store {
        let store = Store::open(&self.path, &way.options())
            .unwrap_or_else(|e| panic!("no store ({e}); run the tests by `make test`"));
        // To probe an engine takes a second, and hundreds of roots are made for it here.
        if let Some(known) = PROBED.get().filter(|_| !self.probed().exists()) {
            fs::write(self.probed(), known).expect("what is known of the engine");
        }
        store
    }

    /// What is known of the engine, in a store at this root.
    fn probed(&self) -> PathBuf {
        self.path.join(".store/probed")
    }

    /// What the store named after this root has on the engine.
    pub fn left(&self) -> Vec<String> {
        self.volumes()
            .into_iter()
            .chain(self.containers())
            .collect()
    }

    /// The volume that claims the prefix for the root. It stays.
    pub fn claim(&self) -> String {
        format!("{}store", self.prefix())
    }

    /// The volumes under the prefix, except its claim.
    pub fn volumes(&self) -> Vec<String> {
        let claim = self.claim();
        let mut names = volumes(&self.prefix());
        names.retain(|name| *name != claim);
        names
    }

    pub fn containers(&self) -> Vec<String> {
        containers(&self.prefix())
    }

    /// One address for whatever socket is behind it, because facts about an engine are remembered by its address.
    pub fn engine(&self, address: &str) -> String {
        let link = self.path.join("engine.sock");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(address.trim_start_matches("unix://"), &link).expect("a link");
        format!("unix://{}", link.display())
    }

    /// What all names of this root on the engine start with.
    pub fn prefix(&self) -> String {
        let real = fs::canonicalize(&self.path).expect("the root");
        let digest = Sha256::digest(real.as_os_str().as_encoded_bytes());
        let hex: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
        format!("obuilder-{}-", &hex[..7])
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Ok(known) = fs::read(self.probed()) {
            let _ = PROBED.set(known);
        }
        if connect().is_err() {
            return;
        }
        for container in self.containers() {
            request(
                "DELETE",
                &format!("/containers/{container}?force=1&v=1"),
                None,
            );
        }
        for volume in self.volumes() {
            request("DELETE", &format!("/volumes/{volume}"), None);
        }
        // What the import of a killed child created late. (Without its files it would be another root.)
        if self.path.join(".store").exists() {
            let _ = Store::open(&self.path, &Options::new()).and_then(|store| store.purge());
        }
        request("DELETE", &format!("/volumes/{}", self.claim()), None);
        for name in image_names(&self.prefix()) {
            request("DELETE", &format!("/images/{name}"), None);
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

pub fn lease(store: &Store, name: &str) -> Lease {
    store.cache(name, &CacheRequest::new()).expect("a lease")
}

/// Leases the cache, lets `change` change its files, and releases it.
pub fn change(store: &Store, name: &str, change: impl FnOnce(&View)) -> Released {
    let lease = lease(store, name);
    change(&View::of(&lease));
    lease.release().expect("released")
}

/// The files of the newest generation.
pub fn newest(store: &Store, name: &str) -> BTreeMap<String, String> {
    let lease = lease(store, name);
    let files = View::of(&lease).files();
    lease.discard().expect("discarded");
    files
}

/// Waits until everything queued for removal is removed, including what is kept until its successor is on disk.
pub fn settle(store: &Store) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        store
            .complete_deletes(&Limits::none())
            .expect("all deletes done");
        let kept = |head: &Value| {
            let names = |parts: &Value| -> Vec<Value> {
                let parts = parts.as_array().into_iter().flatten();
                parts.map(|part| part["volume"].clone()).collect()
            };
            let newest = names(&head["parts"]);
            let durable = names(&head["unsure"]["durable"]["parts"]);
            durable.iter().any(|volume| !newest.contains(volume))
        };
        // A sync in progress holds by a record what it found, and notes that as the generation on disk before it lets go. So the
        // records first, and then the heads.
        let held = is_synced_or_merged(store.root());
        let late = Instant::now() >= until;
        // The record of a process that was killed stays until the next open.
        if !heads(store.root()).iter().any(kept) && (late || !held) {
            break;
        }
        assert!(!late, "a generation does not get to the disk");
        std::thread::sleep(Duration::from_millis(10));
    }
    store
        .complete_deletes(&Limits::none())
        .expect("all deletes done");
}

/// Whether a record holds volumes of a cache that is not a lease's.
fn is_synced_or_merged(root: &Path) -> bool {
    let caches = fs::read_dir(root.join(".store/caches"))
        .into_iter()
        .flatten();
    let records = caches
        .flatten()
        .flat_map(|cache| fs::read_dir(cache.path().join("leases")));
    let mut names = records.flatten().flatten().map(|record| record.file_name());
    names.any(|name| name.to_string_lossy().ends_with(".compaction"))
}

/// The heads of all caches of a root, as they are on disk.
pub fn heads(root: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    let mut folders = vec![root.join(".store")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if entry.file_name() == "head" {
                let text = fs::read(&path).unwrap_or_default();
                found.extend(serde_json::from_slice::<Value>(&text));
            }
        }
    }
    found
}

/// A lease, or any volume, as a local directory: mounted as the engine would, for as long as this value lives.
pub struct View {
    pub path: PathBuf,
    mounted: bool,
}

impl View {
    pub fn of(lease: &Lease) -> Self {
        View::of_volume(lease.volume())
    }

    pub fn of_volume(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let volume = get(&format!("/volumes/{name}"));
        let place = volume["Mountpoint"]
            .as_str()
            .unwrap_or_else(|| panic!("no volume {name}"));
        let is_mount = volume["Options"]["type"] == "overlay";
        let options = volume["Options"]["o"].as_str();
        let Some(options) = options.filter(|_| is_mount) else {
            return View {
                path: PathBuf::from(place),
                mounted: false,
            };
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("docker-store-view-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a mount point");
        let mut mount = Command::new("mount");
        let mount = mount
            .args(["-t", "overlay", "-o", options, "overlay"])
            .arg(&path);
        let done = mount.output().expect("mount runs");
        assert!(
            done.status.success(),
            "{options}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        View {
            path,
            mounted: true,
        }
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path.join(name), text).expect("written");
    }

    pub fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path.join(name)).ok()
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path.join(name)).expect("removed");
    }

    /// All files with their contents.
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        collect(&self.path, &self.path, &mut files);
        files
    }
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path
                .strip_prefix(root)
                .expect("below")
                .to_string_lossy()
                .into_owned();
            files.insert(name, fs::read_to_string(&path).expect("read"));
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // Another test that has just forked a process holds these descriptors until the child runs its own program.
        for _ in 0..if self.mounted { 500 } else { 0 } {
            let done = Command::new("umount")
                .arg(&self.path)
                .stderr(std::process::Stdio::null())
                .status();
            if done.is_ok_and(|status| status.success()) {
                let _ = fs::remove_dir(&self.path);
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        if self.mounted {
            eprintln!("{} stays mounted", self.path.display());
        }
    }
}

/// The engine's address, as the library would find it.
pub fn address() -> String {
    std::env::var("DOCKER_HOST").unwrap_or_else(|_| String::from("unix:///var/run/docker.sock"))
}

/// Prints what the library logs, where `DOCKER_STORE_TEST_LOG` asks for it.
pub fn log_to_stderr() {
    struct Printer;
    impl log::Log for Printer {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            eprintln!("[{}] {}", record.level(), record.args());
        }
        fn flush(&self) {}
    }
    if std::env::var_os("DOCKER_STORE_TEST_LOG").is_some() && log::set_logger(&Printer).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
}
