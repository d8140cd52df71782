//! Removing what dead sessions left: containers, tags of steps, volumes, lock files. Idempotent, and blind to whatever a
//! live session of any process holds.

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

/// How many steps' leftovers are removed at once: the engine takes its time for each, whoever asks. As many as `deletes` removes
/// at once, where it was measured that more are no faster.
const AT_ONCE: usize = 8;

/// What a purge removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Containers of steps and copies.
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

/// How far a purge looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What dead sessions of this root left: their files and locks tell.
    Left,
    /// Also what nothing in the root tells of: an OBuilder store's, say.
    Everything,
}

/// Purges for an open. Whoever used the root before may have left anything; so the first open looks at everything. Later ones ask the
/// engine only if a session or a build has ended without cleaning up.
pub(crate) fn at_open(site: &Arc<Site>, caches: &Arc<Caches>, limits: &Limits) -> Result<()> {
    let listed = site.paths.listed();
    if !listed.exists() {
        // By its label, too, others see that the prefix is this root's: a prune of volumes takes the claim along.
        if let Err(e) = make_empty_image(site, limits.wait()) {
            log::debug!("{e}; made when it is needed");
        }
        run(site, caches, Scope::Everything, limits)?;
        access::create(&listed)
            .map_err(|e| Error::io(format!("writing {}", listed.display()), &e))?;
    } else if session::any_dead(&site.paths.sessions())? || any_left(&site.paths.builds())? {
        run(site, caches, Scope::Left, limits)?;
    }
    Ok(())
}

/// Purges all that can be found. What cannot be removed now is left for the next purge, with a warning; only what cannot be
/// listed is an error.
pub(crate) fn purge(site: &Arc<Site>, caches: &Arc<Caches>, limits: &Limits) -> Result<Purged> {
    site.check_open("purging")?;
    site.check_engine("purging", limits.wait())?;
    // What this session could not remove before is its own: by its labels it would be spared.
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
    // Whoever removes the lock of a step that is under way must not make it nobody's.
    let others = session::any_other(&site.paths.sessions(), site.session.id())?;
    let noted: BTreeSet<String> = steps.keys().cloned().collect();
    // Containers before all else: they hold on to the images and volumes.
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
    // What could not be removed is no error; to have been told to end is one.
    wait.left().map_err(|stop| stopped(&"purging", stop))?;
    session::sweep(&site.paths.sessions(), clean)?;
    Ok(Purged {
        containers: helpers + containers,
        images,
        volumes,
    })
}

/// Notes the containers of steps, and removes helpers of dead sessions. `spared` are the ids of steps that somebody else may be
/// running.
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
            // A helper. Its session was alive before it was made, so one that is dead now was its last.
            if session::life(&site.paths.sessions(), session)? == Life::Dead {
                let gone = site.engine.remove_container(&container.id, wait);
                removed += u64::from(tell(gone) == Some(true));
            }
            continue;
        }
        let mut names = container.names.iter();
        let id = names.find_map(|name| site.names.id_of_container(name.trim_start_matches('/')));
        let Some(id) = id else { continue };
        // What this root has begun has left its lock. Of the rest, nobody here can say whether it is still wanted.
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

/// Notes the tags of steps.
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

/// Notes the steps that have a lock file: they are under way, or their process was killed, or not all of them could be removed.
fn build_locks(folder: &Path, steps: &mut BTreeMap<String, Left>) -> Result<()> {
    lock::sweep_unfinished(folder)?;
    for name in names(folder)? {
        steps.entry(name).or_default();
    }
    Ok(())
}

/// Whether a step may have left something: its lock's file is there, and nobody has it.
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
        // A name that is no text is no id.
        let name = entry.map_err(doing)?.file_name().into_string();
        names.extend(name.ok().filter(|name| !is_unfinished(name)));
    }
    Ok(names)
}

/// What several threads work on together. (Not scoped ones: a scope leaves something with the thread that opens it, which tools
/// that look for leaks complain of.)
struct Work {
    site: Arc<Site>,
    limits: Limits,
    steps: Vec<(String, Left)>,
    next: AtomicUsize,
    containers: AtomicU64,
    tags: AtomicU64,
}

/// Gives how many containers and tags went.
fn remove_steps(site: &Arc<Site>, steps: BTreeMap<String, Left>, limits: &Limits) -> (u64, u64) {
    // Those that are under way need no thread to find that out.
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
    // Where no thread can be had, this one does it all.
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

/// Removes what is left of a step, unless somebody builds that id.
fn remove_step(site: &Site, id: &str, left: &Left, wait: Wait<'_>) -> Result<(u64, u64)> {
    let path = site.paths.build_lock(id);
    let lock = match FileLock::try_take(&path) {
        Ok(Some(lock)) => lock,
        Ok(None) => return Ok((0, 0)),
        // On a full disk there is no new lock, and so no new step. Containers go by their own numbers, as they were listed.
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

/// Removes empty images of ours whose name another took over: the import of a killed process came late.
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

/// Removes an image that has lost its last name while a container was made of it: the engine keeps it for that, and nobody could
/// find it again.
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

/// Whether something was removed; `None` where it may still be there.
fn tell(removed: Result<bool>) -> Option<bool> {
    removed
        .map_err(|e| log::warn!("purging: {e}; left for the next purge"))
        .ok()
}
