//! Local files while they are read: changed by another, larger than the memory that is taken, and given up on.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use docker_store::{Cancel, ErrorKind, HostFiles, HostFolder, Limits};

use super::folder;
use crate::common::{self, Root, begin};

const MB: u64 = 1 << 20;

/// A file of zeros that takes no room.
fn hole(path: &Path, size: u64) -> File {
    let file = File::create(path).expect("a file");
    file.set_len(size).expect("a hole");
    file
}

/// Sets a flag when it is dropped.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_file_that_is_changed_while_it_is_read_is_an_error() {
    let root = Root::new("changing");
    let store = root.open_with_base();
    let here = folder(&root, "here");
    let path = here.join("growing");
    hole(&path, 64 * MB);
    let changes: [(&str, &(dyn Fn() + Sync)); 2] = [
        ("it grows", &|| {
            let mut file = File::options().append(true).open(&path).expect("a file");
            file.write_all(b"x").expect("written");
        }),
        ("it is cut", &|| {
            hole(&path, 32 * MB);
            hole(&path, 64 * MB);
        }),
    ];
    for (what, change) in changes {
        let (done, count) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            // Also if an assertion below fails: the scope waits for its thread.
            let _ended = AtEnd(&done);
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    change();
                    count.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            // On a busy machine nothing may be changed during a call. The times of files are as coarse as some milliseconds.
            let during = |call: &mut dyn FnMut() -> docker_store::Result<String>| loop {
                let before = count.load(Ordering::SeqCst);
                let outcome = call();
                if outcome.is_err() || count.load(Ordering::SeqCst) >= before + 20 {
                    return outcome;
                }
            };
            let digest = during(&mut || HostFiles::new(&here).digest(&Limits::none()));
            let copied = during(&mut || {
                let mut step = begin(&store, "base", "changing");
                let copied = step.copy_in_host("/in", &HostFiles::new(&here));
                match &copied {
                    // Half a file is never part of a result.
                    Err(_) => drop(step.commit().expect_err("the step has failed")),
                    Ok(_) => step.abort().expect("aborted"),
                }
                copied
            });
            for failed in [digest, copied] {
                let failed = failed.expect_err(what);
                assert_eq!(failed.kind(), ErrorKind::Io, "{what}: {failed}");
                let says = format!("{} was changed while it was read", path.display());
                assert!(failed.message().contains(&says), "{what}: {failed}");
            }
        });
        assert!(!store.result("changing").expect("asked"));
    }
}

#[test]
fn a_cancel_ends_a_copy_and_a_digest_at_once() {
    let root = Root::new("given-up");
    let store = root.open_with_base();
    let here = folder(&root, "here");
    // Far more than could be read within the test.
    hole(&here.join("endless"), 1 << 40);
    for copies in [false, true] {
        let cancel = Cancel::new();
        let limits = Limits::none().cancel(&cancel);
        let files = HostFiles::new(&here);
        let (done, waited, early) = std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                let done = match copies {
                    false => files.digest(&limits),
                    true => {
                        let mut step = begin(&store, "base", "given-up");
                        step.limit(&limits);
                        step.copy_in_host("/in", &files)
                    }
                };
                (done, Instant::now())
            });
            std::thread::sleep(Duration::from_millis(500));
            let early = work.is_finished();
            let told = Instant::now();
            cancel.cancel();
            let (done, ended) = work.join().expect("joined");
            (done, ended.saturating_duration_since(told), early)
        });
        assert!(!early, "{done:?}");
        let failed = done.expect_err("cancelled");
        assert_eq!(failed.kind(), ErrorKind::Cancelled, "{failed}");
        assert!(waited < Duration::from_secs(2), "{waited:?}");
    }
    let limits = Limits::none().timeout(Duration::from_millis(100));
    let failed = HostFiles::new(&here).digest(&limits);
    assert_eq!(failed.expect_err("too long").kind(), ErrorKind::TimedOut);
}

/// In a separate process, because the peak is per process.
#[test]
fn large_files_pass_through_little_memory() {
    const NAME: &str = "reading::large_files_pass_through_little_memory";
    if let Some(root) = common::child_of(NAME) {
        let store =
            docker_store::Store::open(&root, &docker_store::Options::new()).expect("a store");
        let peak = || common::memory().1 / 1024;
        let mut step = begin(&store, "base", "large");
        let before = peak();
        let files = HostFiles::new(root.join("here"));
        step.copy_in_host("/in", &files).expect("copied");
        let copied = step.copy_out_host("/in", &HostFolder::new(root.join("out")));
        assert_eq!(copied.expect("unpacked"), 200 * MB + 3000);
        let taken = peak() - before;
        println!("200 MB in one file and 3,000 others took {taken} MB");
        assert!(taken < 16, "{taken} MB");
        step.commit().expect("committed");
        return store.close().expect("closed");
    }
    let root = Root::new("large");
    let store = root.open_with_base();
    let here = folder(&root, "here");
    hole(&here.join("large"), 200 * MB);
    for number in 0..3000 {
        fs::write(here.join(format!("small-{number}")), "x").expect("a file");
    }
    common::spawn(NAME, &root, "copies").pass();
    assert_eq!(
        common::output_in(&store, "large", "ls /in | wc -l; stat -c %s /in/large"),
        format!("3001\n{}\n", 200 * MB)
    );
}
