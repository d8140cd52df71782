//! Removing the leftovers of terminated processes: containers, tags of steps, volumes, lock files. Idempotent; it ignores
//! everything that an active session of any process holds.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::engine::images::Image;
use crate::engine::stopped;
use crate::error::{Error, Result};
use crate::local as fs;
use crate::store::access;
use crate::store::cache::Caches;
use crate::store::deletes::Lane;
use crate::store::helper::make_empty_image;
use crate::store::lock::{self, FileLock};
use crate::store::note::Note;
use crate::store::ownership::{LABEL_ROOT, LABEL_SESSION, LABEL_STORE};
use crate::store::replace::is_unfinished;
use crate::store::session::{self, Life};
use crate::store::site::Site;
use crate::wait::{Limits, Wait};

/// How many steps' leftovers are removed concurrently: the engine takes long for each, however many are requested. It is the
/// same number as in `deletes`, where measurements showed that more are no faster.
const AT_ONCE: usize = 8;

/// What a purge removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Containers of steps and helpers.
    pub containers: u64,
    /// Tags of steps.
    pub images: u64,
    /// Leases and other volumes that no cache needs.
    pub volumes: u64,
}

/// What may be left of one step.
#[derive(Default)]
struct Left {
    /// Each with the id of its image.
    containers: Vec<(String, String)>,
    tags: Vec<String>,
}

/// How far a purge searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What terminated processes of this root left, as their files and locks show.
    Left,
    /// Also objects of which the root has no record: for example, those of an OBuilder store.
    Everything,
}

/// Purges when a root is opened. The process that used the root before may have left anything, so the first open lists
/// everything. Later opens query the engine only if a session or a build has ended without cleaning up.
pub(crate) fn at_open(site: &Arc<Site>, caches: &Arc<Caches>, limits: &Limits) -> Result<()> {
    let listed = site.paths.listed();
    if !listed.exists() {
        // Its label also shows others that the prefix is this root's: a prune of volumes removes the claim.
        if let Err(e) = make_empty_image(site, limits.wait()) {
            log::debug!("{e}; created when it is needed");
        }
        run(site, caches, Scope::Everything, limits)?;
        access::create(&listed)
            .map_err(|e| Error::io(format!("writing {}", listed.display()), &e))?;
    } else if session::any_dead(&site.paths.sessions())? || any_left(&site.paths.builds())? {
        run(site, caches, Scope::Left, limits)?;
    }
    Ok(())
}

/// Purges everything that can be found. What cannot be removed now is left for the next purge, with a warning. It is an error
/// only if the objects cannot be listed.
pub(crate) fn purge(site: &Arc<Site>, caches: &Arc<Caches>, limits: &Limits) -> Result<Purged> {
    site.check_open("purging")?;
    site.check_engine("purging", limits.wait())?;
    // Objects that this session failed to remove are its own: their labels would protect them from this purge.
    site.deletes.retry(site);
    let purged = run(site, caches, Scope::Everything, limits)?;
    let ended = site.deletes.wait_idle(Some(Lane::Short), limits.wait());
    ended.map_err(|stop| stopped(&"purging", stop))?;
    Ok(purged)
}

pub(crate) fn run(
    site: &Arc<Site>,
    caches: &Arc<Caches>,
    scope: Scope,
    limits: &Limits,
) -> Result<Purged> {
    let wait = limits.wait();
    let mut steps = BTreeMap::new();
    build_locks(&site.paths.builds(), &mut steps)?;
    // If the lock of a running step is removed, the step's objects must not be taken for leftovers.
    let others = session::any_other(&site.paths.sessions(), site.session.id())?;
    let noted: BTreeSet<String> = steps.keys().cloned().collect();
    // Containers first: they hold on to the images and volumes.
    let mut spared = BTreeSet::new();
    let helpers = containers(site, scope, &mut steps, &mut spared, wait)?;
    if scope == Scope::Everything {
        step_tags(site, &mut steps, wait)?;
    }
    steps.retain(|id, _| noted.contains(id) || !others && !spared.contains(id));
    let (containers, images) = remove_steps(site, steps, limits);
    if scope == Scope::Everything {
        remove_empty_images(site, wait)?;
    }
    let (volumes, clean) = caches.purge(site, scope == Scope::Everything, wait)?;
    // A failed removal is not an error, but reaching a limit is.
    wait.left().map_err(|stop| stopped(&"purging", stop))?;
    session::sweep(&site.paths.sessions(), clean)?;
    Ok(Purged {
        containers: helpers + containers,
        images,
        volumes,
    })
}

/// Collects the containers of steps, and removes helpers of stale sessions. `spared` receives the ids of steps that another
/// session may be running.
fn containers(
    site: &Site,
    scope: Scope,
    steps: &mut BTreeMap<String, Left>,
    spared: &mut BTreeSet<String>,
    wait: Wait<'_>,
) -> Result<u64> {
    let filters = json!({ "name": [format!("^/?{}-", site.names.prefix())] });
    let mut removed = 0;
    for container in site.engine.list_containers(&filters, wait)? {
        let labels = container.labels.as_ref();
        let session = labels.and_then(|labels| labels.get(LABEL_SESSION));
        if let Some(session) = session.filter(|_| site.owner.owns(labels)) {
            // A helper. Its session was active before it was created, so if the session is stale now, no process uses it.
            if session::life(&site.paths.sessions(), session)? == Life::Dead {
                let gone = site.engine.remove_container(&container.id, wait);
                removed += u64::from(tell(gone) == Some(true));
            }
            continue;
        }
        let mut names = container.names.iter();
        let id = names.find_map(|name| site.names.id_of_container(name.trim_start_matches('/')));
        let Some(id) = id else { continue };
        // A step that this root has begun has left its lock. Whether other containers are still in use is unknown here.
        if !steps.contains_key(id) {
            if scope == Scope::Left {
                continue;
            }
            if container.state == "running" {
                log::warn!(
                    "purging: the container of {id:?} runs, and was not started from this root: left alone"
                );
                spared.insert(id.to_owned());
                continue;
            }
        }
        // By its engine id, not its name: a new step may take the name as soon as the lock is free.
        let left = steps.entry(id.to_owned()).or_default();
        left.containers.push((container.id, container.image));
    }
    Ok(removed)
}

/// Collects the tags of steps.
fn step_tags(site: &Site, steps: &mut BTreeMap<String, Left>, wait: Wait<'_>) -> Result<()> {
    let reference = format!("{}-image-tmp-*", site.names.prefix());
    for image in site.engine.list_images(&reference, wait)? {
        for tag in image.repo_tags.iter().flatten() {
            if let Some(id) = site.names.id_of_tmp_image(tag) {
                let left = steps.entry(id.to_owned()).or_default();
                let name = tag.strip_suffix(":latest").unwrap_or(tag);
                left.tags.push(name.to_owned());
            }
        }
    }
    Ok(())
}

/// Collects the steps that have a lock file: they are running, or their process was killed, or not all of their objects could
/// be removed.
fn build_locks(folder: &Path, steps: &mut BTreeMap<String, Left>) -> Result<()> {
    lock::sweep_unfinished(folder)?;
    for name in names(folder)? {
        steps.entry(name).or_default();
    }
    Ok(())
}

/// Returns whether a step may have left something: its lock file exists, and no process holds it.
fn any_left(folder: &Path) -> Result<bool> {
    for name in names(folder)? {
        let path = folder.join(name);
        if !FileLock::is_held(&path)? && path.exists() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let doing = |e: io::Error| Error::io(format!("listing {}", folder.display()), &e);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(doing)? {
        // A name that is not valid text is not an id.
        let name = entry.map_err(doing)?.file_name().into_string();
        names.extend(name.ok().filter(|name| !is_unfinished(name)));
    }
    Ok(names)
}

/// The work that several threads share. (Not scoped threads: a scope leaves something behind in the thread that opens it, which
/// leak checkers report.)
struct Work {
    site: Arc<Site>,
    limits: Limits,
    steps: Vec<(String, Left)>,
    next: AtomicUsize,
    containers: AtomicU64,
    tags: AtomicU64,
}

/// Returns how many containers and tags were removed.
fn remove_steps(site: &Arc<Site>, steps: BTreeMap<String, Left>, limits: &Limits) -> (u64, u64) {
    // Running steps are filtered out first; that needs no thread.
    let is_under_way = |id: &str| FileLock::is_held(&site.paths.build_lock(id)).unwrap_or(false);
    let steps = steps.into_iter().filter(|(id, _)| !is_under_way(id));
    let work = Arc::new(Work {
        site: Arc::clone(site),
        limits: limits.clone(),
        steps: steps.collect(),
        next: AtomicUsize::new(0),
        containers: AtomicU64::new(0),
        tags: AtomicU64::new(0),
    });
    let spawn = || {
        let work = Arc::clone(&work);
        let named = thread::Builder::new().name(String::from("docker-store"));
        named.spawn(move || work.run()).ok()
    };
    // If no thread can be created, this one does everything.
    let others: Vec<_> = (1..work.steps.len().min(AT_ONCE))
        .map_while(|_| spawn())
        .collect();
    work.run();
    for other in others {
        if let Err(panic) = other.join() {
            resume_unwind(panic);
        }
    }
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    (read(&work.containers), read(&work.tags))
}

impl Work {
    fn run(&self) {
        while let Some((id, left)) = self.steps.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            match remove_step(&self.site, id, left, self.limits.wait()) {
                Ok((containers, tags)) => {
                    self.containers.fetch_add(containers, Ordering::Relaxed);
                    self.tags.fetch_add(tags, Ordering::Relaxed);
                }
                Err(e) => log::warn!("purging: {e}; left for the next purge"),
            }
        }
    }
}

/// Removes the leftovers of a step, unless its id is being built.
fn remove_step(site: &Site, id: &str, left: &Left, wait: Wait<'_>) -> Result<(u64, u64)> {
    let path = site.paths.build_lock(id);
    let lock = match FileLock::try_take(&path) {
        Ok(Some(lock)) => lock,
        Ok(None) => return Ok((0, 0)),
        // On a full disk no new lock can be created, and so no new step. The containers are removed by their engine ids from
        // the listing.
        Err(e) if e.is_disk_full() && !path.exists() => {
            let removed = left.containers.iter().filter(|(container, _)| {
                tell(site.engine.remove_container(container, wait)) == Some(true)
            });
            return Ok((removed.count() as u64, 0));
        }
        Err(e) => return Err(e),
    };
    let noted = Note::read(&lock)?;
    let mut tags: Vec<String> = match site.names.id(id) {
        Ok(id) => {
            let further = noted.further_tags(site, &id, wait)?;
            site.names.tmp_images(&id, further).collect()
        }
        Err(_) => Vec::new(),
    };
    let listed = left.tags.iter().filter(|tag| !tags.contains(tag));
    tags.extend(listed.cloned().collect::<Vec<_>>());
    let containers = left.containers.iter();
    let containers: Vec<_> = containers
        .map(|(container, _)| tell(site.engine.remove_container(container, wait)))
        .collect();
    let tags: Vec<_> = tags
        .iter()
        .map(|tag| tell(site.engine.remove_image(tag, wait)))
        .collect();
    for (_, image) in &left.containers {
        remove_nameless(site, image, wait)?;
    }
    let nothing = containers
        .iter()
        .chain(&tags)
        .all(|gone| *gone == Some(false));
    match nothing && noted.dead && noted.is_settled() {
        true => lock.remove(),
        false => noted.found_dead(&lock, !nothing)?,
    }
    let count = |gone: &[Option<bool>]| gone.iter().filter(|gone| **gone == Some(true)).count();
    Ok((count(&containers) as u64, count(&tags) as u64))
}

/// Removes empty images of this root whose name was taken by another one: this happens when the import of a killed process
/// completes late.
fn remove_empty_images(site: &Site, wait: Wait<'_>) -> Result<()> {
    let mut labels = vec![format!("{LABEL_ROOT}={}", site.owner.root)];
    if site.owner.legacy {
        labels.push(format!("{LABEL_STORE}={}", site.names.prefix()));
    }
    for label in labels {
        for image in site.engine.list_nameless_images(&label, wait)? {
            tell(site.engine.remove_image(&image.id, wait));
        }
    }
    Ok(())
}

/// Removes an image that lost its last name while a container was based on it: the engine keeps the image for the container,
/// and it could not be found again.
fn remove_nameless(site: &Site, id: &str, wait: Wait<'_>) -> Result<()> {
    let image = site.engine.inspect_image(id, wait)?;
    let is_named = |image: &Image| {
        [&image.repo_tags, &image.repo_digests]
            .into_iter()
            .flatten()
            .flatten()
            .next()
            .is_some()
    };
    if image.is_some_and(|image| !is_named(&image)) {
        tell(site.engine.remove_image(id, wait));
    }
    Ok(())
}

/// Returns whether something was removed; `None` if it may still exist. Logs a failure.
fn tell(removed: Result<bool>) -> Option<bool> {
    removed
        .map_err(|e| log::warn!("purging: {e}; left for the next purge"))
        .ok()
}
