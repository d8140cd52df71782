//! [`Children`]: waits for child processes that are no longer needed, so that none remains as a zombie, and kills a child that
//! does not exit.
//!
//! The host may have SIGCHLD ignored, or wait for any child itself. Then a child may be gone, and its number reused, before it
//! is checked here. So no signal is sent to a number that was not just seen to be a child of this process.

use std::process::ExitStatus;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// How long a child may take to exit after its input was closed, and after a signal. An `ssh` takes leave of the other side,
/// which takes one round trip. With both, and a kill, closing a store waits for up to two seconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// The pause between two checks.
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

    /// Returns whether it has exited; then it is no longer a zombie.
    pub(super) fn ended(&mut self) -> bool {
        if self.end.is_none() {
            self.end = match self.child.try_wait() {
                Ok(None) => None,
                Ok(Some(status)) => Some(Some(status)),
                // The host has waited for it, and only the host knows how it ended.
                Err(_) => Some(None),
            };
        }
        self.end.is_some()
    }

    /// Returns how it ended, if it has and that is known.
    pub(super) fn status(&self) -> Option<ExitStatus> {
        self.end.flatten()
    }

    fn signal(&self, signal: Signal) {
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else {
            return;
        };
        // Only a child of this process is found, and it keeps its number until it is waited for.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if matches!(waitid(WaitId::Pid(pid), look), Ok(_) | Err(Errno::INTR)) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// The children that are exiting. A thread watches them as long as there are any.
#[derive(Default)]
pub(super) struct Children(Mutex<State>);

#[derive(Default)]
struct State {
    leaving: Vec<(Child, Instant, Option<Signal>)>,
    watched: bool,
    thread: Option<JoinHandle<()>>,
}

impl Children {
    /// Waits in the background for a child whose input was closed to exit, and kills it if necessary.
    pub(super) fn part_with(self: &Arc<Self>, mut child: Child) {
        if child.ended() {
            return;
        }
        let mut state = self.0.lock();
        state.leaving.push((child, Instant::now(), None));
        if state.watched {
            return;
        }
        // The thread, if there was one, has left its loop.
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

    /// Checks each child once; returns `false` if none is left.
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

    /// Waits until all have exited, which takes little time.
    pub(super) fn finish(&self) {
        let until = Instant::now() + 4 * PATIENCE;
        while self.look() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        let thread = self.0.lock().thread.take();
        // A child that cannot even be killed is a problem of the system; the thread keeps waiting for it.
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

    /// Returns whether the process exists, including as a zombie.
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
        // And again: another thread is started after the first has ended.
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
