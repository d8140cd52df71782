//! `dstore ls`

use std::cmp::Reverse;
use std::time::SystemTime;

use docker_store::ResultInfo;
use serde::Serialize;

use crate::amounts;
use crate::arguments::{Ls, Sort};
use crate::context::Context;
use crate::ending::{DONE, Failure};
use crate::screen::Screen;
use crate::table::{LEFT, RIGHT};

#[derive(Serialize)]
struct Document {
    results: Vec<Row>,
}

/// One result, as JSON has it.
#[derive(Serialize)]
pub(crate) struct Row {
    id: String,
    created: String,
    size: u64,
}

impl From<&ResultInfo> for Row {
    fn from(result: &ResultInfo) -> Self {
        Row {
            id: result.id.clone(),
            created: amounts::moment(result.created),
            size: result.size,
        }
    }
}

pub(crate) fn run(context: &Context, screen: &mut Screen, ls: &Ls) -> Result<u8, Failure> {
    let mut results = context.with_store(|store| Ok(store.results_within(context.limits())?))?;
    // By id they are.
    match ls.sort {
        Sort::Id => {}
        Sort::Created => results.sort_by_key(|result| Reverse(result.created)),
        Sort::Size => results.sort_by_key(|result| Reverse(result.size)),
    }
    if context.json {
        let results = results.iter().map(Row::from).collect();
        screen.json(&Document { results })?;
        return Ok(DONE);
    }
    if ls.quiet {
        for result in &results {
            screen.line(&result.id)?;
        }
        return Ok(DONE);
    }
    let now = SystemTime::now();
    let row = |result: &ResultInfo| {
        vec![
            result.id.clone(),
            amounts::bytes(result.size),
            amounts::ago(result.created, now),
        ]
    };
    let rows = results.iter().map(row).collect();
    screen.table(&[("ID", LEFT), ("SIZE", RIGHT), ("CREATED", LEFT)], rows)?;
    Ok(DONE)
}
