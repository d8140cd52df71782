//! Destroying a root: removes everything of it from the engines and the disk.
//!
//! The root's identity is removed last. So a process that is killed in the middle leaves a root that can be destroyed again. On
//! an engine, the claim, which says which root the names belong to, is removed last.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::engine::context::DockerEnv;
use crate::engine::{Engine, stopped};
use crate::error::{Error, ErrorKind, Result};
use crate::local as fs;
use crate::store::cache::Caches;
use crate::store::claim;
use crate::store::identity::{self, EngineEntry, Identity};
use crate::store::lock::FileLock;
use crate::store::opening;
use crate::store::options::Options;
use crate::store::paths::{self, Paths};
use crate::store::purge::{self, Scope};
use crate::store::remains::{Fate, Holdings, Remains, Remnant, RemnantKind};
use crate::store::session;
use crate::store::site::Site;
use crate::wait::{Limits, Wait};

/// How to destroy a root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destroy {
    dry_run: bool,
    abandon: bool,
}

impl Destroy {
    /// Creates the default options: remove everything, on all engines.
    pub fn new() -> Self {
        Destroy::default()
    }

    /// Sets whether only to list what exists; the default is `false`.
    pub fn dry_run(&mut self, dry_run: bool) -> &mut Self {
        self.dry_run = dry_run;
        self
    }

    /// Sets whether to also abandon what is on engines that cannot be reached; the default is `false`. The objects stay there,
    /// and can be found later by the root's identity.
    pub fn abandon(&mut self, abandon: bool) -> &mut Self {
        self.abandon = abandon;
        self
    }
}

/// An engine that the root was used with, and how it was reached.
struct Reached {
    engine: Engine,
    entry: EngineEntry,
    options: Options,
}

/// See [`Store::destroy`](crate::Store::destroy).
pub(crate) fn destroy(
    root: &Path,
    options: &Options,
    how: &Destroy,
    limits: &Limits,
) -> Result<Remains> {
    let doing = format!("destroying the root {}", root.display());
    let refuse = |kind, why: &str| Err(Error::new(kind, format!("{doing}: {why}")));
    let wait = limits.wait();
    match fs::metadata(root) {
        Ok(found) if !found.is_dir() => {
            return refuse(ErrorKind::InvalidArgument, "it is not a directory");
        }
        Ok(_) => paths::check(root, options.group)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let why = "it does not exist; what it left on an engine is found by its identity";
            return refuse(ErrorKind::NotFound, why);
        }
        Err(e) => return Err(Error::io(&doing, &e)),
    }
    let paths = Paths::create(root, options.group)?;
    if !paths.own().exists() {
        return match fs::read_dir(paths.root()).map(|mut entries| entries.next().is_none()) {
            // The state after a process was killed at the very end.
            Ok(true) => Disk::new(&paths, "", how).finish(None),
            _ => refuse(ErrorKind::InvalidArgument, "it is not a store's root"),
        };
    }
    let lock = FileLock::take(&paths.identity_lock(), wait)?;
    let sessions = paths.sessions();
    if sessions.exists() && session::any_other(&sessions, "")? {
        return refuse(ErrorKind::Busy, "a store is open there");
    }
    let file = paths.identity();
    if !file.exists() && !identity::spare(&file).exists() && !paths.is_legacy() {
        return Disk::new(&paths, "", how).finish(Some(lock));
    }
    let forget = |all| paths.forget_objects(all);
    let identity = Identity::of(paths.root(), &file, paths.is_legacy(), forget)?;

    let mut things = Vec::new();
    let mut all = Vec::new();
    for entry in &identity.engines {
        match reach(&identity, entry, options, wait) {
            Ok(reached) => all.push(reached),
            Err(e) if matches!(e.kind(), ErrorKind::Cancelled | ErrorKind::TimedOut) => {
                wait.left().map_err(|stop| stopped(&doing, stop))?;
                things.push(abandoned(&identity, entry, &e, how)?);
            }
            Err(e) => things.push(abandoned(&identity, entry, &e, how)?),
        }
    }
    for reached in all {
        let mut there = match how.dry_run {
            true => holdings(&reached, &identity, wait)?.list(wait)?,
            false => give_up(reached, &paths, limits)?,
        };
        things.append(&mut there);
    }
    let mut remains = Remains { things };
    let is_kept =
        |thing: &Remnant| thing.kind != RemnantKind::Engine && matches!(thing.fate, Fate::Kept(_));
    // As long as anything remains on an engine, the root keeps a record of it.
    if !remains.things.iter().any(is_kept) {
        let disk = Disk::new(&paths, &identity.id, how).finish(Some(lock))?;
        remains.things.extend(disk.things);
    }
    Ok(remains)
}

/// Connects to the engine of `entry`: at its last known address, or otherwise at the address from the caller.
fn reach(
    identity: &Identity,
    entry: &EngineEntry,
    options: &Options,
    wait: Wait<'_>,
) -> Result<Reached> {
    let at = |address: Option<&str>| {
        let options = Options {
            engine: address.map(str::to_owned),
            word: entry.word.clone(),
            ..options.clone()
        };
        let engine = engine(&options, wait)?;
        match claim::is_engine_of(&engine, &identity.id, entry, wait)? {
            true => Ok(Reached {
                engine,
                entry: entry.clone(),
                options,
            }),
            false => {
                let address = engine.address();
                let why = format!("another engine answers at {address}");
                Err(Error::new(ErrorKind::Unreachable, why))
            }
        }
    };
    let there = at(Some(&entry.address));
    there.or_else(|first| at(options.engine.as_deref()).map_err(|_| first))
}

fn engine(options: &Options, wait: Wait<'_>) -> Result<Engine> {
    let connector = DockerEnv::of_process().connector(options.engine.as_deref())?;
    Engine::negotiate(connector, wait.at_most(options.connect_timeout))
}

/// Returns the report on an engine that cannot be reached; an error, unless it is to be abandoned.
fn abandoned(
    identity: &Identity,
    entry: &EngineEntry,
    why: &Error,
    how: &Destroy,
) -> Result<Remnant> {
    if !how.abandon && !how.dry_run {
        let why = format!(
            "destroying the root {}: the engine that it was used with at {} cannot be reached, and nothing was removed: {why}",
            identity.path().display(),
            entry.address
        );
        return Err(Error::new(ErrorKind::Unreachable, why));
    }
    Ok(Remnant {
        kind: RemnantKind::Engine,
        name: format!("{}-*", entry.prefix),
        identity: identity.id.clone(),
        root: Some(identity.path().to_string_lossy().into_owned()),
        engine: entry.address.clone(),
        fate: Fate::Kept(why.message().to_owned()),
    })
}

fn holdings<'a>(reached: &'a Reached, identity: &Identity, wait: Wait<'_>) -> Result<Holdings<'a>> {
    let Reached { engine, entry, .. } = reached;
    let free = claim::is_free_for(engine, &identity.id, &entry.prefix, wait)?;
    let prefixes = free.then(|| entry.prefix.clone());
    Ok(Holdings {
        engine,
        identity: identity.id.clone(),
        root: Some(identity.path().to_string_lossy().into_owned()),
        prefixes: prefixes.into_iter().collect(),
        legacy: identity.legacy,
    })
}

/// Removes everything of the root from an engine. The caller holds the lock on the root's identity.
fn give_up(reached: Reached, paths: &Paths, limits: &Limits) -> Result<Vec<Remnant>> {
    let wait = limits.wait();
    let Reached {
        engine,
        entry,
        options,
    } = reached;
    let site = opening::site_on(engine, paths.clone(), &options, wait)?;
    if !claim::are_one(&site.entry, &entry) {
        let why = format!(
            "destroying the root {}: another engine answers at {} than before",
            paths.root().display(),
            entry.address
        );
        return Err(Error::new(ErrorKind::Conflict, why));
    }
    let removed = remove_all(&site, limits);
    site.close();
    site.engine.close_idle();
    if site.deletes.wait_idle(None, wait.clean_up()).is_ok() {
        site.deletes.join();
    }
    removed
}

fn remove_all(site: &Arc<Site>, limits: &Limits) -> Result<Vec<Remnant>> {
    let wait = limits.wait();
    let holdings = Holdings {
        engine: &site.engine,
        identity: site.owner.root.clone(),
        root: Some(site.paths.root().to_string_lossy().into_owned()),
        prefixes: BTreeSet::from([site.owner.prefix.clone()]),
        legacy: site.owner.legacy,
    };
    let mut things = holdings.list(wait)?;
    // A purge knows what terminated processes left in the middle of an operation, and how to remove it.
    purge::run(
        site,
        &Arc::new(Caches::default()),
        Scope::Everything,
        limits,
    )?;
    let shorts = site.deletes.wait_idle(None, wait);
    shorts.map_err(|stop| stopped(&"destroying a root", stop))?;
    remove_each(&holdings, &mut things, wait)?;
    Ok(things)
}

/// Removes the objects in order; the claims only when everything else is removed.
fn remove_each(holdings: &Holdings<'_>, things: &mut [Remnant], wait: Wait<'_>) -> Result<()> {
    let mut any_kept = false;
    for thing in things {
        wait.left()
            .map_err(|stop| stopped(&"destroying a root", stop))?;
        let is_claim = thing.kind == RemnantKind::Volume && thing.name.ends_with("-store");
        if is_claim && any_kept {
            thing.fate = Fate::Kept(String::from("it identifies the owner of the rest"));
            continue;
        }
        holdings.remove(thing, wait)?;
        any_kept |= matches!(thing.fate, Fate::Kept(_));
    }
    Ok(())
}

/// See [`Store::remains`](crate::Store::remains).
pub(crate) fn remains(
    options: &Options,
    identity: Option<&str>,
    limits: &Limits,
) -> Result<Remains> {
    let wait = limits.wait();
    let engine = engine(options, wait)?;
    let mut things = Vec::new();
    for holdings in Holdings::of_all(&engine, wait)? {
        if identity.is_none_or(|identity| holdings.identity == identity) {
            things.append(&mut holdings.list(wait)?);
        }
    }
    Ok(Remains { things })
}

/// See [`Store::destroy_remains`](crate::Store::destroy_remains).
pub(crate) fn destroy_remains(
    options: &Options,
    identity: &str,
    limits: &Limits,
) -> Result<Remains> {
    let wait = limits.wait();
    let engine = engine(options, wait)?;
    let doing = format!("destroying the remains of the root {identity:?}");
    let mut all = Holdings::of_all(&engine, wait)?.into_iter();
    let Some(mut holdings) = all.find(|holdings| holdings.identity == identity) else {
        return Ok(Remains::default());
    };
    if let Some(root) = &holdings.root {
        let file = Path::new(root).join(".store").join("identity");
        if Identity::is_still(&file, identity).unwrap_or(true) {
            let why = format!("{doing}: the root still exists at {root}; destroy it there");
            return Err(Error::new(ErrorKind::Conflict, why));
        }
    }
    let mut running = holdings
        .containers(wait)?
        .into_iter()
        .filter(|(_, runs)| *runs);
    if let Some((name, _)) = running.next() {
        let why = format!("{doing}: its container {name} runs");
        return Err(Error::new(ErrorKind::Busy, why));
    }
    // Keeps other roots from taking the names while objects are identified by them.
    let mut claimed = BTreeSet::new();
    for prefix in &holdings.prefixes {
        if claim::claim_for_gone(&engine, identity, prefix, wait.whole())? {
            claimed.insert(prefix.clone());
        }
    }
    holdings.prefixes = claimed;
    let mut things = holdings.list(wait)?;
    remove_each(&holdings, &mut things, wait)?;
    Ok(Remains { things })
}

/// The files on the disk.
struct Disk<'a> {
    paths: &'a Paths,
    identity: &'a str,
    dry_run: bool,
    things: Vec<Remnant>,
}

impl<'a> Disk<'a> {
    fn new(paths: &'a Paths, identity: &'a str, how: &Destroy) -> Self {
        Disk {
            paths,
            identity,
            dry_run: how.dry_run,
            things: Vec::new(),
        }
    }

    /// Removes all of them, the root's identity last.
    fn finish(mut self, lock: Option<FileLock>) -> Result<Remains> {
        let paths = self.paths;
        let own = paths.own();
        for path in [paths.logs(), paths.state(), paths.empty()] {
            self.remove(&path);
        }
        let file = paths.identity();
        let last = [file.clone(), identity::spare(&file), paths.identity_lock()];
        if !self.dry_run {
            for entry in fs::read_dir(&own).into_iter().flatten().flatten() {
                let path = entry.path();
                if !last.contains(&path) {
                    self.remove_own(&path);
                }
            }
            if !self.any_kept() {
                for path in &last[..2] {
                    self.remove_own(path);
                }
                if let Some(lock) = lock {
                    lock.remove();
                }
            }
        }
        for path in [own, paths.root().to_owned()] {
            if self.dry_run || self.any_kept() {
                self.note(&path, Fate::Found);
            } else {
                match fs::remove_dir(&path) {
                    Ok(()) => self.note(&path, Fate::Removed),
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => self.note(&path, Fate::Kept(e.to_string())),
                }
            }
        }
        Ok(Remains {
            things: self.things,
        })
    }
}

impl Disk<'_> {
    fn note(&mut self, path: &Path, fate: Fate) {
        self.things.push(Remnant {
            kind: RemnantKind::File,
            name: path.to_string_lossy().into_owned(),
            identity: self.identity.to_owned(),
            root: Some(self.paths.root().to_string_lossy().into_owned()),
            engine: String::new(),
            fate,
        });
    }

    fn any_kept(&self) -> bool {
        let kept = |thing: &Remnant| matches!(thing.fate, Fate::Kept(_));
        self.things.iter().any(kept)
    }

    /// Removes one of the directories, or reports it in a dry run.
    fn remove(&mut self, path: &Path) {
        let fate = match (fs::symlink_metadata(path), self.dry_run) {
            (Err(_), _) => return,
            (Ok(_), true) => Fate::Found,
            (Ok(_), false) => match remove(path) {
                Ok(()) => Fate::Removed,
                Err(e) => Fate::Kept(e.to_string()),
            },
        };
        self.note(path, fate);
    }

    /// Removes a part of the library's own directory, and reports it only if that fails.
    fn remove_own(&mut self, path: &Path) {
        if let Err(e) = remove(path) {
            self.note(path, Fate::Kept(e.to_string()));
        }
    }
}

/// Removes a file, a link or a directory; does nothing if it does not exist.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        // A directory without access permissions must be empty, so it need not be listed.
        Ok(found) if found.is_dir() => fs::remove_dir(path).or_else(|_| fs::remove_dir_all(path)),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
