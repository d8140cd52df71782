//! Engines that do not exist, are not engines, or fail in the middle: a clear error, nothing recorded, nothing lost.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::proxy::{Act, DIGEST_GONE, Proxy, fake, opened, read_head, read_request};
use crate::common::{Root, base_tar, begin, build, import_base, output_in, sh, some_calls};
use docker_store::{
    Begun, CacheRequest, Error, ErrorKind, ImageFormat, Limits, Options, Released, Store,
};

fn open_at(root: &Root, address: &str) -> Result<Store, Error> {
    let mut options = Options::new();
    options
        .engine(address)
        .connect_timeout(Duration::from_secs(2))
        .expect("a timeout");
    Store::open(&root.path, &options)
}

/// An engine that answers every request with `answer`.
fn always(root: &Root, answer: &'static [u8]) -> String {
    fake(&root.path, move |mut client: UnixStream| {
        while read_head(&mut client).is_some() {
            if client.write_all(answer).is_err() {
                break;
            }
        }
    })
}

#[test]
fn an_engine_that_is_absent_is_unreachable_and_names_its_address() {
    let root = Root::new("absent");
    for address in [
        "unix:///no/such/socket",
        &format!("unix://{}", root.path.join("state").display()),
    ] {
        let error = open_at(&root, address).expect_err("no engine");
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(
            error.message().contains(address) && error.os_errno().is_some(),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_engine_is_told_apart_from_one_that_is_too_old_or_ill() {
    let root = Root::new("none");
    for (answer, kind, says) in [
        (
            &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
            ErrorKind::Unsupported,
            "not a Docker engine",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            ErrorKind::Unsupported,
            "not a Docker engine",
        ),
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            ErrorKind::Unsupported,
            "not a Docker engine",
        ),
        (
            b"HTTP/1.1 200 OK\r\nApi-Version: 1.24\r\nContent-Length: 0\r\n\r\n",
            ErrorKind::Unsupported,
            "too old",
        ),
        (
            b"HTTP/1.1 200 OK\r\nApi-Version: x\r\nContent-Length: 0\r\n\r\n",
            ErrorKind::Unsupported,
            "no API version",
        ),
        (
            b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
            ErrorKind::Engine,
            "500",
        ),
    ] {
        let error = open_at(&root, &always(&root, answer)).expect_err("no engine");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(says), "{error}");
    }
}

/// The 404 of a proxy with a wrong path, of Docker for an unknown request, of Podman for the same, and one without a message.
const NO_SUCH_CALL: [&str; 4] = [
    "<html><head><title>404 Not Found</title></head></html>",
    r#"{"message":"page not found"}"#,
    "Not Found",
    "",
];

#[test]
fn a_404_that_is_about_the_call_is_never_read_as_absent() {
    for body in NO_SUCH_CALL {
        let root = Root::new("no-route");
        let misled = Arc::new(AtomicBool::new(false));
        let is_misled = Arc::clone(&misled);
        let address = fake(&root.path, move |mut client: UnixStream| {
            while let Some((line, sent)) = read_request(&mut client) {
                let known = opened(&line, &sent).filter(|_| !is_misled.load(Ordering::SeqCst));
                let answer = match known {
                    Some(known) => with_length(known),
                    None if line.contains("/_ping") => String::from(
                        "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 0\r\n\r\n",
                    ),
                    None if is_misled.load(Ordering::SeqCst) => {
                        let head = "HTTP/1.1 404 Not Found\r\nContent-Length: ";
                        format!("{head}{}\r\n\r\n{body}", body.len())
                    }
                    None => String::from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"),
                };
                client.write_all(answer.as_bytes()).expect("written");
            }
        });
        let store = open_at(&root, &address).expect("a store");
        misled.store(true, Ordering::SeqCst);
        let no = Limits::none();
        let said = [
            store.result("there").map(|there| there.to_string()),
            store.results().map(|rows| rows.len().to_string()),
            store.delete("there").map(|deleted| deleted.to_string()),
            store
                .begin(Some("base"), "there", &no)
                .map(|begun| format!("{begun:?}")),
            store
                .copy_out("there", "/etc", &mut Vec::new(), &no)
                .map(|bytes| bytes.to_string()),
            store.usage(&no).map(|usage| format!("{usage:?}")),
        ];
        for (call, said) in said.into_iter().enumerate() {
            let error = said.expect_err("nothing is known");
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{call}: {error}");
            assert!(
                error.message().contains("does not know this request"),
                "{call}: {error}"
            );
        }
    }
}

#[test]
fn an_engine_that_hangs_or_hangs_up_is_given_up() {
    let root = Root::new("hangs");
    let hangs = fake(
        &root.path,
        |mut client| while read_head(&mut client).is_some() {},
    );
    let began = Instant::now();
    assert_eq!(
        open_at(&root, &hangs).expect_err("hangs").kind(),
        ErrorKind::TimedOut
    );
    assert!(began.elapsed() < Duration::from_secs(10));
    let hangs_up = fake(&root.path, |mut client| drop(read_head(&mut client)));
    assert_eq!(
        open_at(&root, &hangs_up).expect_err("hangs up").kind(),
        ErrorKind::CutShort
    );
}

#[test]
fn a_broken_connection_is_an_error_and_never_an_absent_result() {
    let root = Root::new("broken");
    import_base(&root.open(), "base");
    for act in [
        Act::CutBefore,
        Act::CutAfter,
        Act::Truncate(40),
        Act::Truncate(400),
    ] {
        let proxy = Proxy::new(&root.path, move |_, line| {
            if line.contains("/images/obuilder") {
                act
            } else {
                Act::Pass
            }
        });
        let store = open_at(&root, &proxy.address).expect("a store");
        for id in ["base", "absent"] {
            match store.result(id) {
                Err(e) => assert_eq!(e.kind(), ErrorKind::CutShort, "{act:?}: {e}"),
                // A short response was complete before the cut.
                Ok(there) => assert_eq!((there, act), (id == "base", Act::Truncate(400))),
            }
        }
    }
}

#[test]
fn a_look_up_survives_a_connection_that_died_while_idle() {
    let root = Root::new("idle");
    import_base(&root.open(), "base");
    // The engine sees nothing of the first try, and the second comes over a new connection.
    let proxy = Proxy::new(
        &root.path,
        |n, _| if n == 8 { Act::CutBefore } else { Act::Pass },
    );
    let store = open_at(&root, &proxy.address).expect("a store");
    while proxy.seen() < 12 {
        assert!(store.result("base").expect("a look"));
    }
}

#[test]
fn a_delete_whose_answer_is_lost_says_what_it_did() {
    let root = Root::new("deleted");
    let store = root.open_with_base();
    build(&store, "base", "one", "true");
    let proxy = Proxy::new(&root.path, {
        let lost = std::sync::atomic::AtomicBool::new(false);
        move |_, line| match line.starts_with("DELETE")
            && !lost.swap(true, std::sync::atomic::Ordering::SeqCst)
        {
            true => Act::CutAfter,
            false => Act::Pass,
        }
    });
    let store = open_at(&root, &proxy.address).expect("a store");
    assert!(store.result("one").expect("a look"));
    assert!(store.delete("one").expect("deleted"));
    assert!(!store.result("one").expect("a look"));
    assert!(!store.delete("one").expect("nothing to delete"));
}

fn with_length(body: String) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn answers_that_make_no_sense_are_not_taken_for_a_lost_connection() {
    let root = Root::new("nonsense");
    let cases: [(&[u8], ErrorKind); 4] = [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1,2]",
            ErrorKind::Engine,
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", ErrorKind::Unsupported),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n[",
            ErrorKind::CutShort,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[",
            ErrorKind::CutShort,
        ),
    ];
    for (answer, kind) in cases {
        let is_open = Arc::new(AtomicBool::new(false));
        let opens = Arc::clone(&is_open);
        let address = fake(&root.path, move |mut client: UnixStream| {
            while let Some((line, sent)) = read_request(&mut client) {
                let known = opened(&line, &sent).map(with_length);
                let bytes: &[u8] = if line.contains("/_ping") {
                    b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 0\r\n\r\n"
                } else if opens.load(Ordering::SeqCst) && line.contains("/images/json") {
                    answer
                } else if let Some(known) = &known {
                    known.as_bytes()
                } else {
                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
                };
                client.write_all(bytes).expect("written");
                if bytes == answer {
                    return;
                }
            }
        });
        let store = open_at(&root, &address).expect("a store");
        is_open.store(true, Ordering::SeqCst);
        let error = store.results().expect_err("nonsense");
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[test]
fn a_step_cut_off_at_any_of_its_calls_records_nothing_and_the_next_try_works() {
    let root = Root::new("cut");
    import_base(&root.open(), "base");
    let mut command = sh("echo made > /made");
    command.env("NEW", "1").secret("/s", "x", (0, 0), 0o400);
    for act in [Act::CutBefore, Act::CutAfter] {
        for nth in some_calls(3) {
            let id = format!("s{nth}{}", if act == Act::CutBefore { "b" } else { "a" });
            // Opening makes calls, too; count from the first of the step.
            let proxy = Proxy::new(&root.path, {
                let began = std::sync::atomic::AtomicUsize::new(usize::MAX);
                let id = id.clone();
                move |n, line| {
                    if line.contains(&format!("-image-{id}/json")) {
                        began.store(n, std::sync::atomic::Ordering::SeqCst);
                    }
                    let first = began.load(std::sync::atomic::Ordering::SeqCst);
                    if first != usize::MAX && n == first + nth {
                        act
                    } else {
                        Act::Pass
                    }
                }
            });
            let store = open_at(&root, &proxy.address).expect("a store");
            let before = proxy.seen();
            let built = store.build(Some("base"), &id, &Limits::none(), |step| {
                step.run(&command).map(drop)
            });
            let calls = proxy.seen() - before;
            drop(store);
            let store = root.open();
            assert_eq!(
                store.result(&id).expect("a look"),
                built.is_ok(),
                "{act:?} at call {nth}: {built:?}"
            );
            assert_eq!(
                root.leftovers(),
                Vec::<String>::new(),
                "{act:?} at call {nth}"
            );
            if built.is_err() {
                build(&store, "base", &id, "true");
            }
            if calls <= nth {
                assert!(nth > 12, "a step of {nth} calls was cut at each");
                break;
            }
        }
    }
}

#[test]
fn a_list_during_which_another_image_is_removed_is_requested_again() {
    let root = Root::new("relisted");
    import_base(&root.open(), "base");
    let failures = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&failures);
    let proxy = Proxy::new(&root.path, move |_, line| {
        let fails = |n: usize| n.checked_sub(1);
        let is_list = line.contains("/images/json");
        match is_list
            && left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails)
                .is_ok()
        {
            true => Act::Answer(DIGEST_GONE),
            false => Act::Pass,
        }
    });
    let store = open_at(&root, &proxy.address).expect("a store");
    let ids = || {
        store
            .results()
            .map(|rows| rows.into_iter().map(|row| row.id).collect::<Vec<_>>())
    };
    failures.store(3, Ordering::SeqCst);
    assert_eq!(ids().expect("listed"), ["base"]);
    assert_eq!(failures.load(Ordering::SeqCst), 0);
    // An engine that always fails is an error, and not an empty list.
    failures.store(usize::MAX, Ordering::SeqCst);
    let error = ids().expect_err("never listed");
    assert!(error.message().contains("content digest"), "{error}");
    failures.store(0, Ordering::SeqCst);
    assert_eq!(ids().expect("listed"), ["base"]);
}

#[test]
fn an_engine_that_dies_in_the_middle_of_the_output_is_an_error() {
    let root = Root::new("dies");
    import_base(&root.open(), "base");
    let proxy = Proxy::new(&root.path, |_, line| {
        if line.contains("/attach") {
            Act::Truncate(3000)
        } else {
            Act::Pass
        }
    });
    let store = open_at(&root, &proxy.address).expect("a store");
    let mut step = begin(&store, "base", "one");
    let error = step
        .run(&sh("seq 1 100000; sleep 30"))
        .expect_err("cut short");
    assert_eq!(error.kind(), ErrorKind::CutShort, "{error}");
    step.commit().expect_err("spoiled");
    assert!(!store.result("one").expect("a look"));
}

#[test]
fn output_that_ends_before_its_command_is_not_taken_for_all_of_it() {
    let root = Root::new("early");
    import_base(&root.open(), "base");
    // One whole frame: `[1, 0, 0, 0, 0, 0, 0, 6]` and "first\n".
    const FRAME: usize = 8 + 6;
    for (id, script, allowed) in [
        (
            "ends",
            "echo first; sleep 0.7; echo second; sleep 0.3",
            false,
        ),
        (
            "allowed",
            "echo first; sleep 0.7; echo second; sleep 0.3; exit 3",
            true,
        ),
        (
            "runs-on",
            "echo first; sleep 1; echo second; sleep 60",
            false,
        ),
    ] {
        let proxy = Proxy::new(&root.path, |_, line| match line.contains("/attach") {
            true => Act::TruncateBody(FRAME),
            false => Act::Pass,
        });
        let store = open_at(&root, &proxy.address).expect("a store");
        let mut step = begin(&store, "base", id);
        let began = std::time::Instant::now();
        let ran = step.run(sh(script).allow_failure(allowed));
        let log = std::fs::read(store.log_file(id).expect("a path")).expect("a log");
        assert_eq!(log, b"first\n", "{id}");
        let error = ran.expect_err("cut short");
        assert_eq!(error.kind(), ErrorKind::CutShort, "{error}");
        assert!(began.elapsed().as_secs() < 30, "{id}");
        step.commit().expect_err("spoiled");
        assert!(!store.result(id).expect("a look"));
    }
    // If a command closes its outputs and continues, all of it is in the log.
    let store = root.open();
    let mut step = begin(&store, "base", "closes");
    step.run(&sh("echo first; exec >&- 2>&-; sleep 1"))
        .expect("a run");
    step.abort().expect("aborted");
}

#[test]
fn a_commit_whose_last_answer_is_lost_says_what_is_true() {
    let root = Root::new("published");
    import_base(&root.open(), "base");
    for (id, act) in [("applied", Act::CutAfter), ("unseen", Act::CutBefore)] {
        let proxy = Proxy::new(&root.path, move |_, line| {
            match line.contains("/tag?") && line.contains(&format!("-image-{id}&")) {
                true => act,
                false => Act::Pass,
            }
        });
        let store = open_at(&root, &proxy.address).expect("a store");
        let mut step = begin(&store, "base", id);
        step.run(&sh("echo made >/made")).expect("a run");
        let committed = step.commit();
        match act {
            Act::CutAfter => committed.expect("it is there"),
            _ => {
                let error = committed.expect_err("nobody knows");
                assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
            }
        }
        assert_eq!(store.result(id).expect("a look"), act == Act::CutAfter);
        drop(store);
        // The next begin finds out what happened.
        let store = root.open();
        match store
            .begin(Some("base"), id, &Limits::none())
            .expect("begun")
        {
            Begun::Present => assert_eq!(act, Act::CutAfter),
            Begun::Step(step) => {
                assert_eq!(act, Act::CutBefore);
                step.abort().expect("aborted");
            }
        }
        assert_eq!(root.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn a_lease_is_released_although_its_step_could_not_be_removed() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let root = Root::new("orphan");
    import_base(&root.open(), "base");
    let broken = Arc::new(AtomicBool::new(false));
    let proxy = Proxy::new(&root.path, {
        let broken = Arc::clone(&broken);
        move |_, line| match broken.load(Ordering::SeqCst) && line.starts_with("DELETE") {
            true => Act::CutBefore,
            false => Act::Pass,
        }
    });
    let store = open_at(&root, &proxy.address).expect("a store");
    let lease = |store: &Store| store.cache("kept", &CacheRequest::new()).expect("a lease");
    let first = lease(&store);
    let mut step = begin(&store, "base", "one");
    step.run(sh("echo work >/cache/work").lease(&first, "/cache"))
        .expect("a run");
    broken.store(true, Ordering::SeqCst);
    // It still exists, so success would be false.
    step.abort().expect_err("the container is there still");
    broken.store(false, Ordering::SeqCst);
    assert!(!root.leftovers().is_empty());
    assert!(matches!(first.release(), Ok(Released::Won(1))));
    let second = lease(&store);
    let mut step = begin(&store, "base", "one");
    step.run(sh("cat /cache/work").lease(&second, "/cache"))
        .expect("a run");
    // A step in progress keeps what it has.
    let error = second.release().expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    step.commit().expect("a commit");
    second.release().expect("released");
}

#[test]
fn an_error_in_the_middle_of_a_stream_is_an_error() {
    let root = Root::new("inband");
    let inband: &[u8] = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nTransfer-Encoding: chunked\r\n\r\n2e\r\n{\"errorDetail\":{\"message\":\"no space left, x\"}}\r\n0\r\n\r\n";
    let address = fake(&root.path, move |mut client: UnixStream| {
        while let Some((line, sent)) = read_request(&mut client) {
            let known = opened(&line, &sent).map(with_length);
            let answer: &[u8] = if line.contains("/images/create") {
                inband
            } else if line.contains("/_ping") {
                b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 0\r\n\r\n"
            } else if let Some(known) = &known {
                known.as_bytes()
            } else if line.contains("-image-")
                && line.starts_with("GET")
                && !line.contains("filters")
            {
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 15\r\n\r\n{\"message\":\"x\"}"
            } else {
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
            };
            if line.starts_with("HEAD") {
                let head = answer
                    .windows(4)
                    .position(|w| w == b"\r\n\r\n")
                    .expect("a head");
                client.write_all(&answer[..head + 4]).expect("written");
            } else {
                client.write_all(answer).expect("written");
            }
        }
    });
    let store = open_at(&root, &address).expect("a store");
    let Begun::Step(mut step) = store.begin(None, "one", &Limits::none()).expect("begun") else {
        panic!("present")
    };
    let error = step
        .pull("some/image", None, &mut |_| Ok(()))
        .expect_err("in band");
    assert_eq!(error.kind(), ErrorKind::Engine);
    assert!(error.message().contains("no space left, x"), "{error}");
}

#[test]
fn bad_ids_and_roots_are_refused_before_anything_is_sent() {
    let root = Root::new("bad");
    let proxy = Proxy::new(&root.path, |_, _| Act::Pass);
    let store = open_at(&root, &proxy.address).expect("a store");
    let before = proxy.seen();
    let long = "x".repeat(10_000);
    for id in ["", "../x", "a b", "A", "x\r\nHost: y", "%2f", &long, "😀"] {
        for error in [
            store.result(id).expect_err("bad"),
            store.delete(id).expect_err("bad"),
            store
                .begin(Some("base"), id, &Limits::none())
                .expect_err("bad"),
            store
                .begin(Some(id), "one", &Limits::none())
                .expect_err("bad"),
            store.log_file(id).expect_err("bad"),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        }
    }
    assert_eq!(proxy.seen(), before);
    let file = root.path.join("file");
    std::fs::write(&file, "precious").expect("written");
    assert_eq!(
        Store::open(&file, &Options::new())
            .expect_err("a file")
            .kind(),
        ErrorKind::InvalidArgument
    );
    assert_eq!(
        Store::open(root.path.join("no/parent"), &Options::new())
            .expect_err("no parent")
            .kind(),
        ErrorKind::Io
    );
    assert_eq!(
        Store::open("/proc/sys", &Options::new())
            .expect_err("unwritable")
            .kind(),
        ErrorKind::Io
    );
    assert_eq!(std::fs::read(&file).expect("read"), b"precious");
}

#[test]
fn a_full_disk_under_the_root_is_an_error_and_no_result() {
    // A separate disk, which only root can create; without one there is nothing to fill.
    let root = Root::new("full");
    let disk = root.path.join("disk");
    std::fs::create_dir(&disk).expect("a directory");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k,nr_inodes=200", "tmpfs"])
        .arg(&disk)
        .output()
        .is_ok_and(|done| done.status.success());
    if !mounted {
        eprintln!("skipped: only root can mount a small disk");
        return;
    }
    struct Mounted(std::path::PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount")
                .arg("-l")
                .arg(&self.0)
                .status();
        }
    }
    let mounted = Mounted(disk);
    let root = Root::at(mounted.0.join("root"));
    let store = root.open();
    import_base(&store, "base");
    let mut step = begin(&store, "base", "one");
    let error = step
        .run(&sh("dd if=/dev/zero bs=1k count=1000; sleep 30"))
        .expect_err("a full disk");
    assert_eq!(
        (error.kind(), error.os_errno()),
        (ErrorKind::Io, Some(28)),
        "{error}"
    );
    step.commit().expect_err("spoiled");
    assert!(!store.result("one").expect("a look"));
    // With space again, the next try works.
    std::fs::remove_file(store.log_file("one").expect("a path")).expect("removed");
    build(&store, "base", "one", "true");
    // Full to the last byte: nothing can be opened, and nothing is lost.
    while std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(mounted.0.join("fill"))
        .and_then(|mut f| f.write_all(&[0; 512]))
        .is_ok()
    {}
    for n in 0.. {
        if std::fs::create_dir(mounted.0.join(format!("inode{n}"))).is_err() {
            break;
        }
    }
    let error = Store::open(mounted.0.join("other"), &Options::new()).expect_err("a full disk");
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(store.result("one").expect("a look"));
    for id in ["one", "base"] {
        store.delete(id).expect("deleted");
    }
    drop(store);
}

/// Podman also loses what it created from files that another image has, if that image is removed in the meantime.
#[test]
fn a_file_of_which_the_engine_lost_a_layer_is_read_again_and_a_stream_is_its_callers() {
    // As Podman, unlike this engine's other responses.
    const LOST: &str = "HTTP/1.1 500 Internal Server Error\r\nApi-Version: 1.41\r\nLibpod-API-Version: 5.8.0\r\nContent-Length: 45\r\n\r\n{\"message\":\"creating image: layer not known\"}";
    let root = Root::new("lost-layer");
    import_base(&root.open(), "base");
    let saved = root.path.join("state/base.tar");
    let mut file = std::fs::File::create(&saved).expect("a file");
    root.open()
        .save(
            "base",
            ImageFormat::Docker,
            None,
            &mut file,
            &Limits::none(),
        )
        .expect("saved");
    let losses = Arc::new(AtomicUsize::new(0));
    let proxy = Proxy::new(&root.path, {
        let losses = Arc::clone(&losses);
        move |_, line| {
            let makes = line.contains("/images/create?") || line.contains("/images/load?");
            let is_lost = || {
                let less = |left: usize| left.checked_sub(1);
                losses
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                    .is_ok()
            };
            match makes {
                true if is_lost() => Act::AnswerAfter(LOST),
                _ => Act::Pass,
            }
        }
    });
    let store = open_at(&root, &proxy.address).expect("a store");
    let step = |id: &str| match store.begin(None, id, &Limits::none()).expect("begun") {
        Begun::Step(step) => step,
        Begun::Present => panic!("{id} is there"),
    };
    let path = base_tar();
    let quiet = &mut |_: docker_store::Progress<'_>| Ok(());

    let (mut imports, mut loads) = (step("imported"), step("loaded"));
    losses.store(3, Ordering::SeqCst);
    imports
        .import_file(&path, quiet)
        .expect("at the fourth try");
    imports.commit().expect("a commit");
    losses.store(3, Ordering::SeqCst);
    loads.load_file(&saved, quiet).expect("at the fourth try");
    loads.commit().expect("a commit");
    for id in ["imported", "loaded"] {
        assert_eq!(output_in(&root.open(), id, "echo there"), "there\n");
    }
    // It does not retry forever, and returns the reason.
    losses.store(usize::MAX, Ordering::SeqCst);
    for (id, path) in [("never", &path), ("no-more", &saved)] {
        let mut step = step(id);
        let error = match id {
            "never" => step.import_file(path, quiet),
            _ => step.load_file(path, quiet),
        };
        let error = error.expect_err("lost each time");
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert!(error.message().contains("layer not known"), "{error}");
        step.abort().expect("aborted");
    }
    losses.store(1, Ordering::SeqCst);
    let mut stream = step("stream");
    let mut tar = std::fs::File::open(&path).expect("the base");
    let error = stream.import(&mut tar, quiet).expect_err("used up");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    stream.abort().expect("aborted");
    drop(store);
    assert_eq!(root.leftovers(), Vec::<String>::new());
}
