//! The ground that every part of a store stands on: the engine, the names and files, the session, the counters. Parts know
//! the site, not each other, and not `Store`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::store::deletes::Deletes;
use crate::store::names::Names;
use crate::store::options::CacheOptions;
use crate::store::paths::Paths;
use crate::store::session::Session;
use crate::store::stats::Counters;

/// The label that says whose an object is: the prefix of its store.
pub(crate) const LABEL_STORE: &str = "docker-store.prefix";
/// The label that names the session which made an object.
pub(crate) const LABEL_SESSION: &str = "docker-store.session";
/// The label that says what an object is for.
pub(crate) const LABEL_KIND: &str = "docker-store.kind";
/// The label that names the cache a volume is of, escaped as in its name.
pub(crate) const LABEL_CACHE: &str = "docker-store.cache";

/// What all parts of one open store share.
pub(crate) struct Site {
    pub(crate) engine: Engine,
    pub(crate) names: Names,
    pub(crate) paths: Paths,
    pub(crate) session: Session,
    pub(crate) counters: Counters,
    pub(crate) deletes: Deletes,
    pub(crate) cache_options: CacheOptions,
    closed: AtomicBool,
}

impl Site {
    pub(crate) fn new(
        engine: Engine,
        names: Names,
        paths: Paths,
        session: Session,
        cache_options: CacheOptions,
    ) -> Self {
        Site {
            engine,
            names,
            paths,
            session,
            counters: Counters::default(),
            deletes: Deletes::default(),
            cache_options,
            closed: AtomicBool::new(false),
        }
    }

    /// Does `job` later, off the caller's thread. What it comes to it reports for itself.
    pub(crate) fn defer(self: &Arc<Self>, job: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let site = Arc::clone(self);
        self.deletes.push(Box::new(move || {
            job(&site);
            site.counters.deferred_deletes.add(1);
        }));
    }

    /// Every call of a store, step or lease asks this first.
    pub(crate) fn check_open(&self, doing: &str) -> Result<()> {
        if self.is_closed() {
            return Err(Error::new(
                ErrorKind::Closed,
                format!("{doing}: the store is closed"),
            ));
        }
        Ok(())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// `true` for the call that closes it.
    pub(crate) fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::SeqCst)
    }

    /// The labels of an object that this session makes. Never on a step's own container: a commit would write them into
    /// the result.
    pub(crate) fn labels(&self, kind: &str) -> Value {
        json!({
            LABEL_STORE: self.names.prefix(),
            LABEL_SESSION: self.session.id(),
            LABEL_KIND: kind,
        })
    }
}
