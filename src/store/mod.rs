//! [`Store`]: the front of the library.

#[cfg_attr(windows, path = "access_windows.rs")]
mod access;
mod archive;
mod bounds;
mod build;
pub(crate) mod cache;
mod claim;
mod clock;
mod deletes;
mod destroy;
mod disk;
mod follow;
mod gunzip;
mod handing_on;
mod health;
mod helper;
pub(crate) mod host;
mod hosts;
pub(crate) mod id;
mod identity;
pub(crate) mod image_archive;
mod lent;
mod lock;
mod loopback;
mod names;
mod network;
mod note;
mod opening;
mod options;
mod orphans;
mod ownership;
mod paths;
mod place;
mod platform;
#[cfg_attr(not(target_os = "linux"), path = "points_elsewhere.rs")]
mod points;
pub(crate) mod progress;
mod purge;
mod reference;
pub(crate) mod registry;
mod remains;
mod remembered;
mod replace;
mod results;
mod session;
mod site;
mod stats;
pub(crate) mod step;
mod tar_end;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use self::bounds::pins::{Item, Pin};
pub use self::bounds::policy::{Policy, PruneFate, PruneReport, PruneRow};
pub use self::bounds::record::Went;
pub use self::bounds::usage::{CacheUsage, Leftovers, LogUsage, ResultUsage, Totals, Usage};
pub use self::build::{Begun, Outcome};
pub use self::destroy::Destroy;
pub use self::disk::DiskFree;
pub use self::follow::{LogFollower, LogPiece};
pub use self::handing_on::{Pushed, Tagged};
pub use self::health::{Health, Trouble};
pub use self::image_archive::ImageFormat;
pub use self::options::{LogFull, Options, Strategy};
pub use self::purge::Purged;
pub use self::remains::{Fate, Remains, Remnant, RemnantKind};
pub use self::results::ResultInfo;
pub use self::stats::Stats;

use self::bounds::{found, pins, prune, record, usage};
use self::cache::{CacheInfo, CacheRequest, Caches, Lease};
use self::progress::Progress;
use self::registry::RegistryLogin;
use self::site::Site;
use self::step::Step;
use crate::engine::stopped;
use crate::error::Result;
use crate::wait::Limits;

/// For how long a store that closes waits for removals. As for cleaning up after a call: what takes longer is removed by
/// whoever opens the root next, and a process that wants to end is not held up.
const CLOSING: Duration = Duration::from_secs(10);

/// An open store. Every method may be called from any number of threads at once, and from any number of processes that have
/// the same root open.
///
/// Dropping it ends the session; [`close`](Self::close) does so too, and waits for what is still being removed. A child process
/// that is forked without `exec` is answered [`Closed`](crate::ErrorKind::Closed) by all of it, and may open a store of its own.
pub struct Store {
    site: Arc<Site>,
    caches: Arc<Caches>,
}

impl Store {
    /// Opens the store at `root`, making the directory if its parent exists, and removes what dead sessions left behind.
    ///
    /// Takes as long as the engine needs to answer a handful of calls, and to remove leftovers.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a root that is no directory or a bad option;
    /// [`Io`](crate::ErrorKind::Io) where it cannot be made or written; [`Unreachable`](crate::ErrorKind::Unreachable) and
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where there is no engine that serves.
    pub fn open(root: impl AsRef<Path>, options: &Options) -> Result<Self> {
        Store::open_within(root, options, &Limits::none())
    }

    /// [`open`](Self::open), for as long as `limits` allows.
    ///
    /// # Errors
    ///
    /// Those of `open`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled), after
    /// which another open goes on with what was left.
    pub fn open_within(root: impl AsRef<Path>, options: &Options, limits: &Limits) -> Result<Self> {
        let store = Store {
            site: opening::site(root.as_ref(), options, limits)?,
            caches: Arc::new(Caches::default()),
        };
        purge::at_open(&store.site, &store.caches, limits)?;
        store.caches.keep_found(&store.site);
        Ok(store)
    }

    /// Gives up the root at `root`: removes everything of it from every engine that it was used with, and from the disk. That is
    /// results, caches, logs, what steps left, the caller's own files in [`state_dir`](Self::state_dir), and the directory.
    /// Names that [`tag`](Self::tag) gave are the caller's, and stay.
    ///
    /// What cannot be removed, as a stranger's container uses it, is told with its reason; then the root stays, too, and the next
    /// call goes on. So it does after one that was cut off or killed.
    ///
    /// `options` say which engine, for one that has another address now than when the root was used with it last.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::ErrorKind::Busy) while a store is open there, in any process; [`NotFound`](crate::ErrorKind::NotFound) where
    /// nothing is there, see [`remains`](Self::remains); [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for what is no
    /// store's root; [`Unreachable`](crate::ErrorKind::Unreachable) where an engine cannot be asked that the root was used with, unless
    /// [`Destroy::abandon`] says otherwise. After these nothing was removed. Else what the engine or the system answered,
    /// [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn destroy(
        root: impl AsRef<Path>,
        options: &Options,
        how: &Destroy,
        limits: &Limits,
    ) -> Result<Remains> {
        destroy::destroy(root.as_ref(), options, how, limits)
    }

    /// What roots have on an engine, by the identities that the objects carry; those of `identity` alone, if that is given. Nothing
    /// is removed. Whether a root is still there, the engine does not know: where it was is told, and people know the rest.
    ///
    /// # Errors
    ///
    /// What the engine answered.
    pub fn remains(options: &Options, identity: Option<&str>, limits: &Limits) -> Result<Remains> {
        destroy::remains(options, identity, limits)
    }

    /// Removes from an engine what is left there of a root whose directory is gone, by its identity: see
    /// [`remains`](Self::remains). Whose directory is not gone loses its results and caches by this.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::ErrorKind::Busy) while a container of it runs; [`Conflict`](crate::ErrorKind::Conflict) where the root is on
    /// this machine, where it was: [`destroy`](Self::destroy) that. Else what the engine answered.
    pub fn destroy_remains(options: &Options, identity: &str, limits: &Limits) -> Result<Remains> {
        destroy::destroy_remains(options, identity, limits)
    }

    /// The root directory, without links.
    pub fn root(&self) -> &Path {
        self.site.paths.root()
    }

    /// What every name of this store on the engine begins with.
    pub fn prefix(&self) -> &str {
        self.site.names.prefix()
    }

    /// A directory for the caller's own files.
    pub fn state_dir(&self) -> PathBuf {
        self.site.paths.state()
    }

    /// A directory that is empty and that nobody may enter.
    pub fn empty_dir(&self) -> PathBuf {
        self.site.paths.empty()
    }

    /// The log of the build of `id`, whether it exists yet or not. It grows while the build runs; another try makes a new file.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an id that no image name takes.
    pub fn log_file(&self, id: &str) -> Result<PathBuf> {
        Ok(self.site.paths.log(&self.site.names.id(id)?))
    }

    /// The address of the engine.
    pub fn engine(&self) -> &str {
        self.site.engine.address()
    }

    /// The version of the Engine API that is spoken now.
    pub fn api_version(&self) -> String {
        self.site.engine.version().to_string()
    }

    /// Asks whether the engine answers: one round trip. One that was upgraded or replaced since the last call is spoken to in its
    /// own version from now on.
    ///
    /// # Errors
    ///
    /// [`Unreachable`](crate::ErrorKind::Unreachable) where nobody answers, [`Unsupported`](crate::ErrorKind::Unsupported) where
    /// that is no engine that serves; and [`TimedOut`](crate::ErrorKind::TimedOut) and
    /// [`Cancelled`](crate::ErrorKind::Cancelled), as `limits` says.
    pub fn ping(&self, limits: &Limits) -> Result<()> {
        health::ping(&self.site, limits)
    }

    /// Finds out how the engine is, how the store gets along with it, and what is not as well as it could be. Some engine calls;
    /// the first time on an engine, also a trial of how caches can be cloned.
    ///
    /// # Errors
    ///
    /// Those of [`ping`](Self::ping), and what the engine answered. That something is slow or missing is no error: it is among
    /// the [troubles](Health::troubles).
    pub fn health(&self, limits: &Limits) -> Result<Health> {
        health::look(&self.site, &self.caches, limits)
    }

    /// How much space is free.
    ///
    /// # Errors
    ///
    /// What the engine or the system answered.
    pub fn df(&self) -> Result<DiskFree> {
        self.df_within(&Limits::none())
    }

    /// [`df`](Self::df), for as long as `limits` allows.
    ///
    /// # Errors
    ///
    /// Those of `df`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn df_within(&self, limits: &Limits) -> Result<DiskFree> {
        disk::free(&self.site, limits)
    }

    /// Whether `id` has been built: one round trip to the engine.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an id that no image name takes. A broken connection is an
    /// error, never "no".
    pub fn result(&self, id: &str) -> Result<bool> {
        self.result_within(id, &Limits::none())
    }

    /// [`result`](Self::result), for as long as `limits` allows.
    ///
    /// # Errors
    ///
    /// Those of `result`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn result_within(&self, id: &str, limits: &Limits) -> Result<bool> {
        results::exists(&self.site, id, limits)
    }

    /// All results, by id.
    ///
    /// # Errors
    ///
    /// What the engine answered.
    pub fn results(&self) -> Result<Vec<ResultInfo>> {
        self.results_within(&Limits::none())
    }

    /// [`results`](Self::results), for as long as `limits` allows.
    ///
    /// # Errors
    ///
    /// Those of `results`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn results_within(&self, limits: &Limits) -> Result<Vec<ResultInfo>> {
        results::list(&self.site, limits)
    }

    /// Removes the result `id` and its log. `false`: there was no result. Other names of the same image stay, and so do the
    /// results that were built on it.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::ErrorKind::Busy) while `id` is being built, or where a container of somebody else's is made of it.
    pub fn delete(&self, id: &str) -> Result<bool> {
        self.delete_within(id, &Limits::none())
    }

    /// [`delete`](Self::delete), for as long as `limits` allows.
    ///
    /// # Errors
    ///
    /// Those of `delete`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn delete_within(&self, id: &str, limits: &Limits) -> Result<bool> {
        results::delete(&self.site, id, limits)
    }

    /// Begins to build `id` on the result `base`, or on nothing; unless it has been built. Waits while somebody else, in this
    /// process or another, builds the same id.
    ///
    /// A step without a base begins by what its first call brings ([`Step::import`], [`Step::pull`], [`Step::load`],
    /// [`Step::use_image`]), or with no files at all. Nothing can be run in that but what was copied in, and if nothing was, a commit
    /// records a result without any files.
    ///
    /// `limits` holds for this call and for all of the step.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) for a base that has not been built.
    pub fn begin(&self, base: Option<&str>, id: &str, limits: &Limits) -> Result<Begun> {
        build::begin(&self.site, base, id, limits, None)
    }

    /// [`begin`](Self::begin), and gives `log` what the build that is waited for writes to its log, as it is written: all of it, from
    /// its start, whole when this returns [`Begun::Present`]. Nothing where nobody is waited for.
    ///
    /// A build that fails or is killed has its log given to its end; then another's follows, as a further
    /// [attempt](LogPiece::attempt), or this call answers with a step. `log` is called on this thread, with no lock held. An error that
    /// it returns ends the wait, and is this call's own.
    ///
    /// # Errors
    ///
    /// Those of `begin` and of `log`; [`Io`](crate::ErrorKind::Io) where the log cannot be read.
    pub fn begin_following(
        &self,
        base: Option<&str>,
        id: &str,
        limits: &Limits,
        log: &mut dyn FnMut(LogPiece<'_>) -> Result<()>,
    ) -> Result<Begun> {
        build::begin(&self.site, base, id, limits, Some(log))
    }

    /// Reads the log of the build of `id` while it grows, whoever writes it. It tells neither whether the build is under way nor
    /// how it ended: see [`building`](Self::building).
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an id that no image name takes.
    pub fn follow_log(&self, id: &str) -> Result<LogFollower> {
        Ok(LogFollower::of(self.log_file(id)?))
    }

    /// Whether somebody, in this process or another, builds `id` now. Asks the engine nothing.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an id that no image name takes.
    pub fn building(&self, id: &str) -> Result<bool> {
        build::is_under_way(&self.site, id)
    }

    /// [`begin`](Self::begin), `work`, and then commit; or abort where `work` fails or panics.
    ///
    /// # Errors
    ///
    /// Those of `begin`, of `work` and of [`Step::commit`]. After an error there is no result, unless it is
    /// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown).
    pub fn build(
        &self,
        base: Option<&str>,
        id: &str,
        limits: &Limits,
        work: impl FnOnce(&mut Step) -> Result<()>,
    ) -> Result<Outcome> {
        build::build(&self.site, base, id, limits, work)
    }

    /// Writes the file or directory at `path` of the result `id` to `tar` as a tar stream, and gives the bytes written.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) where the result or the path does not exist.
    pub fn copy_out(
        &self,
        id: &str,
        path: &str,
        tar: &mut dyn Write,
        limits: &Limits,
    ) -> Result<u64> {
        results::copy_out(&self.site, id, path, tar, limits)
    }

    /// Gives the result `id` the further name `name`, `[HOST[:PORT]/]PATH[:TAG]`, taking it from whatever image had it. The name is the
    /// caller's: it stays when the result is deleted, and the image with it.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name that no engine takes, or that a store's own objects
    /// have; [`NotFound`](crate::ErrorKind::NotFound) where there is no such result.
    pub fn tag(&self, id: &str, name: &str, limits: &Limits) -> Result<Tagged> {
        handing_on::tag(&self.site, id, name, limits)
    }

    /// Pushes the result `id` to a registry under `name`, which says which one: `registry.example:5000/team/app:1.0`. It is given
    /// that name on the engine, too, as by [`tag`](Self::tag). The engine sends it, and is who must reach and believe the registry.
    ///
    /// # Errors
    ///
    /// Those of `tag`; what the engine or the registry answered, and what `report` returned. What was pushed by then may
    /// be there.
    pub fn push(
        &self,
        id: &str,
        name: &str,
        login: Option<&RegistryLogin>,
        report: &mut dyn FnMut(Progress<'_>) -> Result<()>,
        limits: &Limits,
    ) -> Result<Pushed> {
        handing_on::push(&self.site, id, name, login, report, limits)
    }

    /// Writes the result `id` to `file` as a tar stream, which every engine loads, as does [`load`](Self::load). `name` is
    /// what who loads it will call the image; without one it has none. Gives the bytes written.
    ///
    /// The same image gives the same bytes, whatever engine has it and whenever it is saved. Layers that the engine gives out of
    /// order wait in the root, in files without a name.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) where there is no such result; [`Io`](crate::ErrorKind::Io) where `file` cannot be
    /// written; [`Unsupported`](crate::ErrorKind::Unsupported) for a layer that the engine keeps packed by zstd; else what the
    /// engine answered.
    pub fn save(
        &self,
        id: &str,
        format: ImageFormat,
        name: Option<&str>,
        file: &mut dyn Write,
        limits: &Limits,
    ) -> Result<u64> {
        image_archive::save::save(&self.site, id, format, name, file, limits)
    }

    /// Records the image in `file`, a docker archive or an OCI layout, as the result `id`; unless that is there, in which case
    /// nothing is read. The same as [`begin`](Self::begin) without a base, [`Step::load`] and [`Step::commit`].
    ///
    /// # Errors
    ///
    /// Those of these three.
    pub fn load(
        &self,
        id: &str,
        file: &mut dyn Read,
        report: &mut dyn FnMut(Progress<'_>) -> Result<()>,
        limits: &Limits,
    ) -> Result<Outcome> {
        self.build(None, id, limits, |step| step.load(file, report))
    }

    /// [`load`](Self::load) from the file at `path`. One that is silent (a pipe) is waited for as long as `limits` allows.
    ///
    /// # Errors
    ///
    /// Those of `load`; [`Io`](crate::ErrorKind::Io) where the file cannot be read.
    pub fn load_file(
        &self,
        id: &str,
        path: &Path,
        report: &mut dyn FnMut(Progress<'_>) -> Result<()>,
        limits: &Limits,
    ) -> Result<Outcome> {
        self.build(None, id, limits, |step| step.load_file(path, report))
    }

    /// Lends a private writable copy of the newest generation of the cache `name`, which is any bytes but none. A cache that
    /// does not exist is created, empty.
    ///
    /// # Errors
    ///
    /// What the engine or the system answered.
    pub fn cache(&self, name: impl AsRef<[u8]>, request: &CacheRequest) -> Result<Lease> {
        self.site.check_open("leasing a cache")?;
        self.caches.acquire(&self.site, name.as_ref(), request)
    }

    /// Removes a cache. Leases in flight go on, and their releases are discarded. `false`: there was none.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::ErrorKind::Busy) where a container that is not of this store mounts it.
    pub fn delete_cache(&self, name: impl AsRef<[u8]>) -> Result<bool> {
        self.delete_cache_within(name, &Limits::none())
    }

    /// [`delete_cache`](Self::delete_cache), for as long as `limits` allows.
    ///
    /// # Errors
    ///
    /// Those of `delete_cache`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn delete_cache_within(&self, name: impl AsRef<[u8]>, limits: &Limits) -> Result<bool> {
        self.site.check_open("deleting a cache")?;
        self.caches.delete(&self.site, name.as_ref(), limits.wait())
    }

    /// All caches, by name.
    ///
    /// # Errors
    ///
    /// What the system answered.
    pub fn caches(&self) -> Result<Vec<CacheInfo>> {
        self.caches_within(&Limits::none())
    }

    /// [`caches`](Self::caches), for as long as `limits` allows.
    ///
    /// # Errors
    ///
    /// Those of `caches`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn caches_within(&self, limits: &Limits) -> Result<Vec<CacheInfo>> {
        self.site.check_open("listing caches")?;
        self.caches.list(&self.site, limits.wait())
    }

    /// How caches are cloned with this engine, and why so. Found out by trying, the first time that anybody needs to know;
    /// remembered in the root for that engine and boot.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where an option asks for a strategy that does not work here.
    pub fn strategy(&self) -> Result<(Strategy, String)> {
        self.strategy_within(&Limits::none())
    }

    /// [`strategy`](Self::strategy), for as long as `limits` allows.
    ///
    /// # Errors
    ///
    /// Those of `strategy`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn strategy_within(&self, limits: &Limits) -> Result<(Strategy, String)> {
        self.caches.strategy(&self.site, limits.wait())
    }

    /// What takes the space: a row for each result, cache and log, what dead sessions left, and sums that count shared layers once.
    /// Three listings of the engine's, whatever it has.
    ///
    /// # Errors
    ///
    /// What the engine or the system answered; and [`TimedOut`](crate::ErrorKind::TimedOut) and
    /// [`Cancelled`](crate::ErrorKind::Cancelled), as `limits` says.
    pub fn usage(&self, limits: &Limits) -> Result<Usage> {
        usage::usage(&self.site, &self.caches, limits)
    }

    /// How the result `id` went, and when, if it was there once and is not any more; that is remembered for thirty days. Asks the
    /// engine nothing: what somebody removed there past the store is known when it was noticed, by a [`usage`](Self::usage) or a
    /// [`prune`](Self::prune).
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an id that no image name takes.
    pub fn went(&self, id: &str) -> Result<Option<(Went, SystemTime)>> {
        self.site.check_open("asking how a result went")?;
        Ok(record::went(&self.site.paths, &self.site.names.id(id)?))
    }

    /// [`went`](Self::went) of a result that is not there, and asks the engine where that is not known: so it tells, too, what somebody
    /// has removed there past the store just now.
    ///
    /// # Errors
    ///
    /// Those of `went`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled), as `limits`
    /// says.
    pub fn why_gone(&self, id: &str, limits: &Limits) -> Result<Option<(Went, SystemTime)>> {
        self.site.check_open("asking why a result is not there")?;
        found::notice(&self.site, &self.site.names.id(id)?, limits.wait())?;
        self.went(id)
    }

    /// Brings the store to the bounds of `policy`: removes results, caches and logs until they hold. Any number of processes may do so
    /// at once, while others build. What is being built stays, and the base of a step under way, what is leased or pinned, and results
    /// that somebody was told of just now ([`Policy::spare`]).
    ///
    /// `progress` is called with each row of the report as it comes; an error of its ends the prune, and is what this gives. What was
    /// removed by then is gone. Each thing is tried once.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the policy asks how much is free on an engine's disk that is not in sight;
    /// what the engine answered to being asked what there is; and [`TimedOut`](crate::ErrorKind::TimedOut) and
    /// [`Cancelled`](crate::ErrorKind::Cancelled). That something could not be removed is no error, but a row of the report.
    pub fn prune(
        &self,
        policy: &Policy,
        limits: &Limits,
        mut progress: impl FnMut(&PruneRow) -> Result<()>,
    ) -> Result<PruneReport> {
        prune::prune(&self.site, &self.caches, policy, limits, &mut progress)
    }

    /// Pins the result `id`, whether it is there or not: no prune of any process removes it from now on. `false`: it was pinned before.
    /// Waits where a prune is just removing it. A [`delete`](Self::delete) removes it all the same, and the pin stays.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an id that no image name takes; what the system answered; and
    /// [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn pin(&self, id: &str, limits: &Limits) -> Result<bool> {
        pins::pin(&self.site, id, limits)
    }

    /// Takes the pin of the result `id` away. `false`: there was none.
    ///
    /// # Errors
    ///
    /// Those of [`pin`](Self::pin).
    pub fn unpin(&self, id: &str) -> Result<bool> {
        pins::unpin(&self.site, id)
    }

    /// Pins the cache `name`, whether it is there or not. `false`: it was pinned before.
    ///
    /// # Errors
    ///
    /// Those of [`pin`](Self::pin).
    pub fn pin_cache(&self, name: impl AsRef<[u8]>, limits: &Limits) -> Result<bool> {
        self.caches.pin(&self.site, name.as_ref(), limits.wait())
    }

    /// Takes the pin of the cache `name` away. `false`: there was none.
    ///
    /// # Errors
    ///
    /// Those of [`pin`](Self::pin).
    pub fn unpin_cache(&self, name: impl AsRef<[u8]>) -> Result<bool> {
        pins::unpin_cache(&self.site, name.as_ref())
    }

    /// Gives the cache `name` a limit of its own, or takes it away; for all processes, from now on, also where the cache is not there yet.
    ///
    /// What is released and would make the cache hold more is given up ([`Released::TooLarge`](crate::Released::TooLarge), counted in
    /// [`Stats`]), and the cache stays as it was: nothing of it is lost. Bytes are those of its layers, so a file that is written anew
    /// in each of them counts in each until they are merged, which then is done in the background. Only where this process
    /// reaches the engine's volumes as files; elsewhere a release says in the log that it has not looked.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an empty name; what the system answered.
    pub fn limit_cache(&self, name: impl AsRef<[u8]>, most_bytes: Option<u64>) -> Result<()> {
        cache::sizes::set_limit(&self.site, name.as_ref(), most_bytes)
    }

    /// What is pinned: results by id, then caches by name. Kept in the root, for all engines that it is used with.
    ///
    /// # Errors
    ///
    /// What the system answered.
    pub fn pins(&self) -> Result<Vec<Pin>> {
        pins::list(&self.site)
    }

    /// Waits until everything that was given up has left the engine. Also once the store is closed. The generation of a cache
    /// that was on disk last is not given up until a newer one is; see [`Options::sync`].
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled), as `limits` says.
    pub fn complete_deletes(&self, limits: &Limits) -> Result<()> {
        self.site.check_process("completing deletes")?;
        // Also after closing: what steps and leases hold is given up later still.
        self.site.deletes.retry(&self.site);
        self.caches.hurry(limits.wait())?;
        self.site
            .deletes
            .wait_idle(None, limits.wait())
            .map_err(|stop| stopped(&"completing deletes", stop))
    }

    /// What has been done since this store was opened.
    pub fn stats(&self) -> Stats {
        self.site.counters.read()
    }

    /// Removes what dead sessions left, as opening does. What a live session of any process holds stays.
    ///
    /// # Errors
    ///
    /// What the engine answered to being asked what there is.
    pub fn purge(&self) -> Result<Purged> {
        self.purge_within(&Limits::none())
    }

    /// [`purge`](Self::purge), for as long as `limits` allows.
    ///
    /// # Errors
    ///
    /// Those of `purge`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn purge_within(&self, limits: &Limits) -> Result<Purged> {
        purge::purge(&self.site, &self.caches, limits)
    }

    /// Closes the store: waits for removals under way, and for at most two seconds for caches: for layers that are being
    /// merged, and for released files to reach the disk. Then it ends the session. Steps and leases that are still open answer
    /// [`Closed`](crate::ErrorKind::Closed) from now on; what they hold is removed when they are dropped.
    ///
    /// Removals are waited for ten seconds at most: an engine that takes longer goes on with them, and the next open of this
    /// root looks for what is left. [`complete_deletes`](Self::complete_deletes) waits longer, and says so.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed) where another handle of it was closed before.
    pub fn close(self) -> Result<()> {
        self.shut(&Limits::none())
    }

    /// [`close`](Self::close), for as long as `limits` allows.
    ///
    /// # Errors
    ///
    /// Those of `close`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled) where
    /// removals are still under way: the store is closed all the same.
    pub fn close_within(self, limits: &Limits) -> Result<()> {
        self.shut(limits)
    }

    /// [`close_within`](Self::close_within) for handles that outlive it.
    pub(crate) fn shut(&self, limits: &Limits) -> Result<()> {
        self.site.check_open("closing")?;
        if !self.site.close() {
            return Ok(());
        }
        let wait = limits.wait();
        self.caches.close(&self.site, wait);
        // Once more, or it stays for the next open.
        self.site.deletes.retry(&self.site);
        let idle = self.site.deletes.wait_idle(None, wait.at_most(CLOSING));
        self.site.engine.close_idle();
        match idle {
            Ok(()) => {
                self.site.deletes.join();
                // Where no step and no lease is out, nothing of the session's can come any more: others need not wait until the handle
                // is freed.
                if Arc::strong_count(&self.site) == 1 {
                    self.site.end_session();
                }
            }
            Err(_) => {
                wait.left().map_err(|stop| stopped(&"closing", stop))?;
                log::warn!("closing: removals are still under way after {CLOSING:?}");
            }
        }
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.site.abandon() {
            return;
        }
        self.site.close();
        self.caches.give_up_work(&self.site);
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("root", &self.root())
            .field("prefix", &self.prefix())
            .finish_non_exhaustive()
    }
}
