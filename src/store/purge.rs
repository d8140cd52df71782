//! Removing what dead sessions left: containers, tags of steps, volumes, lock files. Idempotent, and blind to whatever a
//! live session of any process holds.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::engine::images::Image;
use crate::error::{Error, Result};
use crate::store::cache::Caches;
use crate::store::deletes::Lane;
use crate::store::lock::{self, FileLock};
use crate::store::note::Note;
use crate::store::session;
use crate::store::site::{LABEL_SESSION, LABEL_STORE, Site};
use crate::wait::Wait;

/// How many steps' leftovers are removed at once: the engine takes its time for each, whoever asks.
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

/// Purges for an open. An engine looks at every image that it has to list the tags of steps; so that is done at the first open
/// of a root, for whoever used it before. Later ones look for the tags of those steps alone that left their lock's file.
pub(crate) fn at_open(site: &Arc<Site>, caches: &Caches) -> Result<()> {
    let listed = site.paths.listed();
    let first = !listed.exists();
    run(site, caches, first)?;
    if first {
        File::create(&listed)
            .map_err(|e| Error::io(format!("writing {}", listed.display()), &e))?;
    }
    Ok(())
}

/// Purges all that can be found. What cannot be removed now is left for the next purge, with a warning; only what cannot be
/// listed is an error.
pub(crate) fn purge(site: &Arc<Site>, caches: &Caches) -> Result<Purged> {
    site.check_open("purging")?;
    // What this session could not remove before is its own: by its labels it would be spared.
    site.deletes.retry(site);
    let purged = run(site, caches, true);
    let _ = site.deletes.wait_idle(Some(Lane::Short), Wait::forever());
    purged
}

fn run(site: &Arc<Site>, caches: &Caches, tags: bool) -> Result<Purged> {
    let mut steps = BTreeMap::new();
    // Containers first: they hold on to the images and volumes.
    let helpers = containers(site, &mut steps)?;
    if tags {
        step_tags(site, &mut steps)?;
    }
    build_locks(&site.paths.builds(), &mut steps)?;
    let (containers, images) = remove_steps(site, steps);
    if tags {
        remove_empty_images(site)?;
    }
    let volumes = caches.purge(site)?;
    session::sweep(&site.paths.sessions())?;
    Ok(Purged {
        containers: helpers + containers,
        images,
        volumes,
    })
}

/// Notes the containers of steps, and removes helpers of dead sessions.
fn containers(site: &Site, steps: &mut BTreeMap<String, Left>) -> Result<u64> {
    let filters = json!({ "name": [format!("^/?{}-", site.names.prefix())] });
    let mut removed = 0;
    for container in site.engine.list_containers(&filters, Wait::forever())? {
        let label = |name: &str| container.labels.as_ref()?.get(name).map(String::as_str);
        let ours = label(LABEL_STORE) == Some(site.names.prefix());
        if let Some(session) = label(LABEL_SESSION).filter(|_| ours) {
            // A helper. Its session was alive before it was made, so one that is not now was its last.
            if !session::is_alive(&site.paths.sessions(), session)? {
                let gone = site.engine.remove_container(&container.id, Wait::forever());
                removed += u64::from(tell(gone) == Some(true));
            }
            continue;
        }
        let mut names = container.names.iter();
        let id = names.find_map(|name| site.names.id_of_container(name.trim_start_matches('/')));
        if let Some(id) = id {
            // By its engine id, not its name: a new step may take the name as soon as the lock is free.
            let left = steps.entry(id.to_owned()).or_default();
            left.containers.push((container.id, container.image));
        }
    }
    Ok(removed)
}

/// Notes the tags of steps.
fn step_tags(site: &Site, steps: &mut BTreeMap<String, Left>) -> Result<()> {
    let reference = format!("{}-image-tmp-*", site.names.prefix());
    for image in site.engine.list_images(&reference, Wait::forever())? {
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
    let doing = || format!("listing {}", folder.display());
    lock::sweep_unfinished(folder)?;
    for entry in fs::read_dir(folder).map_err(|e| Error::io(doing(), &e))? {
        let name = entry.map_err(|e| Error::io(doing(), &e))?.file_name();
        if let Some(name) = name.to_str().filter(|name| !lock::is_unfinished(name)) {
            steps.entry(name.to_owned()).or_default();
        }
    }
    Ok(())
}

/// What several threads work on together. (Not scoped ones: a scope leaves something with the thread that opens it, which tools
/// that look for leaks complain of.)
struct Work {
    site: Arc<Site>,
    steps: Vec<(String, Left)>,
    next: AtomicUsize,
    containers: AtomicU64,
    tags: AtomicU64,
}

/// Gives how many containers and tags went.
fn remove_steps(site: &Arc<Site>, steps: BTreeMap<String, Left>) -> (u64, u64) {
    // Those that are under way need no thread to find that out.
    let is_under_way = |id: &str| FileLock::is_held(&site.paths.build_lock(id)).unwrap_or(false);
    let steps = steps.into_iter().filter(|(id, _)| !is_under_way(id));
    let work = Arc::new(Work {
        site: Arc::clone(site),
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
            match remove_step(&self.site, id, left) {
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
fn remove_step(site: &Site, id: &str, left: &Left) -> Result<(u64, u64)> {
    let Some(lock) = FileLock::try_take(&site.paths.build_lock(id))? else {
        return Ok((0, 0));
    };
    let noted = Note::read(&lock)?;
    let mut tags: Vec<String> = match site.names.id(id) {
        Ok(id) => {
            let further = noted.further_tags(site, &id)?;
            site.names.tmp_images(&id, further).collect()
        }
        Err(_) => Vec::new(),
    };
    let listed = left.tags.iter().filter(|tag| !tags.contains(tag));
    tags.extend(listed.cloned().collect::<Vec<_>>());
    let containers = left.containers.iter();
    let containers: Vec<_> = containers
        .map(|(container, _)| tell(site.engine.remove_container(container, Wait::forever())))
        .collect();
    let tags: Vec<_> = tags
        .iter()
        .map(|tag| tell(site.engine.remove_image(tag, Wait::forever())))
        .collect();
    for (_, image) in &left.containers {
        remove_nameless(site, image)?;
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
fn remove_empty_images(site: &Site) -> Result<()> {
    let label = format!("{LABEL_STORE}={}", site.names.prefix());
    let images = site.engine.list_nameless_images(&label, Wait::forever())?;
    for image in images {
        tell(site.engine.remove_image(&image.id, Wait::forever()));
    }
    Ok(())
}

/// Removes an image that has lost its last name while a container was made of it: the engine keeps it for that, and nobody could
/// find it again.
fn remove_nameless(site: &Site, id: &str) -> Result<()> {
    let image = site.engine.inspect_image(id, Wait::forever())?;
    let is_named = |image: &Image| {
        [&image.repo_tags, &image.repo_digests]
            .into_iter()
            .flatten()
            .flatten()
            .next()
            .is_some()
    };
    if image.is_some_and(|image| !is_named(&image)) {
        tell(site.engine.remove_image(id, Wait::forever()));
    }
    Ok(())
}

/// Whether something was removed; `None` where it may still be there.
fn tell(removed: Result<bool>) -> Option<bool> {
    removed
        .map_err(|e| log::warn!("purging: {e}; left for the next purge"))
        .ok()
}
