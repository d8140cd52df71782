//! `dstore usage`: disk usage.

use docker_store::{DiskFree, Usage};
use serde::Serialize;

use crate::amounts;
use crate::context::Context;
use crate::ending::{DONE, Failure};
use crate::rows::{CacheRow, Left, LogRow, ResultRow};
use crate::screen::Screen;
use crate::table::{LEFT, RIGHT};

#[derive(Serialize)]
struct Document {
    totals: Totals,
    leftovers: Left,
    free_percent_root: f64,
    free_percent_engine: Option<f64>,
    results: Vec<ResultRow>,
    caches: Vec<CacheRow>,
    logs: Vec<LogRow>,
}

#[derive(Serialize)]
struct Totals {
    results: u64,
    caches: u64,
    logs: u64,
    results_unknown: u64,
    caches_unknown: u64,
    how: String,
}

pub(crate) fn run(context: &Context, screen: &mut Screen) -> Result<u8, Failure> {
    let (usage, free) = context.with_store(|store| {
        let usage = store.usage(context.limits())?;
        Ok((usage, store.df_within(context.limits())?))
    })?;
    match context.json {
        true => screen.json(&document(&usage, free))?,
        false => tell(screen, &usage, free)?,
    }
    Ok(DONE)
}

fn document(usage: &Usage, free: DiskFree) -> Document {
    let totals = &usage.totals;
    Document {
        totals: Totals {
            results: totals.results,
            caches: totals.caches,
            logs: totals.logs,
            results_unknown: totals.results_unknown,
            caches_unknown: totals.caches_unknown,
            how: totals.how.clone(),
        },
        leftovers: usage.leftovers.into(),
        free_percent_root: free.root,
        free_percent_engine: free.engine,
        results: usage.results.iter().map(ResultRow::from).collect(),
        caches: usage.caches.iter().map(CacheRow::from).collect(),
        logs: usage.logs.iter().map(LogRow::from).collect(),
    }
}

fn tell(screen: &mut Screen, usage: &Usage, free: DiskFree) -> Result<(), Failure> {
    let totals = &usage.totals;
    let (pinned_results, pinned_caches) = (
        usage.results.iter().filter(|result| result.pinned).count(),
        usage.caches.iter().filter(|cache| cache.pinned).count(),
    );
    let unknown = |n: u64, text: &str| match n {
        0 => String::new(),
        n => format!("{n} {text}"),
    };
    let row = |name: &str, n: usize, bytes: u64, pinned: usize, note: String| {
        let pinned = match pinned {
            0 => String::new(),
            n => format!("{n} pinned"),
        };
        vec![
            name.to_owned(),
            n.to_string(),
            amounts::bytes(bytes),
            pinned,
            note,
        ]
    };
    let whole = unknown(totals.results_unknown, "counted as a whole");
    let not_counted = unknown(totals.caches_unknown, "not counted yet");
    let sum = totals.results + totals.caches + totals.logs;
    let mut rows = vec![
        row(
            "results",
            usage.results.len(),
            totals.results,
            pinned_results,
            whole,
        ),
        row(
            "caches",
            usage.caches.len(),
            totals.caches,
            pinned_caches,
            not_counted,
        ),
        row("logs", usage.logs.len(), totals.logs, 0, String::new()),
    ];
    rows.push(vec!["all".to_owned(), String::new(), amounts::bytes(sum)]);
    let columns = [
        ("", LEFT),
        ("NUMBER", RIGHT),
        ("SIZE", RIGHT),
        ("", LEFT),
        ("", LEFT),
    ];
    screen.table(&columns, rows)?;
    screen.line("")?;
    let left = Left::from(usage.leftovers);
    let left = match left.sum() {
        0 => left.to_string(),
        _ => format!("{left}: dstore purge removes them"),
    };
    screen.facts(&[
        ("leftovers", left),
        ("free", free_text(free)),
        ("counted", totals.how.clone()),
    ])
}

pub(crate) fn free_text(free: DiskFree) -> String {
    match free.engine {
        Some(engine) => format!(
            "{engine:.1} % of the engine's disk, {:.1} % of the root's",
            free.root
        ),
        None => format!(
            "{:.1} % of the root's disk; the engine's is not accessible from here",
            free.root
        ),
    }
}
