//! The kernel sometimes logs that a layer "is in-use as upperdir of another mount". The reason: starting a container briefly
//! copies all mounts, and a mount that the engine then removes still exists in the copy. No process writes through that copy,
//! and written data is in the layer's own files, so nothing is lost. These tests show both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use docker_store::{Command, Lease, Store};

use crate::common::{begin, import_base};

use super::beside::Beside;
use super::changes;
use super::children::place_to_write;
use super::ground::{Root, Way, lease};
use crate::common::amount;

/// Keeps one of these tests from seeing the mounts that the other keeps.
static ONE: Mutex<()> = Mutex::new(());

/// Seconds since this machine started, as in the kernel's log.
fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").expect("a time");
    text.split(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .expect("seconds")
}

/// How often the kernel has logged it since then; `None` if its log cannot be read.
fn said_since(since: f64) -> Option<usize> {
    let log = Process::new("dmesg")
        .output()
        .ok()
        .filter(|log| log.status.success())?;
    let text = String::from_utf8_lossy(&log.stdout).into_owned();
    let later = |line: &&str| {
        let time = line.trim_start_matches(['[', ' ']).split(']').next();
        time.and_then(|time| time.trim().parse::<f64>().ok())
            .is_some_and(|time| time >= since)
    };
    let about = text
        .lines()
        .filter(|line| line.contains("overlayfs") && line.contains("in-use as upperdir"));
    Some(about.filter(later).count())
}

/// Runs a script in a container that has the lease at `/cache`.
fn run_in(store: &Store, id: &str, lease: &Lease, script: &str) {
    let mut step = begin(store, "base", id);
    let mut command = Command::new(["/bin/sh", "-c", script]);
    step.run(command.lease(lease, "/cache").cwd("/cache"))
        .expect("a run");
    step.abort().expect("aborted");
}

/// A process with a copy of all mounts, like one that starts a container.
struct Keeper(Child);

impl Keeper {
    fn new(upper: &Path) -> Option<Self> {
        let mut unshare = Process::new("unshare");
        unshare.args(["-m", "--propagation", "private", "sleep", "600"]);
        let child = unshare.stdin(Stdio::null()).spawn().ok()?;
        let keeper = Keeper(child);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            if holds(&keeper.0.id().to_string(), upper) && is_apart(keeper.0.id()) {
                return Some(keeper);
            }
            thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_apart(process: u32) -> bool {
    let space = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    space(&process.to_string()) != space("self")
}

/// Whether the process sees a mount that writes to `upper`.
fn holds(process: &str, upper: &Path) -> bool {
    let mounts = fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap_or_default();
    mounts.contains(&format!("upperdir={},", upper.display()))
}

#[test]
fn a_mount_that_lives_on_in_another_process_spoils_nothing() {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let way = Way::ALL[1];
    let root = Root::new("lives-on");
    let store = root.open(way);
    import_base(&store, "base");
    let mut beside = Beside::new(&store, &root, way);
    let (began, mut keepers, mut tried) = (uptime(), Vec::new(), 0);
    for n in 0..4 {
        let script = |part: usize| {
            format!(
                "mkdir -p d; echo {n} >d/{n}-{part}; echo {n} >last; rm -f d/{}-{part}; mv last moved; echo {part} >>moved",
                n + part
            )
        };
        let in_containers = |held: &Lease| {
            // While the first container has it, a process copies its mount; the second container mounts the same layer again.
            let upper = place_to_write(held);
            thread::scope(|scope| {
                let first = format!("{}; sleep 2", script(0));
                let id = format!("first-{n}");
                let running = scope.spawn({
                    let store = &store;
                    move || run_in(store, &id, held, &first)
                });
                let began = Instant::now();
                while !running.is_finished() && began.elapsed() < Duration::from_secs(20) {
                    if !upper.join("moved").exists() {
                        thread::sleep(Duration::from_millis(10));
                        continue;
                    }
                    keepers.extend(Keeper::new(&upper));
                    break;
                }
            });
            tried += usize::from(
                keepers
                    .last()
                    .is_some_and(|keeper| holds(&keeper.0.id().to_string(), &upper)),
            );
            run_in(&store, &format!("second-{n}"), held, &script(1));
        };
        beside.generation(n, in_containers, |pair| {
            for part in 0..2 {
                changes::run("sh", &pair.plain, &["-c", &script(part)]).expect("run");
            }
        });
    }
    drop(beside.look(4));
    let said = said_since(began);
    println!("{tried} of 4 mounts lived on; the kernel's log said so {said:?} times");
    assert!(
        tried == 0 || said != Some(0),
        "{tried} mounts lived on, and the kernel did not say so"
    );
    drop(keepers);
}

#[test]
fn a_mount_that_outlives_its_container_is_one_of_a_container_that_starts_and_nobody_has_a_file_open_in_it()
 {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let way = Way::ALL[1];
    let root = Root::new("in-use");
    let store = root.open(way);
    import_base(&store, "base");
    let began = uptime();
    // The layers whose containers have ended, and where each one's mount was.
    let ended: Mutex<BTreeMap<PathBuf, PathBuf>> = Mutex::default();
    let (done, holders) = (
        AtomicBool::new(false),
        Mutex::new(BTreeMap::<String, usize>::new()),
    );
    let open_files = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        let users: Vec<_> = (0..3)
            .map(|user| {
                let (store, ended) = (&store, &ended);
                scope.spawn(move || {
                    for n in 0..amount(4, 60) {
                        let held = lease(store, &format!("cache-{user}"));
                        run_in(store, &format!("step-{user}-{n}"), &held, "echo x >>file");
                        let place = super::ground::get(&format!("/volumes/{}", held.volume()));
                        let place = PathBuf::from(place["Mountpoint"].as_str().expect("a place"));
                        ended
                            .lock()
                            .expect("unpoisoned")
                            .insert(place_to_write(&held), place);
                        held.release().expect("released");
                    }
                })
            })
            .collect();
        let (done, ended, holders, open_files) = (&done, &ended, &holders, &open_files);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                let now = ended.lock().expect("unpoisoned").clone();
                for process in fs::read_dir("/proc").expect("processes").flatten() {
                    let id = process.file_name().to_string_lossy().into_owned();
                    if !id.parse().is_ok_and(is_apart) {
                        continue;
                    }
                    let mounts =
                        fs::read_to_string(format!("/proc/{id}/mountinfo")).unwrap_or_default();
                    for (upper, place) in &now {
                        if !mounts.contains(&format!("upperdir={},", upper.display())) {
                            continue;
                        }
                        let name =
                            fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
                        *holders
                            .lock()
                            .expect("unpoisoned")
                            .entry(name.trim().to_owned())
                            .or_default() += 1;
                        let files = fs::read_dir(format!("/proc/{id}/fd"))
                            .into_iter()
                            .flatten()
                            .flatten();
                        let files = files.filter_map(|file| fs::read_link(file.path()).ok());
                        open_files
                            .lock()
                            .expect("unpoisoned")
                            .extend(files.filter(|file| file.starts_with(place)));
                    }
                }
                thread::sleep(Duration::from_millis(2));
            }
        });
        for user in users {
            user.join().expect("no error");
        }
        done.store(true, Ordering::Relaxed);
    });
    let holders = holders.into_inner().expect("unpoisoned");
    println!(
        "mounts of ended containers were seen in {holders:?}; the kernel's log said so {:?} times",
        said_since(began)
    );
    let open_files = open_files.into_inner().expect("unpoisoned");
    assert!(
        open_files.is_empty(),
        "somebody may write through a mount that lives on: {open_files:?}"
    );
    for user in 0..3 {
        let held = lease(&store, &format!("cache-{user}"));
        let view = super::ground::View::of(&held);
        assert_eq!(view.read("file"), Some("x\n".repeat(amount(4, 60))));
    }
}
