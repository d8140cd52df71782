//! How a start failed. A program that is missing or cannot be executed is an answer, as a shell gives it; what the caller got wrong is an
//! argument; the rest is a failure of the engine.
//!
//! Engines tell these apart in prose alone, and the status that they send with it is made of the same prose: moby looks for
//! "permission denied" anywhere in a runtime's message to answer 400 (`daemon/errors.go`). So a message is read from its beginning,
//! by what each layer is known to put in front; the caller's own words are skipped as a whole, or compared with what was
//! asked for, and never searched.

use crate::engine::one_line;
use crate::error::{Error, ErrorKind};
use crate::store::step::command::Command;

/// What a message of an engine comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The program is not there (127) or cannot be executed (126).
    Program(i64),
    /// The caller asked for what cannot be: this of it.
    Argument(&'static str),
    /// The engine or its runtime failed, whatever status it sent.
    Engine,
    /// Nothing that is known here: the status has it.
    Other,
}

/// What layers put in front of the reason. Two of them end with a word of the engine's own (a line's number, a container's id).
const LAYERS: [&str; 16] = [
    "failed to create task for container: ",
    "failed to create shim task: ",
    "failed to start shim: ",
    "OCI runtime create failed: ",
    "OCI runtime start failed: ",
    "OCI runtime error: ",
    "runc create failed: ",
    "runc start failed: ",
    "runc: ",
    CRUN,
    PROCESS[0],
    PROCESS[1],
    PROCESS[2],
    "container_linux.go:*: ",
    "preparing container * for attach: ",
    "unable to start container *: ",
];

/// Those that are of the process which becomes the command.
const PROCESS: [&str; 3] = [
    "unable to start container process: ",
    "starting container process caused: ",
    "error during container init: ",
];
const CRUN: &str = "crun: ";

/// The error of a container that could not be created, attached to or started for `command`, whose first word is `program`.
pub(super) fn not_started(error: Error, command: &Command, program: &str) -> Error {
    let (Some(said), Some(status)) = (error.said(), error.http_status()) else {
        return error;
    };
    let text = error.message().to_owned();
    let made = match cause(said, command, program) {
        Cause::Program(code) => Error::new(ErrorKind::CommandFailed, text).with_exit_code(code),
        Cause::Argument(what) => Error::new(
            ErrorKind::InvalidArgument,
            format!("{what} of the command cannot be: {text}"),
        ),
        Cause::Engine => Error::new(ErrorKind::Engine, text),
        Cause::Other => return error,
    };
    made.with_http_status(status)
}

fn cause(said: &str, command: &Command, program: &str) -> Cause {
    let (layer, reason) = without_layers(said);
    let from_runtime = reason.len() < said.len();
    // Of the container's own process: what an engine does not find in *its* path is its runtime.
    if let Some(rest) = reason
        .strip_prefix("exec: ")
        .filter(|_| PROCESS.contains(&layer))
    {
        return quoted(rest).map_or(Cause::Engine, |rest| not_executed(rest, program));
    }
    if layer == CRUN {
        // It quotes nothing, so the words must be those that were asked for.
        let missing = one_line(&format!("executable file `{program}` not found in $PATH"));
        if reason.starts_with(&missing) {
            return Cause::Program(127);
        }
        if reason.starts_with("open executable: Permission denied") {
            return Cause::Program(126);
        }
    }
    if from_runtime {
        return of_the_runtime(layer, reason);
    }
    let begins = |beginnings: &[&str]| beginnings.iter().any(|with| reason.starts_with(with));
    if begins(&["Cannot mkdir: "]) {
        return Cause::Argument("the working directory");
    }
    if begins(&[
        "unable to find user ",
        "unable to find group ",
        "linux spec user: unable to find ",
        "uids and gids must be in range ",
    ]) {
        return Cause::Argument("the user");
    }
    let network = command.network.as_deref().unwrap_or_default();
    if reason.starts_with(&one_line(&format!("network {network} not found"))) {
        return Cause::Argument("the network");
    }
    if begins(&["lstat ", "mkdir ", "source "]) && is_of_a_path(reason, command) {
        return Cause::Argument("a path");
    }
    Cause::Other
}

/// What is not about the program. The status is moby's reading of the same words, so it is not asked.
fn of_the_runtime(layer: &str, reason: &str) -> Cause {
    if !PROCESS.contains(&layer) {
        return Cause::Engine;
    }
    if reason.starts_with("sethostname: ") {
        return Cause::Argument("the host name");
    }
    if reason.starts_with("chdir to cwd (") {
        return Cause::Argument("the working directory");
    }
    // moby's own hint, at the end, after ENOTDIR.
    let onto = "not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? \
                Check if the specified host path exists and is the expected type";
    if reason.starts_with("error mounting \"") && reason.ends_with(onto) {
        return Cause::Argument("a mount");
    }
    Cause::Engine
}

/// The last of the layers that a message begins with, and what follows it.
fn without_layers(said: &str) -> (&str, &str) {
    let mut rest = said;
    let mut last = "";
    'layers: loop {
        for layer in LAYERS {
            let found = match layer.split_once('*') {
                None => rest.strip_prefix(layer),
                Some((before, after)) => rest
                    .strip_prefix(before)
                    .and_then(|found| found.split_once(after))
                    .filter(|(own, _)| !own.contains(' '))
                    .map(|(_, found)| found),
            };
            if let Some(found) = found {
                rest = found;
                last = layer;
                continue 'layers;
            }
        }
        return (last, rest);
    }
}

/// What follows `"…": `, where the word is quoted as Go does.
fn quoted(text: &str) -> Option<&str> {
    let mut escaped = false;
    let inside = text.strip_prefix('"')?;
    let end = inside.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    inside[end + 1..].strip_prefix(": ")
}

/// As a shell has it: what is not there is 127, and what is there and cannot be executed 126.
fn not_executed(why: &str, program: &str) -> Cause {
    let stat = one_line(&format!("stat {program}: ."));
    let why = why.strip_prefix(stat.trim_end_matches('.')).unwrap_or(why);
    let missing = [
        "executable file not found in $PATH",
        "no such file or directory",
        "not a directory",
        "file name too long",
        "too many levels of symbolic links",
    ];
    Cause::Program(match missing.iter().any(|with| why.starts_with(with)) {
        true => 127,
        false => 126,
    })
}

/// Whether a message ends with what is wrong with a path that the caller gave, or with a part of it.
fn is_of_a_path(reason: &str, command: &Command) -> bool {
    let wrong = [
        ": not a directory",
        " is not directory",
        ": file name too long",
        ": too many levels of symbolic links",
    ];
    let mut named = wrong.iter().filter_map(|wrong| reason.strip_suffix(wrong));
    let targets = command.mounts.iter().map(|mount| mount.target.as_str());
    let secrets = command.secrets.iter().map(|secret| secret.target.as_str());
    let mut paths = targets.chain(secrets).chain(command.cwd.as_deref());
    named.any(|named| {
        paths.any(|path| {
            let path = one_line(path);
            let ends = path.match_indices('/').map(|(at, _)| at).skip(1);
            ends.chain([path.len()]).any(|end| {
                let part = path[..end].trim_end_matches('/');
                !part.is_empty() && named.ends_with(part)
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What engines were seen to say: where no engine is named, Docker 20.10.24 (runc 1.1); the others from reports of their users.
    const SEEN: &[(&str, &str, Cause)] = &[
        // program, message, what it comes to
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
        // Words of the caller's that look like words of the engine's.
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
        // What the caller got wrong.
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
        // The engine's own failures, whatever status it made of their words.
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
}
