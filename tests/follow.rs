//! Waiting for another build of the same id: a waiting caller follows its log, whichever process writes it, and returns
//! promptly when it is cancelled.

mod common;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{Root, begin, child_of, import_base, role, sh, spawn, until};
use docker_store::{Begun, Cancel, Error, ErrorKind, Limits, LogPiece, Options, Store};

/// What a waiting caller has read: the pieces of each attempt.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read(Vec<(u32, Vec<u8>)>);

impl Read {
    fn take(&mut self, piece: LogPiece<'_>) -> docker_store::Result<()> {
        assert!(!piece.bytes.is_empty());
        match self.0.last_mut() {
            Some((attempt, bytes)) if *attempt == piece.attempt => bytes.extend(piece.bytes),
            last => {
                assert_eq!(piece.attempt, last.map_or(1, |(attempt, _)| *attempt + 1));
                self.0.push((piece.attempt, piece.bytes.to_vec()));
            }
        }
        Ok(())
    }

    fn texts(&self) -> Vec<(u32, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.0.iter().map(|(n, b)| (*n, text(b))).collect()
    }
}

fn follow(store: &Store, id: &str, read: &mut Read) -> Begun {
    store
        .begin_following(Some("base"), id, &Limits::none(), &mut |piece| {
            read.take(piece)
        })
        .expect("begun")
}

fn touch(path: impl AsRef<Path>) {
    File::create(path).expect("a file");
}

/// Waits for a file that another process creates.
fn wait_for(path: &Path) {
    until(&format!("{} is there", path.display()), || path.exists());
}

/// The child of a test: builds `id`, writes to its log, and ends in the way of its role when it is allowed to.
fn build_in_child(root: &Path, log: &[&str]) {
    let store = Store::open(root, &Options::new()).expect("a store");
    let mut step = begin(&store, "base", "id");
    for (n, text) in log.iter().enumerate() {
        step.write_log(text.as_bytes()).expect("written");
        touch(root.join(format!("wrote-{n}")));
        wait_for(&root.join(format!("go-{n}")));
    }
    match role().as_str() {
        "fails" => step.abort().expect("aborted"),
        _ => step.commit().expect("committed"),
    }
}

#[test]
fn who_waits_in_another_process_reads_the_log_from_its_start_to_its_end_and_then_has_the_result() {
    const TEST: &str = "who_waits_in_another_process_reads_the_log_from_its_start_to_its_end_and_then_has_the_result";
    if let Some(root) = child_of(TEST) {
        return build_in_child(&root, &["half, ", "whole\n"]);
    }
    let root = Root::new("follow-process");
    let store = root.open();
    import_base(&store, "base");
    let child = spawn(TEST, &root, "");
    // It starts when half of the log is written.
    wait_for(&root.path.join("wrote-0"));
    let (tell, told) = mpsc::channel();
    let mut read = Read::default();
    thread::scope(|scope| {
        let path = &root.path;
        scope.spawn(move || {
            // What is written is received before the end.
            assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(6));
            touch(path.join("go-0"));
            assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(6));
            touch(path.join("go-1"));
        });
        let begun = store.begin_following(Some("base"), "id", &Limits::none(), &mut |piece| {
            tell.send(piece.bytes.len()).expect("somebody hears");
            read.take(piece)
        });
        assert!(matches!(begun, Ok(Begun::Present)), "{begun:?}");
    });
    assert_eq!(read.texts(), [(1, "half, whole\n".to_owned())]);
    child.pass();
    // No build is running any more.
    let mut read = Read::default();
    assert!(matches!(follow(&store, "id", &mut read), Begun::Present));
    assert_eq!(read, Read::default());
}

#[test]
fn who_waits_for_a_builder_that_fails_or_is_killed_has_what_it_wrote_and_builds_itself() {
    const TEST: &str =
        "who_waits_for_a_builder_that_fails_or_is_killed_has_what_it_wrote_and_builds_itself";
    if let Some(root) = child_of(TEST) {
        return build_in_child(&root, &["theirs\n"]);
    }
    for how in ["fails", "killed"] {
        let root = Root::new(&format!("follow-{how}"));
        let store = root.open();
        import_base(&store, "base");
        // The log of a previous attempt is not part of the awaited build.
        let mut before = begin(&store, "base", "id");
        before.write_log(b"before\n").expect("written");
        before.abort().expect("aborted");
        let child = spawn(TEST, &root, how);
        wait_for(&root.path.join("wrote-0"));
        let mut read = Read::default();
        let mut child = Some(child);
        let begun = store.begin_following(Some("base"), "id", &Limits::none(), &mut |piece| {
            match how {
                "killed" => child.take().expect("one piece").kill(),
                _ => touch(root.path.join("go-0")),
            }
            read.take(piece)
        });
        let Ok(Begun::Step(mut step)) = begun else {
            panic!("{how}: {begun:?}");
        };
        assert_eq!(read.texts(), [(1, "theirs\n".to_owned())], "{how}");
        step.write_log(b"ours\n").expect("written");
        step.commit().expect("committed");
        let log = std::fs::read_to_string(store.log_file("id").expect("a path")).expect("a log");
        assert_eq!(log, "ours\n", "{how}");
        if let Some(child) = child {
            child.pass();
        }
    }
}

#[test]
fn the_logs_of_two_tries_are_told_apart() {
    let root = Root::new("follow-tries");
    let store = root.open();
    import_base(&store, "base");
    let other = root.open();
    let mut first = begin(&store, "base", "id");
    first.write_log(b"first").expect("written");
    let (tell, told) = mpsc::channel();
    let waits = |store: &Store, tell: mpsc::Sender<u32>| {
        let mut read = Read::default();
        let begun = store.begin_following(Some("base"), "id", &Limits::none(), &mut |piece| {
            tell.send(piece.attempt).expect("somebody hears");
            read.take(piece)
        });
        (begun.expect("begun"), read.texts())
    };
    thread::scope(|scope| {
        let tells = [tell.clone(), tell];
        let waiting: Vec<_> = tells
            .into_iter()
            .map(|tell| scope.spawn(|| waits(&other, tell)))
            .collect();
        for _ in 0..2 {
            assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(1));
        }
        first.abort().expect("aborted");
        // One of the two builds; the other one continues reading.
        let mut seen = Vec::new();
        let mut rest = Vec::new();
        until("one of them has a step", || {
            waiting.iter().any(|one| one.is_finished())
        });
        for one in waiting {
            match one.is_finished() {
                true => match one.join().expect("no panic") {
                    (Begun::Step(mut step), read) => {
                        seen.push(read);
                        step.write_log(b"second").expect("written");
                        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(2));
                        step.commit().expect("committed");
                    }
                    (Begun::Present, _) => panic!("nobody built it"),
                },
                false => rest.push(one),
            }
        }
        let first = (1, "first".to_owned());
        assert_eq!(seen, [vec![first.clone()]]);
        for one in rest {
            let (begun, read) = one.join().expect("no panic");
            assert!(matches!(begun, Begun::Present), "{begun:?}");
            assert_eq!(read, [first.clone(), (2, "second".to_owned())]);
        }
    });
}

#[test]
fn a_long_log_comes_whole_in_order_and_once_to_each_who_waits() {
    const SIZE: usize = 10 << 20;
    let root = Root::new("follow-long");
    let store = root.open();
    import_base(&store, "base");
    let mut step = begin(&store, "base", "long");
    // Each line is its number, to notice lines that are missing, duplicated or out of order.
    let script = format!(
        "i=0; exec awk 'BEGIN {{ while (n < {SIZE}) {{ line = sprintf(\"%09d\", i++); print line; n += 10 }} }}'"
    );
    let waits = || {
        let mut read = Read::default();
        let begun = store.begin_following(Some("base"), "long", &Limits::none(), &mut |piece| {
            read.take(piece)
        });
        assert!(matches!(begun, Ok(Begun::Present)), "{begun:?}");
        read
    };
    let (early, late) = thread::scope(|scope| {
        let early = scope.spawn(waits);
        let mut late = None;
        let mut written = 0;
        step.run_with(&sh(&script), &mut |piece| {
            written += piece.bytes.len();
            if written > SIZE / 2 && late.is_none() {
                late = Some(scope.spawn(waits));
            }
            Ok(())
        })
        .expect("a run");
        step.commit().expect("committed");
        let late = late.expect("half was written").join();
        (early.join().expect("no panic"), late.expect("no panic"))
    });
    let log = std::fs::read(store.log_file("long").expect("a path")).expect("a log");
    assert!(log.len() >= SIZE);
    let lines = log.chunks(10).enumerate();
    assert!({ lines }.all(|(n, line)| line == format!("{n:09}\n").as_bytes()));
    for read in [early, late] {
        assert!(read.0.len() == 1 && read.0[0].1 == log, "not the log");
    }
}

#[test]
fn who_waits_hears_a_cancel_a_deadline_and_its_own_callback_at_once() {
    let root = Root::new("follow-end");
    let store = root.open();
    import_base(&store, "base");
    let mut step = begin(&store, "base", "id");
    step.write_log(b"one").expect("written");
    let cancel = Cancel::new();
    let began = Instant::now();
    let (canceller, limits) = (cancel.clone(), Limits::none().cancel(&cancel));
    let at = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        canceller.cancel();
        Instant::now()
    });
    let mut read = Read::default();
    let error = store
        .begin_following(Some("base"), "id", &limits, &mut |piece| read.take(piece))
        .expect_err("cancelled");
    let late = Instant::now().saturating_duration_since(at.join().expect("cancelled"));
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(late < Duration::from_millis(200), "{late:?}");
    assert_eq!(read.texts(), [(1, "one".to_owned())]);
    assert!(began.elapsed() >= Duration::from_millis(300));

    let limits = Limits::none().timeout(Duration::from_millis(300));
    let began = Instant::now();
    let error = store
        .begin_following(Some("base"), "id", &limits, &mut |_| Ok(()))
        .expect_err("too late");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(
        error.to_string().contains("another build of \"id\""),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_millis(500));

    let stop = |_: LogPiece<'_>| Err(Error::new(ErrorKind::Callback, "enough"));
    let error = store
        .begin_following(Some("base"), "id", &Limits::none(), &mut { stop })
        .expect_err("stopped");
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Callback, "enough")
    );
    // The builder is not affected.
    step.write_log(b" two").expect("written");
    step.commit().expect("committed");
}

#[test]
fn a_log_that_a_caller_writes_itself_is_read_along_as_well() {
    // As OBuilder does: it replaces the step's file by its own.
    let root = Root::new("follow-own");
    let store = root.open();
    import_base(&store, "base");
    let step = begin(&store, "base", "id");
    let path = store.log_file("id").expect("a path");
    std::fs::remove_file(&path).expect("removed");
    let mut log = File::create_new(&path).expect("a log");
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let mut read = Read::default();
            let begun = store.begin_following(Some("base"), "id", &Limits::none(), &mut |piece| {
                tell.send(()).expect("somebody hears");
                read.take(piece)
            });
            (begun.expect("begun"), read.texts())
        });
        log.write_all(b"their own").expect("written");
        told.recv_timeout(Duration::from_secs(60)).expect("read");
        log.write_all(b", to the end").expect("written");
        step.commit().expect("committed");
        let (begun, read) = waits.join().expect("no panic");
        assert!(matches!(begun, Begun::Present), "{begun:?}");
        assert_eq!(read, [(1, "their own, to the end".to_owned())]);
    });
}
