//! A process that is killed in the middle of a step records nothing, and leaves nothing that later opens do not remove.

mod common;

use std::fs::File;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use common::proxy::{Act, Proxy};
use common::{
    Root, begin, build, child_of, docker, import_base, make_older, marked, output_in, role, sh,
    some_calls, spawn, until,
};
use docker_store::{Options, Store};
use rustix::process::{Pid, Signal, kill_process};

/// When the engine's proxy kills the child: at the call of this number, before or after the engine has seen it.
#[derive(Clone, Copy, Debug)]
struct Moment {
    call: usize,
    after: bool,
}

#[test]
fn a_step_killed_at_any_of_its_calls_records_nothing_and_leaves_nothing() {
    const TEST: &str = "a_step_killed_at_any_of_its_calls_records_nothing_and_leaves_nothing";
    if let Some(root) = child_of(TEST) {
        let store = Store::open(&root, Options::new().engine(role())).expect("a store");
        let mut step = begin(&store, "marked", "one");
        // Each such command causes another image, with another tag.
        for n in 0..2 {
            let command = format!("echo {n} >/tmp/{n}");
            step.run(sh(&command).env("NEW", "1").user("1000"))
                .expect("a run");
        }
        step.commit().expect("a commit");
        store.close().expect("closed");
        return;
    }
    let root = Root::new("killed-steps");
    import_base(&root.open(), "base");
    let nameless = marked(&root);
    let seen = Arc::new(AtomicUsize::new(0));
    let victim = Arc::new(AtomicI32::new(0));
    let moment: Arc<Mutex<Option<Moment>>> = Arc::default();
    let proxy = {
        let (seen, victim, moment) = (seen.clone(), victim.clone(), moment.clone());
        Proxy::new(&root.path, move |_, _| {
            let call = seen.fetch_add(1, Ordering::SeqCst);
            let Some(moment) = moment
                .lock()
                .expect("unpoisoned")
                .filter(|m| m.call == call)
            else {
                return Act::Pass;
            };
            let pid = victim.load(Ordering::SeqCst);
            let kill = move || {
                let pid = Pid::from_raw(pid).expect("a child");
                kill_process(pid, Signal::KILL).expect("killed");
            };
            match moment.after {
                true => {
                    // The engine has received it by then, and often not finished it.
                    std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(3));
                        kill();
                    });
                    Act::Pass
                }
                false => {
                    kill();
                    Act::CutBefore
                }
            }
        })
    };
    let run = |at: Option<Moment>| {
        // What was learned about networks is forgotten: so each step starts with a trial, which is also killed at its calls.
        let _ = std::fs::remove_file(root.path.join(".store/network"));
        victim.store(0, Ordering::SeqCst);
        seen.store(0, Ordering::SeqCst);
        let mut held = moment.lock().expect("unpoisoned");
        *held = at;
        let child = spawn(TEST, &root, &proxy.address);
        victim.store(child.id(), Ordering::SeqCst);
        drop(held);
        child.wait()
    };
    assert!(run(None), "what nobody kills succeeds");
    let calls = seen.load(Ordering::SeqCst);
    assert!(calls > 25, "{calls} calls");
    root.open().delete("one").expect("deleted");

    // Open all the time: leftovers are not purged before it builds.
    let live = root.open();
    let tried = some_calls(3).take_while(|call| *call < calls);
    for at in tried.flat_map(|call| [false, true].map(|after| Moment { call, after })) {
        let finished = run(Some(at));
        let there = live.result("one").expect("a look");
        assert!(there || !finished, "{at:?}");
        // The result appears with one call, complete. If it does not, others can build it immediately.
        let mut made = "0\n1\n";
        if !there && at.call % 2 == 0 {
            build(
                &live,
                "marked",
                "one",
                "echo other >/tmp/0; echo one >/tmp/1",
            );
            made = "other\none\n";
        }
        if live.result("one").expect("a look") {
            let found = output_in(&live, "one", "cat /tmp/0 /tmp/1");
            assert_eq!(found, made, "{at:?}");
            live.delete("one").expect("deleted");
        }
        until("all that the killed one asked for is gone", || {
            drop(root.open());
            root.leftovers().is_empty()
        });
    }
    drop(live);
    assert_eq!(nameless(), Vec::<String>::new());

    // The engine may finish a request late: until then, the place to look is recorded.
    let locks = || std::fs::read_dir(root.path.join(".store/builds")).expect("a folder");
    assert_eq!(locks().count(), 1);
    for lock in locks() {
        make_older(&lock.expect("an entry").path(), 3600);
    }
    drop(root.open());
    assert_eq!(locks().count(), 0);
}

#[test]
fn the_lock_of_a_killed_step_is_swept_whatever_the_clock_said_and_is_no_number_whatever_is_in_it() {
    let root = Root::new("killed-notes");
    drop(root.open_with_base());
    let lock = root.path.join(".store/builds/one");
    let further = |number: &str| format!("{}-image-tmp-one:{number}", root.prefix());
    let next_year = SystemTime::now() + Duration::from_secs(365 * 24 * 3600);
    // From version 0.1.0, which recorded 3 tags by the file's length; and 19 bytes that another program printed.
    for (left, what) in [
        (vec![0; 3], "0.1.0"),
        (b"nineteen characters".to_vec(), "print"),
    ] {
        std::fs::write(&lock, &left).expect("a lock that was left");
        let file = File::options().write(true).open(&lock).expect("the lock");
        file.set_modified(next_year).expect("the future");
        drop(file);
        docker(&["tag", &root.image("base"), &further("3")]);
        drop(root.open());
        assert_eq!(root.leftovers(), Vec::<String>::new(), "{what}");
        // Seen for the first time: its ten minutes start now.
        make_older(&lock, 540);
        drop(root.open());
        assert!(lock.exists(), "{what}");
        make_older(&lock, 100);
        drop(root.open());
        assert!(!lock.exists(), "{what}");
    }
    // The next build finds the same.
    std::fs::write(&lock, "12345").expect("a lock that was left");
    docker(&["tag", &root.image("base"), &further("9")]);
    build(&root.open(), "base", "one", "true");
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn the_first_open_of_a_root_removes_what_an_obuilder_store_left() {
    let (other, root) = (Root::new("killed-other"), Root::new("killed-first"));
    drop(other.open_with_base());
    // As an OBuilder store has them: no files of this library, and no claim on the engine.
    std::fs::remove_dir_all(root.path.join(".store")).expect("removed");
    docker(&["volume", "rm", &format!("{}-store", root.prefix())]);
    docker(&["rmi", &format!("{}-empty", root.prefix())]);
    let tmp = format!("{}-image-tmp-abc", root.prefix());
    docker(&["tag", &other.image("base"), &tmp]);
    assert_eq!(root.leftovers().len(), 1);
    drop(root.open());
    assert_eq!(root.leftovers(), Vec::<String>::new());
}
