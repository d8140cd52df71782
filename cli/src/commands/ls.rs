//! `dstore ls`

use std::cmp::Reverse;
use std::time::SystemTime;

use docker_store::{ResultUsage, Store, Usage};
use serde::Serialize;

use crate::amounts;
use crate::arguments::{Ls, Sort};
use crate::commands::chain;
use crate::context::Context;
use crate::ending::{DONE, Failure};
use crate::rows::ResultRow;
use crate::screen::Screen;
use crate::table::{LEFT, RIGHT};

#[derive(Serialize)]
struct Document {
    results: Vec<ResultRow>,
    building: Vec<String>,
}

pub(crate) fn run(context: &Context, screen: &mut Screen, ls: &Ls) -> Result<u8, Failure> {
    let (mut results, building) = context.with_store(|store| {
        let usage = store.usage(context.limits())?;
        let building = under_way(store, &usage)?;
        Ok((usage.results, building))
    })?;
    // They are sorted by id, and so are results with the same base.
    match ls.sort {
        _ if ls.tree => {}
        Sort::Id => {}
        Sort::Created => results.sort_by_key(|result| Reverse(result.created)),
        Sort::Size => results.sort_by_key(|result| Reverse(result.own_bytes)),
        Sort::Used => results.sort_by_key(|result| Reverse(result.last_use)),
    }
    if context.json {
        let results = results.iter().map(ResultRow::from).collect();
        screen.json(&Document { results, building })?;
        return Ok(DONE);
    }
    if ls.quiet {
        for result in &results {
            screen.line(&result.id)?;
        }
        return Ok(DONE);
    }
    let now = SystemTime::now();
    if ls.tree {
        let results: Vec<&ResultUsage> = results.iter().collect();
        chain::tree(screen, &results, None, now)?;
    } else {
        table(screen, &results, now)?;
    }
    for id in building {
        screen.line(format!("{id} is being built: dstore log -f {id}"))?;
    }
    Ok(DONE)
}

fn table(screen: &mut Screen, results: &[ResultUsage], now: SystemTime) -> Result<(), Failure> {
    let row = |result: &ResultUsage| {
        vec![
            result.id.clone(),
            amounts::bytes(result.own_bytes),
            amounts::bytes(result.bytes),
            amounts::ago(result.created, now),
            amounts::ago(result.last_use, now),
            result.base.clone().unwrap_or_default(),
            chain::notes(result),
        ]
    };
    let rows = results.iter().map(row).collect();
    let columns = [
        ("ID", LEFT),
        ("OWN", RIGHT),
        ("TOTAL", RIGHT),
        ("CREATED", LEFT),
        ("LAST USE", LEFT),
        ("BASE", LEFT),
        ("", LEFT),
    ];
    screen.table(&columns, rows)
}

/// Builds that have a log and no result yet.
fn under_way(store: &Store, usage: &Usage) -> Result<Vec<String>, Failure> {
    let mut building = Vec::new();
    for log in usage.logs.iter().filter(|log| !log.has_result) {
        if store.building(&log.id)? {
            building.push(log.id.clone());
        }
    }
    Ok(building)
}
