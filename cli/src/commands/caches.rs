//! `dstore caches`

use std::time::SystemTime;

use docker_store::{CacheInfo, Strategy};
use serde::Serialize;

use crate::amounts;
use crate::context::Context;
use crate::ending::{DONE, Failure};
use crate::names;
use crate::screen::Screen;
use crate::table::{LEFT, RIGHT};

#[derive(Serialize)]
struct Document {
    caches: Vec<Row>,
}

/// One cache, as JSON has it.
#[derive(Serialize)]
struct Row {
    /// `null` where it is no text.
    name: Option<String>,
    name_hex: String,
    generation: u64,
    strategy: Option<&'static str>,
    layers: usize,
    bytes: Option<u64>,
    created: String,
    last_use: String,
    leases: usize,
}

impl From<&CacheInfo> for Row {
    fn from(cache: &CacheInfo) -> Self {
        Row {
            name: String::from_utf8(cache.name.clone()).ok(),
            name_hex: names::hex(&cache.name),
            generation: cache.generation,
            strategy: word(cache.strategy),
            layers: cache.layers,
            bytes: cache.bytes,
            created: amounts::moment(cache.created),
            last_use: amounts::moment(cache.last_use),
            leases: cache.leases,
        }
    }
}

/// `None` where there is none yet.
pub(crate) fn word(strategy: Strategy) -> Option<&'static str> {
    match strategy {
        Strategy::Overlay => Some("overlay"),
        Strategy::Copy => Some("copy"),
        _ => None,
    }
}

pub(crate) fn run(context: &Context, screen: &mut Screen) -> Result<u8, Failure> {
    let caches = context.with_store(|store| Ok(store.caches_within(context.limits())?))?;
    if context.json {
        let caches = caches.iter().map(Row::from).collect();
        screen.json(&Document { caches })?;
        return Ok(DONE);
    }
    let now = SystemTime::now();
    let row = |cache: &CacheInfo| {
        vec![
            names::shown(&cache.name),
            cache.bytes.map_or("?".to_owned(), amounts::bytes),
            cache.generation.to_string(),
            cache.layers.to_string(),
            cache.leases.to_string(),
            amounts::ago(cache.last_use, now),
            amounts::ago(cache.created, now),
        ]
    };
    let rows = caches.iter().map(row).collect();
    let columns = [
        ("NAME", LEFT),
        ("SIZE", RIGHT),
        ("GENERATION", RIGHT),
        ("LAYERS", RIGHT),
        ("LENT", RIGHT),
        ("LAST USE", LEFT),
        ("CREATED", LEFT),
    ];
    screen.table(&columns, rows)?;
    Ok(DONE)
}
