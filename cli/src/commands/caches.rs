//! `dstore caches`

use std::time::SystemTime;

use docker_store::{CacheInfo, Item};
use serde::Serialize;

use crate::amounts;
use crate::context::Context;
use crate::ending::{DONE, Failure};
use crate::names;
use crate::rows::CacheRow;
use crate::screen::Screen;
use crate::table::{LEFT, RIGHT};

#[derive(Serialize)]
struct Document {
    caches: Vec<CacheRow>,
}

pub(crate) fn run(context: &Context, screen: &mut Screen) -> Result<u8, Failure> {
    let (caches, pins) = context.with_store(|store| {
        // Also caches whose size has not been measured yet, which may take long.
        Ok((store.caches_within(context.limits())?, store.pins()?))
    })?;
    let is_pinned = |cache: &CacheInfo| {
        let of = |item: &Item| matches!(item, Item::Cache(name) if *name == cache.name);
        pins.iter().any(|pin| of(&pin.item))
    };
    if context.json {
        let row = |cache| CacheRow::new(cache, is_pinned(cache));
        let caches = caches.iter().map(row).collect();
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
            if is_pinned(cache) { "pinned" } else { "" }.to_owned(),
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
        ("", LEFT),
    ];
    screen.table(&columns, rows)?;
    Ok(DONE)
}
