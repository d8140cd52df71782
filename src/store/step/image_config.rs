//! [`ImageConfig`]: the configuration of a result, set on top of its base's.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::store::archive::absolute;
use crate::store::step::spec::Config;

/// The configuration of a result: its entrypoint and command, variables, labels and so on. What is not set here is inherited
/// from the base. Settings are applied in the order in which they were made; [`Step::configure`](crate::Step::configure) checks
/// each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    pub(crate) changes: Vec<Change>,
}

/// How an engine checks whether a container of an image is healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    test: Vec<String>,
    interval: Duration,
    timeout: Duration,
    start_period: Duration,
    retries: u32,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Entrypoint(Vec<String>),
    Command(Vec<String>),
    Env(String, Option<String>),
    Label(String, Option<String>),
    User(String),
    Directory(String),
    /// Whether the port is exposed or removed.
    Port(String, bool),
    Volume(String, bool),
    StopSignal(String),
    HealthCheck(Option<HealthCheck>),
}

impl ImageConfig {
    /// Creates a configuration in which nothing is set: everything is inherited from the base.
    pub fn new() -> Self {
        ImageConfig::default()
    }

    fn change(&mut self, change: Change) -> &mut Self {
        self.changes.push(change);
        self
    }

    /// Sets the words that are put before every command; an empty list removes the base's entrypoint. The base's command is
    /// kept: set it, too.
    pub fn entrypoint(&mut self, words: impl IntoIterator<Item = impl Into<String>>) -> &mut Self {
        self.change(Change::Entrypoint(
            words.into_iter().map(Into::into).collect(),
        ))
    }

    /// Sets the command that runs by default; an empty list removes the base's command.
    pub fn command(&mut self, words: impl IntoIterator<Item = impl Into<String>>) -> &mut Self {
        self.change(Change::Command(words.into_iter().map(Into::into).collect()))
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.change(Change::Env(name.into(), Some(value.into())))
    }

    /// Removes an environment variable of the base.
    pub fn no_env(&mut self, name: impl Into<String>) -> &mut Self {
        self.change(Change::Env(name.into(), None))
    }

    /// Sets a label.
    pub fn label(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.change(Change::Label(name.into(), Some(value.into())))
    }

    /// Removes a label of the base.
    pub fn no_label(&mut self, name: impl Into<String>) -> &mut Self {
        self.change(Change::Label(name.into(), None))
    }

    /// Sets the user: a name or a number, optionally followed by `:` and a group. Empty means no user is set, which is root.
    pub fn user(&mut self, user: impl Into<String>) -> &mut Self {
        self.change(Change::User(user.into()))
    }

    /// Sets the working directory, an absolute path.
    pub fn directory(&mut self, path: impl Into<String>) -> &mut Self {
        self.change(Change::Directory(path.into()))
    }

    /// Sets a port that the image listens on: `80`, `80/tcp` or `53/udp`.
    pub fn expose(&mut self, port: impl Into<String>) -> &mut Self {
        self.change(Change::Port(port.into(), true))
    }

    /// Removes an exposed port of the base.
    pub fn no_expose(&mut self, port: impl Into<String>) -> &mut Self {
        self.change(Change::Port(port.into(), false))
    }

    /// Declares a volume at an absolute path: an engine creates a volume there in each container.
    pub fn volume(&mut self, path: impl Into<String>) -> &mut Self {
        self.change(Change::Volume(path.into(), true))
    }

    /// Removes a volume declaration of the base.
    pub fn no_volume(&mut self, path: impl Into<String>) -> &mut Self {
        self.change(Change::Volume(path.into(), false))
    }

    /// Sets the signal that asks a container to stop: `SIGTERM`, `TERM` or `15`. Empty means none is set, which is SIGTERM.
    pub fn stop_signal(&mut self, signal: impl Into<String>) -> &mut Self {
        self.change(Change::StopSignal(signal.into()))
    }

    /// Sets the health check; `None` removes the base's check.
    pub fn health_check(&mut self, check: Option<HealthCheck>) -> &mut Self {
        self.change(Change::HealthCheck(check))
    }

    /// Returns whether nothing is set.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Refuses settings that no engine accepts, or that an engine accepts but fails on when a container is created.
    pub(crate) fn check(&self) -> Result<()> {
        self.changes.iter().try_for_each(Change::check)
    }

    /// Returns the configuration that results from applying the settings to the base's.
    pub(crate) fn over(&self, base: &Config) -> Config {
        let mut config = base.clone();
        for change in &self.changes {
            change.apply(&mut config);
        }
        config
    }
}

impl HealthCheck {
    /// A command that exits with 0 if the container is healthy.
    pub fn command(words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let words = words.into_iter().map(Into::into);
        HealthCheck::of([String::from("CMD")].into_iter().chain(words).collect())
    }

    /// A line for the image's shell, which exits with 0 if the container is healthy.
    pub fn shell(line: impl Into<String>) -> Self {
        HealthCheck::of(vec![String::from("CMD-SHELL"), line.into()])
    }

    /// No check is made, whatever the base declares.
    pub fn none() -> Self {
        HealthCheck::of(vec![String::from("NONE")])
    }

    fn of(test: Vec<String>) -> Self {
        HealthCheck {
            test,
            interval: Duration::ZERO,
            timeout: Duration::ZERO,
            start_period: Duration::ZERO,
            retries: 0,
        }
    }

    /// Sets the time between two checks. Zero means the engine's default, here and in the other settings.
    pub fn interval(mut self, time: Duration) -> Self {
        self.interval = time;
        self
    }

    /// Sets how long a check may take.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// Sets for how long after the start failures do not count.
    pub fn start_period(mut self, time: Duration) -> Self {
        self.start_period = time;
        self
    }

    /// Sets how many failures in a row make a container unhealthy.
    pub fn retries(mut self, times: u32) -> Self {
        self.retries = times;
        self
    }

    fn written(&self) -> Value {
        let mut check = Map::new();
        check.insert("Test".into(), json!(self.test));
        // As an engine writes it: settings that are not set are left out.
        for (name, time) in self.times() {
            let nanos = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
            if nanos > 0 {
                check.insert(name.into(), json!(nanos));
            }
        }
        if self.retries > 0 {
            check.insert("Retries".into(), json!(self.retries));
        }
        Value::Object(check)
    }

    fn times(&self) -> [(&'static str, Duration); 3] {
        [
            ("Interval", self.interval),
            ("Timeout", self.timeout),
            ("StartPeriod", self.start_period),
        ]
    }
}

/// No engine accepts a shorter time in a health check (moby `daemon/container.go`).
const SHORTEST: Duration = Duration::from_millis(1);

impl Change {
    fn check(&self) -> Result<()> {
        let refuse = |why: String| {
            let why = format!("the configuration of a result: {why}");
            Err(Error::new(ErrorKind::InvalidArgument, why))
        };
        if self.texts().any(|text| text.contains('\0')) {
            return refuse("a text contains a NUL byte".into());
        }
        match self {
            Change::Env(name, _) if name.is_empty() || name.contains('=') => {
                refuse(format!("{name:?} is not a valid environment variable name"))
            }
            Change::Label(name, _) if name.is_empty() => refuse("a label has no name".into()),
            Change::Directory(path) if !path.is_empty() => {
                absolute("the configuration of a result: the working directory", path)
            }
            Change::Volume(path, true) => match path.trim_end_matches('/') {
                "" => refuse(format!("{path:?} cannot be a volume")),
                _ => absolute("the configuration of a result: the volume", path),
            },
            Change::Port(port, true) if full_port(port).is_none() => refuse(format!(
                "{port:?} is not a valid port: use a number from 1 to 65535, and /tcp, /udp or /sctp"
            )),
            Change::StopSignal(signal) if !signal.is_empty() && !is_signal(signal) => {
                refuse(format!("{signal:?} is not a valid signal"))
            }
            Change::HealthCheck(Some(check)) => {
                let empty = match check.test.first().map(String::as_str) {
                    Some("NONE") => false,
                    _ => check.test.get(1).is_none_or(String::is_empty),
                };
                if empty {
                    return refuse("a health check has no command".into());
                }
                let short = |(_, time): &(_, Duration)| !time.is_zero() && *time < SHORTEST;
                match check.times().iter().find(|time| short(time)) {
                    Some((name, _)) => refuse(format!(
                        "{name} of a health check is shorter than {SHORTEST:?}"
                    )),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn texts(&self) -> Box<dyn Iterator<Item = &String> + '_> {
        match self {
            Change::Entrypoint(words) | Change::Command(words) => Box::new(words.iter()),
            Change::Env(name, value) | Change::Label(name, value) => {
                Box::new([name].into_iter().chain(value))
            }
            Change::User(text)
            | Change::Directory(text)
            | Change::Port(text, _)
            | Change::Volume(text, _)
            | Change::StopSignal(text) => Box::new([text].into_iter()),
            Change::HealthCheck(check) => {
                Box::new(check.iter().flat_map(|check| check.test.iter()))
            }
        }
    }

    fn apply(&self, config: &mut Config) {
        let words = |words: &[String]| match words {
            [] => Value::Null,
            words => json!(words),
        };
        match self {
            Change::Entrypoint(given) => put(config, "Entrypoint", words(given)),
            Change::Command(given) => put(config, "Cmd", words(given)),
            Change::Env(name, value) => set_env(config, name, value.as_deref()),
            Change::Label(name, value) => {
                set_field(
                    config,
                    "Labels",
                    name,
                    value.as_ref().map(|value| json!(value)),
                );
            }
            Change::User(user) => put(config, "User", json!(user)),
            Change::Directory(path) => put(config, "WorkingDir", json!(path)),
            Change::Port(port, there) => {
                let port = full_port(port).unwrap_or_else(|| port.clone());
                set_field(config, "ExposedPorts", &port, there.then(|| json!({})));
            }
            Change::Volume(path, there) => {
                set_field(config, "Volumes", path, there.then(|| json!({})));
            }
            Change::StopSignal(signal) => match signal.as_str() {
                "" => drop(config.remove("StopSignal")),
                signal => put(config, "StopSignal", json!(signal)),
            },
            Change::HealthCheck(None) => drop(config.remove("Healthcheck")),
            Change::HealthCheck(Some(check)) => put(config, "Healthcheck", check.written()),
        }
    }
}

fn put(config: &mut Config, name: &str, value: Value) {
    config.insert(name.to_owned(), value);
}

/// Sets a variable in place, or adds it; or removes it.
fn set_env(config: &mut Config, name: &str, value: Option<&str>) {
    let known = config.get("Env").and_then(Value::as_array);
    let mut lines: Vec<Value> = known.cloned().unwrap_or_default();
    let is_named = |line: &Value| {
        let line = line.as_str().unwrap_or_default();
        line.split_once('=').map_or(line, |(name, _)| name) == name
    };
    match (lines.iter().position(is_named), value) {
        (Some(at), Some(value)) => lines[at] = json!(format!("{name}={value}")),
        (None, Some(value)) => lines.push(json!(format!("{name}={value}"))),
        (Some(_), None) => lines.retain(|line| !is_named(line)),
        (None, None) => {}
    }
    put(config, "Env", json!(lines));
}

/// Sets a field of one of the configuration's objects, or removes it; removing the last field removes the object.
fn set_field(config: &mut Config, object: &str, field: &str, value: Option<Value>) {
    let known = config.get(object).and_then(Value::as_object);
    let mut fields = known.cloned().unwrap_or_default();
    match value {
        Some(value) => drop(fields.insert(field.to_owned(), value)),
        None => drop(fields.remove(field)),
    }
    match fields.is_empty() {
        true => drop(config.remove(object)),
        false => put(config, object, Value::Object(fields)),
    }
}

/// Returns a port with its protocol.
fn full_port(port: &str) -> Option<String> {
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u16 = number.parse().ok().filter(|_| digits)?;
    let known = ["tcp", "udp", "sctp"].contains(&protocol);
    (number > 0 && known).then(|| format!("{number}/{protocol}"))
}

/// The signals that Linux has names for.
const SIGNALS: [&str; 34] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// Returns whether it is a signal of Linux, by its number or its name. Engines know the signals without a name as `RTMIN+N` and
/// `RTMAX-N`.
fn is_signal(signal: &str) -> bool {
    if let Ok(number) = signal.parse::<u8>() {
        return (1..=64).contains(&number);
    }
    let name = signal.strip_prefix("SIG").unwrap_or(signal);
    let real_time = ["RTMIN+", "RTMAX-"].iter().find_map(|start| {
        let number = name.strip_prefix(start)?.parse::<u8>().ok()?;
        Some(number <= if *start == "RTMIN+" { 15 } else { 14 })
    });
    real_time.unwrap_or(SIGNALS.contains(&name) || name == "RTMIN" || name == "RTMAX")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(value: Value) -> Config {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn what_is_set_stands_over_the_base_and_what_is_not_stays() {
        let base = config(json!({
            "Entrypoint": ["/old"], "Cmd": ["a"], "Env": ["PATH=/bin", "A=1", "AB=2"],
            "Labels": { "x": "1", "y": "2" }, "User": "root", "WorkingDir": "/w",
            "ExposedPorts": { "80/tcp": {} }, "Volumes": { "/data": {} },
            "StopSignal": "SIGINT", "Healthcheck": { "Test": ["NONE"] }, "OnBuild": ["RUN x"],
        }));
        assert_eq!(ImageConfig::new().over(&base), base);
        let mut new = ImageConfig::new();
        new.entrypoint(["/new", "-x"]).command([""; 0]);
        new.env("A", "x=y").no_env("PATH").env("C", "");
        new.label("z", "3")
            .no_label("x")
            .user("1000:1000")
            .directory("/");
        new.expose("53/udp")
            .no_expose("80")
            .volume("/more")
            .no_volume("/data");
        new.stop_signal("").health_check(None);
        new.check().expect("good");
        let after = new.over(&base);
        assert_eq!(
            Value::Object(after),
            json!({
                "Entrypoint": ["/new", "-x"], "Cmd": null, "Env": ["A=x=y", "AB=2", "C="],
                "Labels": { "y": "2", "z": "3" }, "User": "1000:1000", "WorkingDir": "/",
                "ExposedPorts": { "53/udp": {} }, "Volumes": { "/more": {} }, "OnBuild": ["RUN x"],
            })
        );
        let mut last = ImageConfig::new();
        last.env("A", "1").no_env("A").no_label("y").label("y", "5");
        let after = Value::Object(last.over(&base));
        assert_eq!(after["Env"], json!(["PATH=/bin", "AB=2"]));
        assert_eq!(after["Labels"], json!({ "x": "1", "y": "5" }), "in order");
    }

    #[test]
    fn a_health_check_is_written_as_engines_write_it() {
        let second = Duration::from_secs(1);
        let check = HealthCheck::shell("test -e /ok")
            .interval(second)
            .retries(3);
        let mut new = ImageConfig::new();
        new.health_check(Some(check));
        new.check().expect("good");
        assert_eq!(
            Value::Object(new.over(&Config::new())),
            json!({ "Healthcheck": { "Test": ["CMD-SHELL", "test -e /ok"], "Interval": 1_000_000_000, "Retries": 3 } })
        );
    }

    #[test]
    fn what_no_engine_takes_is_refused_before_anything_is_sent() {
        let bad: [fn(&mut ImageConfig); 18] = [
            |c| _ = c.env("", "x"),
            |c| _ = c.env("A=B", "x"),
            |c| _ = c.env("A", "a\0b"),
            |c| _ = c.label("", "x"),
            |c| _ = c.directory("relative"),
            |c| _ = c.directory("/a/../b"),
            |c| _ = c.expose("0"),
            |c| _ = c.expose("65536"),
            |c| _ = c.expose("80/http"),
            |c| _ = c.expose("+80"),
            |c| _ = c.volume("/"),
            |c| _ = c.volume("data"),
            |c| _ = c.stop_signal("SIGNONE"),
            |c| _ = c.stop_signal("65"),
            |c| _ = c.stop_signal("RTMIN+16"),
            |c| _ = c.health_check(Some(HealthCheck::shell(""))),
            |c| _ = c.health_check(Some(HealthCheck::command([""; 0]))),
            |c| {
                let check = HealthCheck::command(["x"]).interval(Duration::from_micros(1));
                c.health_check(Some(check));
            },
        ];
        for (n, spoil) in bad.iter().enumerate() {
            let mut config = ImageConfig::new();
            spoil(&mut config);
            let error = config.check().expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "case {n}");
        }
        let mut good = ImageConfig::new();
        good.stop_signal("SIGRTMIN+3")
            .stop_signal("9")
            .stop_signal("TERM");
        good.health_check(Some(HealthCheck::none()))
            .no_volume("x")
            .no_expose("x");
        good.check().expect("good");
    }
}
