//! Opening: which engine, who the root is, and which names are its own there.

use std::path::Path;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::address::{DockerEnv, connector};
use crate::error::Result;
use crate::store::claim;
use crate::store::identity::Identity;
use crate::store::lock::FileLock;
use crate::store::names;
use crate::store::options::Options;
use crate::store::ownership::Owner;
use crate::store::paths::{self, Paths};
use crate::store::session::Session;
use crate::store::site::Site;
use crate::wait::Limits;

/// Makes the ground of a store at `root`. The engine is asked before anything is made: an open that fails leaves nothing behind.
pub(crate) fn site(root: &Path, options: &Options, limits: &Limits) -> Result<Arc<Site>> {
    names::check_word(&options.word)?;
    let address = DockerEnv::of_process().address(options.engine.as_deref())?;
    let connector = connector(&address)?;
    paths::check(root, options.group)?;
    let wait = limits.wait().at_most(options.connect_timeout);
    let engine = Engine::negotiate(connector, wait)?;

    let paths = Paths::create(root, options.group)?;
    paths.make_own()?;
    let lock = FileLock::take(&paths.identity_lock(), wait)?;
    let mut identity = Identity::of(paths.root(), &paths.identity(), paths.is_legacy(), || {
        paths.forget_objects()
    })?;
    let first = names::prefix_of_path(&options.word, paths.root());
    let (entry, changed) = claim::claim(&engine, &identity, &options.word, &first, wait)?;
    if changed {
        let same = |known: &&mut _| claim::are_one(known, &entry);
        match identity.engines.iter_mut().find(same) {
            Some(known) => known.clone_from(&entry),
            None => identity.engines.push(entry.clone()),
        }
        identity.write(&paths.identity())?;
    }
    drop(lock);

    let paths = paths.with_engine(&entry.folder);
    paths.make_folders()?;
    let session = Session::begin(&paths.sessions(), identity.short())?;
    let owner = Owner {
        root: identity.id,
        prefix: entry.prefix.clone(),
        legacy: identity.legacy,
    };
    Ok(Site::new(
        engine,
        owner,
        entry,
        paths,
        session,
        options.cache,
        options.log,
    ))
}
