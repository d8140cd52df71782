//! The power of a disk is cut while caches are released to it. The engine's data is on a file system in a file. During the work
//! the writer and the engine are stopped, and the blocks are copied as they are, without a sync. The copy is mounted in place
//! of the original, an engine is started on it, and a process of another boot checks what a lease gets.
//!
//! Takes minutes, and needs root, loop devices and an engine of its own: runs only if `DOCKER_STORE_TEST_LONG` is set.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use docker_store::{CacheRequest, Released, Store};

use super::children::{Journal, Orders, command, in_boot, place_to_write};
use super::ground::{View, Way, heads, lease, settle};
use super::outside::warnings_of;
use crate::common::amount;
use crate::common::import_base;

/// Tells the children the directory of a series of cuts: their reports must survive the cut.
const FOLDER: &str = "DOCKER_STORE_TEST_CUTS";

/// The files that each version writes, and those of which it writes one.
const ALWAYS: usize = 6;
const IN_TURN: u64 = 40;

fn text(version: u64) -> String {
    format!("{version}\n").repeat(4000)
}

fn write(place: &Path, version: u64) {
    for n in 0..ALWAYS {
        fs::write(place.join(format!("always-{n}")), text(version)).expect("written");
    }
    let name = format!("in-turn-{}", version % IN_TURN);
    fs::write(place.join(name), text(version)).expect("written");
}

/// The version of a tree, every file of which must be complete; 0 for an empty one.
fn version_of(place: &Path) -> u64 {
    let mut newest = 0;
    for entry in fs::read_dir(place).expect("a tree") {
        let entry = entry.expect("an entry");
        let found = fs::read_to_string(entry.path()).expect("text");
        let version = found.lines().next().and_then(|line| line.parse().ok());
        let version: u64 =
            version.unwrap_or_else(|| panic!("{:?} is torn: {} bytes", entry.path(), found.len()));
        assert!(found == text(version), "{:?} is torn", entry.path());
        newest = newest.max(version);
    }
    for n in 0..if newest > 0 { ALWAYS } else { 0 } {
        let found = fs::read_to_string(place.join(format!("always-{n}"))).expect("there");
        assert!(found == text(newest), "always-{n} is of another version");
    }
    for version in newest.saturating_sub(IN_TURN - 1).max(1)..=newest {
        let name = format!("in-turn-{}", version % IN_TURN);
        let found = fs::read_to_string(place.join(&name)).expect("there");
        assert!(found == text(version), "{name} is of another version");
    }
    newest
}

fn open(orders: &Orders, sync: bool) -> Store {
    Store::open(&orders.root, orders.way.options().sync(sync)).expect("an open store")
}

/// A child: releases version after version, and reports each that won and each that is certainly on disk.
#[test]
fn child_that_writes() {
    let Some((orders, folder)) = Orders::given().zip(std::env::var_os(FOLDER)) else {
        return;
    };
    let journal = Journal::append(Path::new(&folder));
    let mut store = open(&orders, orders.number == 1);
    if !store.result("base").expect("a look") {
        import_base(&store, "base");
        run("sync", &[]);
        journal.line(&format!("built under {}", store.prefix()));
    }
    let mut versions = HashMap::new();
    for n in 1.. {
        let held = lease(&store, "a");
        let before = *versions
            .entry(held.generation())
            .or_insert_with(|| version_of(&View::of(&held).path));
        let version = before + 1;
        write(&place_to_write(&held), version);
        let Released::Won(generation) = held.release().expect("released") else {
            panic!("there is nobody else");
        };
        versions.insert(generation, version);
        let head = heads(&orders.root).remove(0);
        let sure = head["unsure"]["durable"]["generation"].as_u64();
        let sure = versions.get(&sure.unwrap_or(generation));
        journal.line(&format!(
            "won {version} {}",
            sure.copied().unwrap_or_default()
        ));
        std::thread::sleep(Duration::from_millis(20));
        // A tool that ends and starts again.
        if n % 150 == 0 {
            store.close().expect("closed");
            store = open(&orders, orders.number == 1);
        }
    }
}

/// A child, after the cut: reports what a lease gets.
#[test]
fn child_that_looks() {
    let Some((orders, folder)) = Orders::given().zip(std::env::var_os(FOLDER)) else {
        return;
    };
    let journal = Journal::append(Path::new(&folder));
    let warned = warnings_of(|| {
        let store = open(&orders, false);
        let is_there = store.result("base").expect("a look");
        journal.line(&format!("result {is_there} under {}", store.prefix()));
        let held = lease(&store, "a");
        journal.line(&format!("found {}", version_of(&View::of(&held).path)));
        drop(held);
        // It can be leased and released as usual, and nothing is left of what was dropped.
        let held = store.cache("a", &CacheRequest::new()).expect("a lease");
        write(
            &place_to_write(&held),
            version_of(&View::of(&held).path) + 1,
        );
        assert!(matches!(held.release(), Ok(Released::Won(_))));
        settle(&store);
        store.close().expect("closed");
    });
    for line in warned {
        journal.line(&format!("warned {line}"));
    }
}

/// A file system in a file.
struct Disk {
    image: PathBuf,
    place: PathBuf,
}

impl Disk {
    fn new(folder: &Path, name: &str) -> Self {
        let disk = Disk {
            image: folder.join(format!("{name}.img")),
            place: folder.join(name),
        };
        let file = fs::File::create(&disk.image).expect("a file");
        file.set_len(1 << 30).expect("sparse");
        run("mkfs.ext4", &["-q", "-F", text_of(&disk.image)]);
        fs::create_dir(&disk.place).expect("a mount point");
        disk.mount();
        disk
    }

    fn mount(&self) {
        run(
            "mount",
            &["-o", "loop", text_of(&self.image), text_of(&self.place)],
        );
    }

    fn copy(&self) -> PathBuf {
        let copy = self.image.with_extension("copy");
        let args = ["--sparse=always", text_of(&self.image), text_of(&copy)];
        run("cp", &args);
        copy
    }

    fn is(&self, copy: &Path) -> bool {
        let mut compare = Command::new("cmp");
        compare.args(["-s", text_of(&self.image), text_of(copy)]);
        compare.status().expect("cmp runs").success()
    }

    fn unmount(&self) {
        for _ in 0..100 {
            let mut unmount = Command::new("umount");
            let unmount = unmount.arg(&self.place).stderr(Stdio::null());
            if unmount.status().expect("umount runs").success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{} stays mounted", self.place.display());
    }
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn run(program: &str, args: &[&str]) {
    let done = Command::new(program).args(args).output();
    let done = done.unwrap_or_else(|e| panic!("{program}: {e}"));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{program} {args:?}: {said}");
}

/// An engine, its disk, and perhaps another disk for the root.
struct Machine {
    folder: PathBuf,
    disks: Vec<Disk>,
    root: PathBuf,
    boots: usize,
}

impl Machine {
    fn new(apart: bool) -> Self {
        let name = format!("ds-cuts-{}-{}", std::process::id(), u8::from(apart));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a folder");
        let mut disks = vec![Disk::new(&folder, "data")];
        if apart {
            disks.push(Disk::new(&folder, "apart"));
        }
        let root = disks[disks.len() - 1].place.join("root");
        Machine {
            folder,
            disks,
            root,
            boots: 0,
        }
    }

    fn script(&self, what: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/engine");
        let mut command = Command::new(script);
        command
            .arg(what)
            .env("DOCKER_STORE_ENGINE", "private")
            .env("DOCKER_STORE_ENGINE_DIR", &self.folder)
            .env_remove("DOCKER_HOST")
            .stdout(Stdio::null());
        assert!(
            command.status().expect("a shell").success(),
            "engine {what}"
        );
    }

    fn child(&self, test: &str, way: Way, number: usize) -> Command {
        let mut child = command(test, &self.root, way, number);
        let socket = self.folder.join("docker.sock");
        child
            .env("DOCKER_HOST", format!("unix://{}", socket.display()))
            .env(FOLDER, &self.folder)
            .stdout(Stdio::null());
        child
    }

    fn daemons(&self) -> Vec<String> {
        let read = |name: &str| fs::read_to_string(self.folder.join(name)).expect("a pid");
        let first = |text: String| text.split(' ').next().expect("a number").to_owned();
        ["dockerd.pid", "containerd.pid"]
            .map(|name| first(read(name)))
            .into()
    }

    /// Leaves what a power failure leaves on the disks; no process is running any more.
    fn cut(&self, mut writer: Child) {
        let mut all = self.daemons();
        all.push(writer.id().to_string());
        let signal = |signal: &str| {
            for pid in &all {
                run("kill", &[signal, pid]);
            }
        };
        signal("-STOP");
        // The kernel may be writing: a copy that still equals the disk after it was made shows the disk at one point in time.
        let until = Instant::now() + Duration::from_secs(60);
        let copies = loop {
            let copies: Vec<PathBuf> = self.disks.iter().map(Disk::copy).collect();
            let mut both = self.disks.iter().zip(&copies);
            if both.all(|(disk, copy)| disk.is(copy)) {
                break copies;
            }
            assert!(Instant::now() < until, "the disks do not stand still");
        };
        signal("-KILL");
        writer.wait().expect("ended");
        self.script("down");
        for (disk, copy) in self.disks.iter().zip(&copies) {
            disk.unmount();
            fs::rename(copy, &disk.image).expect("renamed");
            disk.mount();
        }
    }

    /// What a process of another boot reports.
    fn look(&mut self, way: Way) -> Vec<Vec<String>> {
        self.boots += 1;
        let child = self.child("caches::cuts::child_that_looks", way, 0);
        let mut inside = in_boot(&self.folder, self.boots, &child);
        let before = Journal::read(&self.folder).len();
        let status = inside.status().expect("unshare runs");
        let said = Journal::read(&self.folder).split_off(before);
        assert!(
            status.success(),
            "the child found a cache that is not whole: {said:?}"
        );
        said
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.script("down");
            self.disks.iter().for_each(Disk::unmount);
        }));
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn after_a_power_cut_a_lease_is_a_whole_generation_and_not_older_than_the_newest_that_was_sure() {
    let cuts = amount(0, 2);
    for apart in [false, true] {
        for (sync, way) in [(false, 1), (true, 1), (false, 0), (true, 0)] {
            let way = Way::ALL[way];
            let mut machine = match cuts {
                0 => return,
                _ => Machine::new(apart),
            };
            for cut in 0..cuts {
                machine.script("up");
                let before = Journal::read(&machine.folder).len();
                let writer = machine
                    .child("caches::cuts::child_that_writes", way, usize::from(sync))
                    .spawn()
                    .expect("a writer");
                // Before, at and after the first sync in the background.
                std::thread::sleep(Duration::from_millis(3_000 + 5_500 * cut as u64));
                machine.cut(writer);
                let wrote = Journal::read(&machine.folder).split_off(before);
                let won: Vec<[u64; 2]> = wrote
                    .iter()
                    .filter(|line| line[0] == "won")
                    .map(|line| [1, 2].map(|n| line[n].parse().expect("a number")))
                    .collect();
                let [newest, sure] = *won.last().expect("some were released");
                machine.script("up");
                let said = machine.look(way);
                let built = Journal::read(&machine.folder);
                let built: Vec<_> = built.iter().filter(|line| line[0] == "built").collect();
                assert_eq!(built.len(), 1, "what was built on this disk was not found");
                assert_eq!(said[0], ["result", "true", "under", &built[0][2]]);
                let found: u64 = said[1][1].parse().expect("a version");
                let warned: Vec<String> = said
                    .iter()
                    .filter(|line| line[0] == "warned")
                    .map(|line| line[1..].join(" "))
                    .collect();
                println!(
                    "{way:?}, sync {sync}, root apart {apart}: {} released, the newest {newest}, sure {sure}, found {found}; {warned:?}",
                    won.len()
                );
                assert!((sure..=newest + 1).contains(&found), "lost");
                assert!(!sync || found >= newest, "with sync nothing is lost");
                assert!(found >= newest || warned.iter().any(|w| w.contains("dropped")));
            }
        }
    }
}
