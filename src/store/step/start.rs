//! Why a container could not be started. A program that is missing or cannot be executed is reported with a shell's exit
//! status; an invalid setting of the caller is an invalid argument; anything else is a failure of the engine.
//!
//! Engines tell these apart only in prose, and the status that they send is derived from the same prose: moby answers 400 if a
//! runtime's message contains "permission denied" anywhere (`daemon/errors.go`). So a message is parsed from its beginning, by
//! the prefixes that each layer is known to add. The caller's own words are skipped as a whole, or compared with what was
//! requested, and never searched.

use crate::engine::one_line;
use crate::error::{Error, ErrorKind};
use crate::store::step::command::{Command, Mount, Source};

/// The meaning of an engine's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The program does not exist (127) or cannot be executed (126).
    Program(i64),
    /// The caller requested something impossible; this names the part.
    Argument(&'static str),
    /// The engine or its runtime failed, whatever status it sent.
    Engine,
    /// The message is not known here: the status decides.
    Other,
}

/// The prefixes that layers add to the reason. A `*` is a word of the engine's own (a line number, a container's id).
const LAYERS: [&str; 20] = [
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
    ENGINES[0],
    ENGINES[1],
    ENGINES[2],
    ENGINES[3],
];

/// The prefixes of the process that becomes the command.
const PROCESS: [&str; 3] = [
    "unable to start container process: ",
    "starting container process caused: ",
    "error during container init: ",
];
const CRUN: &str = "crun: ";

/// The prefixes that only say where in the engine it happened: the status is the engine's own.
const ENGINES: [&str; 4] = [
    "container create: ",
    "fill out specgen: ",
    "failed to set up container networking: ",
    "creating container * workdir: ",
];

/// What engines append to the reason, outermost first: their interpretation, or a hint.
const TAILS: [&str; 7] = [
    ": Are you trying to mount a directory onto a file (or vice-versa)? \
     Check if the specified host path exists and is the expected type",
    ": unknown",
    ": OCI runtime error",
    ": OCI permission denied",
    ": OCI not found",
    ": OCI runtime attempted to invoke a command that was not found",
    ": permission denied: unknown",
];

/// Errors that no engine can fix: the path itself is wrong. In the words of runc and of crun.
const PATH_ERRORS: [&str; 8] = [
    ": not a directory",
    " is not directory",
    ": file name too long",
    ": too many levels of symbolic links",
    ": Not a directory",
    ": File name too long",
    ": Too many levels of symbolic links",
    ": file exists",
];

/// Returns the error of a container that could not be created, attached to or started for `command`, whose first word is
/// `program`.
pub(super) fn not_started(error: Error, command: &Command, program: &str) -> Error {
    let (Some(said), Some(status)) = (error.said(), error.http_status()) else {
        return error;
    };
    let text = error.message().to_owned();
    let made = match cause(said, command, program) {
        Cause::Program(code) => {
            let why = match code {
                126 => "cannot be executed",
                _ => "is not there",
            };
            let why = format!("the program {program:?} {why}: {text}");
            Error::new(ErrorKind::NotStarted, why).with_exit_code(code)
        }
        Cause::Argument(what) => Error::new(
            ErrorKind::InvalidArgument,
            format!("{what} of the command {program:?} is not possible: {text}"),
        ),
        Cause::Engine => Error::new(ErrorKind::Engine, text),
        Cause::Other => return error,
    };
    made.with_http_status(status)
}

fn cause(said: &str, command: &Command, program: &str) -> Cause {
    let (layers, reason) = without_layers(said);
    let layer = layers.last().copied().unwrap_or_default();
    // Only from the container's own process: a program that an engine does not find in *its* path is its runtime.
    if let Some(rest) = reason
        .strip_prefix("exec: ")
        .filter(|_| PROCESS.contains(&layer))
    {
        return quoted(rest)
            .and_then(|(_, rest)| rest.strip_prefix(": "))
            .map_or(Cause::Engine, |rest| not_executed(rest, program));
    }
    if let Some(cause) = (layer == CRUN)
        .then(|| not_executed_by_crun(reason, program))
        .flatten()
    {
        return cause;
    }
    let reason = without_tails(reason);
    let is_runtimes = layer == CRUN || PROCESS.contains(&layer);
    let found = match is_runtimes {
        true => of_the_runtime(reason, command),
        false => None,
    };
    // Podman uses the same words for a user, a path or a network, at whatever stage it notices.
    let is_engines = layers.iter().all(|layer| !is_of_a_runtime(layer));
    match found.or_else(|| is_engines.then(|| of_the_engine(reason, command)).flatten()) {
        Some(what) => Cause::Argument(what),
        None if layers.iter().any(|layer| !ENGINES.contains(layer)) => Cause::Engine,
        None => Cause::Other,
    }
}

/// Returns whether the layer belongs to a runtime, or is what moby calls it with. The other layers are Podman's own.
fn is_of_a_runtime(layer: &&str) -> bool {
    let podmans = ["preparing container ", "unable to start container *"];
    !ENGINES.contains(layer) && !podmans.iter().any(|with| layer.starts_with(with))
}

/// Returns which part of the command is wrong, if the engine itself says so.
fn of_the_engine(reason: &str, command: &Command) -> Option<&'static str> {
    let begins = |beginnings: &[&str]| beginnings.iter().any(|with| reason.starts_with(with));
    if begins(&["Cannot mkdir: "]) {
        return Some("the working directory");
    }
    if begins(&[
        "unable to find user ",
        "unable to find group ",
        "linux spec user: unable to find ",
        "uids and gids must be in range ",
    ]) {
        return Some("the user");
    }
    if is_of_the_network(reason, command.network.as_deref().unwrap_or_default()) {
        return Some("the network");
    }
    if begins(&["lstat ", "mkdir ", "source "]) && is_of_a_path(reason, command) {
        return Some("a path");
    }
    let too_many = reason.strip_prefix("evalSymlinksInScope: too many links in ");
    if too_many.is_some_and(|path| ends_with_a_path(path, command)) {
        return Some("a path");
    }
    let cwd = command.cwd.as_deref().unwrap_or_default();
    let of_cwd = ["workdir ", "detecting workdir "]
        .iter()
        .filter_map(|with| quoted(reason.strip_prefix(with)?))
        .any(|(inside, rest)| same(inside, cwd) && rest.starts_with(' '));
    if of_cwd {
        return Some("the working directory");
    }
    let missing = |source: &str| {
        reason
            .strip_prefix("statfs ")
            .and_then(|path| path.strip_suffix(": no such file or directory"))
            .is_some_and(|path| path.trim_start_matches('/') == one_line(source).trim_matches('/'))
    };
    let is_wrong = |mount: &Mount| {
        reason == one_line(&format!("{}: duplicate mount destination", mount.target))
            || matches!(&mount.source, Source::Bind(source) if missing(source))
    };
    command.mounts.iter().any(is_wrong).then_some("a mount")
}

/// Returns whether the engine does not have the requested network, or the container whose network was to be used.
fn is_of_the_network(reason: &str, network: &str) -> bool {
    let is = |said: String| reason == one_line(&said);
    if let Some(other) = network.strip_prefix("container:") {
        let joined = "joining network namespace of container: ";
        let said = reason.strip_prefix(joined).unwrap_or(reason);
        return said == one_line(&format!("No such container: {other}"))
            || is(format!(
                "looking up container to share net namespace with: no container with name or ID {other:?} found: no such container"
            ));
    }
    is(format!("network {network} not found"))
        || is(format!(
            "unable to find network with name or ID {network}: network not found"
        ))
}

/// Returns which part of the command, other than the program, is wrong, if the runtime says so. moby derives its status from
/// the same words, so the status is ignored.
fn of_the_runtime(reason: &str, command: &Command) -> Option<&'static str> {
    if reason.starts_with("sethostname: ") {
        return Some("the host name");
    }
    let cwd = command.cwd.as_deref().unwrap_or_default();
    if reason.starts_with("chdir to cwd (")
        || reason == one_line(&format!("mkdir {cwd}: file exists"))
    {
        return Some("the working directory");
    }
    let memory = command.memory.unwrap_or_default();
    let limit = "error setting cgroup config for procHooks process: unable to set memory limit to ";
    if memory > 0
        && (reason.starts_with(&format!("{limit}{memory} "))
            || reason.starts_with("OOM: the memory limit could be too low"))
    {
        return Some("the memory");
    }
    let mut targets = targets(command);
    targets
        .any(|target| is_of_a_mount(reason, target))
        .then_some("a mount")
}

/// Returns whether the runtime could not mount at `target` because of what it is. A mount that fails for another reason (a
/// volume's directory is missing, the kernel refuses its options) is a failure of the engine.
fn is_of_a_mount(reason: &str, target: &str) -> bool {
    let is_wrong = PATH_ERRORS.iter().any(|wrong| reason.ends_with(wrong));
    // No mount point can be created there, so the request is wrong, whatever the runtime says.
    let is_kernels = ["/proc", "/sys"].iter().any(|top| {
        let rest = target.strip_prefix(top);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if !is_wrong && !is_kernels {
        return false;
    }
    let at = reason
        .strip_prefix("error mounting ")
        .and_then(quoted)
        .and_then(|(_, rest)| quoted(rest.strip_prefix(" to rootfs at ")?));
    if let Some((at, rest)) = at {
        return same(at, target) && rest.starts_with(':');
    }
    // crun quotes nothing, so its words are compared as a whole. It may fail at any part of the path, and omits the first
    // slash.
    let target = one_line(target);
    parts(&target).any(|part| {
        let part = part.trim_start_matches('/');
        ["", "/"].iter().any(|slash| {
            let begins = |with: &str| reason.starts_with(&format!("{with}`{slash}{part}`"));
            begins("mkdir ")
                || begins("creating ")
                || begins("error creating directory ")
                || reason
                    .strip_prefix("mount `")
                    .and_then(|rest| rest.split_once("` to `"))
                    .is_some_and(|(_, to)| to.starts_with(&format!("{slash}{part}`: ")))
        })
    })
}

/// Returns the layers that a message starts with, and the rest of it.
fn without_layers(said: &str) -> (Vec<&'static str>, &str) {
    let mut rest = said;
    let mut found = Vec::new();
    'layers: loop {
        for layer in LAYERS {
            let after = match layer.split_once('*') {
                None => rest.strip_prefix(layer),
                Some((before, after)) => rest
                    .strip_prefix(before)
                    .and_then(|found| found.split_once(after))
                    .filter(|(own, _)| !own.contains(' '))
                    .map(|(_, found)| found),
            };
            if let Some(after) = after {
                rest = after;
                found.push(layer);
                continue 'layers;
            }
        }
        return (found, rest);
    }
}

fn without_tails(mut reason: &str) -> &str {
    while let Some(before) = TAILS.iter().find_map(|tail| reason.strip_suffix(tail)) {
        reason = before;
    }
    reason
}

/// Returns the text inside `"…"` and what follows it, if the word is quoted as in Go.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let inside = text.strip_prefix('"')?;
    let end = inside.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((&inside[..end], &inside[end + 1..]))
}

/// Returns whether a quoted word is the one that was requested.
fn same(inside: &str, asked: &str) -> bool {
    let asked = one_line(asked);
    inside == asked || format!("\"{inside}\"") == format!("{asked:?}")
}

/// As a shell does: 127 for a program that does not exist, and 126 for one that exists and cannot be executed.
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

/// The same for crun's messages. crun quotes nothing, so the words must be exactly those that were requested.
fn not_executed_by_crun(reason: &str, program: &str) -> Option<Cause> {
    let rest = |with: &str| {
        let with = one_line(&format!("{with} `{program}`"));
        reason.strip_prefix(&with)
    };
    if rest("executable file").is_some_and(|rest| rest.starts_with(" not found")) {
        return Some(Cause::Program(127));
    }
    if let Some(why) = rest("cannot open").and_then(|rest| rest.strip_prefix(": ")) {
        return Some(not_executed(&why.to_lowercase(), program));
    }
    let refused = rest("the path").is_some() || reason.starts_with("open executable: ");
    refused.then_some(Cause::Program(126))
}

/// Returns whether a message ends with what is wrong with a path from the caller, or with a part of it.
fn is_of_a_path(reason: &str, command: &Command) -> bool {
    let mut named = PATH_ERRORS
        .iter()
        .filter_map(|wrong| reason.strip_suffix(wrong));
    named.any(|named| ends_with_a_path(named, command))
}

fn ends_with_a_path(named: &str, command: &Command) -> bool {
    let mut paths = targets(command).chain(command.cwd.as_deref());
    paths.any(|path| {
        let path = one_line(path);
        parts(&path).any(|part| named.ends_with(part))
    })
}

/// Returns the targets of all mounts of the command.
fn targets(command: &Command) -> impl Iterator<Item = &str> {
    let mounts = command.mounts.iter().map(|mount| mount.target.as_str());
    let secrets = command.secrets.iter().map(|secret| secret.target.as_str());
    mounts.chain(secrets)
}

/// Returns a path and all its prefixes.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1);
    let parts = ends
        .chain([path.len()])
        .map(|end| path[..end].trim_end_matches('/'));
    parts.filter(|part| !part.is_empty())
}

#[cfg(test)]
mod seen;
