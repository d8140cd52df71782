//! Work in the background: what a call queues for removal is removed by worker threads. They start when there is something to
//! do, end when there is not, and are joined when the store closes. A failed job is retried.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::error::Result;
use crate::wait::{Stop, Wait};

/// A job for a worker thread. No caller waits for its result: an error is logged, and the job is retried later.
pub(crate) type Job<S> = Box<dyn FnMut(&Arc<S>) -> Result<()> + Send>;

/// How often waiters check their deadline and cancel. Both are noticed late by up to this much.
const LOOK: Duration = Duration::from_millis(20);

/// The delay before a failed job is retried, the first time and at most; each failure doubles it. A failed job usually waits
/// for another program's container, and every retry queries the engine for it.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Short jobs do not wait for long ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Removals, discards, aborts: other callers may be waiting for them.
    Short,
    /// Compactions: they take time in proportion to the number of files, and no caller waits.
    Long,
}

impl Lane {
    const ALL: [Lane; 2] = [Lane::Short, Lane::Long];

    /// Returns how many jobs run concurrently. An engine removes a volume in some 40 ms, most of which it spends waiting for
    /// its own database: eight at a time are six times as fast as one, and more are no faster. Two merges at a time would only
    /// compete for the disk.
    fn width(self) -> usize {
        match self {
            Lane::Short => 8,
            Lane::Long => 1,
        }
    }
}

/// The queues of one store, whose jobs receive an `S`.
pub(crate) struct Deletes<S>(Arc<Queues<S>>);

struct Queues<S> {
    state: Mutex<State<S>>,
    idle: Condvar,
}

struct State<S> {
    queues: [VecDeque<Entry<S>>; 2],
    /// How many workers each lane has.
    running: [usize; 2],
    /// Failed jobs that wait for a retry.
    failed: Vec<(Instant, Entry<S>)>,
    workers: Vec<JoinHandle<()>>,
}

struct Entry<S> {
    lane: Lane,
    rest: Duration,
    job: Job<S>,
}

impl<S> Default for Deletes<S> {
    fn default() -> Self {
        Deletes(Arc::new(Queues {
            state: Mutex::new(State {
                queues: [VecDeque::new(), VecDeque::new()],
                running: [0, 0],
                failed: Vec::new(),
                workers: Vec::new(),
            }),
            idle: Condvar::new(),
        }))
    }
}

impl<S: Send + Sync + 'static> Deletes<S> {
    /// Queues `job`. Never blocks on the engine, unless no thread can be created: then the job runs on the calling thread.
    pub(crate) fn push(&self, site: &Arc<S>, lane: Lane, job: Job<S>) {
        let mut state = self.0.state.lock();
        let entry = Entry {
            lane,
            rest: FIRST_REST,
            job,
        };
        state.queues[lane as usize].push_back(entry);
        state.wake(Some(Instant::now()));
        self.start(site, state);
    }

    /// Keeps `job`, whose first try has failed. It is retried together with jobs that are queued later.
    pub(crate) fn keep(&self, lane: Lane, job: Job<S>) {
        let entry = Entry {
            lane,
            rest: FIRST_REST,
            job,
        };
        self.0.state.lock().rest(entry);
    }

    /// Returns whether any job has failed and has not succeeded since.
    pub(crate) fn has_failed(&self) -> bool {
        !self.0.state.lock().failed.is_empty()
    }

    /// Queues all failed jobs for another retry.
    pub(crate) fn retry(&self, site: &Arc<S>) {
        let mut state = self.0.state.lock();
        state.wake(None);
        self.start(site, state);
    }

    /// Starts workers for the queued jobs.
    fn start<'a>(&'a self, here: &Arc<S>, mut state: MutexGuard<'a, State<S>>) {
        // These have left their loop: joining them takes no time.
        let (done, others) = std::mem::take(&mut state.workers)
            .into_iter()
            .partition(JoinHandle::is_finished);
        state.workers = others;
        let done: Vec<JoinHandle<()>> = done;
        done.into_iter().for_each(|worker| drop(worker.join()));
        for lane in Lane::ALL {
            let waiting = state.queues[lane as usize].len();
            let wanted = waiting.min(lane.width() - state.running[lane as usize]);
            for _ in 0..wanted {
                let (queues, site) = (Arc::clone(&self.0), Arc::clone(here));
                let named = std::thread::Builder::new().name(String::from("docker-store"));
                match named.spawn(move || work(&queues, lane, &site)) {
                    Ok(worker) => {
                        state.running[lane as usize] += 1;
                        state.workers.push(worker);
                    }
                    // A running worker does it later.
                    Err(_) if state.running[lane as usize] > 0 => break,
                    Err(e) => {
                        log::warn!("no thread for deferred work ({e}); doing it immediately");
                        state.running[lane as usize] += 1;
                        drop(state);
                        work(&self.0, lane, here);
                        state = self.0.state.lock();
                        break;
                    }
                }
            }
        }
    }

    /// Waits until nothing is queued or running, in one lane or all.
    pub(crate) fn wait_idle(
        &self,
        lane: Option<Lane>,
        wait: Wait<'_>,
    ) -> std::result::Result<(), Stop> {
        let mut state = self.0.state.lock();
        while state.is_busy(lane) {
            let pause = wait.left()?.map_or(LOOK, |left| left.min(LOOK));
            self.0.idle.wait_for(&mut state, pause);
        }
        Ok(())
    }

    /// Waits for the workers to end. Called when the store closes, never by a job.
    pub(crate) fn join(&self) {
        loop {
            let workers = std::mem::take(&mut self.0.state.lock().workers);
            if workers.is_empty() {
                return;
            }
            for worker in workers {
                let _ = worker.join();
            }
        }
    }
}

impl<S> State<S> {
    fn is_busy(&self, lane: Option<Lane>) -> bool {
        let busy =
            |lane: Lane| self.running[lane as usize] > 0 || !self.queues[lane as usize].is_empty();
        Lane::ALL
            .into_iter()
            .any(|l| lane.is_none_or(|wanted| wanted == l) && busy(l))
    }

    /// Queues the failed jobs whose delay is over at `now`, or all.
    fn wake(&mut self, now: Option<Instant>) {
        for (until, entry) in std::mem::take(&mut self.failed) {
            if now.is_none_or(|now| until <= now) {
                self.queues[entry.lane as usize].push_back(entry);
            } else {
                self.failed.push((until, entry));
            }
        }
    }

    fn rest(&mut self, mut entry: Entry<S>) {
        let until = Instant::now() + entry.rest;
        entry.rest = (entry.rest * 2).min(LONGEST_REST);
        self.failed.push((until, entry));
    }
}

fn work<S>(queues: &Queues<S>, lane: Lane, site: &Arc<S>) {
    loop {
        let mut entry = {
            let mut state = queues.state.lock();
            match state.queues[lane as usize].pop_front() {
                Some(entry) => entry,
                None => {
                    state.running[lane as usize] -= 1;
                    queues.idle.notify_all();
                    return;
                }
            }
        };
        // A job's panic must not destroy the queue.
        let job = std::panic::AssertUnwindSafe(|| (entry.job)(site));
        match std::panic::catch_unwind(job) {
            Ok(Ok(())) => {}
            Ok(Err(e)) => {
                // Logged as a warning only once.
                let level = match entry.rest {
                    FIRST_REST => log::Level::Warn,
                    _ => log::Level::Debug,
                };
                log::log!(level, "{e}; tried again later");
                queues.state.lock().rest(entry);
            }
            Err(_) => {
                log::error!(
                    "a deferred job panicked; the next open of this root removes what it left"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::{Error, ErrorKind};

    /// The counter that the test's jobs use.
    type Count = AtomicUsize;

    fn queues() -> (Deletes<Count>, Arc<Count>) {
        (Deletes::default(), Arc::new(Count::new(0)))
    }

    #[test]
    fn what_is_short_does_not_wait_for_what_is_long_and_is_done_side_by_side() {
        let (deletes, site) = queues();
        let stop = Arc::new(AtomicUsize::new(0));
        let until = Arc::clone(&stop);
        deletes.push(
            &site,
            Lane::Long,
            Box::new(move |_| {
                while until.load(Ordering::SeqCst) == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(())
            }),
        );
        // Each waits for all: run one after the other, they would never end.
        for _ in 0..Lane::Short.width() {
            deletes.push(
                &site,
                Lane::Short,
                Box::new(|count| {
                    count.fetch_add(1, Ordering::SeqCst);
                    while count.load(Ordering::SeqCst) < Lane::Short.width() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    Ok(())
                }),
            );
        }
        let soon = Wait::unbounded().at_most(Duration::from_secs(30));
        deletes
            .wait_idle(Some(Lane::Short), soon)
            .expect("all done while the long one runs");
        let soon = Wait::unbounded().at_most(Duration::from_millis(30));
        assert!(deletes.wait_idle(None, soon).is_err());
        stop.store(1, Ordering::SeqCst);
        deletes.join();
        deletes.wait_idle(None, Wait::unbounded()).expect("idle");
    }

    #[test]
    fn what_failed_rests_and_is_done_again() {
        let (deletes, site) = queues();
        let fails_twice = |count: &Arc<Count>| match count.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err(Error::new(ErrorKind::Conflict, "still in use")),
            _ => Ok(()),
        };
        deletes.push(&site, Lane::Short, Box::new(fails_twice));
        let idle = || deletes.wait_idle(None, Wait::unbounded()).expect("idle");
        idle();
        assert_eq!(site.load(Ordering::SeqCst), 1);
        // It waits for its retry, even if other jobs are queued in the meantime.
        deletes.push(&site, Lane::Short, Box::new(|_| Ok(())));
        idle();
        assert_eq!(site.load(Ordering::SeqCst), 1);
        std::thread::sleep(FIRST_REST);
        deletes.push(&site, Lane::Short, Box::new(|_| Ok(())));
        idle();
        assert_eq!(site.load(Ordering::SeqCst), 2);
        // A caller that requests it need not wait.
        for _ in 0..3 {
            deletes.retry(&site);
            idle();
        }
        assert_eq!(site.load(Ordering::SeqCst), 3);
    }
}
