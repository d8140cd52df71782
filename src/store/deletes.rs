//! Removal after the fact: what a call gives up is removed by a worker thread, which starts when there is something to
//! remove, ends when there is not, and is joined when the store closes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::wait::{Stop, Wait};

/// One thing to remove. Runs once, off the caller's thread, and reports for itself: nobody waits for its answer.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// How long waiters sleep between looks at their deadline and cancel.
const LOOK: Duration = Duration::from_millis(20);

/// The queue of one store.
#[derive(Default)]
pub(crate) struct Deletes(Arc<Queue>);

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    idle: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    running: bool,
    worker: Option<JoinHandle<()>>,
}

impl Deletes {
    /// Queues `job`. Never blocks on the engine, unless no thread can be had: then the job runs here and now.
    pub(crate) fn push(&self, job: Job) {
        let mut state = self.0.state.lock();
        if state.running {
            state.queue.push_back(job);
            return;
        }
        let queue = Arc::clone(&self.0);
        state.queue.push_back(job);
        // The last worker has left its loop, if there was one: joining it takes no time.
        if let Some(done) = state.worker.take() {
            let _ = done.join();
        }
        match std::thread::Builder::new()
            .name(String::from("docker-store"))
            .spawn(move || work(&queue))
        {
            Ok(worker) => {
                state.running = true;
                state.worker = Some(worker);
            }
            Err(e) => {
                log::warn!("no thread for deferred removals ({e}); removing at once");
                let jobs: Vec<Job> = state.queue.drain(..).collect();
                drop(state);
                jobs.into_iter().for_each(|job| job());
            }
        }
    }

    /// Waits until nothing is queued or under way.
    pub(crate) fn wait_idle(&self, wait: Wait<'_>) -> Result<(), Stop> {
        let mut state = self.0.state.lock();
        while state.running {
            let pause = wait.left()?.map_or(LOOK, |left| left.min(LOOK));
            self.0.idle.wait_for(&mut state, pause);
        }
        Ok(())
    }

    /// Waits for the worker to end. Called by whoever closes the store, never by a job.
    pub(crate) fn join(&self) {
        let worker = self.0.state.lock().worker.take();
        if let Some(worker) = worker {
            let _ = worker.join();
        }
    }
}

fn work(queue: &Queue) {
    loop {
        let job = {
            let mut state = queue.state.lock();
            match state.queue.pop_front() {
                Some(job) => job,
                None => {
                    state.running = false;
                    queue.idle.notify_all();
                    return;
                }
            }
        };
        // A job's panic must not take the queue along.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
            log::error!(
                "a deferred removal panicked; the next open of this root removes what it left"
            );
        }
    }
}
