//! The context that all parts of a store share: the engine, the names and files, the session, the counters. Parts know the
//! site, but neither each other nor `Store`.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use serde_json::Value;

use crate::engine::Engine;
use crate::engine::images::Dialect;
use crate::engine::volumes::Volume;
use crate::error::{Error, ErrorKind, Result};
use crate::os::{self, Stamp};
use crate::process::{FORKED, Process};
use crate::store::claim;
use crate::store::deletes::{Deletes, Job, Lane};
use crate::store::identity::{EngineEntry, Identity};
use crate::store::lent::Lent;
use crate::store::names::Names;
use crate::store::network::Networks;
use crate::store::options::{CacheOptions, LogOptions, Options};
use crate::store::ownership::Owner;
use crate::store::paths::Paths;
use crate::store::session::Session;
use crate::store::stats::Counters;
use crate::wait::Wait;

/// What all parts of one open store share.
pub(crate) struct Site {
    pub(crate) engine: Engine,
    pub(crate) names: Names,
    pub(crate) paths: Paths,
    pub(crate) session: Session,
    pub(crate) counters: Counters,
    pub(crate) deletes: Deletes<Site>,
    pub(crate) cache_options: CacheOptions,
    pub(crate) log_options: LogOptions,
    /// How steps without a network are set up.
    pub(crate) networks: Networks,
    /// The volume that claims the prefix, as it was found when the store was opened.
    pub(crate) claim: Volume,
    /// Which objects on the engine belong to this root.
    pub(crate) owner: Owner,
    /// The root's entry for the engine.
    pub(crate) entry: EngineEntry,
    /// Which file the identity was last found in, and its time.
    identity_seen: Mutex<Option<Stamp>>,
    pub(crate) lent: Lent,
    /// Whether the engine refused Docker's own form of an image's file, because it uses containerd's image store.
    packs: AtomicBool,
    /// See [`lists_other_sizes`](Self::lists_other_sizes).
    other_sizes: OnceLock<bool>,
    /// Whether this session has reported to a caller that a result exists.
    told: AtomicBool,
    closed: AtomicBool,
    process: Process,
    /// For jobs that are left to the worker.
    me: Weak<Site>,
}

impl Site {
    pub(crate) fn new(
        engine: Engine,
        owner: Owner,
        entry: EngineEntry,
        claim: Volume,
        paths: Paths,
        session: Session,
        options: &Options,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Site {
            packs: AtomicBool::new(false),
            told: AtomicBool::new(false),
            me: Weak::clone(me),
            engine,
            names: Names::new(&entry.prefix),
            owner,
            entry,
            paths,
            session,
            counters: Counters::default(),
            deletes: Deletes::default(),
            cache_options: options.cache,
            log_options: options.log,
            networks: Networks::new(options.engine_network),
            claim,
            identity_seen: Mutex::new(None),
            lent: Lent::default(),
            other_sizes: OnceLock::new(),
            closed: AtomicBool::new(false),
            process: Process::this(),
        })
    }

    /// Returns how the engine accepts an image's record, as far as that is known.
    pub(crate) fn dialect(&self) -> Dialect {
        match self.packs.load(Ordering::Relaxed) {
            _ if self.engine.is_podman() => Dialect::Digests,
            true => Dialect::Packed,
            false => Dialect::Saved,
        }
    }

    /// Returns whether the engine lists another size of an image than it gives when asked for that image, as containerd's image
    /// store does. Asks it once.
    pub(crate) fn lists_other_sizes(&self, wait: Wait<'_>) -> Result<bool> {
        if self.dialect() != Dialect::Saved {
            return Ok(self.dialect() == Dialect::Packed);
        }
        if let Some(known) = self.other_sizes.get() {
            return Ok(*known);
        }
        let info = self.engine.info(wait)?;
        Ok(*self.other_sizes.get_or_init(|| info.is_of_containerd()))
    }

    /// Records that it accepts only compressed layers.
    pub(crate) fn packs(&self) {
        self.packs.store(true, Ordering::Relaxed);
    }

    /// Records that a caller was told that a result exists.
    pub(crate) fn tell(&self) {
        self.told.store(true, Ordering::Relaxed);
    }

    /// Returns whether a caller was told.
    pub(crate) fn has_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// Runs `job` later, on a worker thread; if it fails, retries it after a delay.
    pub(crate) fn defer(&self, job: impl FnMut(&Arc<Self>) -> Result<()> + Send + 'static) {
        // The caller of this holds a strong reference.
        if let Some(site) = self.me.upgrade() {
            self.deletes.push(&site, Lane::Short, counted(job));
        }
    }

    /// The same for jobs that take long, and for which no caller waits.
    pub(crate) fn defer_long(
        self: &Arc<Self>,
        job: impl FnMut(&Arc<Self>) -> Result<()> + Send + 'static,
    ) {
        self.deletes.push(self, Lane::Long, Box::new(job));
    }

    /// Retries `job`, whose first try failed with this error: immediately if there was no time for it, otherwise after a delay.
    pub(crate) fn try_again(
        &self,
        error: &Error,
        job: impl FnMut(&Arc<Self>) -> Result<()> + Send + 'static,
    ) {
        if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Cancelled) {
            log::info!("{error}; left to the worker");
            return self.defer(job);
        }
        log::warn!("{error}; tried again later");
        self.deletes.keep(Lane::Short, counted(job));
    }

    /// Removes a container that is no longer needed: now, or in the background if the engine is slow.
    pub(crate) fn remove_container(&self, id: &str, wait: Wait<'_>) {
        if let Err(e) = self.engine.remove_container(id, wait.clean_up()) {
            let id = id.to_owned();
            self.try_again(&e, move |site| {
                let removed = site.engine.remove_container(&id, Wait::unbounded());
                removed.map(drop)
            });
        }
    }

    /// Removes a volume, now or later.
    pub(crate) fn remove_volume(&self, name: &str, wait: Wait<'_>) {
        if let Err(e) = self.engine.remove_volume(name, wait.clean_up()) {
            let name = name.to_owned();
            self.try_again(&e, move |site| {
                let removed = site.engine.remove_volume(&name, Wait::unbounded());
                removed.map(drop)
            });
        }
    }

    /// Every call of a store, step or lease checks this first.
    pub(crate) fn check_open(&self, doing: &str) -> Result<()> {
        self.check_process(doing)?;
        if self.is_closed() {
            return Err(Error::new(
                ErrorKind::Closed,
                format!("{doing}: the store is closed"),
            ));
        }
        Ok(())
    }

    /// Refuses to work in a forked child, which has copies of the parent's locks, connections and objects, and must not use
    /// them.
    pub(crate) fn check_process(&self, doing: &str) -> Result<()> {
        match self.process.is_this() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Closed, format!("{doing}: {FORKED}"))),
        }
    }

    /// Returns whether the dropped value is a forked child's copy. Then nothing is done with it, and the site itself is leaked:
    /// dropping it would wait for threads that the child does not have.
    pub(crate) fn abandon(self: &Arc<Self>) -> bool {
        let forked = !self.process.is_this();
        if forked {
            std::mem::forget(Arc::clone(self));
        }
        forked
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Returns `true` for the call that closes it.
    pub(crate) fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::SeqCst)
    }

    /// Fails if another engine now answers at the address, or if another store has taken the root's names or its directory.
    /// Checked before anything is discarded because it was not found: the other engine or directory may have it.
    pub(crate) fn check_engine(&self, doing: &str, wait: Wait<'_>) -> Result<()> {
        self.check_root(doing)?;
        let owner = &self.owner;
        if claim::holds(&self.engine, &owner.root, &owner.mark, &self.entry, wait)? {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "{doing}: another engine answers at {} than when the store was opened, or another store has taken its names; open it again",
                self.engine.address()
            ),
        ))
    }

    /// Fails if the directory has become another store's: for example, it was removed and created again, or replaced.
    pub(crate) fn check_root(&self, doing: &str) -> Result<()> {
        let file = self.paths.identity();
        let stamp = fs::metadata(&file).map(|found| os::stamp(&found));
        let mut seen = self.identity_seen.lock();
        if matches!((&*seen, &stamp), (Some(seen), Ok(stamp)) if seen == stamp) {
            return Ok(());
        }
        if !Identity::is_still(&file, &self.owner.root)? {
            let why = format!(
                "{doing}: {} is another store now than when it was opened; open it again",
                self.paths.root().display()
            );
            return Err(Error::new(ErrorKind::Conflict, why));
        }
        *seen = stamp.ok();
        Ok(())
    }

    /// Makes sure that other processes see this session's file: see [`Session::keep`].
    pub(crate) fn keep_session(&self) {
        self.session.keep(&self.paths);
    }

    /// Ends the session.
    pub(crate) fn end_session(&self) {
        // The session's file is then kept, and the next open looks for what could not be removed.
        if self.deletes.has_failed() {
            self.session.owe();
        }
        self.session.end();
    }

    /// Returns the labels of an object that this session creates. Do not use them on a step's own container: a commit would
    /// write them into the result.
    pub(crate) fn labels(&self, kind: &str) -> Value {
        self.owner.labels(self.session.id(), kind)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.end_session();
    }
}

fn counted(mut job: impl FnMut(&Arc<Site>) -> Result<()> + Send + 'static) -> Job<Site> {
    Box::new(move |site| {
        job(site)?;
        site.counters.deferred_deletes.add(1);
        Ok(())
    })
}
