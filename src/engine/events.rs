//! The events that an engine records for a container: kill, stop and remove requests, and whether memory ran out.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::engine::Engine;
use crate::engine::call::{Call, QUICK, stopped};
use crate::error::{Error, ErrorKind, Result};
use crate::http::Failure;
use crate::wait::{Stop, Wait};

/// An event that the engine has recorded for a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// `kill`, `oom`, …
    pub(crate) action: String,
    /// Which signal a `kill` sent; 0 if that is not reported, as by Podman.
    pub(crate) signal: u32,
}

/// How long Podman may be silent before it has reported a container's end, and after that: what ended it may be reported later.
/// Both are a choice: each command that fails on Podman waits for the second, and if Podman takes longer, it is not known who
/// ended the command.
const BEFORE_ITS_END: Duration = Duration::from_secs(3);
const AFTER_ITS_END: Duration = Duration::from_millis(300);

/// The maximum size of an event. No event is nearly as large; a stream without line ends must not use up the memory.
const LONGEST_EVENT: usize = 1 << 20;

impl From<WrittenEvent> for Event {
    fn from(written: WrittenEvent) -> Self {
        let signal = written.actor.attributes.get("signal");
        Event {
            signal: signal.and_then(|s| s.parse().ok()).unwrap_or_default(),
            action: match written.action.as_str() {
                // Podman's name for it.
                "remove" => String::from("destroy"),
                _ => written.action,
            },
        }
    }
}

/// An event as an engine writes it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct WrittenEvent {
    action: String,
    actor: Actor,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Actor {
    attributes: HashMap<String, String>,
}

fn unexpected(doing: &str, e: &serde_json::Error) -> Error {
    let why = format!("{doing}: unexpected response from the engine: {e}");
    Error::new(ErrorKind::Engine, why)
}

impl Engine {
    /// Returns a container's events, except its ordinary start and end, up to a time on the engine's clock; waits for that
    /// time. Engines keep their last few hundred events, and lose them when they stop.
    pub(crate) fn events_of_container(
        &self,
        container: &str,
        until: Duration,
        wait: Wait<'_>,
    ) -> Result<Vec<Event>> {
        let doing = format!("asking how container {container} ended");
        if self.is_podman() {
            return self.events_of_ended(&doing, container, wait);
        }
        let filters = json!({
            "container": [container],
            "event": ["destroy", "kill", "oom", "stop"],
        })
        .to_string();
        let until = format!("{}.{:09}", until.as_secs(), until.subsec_nanos());
        let target = self
            .path("/events")
            .query("since", "0")
            .query("until", &until)
            .query("filters", &filters);
        let mut events = self.call(&doing, Call::get(target), wait.at_most(QUICK))?;
        let seen = events
            .read_whole(1 << 20, wait.at_most(QUICK))
            .map_err(|f| self.failed(&doing, f))?;
        let written = serde_json::Deserializer::from_slice(&seen).into_iter::<WrittenEvent>();
        written
            .map(|event| event.map(Event::from).map_err(|e| unexpected(&doing, &e)))
            .collect()
    }

    /// The same for Podman, for a container that has ended. If Podman is queried up to a time, it may lose some or all events
    /// (seen on 5.8). So it is queried for all, and read until the container's end was reported and no more events arrive.
    fn events_of_ended(&self, doing: &str, container: &str, wait: Wait<'_>) -> Result<Vec<Event>> {
        let filters = json!({ "container": [container] }).to_string();
        let target = self.path("/events").query("since", "0");
        let call = Call::get(target.query("filters", &filters));
        let mut stream = self.call(&doing, call, wait.at_most(QUICK))?;
        let (mut seen, mut events) = (Vec::new(), Vec::new());
        let (mut buffer, mut quiet) = ([0; 4 << 10], BEFORE_ITS_END);
        loop {
            match stream.read(&mut buffer, wait.at_most(quiet)) {
                Ok(0) => return Ok(events),
                Ok(n) => seen.extend_from_slice(&buffer[..n]),
                // This is the normal end; unless the caller's time is up, too.
                Err(Failure::Stopped(Stop::TimedOut)) => {
                    let left = wait.left().map(drop);
                    return left.map(|()| events).map_err(|stop| stopped(&doing, stop));
                }
                Err(f) => return Err(self.failed(&doing, f)),
            }
            while let Some(end) = seen.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = seen.drain(..=end).collect();
                let event = serde_json::from_slice::<WrittenEvent>(&line)
                    .map_err(|e| unexpected(doing, &e))?;
                if matches!(event.action.as_str(), "die" | "died") {
                    quiet = AFTER_ITS_END;
                }
                events.push(Event::from(event));
            }
            if seen.len() > LONGEST_EVENT {
                return Err(self.failed(&doing, Failure::TooLarge("event")));
            }
        }
    }
}
