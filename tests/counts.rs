//! The cost of one lookup, as counts: system calls, heap allocations, instructions. There is no timer, so a busy machine
//! changes nothing.
//!
//! A C program (benches/c/looks.c) linked to the release library makes N lookups and then 2 N. Half of the difference is the
//! cost of N lookups; what a process does only once cancels out. It queries an engine of this test, whose responses arrive in
//! one piece each.

mod abi;
mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use abi::{Folder, run};
use common::proxy::{fake, opened, read_request};

/// How many lookups the smaller run makes.
const N: u64 = 200;

/// The cost of a lookup.
struct Cost {
    id: &'static str,
    system_calls: &'static str,
    allocations: u64,
    instructions: u64,
}

/// The cost of a hit, and of a miss. A hit records that its result was used: one system call, and the path for it. A miss reads
/// the engine's response, which says that it is the image that does not exist. The process checks its pid, so that a forked
/// child never reads a response from its parent's connection: some 0.1 µs each.
const COSTS: [Cost; 2] = [
    Cost {
        id: "hit",
        system_calls: "getpid 4, ppoll 1, recvfrom 2, sendto 1, utimensat 1",
        allocations: 7,
        instructions: 8_657,
    },
    Cost {
        id: "miss",
        system_calls: "getpid 4, ppoll 1, recvfrom 2, sendto 1",
        allocations: 7,
        instructions: 8_885,
    },
];

/// Another compiler generates other code from the same source: instructions are compared with the first tolerance for the
/// compiler that they were counted with, and with the second for any other.
const COUNTED_WITH: &str = "rustc 1.95.";
const TOLERANCE: [f64; 2] = [0.06, 0.35];

#[test]
fn a_look_makes_no_more_system_calls_than_it_must() {
    let looks = Looks::new("system-calls", "strace");
    for cost in COSTS {
        let [once, twice] = [N, 2 * N].map(|n| looks.system_calls(cost.id, n));
        let mut made = Vec::new();
        for (name, calls) in &twice {
            let more = calls - once.get(name).copied().unwrap_or_default().min(*calls);
            // An odd one belongs to the allocator.
            if more > N / 20 {
                made.push(format!("{name} {}", more as f64 / N as f64));
            }
        }
        assert_eq!(made.join(", "), cost.system_calls, "for a {}", cost.id);
    }
}

#[test]
fn a_look_allocates_no_more_than_it_did() {
    let looks = Looks::new("allocations", "valgrind");
    let made = COSTS.map(|cost| {
        let [once, twice] = [N, 2 * N].map(|n| looks.allocations(cost.id, n));
        // One more or less depends on the opening.
        ((twice - once) as f64 / N as f64).round() as u64
    });
    assert_eq!(made, COSTS.map(|cost| cost.allocations), "hit and miss");
}

#[test]
fn a_look_takes_no_more_instructions_than_it_did() {
    let looks = Looks::new("instructions", "valgrind");
    let compiler = run(Command::new("rustc").arg("--version"));
    let tolerance = TOLERANCE[usize::from(!compiler.starts_with(COUNTED_WITH))];
    let made = COSTS.map(|cost| {
        let [once, twice] = [N, 2 * N].map(|n| looks.instructions(cost.id, n));
        (twice - once) / N
    });
    let kept = COSTS.map(|cost| cost.instructions);
    let changes = [0, 1].map(|n| made[n] as f64 / kept[n] as f64 - 1.0);
    println!("a hit and a miss take {made:?} instructions");
    assert!(
        changes.iter().all(|change| change.abs() <= tolerance),
        "a hit and a miss take {made:?} instructions, and {kept:?} were counted before ({:+.1} % and {:+.1} %, with {}). \
         If that is meant, write the new numbers here.",
        changes[0] * 100.0,
        changes[1] * 100.0,
        compiler.trim(),
    );
}

/// The program, and the engine that it queries.
struct Looks {
    folder: Folder,
    program: PathBuf,
    address: String,
}

impl Looks {
    fn new(name: &str, tool: &str) -> Self {
        let found = Command::new(tool).arg("--version").output();
        assert!(
            found.is_ok(),
            "{tool} is missing: run the tests by `make test`, or install it"
        );
        let folder = Folder::new(name);
        let program = folder.file("looks");
        run(Command::new("cc")
            .args([
                "-std=c99",
                "-D_XOPEN_SOURCE=700",
                "-O2",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-I",
            ])
            .arg(abi::root().join("include"))
            .arg(abi::root().join("benches/c/looks.c"))
            .arg("-o")
            .arg(&program)
            .arg(release_library())
            .args(abi::static_libs()));
        let address = fake(&folder.file(""), |client| serve(client).unwrap_or_default());
        let looks = Looks {
            folder,
            program,
            address,
        };
        // The first open of a root does more than later ones.
        looks.under(&["env"], "hit", 1);
        looks
    }

    /// Makes `n` lookups under `tool`; returns the tool's output.
    fn under(&self, tool: &[&str], id: &str, n: u64) -> String {
        let mut child = Command::new(tool[0])
            .args(&tool[1..])
            .arg(&self.program)
            .arg(self.folder.file("root"))
            .args(["counts", &self.address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut input = child.stdin.take().expect("piped");
        writeln!(input, "count {id} {n}").expect("written");
        drop(input);
        let output = child.wait_with_output().expect("its end");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && output.stdout == b"ok\n",
            "{tool:?}: {said}"
        );
        said
    }

    fn system_calls(&self, id: &str, n: u64) -> BTreeMap<String, u64> {
        let table = self.folder.file("strace");
        let path = table.to_str().expect("text");
        self.under(&["strace", "-f", "-c", "-o", path, "--"], id, n);
        let text = fs::read_to_string(&table).expect("strace's table");
        let mut calls = BTreeMap::new();
        // % time, seconds, usecs/call, calls, errors (or nothing), syscall
        for words in text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
        {
            let number = words.get(3).and_then(|word| word.parse().ok());
            if let (Some(number), Some(name)) = (number, words.last()) {
                if *name != "total" {
                    calls.insert((*name).to_owned(), number);
                }
            }
        }
        calls
    }

    fn allocations(&self, id: &str, n: u64) -> u64 {
        let said = self.under(&["valgrind", "--leak-check=no"], id, n);
        number_after(&said, "total heap usage: ")
    }

    fn instructions(&self, id: &str, n: u64) -> u64 {
        let out = "--callgrind-out-file=/dev/null";
        let said = self.under(&["valgrind", "--tool=callgrind", out], id, n);
        number_after(&said, "Collected : ")
    }
}

fn number_after(text: &str, mark: &str) -> u64 {
    let (_, rest) = text
        .split_once(mark)
        .unwrap_or_else(|| panic!("no {mark:?} in {text}"));
    let digits = rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',');
    digits
        .filter(char::is_ascii_digit)
        .collect::<String>()
        .parse()
        .expect("a number")
}

/// The library that users link, which `make test` builds first.
fn release_library() -> PathBuf {
    let tests = env::current_exe().expect("this program");
    let target = tests.ancestors().nth(3).expect("the target folder");
    let library = target.join("release/libdocker_store.a");
    let made = library.metadata().and_then(|file| file.modified());
    let Ok(made) = made else {
        panic!(
            "{} is missing: run the tests by `make test`, or `make` first",
            library.display()
        );
    };
    let newest = newest(&abi::root().join("src"));
    assert!(
        made >= newest,
        "{} is older than its source: run `make` first",
        library.display()
    );
    library
}

fn newest(folder: &Path) -> std::time::SystemTime {
    let entries = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    let times = entries.map(|path| match path.is_dir() {
        true => newest(&path),
        false => path
            .metadata()
            .and_then(|file| file.modified())
            .expect("its time"),
    });
    times.max().unwrap_or(std::time::UNIX_EPOCH)
}

/// An engine that has only one image.
fn serve(mut client: UnixStream) -> std::io::Result<()> {
    while let Some((line, sent)) = read_request(&mut client) {
        let image = format!(r#"{{"Id":"sha256:{}","Size":1}}"#, "0".repeat(3000));
        let (status, body) = match line.split(' ').nth(1).unwrap_or_default() {
            "/_ping" => ("200 OK", String::new()),
            _ if opened(&line, &sent).is_some() => {
                ("200 OK", opened(&line, &sent).unwrap_or_default())
            }
            path if path.contains("-image-hit/json") => ("200 OK", image),
            path if path.contains("-image-miss/json") => (
                "404 Not Found",
                String::from(r#"{"message":"No such image: miss"}"#),
            ),
            _ => ("200 OK", String::from("[]")),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nServer: Docker/20.10\r\n\
             Date: Mon, 24 Nov 2025 06:58:00 GMT\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        client.write_all(answer.as_bytes())?;
    }
    Ok(())
}
