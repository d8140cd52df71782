//! How the tests run `dstore`: on a root of their own, through pipes and through a terminal.
#![allow(dead_code, unreachable_pub)] // each test file uses its part

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::common::patience::ended;
use crate::common::{Root, until};

/// Variables that may be set when the tests are run, and that affect dstore, or the crate that decides about colours.
const OF_THE_USER: [&str; 6] = [
    "DSTORE_ROOT",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLORTERM",
    "CI",
];

/// `program`, with the signals reset that a shell makes its background jobs ignore: the tests may be one.
fn hearing(program: &str) -> Command {
    // By its path: some tests give the program another PATH.
    let mut command = Command::new("/usr/bin/env");
    command.args(["--default-signal=INT,QUIT,HUP,TERM", program]);
    command
}

/// The program that this package builds.
pub fn dstore() -> Command {
    let mut command = hearing(env!("CARGO_BIN_EXE_dstore"));
    for name in OF_THE_USER {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command
}

pub fn at(root: &Root, arguments: &[&str]) -> Command {
    let mut command = dstore();
    command.arg("--root").arg(&root.path).args(arguments);
    command
}

/// What a program printed through pipes, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub out: String,
    pub err: String,
    /// `None`: a signal ended it.
    pub status: Option<i32>,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Said {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status.code(),
        }
    }
}

pub fn says(root: &Root, arguments: &[&str]) -> Said {
    at(root, arguments).output().expect("it runs").into()
}

/// What it printed if it succeeded.
pub fn prints(root: &Root, arguments: &[&str]) -> String {
    let said = says(root, arguments);
    assert_eq!(said.status, Some(0), "{arguments:?}: {said:?}");
    assert_eq!(said.err, "", "{arguments:?}");
    said.out
}

/// The document that it printed, whatever the exit status.
pub fn json(root: &Root, arguments: &[&str]) -> (Value, Option<i32>) {
    let mut with_json = vec!["--json"];
    with_json.extend(arguments);
    let said = says(root, &with_json);
    let text = match said.out.is_empty() {
        true => &said.err,
        false => &said.out,
    };
    let document = serde_json::from_str(text);
    (
        document.unwrap_or_else(|e| panic!("{e}: {said:?}")),
        said.status,
    )
}

/// `dstore` on a terminal of its own, 100 columns wide, with a user who types.
pub struct Terminal {
    script: Child,
    shows: Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Terminal {
    /// `words` are parsed by a shell; `$DSTORE` is the program with its root.
    pub fn run(root: &Root, words: &str) -> Terminal {
        let program = format!(
            "{} --root {}",
            env!("CARGO_BIN_EXE_dstore"),
            root.path.display()
        );
        let mut script = hearing("script");
        script
            .args(["--quiet", "--return", "--command"])
            .arg(format!("stty cols 100; DSTORE=\"{program}\"; {words}"))
            .arg("/dev/null")
            .env("TERM", "xterm")
            .env("LC_ALL", "C.UTF-8")
            .env("SHELL", "/bin/sh");
        for name in OF_THE_USER {
            script.env_remove(name);
        }
        let mut script = script
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script(1), of util-linux");
        let mut out = script.stdout.take().expect("piped");
        let (send, shows) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut bytes) {
                if send.send(bytes[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal {
            script,
            shows,
            seen: Vec::new(),
        }
    }

    /// What it has shown so far.
    pub fn shown(&mut self) -> String {
        while let Ok(bytes) = self.shows.recv_timeout(Duration::from_millis(10)) {
            self.seen.extend(bytes);
        }
        String::from_utf8_lossy(&self.seen).replace("\r\n", "\n")
    }

    pub fn until_it_shows(&mut self, text: &str) {
        until(&format!("the terminal shows {text:?}"), || {
            self.shown().contains(text)
        });
    }

    pub fn press(&mut self, keys: &str) {
        let stdin = self.script.stdin.as_mut().expect("piped");
        stdin.write_all(keys.as_bytes()).expect("pressed");
        stdin.flush().expect("pressed");
    }

    /// Everything that it showed, and how it ended.
    pub fn end(mut self) -> (String, Option<i32>) {
        let status = ended(&mut self.script, "dstore on a terminal");
        while let Ok(bytes) = self.shows.recv() {
            self.seen.extend(bytes);
        }
        (self.shown(), status.code())
    }
}
