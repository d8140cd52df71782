//! Results, caches and logs in the form of `--json`. docs/dstore.md lists the fields.

use docker_store::{CacheInfo, CacheUsage, Leftovers, LogUsage, ResultUsage, Strategy};
use serde::Serialize;

use crate::amounts::moment;
use crate::names;

#[derive(Serialize)]
pub(crate) struct ResultRow {
    id: String,
    base: Option<String>,
    created: String,
    last_use: String,
    size: u64,
    own_size: u64,
    build_ms: Option<u64>,
    pinned: bool,
    building: bool,
    held: bool,
    log_size: u64,
}

impl From<&ResultUsage> for ResultRow {
    fn from(result: &ResultUsage) -> Self {
        let millis = |time: std::time::Duration| time.as_millis().try_into().unwrap_or(u64::MAX);
        ResultRow {
            id: result.id.clone(),
            base: result.base.clone(),
            created: moment(result.created),
            last_use: moment(result.last_use),
            size: result.bytes,
            own_size: result.own_bytes,
            build_ms: result.build_time.map(millis),
            pinned: result.pinned,
            building: result.building,
            held: result.held,
            log_size: result.log_bytes,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct CacheRow {
    /// `null` if it is not valid text.
    name: Option<String>,
    name_hex: String,
    generation: u64,
    strategy: Option<&'static str>,
    layers: usize,
    size: Option<u64>,
    created: String,
    last_use: String,
    leases: usize,
    pinned: bool,
}

impl CacheRow {
    pub(crate) fn new(cache: &CacheInfo, pinned: bool) -> Self {
        CacheRow {
            name: String::from_utf8(cache.name.clone()).ok(),
            name_hex: names::hex(&cache.name),
            generation: cache.generation,
            strategy: strategy(cache.strategy),
            layers: cache.layers,
            size: cache.bytes,
            created: moment(cache.created),
            last_use: moment(cache.last_use),
            leases: cache.leases,
            pinned,
        }
    }
}

impl From<&CacheUsage> for CacheRow {
    fn from(cache: &CacheUsage) -> Self {
        CacheRow::new(&cache.info, cache.pinned)
    }
}

/// `None` if there is none yet.
pub(crate) fn strategy(strategy: Strategy) -> Option<&'static str> {
    match strategy {
        Strategy::Overlay => Some("overlay"),
        Strategy::Copy => Some("copy"),
        _ => None,
    }
}

#[derive(Serialize)]
pub(crate) struct LogRow {
    id: String,
    size: u64,
    written: String,
    has_result: bool,
}

impl From<&LogUsage> for LogRow {
    fn from(log: &LogUsage) -> Self {
        LogRow {
            id: log.id.clone(),
            size: log.bytes,
            written: moment(log.written),
            has_result: log.has_result,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Left {
    pub(crate) containers: u64,
    pub(crate) images: u64,
    pub(crate) volumes: u64,
}

impl Left {
    pub(crate) fn sum(&self) -> u64 {
        self.containers + self.images + self.volumes
    }
}

impl From<Leftovers> for Left {
    fn from(left: Leftovers) -> Self {
        Left {
            containers: left.containers,
            images: left.images,
            volumes: left.volumes,
        }
    }
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            (self.containers, "container"),
            (self.images, "image"),
            (self.volumes, "volume"),
        ];
        let mut some = parts.into_iter().filter(|(n, _)| *n > 0);
        let Some(first) = some.next() else {
            return f.write_str("none");
        };
        write!(f, "{}", many(first.0, first.1))?;
        some.try_for_each(|(n, what)| write!(f, ", {}", many(n, what)))
    }
}

/// `1 result`, `2 results`.
pub(crate) fn many(n: u64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}
