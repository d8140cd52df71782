//! How a command ended: by itself, for want of memory, or by somebody else's hand; and whether all of its output has come.

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
    /// Its exit status: 0 to 255; 128 + the signal's number where a signal ended it.
    pub code: i64,
    /// Whether the command was started at all. If not, `code` is what a shell would give: 127 where the program is not there, 126
    /// where it cannot be executed.
    pub started: bool,
}

/// What a command ends with that was killed.
const KILLED: i64 = 128 + 9;

/// How long a look at a container that has ended may take. It takes milliseconds. Without it nobody knows how the command
/// ended, so it is given time; half of what other short calls have, as the command's output has been waited for already.
const AFTERWARDS: Duration = Duration::from_secs(30);

/// For so long an engine may take from the end of a container's output to its exit. (moby takes none: it shows nothing of a
/// container until both are done. Podman does.)
const APART: Duration = Duration::from_secs(5);

/// How often more Podman is asked for a container that it does not find, and with which pause. It is between two tables for
/// milliseconds; half a second is many times that.
const LOOKS: u32 = 10;
const LOOK: Duration = Duration::from_millis(50);

/// Two clocks do not go at quite the same pace: this part of a stretch of time may be between them, and this much at any rate.
const DRIFT: i128 = 2000;
const LEAST_DRIFT: i128 = 5_000_000;

/// Signals that end no command that has not asked for them: CHLD, CONT, URG, WINCH.
const HARMLESS: [u32; 4] = [17, 18, 23, 28];

/// When what was asked of the engine, and when its output ended, by our clock.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) create_sent: SystemTime,
    pub(super) start_sent: SystemTime,
    pub(super) output_ended: SystemTime,
}

/// Confirms how a container ended whose output has.
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
        // Podman moves a container that has ended from one of its tables to another, and finds it in neither for a moment.
        if !(engine.is_podman() && matches!(&found, Err(e) if e.http_status() == Some(500))) {
            break;
        }
        step.pause(LOOK, "looking at a container that has ended")?;
        found = engine.inspect_container(container, wait);
    }
    let found = found?;
    found.ok_or_else(|| killed(format!("somebody else removed container {container}"), None))
}

/// Whether the output's end came before the command's. An engine ends the stream when the container has ended; so does whoever
/// breaks the connection. The bytes do not tell, but the times do. `apart`: so much later the engine may say that it ended.
fn ended_too_soon(span: &Span, found: &Container, apart: Duration) -> bool {
    let Some((ahead, ended)) = ahead(span, found).zip(nanos(&found.state.finished_at)) else {
        return false;
    };
    let ran = ours(span.output_ended) - ours(span.create_sent);
    let drift = LEAST_DRIFT + ran.max(0) / DRIFT;
    ended > ours(span.output_ended) + ahead + drift + apart.as_nanos() as i128
}

/// How far the engine's clock is ahead of ours, at most: what was asked of it, it did later. In nanoseconds.
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

/// A moment of the engine's.
fn nanos(text: &str) -> Option<i128> {
    since_1970(text).map(|since| since.as_nanos() as i128)
}

/// What the run comes to.
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

/// What the engine remembers of the container beside its life: it is asked only of a command that failed.
///
/// A signal from outside is noted before the exit is, but maybe after the exit: until now. The kernel's word that memory ran
/// out may reach the engine still later: it is waited for where there was a limit to run into.
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

/// How somebody other than the command ended it, if that can be told.
fn from_outside(state: &State, befell: &[Event]) -> Option<String> {
    if state.dead || state.status == "removing" {
        return Some(String::from(
            "its container is being removed by somebody else",
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
        // The engine's clock is years ahead; it created 20 ms after it was asked.
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
            // Podman sees the end of a container some time after that of its output.
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
