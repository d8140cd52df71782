//! Other clients, each a process that reads a line, does what it says and answers how long it took. They live as long as the
//! run, so that no figure includes a start.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::race::Times;

/// A client in a separate process.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    child: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Peer {
    /// Starts `command`; `None` if that is not possible.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Option<Self> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child
            .map_err(|e| crate::say(&format!("{name}: {e}")))
            .ok()?;
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Some(Peer {
            name,
            child,
            pipes: RefCell::new((input, output)),
        })
    }

    /// Starts what scripts/bench has prepared, by the name of the variable in which it is given.
    pub(crate) fn prepared(name: &'static str, variable: &str) -> Option<Self> {
        let line = std::env::var(variable).ok()?;
        let mut words = line.split_whitespace();
        Peer::start(name, Command::new(words.next()?).args(words))
    }

    /// Has `command` done, and records the times.
    pub(crate) fn ask(&self, command: &str, times: &mut Times) {
        let mut pipes = self.pipes.borrow_mut();
        writeln!(pipes.0, "{command}")
            .and_then(|()| pipes.0.flush())
            .expect("a peer that listens");
        let mut answer = String::new();
        pipes.1.read_line(&mut answer).expect("a peer that answers");
        let Some(nanos) = answer.strip_prefix("ok ") else {
            panic!("{}, asked to {command}: {answer}", self.name);
        };
        for nanos in nanos.split_whitespace() {
            times.add(Duration::from_nanos(nanos.parse().expect("a number")));
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A child of this process, by its own handle.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
