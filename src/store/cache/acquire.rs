//! Leasing: a record pins the volumes to clone, then the clone is made with no lock held.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::stopped;
use crate::error::{Error, ErrorKind, Result};
use crate::store::cache::Caches;
use crate::store::cache::adopt::left_by_obuilder;
use crate::store::cache::clone;
use crate::store::cache::clone::strategy::{Cloning, Failed, Made, Source};
use crate::store::cache::files::look::RootLook;
use crate::store::cache::lease::{Held, Lease};
use crate::store::cache::request::{CacheMode, CacheRequest};
use crate::store::cache::state::folder::{Folder, Guard};
use crate::store::cache::state::group::Group;
use crate::store::cache::state::head::{Head, Part};
use crate::store::cache::state::record::Record;
use crate::store::lock::FileLock;
use crate::store::names::CacheName;
use crate::store::options::Strategy;
use crate::store::site::Site;
use crate::wait::Wait;

/// How often a generation may be removed by something other than the store while it is being cloned, before that is an error.
/// Each time the cache has lost a generation. Five times in a row mean that another program removes volumes as they are
/// created, and no further try would help.
const TRIES: u32 = 5;

/// The pause between checks of a shared lease that another thread or process is creating or publishing. With overlays, that
/// takes some milliseconds.
const LOOK: Duration = Duration::from_millis(5);

/// What to do, according to the cache's state.
enum Claim {
    /// Clone these parts; the record pins them.
    Clone {
        record: Record,
        parts: Vec<Part>,
        root: RootLook,
    },
    /// Another caller's shared lease, which this record now holds, too.
    Joined(Record),
    /// Another caller is creating a shared lease, or publishing it.
    Later,
    /// A shared lease was released, and its last holder was killed: the lease is published first.
    Publish,
    /// An OBuilder store created a part of the cache; the part is copied first.
    Adopt,
}

impl Caches {
    /// Leases the cache `name`.
    pub(crate) fn acquire(
        self: &Arc<Self>,
        site: &Arc<Site>,
        name: &[u8],
        request: &CacheRequest,
    ) -> Result<Lease> {
        site.check_open("leasing a cache")?;
        let escaped = CacheName::new(name)?;
        site.check_root("leasing a cache")?;
        site.keep_session();
        let wait = request.wait();
        let folder = self.folder(site, &escaped);
        let turn = || match request.mode {
            CacheMode::Private => Ok(None),
            CacheMode::Locked => FileLock::take(&folder.turn_file(), wait).map(Some),
            CacheMode::Shared => FileLock::take_shared(&folder.turn_file(), wait).map(Some),
        };
        let turn = folder.in_folder(turn)?;
        let facts = self.facts(site, wait)?;
        let cloning = clone::cloning(&facts);

        let began = Instant::now();
        let mut tries = 0;
        let (record, cloned_from) = loop {
            match self.claim(site, &folder, name, &escaped, request, &*cloning, wait)? {
                Claim::Joined(record) => break (record, None),
                Claim::Adopt => self.adopt(site, &folder, wait)?,
                Claim::Publish => self.publish_kept(site, &folder, wait)?,
                Claim::Later => {
                    let doing = format!(
                        "waiting for another caller's shared lease of the cache {}",
                        folder.escaped
                    );
                    wait.sleep(LOOK).map_err(|stop| stopped(&doing, stop))?;
                }
                Claim::Clone {
                    record,
                    parts,
                    root,
                } => {
                    let source = Source {
                        cache: &folder.escaped,
                        parts: &parts,
                        root,
                        owner: request.owner,
                    };
                    match self.make(site, &folder, record, &source, &*cloning, wait) {
                        Ok(record) => {
                            // If the last release had no time for this, there is time while the lease is in use.
                            self.compact_later(site, &folder, &parts);
                            break (record, Some(parts.len()));
                        }
                        Err(Failed::Lost(why)) if tries < TRIES => {
                            tries += 1;
                            self.lose(site, &folder, &parts, &why, wait)?;
                        }
                        Err(Failed::TooDeep) if tries < TRIES => {
                            tries += 1;
                            self.compact(site, &folder, true, wait)?;
                        }
                        Err(Failed::Error(e)) => return Err(e),
                        Err(Failed::Lost(why)) => {
                            let why = format!("leasing the cache {}: {why}", folder.escaped);
                            return Err(Error::new(ErrorKind::NotFound, why));
                        }
                        Err(Failed::TooDeep) => {
                            let why = format!(
                                "leasing the cache {}: it has too many layers",
                                folder.escaped
                            );
                            return Err(Error::new(ErrorKind::Internal, why));
                        }
                    }
                }
            }
        };
        let counters = &site.counters;
        counters.clone_nanos.add_time(began.elapsed());
        match cloned_from {
            Some(0) => counters.cache_misses.add(1),
            Some(_) | None => counters.cache_hits.add(1),
        }
        match (cloned_from, cloning.strategy()) {
            (None, _) => {}
            (Some(_), Strategy::Overlay) => counters.clones_overlay.add(1),
            (Some(_), _) => counters.clones_copy.add(1),
        }
        Ok(Lease::new(
            site,
            self,
            Held {
                folder,
                record,
                turn: parking_lot::Mutex::new(turn),
            },
        ))
    }

    /// Writes the record of a new lease, under the lock.
    #[allow(clippy::too_many_arguments)]
    fn claim(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        name: &[u8],
        escaped: &CacheName,
        request: &CacheRequest,
        cloning: &dyn Cloning,
        wait: Wait<'_>,
    ) -> Result<Claim> {
        let guard = folder.lock(wait)?;
        let mut head = match guard.head()? {
            Some(head) => head,
            None => first_head(site, &guard, name, escaped, wait)?,
        };
        if head.unsure.is_some() {
            let dropped = self.go_back(folder, &guard, &mut head)?;
            if !dropped.is_empty() {
                self.remove_later(site, guard.unneeded(site, dropped)?);
            }
            self.keep_found(site);
        }
        if head.parts.iter().any(|part| part.adopted) {
            return Ok(Claim::Adopt);
        }
        folder.touch();
        let id = site.session.unique();
        if request.mode == CacheMode::Shared {
            if guard.kept(site)?.is_some() {
                return Ok(Claim::Publish);
            }
            if let Some(mut group) = guard.group(site)? {
                // It is still being created, or is being published. Either way it cannot be joined; the caller retries, because
                // both states are short.
                if group.lease.looks.is_none() || group.closing {
                    return Ok(Claim::Later);
                }
                let record = Record {
                    id,
                    ..group.lease.clone()
                };
                guard.write_record(&record)?;
                group.holders.push(record.id.clone());
                guard.write_group(&group)?;
                return Ok(Claim::Joined(record));
            }
        }
        let record = Record {
            base: head.generation,
            parts: head.parts.iter().map(|part| part.volume.clone()).collect(),
            volumes: cloning.volumes(site, &folder.escaped, head.generation),
            group: (request.mode == CacheMode::Shared).then(|| id.clone()),
            looks: None,
            id,
        };
        guard.write_record(&record)?;
        if request.mode == CacheMode::Shared {
            guard.write_group(&Group::new(&record))?;
        }
        Ok(Claim::Clone {
            record,
            parts: head.parts,
            root: head.root.unwrap_or_else(RootLook::new),
        })
    }

    /// Creates the clone, with no lock held, and records its fingerprint.
    fn make(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        mut record: Record,
        source: &Source<'_>,
        cloning: &dyn Cloning,
        wait: Wait<'_>,
    ) -> Made<Record> {
        let made = cloning
            .make(site, source, &record.volumes, wait)
            .and_then(|looks| {
                record.looks = Some(looks);
                if record.group.is_some() {
                    // From now on others may join it.
                    folder.lock(wait)?.write_group(&Group::new(&record))?;
                }
                Ok(())
            });
        match made {
            Ok(()) => Ok(record),
            Err(failed) => {
                self.give_up(site, folder, &record, wait);
                Err(failed)
            }
        }
    }
}

/// Writes the first head of a cache: of a new one, or of one that takes over a volume of an OBuilder store.
fn first_head(
    site: &Site,
    guard: &Guard<'_>,
    name: &[u8],
    escaped: &CacheName,
    wait: Wait<'_>,
) -> Result<Head> {
    let mut head = Head::new(name);
    if let Some(part) = left_by_obuilder(site, escaped, wait)? {
        head.generation = 1;
        head.parts.push(part);
    }
    guard.write_head(&head)?;
    Ok(head)
}
