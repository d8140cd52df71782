//! How a command ended: by itself, because memory ran out, or from outside; and whether all of its output was received.

use std::time::{Duration, SystemTime};

use crate::engine::containers::{Container, ExitWait, State};
use crate::engine::events::Event;
use crate::engine::moment::since_1970;
use crate::error::{Error, ErrorKind, Result};
use crate::store::step::StepContext;
use crate::store::step::command::Command;
use crate::wait::Wait;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// Its exit status: 0 to 255, or 128 + N if it was killed by signal N.
    pub code: i64,
    /// Whether the command was started at all. If not, `code` is the status that a shell returns: 127 if the program does not
    /// exist, 126 if it cannot be executed.
    pub started: bool,
}

/// The exit status of a command that was killed.
const KILLED: i64 = 128 + 9;

/// How long inspecting a container that has ended may take. It takes milliseconds. Without it, it is not known how the command
/// ended, so it gets time; but half of what other short requests get, because the command has already been waited for.
const AFTERWARDS: Duration = Duration::from_secs(30);

/// How long an engine may take from the end of a container's output to its exit. (moby reports nothing of the end of a
/// container until both are done. Podman does.)
const APART: Duration = Duration::from_secs(5);

/// How often Podman is queried again for a container that it does not find, and the pause in between. Podman needs milliseconds
/// to move a container from one table to another; half a second is many times that.
const LOOKS: u32 = 10;
const LOOK: Duration = Duration::from_millis(50);

/// Two clocks do not run at the same speed: they may differ by this fraction of an interval, and at least by this much. 1/2000
/// is 500 ppm, the most by which NTP changes the speed of a clock.
const DRIFT: i128 = 2000;
const LEAST_DRIFT: i128 = 5_000_000;

/// Signals that by default do not end a command: CHLD, CONT, URG, WINCH.
const HARMLESS: [u32; 4] = [17, 18, 23, 28];

/// When the requests were sent to the engine, and when the output ended, by the local clock.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) create_sent: SystemTime,
    pub(super) start_sent: SystemTime,
    pub(super) output_ended: SystemTime,
}

/// Confirms how a container ended after its output has ended.
pub(super) fn confirm(
    step: &StepContext<'_>,
    container: &str,
    exit: ExitWait,
    span: &Span,
    wait: Wait<'_>,
) -> Result<Container> {
    let engine = &step.site.engine;
    let mut found = look(step, container)?;
    let code = match found.state.running {
        false => engine.exit_status(exit, wait)?,
        true => {
            let code =
                engine
                    .exit_status(exit, wait.at_most(APART))
                    .map_err(|e| match wait.left() {
                        Ok(_) if e.kind() == ErrorKind::TimedOut => {
                            cut_short("the command runs on, and its output has ended")
                        }
                        _ => e,
                    })?;
            found = look(step, container)?;
            code
        }
    };
    let state = &found.state;
    if state.running || state.exit_code != code {
        let runs = match state.running {
            true => "still runs, with",
            false => "ended with",
        };
        let why = format!(
            "the engine says that container {container} ended with {code} and then that it {runs} {}",
            state.exit_code
        );
        return Err(Error::new(ErrorKind::Engine, why));
    }
    let apart = match engine.is_podman() {
        true => APART,
        false => Duration::ZERO,
    };
    match ended_too_soon(span, &found, apart) {
        true => Err(cut_short("its output ended before the command did")),
        false => Ok(found),
    }
}

fn look(step: &StepContext<'_>, container: &str) -> Result<Container> {
    let wait = step.wait.at_most(AFTERWARDS);
    let engine = &step.site.engine;
    let mut found = engine.inspect_container(container, wait);
    for _ in 0..LOOKS {
        // Podman moves a container that has ended from one of its tables to another, and for a short time finds it in neither.
        if !(engine.is_podman() && matches!(&found, Err(e) if e.http_status() == Some(500))) {
            break;
        }
        step.pause(LOOK, "inspecting a container that has ended")?;
        found = engine.inspect_container(container, wait);
    }
    let found = found?;
    found.ok_or_else(|| {
        killed(
            format!("container {container} was removed by another program"),
            None,
        )
    })
}

/// Returns whether the output ended before the command did. An engine ends the stream when the container has ended, but a
/// broken connection ends it, too. The bytes do not show the difference, but the times do. `apart` is how much later the engine
/// may report the end of the container.
fn ended_too_soon(span: &Span, found: &Container, apart: Duration) -> bool {
    let Some((ahead, ended)) = ahead(span, found).zip(nanos(&found.state.finished_at)) else {
        return false;
    };
    let ran = ours(span.output_ended) - ours(span.create_sent);
    let drift = LEAST_DRIFT + ran.max(0) / DRIFT;
    ended > ours(span.output_ended) + ahead + drift + apart.as_nanos() as i128
}

/// Returns an upper bound on how far the engine's clock is ahead of the local clock, in nanoseconds: the engine did what it was
/// asked only after the request was sent.
fn ahead(span: &Span, found: &Container) -> Option<i128> {
    let created = nanos(&found.created)? - ours(span.create_sent);
    let started = nanos(&found.state.started_at)? - ours(span.start_sent);
    Some(created.min(started))
}

fn ours(at: SystemTime) -> i128 {
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

/// Parses a time that the engine reported.
fn nanos(text: &str) -> Option<i128> {
    since_1970(text).map(|since| since.as_nanos() as i128)
}

/// Decides what the run returns.
pub(super) fn judge(
    step: &StepContext<'_>,
    container: &str,
    command: &Command,
    span: &Span,
    found: &Container,
) -> Result<Exit> {
    let state = &found.state;
    let code = state.exit_code;
    let exit = Exit {
        code,
        started: true,
    };
    if code == 0 {
        return Ok(exit);
    }
    let befell = what_befell(step, container, command, span, found)?;
    if state.oom_killed || code == KILLED && befell.iter().any(|event| event.action == "oom") {
        let why = "the command was killed because its memory ran out";
        return Err(Error::new(ErrorKind::OutOfMemory, why).with_exit_code(code));
    }
    if let Some(how) = from_outside(state, &befell) {
        let why = format!("{how}; the command ended with exit status {code}");
        return Err(killed(why, Some(code)));
    }
    if !command.allow_failure {
        let program = command.argv.first().map(String::as_str).unwrap_or_default();
        let why = format!(
            "the command {program:?} ended with exit status {code}; its output is in the log"
        );
        return Err(Error::new(ErrorKind::CommandFailed, why).with_exit_code(code));
    }
    Ok(exit)
}

/// Returns the events that the engine has recorded for the container. It is queried only for a command that failed.
///
/// A signal from outside is recorded before the exit is, but possibly after the exit itself; so the query goes up to now. The
/// kernel's report that memory ran out may reach the engine still later: it is waited for if the command had a memory limit.
fn what_befell(
    step: &StepContext<'_>,
    container: &str,
    command: &Command,
    span: &Span,
    found: &Container,
) -> Result<Vec<Event>> {
    let state = &found.state;
    let may_come = state.exit_code == KILLED && !state.oom_killed && command.memory.is_some();
    let pause = match may_come {
        true => Duration::from_secs(1),
        false => Duration::ZERO,
    };
    let now = ours(SystemTime::now()) + ahead(span, found).unwrap_or_default();
    let now = Duration::from_nanos(now.clamp(0, i128::from(u64::MAX)) as u64);
    let until = now.max(since_1970(&state.finished_at).unwrap_or_default()) + pause;
    let wait = step.wait.at_most(AFTERWARDS);
    step.site.engine.events_of_container(container, until, wait)
}

/// Returns how something other than the command ended it, if that can be determined.
fn from_outside(state: &State, befell: &[Event]) -> Option<String> {
    if state.dead || state.status == "removing" {
        return Some(String::from(
            "its container is being removed by another program",
        ));
    }
    befell.iter().find_map(|event| match event.action.as_str() {
        "kill" if event.signal == 0 => {
            Some(String::from("the engine was asked to send it a signal"))
        }
        "kill" if !HARMLESS.contains(&event.signal) => Some(format!(
            "the engine was asked to send it signal {}",
            event.signal
        )),
        "stop" | "destroy" => Some(format!("the engine was asked to {} it", event.action)),
        _ => None,
    })
}

fn killed(why: String, code: Option<i64>) -> Error {
    let error = Error::new(ErrorKind::Killed, why);
    match code {
        Some(code) => error.with_exit_code(code),
        None => error,
    }
}

fn cut_short(why: &str) -> Error {
    Error::new(
        ErrorKind::CutShort,
        format!("reading the output of the step: {why}, so a part of it may be missing"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(json: serde_json::Value) -> State {
        serde_json::from_value(json).expect("a state")
    }

    #[test]
    fn output_that_ended_before_its_command_is_told_by_the_times_of_both() {
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let after = |seconds| began + Duration::from_secs_f64(seconds);
        let span = |ended| Span {
            create_sent: began,
            start_sent: after(0.1),
            output_ended: after(ended),
        };
        // The engine's clock is years ahead; it created the container 20 ms after the request.
        let ran: Container = serde_json::from_value(serde_json::json!({
            "Created": "2026-11-25T23:00:00.02Z",
            "State": {
                "ExitCode": 0,
                "StartedAt": "2026-11-25T23:00:00.5Z",
                "FinishedAt": "2026-11-25T23:00:10Z",
            },
        }))
        .expect("a container");
        for (ended, too_soon) in [
            (10.2, false),
            (10.0, false),
            (9.98, false),
            (9.9, true),
            (1.0, true),
        ] {
            let found = ended_too_soon(&span(ended), &ran, Duration::ZERO);
            assert_eq!(found, too_soon, "{ended}");
            // Podman reports the end of a container some time after the end of its output.
            let found = ended_too_soon(&span(ended), &ran, APART);
            assert_eq!(found, ended < 5.0, "{ended}");
        }
        let unknown = r#"{ "State": { "ExitCode": 0 } }"#;
        let unknown: Container = serde_json::from_str(unknown).expect("a container");
        assert!(!ended_too_soon(&span(0.0), &unknown, Duration::ZERO));
    }

    #[test]
    fn a_hand_from_outside_is_told_from_the_commands_own_end() {
        let alone = state(serde_json::json!({ "ExitCode": 137, "Status": "exited" }));
        let event = |action: &str, signal| Event {
            action: action.to_owned(),
            signal,
        };
        assert_eq!(from_outside(&alone, &[]), None);
        assert_eq!(
            from_outside(&alone, &[event("kill", 28), event("die", 0)]),
            None
        );
        assert!(from_outside(&alone, &[event("kill", 9)]).is_some());
        assert!(from_outside(&alone, &[event("kill", 15), event("stop", 0)]).is_some());
        let removing = state(serde_json::json!({ "ExitCode": 137, "Status": "removing" }));
        assert!(from_outside(&removing, &[]).is_some());
        let dead = state(serde_json::json!({ "ExitCode": 137, "Dead": true }));
        assert!(from_outside(&dead, &[]).is_some());
    }
}
