//! When caches are synced: a thread waits for some seconds after a release, so that one sync serves several, and ends when the
//! store closes.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::store::cache::state::folder::Folder;
use crate::wait::{Stop, Wait};

/// How long after a release its files are synced. File systems commit their journal every five seconds anyway, so that several
/// releases in a row cost no additional disk writes. Without this, kernels keep files in memory for thirty seconds, which is
/// what could be lost.
const DELAY: Duration = Duration::from_secs(5);

/// Work on caches; it asks the callback whether heads may be written.
type Work = dyn Fn(Vec<Arc<Folder>>, &dyn Fn() -> bool);

/// How often waiters check the time. A close may be late by this much.
const LOOK: Duration = Duration::from_millis(10);

/// The caches whose newest generation may not be on disk yet.
#[derive(Default)]
pub(super) struct Keeper(Arc<Watch>);

#[derive(Default)]
struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    unsure: HashMap<String, Arc<Folder>>,
    /// When to sync next.
    due: Option<Instant>,
    thread: Option<JoinHandle<()>>,
    running: bool,
    /// Heads are being written: that is short, and is not interrupted.
    marking: bool,
    /// The store is closed: leave everything as it is.
    ended: bool,
}

impl Keeper {
    /// Records a cache. Does not start a sync.
    pub(super) fn note(&self, folder: &Arc<Folder>) {
        let mut state = self.0.state.lock();
        state
            .unsure
            .insert(folder.escaped.clone(), Arc::clone(folder));
    }

    /// Has `work` done with the recorded caches, after a delay, by a thread that ends when nothing is recorded any more. Before
    /// `work` writes heads, it asks whether they may still be written.
    pub(super) fn start(
        &self,
        work: impl Fn(Vec<Arc<Folder>>, &dyn Fn() -> bool) + Send + 'static,
    ) {
        let mut state = self.0.state.lock();
        if state.running || state.ended || state.unsure.is_empty() {
            return;
        }
        state.due.get_or_insert_with(|| Instant::now() + DELAY);
        // The thread, if there was one, has left its loop.
        if let Some(done) = state.thread.take() {
            let _ = done.join();
        }
        let watch = Arc::clone(&self.0);
        let named = std::thread::Builder::new().name(String::from("docker-store"));
        match named.spawn(move || watch.run(&work)) {
            Ok(thread) => {
                state.running = true;
                state.thread = Some(thread);
            }
            Err(e) => log::debug!("no thread to sync with: {e}"),
        }
    }

    /// Syncs now instead of later. Does not wait for the sync, but for heads that are being written, because what they replace
    /// is queued for removal.
    pub(super) fn hurry(&self, wait: Wait<'_>) -> std::result::Result<(), Stop> {
        let mut state = self.0.state.lock();
        while state.marking {
            let pause = wait.left()?.map_or(LOOK, |left| left.min(LOOK));
            self.0.changed.wait_for(&mut state, pause);
        }
        if state.running {
            state.due = Some(Instant::now());
            self.0.changed.notify_all();
        }
        Ok(())
    }

    /// Syncs what is recorded, if `wait` allows enough time. Returns `false` if something is left.
    pub(super) fn finish(&self, wait: Wait<'_>) -> bool {
        let mut state = self.0.state.lock();
        state.due = Some(Instant::now());
        self.0.changed.notify_all();
        while state.running && (state.marking || wait.left().is_ok()) {
            self.0.changed.wait_for(&mut state, LOOK);
        }
        state.ended = true;
        let thread = state.thread.take();
        let running = state.running;
        drop(state);
        // A slow sync cannot be interrupted. The thread stops as soon as it returns.
        if let Some(thread) = thread.filter(|_| !running) {
            let _ = thread.join();
        }
        !running && self.0.state.lock().unsure.is_empty()
    }

    /// Leaves everything to the next open. Returns `false` if something is left.
    pub(super) fn end(&self) -> bool {
        let mut state = self.0.state.lock();
        state.ended = true;
        self.0.changed.notify_all();
        !state.running && state.unsure.is_empty()
    }
}

impl Watch {
    fn run(&self, work: &Work) {
        loop {
            let batch = {
                let mut state = self.state.lock();
                loop {
                    let due = state.due.unwrap_or_else(Instant::now);
                    if state.ended || state.unsure.is_empty() {
                        state.running = false;
                        state.due = None;
                        self.changed.notify_all();
                        return;
                    }
                    if due <= Instant::now() {
                        break;
                    }
                    self.changed.wait_until(&mut state, due);
                }
                state.due = Some(Instant::now() + DELAY);
                std::mem::take(&mut state.unsure)
            };
            let may_mark = || {
                let mut state = self.state.lock();
                state.marking = !state.ended;
                state.marking
            };
            let work = || work(batch.into_values().collect(), &may_mark);
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
                log::error!("syncing caches panicked");
            }
            self.state.lock().marking = false;
            self.changed.notify_all();
        }
    }
}
