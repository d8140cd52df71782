//! `dstore why`: whether a result is there, and if not, what is known of that.

use std::time::SystemTime;

use serde_json::json;

use crate::amounts;
use crate::context::Context;
use crate::ending::{DONE, Failure, NOT_FOUND};
use crate::screen::Screen;

pub(crate) fn run(context: &Context, screen: &mut Screen, id: &str) -> Result<u8, Failure> {
    let (there, building, log) = context.with_store(|store| {
        let log = std::fs::metadata(store.log_file(id)?).ok();
        let there = store.result_within(id, context.limits())?;
        Ok((there, store.building(id)?, log))
    })?;
    let ended = log.and_then(|log| log.modified().ok());
    let (state, said) = match (there, building, ended) {
        (true, ..) => ("there", format!("{id} is there")),
        (false, true, _) => (
            "building",
            format!("{id} is being built now; `dstore log -f {id}` shows how far it is"),
        ),
        (false, false, Some(ended)) => (
            "failed",
            format!(
                "{id} is not there: its last build ended without a result, {}; `dstore log {id}` tells more",
                amounts::ago(ended, SystemTime::now())
            ),
        ),
        (false, false, None) => (
            "unknown",
            format!("{id} is not there, and nothing is known of it: it was never built here"),
        ),
    };
    match context.json {
        true => screen.json(&json!({ "id": id, "state": state, "when": ended.filter(|_| !there).map(amounts::moment), "message": said }))?,
        false => screen.line(said)?,
    }
    Ok(match there {
        true => DONE,
        false => NOT_FOUND,
    })
}
