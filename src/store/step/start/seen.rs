//! Messages of failed starts that were observed, and their meaning.

use proptest::prelude::*;

use super::*;

/// Observed messages. If no engine is named, Docker 20.10.24 (runc 1.1); the others are from reports of their users.
const SEEN: &[(&str, &str, Cause)] = &[
    // program, message, meaning
    (
        "/no/such/program",
        r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/no/such/program": stat /no/such/program: no such file or directory: unknown"#,
        Cause::Program(127),
    ),
    (
        "mount.nfs",
        r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "mount.nfs": executable file not found in $PATH: unknown"#,
        Cause::Program(127),
    ),
    (
        "/src/amount.sh",
        r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/src/amount.sh": permission denied: unknown"#,
        Cause::Program(126),
    ),
    (
        "a\"b\nc\u{e9}\u{1}",
        r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "a\"b\ncé\x01": executable file not found in $PATH: unknown"#,
        Cause::Program(127),
    ),
    (
        "/etc/passwd/x",
        r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/etc/passwd/x": stat /etc/passwd/x: not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"#,
        Cause::Program(127),
    ),
    (
        "/xxx",
        r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/xxx": stat /xxx: file name too long: unknown"#,
        Cause::Program(127),
    ),
    // Words of the caller that look like words of the engine.
    (
        "permission denied",
        r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "permission denied": executable file not found in $PATH: unknown"#,
        Cause::Program(127),
    ),
    (
        "/x: no such file or directory",
        r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/x: no such file or directory": permission denied: unknown"#,
        Cause::Program(126),
    ),
    (
        "true",
        r#"network unable to find user mount not found"#,
        Cause::Other,
    ),
    // Older runtimes; Docker 26 and 28; runc 1.2 and later.
    (
        "foo",
        r#"OCI runtime create failed: container_linux.go:380: starting container process caused: exec: "foo": executable file not found in $PATH: unknown"#,
        Cause::Program(127),
    ),
    (
        "/foo",
        r#"failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/foo": stat /foo: no such file or directory: unknown"#,
        Cause::Program(127),
    ),
    (
        "/foo",
        r#"failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "/foo": stat /foo: no such file or directory"#,
        Cause::Program(127),
    ),
    (
        "/foo",
        r#"failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "/foo": is a directory: unknown"#,
        Cause::Program(126),
    ),
    // Podman, with runc and with crun; at attach, too.
    (
        "nonexistent",
        r#"runc: runc create failed: unable to start container process: error during container init: exec: "nonexistent": executable file not found in $PATH: OCI runtime attempted to invoke a command that was not found"#,
        Cause::Program(127),
    ),
    (
        "/no/such/program",
        r#"preparing container 4e5d2b7c9a for attach: runc: runc create failed: unable to start container process: exec: "/no/such/program": stat /no/such/program: no such file or directory: OCI runtime attempted to invoke a command that was not found"#,
        Cause::Program(127),
    ),
    (
        "nonexistent",
        "crun: executable file `nonexistent` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found",
        Cause::Program(127),
    ),
    (
        "/etc/passwd",
        "crun: open executable: Permission denied: OCI permission denied",
        Cause::Program(126),
    ),
    // Invalid settings of the caller.
    (
        "true",
        "unable to find user nosuch: no matching entries in passwd file",
        Cause::Argument("the user"),
    ),
    (
        "true",
        "unable to find group nosuch: no matching entries in group file",
        Cause::Argument("the user"),
    ),
    (
        "true",
        "uids and gids must be in range 0-2147483647",
        Cause::Argument("the user"),
    ),
    (
        "true",
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: sethostname: invalid argument: unknown",
        Cause::Argument("the host name"),
    ),
    (
        "true",
        "Cannot mkdir: /etc/passwd is not a directory",
        Cause::Argument("the working directory"),
    ),
    (
        "true",
        "lstat /var/lib/docker/overlay2/1920229f34b2/merged/etc/passwd/x: not a directory",
        Cause::Argument("a path"),
    ),
    (
        "true",
        "source /var/lib/docker/overlay2/2b3f60a7c086/merged/etc/group is not directory",
        Cause::Argument("a path"),
    ),
    (
        "true",
        r#"OCI runtime create failed: container_linux.go:367: starting container process caused: chdir to cwd ("/root/x") set in config.json failed: permission denied: unknown"#,
        Cause::Argument("the working directory"),
    ),
    (
        "true",
        r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error mounting "/etc/hostname" to rootfs at "/tmp": mount /etc/hostname:/tmp (via /proc/self/fd/6), flags: 0x5000: not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"#,
        Cause::Argument("a mount"),
    ),
    (
        "true",
        "network nosuch not found",
        Cause::Argument("the network"),
    ),
    // The engine's own failures, whatever status it derived from their words.
    (
        "true",
        r#"failed to create shim task: OCI runtime create failed: unable to retrieve OCI runtime error (open /run/containerd/io.containerd.runtime.v2.task/moby/1/log.json: no such file or directory): exec: "runc": executable file not found in $PATH: unknown"#,
        Cause::Engine,
    ),
    (
        "true",
        r#"failed to create shim task: exec: "runc": executable file not found in $PATH: unknown"#,
        Cause::Engine,
    ),
    (
        "true",
        r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error mounting "proc" to rootfs at "/proc": permission denied: unknown"#,
        Cause::Engine,
    ),
    (
        "true",
        "error while mounting volume '/var/lib/docker/volumes/v/_data': failed to mount local volume: mount overlay:/var/lib/docker/volumes/v/_data, data: lowerdir=/no/such/mount,upperdir=/no,workdir=/no2: no such file or directory",
        Cause::Other,
    ),
    (
        "true",
        "crun: make `/var/lib/containers/storage/overlay/edd/merged` private: No such file or directory: OCI runtime attempted to invoke a command that was not found",
        Cause::Engine,
    ),
    (
        "true",
        "default OCI runtime \"crun\" not found: invalid argument",
        Cause::Other,
    ),
    ("true", "No such container: 1", Cause::Other),
];

#[test]
fn what_engines_say_of_a_failed_start_is_read_by_its_place_and_not_by_the_callers_words() {
    let mut command = Command::new(["x"]);
    command.cwd("/etc/passwd/x/y").network("nosuch");
    command.volume("v", "/etc/group", false);
    command.bind("/etc/hostname", "/tmp", false);
    for (program, said, wanted) in SEEN {
        assert_eq!(cause(said, &command, program), *wanted, "{said}");
    }
}

#[test]
fn no_word_of_the_caller_changes_what_is_read() {
    let words = [
        "mount",
        "permission denied",
        "no such file or directory",
        "\": executable file not found in $PATH",
        "/a: stat /a: no such file or directory",
        "exec: \"x\": permission denied",
        "unable to find user x",
        "sethostname: ",
    ];
    let layers = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ";
    for word in words {
        let command = Command::new([word]);
        let quoted = format!("{word:?}");
        for (why, code) in [
            ("executable file not found in $PATH", 127),
            ("permission denied", 126),
        ] {
            let said = format!("{layers}exec: {quoted}: {why}: unknown");
            assert_eq!(cause(&said, &command, word), Cause::Program(code), "{said}");
        }
        let said = format!("{layers}exec: {quoted}: stat {word}: no such file or directory");
        assert_eq!(cause(&said, &command, word), Cause::Program(127), "{said}");
        let said = format!("failed to create shim task: {word}: no such file or directory");
        assert_eq!(cause(&said, &command, word), Cause::Engine, "{said}");
    }
}

/// One row of a table of messages from real runs.
fn row(line: &str) -> (&str, Command, String, Cause, &str) {
    let mut fields = line.splitn(4, '\t');
    let mut next = || fields.next().expect("four fields");
    let (engine, given, wanted, said) = (next(), next(), next(), next());
    let mut command = Command::new(["true"]);
    let (what, value) = given.split_once('=').expect("what was given");
    match what {
        "program" => command = Command::new([value]),
        "user" => drop(command.user(value)),
        "cwd" => drop(command.cwd(value)),
        "hostname" => drop(command.hostname(value)),
        "network" => drop(command.network(value)),
        "memory" => drop(command.memory(value.parse().expect("bytes"))),
        "secret" => drop(command.secret(value, "x", (0, 0), 0o400)),
        "bind" => {
            let (source, target) = value.split_once(':').expect("a source and a target");
            command.bind(source, target, false);
        }
        other => panic!("{other}"),
    }
    let program = command.argv[0].clone();
    let wanted = match wanted.parse() {
        Ok(code) => Cause::Program(code),
        Err(_) if wanted == "engine" => Cause::Engine,
        Err(_) if wanted == "other" => Cause::Other,
        Err(_) => {
            let of = [
                "the user",
                "the working directory",
                "the host name",
                "the network",
                "the memory",
                "a mount",
                "a path",
            ];
            Cause::Argument(
                of.into_iter()
                    .find(|is| *is == wanted)
                    .expect("what is wrong"),
            )
        }
    };
    (engine, command, program, wanted, said)
}

#[test]
fn what_each_engine_and_runtime_said_when_it_was_tried_is_told_as_what_it_is() {
    let rows = include_str!("seen.tsv").lines();
    let rows: Vec<&str> = rows.filter(|line| !line.starts_with('#')).collect();
    let mut wrong = Vec::new();
    for line in &rows {
        let (engine, command, program, wanted, said) = row(line);
        let found = cause(said, &command, &program);
        if found != wanted {
            wrong.push(format!("{engine}: {found:?}, not {wanted:?}: {said}"));
        }
        // A message about another command does not match.
        let other = Command::new(["other"]);
        let found = cause(said, &other, "other");
        if matches!(
            found,
            Cause::Argument("a mount" | "a path" | "the network" | "the memory")
        ) {
            wrong.push(format!(
                "{engine}: {found:?} of a command without any: {said}"
            ));
        }
    }
    assert!(rows.len() > 100, "{}", rows.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

proptest! {
    #[test]
    fn any_message_of_any_engine_is_read_without_a_fault(
        words in prop::collection::vec(
            prop_oneof![
                prop::sample::select(SEEN).prop_map(|(_, said, _)| said.to_owned()),
                prop::sample::select(&LAYERS[..]).prop_map(str::to_owned),
                prop::sample::select(&TAILS[..]).prop_map(str::to_owned),
                "[\"\\\\a\u{e9}/: `]{0,9}",
            ],
            0..5,
        ),
        cut in any::<prop::sample::Index>(),
        program in "[\"\\\\a\u{e9}/: `]{0,9}",
    ) {
        let said = words.concat();
        let mut command = Command::new([program.clone()]);
        command.cwd(program.clone()).bind(program.clone(), program.clone(), true).user(program.clone());
        let at = (0..=cut.index(said.len() + 1)).rev().find(|at| said.is_char_boundary(*at));
        for said in [&said[..], &said[..at.unwrap_or_default()]] {
            let found = cause(said, &command, &program);
            if let Cause::Program(code) = found {
                prop_assert!(code == 126 || code == 127);
            }
            prop_assert_eq!(cause(said, &command, &program), found);
        }
    }
}
