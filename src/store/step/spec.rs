//! From a [`Command`] to the request that creates a container, and the checks before anything is sent.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::store::helper::{bind_mount, volume_mount};
use crate::store::network::Alone;
use crate::store::step::command::{Command, Entrypoint, Mount, Source, Stdin};

/// The configuration of an image, as the engine wrote it.
pub(crate) type Config = Map<String, Value>;

/// What a container of the step is created from, and what a commit would leave of it in the result.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) body: Value,
    /// Whether the command sets something that its image does not have and a commit cannot take back.
    pub(crate) leaks: bool,
    /// Where something is mounted: what is created only as a mount point is not part of the result.
    pub(crate) targets: Vec<String>,
}

impl Spec {
    /// Returns the first of the words that the container runs.
    pub(crate) fn program(&self) -> String {
        let first = self.body["Entrypoint"][0].as_str();
        first.unwrap_or_default().to_owned()
    }
}

/// Returns the spec of a container that is only copied into or out of. It runs nothing.
pub(crate) fn idle(image: &str) -> Spec {
    Spec {
        body: json!({ "Image": image, "Entrypoint": ["-"], "HostConfig": host_config() }),
        leaks: false,
        targets: Vec::new(),
    }
}

/// Returns the spec of a container for `command`. `secrets` are the bind mounts of the secret files: (path on the engine's
/// host, target). `alone` is what the container is given instead of a network of the engine's.
pub(crate) fn of(
    command: &Command,
    image: &str,
    config: &Config,
    secrets: &[(String, String)],
    alone: Option<&Alone>,
) -> Result<Spec> {
    check(command)?;
    let mut argv: Vec<Value> = match &command.entrypoint {
        Entrypoint::None => Vec::new(),
        Entrypoint::Image => config
            .get("Entrypoint")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default(),
        Entrypoint::Given(words) => words.iter().map(|w| json!(w)).collect(),
    };
    argv.extend(command.argv.iter().map(|w| json!(w)));

    let mut host = host_config();
    if let Some(network) = &command.network {
        host["NetworkMode"] = json!(network);
    }
    if let Some(cpus) = command.nano_cpus {
        host["NanoCpus"] = json!(cpus);
    }
    if let Some(bytes) = command.memory {
        host["Memory"] = json!(bytes);
        // The same number: no swap beyond the memory limit.
        host["MemorySwap"] = json!(bytes);
    }
    let mut mounts: Vec<Value> = command
        .mounts
        .iter()
        .map(|mount| match &mount.source {
            Source::Leased(name) | Source::Volume(name) => {
                volume_mount(name, &mount.target, mount.read_only)
            }
            Source::Bind(path) => bind_mount(path, &mount.target, mount.read_only),
        })
        .collect();
    mounts.extend(
        secrets
            .iter()
            .map(|(path, target)| bind_mount(path, target, true)),
    );
    host["Mounts"] = json!(mounts);

    let env: Vec<String> = command
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let input = !matches!(command.stdin, Stdin::Nothing);
    let mut body = json!({
        "Image": image,
        // All words go here and none into Cmd: a commit merges Cmd into an image that has none.
        "Entrypoint": argv,
        "Env": env,
        "User": command.user.as_deref().unwrap_or_default(),
        "WorkingDir": command.cwd.as_deref().unwrap_or_default(),
        "Hostname": command.hostname.as_deref().unwrap_or_default(),
        "AttachStdout": true,
        "AttachStderr": true,
        "AttachStdin": input,
        "OpenStdin": input,
        "StdinOnce": input,
    });
    if let Some(alone) = alone {
        alone.give(&mut body, &mut host);
    }
    body["HostConfig"] = host;
    if is_checked(config) {
        // What a health check writes would be in the result. A commit restores the base's check.
        body["Healthcheck"] = json!({ "Test": ["NONE"] });
    }
    Ok(Spec {
        body,
        leaks: leaks(command, config),
        targets: targets(command).map(str::to_owned).collect(),
    })
}

/// Returns whether the command has no network, and leaves `/etc/hosts` to the program that creates the container.
pub(crate) fn is_alone(command: &Command) -> bool {
    let none = command
        .network
        .as_deref()
        .is_none_or(|network| network == "none");
    let covers = |target: &str| Path::new("/etc/hosts").starts_with(Path::new(target));
    none && !targets(command).any(covers)
}

/// Returns the settings that all containers of a step share. The engine's own log is off: it would use four bytes on disk for
/// each byte of output, and the step's log already has the output.
fn host_config() -> Value {
    json!({ "NetworkMode": "none", "LogConfig": { "Type": "none" } })
}

/// Returns whether an engine would run health checks in a container with this configuration.
fn is_checked(config: &Config) -> bool {
    let test = config
        .get("Healthcheck")
        .and_then(|check| check.get("Test"));
    let words = test.and_then(Value::as_array);
    words.is_some_and(|words| words.first().is_some_and(|word| word != "NONE"))
}

/// Returns whether a commit would keep something of the command that its base does not have. A commit's configuration is merged
/// over the container's: it can restore the old value of a variable, but it can neither remove a new variable nor unset a user.
/// In addition, an image stores the container's own configuration, including its variables.
fn leaks(command: &Command, base: &Config) -> bool {
    let has_user = base
        .get("User")
        .and_then(Value::as_str)
        .is_some_and(|user| !user.is_empty());
    !command.env.is_empty() || command.user.is_some() && !has_user
}

/// Returns the base's configuration as the body of a commit, so that the merge results in the base's configuration.
pub(crate) fn commit_body(base: &Config) -> Value {
    let mut body = base.clone();
    // If missing, it is filled in from the container; an empty list is not. At run time both mean "none".
    if body.get("Entrypoint").is_none_or(Value::is_null) {
        body.insert("Entrypoint".into(), json!([]));
    }
    if body
        .get("WorkingDir")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty()
    {
        body.insert("WorkingDir".into(), json!("/"));
    }
    Value::Object(body)
}

/// The longest host name that Linux accepts (`__NEW_UTS_LEN`).
const HOST_NAME_MAX: usize = 64;

fn targets(command: &Command) -> impl Iterator<Item = &str> {
    let mounts = command.mounts.iter().map(|mount| mount.target.as_str());
    mounts.chain(command.secrets.iter().map(|secret| secret.target.as_str()))
}

/// Returns the mount targets that lie inside another mounted volume: the volume, and the path in it.
pub(crate) fn targets_in_volumes(command: &Command) -> Vec<(&str, &Path)> {
    let inner = targets(command).filter_map(|target| {
        let target = Path::new(target);
        let within = |mount: &&Mount| {
            let path = target.strip_prefix(&mount.target);
            path.is_ok_and(|path| !path.as_os_str().is_empty())
        };
        let outer = command.mounts.iter().filter(within);
        let outer = outer.max_by_key(|mount| Path::new(&mount.target).components().count())?;
        match &outer.source {
            Source::Volume(name) | Source::Leased(name) => {
                Some((name.as_str(), target.strip_prefix(&outer.target).ok()?))
            }
            Source::Bind(_) => None,
        }
    });
    inner.collect()
}

/// Returns each mount, with its name for error messages.
fn called(command: &Command) -> impl Iterator<Item = (String, &str)> {
    let mounts = command.mounts.iter().map(|mount| {
        let what = match &mount.source {
            Source::Leased(name) | Source::Volume(name) => format!("the volume {name:?}"),
            Source::Bind(path) => format!("the bind of {path:?}"),
        };
        (what, mount.target.as_str())
    });
    let secrets = command.secrets.iter();
    mounts.chain(secrets.map(|secret| ("a secret".to_owned(), secret.target.as_str())))
}

fn check(command: &Command) -> Result<()> {
    let words = match &command.entrypoint {
        Entrypoint::Given(words) if !words.is_empty() => words,
        _ => &command.argv,
    };
    let program = words.first().map(String::as_str).unwrap_or_default();
    let refuse = |why: String| {
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("the command {program:?} of a step: {why}"),
        ))
    };
    if command.argv.first().is_none_or(String::is_empty)
        && matches!(command.entrypoint, Entrypoint::None)
    {
        return refuse("it has no program".into());
    }
    for (name, _) in &command.env {
        if name.is_empty() || name.contains('=') {
            return refuse(format!("{name:?} is not a valid environment variable name"));
        }
    }
    let given = match &command.entrypoint {
        Entrypoint::Given(words) => words.as_slice(),
        _ => &[],
    };
    let words = given.iter().map(|word| ("an entrypoint's word", word));
    let words = words.chain(command.argv.iter().map(|word| ("an argument", word)));
    let env = command.env.iter();
    let env = env.flat_map(|(name, value)| [("a variable's name", name), ("a variable", value)]);
    let settings = [
        ("the working directory", &command.cwd),
        ("the user", &command.user),
        ("the host name", &command.hostname),
        ("the network", &command.network),
    ];
    let settings = settings.into_iter();
    let settings = settings.filter_map(|(what, text)| Some((what, text.as_ref()?)));
    for (what, text) in words.chain(env).chain(settings) {
        if text.contains('\0') {
            return refuse(format!("{what} {text:?} contains a NUL byte"));
        }
    }
    if command.hostname.as_deref().unwrap_or_default().len() > HOST_NAME_MAX {
        return refuse(format!("a host name has at most {HOST_NAME_MAX} bytes"));
    }
    if let Some(path) = command.cwd.as_deref().filter(|path| !path.starts_with('/')) {
        return refuse(format!(
            "the working directory {path:?} is not an absolute path"
        ));
    }
    for (what, target) in called(command) {
        if !target.starts_with('/') {
            return refuse(format!(
                "the target {target:?} of {what} is not an absolute path"
            ));
        }
    }
    for mount in &command.mounts {
        if let Source::Bind(path) = &mount.source {
            if !path.starts_with('/') {
                let at = &mount.target;
                return refuse(format!(
                    "the source {path:?} of the bind at {at:?} is not an absolute path"
                ));
            }
        }
    }
    for secret in &command.secrets {
        if secret.target.ends_with('/') || secret.mode & !0o777 != 0 {
            return refuse(format!(
                "the secret {:?} needs a file's path and a mode of at most 0777",
                secret.target
            ));
        }
    }
    for (what, limit) in [
        ("processors", command.nano_cpus),
        ("memory", command.memory),
    ] {
        if limit.is_some_and(|limit| limit <= 0) {
            return refuse(format!("its limit of {what} is not above zero"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(value: Value) -> Config {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn a_commit_is_known_to_leak_exactly_what_the_merge_cannot_undo() {
        let base = config(json!({ "Env": ["PATH=/bin", "A=1"], "User": "" }));
        let mut same = Command::new(["x"]);
        same.cwd("/w").hostname("h");
        assert!(!leaks(&same, &base));
        // The variable gets its old value back, but the container's configuration in the image would keep the new one.
        assert!(leaks(same.env("A", "2"), &base));
        let mut new = Command::new(["x"]);
        new.env("B", "2");
        assert!(leaks(&new, &base));
        let mut user = Command::new(["x"]);
        user.user("1000");
        assert!(leaks(&user, &base));
        assert!(!leaks(&user, &config(json!({ "User": "root" }))));
        assert!(leaks(&new, &config(json!({ "Env": null }))));
    }

    #[test]
    fn a_bad_command_is_refused_before_anything_is_sent() {
        let bad: [fn(&mut Command); 10] = [
            |c| _ = c.hostname("h".repeat(65)),
            |c| c.argv.clear(),
            |c| _ = c.env("A=B", "x"),
            |c| _ = c.env("", "x"),
            |c| _ = c.arg("a\0b"),
            |c| _ = c.cwd("relative"),
            |c| _ = c.volume("v", "relative", false),
            |c| _ = c.secret("/s", "x", (0, 0), 0o4777),
            |c| _ = c.secret("/s/", "x", (0, 0), 0o400),
            |c| _ = c.memory(0),
        ];
        for (n, spoil) in bad.iter().enumerate() {
            let mut command = Command::new(["true"]);
            assert!(of(&command, "i", &Config::new(), &[], None).is_ok());
            spoil(&mut command);
            let error = of(&command, "i", &Config::new(), &[], None).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "case {n}");
        }
    }

    #[test]
    fn a_refused_command_is_told_which_argument_it_is() {
        let refused = |change: fn(&mut Command)| {
            let mut command = Command::new(["prog", "x"]);
            change(&mut command);
            let refused = of(&command, "i", &Config::new(), &[], None).expect_err("refused");
            refused.message().to_owned()
        };
        for (change, says) in [
            (
                (|c| _ = c.cwd("a")) as fn(&mut Command),
                "the working directory \"a\" is not",
            ),
            (
                |c| _ = c.volume("v", "a", false),
                "the target \"a\" of the volume \"v\" is not",
            ),
            (
                |c| _ = c.bind("/s", "a", false),
                "the target \"a\" of the bind of \"/s\" is not",
            ),
            (
                |c| _ = c.bind("a", "/t", false),
                "the source \"a\" of the bind at \"/t\" is not",
            ),
            (
                |c| _ = c.secret("a", "", (0, 0), 0),
                "the target \"a\" of a secret is not",
            ),
            (
                |c| _ = c.user("a\0"),
                "the user \"a\\0\" contains a NUL byte",
            ),
        ] {
            let message = refused(change);
            let all = format!("the command \"prog\" of a step: {says}");
            assert!(message.starts_with(&all), "{message}");
        }
    }

    #[test]
    fn the_content_of_a_secret_is_not_in_what_the_engine_is_asked_nor_in_a_debug_line() {
        let mut command = Command::new(["true"]);
        command.secret("/run/secrets/key", "hunter2", (0, 0), 0o400);
        let spec = of(
            &command,
            "i",
            &Config::new(),
            &[("/v/0".into(), "/run/secrets/key".into())],
            None,
        )
        .expect("a spec");
        assert!(
            !spec.body.to_string().contains("hunter2")
                && !format!("{command:?}").contains("hunter2")
        );
    }

    #[test]
    fn a_command_that_mounts_over_its_hosts_or_has_a_network_is_left_to_the_engine() {
        assert!(is_alone(&Command::new(["true"])));
        assert!(is_alone(Command::new(["true"]).network("none")));
        assert!(!is_alone(Command::new(["true"]).network("host")));
        for (target, alone) in [
            ("/etc/hosts", false),
            ("/etc", false),
            ("/etc/", false),
            ("/etc/ssl", true),
            ("/etc/hosts.allow", true),
        ] {
            let mut command = Command::new(["true"]);
            assert_eq!(
                is_alone(command.volume("v", target, false)),
                alone,
                "{target}"
            );
        }
    }
}
