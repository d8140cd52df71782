//! `dstore show`

use std::time::SystemTime;

use serde::Serialize;

use crate::amounts;
use crate::commands::chain;
use crate::context::Context;
use crate::ending::{DONE, Failure};
use crate::rows::ResultRow;
use crate::screen::Screen;

#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    row: ResultRow,
    image: String,
    engine_id: String,
    log: Option<String>,
    chain: Vec<String>,
    children: Vec<String>,
}

pub(crate) fn run(context: &Context, screen: &mut Screen, id: &str) -> Result<u8, Failure> {
    let (results, log, image) = context.with_store(|store| {
        let log = store.log_file(id)?;
        let image = format!("{}-image-{id}", store.prefix());
        Ok((store.usage(context.limits())?.results, log, image))
    })?;
    let around = chain::around(&results, id);
    let Some(at) = around.iter().position(|result| result.id == id) else {
        return Err(Failure::not_found(format!(
            "there is no result {id}; `dstore why {id}` may tell more"
        )));
    };
    let result = around[at];
    let log = log.exists().then(|| log.to_string_lossy().into_owned());
    if context.json {
        let ids = |results: &[&docker_store::ResultUsage]| {
            results.iter().map(|result| result.id.clone()).collect()
        };
        screen.json(&Document {
            row: ResultRow::from(result),
            image,
            engine_id: result.image.clone(),
            log,
            chain: ids(&around[..=at]),
            children: ids(&around[at + 1..]),
        })?;
        return Ok(DONE);
    }
    let now = SystemTime::now();
    let when = |time| format!("{} ({})", amounts::moment(time), amounts::ago(time, now));
    let built = match result.build_time {
        Some(time) => format!(", built in {}", amounts::length(time)),
        None => String::new(),
    };
    let size = format!(
        "{} of its own, {} in all",
        amounts::bytes(result.own_bytes),
        amounts::bytes(result.bytes)
    );
    let log = log.map_or("none".to_owned(), |log| {
        format!("{log} ({})", amounts::bytes(result.log_bytes))
    });
    screen.facts(&[
        ("id", result.id.clone()),
        ("image", format!("{image} ({})", result.image)),
        ("size", size),
        ("created", when(result.created) + &built),
        ("last use", when(result.last_use)),
        (
            "pinned",
            if result.pinned { "yes" } else { "no" }.to_owned(),
        ),
        ("log", log),
    ])?;
    screen.line("")?;
    chain::tree(screen, &around, Some(id), now)?;
    Ok(DONE)
}
