//! `dstore why`: whether a result exists, and if not, what is known of it.

use std::time::SystemTime;

use docker_store::{Store, Went};
use serde_json::json;

use crate::amounts;
use crate::context::Context;
use crate::ending::{DONE, Failure, NOT_FOUND};
use crate::screen::Screen;

/// What is known of a result.
enum State {
    There,
    Building,
    /// Its last build ended without one.
    Failed(SystemTime),
    Went(Went, SystemTime),
    Unknown,
}

pub(crate) fn run(context: &Context, screen: &mut Screen, id: &str) -> Result<u8, Failure> {
    let state = context.with_store(|store| state(context, store, id))?;
    let ago = |when| amounts::ago(when, SystemTime::now());
    let (word, said, when) = match state {
        State::There => ("there", format!("{id} is there"), None),
        State::Building => (
            "building",
            format!("{id} is being built now: dstore log -f {id}"),
            None,
        ),
        State::Failed(when) => (
            "failed",
            format!(
                "{id} is not there: its last build ended without a result, {}: dstore log {id}",
                ago(when)
            ),
            Some(when),
        ),
        State::Went(how, when) => {
            let (word, how) = match how {
                Went::Deleted => ("deleted", "it was deleted"),
                Went::Pruned => ("pruned", "a prune removed it"),
                Went::Vanished => (
                    "vanished",
                    "its image was removed on the engine, which was noticed",
                ),
                _ => ("gone", "it went"),
            };
            (
                word,
                format!("{id} is not there: {how} {}", ago(when)),
                Some(when),
            )
        }
        State::Unknown => (
            "unknown",
            format!(
                "{id} is not there, and nothing is known of it: it was never built here, or was removed long ago"
            ),
            None,
        ),
    };
    match context.json {
        true => screen.json(&json!({
            "id": id, "state": word, "when": when.map(amounts::moment), "message": said,
        }))?,
        false => screen.line(said)?,
    }
    Ok(match state {
        State::There => DONE,
        _ => NOT_FOUND,
    })
}

fn state(context: &Context, store: &Store, id: &str) -> Result<State, Failure> {
    let log = store.log_file(id)?;
    if store.result_within(id, context.limits())? {
        return Ok(State::There);
    }
    if store.building(id)? {
        return Ok(State::Building);
    }
    let went = store.why_gone(id, context.limits())?;
    let ended = std::fs::metadata(log).and_then(|log| log.modified()).ok();
    // What happened last.
    Ok(match (went, ended) {
        (Some((_, when)), Some(ended)) if ended > when => State::Failed(ended),
        (Some((how, when)), _) => State::Went(how, when),
        (None, Some(ended)) => State::Failed(ended),
        (None, None) => State::Unknown,
    })
}
