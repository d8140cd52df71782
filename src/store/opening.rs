//! Opening a store: which engine it uses, the root's identity, and which names it has there.

use std::path::Path;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::context::DockerEnv;
use crate::error::{Error, ErrorKind, Result};
use crate::os;
use crate::store::claim::{self, Claimed};
use crate::store::identity::Identity;
use crate::store::lock::FileLock;
use crate::store::names;
use crate::store::options::Options;
use crate::store::ownership::Owner;
use crate::store::paths::{self, Paths};
use crate::store::session::Session;
use crate::store::site::Site;
use crate::wait::{Limits, Wait};

/// How often the root is created again after another process has destroyed it in the meantime. Each time, another process must
/// have opened the root and destroyed it; ten times in a row is no coincidence.
const ROOTS: u32 = 10;

/// Builds the context of a store at `root`. The engine is queried before anything is created: an open that fails leaves nothing
/// behind.
pub(crate) fn site(root: &Path, options: &Options, limits: &Limits) -> Result<Arc<Site>> {
    names::check_word(&options.word)?;
    let connector = DockerEnv::of_process().connector(options.engine.as_deref())?;
    paths::check(root, options.group)?;
    let wait = limits.wait().at_most(options.connect_timeout);
    let engine = Engine::negotiate(connector, wait)?;
    let (paths, lock) = ground(root, options, wait)?;
    let site = site_on(engine, paths, options, wait);
    // The session is visibly active before this lock is released: a process that destroys the root holds the lock and checks
    // for sessions.
    drop(lock);
    site
}

/// Creates the root if it is missing, and takes the lock on its identity.
fn ground(root: &Path, options: &Options, wait: Wait<'_>) -> Result<(Paths, FileLock)> {
    let mut tries = 0;
    loop {
        let paths = Paths::create(root, options.group)?;
        paths.make_own()?;
        match FileLock::take(&paths.identity_lock(), wait) {
            // The previous holder of the lock has destroyed the root.
            Err(e) if tries < ROOTS && e.os_errno().is_some_and(os::is_missing) => tries += 1,
            lock => return lock.map(|lock| (paths, lock)),
        }
    }
}

/// The same for a caller that holds the lock on the root's identity, and knows the engine.
pub(crate) fn site_on(
    engine: Engine,
    paths: Paths,
    options: &Options,
    wait: Wait<'_>,
) -> Result<Arc<Site>> {
    let root = paths.root().to_owned();
    let file = paths.identity();
    let forget = |all| paths.forget_objects(all);
    let mut identity = Identity::of(paths.root(), &file, paths.is_legacy(), forget)?;
    let first = names::prefix_of_path(&options.word, paths.root());
    let claim = |identity: &Identity| claim::claim(&engine, identity, &options.word, &first, wait);
    let mut claimed = claim(&identity)?;
    if claimed.is_none() {
        identity = identity.copied(paths.root(), &file, forget)?;
        claimed = claim(&identity)?;
    }
    let Some(claimed) = claimed else {
        let why = format!(
            "opening {}: its identity is in use elsewhere",
            root.display()
        );
        return Err(Error::new(ErrorKind::Conflict, why));
    };
    let Claimed {
        entry,
        changed,
        volume,
    } = claimed;
    if changed {
        let same = |known: &&mut _| claim::are_one(known, &entry);
        match identity.engines.iter_mut().find(same) {
            Some(known) => known.clone_from(&entry),
            None => identity.engines.push(entry.clone()),
        }
        identity.write(&file)?;
    }

    let paths = paths.with_engine(&entry.folder);
    paths.make_folders()?;
    let session = Session::begin(&paths.sessions(), identity.short())?;
    let owner = Owner {
        mark: identity.mark(),
        root: identity.id,
        prefix: entry.prefix.clone(),
        legacy: identity.legacy,
    };
    Ok(Site::new(
        engine, owner, entry, volume, paths, session, options,
    ))
}
