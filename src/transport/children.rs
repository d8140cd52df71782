//! [`Children`]: what we started and no longer need is waited for, so that none stays as a zombie, and ended if it does not end.
//!
//! The host may have SIGCHLD ignored, or wait for any child itself: then ours may be gone, and its number another's, before we look.
//! So nothing here is sent to a number that was not seen to be our child's a moment ago.

use std::process::ExitStatus;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// How long one that was told by the end of its input may take to end, and one that was told by a signal. An `ssh` says
/// good-bye to the other side, which takes a way there and back; with both, and a kill, closing a store waits for two seconds
/// at most.
const PATIENCE: Duration = Duration::from_millis(500);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// A child.
#[derive(Debug)]
pub(super) struct Child {
    child: std::process::Child,
    end: Option<Option<ExitStatus>>,
}

impl Child {
    pub(super) fn new(child: std::process::Child) -> Self {
        Child { child, end: None }
    }

    /// Whether it has ended; then it is a zombie no more.
    pub(super) fn ended(&mut self) -> bool {
        if self.end.is_none() {
            self.end = match self.child.try_wait() {
                Ok(None) => None,
                Ok(Some(status)) => Some(Some(status)),
                // Somebody else has waited for it, and alone knows how it ended.
                Err(_) => Some(None),
            };
        }
        self.end.is_some()
    }

    /// How it ended, if it has and that is known.
    pub(super) fn status(&self) -> Option<ExitStatus> {
        self.end.flatten()
    }

    fn signal(&self, signal: Signal) {
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else {
            return;
        };
        // Only our child answers, and it keeps its number until it is waited for.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if matches!(waitid(WaitId::Pid(pid), look), Ok(_) | Err(Errno::INTR)) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Those that are on their way out. A thread looks after them as long as there are any.
#[derive(Default)]
pub(super) struct Children(Mutex<State>);

#[derive(Default)]
struct State {
    leaving: Vec<(Child, Instant, Option<Signal>)>,
    watched: bool,
    thread: Option<JoinHandle<()>>,
}

impl Children {
    /// Waits for the end of a child whose input has ended, and helps it along; in the background.
    pub(super) fn part_with(self: &Arc<Self>, mut child: Child) {
        if child.ended() {
            return;
        }
        let mut state = self.0.lock();
        state.leaving.push((child, Instant::now(), None));
        if state.watched {
            return;
        }
        // It has left its loop, if there was one.
        if let Some(done) = state.thread.take() {
            let _ = done.join();
        }
        let children = Arc::clone(self);
        let named = std::thread::Builder::new().name(String::from("docker-store"));
        match named.spawn(move || children.watch()) {
            Ok(thread) => {
                state.watched = true;
                state.thread = Some(thread);
            }
            Err(e) => log::debug!("no thread to wait for ssh with: {e}"),
        }
    }

    fn watch(&self) {
        while self.look() {
            std::thread::sleep(LOOK);
        }
    }

    /// Looks at each once; `false`: none is left.
    fn look(&self) -> bool {
        let mut state = self.0.lock();
        state.leaving.retain_mut(|(child, since, sent)| {
            if child.ended() {
                return false;
            }
            let next = match (since.elapsed(), &sent) {
                (time, None) if time > PATIENCE => Some(Signal::TERM),
                (time, Some(Signal::TERM)) if time > 2 * PATIENCE => Some(Signal::KILL),
                _ => None,
            };
            if let Some(signal) = next {
                child.signal(signal);
                *sent = Some(signal);
            }
            true
        });
        let some = !state.leaving.is_empty();
        state.watched = state.watched && some;
        some
    }

    /// Waits for the end of all, which is near.
    pub(super) fn finish(&self) {
        let until = Instant::now() + 4 * PATIENCE;
        while self.look() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        let thread = self.0.lock().thread.take();
        // One that cannot even be killed is a system's own matter; the thread goes on waiting for it.
        if let Some(thread) = thread.filter(|_| self.0.lock().leaving.is_empty()) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn start(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        Child::new(command.stdout(Stdio::null()).spawn().unwrap())
    }

    /// Whether the process is there, be it as a zombie.
    fn is_there(pid: u32) -> bool {
        kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::CONT).is_ok()
    }

    #[test]
    fn a_child_that_does_not_want_to_end_is_ended_and_none_stays_as_a_zombie() {
        let children = Arc::<Children>::default();
        let begun = Instant::now();
        let mut pids = Vec::new();
        for script in [
            "exit 3",
            "sleep 0.1",
            "exec sleep 100",
            "trap '' TERM; while :; do sleep 0.1; done",
        ] {
            let child = start(script);
            pids.push(child.child.id());
            children.part_with(child);
        }
        children.finish();
        assert!(begun.elapsed() < Duration::from_secs(5));
        for pid in pids {
            assert!(!is_there(pid), "{pid}");
        }
        // And again: the thread that has ended is followed by another.
        let child = start("sleep 0.05");
        let pid = child.child.id();
        children.part_with(child);
        let begun = Instant::now();
        while is_there(pid) {
            assert!(begun.elapsed() < Duration::from_secs(5));
            std::thread::sleep(LOOK);
        }
    }

    #[test]
    fn a_child_that_the_host_has_waited_for_is_not_signalled() {
        let mut child = start("exit 0");
        let pid = Pid::from_raw(child.child.id() as i32).unwrap();
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED).unwrap();
        child.signal(Signal::KILL);
        assert!(child.ended() && child.status().is_none());
    }
}
