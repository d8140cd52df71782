//! The C programs that users start from, on the real engine: with the shared library, with the static one under valgrind, and
//! with the sanitizers.

mod abi;
mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use abi::{Folder, Linked, compile, run, valgrind};
use common::{Root, base_tar, begin, is_long, sh, until};

/// An example that is compiled.
struct Example {
    file: PathBuf,
    linked: Linked,
}

impl Example {
    fn new(name: &str, linked: Linked, folder: &Folder) -> Self {
        let source = abi::root().join("examples/c").join(name);
        let file = folder.file(&format!("{name}-{linked:?}"));
        compile(&source.with_extension("c"), linked, &file);
        Example { file, linked }
    }

    fn command(&self) -> Command {
        match self.linked {
            Linked::Static => {
                let mut command = valgrind();
                command.arg(&self.file);
                command
            }
            Linked::Shared | Linked::Sanitized => Command::new(&self.file),
        }
    }

    /// Runs `parallel` in `root` with some jobs, on two threads.
    fn parallel(&self, root: &Root, jobs: &[&str]) -> Command {
        let mut command = self.command();
        command.arg(&root.path).arg(base_tar());
        if !jobs.is_empty() {
            command.arg("2").args(jobs);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts `follow`, which writes to a file named after `who`.
    fn follow(&self, root: &Root, id: &str, who: &str) -> (Child, PathBuf) {
        let shown = self.file.with_extension(who);
        let mut command = self.command();
        command.arg(&root.path).arg(id).stderr(Stdio::piped());
        command.stdout(fs::File::create(&shown).expect("a file"));
        (command.spawn().expect("follow"), shown)
    }
}

/// Tries an example in these ways at once, and in a long run in all, in a root of its own each; nothing may be left.
fn each_way(name: &str, ways: &[Linked], test: &str, promise: impl Fn(&Example, &Root) + Sync) {
    let folder = Folder::new(test);
    let all = [Linked::Shared, Linked::Static, Linked::Sanitized];
    let ways = if is_long() { &all } else { ways };
    thread::scope(|scope| {
        for &linked in ways {
            let (folder, promise) = (&folder, &promise);
            scope.spawn(move || {
                let root = Root::new(test);
                promise(&Example::new(name, linked, folder), &root);
                assert_eq!(root.leftovers_beside_caches(), Vec::<String>::new());
            });
        }
    });
}

/// How a program ended: its status and its output. A program that does not exit is killed.
fn end(mut child: Child) -> (Option<i32>, String, String) {
    let began = Instant::now();
    while child.try_wait().expect("its state").is_none() {
        if began.elapsed() > Duration::from_secs(60) {
            child.kill().expect("killed");
            child.wait().expect("its end");
            panic!("still running after a minute");
        }
        thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().expect("its end");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The output of a program that must succeed.
fn said(command: &mut Command) -> String {
    let (status, out, err) = end(command.spawn().expect("started"));
    assert_eq!(status, Some(0), "{out}{err}");
    out
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("what was shown")
}

/// The first words of the lines of `parallel`, each up to the digest in a job's id.
fn said_of_jobs(out: &str) -> Vec<String> {
    let lines = out.lines().filter(|line| !line.contains(" jobs: "));
    let mut jobs: Vec<String> = lines
        .map(|line| line.split('-').next().unwrap_or_default().to_owned())
        .collect();
    jobs.sort();
    jobs
}

fn results(root: &Root) -> Vec<String> {
    let store = root.open();
    let results = store.results().expect("a list");
    store.close().expect("closed");
    results.into_iter().map(|result| result.id).collect()
}

#[test]
fn shortest_and_demo_build_once_and_find_it_again() {
    let folder = Folder::new("examples");
    for (name, first, second) in [
        ("shortest", "built", "was there"),
        ("demo", "0 hits, 6 built", "6 hits, 0 built"),
    ] {
        let example = Example::new(name, Linked::Shared, &folder);
        let root = Root::new(name);
        for expected in [first, second] {
            let said = run(example.command().arg(&root.path).arg(base_tar()));
            assert!(said.trim_end().ends_with(expected), "{said}");
        }
        assert_eq!(root.leftovers_beside_caches(), Vec::<String>::new());
    }
}

#[test]
fn parallel_builds_every_job_once_and_finds_them_again() {
    each_way(
        "parallel",
        &[Linked::Static],
        "parallel",
        |parallel, root| {
            for (word, counts) in [
                ("built     ", "6 built, 0 there before"),
                ("was there ", "0 built, 6 there before"),
            ] {
                let said = said(&mut parallel.parallel(root, &[]));
                let last = format!("\n6 jobs: {counts}, 0 cancelled, 0 failed\n");
                assert!(said.ends_with(&last), "{said}");
                let jobs = ["base", "docs", "left", "program", "right", "tools"];
                assert_eq!(said_of_jobs(&said), jobs.map(|job| format!("{word} {job}")));
            }
        },
    );
}

#[test]
fn parallel_ends_all_jobs_when_one_fails() {
    each_way(
        "parallel",
        &[Linked::Sanitized],
        "parallel-fails",
        |parallel, root| {
            let jobs = [
                ["long", "base", "sleep 100"],
                ["bad", "base", "echo looked; sleep 1; exit 3"],
                ["after", "bad", "true"],
            ];
            let child = parallel.parallel(root, &jobs.concat()).spawn();
            let (status, out, err) = end(child.expect("parallel"));
            assert_eq!(status, Some(1), "{out}{err}");
            assert_eq!(
                said_of_jobs(&out),
                [
                    "built      base",
                    "cancelled  after",
                    "cancelled  long",
                    "failed     bad"
                ]
            );
            let failed = out.lines().find(|line| line.starts_with("failed"));
            let failed = failed.expect("the one that failed");
            assert!(failed.contains("exit status 3"), "{failed}");
            let log = failed.split(' ').next_back().expect("the log's path");
            assert_eq!(fs::read_to_string(log).expect("its log"), "looked\n");
            assert!(out.ends_with("\n4 jobs: 1 built, 0 there before, 2 cancelled, 1 failed\n"));
            let left = results(root);
            assert!(left.len() == 1 && left[0].starts_with("base-"), "{left:?}");
        },
    );
}

#[test]
fn parallel_ends_at_once_by_ctrl_c_and_builds_when_run_again() {
    each_way(
        "parallel",
        &[Linked::Shared, Linked::Sanitized],
        "parallel-stopped",
        |parallel, root| {
            let jobs = ["one", "base", "sleep 20", "two", "base", "sleep 19"];
            let mut first = parallel.parallel(root, &jobs);
            let child = first.spawn().expect("parallel");
            let running = || {
                let names = root.leftovers();
                let steps = names.iter().filter(|name| name.contains("-container-"));
                steps.count()
            };
            until("both jobs run", || running() == 2);
            let pressed = Instant::now();
            run(Command::new("kill").args(["-INT", &child.id().to_string()]));
            let (status, out, err) = end(child);
            assert!(pressed.elapsed() < Duration::from_secs(12), "{out}{err}");
            assert_eq!(status, Some(130), "{out}{err}");
            assert_eq!(
                said_of_jobs(&out),
                ["built      base", "cancelled  one", "cancelled  two"]
            );
            assert_eq!(root.leftovers_beside_caches(), Vec::<String>::new());
            let left = results(root);
            assert!(left.len() == 1 && left[0].starts_with("base-"), "{left:?}");

            let said = said(&mut parallel.parallel(root, &jobs));
            assert!(said.contains("2 built, 1 there before"), "{said}");
        },
    );
}

/// Twenty lines in two seconds, and one more at the very end after a silence.
const TALKS: &str = "for i in $(seq 20); do echo line $i; sleep 0.1; done; sleep 2; echo line 21; ";

fn lines() -> String {
    (1..=21).map(|n| format!("line {n}\n")).collect()
}

/// Builds `id` with a script that prints its lines and then does `last`; returns whether that created a result.
fn talk(root: &Root, id: &str, last: &str) -> bool {
    let store = root.open_with_base();
    let mut step = begin(&store, "base", id);
    let built = step.run(&sh(&format!("{TALKS}{last}"))).is_ok();
    match built {
        true => step.commit().expect("a commit"),
        false => step.abort().expect("aborted"),
    }
    store.close().expect("closed");
    built
}

#[test]
fn follow_shows_each_line_once_while_it_is_written_and_ends_with_the_build() {
    each_way(
        "follow",
        &[Linked::Static, Linked::Shared],
        "follow",
        |follow, root| {
            for (id, last, status) in [("good", "true", 0), ("bad", "exit 3", 1)] {
                // Before there is any log: the store that is open is its own.
                let (early, shown) = follow.follow(root, id, "early");
                let sessions = root.path.join(".store/sessions");
                until("the store is open", || {
                    fs::read_dir(&sessions).expect("sessions").count() == 1
                });
                thread::scope(|scope| {
                    let build = scope.spawn(|| talk(root, id, last));
                    until("a line is shown", || !read(&shown).is_empty());
                    assert!(!build.is_finished(), "shown when it was over");
                    let (middle, shown_later) = follow.follow(root, id, "middle");
                    for (follower, shown) in [(early, shown), (middle, shown_later)] {
                        let (ended, _, err) = end(follower);
                        assert_eq!((ended, read(&shown)), (Some(status), lines()), "{err}");
                    }
                    assert_eq!(build.join().expect("no panic"), status == 0);
                });
                // One that has ended is shown whole, and looking at it changes nothing.
                for _ in 0..2 {
                    let (late, shown) = follow.follow(root, id, "late");
                    let (ended, _, err) = end(late);
                    assert_eq!((ended, read(&shown)), (Some(status), lines()), "{err}");
                }
            }
        },
    );
}

#[test]
fn follow_ends_when_the_builder_is_killed() {
    let folder = Folder::new("follow-killed");
    let root = Root::new("follow-killed");
    let parallel = Example::new("parallel", Linked::Shared, &folder);
    let follow = Example::new("follow", Linked::Shared, &folder);
    let mut command = parallel.parallel(&root, &["job", "base", "echo begun; sleep 100"]);
    let mut builder = command.spawn().expect("parallel");
    let job = || {
        let logs = fs::read_dir(root.path.join("logs")).expect("logs");
        let mut names = logs.map(|log| log.expect("a log").file_name());
        names.find_map(|name| {
            let id = name.to_str()?.strip_suffix(".log")?;
            id.starts_with("job-").then(|| id.to_owned())
        })
    };
    until("the job has begun", || job().is_some());
    let (follower, shown) = follow.follow(&root, &job().expect("a job"), "follower");
    until("a line is shown", || read(&shown) == "begun\n");
    builder.kill().expect("killed");
    builder.wait().expect("its end");
    let (status, _, err) = end(follower);
    assert_eq!(
        (status, read(&shown).as_str()),
        (Some(1), "begun\n"),
        "{err}"
    );
    root.open().close().expect("closed");
    assert_eq!(root.leftovers_beside_caches(), Vec::<String>::new());
}
