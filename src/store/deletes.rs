//! Work after the fact: what a call gives up is removed by worker threads, which start when there is something to do, end
//! when there is not, and are joined when the store closes. What failed is tried again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::error::Result;
use crate::wait::{Stop, Wait};

/// One thing to do, off the caller's thread. Nobody waits for its answer: an error is logged, and the job is done once more later.
pub(crate) type Job<S> = Box<dyn FnMut(&Arc<S>) -> Result<()> + Send>;

/// How long waiters sleep between looks at their deadline and cancel: by so much that is heard late.
const LOOK: Duration = Duration::from_millis(20);

/// How long a job that failed rests, the first time and at most; each failure doubles it. What failed mostly waits for a
/// container that somebody else has, and that is asked with every try.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// What is short is not kept waiting by what is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Removals, discards, aborts: others may be waiting for them.
    Short,
    /// Compactions: they take as long as the files are many, and nobody waits.
    Long,
}

impl Lane {
    const ALL: [Lane; 2] = [Lane::Short, Lane::Long];

    /// How many jobs are done at once. An engine removes a volume in some 40 ms, most of which it spends waiting for its own
    /// database: eight at once are six times as fast as one, and more are no faster. Two merges at once would only take the
    /// disk from each other.
    fn width(self) -> usize {
        match self {
            Lane::Short => 8,
            Lane::Long => 1,
        }
    }
}

/// The queues of one store, whose jobs are given an `S`.
pub(crate) struct Deletes<S>(Arc<Queues<S>>);

struct Queues<S> {
    state: Mutex<State<S>>,
    idle: Condvar,
}

struct State<S> {
    queues: [VecDeque<Entry<S>>; 2],
    /// How many workers each lane has.
    running: [usize; 2],
    /// What failed and rests.
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
    /// Queues `job`. Never blocks on the engine, unless no thread can be had: then the job runs here and now.
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

    /// Keeps `job`, the first try of which has failed. Done with what is queued later.
    pub(crate) fn keep(&self, lane: Lane, job: Job<S>) {
        let entry = Entry {
            lane,
            rest: FIRST_REST,
            job,
        };
        self.0.state.lock().rest(entry);
    }

    /// Whether anything has failed and was not done since.
    pub(crate) fn has_failed(&self) -> bool {
        !self.0.state.lock().failed.is_empty()
    }

    /// Queues all that failed before once more.
    pub(crate) fn retry(&self, site: &Arc<S>) {
        let mut state = self.0.state.lock();
        state.wake(None);
        self.start(site, state);
    }

    /// Starts workers for what is queued.
    fn start<'a>(&'a self, here: &Arc<S>, mut state: MutexGuard<'a, State<S>>) {
        // Those that have left their loop: joining them takes no time.
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
                    // Whoever works already does it later.
                    Err(_) if state.running[lane as usize] > 0 => break,
                    Err(e) => {
                        log::warn!("no thread for deferred work ({e}); doing it at once");
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

    /// Waits until nothing is queued or under way, in one lane or all.
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

    /// Waits for the workers to end. Called by whoever closes the store, never by a job.
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

    /// Queues what has rested until `now`, or all.
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
        // A job's panic must not take the queue along.
        let job = std::panic::AssertUnwindSafe(|| (entry.job)(site));
        match std::panic::catch_unwind(job) {
            Ok(Ok(())) => {}
            Ok(Err(e)) => {
                // Once is enough to tell.
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

    /// What the jobs count in.
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
        // Each waits for all: one after the other, they would never end.
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
        // It rests, whatever else comes meanwhile.
        deletes.push(&site, Lane::Short, Box::new(|_| Ok(())));
        idle();
        assert_eq!(site.load(Ordering::SeqCst), 1);
        std::thread::sleep(FIRST_REST);
        deletes.push(&site, Lane::Short, Box::new(|_| Ok(())));
        idle();
        assert_eq!(site.load(Ordering::SeqCst), 2);
        // Who asks for it need not wait.
        for _ in 0..3 {
            deletes.retry(&site);
            idle();
        }
        assert_eq!(site.load(Ordering::SeqCst), 3);
    }
}
