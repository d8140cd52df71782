//! `dstore prune`

use std::time::SystemTime;

use docker_store::{Item, Policy, PruneFate, PruneReport, PruneRow};
use serde::Serialize;

use crate::amounts::{self, Free};
use crate::arguments::Prune;
use crate::context::Context;
use crate::ending::{DONE, FAILED, Failure};
use crate::names;
use crate::rows::many;
use crate::screen::Screen;

#[derive(Serialize)]
struct Document {
    dry_run: bool,
    reached: bool,
    freed: Option<u64>,
    kept: u64,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    kind: &'static str,
    name: Option<String>,
    name_hex: String,
    size: u64,
    last_use: String,
    fate: &'static str,
    why: String,
}

pub(crate) fn run(context: &Context, screen: &mut Screen, prune: &Prune) -> Result<u8, Failure> {
    let policy = policy(prune)?;
    let now = SystemTime::now();
    let mut printed = Ok(());
    let report = context.with_store(|store| {
        let report = store.prune(&policy, context.limits(), |row| {
            // If standard output is no longer read, the prune continues: it was started for its effect.
            if !context.json && printed.is_ok() {
                printed = line(screen, context.verbose, prune.dry_run, row, now)
                    .and_then(|()| screen.flush());
            }
            Ok(())
        })?;
        if !prune.dry_run {
            store.complete_deletes(context.limits())?;
        }
        Ok(report)
    })?;
    printed?;
    match context.json {
        true => screen.json(&document(prune, &report))?,
        false => summary(screen, prune, &report)?,
    }
    Ok(match report.reached {
        true => DONE,
        false => FAILED,
    })
}

fn policy(prune: &Prune) -> Result<Policy, Failure> {
    let mut policy = Policy::new();
    if let Some(bytes) = prune.most {
        policy.most_bytes(bytes);
    }
    match prune.least_free {
        Some(Free::Bytes(bytes)) => {
            policy.least_free(bytes);
        }
        Some(Free::Percent(percent)) => {
            policy.least_free_percent(percent)?;
        }
        None => {}
    }
    if let Some(time) = prune.unused_for {
        policy.unused_for(time);
    }
    if let Some(number) = prune.keep {
        policy.keep_results(number);
    }
    if let Some(time) = prune.spare {
        policy.spare(time);
    }
    policy
        .results(!prune.no_results)
        .caches(!prune.no_caches)
        .logs(prune.logs)
        .dry_run(prune.dry_run);
    Ok(policy)
}

/// What kind of thing it is, and its name.
pub(crate) fn item(item: &Item) -> (&'static str, &[u8]) {
    match item {
        Item::Result(id) => ("result", id.as_bytes()),
        Item::Cache(name) => ("cache", name),
        Item::Log(id) => ("log", id.as_bytes()),
        // A kind that a later version of the library adds.
        _ => ("thing", b""),
    }
}

fn word(fate: PruneFate) -> &'static str {
    match fate {
        PruneFate::Removed => "removed",
        PruneFate::Gone => "gone",
        PruneFate::Spared => "spared",
        _ => "failed",
    }
}

fn line(
    screen: &mut Screen,
    verbose: bool,
    dry_run: bool,
    row: &PruneRow,
    now: SystemTime,
) -> Result<(), Failure> {
    let (kind, name) = item(&row.item);
    let name = names::shown(name);
    let (size, used) = (amounts::bytes(row.bytes), amounts::ago(row.last_use, now));
    let text = match row.fate {
        PruneFate::Removed if dry_run => {
            format!("would remove {kind} {name} ({size}, used {used})")
        }
        PruneFate::Removed => format!("removed {kind} {name} ({size}, used {used})"),
        PruneFate::Gone => format!("{kind} {name} was removed meanwhile"),
        PruneFate::Spared if !verbose => return Ok(()),
        PruneFate::Spared => format!("kept {kind} {name}: {}", row.why),
        _ => screen.bad(&format!("{kind} {name} could not be removed: {}", row.why)),
    };
    screen.line(text)
}

fn summary(screen: &mut Screen, prune: &Prune, report: &PruneReport) -> Result<(), Failure> {
    let removed = |kind| {
        let of = |row: &&PruneRow| row.fate == PruneFate::Removed && item(&row.item).0 == kind;
        report.rows.iter().filter(of).count() as u64
    };
    let removed: Vec<String> = ["result", "cache", "log"]
        .into_iter()
        .filter_map(|kind| match removed(kind) {
            0 => None,
            n => Some(many(n, kind)),
        })
        .collect();
    let kept = amounts::bytes(report.kept);
    let (removed, tense) = match (removed.is_empty(), prune.dry_run) {
        (true, true) => ("nothing".to_owned(), "would go"),
        (true, false) => ("nothing".to_owned(), "was removed"),
        (false, true) => (removed.join(", "), "would go"),
        (false, false) => (removed.join(", "), "removed"),
    };
    let stays = match prune.dry_run {
        true => "would stay",
        false => "stay",
    };
    let freed = report
        .freed
        .map(|freed| {
            format!(
                "; the engine's disk has {} more free",
                amounts::bytes(freed)
            )
        })
        .unwrap_or_default();
    screen.line(format!("{removed} {tense}; {kept} {stays}{freed}"))?;
    if report.reached {
        return Ok(());
    }
    let spared = report
        .rows
        .iter()
        .filter(|row| row.fate == PruneFate::Spared)
        .count() as u64;
    let text = format!(
        "That is not what was asked for: {} had to stay (-v tells why)",
        many(spared, "thing")
    );
    screen.line(screen.bad(&text))
}

fn document(prune: &Prune, report: &PruneReport) -> Document {
    let row = |row: &PruneRow| {
        let (kind, name) = item(&row.item);
        Row {
            kind,
            name: String::from_utf8(name.to_vec()).ok(),
            name_hex: names::hex(name),
            size: row.bytes,
            last_use: amounts::moment(row.last_use),
            fate: word(row.fate),
            why: row.why.clone(),
        }
    };
    Document {
        dry_run: prune.dry_run,
        reached: report.reached,
        freed: report.freed,
        kept: report.kept,
        rows: report.rows.iter().map(row).collect(),
    }
}
