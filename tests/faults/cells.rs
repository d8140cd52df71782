//! One cell of a table: an operation with a fault at one of its calls, and what must hold afterwards.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use docker_store::{Begun, CacheRequest, Cancel, ErrorKind, Limits, Options, Store};

use super::operations::{Claim, Done, Operation, Scene, given_names};
use super::restarts;
use crate::common::proxy::{Act, IN_PROGRESS, Proxy};
use crate::common::{Root, docker, import_base, sh, untar};

/// A fault that an operation meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// This, at one call.
    Once(Act),
    /// The call is answered this many times with "in progress".
    Again(usize),
    /// From that call on, the engine does not respond.
    Hangs,
    /// The engine is sent a signal, and restarted.
    Restart(&'static str, Moment),
}

/// When the engine is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// When the call arrives.
    Before,
    /// This many milliseconds after the call was passed to the engine.
    After(u64),
}

/// How an operation is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is not: the fault passes by itself, or stops it.
    Not,
    /// By a cancel, shortly after the fault.
    Cancel,
    /// By a deadline.
    Deadline,
}

/// The time until a deadline.
pub const DEADLINE: Duration = Duration::from_secs(3);

/// No operation may take longer with a fault that passes.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long after the cancel or the deadline a call may return.
pub const PROMISED: Duration = Duration::from_secs(2);

#[derive(Clone, Copy)]
pub struct Cell {
    pub operation: &'static Operation,
    pub fault: Fault,
    pub call: usize,
    pub told: Told,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, fault, call) = (self.operation.name, self.fault, self.call);
        write!(f, "{name}: {fault:?} at call {call}, told {:?}", self.told)
    }
}

/// The outcome of a cell.
pub struct Outcome {
    pub done: Done,
    /// How many calls the operation made.
    pub calls: usize,
    /// Whether that call was made.
    pub met: bool,
    /// How long after it was stopped it returned; or, if it was not stopped, how long it took.
    pub late: Duration,
    /// What is not as it must be.
    pub wrong: Vec<String>,
}

impl Outcome {
    /// What was wrong, if anything was, and what the operation returned.
    pub fn said(&self) -> Option<String> {
        let done = match &self.done {
            Ok(claim) => format!("{claim:?}"),
            Err(e) => e.to_string(),
        };
        (!self.wrong.is_empty()).then(|| format!("{} ({done})", self.wrong.join("; ")))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.take_names_away();
    }
}

/// A root with the result `base` and the cache `c`, for several cells in turn.
pub struct Ground {
    root: Root,
    /// Another open store of the root, directly connected to the engine.
    direct: Store,
    /// The contents of the cache before the cell.
    said: RefCell<String>,
}

impl Ground {
    pub fn new(name: &str) -> Self {
        let root = Root::new(name);
        let ground = Ground {
            direct: root.open_with(&options(&link(&root, None))),
            said: RefCell::default(),
            root,
        };
        ground.prepare();
        ground
    }

    /// What every operation starts from.
    pub fn prepare(&self) {
        import_base(&self.direct, "base");
        let there = self.direct.caches().expect("a listing");
        if there
            .iter()
            .any(|row| row.name == b"c" && row.generation > 0)
        {
            return;
        }
        let lease = self
            .direct
            .cache("c", &CacheRequest::new())
            .expect("a lease");
        self.write(lease.volume(), "first");
        lease.release().expect("released");
    }

    fn write(&self, volume: &str, text: &str) {
        let mut step = crate::common::begin(&self.direct, "base", "writes");
        step.run(sh(&format!("echo {text} > /c/f")).volume(volume, "/c", false))
            .expect("a run");
        step.abort().expect("aborted");
    }

    /// The contents of the file `f` in the newest generation.
    fn newest(&self) -> String {
        let lease = self
            .direct
            .cache("c", &CacheRequest::new())
            .expect("a lease");
        let mut step = crate::common::begin(&self.direct, "base", "reads");
        step.run(sh("cat /c/f").volume(lease.volume(), "/c", true))
            .expect("a run");
        step.abort().expect("aborted");
        drop(lease);
        let log = self.direct.log_file("reads").expect("a path");
        std::fs::read_to_string(log)
            .expect("a log")
            .trim()
            .to_owned()
    }

    /// Tries a cell, and examines what it left.
    pub fn play(&self, cell: Cell) -> Outcome {
        let armed = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(AtomicUsize::new(0));
        let met = Arc::new(AtomicBool::new(false));
        let restart = Arc::new(Mutex::new(None));
        let proxy = {
            let restart = Arc::clone(&restart);
            let (armed, calls, met) = (Arc::clone(&armed), Arc::clone(&calls), Arc::clone(&met));
            let again = AtomicUsize::new(0);
            Proxy::new(&self.root.path, move |_, line| {
                if !armed.load(Ordering::SeqCst) {
                    return Act::Pass;
                }
                let n = calls.fetch_add(1, Ordering::SeqCst);
                let act = match cell.fault {
                    Fault::Once(act) if n == cell.call => act,
                    // Only removals get this response.
                    Fault::Again(times)
                        if n >= cell.call
                            && line.starts_with("DELETE")
                            && line.contains("/containers/")
                            && again.fetch_add(1, Ordering::SeqCst) < times =>
                    {
                        Act::Answer(IN_PROGRESS)
                    }
                    Fault::Hangs if n >= cell.call => Act::Stall,
                    Fault::Restart(signal, moment) if n == cell.call => {
                        // Held in the meantime: code that checks for it after the operation waits for it.
                        let mut restart = restart.lock().expect("unpoisoned");
                        if armed.load(Ordering::SeqCst) {
                            met.store(true, Ordering::SeqCst);
                            *restart = Some(restarts::begin_restart(signal, moment));
                        }
                        Act::Pass
                    }
                    _ => Act::Pass,
                };
                if act != Act::Pass {
                    met.store(true, Ordering::SeqCst);
                }
                act
            })
        };
        if matches!(cell.fault, Fault::Restart(..)) {
            *self.said.borrow_mut() = self.newest();
        }
        let address = link(&self.root, Some(&proxy.address));
        let store = self.root.open_with(&options(&address));

        let began = std::cell::Cell::new(Instant::now());
        let cancel = Cancel::new();
        let cancelled = Arc::new(Mutex::new(None));
        let over = Arc::new(AtomicBool::new(false));
        let watch = (cell.told == Told::Cancel).then(|| {
            let (met, cancel, cancelled, over) = (
                Arc::clone(&met),
                cancel.clone(),
                Arc::clone(&cancelled),
                Arc::clone(&over),
            );
            std::thread::spawn(move || {
                while !met.load(Ordering::SeqCst) && !over.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                std::thread::sleep(Duration::from_millis(50));
                *cancelled.lock().expect("unpoisoned") = Some(Instant::now());
                cancel.cancel();
            })
        });
        let limits = match cell.told {
            Told::Cancel => Limits::none().cancel(&cancel),
            Told::Deadline => Limits::none().timeout(DEADLINE),
            Told::Not => Limits::none().timeout(PATIENCE * 2),
        };
        let id = fresh();
        let scene = |id: &str, limits: Limits, go: &dyn Fn()| {
            let scene = Scene {
                root: &self.root,
                address: &address,
                store: Some(&store),
                id: id.to_owned(),
                limits,
                go,
            };
            (cell.operation.run)(&scene)
        };
        let deadline = std::cell::Cell::new(None);
        let done = scene(&id, limits, &|| {
            began.set(Instant::now());
            deadline.set(Some(Instant::now() + DEADLINE));
            armed.store(true, Ordering::SeqCst);
        });
        let ended = Instant::now();
        armed.store(false, Ordering::SeqCst);
        let calls = calls.load(Ordering::SeqCst);
        over.store(true, Ordering::SeqCst);
        proxy.release();
        let restarting = restart.lock().expect("unpoisoned").take();
        if let Some(restarting) = restarting {
            restarting.join().expect("started again");
        }
        if let Some(watch) = watch {
            watch.join().expect("the watch");
        }
        let told = match cell.told {
            Told::Cancel => *cancelled.lock().expect("unpoisoned"),
            Told::Deadline => deadline.get(),
            Told::Not => None,
        };
        let late = ended.saturating_duration_since(told.unwrap_or(began.get()));
        let mut wrong = Vec::new();
        let longest = if told.is_some() { PROMISED } else { PATIENCE };
        if late > longest {
            wrong.push(format!("came back after {late:?}"));
        }
        self.judge(cell.operation, &id, &done, &mut wrong);
        if matches!(cell.fault, Fault::Restart(..)) {
            self.judge_after_restart(cell.operation, &id, &done, &mut wrong);
        }

        if cell.fault == Fault::None {
            // Only to count the calls.
            return Outcome {
                done,
                calls,
                met: false,
                late,
                wrong,
            };
        }
        // The same handle continues.
        self.prepare();
        let second = fresh();
        let again = scene(&second, Limits::none().timeout(PATIENCE * 2), &|| {});
        match &again {
            Err(e) => wrong.push(format!("the second try fails: {e}")),
            Ok(_) => self.judge(cell.operation, &second, &again, &mut wrong),
        }
        if let Err(e) = store.close() {
            wrong.push(format!("closing: {e}"));
        }
        self.clean(&[&id, &second], &mut wrong);
        Outcome {
            done,
            calls,
            met: met.load(Ordering::SeqCst),
            late,
            wrong,
        }
    }

    /// Checks whether the operation's outcome is true.
    fn judge(&self, operation: &Operation, id: &str, done: &Done, wrong: &mut Vec<String>) {
        let image = self.root.image(id);
        // Without the library.
        let there = || !docker(&["images", "-q", &image]).is_empty();
        match done {
            Ok(Claim::Nothing) => {}
            Ok(Claim::Exists) if there() => {}
            Ok(Claim::Made) if there() => {
                let mut tar = Vec::new();
                let copied = self.direct.copy_out(id, "/made", &mut tar, &Limits::none());
                if copied.is_err() || untar(&tar) != [("made".to_owned(), b"made\n".to_vec())] {
                    wrong.push(format!("the result is not what was made: {copied:?}"));
                }
            }
            Ok(Claim::Gone) if !there() => {}
            Ok(Claim::Released) => {
                let newest = self.newest();
                if newest != id {
                    wrong.push(format!("a release won, and the cache says {newest:?}"));
                }
            }
            Ok(Claim::Named(name)) if !docker(&["images", "-q", name]).is_empty() => {}
            Ok(Claim::CacheGone) => {
                let listed = self.direct.caches().expect("a listing");
                if listed.iter().any(|row| row.name == b"c") {
                    wrong.push("a deleted cache is there".to_owned());
                }
            }
            Ok(claim) => wrong.push(format!("not so: {claim:?}")),
            Err(e) => {
                let makes = operation.name.starts_with("commit") || operation.name == "build";
                // A result that exists may be denied only if the outcome is unknown.
                if makes && e.kind() != ErrorKind::OutcomeUnknown && there() {
                    wrong.push("an error, and there is a result".to_owned());
                }
            }
        }
    }

    /// What an engine that was stopped must not have lost, whatever was answered.
    fn judge_after_restart(
        &self,
        operation: &Operation,
        id: &str,
        done: &Done,
        wrong: &mut Vec<String>,
    ) {
        // The cache has what was released last, or what an unanswered release would have made it.
        if operation.name != "delete-cache" {
            let newest = self.newest();
            let before = self.said.borrow().clone();
            if newest != id && newest != before {
                wrong.push(format!("the cache said {before:?}, and now {newest:?}"));
            }
        }
        // If the outcome is unknown, the next build finds it out.
        if done
            .as_ref()
            .is_err_and(|e| e.kind() == ErrorKind::OutcomeUnknown)
        {
            let there = !docker(&["images", "-q", &self.root.image(id)]).is_empty();
            let begun = self.direct.begin(Some("base"), id, &Limits::none());
            let present = matches!(begun.as_ref().expect("begun"), Begun::Present);
            if present != there {
                wrong.push(format!(
                    "the next begin says {begun:?}, and it is there: {there}"
                ));
            }
        }
    }

    /// Removes the names that an operation gave, because they are not the store's.
    fn take_names_away(&self) {
        let given = format!("reference={}*", given_names(&self.root));
        let shown = "{{.Repository}}:{{.Tag}}";
        for name in docker(&["images", "--filter", &given, "--format", shown]) {
            docker(&["rmi", &name]);
        }
    }

    /// Checks that nothing is left after the next open and a purge.
    fn clean(&self, ids: &[&str], wrong: &mut Vec<String>) {
        self.take_names_away();
        for id in ids {
            if let Err(e) = self.direct.delete(id) {
                wrong.push(format!("deleting what was made: {e}"));
            }
        }
        let next = self.root.open_with(&options(&link(&self.root, None)));
        // The handle that continues still has what it could not remove in the meantime.
        for purged in [self.direct.purge(), next.purge()] {
            if let Err(e) = purged {
                wrong.push(format!("purging: {e}"));
            }
        }
        if let Err(e) = self
            .direct
            .complete_deletes(&Limits::none().timeout(PATIENCE))
        {
            wrong.push(format!("deletes: {e}"));
        }
        let layers: usize = next
            .caches()
            .expect("a listing")
            .iter()
            .map(|row| row.layers)
            .sum();
        let prefix = self.root.prefix();
        let left: Vec<String> = self
            .root
            .leftovers_beside_caches()
            .into_iter()
            .filter(|name| *name != format!("{prefix}-store"))
            .collect();
        let volumes = docker(&["volume", "ls", "-q", "--filter", &format!("name={prefix}-")]);
        let parts = volumes
            .iter()
            .filter(|name| !name.ends_with("-store"))
            .count();
        if !left.is_empty() || parts != layers {
            wrong.push(format!(
                "left: {left:?}, and {parts} volumes for {layers} layers: {volumes:?}"
            ));
        }
    }
}

fn fresh() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn options(address: &str) -> Options {
    let mut options = Options::new();
    options.engine(address);
    options
}

/// One address for whatever socket is behind it, because facts about an engine are remembered by its address.
fn link(root: &Root, address: Option<&str>) -> String {
    let link = root.path.join("engine.sock");
    let host = std::env::var("DOCKER_HOST");
    let host = host.unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let socket = address
        .unwrap_or(&host)
        .trim_start_matches("unix://")
        .to_owned();
    let beside = root.path.join("engine.new");
    let _ = std::fs::remove_file(&beside);
    std::os::unix::fs::symlink(socket, &beside).expect("a link");
    std::fs::rename(&beside, &link).expect("renamed");
    format!("unix://{}", link.display())
}
