//! `dstore show`

use std::time::SystemTime;

use serde::Serialize;

use crate::amounts;
use crate::commands::ls::Row;
use crate::context::Context;
use crate::ending::{DONE, Failure};
use crate::screen::Screen;

#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    row: Row,
    image: String,
    log: Option<Log>,
}

#[derive(Serialize)]
struct Log {
    file: String,
    bytes: u64,
}

pub(crate) fn run(context: &Context, screen: &mut Screen, id: &str) -> Result<u8, Failure> {
    let (results, log, image) = context.with_store(|store| {
        let log = store.log_file(id)?;
        let image = format!("{}-image-{id}", store.prefix());
        Ok((store.results_within(context.limits())?, log, image))
    })?;
    let Some(result) = results.iter().find(|result| result.id == id) else {
        return Err(Failure::not_found(format!(
            "there is no result {id}; `dstore why {id}` may tell more"
        )));
    };
    let log = std::fs::metadata(&log).ok().map(|file| Log {
        file: log.to_string_lossy().into_owned(),
        bytes: file.len(),
    });
    if context.json {
        let row = Row::from(result);
        screen.json(&Document { row, image, log })?;
        return Ok(DONE);
    }
    let now = SystemTime::now();
    let log = log.map_or("none".to_owned(), |log| {
        format!("{} ({})", log.file, amounts::bytes(log.bytes))
    });
    screen.facts(&[
        ("id", result.id.clone()),
        ("image", image),
        ("size", amounts::bytes(result.size)),
        (
            "created",
            format!(
                "{} ({})",
                amounts::moment(result.created),
                amounts::ago(result.created, now)
            ),
        ),
        ("log", log),
    ])?;
    Ok(DONE)
}
