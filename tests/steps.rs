//! Steps on a real engine: what a step does, leaves and does not leave.

mod common;

use std::time::{Duration, Instant};

use common::{
    ImageStore, Root, base_tar, begin, build, docker, image_store, marked, output_in, sh, tar_of,
    untar,
};
use docker_store::{Begun, Cancel, Channel, Command, Error, ErrorKind, Limits, Outcome};

#[test]
fn a_step_records_what_it_made_and_is_found_again() {
    let root = Root::new("record");
    let store = root.open_with_base();
    assert!(!store.result("one").expect("a look"));
    build(&store, "base", "one", "echo made > /made");
    assert!(store.result("one").expect("a look"));
    assert_eq!(output_in(&store, "one", "cat /made"), "made\n");
    assert!(matches!(
        store.begin(Some("base"), "one", &Limits::none()),
        Ok(Begun::Present)
    ));
    // A later open of the same root finds it, too.
    drop(store);
    let store = root.open();
    assert!(store.result("one").expect("a look"));
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn output_goes_to_the_log_and_the_callback_in_order_and_by_channel() {
    let root = Root::new("output");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    step.write_log(b"before\n").expect("written");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    step.run_with(
        &sh("echo a; sleep 0.1; echo b >&2; sleep 0.1; echo c"),
        &mut |piece| {
            match piece.channel {
                Channel::Stdout => out.extend_from_slice(piece.bytes),
                Channel::Stderr => err.extend_from_slice(piece.bytes),
            }
            Ok(())
        },
    )
    .expect("a run");
    step.commit().expect("a commit");
    assert_eq!((out, err), (b"a\nc\n".to_vec(), b"b\n".to_vec()));
    let log = std::fs::read_to_string(store.log_file("one").expect("a path")).expect("a log");
    assert_eq!(log, "before\na\nb\nc\n");
}

#[test]
fn a_long_output_arrives_whole() {
    let root = Root::new("long");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    let mut bytes = 0;
    step.run_with(
        &sh("dd if=/dev/zero bs=1M count=64 2>/dev/null"),
        &mut |piece| {
            bytes += piece.bytes.len();
            Ok(())
        },
    )
    .expect("a run");
    step.abort().expect("aborted");
    assert_eq!(bytes, 64 << 20);
    assert_eq!(
        std::fs::metadata(store.log_file("one").expect("a path"))
            .expect("a log")
            .len(),
        64 << 20
    );
}

#[test]
fn a_failed_command_is_an_error_with_its_status_and_leaves_no_result() {
    let root = Root::new("failed");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    let error = step.run(&sh("exit 7")).expect_err("a failure");
    assert_eq!(
        (error.kind(), error.exit_code()),
        (ErrorKind::CommandFailed, Some(7))
    );
    let error = step.run(&sh("true")).expect_err("spoiled");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let error = step.commit().expect_err("spoiled");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(!store.result("one").expect("a look"));
    assert_eq!(root.leftovers(), Vec::<String>::new());
    build(&store, "base", "one", "true");
}

#[test]
fn a_command_may_be_allowed_to_fail() {
    let root = Root::new("allowed");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    assert_eq!(
        step.run(sh("exit 3").allow_failure(true))
            .expect("a run")
            .code,
        3
    );
    // Not the first process of the container, because the kernel spares that one.
    assert_eq!(
        step.run(sh("sh -c 'kill -9 $$'; exit $?").allow_failure(true))
            .expect("a run")
            .code,
        137
    );
    step.commit().expect("a commit");
}

#[test]
fn a_program_that_the_image_does_not_have_fails_as_in_a_shell() {
    let root = Root::new("missing");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    let error = step
        .run(&Command::new(["/no/such/program"]))
        .expect_err("a failure");
    assert_eq!(
        (error.kind(), error.exit_code()),
        (ErrorKind::NotStarted, Some(127)),
        "{error}"
    );
    step.abort().expect("aborted");
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn cancelling_from_another_thread_ends_the_container_at_once() {
    let root = Root::new("cancel");
    let store = root.open_with_base();
    let cancel = Cancel::new();
    let limits = Limits::none().cancel(&cancel);
    let Begun::Step(mut step) = store.begin(Some("base"), "one", &limits).expect("begun") else {
        panic!("present")
    };
    let began = Instant::now();
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(700));
            cancel.cancel();
        });
        step.run(&sh("echo started; sleep 60"))
            .expect_err("cancelled")
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(began.elapsed() < Duration::from_secs(20));
    drop(step);
    store.complete_deletes(&Limits::none()).expect("done");
    assert_eq!(root.leftovers(), Vec::<String>::new());
    assert!(!store.result("one").expect("a look"));
    build(&store, "base", "one", "true");
}

#[test]
fn a_command_past_its_timeout_is_ended() {
    let root = Root::new("timeout");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    let error = step
        .run(sh("sleep 60").timeout(Duration::from_millis(500)))
        .expect_err("a timeout");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    // A step that was cancelled blocks its caller only briefly: what a busy engine has not removed by then, the worker removes.
    if let Err(e) = step.abort() {
        assert_eq!(e.kind(), ErrorKind::TimedOut, "{e}");
    }
    store.complete_deletes(&Limits::none()).expect("done");
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn a_callback_that_refuses_ends_the_command_with_its_own_error() {
    let root = Root::new("callback");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    let error = step
        .run_with(&sh("echo x; sleep 60"), &mut |_| {
            Err(Error::new(ErrorKind::Callback, "enough"))
        })
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Callback);
    assert!(error.message().contains("enough"), "{error}");
    step.abort().expect("aborted");
    assert_eq!(root.leftovers(), Vec::<String>::new());
    build(&store, "base", "one", "true");
}

#[test]
fn a_panic_in_the_work_of_a_build_leaves_nothing() {
    let root = Root::new("panic");
    let store = root.open_with_base();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.build(Some("base"), "one", &Limits::none(), |step| {
            step.run(&sh("true"))?;
            panic!("of the work")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(root.leftovers(), Vec::<String>::new());
    let built = store.build(Some("base"), "one", &Limits::none(), |step| {
        step.run(&sh("true")).map(drop)
    });
    assert_eq!(built.expect("a build"), Outcome::Built);
    let again = store.build(Some("base"), "one", &Limits::none(), |_| {
        panic!("not asked")
    });
    assert_eq!(again.expect("a hit"), Outcome::Hit);
}

#[test]
fn surroundings_reach_the_command_and_not_the_result() {
    let root = Root::new("surroundings");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    let script = "echo $PWD $COLOR $(id -u):$(id -g) $(hostname); ls /sys/class/net | tr '\\n' ' '";
    step.run(
        sh(script)
            .cwd("/work/deep")
            .env("COLOR", "blue")
            .user("1000:1000")
            .hostname("builder"),
    )
    .expect("a run");
    step.commit().expect("a commit");
    let log = std::fs::read_to_string(store.log_file("one").expect("a path")).expect("a log");
    assert_eq!(log, "/work/deep blue 1000:1000 builder\nlo ");
    let shows = |id: &str, what: &str| {
        docker(&[
            "inspect",
            "--format",
            &format!("{{{{json .Config.{what}}}}}"),
            &root.image(id),
        ])
    };
    for what in ["Env", "Labels", "User", "Cmd", "Entrypoint", "WorkingDir"] {
        assert_eq!(shows("one", what), shows("base", what), "{what}");
    }
}

#[test]
fn a_result_keeps_the_configuration_of_its_base() {
    let root = Root::new("config");
    let store = root.open_with_base();
    // A base with a configuration of its own, created without the library, as OBuilder would.
    let container = docker(&["create", &root.image("base"), "x"]).remove(0);
    docker(&[
        "commit",
        "-c",
        "ENTRYPOINT [\"/bin/sh\", \"-c\"]",
        "-c",
        "CMD [\"echo hi\"]",
        "-c",
        "ENV A=1 B=2",
        "-c",
        "LABEL l=m",
        "-c",
        "USER build",
        "-c",
        "WORKDIR /tmp",
        "-c",
        "EXPOSE 80",
        &container,
        &root.image("rich"),
    ]);
    docker(&["rm", &container]);
    let config = |id: &str| docker(&["inspect", "--format", "{{json .Config}}", &root.image(id)]);
    let want: serde_json::Value = serde_json::from_str(&config("rich")[0]).expect("JSON");
    let mut loud = sh("true");
    loud.env("B", "3")
        .env("C", "4")
        .user("0")
        .cwd("/")
        .hostname("h");
    let mut quiet = sh("true");
    quiet.env("B", "3").cwd("/");
    for (id, command) in [("loud", &loud), ("quiet", &quiet)] {
        let mut step = begin(&store, "rich", id);
        step.run(command).expect("a run");
        // Two commands: the second must not inherit what the first was given.
        step.run(&sh(
            "test -z \"$C\" && test $B = 2 && test $(id -un) = build && test $PWD = /tmp",
        ))
        .expect("clean");
        step.commit().expect("a commit");
        let got: serde_json::Value = serde_json::from_str(&config(id)[0]).expect("JSON");
        for what in [
            "Env",
            "Labels",
            "User",
            "Cmd",
            "Entrypoint",
            "WorkingDir",
            "ExposedPorts",
        ] {
            assert_eq!(got[what], want[what], "{what} of {id}");
        }
    }
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn a_command_reads_its_standard_input_to_the_end() {
    let root = Root::new("stdin");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    let bytes = vec![b'x'; 3 << 20];
    step.run(sh("wc -c").stdin(bytes)).expect("a run");
    step.run(
        sh("cat").stdin_file(
            common::base_tar()
                .parent()
                .expect("a folder")
                .join("nothing"),
        ),
    )
    .expect_err("no file");
    step.run(&sh("cat")).expect("a run");
    // A command that does not read it does not fail for that.
    step.run(sh("true").stdin(vec![b'x'; 3 << 20]))
        .expect("a run");
    step.run(sh("head -c 5; echo; sleep 1").stdin(vec![b'y'; 3 << 20]))
        .expect("a run");
    step.abort().expect("aborted");
    let log = std::fs::read_to_string(store.log_file("one").expect("a path")).expect("a log");
    assert_eq!(log, format!("{}\nyyyyy\n", 3 << 20));
}

#[test]
fn a_secret_is_read_by_the_command_and_kept_by_nothing() {
    let root = Root::new("secret");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    let mut seen = String::new();
    let mut command =
        sh("cat /vault/deep/key | md5sum; stat -c '%a %u:%g' /vault/deep/key; echo shown; sleep 1");
    command.secret("/vault/deep/key", "hunter2hunter2", (1000, 1000), 0o400);
    step.run_with(&command, &mut |piece| {
        if String::from_utf8_lossy(piece.bytes).contains("shown") {
            let name = format!("{}-container-one", root.prefix());
            seen = docker(&["inspect", &name]).join("\n");
        }
        Ok(())
    })
    .expect("a run");
    step.commit().expect("a commit");
    let log = std::fs::read_to_string(store.log_file("one").expect("a path")).expect("a log");
    assert!(
        log.contains("400 1000:1000") && !log.contains("hunter2"),
        "{log}"
    );
    assert!(seen.contains("/vault/deep/key") && !seen.contains("hunter2"));
    // The empty file that it was mounted on does not remain either, nor a directory on the way to it.
    let found = output_in(&store, "one", "[ -e /vault ] || echo absent");
    assert_eq!(found, "absent\n");
    assert!(
        !docker(&["inspect", &root.image("one")])
            .join("\n")
            .contains("hunter2")
    );
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn files_are_copied_in_and_out_with_owners_modes_and_missing_folders() {
    let root = Root::new("copy");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    step.copy_in("/src/deep", &mut tar_of("a", b"hello").as_slice())
        .expect("copied in");
    step.run(&sh(
        "cat /src/deep/a > /b; chown 1000:1000 /b; chmod 600 /b",
    ))
    .expect("a run");
    let mut out = Vec::new();
    step.copy_out("/b", &mut out).expect("copied out");
    assert_eq!(untar(&out), vec![("b".to_owned(), b"hello".to_vec())]);
    let error = step
        .copy_out("/nowhere", &mut Vec::new())
        .expect_err("no such path");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    step.commit().expect("a commit");
    let mut out = Vec::new();
    store
        .copy_out("one", "/src", &mut out, &Limits::none())
        .expect("copied out");
    assert!(untar(&out).contains(&("src/deep/a".to_owned(), b"hello".to_vec())));
    assert_eq!(
        output_in(&store, "one", "stat -c '%a %u:%g' /b").trim(),
        "600 1000:1000"
    );
}

#[test]
fn a_tar_that_is_cut_short_is_an_error_and_no_result() {
    let root = Root::new("cut");
    let store = root.open_with_base();
    let tar = tar_of("a", &[7; 5000]);
    for (n, end) in [0, 300, 512, 3000, tar.len() - 1024]
        .into_iter()
        .enumerate()
    {
        let id = format!("cut{n}");
        let mut step = begin(&store, "base", &id);
        step.copy_in("/", &mut &tar[..end]).expect_err("cut short");
        step.commit().expect_err("spoiled");
        assert!(!store.result(&id).expect("a look"));
    }
    let mut begun = store
        .begin(None, "imported", &Limits::none())
        .expect("begun");
    let Begun::Step(step) = &mut begun else {
        panic!("present")
    };
    step.import(&mut &tar[..3000], &mut |_| Ok(()))
        .expect_err("cut short");
    drop(begun);
    store.complete_deletes(&Limits::none()).expect("done");
    assert!(!store.result("imported").expect("a look"));
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn a_step_on_nothing_is_made_of_what_is_copied_in() {
    let root = Root::new("scratch");
    let store = root.open();
    let Begun::Step(mut step) = store.begin(None, "one", &Limits::none()).expect("begun") else {
        panic!("present")
    };
    step.copy_in("/", &mut tar_of("only", b"file").as_slice())
        .expect("copied in");
    step.commit().expect("a commit");
    let mut out = Vec::new();
    store
        .copy_out("one", "/only", &mut out, &Limits::none())
        .expect("copied out");
    assert_eq!(untar(&out), vec![("only".to_owned(), b"file".to_vec())]);
}

#[test]
fn an_image_that_the_engine_has_serves_as_a_base() {
    let root = Root::new("use");
    let store = root.open_with_base();
    let Begun::Step(mut step) = store.begin(None, "one", &Limits::none()).expect("begun") else {
        panic!("present")
    };
    step.use_image(&root.image("base")).expect("taken");
    let error = step.use_image(&root.image("base")).expect_err("twice");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    step.run(&sh("true")).expect("a run");
    step.commit().expect("a commit");
    let Begun::Step(mut step) = store.begin(None, "two", &Limits::none()).expect("begun") else {
        panic!("present")
    };
    let error = step.use_image("no/such-image:1").expect_err("absent");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_base_that_does_not_exist_is_an_error_that_names_it() {
    let root = Root::new("nobase");
    let store = root.open();
    let error = store
        .begin(Some("nowhere"), "one", &Limits::none())
        .expect_err("no base");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("nowhere"), "{error}");
    store.complete_deletes(&Limits::none()).expect("done");
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn memory_beyond_its_limit_is_told_apart_from_failure() {
    let root = Root::new("memory");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    // tail keeps the last line, which never ends.
    let error = step
        .run(
            sh("tail /dev/zero")
                .memory(16 << 20)
                .nano_cpus(1_000_000_000),
        )
        .expect_err("out of memory");
    assert_eq!(
        (error.kind(), error.exit_code()),
        (ErrorKind::OutOfMemory, Some(137)),
        "{error}"
    );
}

#[test]
fn a_chain_longer_than_an_image_has_layers_works() {
    /// The engine's limit is 125 layers.
    const STEPS: u32 = 140;
    let root = Root::new("chain");
    let store = root.open_with_base();
    let mut base = "base".to_owned();
    for n in 0..STEPS {
        let id = format!("step{n}");
        let mut step = begin(&store, &base, &id);
        // To start a container takes the engine longer than all the rest: most steps do without.
        if n % 20 == 0 {
            step.run(&sh(&format!("mkdir -p /chain && touch /chain/{n}")))
                .expect("a run");
        } else {
            step.copy_in("/chain", &mut tar_of(&n.to_string(), b"").as_slice())
                .expect("copied in");
        }
        step.commit().expect("a commit");
        base = id;
    }
    assert_eq!(
        output_in(&store, &base, "ls /chain | wc -l").trim(),
        STEPS.to_string()
    );
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn a_step_of_many_commands_leaves_no_image_without_a_name() {
    let root = Root::new("dangling");
    let store = root.open_with_base();
    let nameless = marked(&root);
    let mut loud = sh("echo x >> /tmp/x");
    loud.env("NEW", "1").user("1000");
    for commit in [true, false] {
        let id = format!("many{commit}");
        let mut step = begin(&store, "marked", &id);
        for command in [&sh("echo 1 > /1"), &loud, &loud, &sh("echo 2 > /2"), &loud] {
            step.run(command).expect("a run");
        }
        step.copy_in("/in", &mut tar_of("a", b"b").as_slice())
            .expect("copied in");
        match commit {
            true => step.commit().expect("a commit"),
            false => step.abort().expect("aborted"),
        }
        assert_eq!(nameless(), Vec::<String>::new(), "commit: {commit}");
        assert_eq!(root.leftovers(), Vec::<String>::new());
    }
    assert_eq!(
        output_in(&store, "manytrue", "cat /1 /2 /tmp/x /in/a"),
        "1\n2\nx\nx\nx\nb"
    );
    store.delete("manytrue").expect("deleted");
    assert_eq!(nameless(), Vec::<String>::new());
}

#[test]
fn a_program_that_cannot_be_started_is_an_answer_where_failure_is_allowed() {
    let root = Root::new("answers");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    step.run(&sh(
        "echo first >/first; mkdir -p /src; echo >/src/amount.sh",
    ))
    .expect("a run");
    let long = format!("/{}", "x".repeat(300));
    let programs = [
        "/no/such/program",
        "mount.nfs",
        "permission denied",
        "no such file or directory",
        "a \"quoted\"\nmount\u{1}\u{e9}",
        "./x/mount",
        "/etc/passwd/x",
        "/src/amount.sh",
        "/etc",
        "/etc/passwd",
        long.as_str(),
    ];
    for program in programs {
        let as_sh_has_it = step
            .run(
                sh("\"$@\"; exit $?")
                    .arg("sh")
                    .arg(program)
                    .allow_failure(true),
            )
            .expect("a run")
            .code;
        let mut command = Command::new([program]);
        let exit = step.run(command.allow_failure(true)).expect("an answer");
        let code = exit.code;
        assert_eq!(code, as_sh_has_it, "{program:?}");
        assert!(!exit.started, "{program:?}");
    }
    // The step has continued: everything is there.
    step.run(&sh("echo second >/second")).expect("a run");
    step.commit().expect("a commit");
    assert_eq!(
        output_in(&store, "one", "cat /first /second"),
        "first\nsecond\n"
    );
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn what_the_caller_got_wrong_is_an_argument_and_the_step_goes_on() {
    let root = Root::new("wrong");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "one");
    step.run(&sh("echo first >/first")).expect("a run");
    let volume = format!("{}-nobodys", root.prefix());
    type Spoil<'a> = &'a dyn Fn(&mut Command);
    let wrong: [(&str, Spoil<'_>); 12] = [
        ("user", &|c| _ = c.user("nosuch")),
        ("user", &|c| _ = c.user("mount")),
        ("user", &|c| _ = c.user("nosuch:0")),
        ("user", &|c| _ = c.user("0:nosuch")),
        ("user", &|c| _ = c.user("99999999999")),
        ("host name", &|c| _ = c.hostname("h".repeat(200))),
        ("directory", &|c| _ = c.cwd("/etc/passwd")),
        ("path", &|c| _ = c.cwd("/etc/passwd/x/y")),
        ("path", &|c| _ = c.cwd(format!("/{}", "x".repeat(300)))),
        ("volume", &|c| _ = c.volume(volume.as_str(), "/v", false)),
        ("network", &|c| _ = c.network("nosuch")),
        ("mount", &|c| _ = c.bind("/etc/hostname", "/etc", true)),
    ];
    for (word, spoil) in wrong {
        let mut command = sh("true");
        spoil(&mut command);
        let error = step.run(&command).expect_err("wrong");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{word}: {error}");
        assert!(error.message().contains(word), "{word}: {error}");
    }
    let missing = root.path.join("missing");
    let mut command = sh("[ -z \"$(ls -A /v)\" ]");
    let bound = step.run(command.bind(missing.to_str().expect("text"), "/v", true));
    match image_store() {
        // It creates the directory, which `podman run` does not.
        ImageStore::Podman => assert_eq!(bound.expect("an empty directory").code, 0),
        _ => {
            let error = bound.expect_err("missing");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
            assert!(error.message().contains("path"), "{error}");
            assert!(!missing.exists());
        }
    }
    // A missing volume is not created; an existing one is mounted.
    let filter = format!("name={volume}");
    let made = || docker(&["volume", "ls", "-q", "--filter", &filter]);
    assert_eq!(made(), Vec::<String>::new());
    docker(&["volume", "create", &volume]);
    step.run(sh("echo x >/v/x").volume(volume.as_str(), "/v", false))
        .expect("a run");
    step.commit().expect("a commit");
    assert_eq!(output_in(&store, "one", "cat /first"), "first\n");
    docker(&["volume", "rm", &volume]);
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn a_command_that_somebody_else_ended_has_not_failed() {
    let root = Root::new("outside");
    let store = root.open_with_base();
    let ways: [(&str, &[&str]); 4] = [
        ("kill", &["kill"]),
        ("term", &["kill", "-s", "TERM"]),
        ("stop", &["stop", "-t", "1"]),
        ("rm", &["rm", "-f"]),
    ];
    for (id, way) in ways {
        for allowed in [false, true].into_iter().skip(usize::from(id != "kill")) {
            let mut step = begin(&store, "base", id);
            let container = format!("{}-container-{id}", root.prefix());
            let mut asked = false;
            let ran = step.run_with(
                sh("trap 'exit 3' TERM; echo up; sleep 60 & wait").allow_failure(allowed),
                &mut |_| {
                    if !std::mem::replace(&mut asked, true) {
                        docker(&[way, &[container.as_str()]].concat());
                    }
                    Ok(())
                },
            );
            match ran {
                // Podman records that it was asked to stop a container only if no client waited for its end.
                Ok(exit) if id == "stop" && image_store() == ImageStore::Podman => {
                    assert_eq!(exit.code, 3);
                }
                ran => {
                    let error = ran.expect_err("ended from outside");
                    assert_eq!(error.kind(), ErrorKind::Killed, "{id}: {error}");
                }
            }
            step.abort().expect("aborted");
        }
    }
    // If the command does it itself, that is a failure; and a signal that ends nothing does not count.
    let mut step = begin(&store, "base", "self");
    let code = step
        .run(sh("sh -c 'kill -9 $$'; exit $?").allow_failure(true))
        .expect("an exit")
        .code;
    assert_eq!(code, 137);
    let container = format!("{}-container-self", root.prefix());
    let error = step
        .run_with(&sh("echo up; sleep 1; exit 5"), &mut |_| {
            docker(&["kill", "-s", "WINCH", &container]);
            Ok(())
        })
        .expect_err("its own failure");
    // Podman does not report which signal was sent.
    let kind = match image_store() {
        ImageStore::Podman => ErrorKind::Killed,
        _ => ErrorKind::CommandFailed,
    };
    assert_eq!(
        (error.kind(), error.exit_code()),
        (kind, Some(5)),
        "{error}"
    );
    step.abort().expect("aborted");
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn a_base_is_imported_whole_or_not_at_all() {
    let root = Root::new("whole");
    let store = root.open();
    let step_on_nothing = |id: &str| match store.begin(None, id, &Limits::none()).expect("begun") {
        Begun::Step(step) => step,
        Begun::Present => panic!("{id} is there already"),
    };
    let first = tar_of("a", &[7; 5000]);
    let whole = [&first[..first.len() - 1024], &tar_of("b", b"second")].concat();
    let end = whole.len() - 1024;
    let pack = |program: &str, bytes: &[u8]| {
        let file = root.path.join("pack");
        std::fs::write(&file, bytes).expect("written");
        let packed = std::process::Command::new(program)
            .arg("-c")
            .arg(&file)
            .output();
        packed.ok().filter(|packed| packed.status.success())
    };
    let gzip = |bytes: &[u8]| pack("gzip", bytes).expect("gzip").stdout;
    let cut = [
        Vec::new(),
        whole[..first.len() - 1024].to_vec(),
        whole[..3000].to_vec(),
        whole[..end].to_vec(),
        gzip(&whole[..end]),
        gzip(&whole)[..60].to_vec(),
        gzip(b""),
    ];
    for (n, tar) in cut.iter().enumerate() {
        let id = format!("cut{n}");
        let mut step = step_on_nothing(&id);
        let error = step
            .import(&mut tar.as_slice(), &mut |_| Ok(()))
            .expect_err("cut short");
        assert_eq!(error.kind(), ErrorKind::CutShort, "{n}: {error}");
        step.commit().expect_err("spoiled");
        assert!(!store.result(&id).expect("a look"));
        // Both agree.
        let mut step = step_on_nothing(&format!("copied{n}"));
        let error = step
            .copy_in("/", &mut tar.as_slice())
            .expect_err("cut short");
        assert_eq!(error.kind(), ErrorKind::CutShort, "{n}: {error}");
        step.abort().expect("aborted");
    }
    let mut good = vec![
        whole.clone(),
        whole[..end + 512].to_vec(),
        [&whole[..], b"and more"].concat(),
        gzip(&whole),
    ];
    good.extend(
        ["bzip2", "xz"]
            .iter()
            .filter_map(|program| Some(pack(program, &whole)?.stdout)),
    );
    for (n, tar) in good.iter().enumerate() {
        let mut step = step_on_nothing(&format!("good{n}"));
        step.import(&mut tar.as_slice(), &mut |_| Ok(()))
            .unwrap_or_else(|e| panic!("{n}: {e}"));
        step.copy_in("/", &mut tar.as_slice())
            .unwrap_or_else(|e| panic!("{n}: {e}"));
        let mut out = Vec::new();
        step.copy_out("/b", &mut out).expect("copied out");
        assert_eq!(untar(&out), vec![("b".to_owned(), b"second".to_vec())]);
        step.abort().expect("aborted");
    }
    // An image as `docker save` writes it is refused by name, and the step continues.
    let saved = root.path.join("saved.tar");
    let empty = format!("{}-to-save", root.prefix());
    std::fs::write(&saved, &whole).expect("written");
    docker(&["import", saved.to_str().expect("a path"), &empty]);
    docker(&["save", "-o", saved.to_str().expect("a path"), &empty]);
    let saved = std::fs::read(&saved).expect("read");
    let mut step = step_on_nothing("saved");
    let error = step
        .import(&mut saved.as_slice(), &mut |_| Ok(()))
        .expect_err("an image");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(error.message().contains("docker save"), "{error}");
    step.import(&mut whole.as_slice(), &mut |_| Ok(()))
        .expect("an import");
    step.commit().expect("a commit");
    store.complete_deletes(&Limits::none()).expect("done");
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

/// Podman looks for a layer, finds it, and loses it if the image that has it is removed in the meantime.
#[test]
fn results_of_the_same_files_are_made_while_others_of_the_same_files_go() {
    let root = Root::new("same");
    let store = root.open();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..4 {
                    let (base, made) = (format!("base-{thread}-{n}"), format!("made-{thread}-{n}"));
                    let begun = store.begin(None, &base, &Limits::none()).expect("begun");
                    let Begun::Step(mut step) = begun else {
                        panic!("{base} is there already");
                    };
                    step.import_file(&base_tar(), &mut |_| Ok(()))
                        .expect("an import");
                    step.commit().expect("a commit");
                    build(store, &base, &made, "echo same > /same");
                    assert!(store.delete(&made).expect("deleted"));
                    assert!(store.delete(&base).expect("deleted"));
                }
            });
        }
    });
    assert_eq!(store.results().expect("a list").len(), 0);
}
