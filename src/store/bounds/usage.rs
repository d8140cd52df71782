//! Disk usage: a row for each result, cache and log, and the sums.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::error::Result;
use crate::store::bounds::found::{Found, FoundLog, FoundResult, holds};
use crate::store::cache::{CacheInfo, Caches};
use crate::store::ownership::LABEL_SESSION;
use crate::store::session::{self, Life};
use crate::store::site::Site;
use crate::wait::{Limits, Wait};

/// What [`Store::usage`](crate::Store::usage) found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Usage {
    /// All results, sorted by id.
    pub results: Vec<ResultUsage>,
    /// All caches, sorted by name.
    pub caches: Vec<CacheUsage>,
    /// All logs, sorted by id.
    pub logs: Vec<LogUsage>,
    /// Leftovers of terminated processes, which a purge removes.
    pub leftovers: Leftovers,
    /// The sums.
    pub totals: Totals,
}

/// A result and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResultUsage {
    /// The id that it was built under.
    pub id: String,
    /// The engine's id of its image.
    pub image: String,
    /// What it holds in addition to its base.
    pub own_bytes: u64,
    /// Its whole size, including layers that it shares with others.
    pub bytes: u64,
    /// The id of the result that it was built on, whether that still exists or not; `None` if it was built on nothing, or the
    /// base is unknown.
    pub base: Option<String>,
    /// When its image was created.
    pub created: SystemTime,
    /// When it was last used: committed, found by a query or a build, used as a base, or copied out of. If there is no record
    /// of that, when its image was created.
    pub last_use: SystemTime,
    /// How long it took to build, from the beginning of its step, if that was recorded.
    pub build_time: Option<Duration>,
    /// Whether it is pinned.
    pub pinned: bool,
    /// Whether this id is being built now.
    pub building: bool,
    /// Whether a step in progress has it as its base.
    pub held: bool,
    /// The size of its log.
    pub log_bytes: u64,
}

/// A cache and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheUsage {
    /// The row of the listing. Its size is set only if it was measured before.
    pub info: CacheInfo,
    /// Whether it is pinned.
    pub pinned: bool,
}

/// A log and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogUsage {
    /// The id of its build.
    pub id: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last written.
    pub written: SystemTime,
    /// Whether its result exists.
    pub has_result: bool,
}

/// The number of objects that are no longer used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftovers {
    /// Containers of stale steps and sessions.
    pub containers: u64,
    /// Images that only stale steps hold.
    pub images: u64,
    /// Volumes of stale sessions that no cache names.
    pub volumes: u64,
}

/// The sums of a [`Usage`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// The size of all results; shared layers count once. Includes bases that have lost their name.
    pub results: u64,
    /// The size of all caches, as far as it is known.
    pub caches: u64,
    /// The size of all logs.
    pub logs: u64,
    /// How many results there are for which it is unknown what they share with others: each is counted with its whole size.
    pub results_unknown: u64,
    /// How many caches there are whose size has not been measured yet: they are not in the sum.
    pub caches_unknown: u64,
    /// A description of how the sums were computed.
    pub how: String,
}

/// See [`Store::usage`](crate::Store::usage).
pub(crate) fn usage(site: &Arc<Site>, caches: &Arc<Caches>, limits: &Limits) -> Result<Usage> {
    site.check_open("measuring disk usage")?;
    let wait = limits.wait();
    let mut leftovers = leftovers(site, caches, wait)?;
    let found = Found::look(site, caches.known(site)?, wait)?;
    leftovers.images = found.left_images as u64;
    let totals = totals(&found);
    Ok(Usage {
        leftovers,
        totals,
        results: found
            .results
            .iter()
            .map(|row| result(&found, row))
            .collect(),
        logs: found.logs.into_iter().map(log).collect(),
        caches: found
            .caches
            .into_iter()
            .map(|(info, pinned)| CacheUsage { info, pinned })
            .collect(),
    })
}

fn result(found: &Found, row: &FoundResult) -> ResultUsage {
    let member = found.family.member(row.member);
    let record = row.record.as_ref();
    let base = record.map(|record| record.base.as_ref().map(|base| base.id.clone()));
    ResultUsage {
        id: row.id.clone(),
        image: row.image.clone(),
        own_bytes: member.own,
        bytes: member.total,
        base: base.unwrap_or_else(|| row.base.clone()),
        created: row.created,
        last_use: row.last_use,
        build_time: record.map(|record| Duration::from_millis(record.built_ms)),
        pinned: found.pinned.contains(&row.id),
        building: found.building.contains(&row.id),
        held: found.family.is_held(row.member),
        log_bytes: row.log_bytes,
    }
}

fn log(log: FoundLog) -> LogUsage {
    LogUsage {
        id: log.id,
        bytes: log.bytes,
        written: log.at,
        has_result: log.has_result,
    }
}

fn totals(found: &Found) -> Totals {
    let (results_unknown, known) = (
        found.unknown as u64,
        found.results.len() - found.unknown.min(found.results.len()),
    );
    let sizes = || found.caches.iter().map(|(info, _)| info.bytes);
    let mut how = format!(
        "images by the engine's listing, with the layers that they share counted once by what each was built on ({known} of {} known)",
        found.results.len()
    );
    let caches_unknown = sizes().filter(Option::is_none).count() as u64;
    if caches_unknown > 0 {
        how.push_str(&format!(
            "; caches by what was counted at their releases and listings, and {caches_unknown} not at all"
        ));
    }
    Totals {
        results: found.family.bytes(),
        caches: sizes().flatten().sum(),
        logs: found.logs.iter().map(|log| log.bytes).sum(),
        results_unknown,
        caches_unknown,
        how,
    }
}

/// Counts the objects of stale sessions on the engine. They are listed first, and their sessions checked afterwards.
fn leftovers(site: &Arc<Site>, caches: &Arc<Caches>, wait: Wait<'_>) -> Result<Leftovers> {
    let mut left = Leftovers::default();
    let prefix = site.names.prefix();
    let is_dead = |session: &str| {
        session::life(&site.paths.sessions(), session).map(|life| life == Life::Dead)
    };
    let filters = json!({ "name": [format!("^/?{prefix}-")] });
    for container in site.engine.list_containers(&filters, wait)? {
        let labels = container.labels.as_ref();
        let session = labels.and_then(|labels| labels.get(LABEL_SESSION));
        let mut names = container.names.iter();
        let id = names.find_map(|name| site.names.id_of_container(name.trim_start_matches('/')));
        let dead = match (session, id) {
            (Some(session), _) if site.owner.owns(labels) => is_dead(session)?,
            (_, Some(id)) => !holds(site, id)?,
            _ => false,
        };
        left.containers += u64::from(dead);
    }
    let prefix = format!("{prefix}-");
    let volumes = site.engine.list_volumes(&prefix, wait)?;
    let named = caches.volumes(site)?;
    for volume in volumes {
        let session = volume.label(LABEL_SESSION).unwrap_or_default();
        if volume.name.starts_with(&prefix)
            && site.owner.owns(volume.labels.as_ref())
            && !named.contains(&volume.name)
            && is_dead(session)?
        {
            left.volumes += 1;
        }
    }
    Ok(left)
}
