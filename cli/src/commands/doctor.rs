//! `dstore doctor`: checks the engine and the store, and advises what to do about problems.

use docker_store::{Error, ErrorKind, Health, Store};
use serde::Serialize;
use serde_json::json;

use crate::commands::usage::free_text;
use crate::context::Context;
use crate::ending::{DONE, FAILED, Failure};
use crate::rows::{self, Left};
use crate::screen::Screen;

#[derive(Serialize)]
struct Document {
    root: String,
    prefix: String,
    engine: String,
    engine_version: String,
    address: String,
    api_version: String,
    newest_api_version: String,
    image_store: String,
    strategy: Option<&'static str>,
    strategy_reason: String,
    network: String,
    clock_ahead_ms: Option<i64>,
    #[serde(skip)]
    free: String,
    free_percent_root: f64,
    free_percent_engine: Option<f64>,
    leftovers: Left,
    troubles: Vec<Trouble>,
}

#[derive(Serialize)]
struct Trouble {
    what: String,
    advice: String,
}

pub(crate) fn run(context: &Context, screen: &mut Screen) -> Result<u8, Failure> {
    let found = context.with_store(|store| {
        let health = store.health(context.limits())?;
        let leftovers = store.usage(context.limits())?.leftovers.into();
        Ok(document(store, health, leftovers))
    });
    let document = match found {
        Ok(document) => document,
        Err(Failure::Store(error)) => return unwell(context, screen, error),
        Err(failure) => return Err(failure),
    };
    let status = match document.troubles.is_empty() {
        true => DONE,
        false => FAILED,
    };
    if context.json {
        screen.json(&document)?;
        return Ok(status);
    }
    tell(screen, &document)?;
    Ok(status)
}

fn document(store: &Store, health: Health, leftovers: Left) -> Document {
    let trouble = |trouble: docker_store::Trouble| Trouble {
        what: trouble.what,
        advice: trouble.advice,
    };
    let mut troubles: Vec<Trouble> = health.troubles.into_iter().map(trouble).collect();
    if leftovers.sum() > 0 {
        troubles.push(Trouble {
            what: format!("sessions that were killed left something on the engine: {leftovers}"),
            advice: "dstore purge removes it; if that does not help, the engine's log says why it refuses".to_owned(),
        });
    }
    Document {
        root: store.root().to_string_lossy().into_owned(),
        prefix: store.prefix().to_owned(),
        engine: health.engine,
        engine_version: health.engine_version,
        address: health.address,
        api_version: health.api_version,
        newest_api_version: health.newest_api_version,
        image_store: health.image_store,
        strategy: health.strategy.and_then(rows::strategy),
        strategy_reason: health.strategy_reason,
        network: health.network,
        clock_ahead_ms: health.clock_ahead_ms,
        free: free_text(health.free),
        free_percent_root: health.free.root,
        free_percent_engine: health.free.engine,
        leftovers,
        troubles,
    }
}

fn tell(screen: &mut Screen, found: &Document) -> Result<(), Failure> {
    let clock = match found.clock_ahead_ms {
        // A difference smaller than the duration of the check means nothing.
        Some(-99..=99) => "as this machine's".to_owned(),
        Some(ms) if ms > 0 => format!("{:.1} s ahead of this machine's", ms as f64 / 1000.0),
        Some(ms) => format!("{:.1} s behind this machine's", ms as f64 / -1000.0),
        None => "the engine does not report it".to_owned(),
    };
    let caches = match found.strategy {
        Some(strategy) => format!("{strategy}: {}", found.strategy_reason),
        None => format!("none can be leased: {}", found.strategy_reason),
    };
    screen.facts(&[
        ("root", found.root.clone()),
        ("names", format!("{}-…", found.prefix)),
        (
            "engine",
            format!("{} {}", found.engine, found.engine_version),
        ),
        ("address", found.address.clone()),
        (
            "API",
            format!(
                "{}; the engine's newest is {}",
                found.api_version, found.newest_api_version
            ),
        ),
        ("images", found.image_store.clone()),
        ("caches", caches),
        ("network", found.network.clone()),
        ("clock", clock),
        ("free", found.free.clone()),
        ("leftovers", found.leftovers.to_string()),
    ])?;
    screen.line("")?;
    if found.troubles.is_empty() {
        return screen.line(screen.good("All is well."));
    }
    for trouble in &found.troubles {
        say(screen, &trouble.what, &trouble.advice)?;
    }
    Ok(())
}

fn say(screen: &mut Screen, what: &str, advice: &str) -> Result<(), Failure> {
    screen.line(format!("{} {what}", screen.bad("Not well:")))?;
    screen.line(format!("{} {advice}", screen.heading("What to do:")))
}

/// The store cannot even be opened.
fn unwell(context: &Context, screen: &mut Screen, error: Error) -> Result<u8, Failure> {
    let advice = match error.kind() {
        ErrorKind::Cancelled | ErrorKind::TimedOut => return Err(error.into()),
        ErrorKind::Unreachable => {
            "check that the engine runs (`docker version` uses the same one), and that DOCKER_HOST, the docker context or --engine name it"
        }
        ErrorKind::Unsupported => {
            "use Docker 20.10 or newer, or Podman 4.3 or newer; docs/engines.md says which were tested"
        }
        ErrorKind::Io => {
            "see who owns the root and whether its disk is full; run dstore as the user who builds"
        }
        ErrorKind::Conflict => {
            "see whether another root, or a copy of this one, uses the same names"
        }
        ErrorKind::Corrupt => {
            "restore the named file from a backup; without one, destroy the root and build again"
        }
        _ => "look at what the message names; -v shows more",
    };
    let status = Failure::from(error);
    match context.json {
        true => screen
            .json(&json!({ "troubles": [{ "what": status.to_string(), "advice": advice }] }))?,
        false => say(screen, &status.to_string(), advice)?,
    }
    Ok(status.status())
}
