//! Bringing a store within its bounds. Everything is listed once, and the removals are planned. Each thing is checked again
//! under its own lock just before it is removed, because others build, query and prune concurrently.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::engine::stopped;
use crate::error::{Error, ErrorKind, Result};
use crate::store::bounds::found::{Found, FoundResult, holds};
use crate::store::bounds::pins::{self, Item};
use crate::store::bounds::plan::{Candidate, Plan};
use crate::store::bounds::policy::{Policy, PruneFate, PruneReport, PruneRow};
use crate::store::bounds::record::Went;
use crate::store::bounds::removal::Removal;
use crate::store::cache::{Caches, Deleted};
use crate::store::deletes::Lane;
use crate::store::disk;
use crate::store::lock::FileLock;
use crate::store::names::Id;
use crate::store::results;
use crate::store::session;
use crate::store::site::Site;
use crate::wait::{Limits, Wait};

/// How long a result is kept after a caller was told of it, unless a policy says otherwise. A caller that was told of a result
/// usually begins on it immediately. A minute is a choice: it leaves a busy machine time for that, and does not keep a full
/// disk full.
const TOLD: Duration = Duration::from_secs(60);

/// The pause between checks of what another prune is removing. A removal takes some milliseconds.
const LOOK: Duration = Duration::from_millis(5);

/// How often it is checked whether the holder of a lock is a prune. That takes a tenth of a second. A prune renames the record
/// as soon as it has the lock, so a holder that has not done so by then is a build.
const LOOKS: u32 = 20;

const BUILT: &str = "it is being built";
const HELD: &str = "a step in progress is built on it";
const PINNED: &str = "it is pinned";
const LEASED: &str = "it is leased";
const USED: &str = "it was used in the meantime";

/// Receives each row as it comes; an error ends the prune.
pub(crate) type Progress<'a> = dyn FnMut(&PruneRow) -> Result<()> + 'a;

/// A prune in progress.
struct Prune<'a> {
    site: &'a Arc<Site>,
    caches: &'a Arc<Caches>,
    policy: &'a Policy,
    wait: Wait<'a>,
    found: Found,
    plan: Plan,
    /// Where the engine's data is.
    data: Option<PathBuf>,
    /// How many bytes of that disk were free, and how many a dry run would have freed.
    free_before: Option<u64>,
    would_go: u64,
    rows: Vec<PruneRow>,
}

/// See [`Store::prune`](crate::Store::prune).
pub(crate) fn prune(
    site: &Arc<Site>,
    caches: &Arc<Caches>,
    policy: &Policy,
    limits: &Limits,
    progress: &mut Progress<'_>,
) -> Result<PruneReport> {
    let doing = "pruning";
    site.check_open(doing)?;
    let wait = limits.wait();
    site.check_engine(doing, wait)?;
    let info = site.engine.info(wait)?;
    let data = disk::engine_data(site, &info).map(PathBuf::from);
    if data.is_none() && policy.needs_disk() {
        let why = format!(
            "{doing}: the free space on the engine's disk is not accessible from here ({}); use a number of bytes to keep",
            site.engine.address()
        );
        return Err(Error::new(ErrorKind::Unsupported, why));
    }
    // If a size is bounded, it is measured first: also a cache that was just released.
    let listed = match policy.kinds.caches {
        true => caches.counted(site, wait)?,
        false => Vec::new(),
    };
    let found = Found::look(site, listed, wait)?;
    let spare = match policy.spare {
        Some(spare) => spare,
        None => match site.has_told()
            || session::any_other(&site.paths.sessions(), site.session.id())?
        {
            true => TOLD,
            false => Duration::ZERO,
        },
    };
    let candidates = candidates(policy, &found, spare);
    let results = found.results.len();
    let plan = Plan::new(candidates, found.family.clone(), results, policy.keep);
    let mut prune = Prune {
        free_before: data
            .as_deref()
            .map(disk::space)
            .transpose()?
            .map(|(_, free)| free),
        site,
        caches,
        policy,
        wait,
        found,
        plan,
        data,
        would_go: 0,
        rows: Vec::new(),
    };
    prune.run(progress)
}

/// Returns everything that may be removed by its kind, and for what must be kept the reason.
fn candidates(policy: &Policy, found: &Found, spare: Duration) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let why = |reasons: &[(bool, &str)]| {
        let reason = reasons.iter().find(|(is, _)| *is);
        reason.map(|(_, why)| (*why).to_owned())
    };
    if policy.kinds.results {
        let just_used = format!("it was used within the last {}", in_words(spare));
        for result in &found.results {
            let since = found.at.duration_since(result.last_use);
            candidates.push(Candidate {
                item: Item::Result(result.id.clone()),
                last_use: result.last_use,
                cost: result.record.as_ref().map_or(0, |record| record.built_ms),
                bytes: 0,
                member: Some(result.member),
                spared: why(&[
                    (found.pinned.contains(&result.id), PINNED),
                    (found.building.contains(&result.id), BUILT),
                    (found.family.is_held(result.member), HELD),
                    (since.is_ok_and(|since| since < spare), &just_used),
                ]),
            });
        }
    }
    if policy.kinds.caches {
        for (info, pinned) in &found.caches {
            candidates.push(Candidate {
                item: Item::Cache(info.name.clone()),
                last_use: info.last_use,
                cost: 0,
                bytes: info.bytes.unwrap_or_default(),
                member: None,
                spared: why(&[(*pinned, PINNED), (info.leases > 0, LEASED)]),
            });
        }
    }
    if policy.kinds.logs {
        for log in &found.logs {
            candidates.push(Candidate {
                item: Item::Log(log.id.clone()),
                last_use: log.at,
                cost: 0,
                bytes: log.bytes,
                member: None,
                spared: why(&[
                    (found.pinned.contains(&log.id), PINNED),
                    (found.building.contains(&log.id), BUILT),
                ]),
            });
        }
    }
    candidates
}

fn in_words(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

impl Prune<'_> {
    fn run(&mut self, progress: &mut Progress<'_>) -> Result<PruneReport> {
        let spared: Vec<Candidate> = self.plan.spared().cloned().collect();
        for candidate in spared {
            let why = candidate.spared.clone().unwrap_or_default();
            self.tell(&candidate, 0, PruneFate::Spared, why, progress)?;
        }
        if let Some(unused) = self.policy.unused_for {
            let before = self.found.at.checked_sub(unused);
            self.plan
                .begin(Some(before.unwrap_or(SystemTime::UNIX_EPOCH)));
            while let Some(number) = self.plan.next() {
                self.try_one(number, progress)?;
            }
        }
        self.plan.begin(None);
        while !self.is_met()? {
            match self.plan.next() {
                Some(number) => self.try_one(number, progress)?,
                None => break,
            }
        }
        self.settle()?;
        let reached = self.is_met()?;
        let free = self
            .free()?
            .map(|(_, free)| free)
            .filter(|_| !self.policy.dry_run);
        let freed = free.zip(self.free_before);
        Ok(PruneReport {
            rows: std::mem::take(&mut self.rows),
            freed: freed.map(|(now, before)| now.saturating_sub(before)),
            kept: self.plan.kept(),
            reached,
        })
    }

    fn is_met(&self) -> Result<bool> {
        let disk = match self.policy.needs_disk() {
            true => self.free()?,
            false => None,
        };
        let disk = disk.map(|(all, free)| (all, free + self.would_go));
        Ok(self.policy.is_met(self.plan.kept(), disk))
    }

    /// Returns the size of the engine's disk in bytes, and how much is free now.
    fn free(&self) -> Result<Option<(u64, u64)>> {
        self.data.as_deref().map(disk::space).transpose()
    }

    fn try_one(&mut self, number: usize, progress: &mut Progress<'_>) -> Result<()> {
        self.wait.left().map_err(|stop| stopped(&"pruning", stop))?;
        let candidate = self.plan.candidate(number).clone();
        let bytes = self.plan.bytes(number);
        let tried = match self.policy.dry_run {
            true => Ok((PruneFate::Removed, String::new())),
            false => self.remove(&candidate),
        };
        let (fate, why) = match tried {
            Ok(done) => done,
            // If a limit was reached, the prune ends; any other error concerns only this candidate.
            Err(e) => {
                self.wait.left().map_err(|stop| stopped(&"pruning", stop))?;
                (PruneFate::Failed, e.message().to_owned())
            }
        };
        let gone = matches!(fate, PruneFate::Removed | PruneFate::Gone);
        self.plan.note(number, gone);
        if let (Item::Result(id), true) = (&candidate.item, gone) {
            self.plan.went_along(&Item::Log(id.clone()));
        }
        if self.policy.dry_run {
            self.would_go += bytes;
        }
        self.tell(&candidate, bytes, fate, why, progress)
    }

    fn tell(
        &mut self,
        candidate: &Candidate,
        bytes: u64,
        fate: PruneFate,
        why: String,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        let row = PruneRow {
            item: candidate.item.clone(),
            bytes,
            last_use: candidate.last_use,
            fate,
            why,
        };
        let told = progress(&row);
        self.rows.push(row);
        told
    }

    fn remove(&self, candidate: &Candidate) -> Result<(PruneFate, String)> {
        match &candidate.item {
            Item::Result(id) => {
                let found = self.found.results.binary_search_by(|row| row.id.cmp(id));
                match found {
                    Ok(at) => {
                        let row = &self.found.results[at];
                        let listed = self.found.family.member(row.member).total;
                        remove_result(self.site, row, listed, self.wait)
                    }
                    Err(_) => Ok((PruneFate::Gone, String::new())),
                }
            }
            Item::Cache(name) => {
                let last_use = candidate.last_use;
                let deleted = self
                    .caches
                    .delete_unused(self.site, name, last_use, self.wait)?;
                if self.policy.needs_disk() {
                    self.settle()?;
                }
                Ok(match deleted {
                    Deleted::Yes => (PruneFate::Removed, String::new()),
                    Deleted::No => (PruneFate::Gone, String::new()),
                    Deleted::Stays(why) => (PruneFate::Spared, why.to_owned()),
                })
            }
            Item::Log(id) => {
                if FileLock::is_held(&self.site.paths.build_lock(id))? {
                    return Ok((PruneFate::Spared, BUILT.to_owned()));
                }
                results::remove_log(&self.site.paths.log(&self.site.names.id(id)?))?;
                Ok((PruneFate::Removed, String::new()))
            }
        }
    }

    /// Waits until what was queued for removal has left the disk.
    fn settle(&self) -> Result<()> {
        let idle = self.site.deletes.wait_idle(Some(Lane::Short), self.wait);
        idle.map_err(|stop| stopped(&"pruning", stop))
    }
}

/// Begins to remove a result; if another prune is removing it, waits for that first. A prune that went on to the next result
/// would remove more than the policy asks for. Returns `None` if the result is being built.
fn begin<'a>(site: &'a Site, id: &'a Id, wait: Wait<'_>) -> Result<Option<Removal<'a>>> {
    let mut looks = 0;
    loop {
        if let Some(removal) = Removal::begin(site, id)? {
            return Ok(Some(removal));
        }
        // Its holder may be about to rename the record, or to unlock.
        looks = match Removal::is_begun(site, id) {
            true => 0,
            false => looks + 1,
        };
        if looks > LOOKS {
            return Ok(None);
        }
        wait.sleep(LOOK).map_err(|stop| stopped(&"pruning", stop))?;
    }
}

/// Removes one result, if it was not used since it was found.
///
/// Its record has another name by then. So an earlier hit shows in the record's time, and a later one waits for this removal. A
/// step that began on it earlier has its own tag of the image, and one that begins later checks again.
/// `listed` is the size of its image in the engine's listing.
fn remove_result(
    site: &Site,
    row: &FoundResult,
    listed: u64,
    wait: Wait<'_>,
) -> Result<(PruneFate, String)> {
    let id = site.names.id(&row.id)?;
    let stays = |why: &str| (PruneFate::Spared, why.to_owned());
    let Some(removal) = begin(site, &id, wait)? else {
        return Ok(stays(BUILT));
    };
    let name = site.names.image(&id);
    let look = || {
        let Some(image) = site.engine.inspect_image(&name, wait)? else {
            return Ok(Some((PruneFate::Gone, String::new())));
        };
        if removal.last_use != row.marked {
            return Ok(Some(stays(USED)));
        }
        if pins::is_pinned(site, &id) {
            return Ok(Some(stays(PINNED)));
        }
        if image.id != row.image {
            return Ok(Some(stays("it was built again in the meantime")));
        }
        let mut tags = image.repo_tags.iter().flatten();
        let is_held = |tag: &String| {
            let id = site.names.id_of_tmp_image(tag);
            id.is_some_and(|id| holds(site, id).unwrap_or(true))
        };
        if tags.any(is_held) {
            return Ok(Some(stays(HELD)));
        }
        // For results that had no record.
        Ok(removal.is_marked().then(|| stays(USED)))
    };
    match look() {
        Ok(None) => {}
        Ok(Some((PruneFate::Gone, why))) => {
            removal.done(Went::Vanished, Some(listed));
            return Ok((PruneFate::Gone, why));
        }
        Ok(Some(stays)) => {
            removal.undo();
            return Ok(stays);
        }
        Err(e) => {
            removal.undo();
            return Err(e);
        }
    }
    match site.engine.remove_image(&name, wait.whole()) {
        Ok(true) => {
            removal.done(Went::Pruned, Some(listed));
            if let Err(e) = results::remove_log(&site.paths.log(&id)) {
                log::warn!("{e}");
            }
            Ok((PruneFate::Removed, String::new()))
        }
        Ok(false) => {
            removal.done(Went::Vanished, Some(listed));
            Ok((PruneFate::Gone, String::new()))
        }
        Err(e) if e.may_go_on() => {
            removal.leave();
            Err(e)
        }
        Err(e) => {
            removal.undo();
            Err(e)
        }
    }
}
