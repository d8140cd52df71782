//! [`Store`]: the entry point of the library.

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
mod pax;
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
mod tar_entry;

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
use self::host::folder::HostFolder;
use self::progress::Progress;
use self::registry::RegistryLogin;
use self::site::Site;
use self::step::Step;
use crate::engine::stopped;
use crate::error::Result;
use crate::wait::Limits;

/// How long closing a store waits for removals. It is as long as the cleaning up after a call may take. What takes longer is
/// removed by the next open of the root, and does not hold up a process that wants to exit.
const CLOSING: Duration = Duration::from_secs(10);

/// An open store. Every method may be called concurrently from any number of threads, and any number of processes may have the
/// same root open.
///
/// Dropping a store ends the session. [`close`](Self::close) also waits for pending removals. In a child process that is forked
/// without `exec`, all methods return [`Closed`](crate::ErrorKind::Closed); the child may open a store of its own.
pub struct Store {
    site: Arc<Site>,
    caches: Arc<Caches>,
}

impl Store {
    /// Opens the store at `root`, creating the directory if its parent exists, and removes leftovers of terminated processes.
    ///
    /// Takes as long as the engine needs for a handful of requests, and for removing leftovers.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if the root is not a directory, or an option is invalid;
    /// [`Io`](crate::ErrorKind::Io) if the root cannot be created or written; [`Unreachable`](crate::ErrorKind::Unreachable)
    /// and [`Unsupported`](crate::ErrorKind::Unsupported) if there is no usable engine.
    pub fn open(root: impl AsRef<Path>, options: &Options) -> Result<Self> {
        Store::open_within(root, options, &Limits::none())
    }

    /// Like [`open`](Self::open), but bounded by `limits`.
    ///
    /// # Errors
    ///
    /// The errors of `open`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled), after
    /// which another open continues with the leftovers.
    pub fn open_within(root: impl AsRef<Path>, options: &Options, limits: &Limits) -> Result<Self> {
        let store = Store {
            site: opening::site(root.as_ref(), options, limits)?,
            caches: Arc::new(Caches::default()),
        };
        purge::at_open(&store.site, &store.caches, limits)?;
        store.caches.keep_found(&store.site);
        Ok(store)
    }

    /// Destroys the root at `root`: removes everything of it from every engine that it was used with, and from the disk. This
    /// includes results, caches, logs, leftovers of steps, the caller's own files in [`state_dir`](Self::state_dir), and the
    /// directory itself. Names that were added with [`tag`](Self::tag) belong to the caller and are kept.
    ///
    /// An object that cannot be removed, for example because another program's container uses it, is reported with the reason.
    /// The root is then kept, and the next call continues. The next call also continues after one that was interrupted or
    /// killed.
    ///
    /// `options` says which engine to use, for an engine whose address has changed since the root was last used with it.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::ErrorKind::Busy) while a store is open there, in any process; [`NotFound`](crate::ErrorKind::NotFound)
    /// if nothing exists there, see [`remains`](Self::remains); [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if it is
    /// not a store's root; [`Unreachable`](crate::ErrorKind::Unreachable) if an engine that the root was used with cannot be
    /// reached, unless [`Destroy::abandon`] allows that. After these errors nothing has been removed. Otherwise any error of
    /// the engine or the system, [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn destroy(
        root: impl AsRef<Path>,
        options: &Options,
        how: &Destroy,
        limits: &Limits,
    ) -> Result<Remains> {
        destroy::destroy(root.as_ref(), options, how, limits)
    }

    /// Lists what roots have on an engine, by the identities that the objects carry; only those of `identity`, if it is given.
    /// Nothing is removed. The engine does not know whether a root still exists. The list says where each root was, so that a
    /// person can decide.
    ///
    /// # Errors
    ///
    /// Any error that the engine returns.
    pub fn remains(options: &Options, identity: Option<&str>, limits: &Limits) -> Result<Remains> {
        destroy::remains(options, identity, limits)
    }

    /// Removes from an engine the remains of a root whose directory no longer exists, by its identity: see
    /// [`remains`](Self::remains). If the directory still exists, the root loses its results and caches.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::ErrorKind::Busy) while a container of the root runs; [`Conflict`](crate::ErrorKind::Conflict) if the
    /// root still exists on the local machine, at its recorded path: use [`destroy`](Self::destroy) for it. Otherwise any error
    /// that the engine returns.
    pub fn destroy_remains(options: &Options, identity: &str, limits: &Limits) -> Result<Remains> {
        destroy::destroy_remains(options, identity, limits)
    }

    /// Returns the root directory, with symbolic links resolved.
    pub fn root(&self) -> &Path {
        self.site.paths.root()
    }

    /// Returns what every name of this store on the engine starts with.
    pub fn prefix(&self) -> &str {
        self.site.names.prefix()
    }

    /// Returns a directory for the caller's own files.
    pub fn state_dir(&self) -> PathBuf {
        self.site.paths.state()
    }

    /// Returns an empty directory without access permissions.
    pub fn empty_dir(&self) -> PathBuf {
        self.site.paths.empty()
    }

    /// Returns the path of the log of the build of `id`, whether the file exists yet or not. It grows while the build runs;
    /// another attempt creates a new file.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `id` cannot be part of an image name.
    pub fn log_file(&self, id: &str) -> Result<PathBuf> {
        Ok(self.site.paths.log(&self.site.names.id(id)?))
    }

    /// Returns the address of the engine.
    pub fn engine(&self) -> &str {
        self.site.engine.address()
    }

    /// Returns the version of the Engine API that is in use now.
    pub fn api_version(&self) -> String {
        self.site.engine.version().to_string()
    }

    /// Checks that the engine responds: one round trip. If the engine was upgraded or replaced since the last call, its own
    /// version of the API is used from now on.
    ///
    /// # Errors
    ///
    /// [`Unreachable`](crate::ErrorKind::Unreachable) if no server answers, [`Unsupported`](crate::ErrorKind::Unsupported) if
    /// the server is not a usable engine; and [`TimedOut`](crate::ErrorKind::TimedOut) and
    /// [`Cancelled`](crate::ErrorKind::Cancelled), as `limits` says.
    pub fn ping(&self, limits: &Limits) -> Result<()> {
        health::ping(&self.site, limits)
    }

    /// Reports the state of the engine, how well the store works with it, and what could be better. Makes several requests. The
    /// first time on an engine, it also tries how caches can be cloned.
    ///
    /// # Errors
    ///
    /// The errors of [`ping`](Self::ping), and any error that the engine returns. Something slow or missing is not an error: it
    /// is listed among the [troubles](Health::troubles).
    pub fn health(&self, limits: &Limits) -> Result<Health> {
        health::look(&self.site, &self.caches, limits)
    }

    /// Returns how much space is free.
    ///
    /// # Errors
    ///
    /// Any error of the engine or the system.
    pub fn df(&self) -> Result<DiskFree> {
        self.df_within(&Limits::none())
    }

    /// Like [`df`](Self::df), but bounded by `limits`.
    ///
    /// # Errors
    ///
    /// The errors of `df`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn df_within(&self, limits: &Limits) -> Result<DiskFree> {
        disk::free(&self.site, limits)
    }

    /// Returns whether `id` has been built: one round trip to the engine.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `id` cannot be part of an image name. A broken connection is
    /// an error, never `false`.
    pub fn result(&self, id: &str) -> Result<bool> {
        self.result_within(id, &Limits::none())
    }

    /// Like [`result`](Self::result), but bounded by `limits`.
    ///
    /// # Errors
    ///
    /// The errors of `result`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn result_within(&self, id: &str, limits: &Limits) -> Result<bool> {
        results::exists(&self.site, id, limits)
    }

    /// Returns all results, sorted by id.
    ///
    /// # Errors
    ///
    /// Any error that the engine returns.
    pub fn results(&self) -> Result<Vec<ResultInfo>> {
        self.results_within(&Limits::none())
    }

    /// Like [`results`](Self::results), but bounded by `limits`.
    ///
    /// # Errors
    ///
    /// The errors of `results`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn results_within(&self, limits: &Limits) -> Result<Vec<ResultInfo>> {
        results::list(&self.site, limits)
    }

    /// Removes the result `id` and its log. Returns `false` if it does not exist. Other tags of the image, and results built on
    /// it, are kept.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::ErrorKind::Busy) while `id` is being built, or if a container outside this store was created from it.
    pub fn delete(&self, id: &str) -> Result<bool> {
        self.delete_within(id, &Limits::none())
    }

    /// Like [`delete`](Self::delete), but bounded by `limits`.
    ///
    /// # Errors
    ///
    /// The errors of `delete`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn delete_within(&self, id: &str, limits: &Limits) -> Result<bool> {
        results::delete(&self.site, id, limits)
    }

    /// Begins to build `id` on the result `base`, or on nothing, unless `id` has been built. Waits while another thread or
    /// process builds the same id.
    ///
    /// A step without a base starts from what its first call supplies ([`Step::import`], [`Step::pull`], [`Step::load`],
    /// [`Step::use_image`]), or with no files at all. In the latter case only programs that were copied in can run. If nothing
    /// was copied in, a commit records a result without any files.
    ///
    /// `limits` apply to this call and to the whole step.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if the base has not been built.
    pub fn begin(&self, base: Option<&str>, id: &str, limits: &Limits) -> Result<Begun> {
        build::begin(&self.site, base, id, limits, None)
    }

    /// Like [`begin`](Self::begin), and passes to `log` what the build that this call waits for writes to its log, while it is
    /// written. The log is passed from its start, and is complete when this call returns [`Begun::Present`]. If the call does
    /// not wait for a build, `log` is not called.
    ///
    /// If that build fails or is killed, its log is still passed to its end. Then another build's log follows, as a further
    /// [attempt](LogPiece::attempt), or this call returns a step. `log` is called on this thread, with no lock held. If it
    /// returns an error, the wait ends and this call returns that error.
    ///
    /// # Errors
    ///
    /// The errors of `begin` and of `log`; [`Io`](crate::ErrorKind::Io) if the log cannot be read.
    pub fn begin_following(
        &self,
        base: Option<&str>,
        id: &str,
        limits: &Limits,
        log: &mut dyn FnMut(LogPiece<'_>) -> Result<()>,
    ) -> Result<Begun> {
        build::begin(&self.site, base, id, limits, Some(log))
    }

    /// Reads the log of the build of `id` while it grows, whichever process writes it. It does not say whether the build is
    /// still running or how it ended: see [`building`](Self::building).
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `id` cannot be part of an image name.
    pub fn follow_log(&self, id: &str) -> Result<LogFollower> {
        Ok(LogFollower::of(self.log_file(id)?))
    }

    /// Returns whether `id` is being built now, by this process or another. Makes no request to the engine.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `id` cannot be part of an image name.
    pub fn building(&self, id: &str) -> Result<bool> {
        build::is_under_way(&self.site, id)
    }

    /// Calls [`begin`](Self::begin) and, if the result does not exist yet, `work`. Then commits the step; aborts it if `work`
    /// fails or panics.
    ///
    /// # Errors
    ///
    /// The errors of `begin`, of `work` and of [`Step::commit`]. After an error there is no result, unless the error is
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

    /// Writes the file or directory at `path` of the result `id` to `tar` as a tar stream. Returns the number of bytes written.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if the result or the path does not exist.
    pub fn copy_out(
        &self,
        id: &str,
        path: &str,
        tar: &mut dyn Write,
        limits: &Limits,
    ) -> Result<u64> {
        results::copy_out(&self.site, id, path, tar, limits)
    }

    /// Unpacks the file or directory at `path` of the result `id` into the local directory `into`, safely, as
    /// [`Step::copy_out_host`] does. Returns the number of bytes in the files.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if the result or the path does not exist; otherwise as for that.
    pub fn copy_out_host(
        &self,
        id: &str,
        path: &str,
        into: &HostFolder,
        limits: &Limits,
    ) -> Result<u64> {
        results::copy_out_host(&self.site, id, path, into, limits)
    }

    /// Gives the result `id` the additional name `name`, `[HOST[:PORT]/]PATH[:TAG]`. If another image has that name, it loses
    /// it. The name belongs to the caller: when the result is deleted, the name is kept, and the image with it.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name that no engine accepts, or that is reserved for a
    /// store's own objects; [`NotFound`](crate::ErrorKind::NotFound) if the result does not exist.
    pub fn tag(&self, id: &str, name: &str, limits: &Limits) -> Result<Tagged> {
        handing_on::tag(&self.site, id, name, limits)
    }

    /// Pushes the result `id` to a registry under `name`, which also names the registry: `registry.example:5000/team/app:1.0`.
    /// On the engine the result gets that name, too, as by [`tag`](Self::tag). The engine sends the image, so the engine must
    /// be able to reach and trust the registry.
    ///
    /// # Errors
    ///
    /// The errors of `tag`; any error of the engine or the registry, and the error that `report` returned. What was pushed
    /// before the error may remain in the registry.
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

    /// Writes the result `id` to `file` as a tar stream that every engine, and [`load`](Self::load), can load. `name` is the
    /// name that the image gets when it is loaded; without it, the image has none. Returns the number of bytes written.
    ///
    /// The same image gives the same bytes, whichever engine has it and whenever it is saved. Layers that the engine sends out
    /// of order are buffered in the root, in unnamed files.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if the result does not exist; [`Io`](crate::ErrorKind::Io) if `file` cannot be
    /// written; [`Unsupported`](crate::ErrorKind::Unsupported) for a layer that the engine stores compressed with zstd;
    /// otherwise any error that the engine returns.
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

    /// Records the image in `file`, a docker archive or an OCI layout, as the result `id`. If the result already exists, `file`
    /// is not read. Equivalent to [`begin`](Self::begin) without a base, [`Step::load`] and [`Step::commit`].
    ///
    /// # Errors
    ///
    /// The errors of these three.
    pub fn load(
        &self,
        id: &str,
        file: &mut dyn Read,
        report: &mut dyn FnMut(Progress<'_>) -> Result<()>,
        limits: &Limits,
    ) -> Result<Outcome> {
        self.build(None, id, limits, |step| step.load(file, report))
    }

    /// Like [`load`](Self::load), from the file at `path`. If it is silent (a pipe), this waits for as long as `limits` allow.
    ///
    /// # Errors
    ///
    /// The errors of `load`; [`Io`](crate::ErrorKind::Io) if the file cannot be read.
    pub fn load_file(
        &self,
        id: &str,
        path: &Path,
        report: &mut dyn FnMut(Progress<'_>) -> Result<()>,
        limits: &Limits,
    ) -> Result<Outcome> {
        self.build(None, id, limits, |step| step.load_file(path, report))
    }

    /// Leases a private writable copy of the newest generation of the cache `name`, any non-empty byte string. A cache that
    /// does not exist is created, empty.
    ///
    /// # Errors
    ///
    /// Any error of the engine or the system.
    pub fn cache(&self, name: impl AsRef<[u8]>, request: &CacheRequest) -> Result<Lease> {
        self.site.check_open("leasing a cache")?;
        self.caches.acquire(&self.site, name.as_ref(), request)
    }

    /// Removes a cache. Outstanding leases stay usable, but their releases are discarded. Returns `false` if the cache does not
    /// exist.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::ErrorKind::Busy) if a container that is not of this store mounts it.
    pub fn delete_cache(&self, name: impl AsRef<[u8]>) -> Result<bool> {
        self.delete_cache_within(name, &Limits::none())
    }

    /// Like [`delete_cache`](Self::delete_cache), but bounded by `limits`.
    ///
    /// # Errors
    ///
    /// The errors of `delete_cache`; and [`TimedOut`](crate::ErrorKind::TimedOut) and
    /// [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn delete_cache_within(&self, name: impl AsRef<[u8]>, limits: &Limits) -> Result<bool> {
        self.site.check_open("deleting a cache")?;
        self.caches.delete(&self.site, name.as_ref(), limits.wait())
    }

    /// Returns all caches, sorted by name.
    ///
    /// # Errors
    ///
    /// Any error that the system returns.
    pub fn caches(&self) -> Result<Vec<CacheInfo>> {
        self.caches_within(&Limits::none())
    }

    /// Like [`caches`](Self::caches), but bounded by `limits`.
    ///
    /// # Errors
    ///
    /// The errors of `caches`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn caches_within(&self, limits: &Limits) -> Result<Vec<CacheInfo>> {
        self.site.check_open("listing caches")?;
        self.caches.list(&self.site, limits.wait())
    }

    /// Returns how caches are cloned with this engine, and the reason. This is found out by trying, the first time it is
    /// needed, and remembered in the root for that engine and boot.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if an option requests a strategy that does not work on this engine.
    pub fn strategy(&self) -> Result<(Strategy, String)> {
        self.strategy_within(&Limits::none())
    }

    /// Like [`strategy`](Self::strategy), but bounded by `limits`.
    ///
    /// # Errors
    ///
    /// The errors of `strategy`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn strategy_within(&self, limits: &Limits) -> Result<(Strategy, String)> {
        self.caches.strategy(&self.site, limits.wait())
    }

    /// Reports disk usage: a row for each result, cache and log, the leftovers of terminated processes, and sums that count
    /// shared layers once. Makes three list requests, whatever the engine has.
    ///
    /// # Errors
    ///
    /// Any error of the engine or the system; and [`TimedOut`](crate::ErrorKind::TimedOut) and
    /// [`Cancelled`](crate::ErrorKind::Cancelled), as `limits` says.
    pub fn usage(&self, limits: &Limits) -> Result<Usage> {
        usage::usage(&self.site, &self.caches, limits)
    }

    /// Returns how and when the result `id` was removed, if it existed once and no longer does. This is remembered for thirty
    /// days. Makes no request to the engine: if another program removed the result there, that is known only after a
    /// [`usage`](Self::usage) or a [`prune`](Self::prune) has noticed it.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `id` cannot be part of an image name.
    pub fn went(&self, id: &str) -> Result<Option<(Went, SystemTime)>> {
        self.site
            .check_open("looking up how a result was removed")?;
        Ok(record::went(&self.site.paths, &self.site.names.id(id)?))
    }

    /// Like [`went`](Self::went), for a result that does not exist. If the reason is not known, it queries the engine, so it
    /// also reports a result that another program has just removed there.
    ///
    /// # Errors
    ///
    /// The errors of `went`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled), as
    /// `limits` says.
    pub fn why_gone(&self, id: &str, limits: &Limits) -> Result<Option<(Went, SystemTime)>> {
        self.site
            .check_open("looking up why a result does not exist")?;
        found::notice(&self.site, &self.site.names.id(id)?, limits.wait())?;
        self.went(id)
    }

    /// Brings the store within the bounds of `policy`: removes results, caches and logs until the bounds hold. Any number of
    /// processes may prune concurrently, while others build. These are kept: what is being built and the base of an open step,
    /// what is leased or pinned, and results that a caller was told of recently ([`Policy::spare`]).
    ///
    /// `progress` is called with each row of the report as it comes. If it returns an error, the prune stops and returns that
    /// error; what was removed by then stays removed. Each removal is tried once.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if the policy depends on the free space of an engine's disk that is not
    /// visible; the engine's error if the listing fails; and [`TimedOut`](crate::ErrorKind::TimedOut) and
    /// [`Cancelled`](crate::ErrorKind::Cancelled). A failed removal is not an error, but a row of the report.
    pub fn prune(
        &self,
        policy: &Policy,
        limits: &Limits,
        mut progress: impl FnMut(&PruneRow) -> Result<()>,
    ) -> Result<PruneReport> {
        prune::prune(&self.site, &self.caches, policy, limits, &mut progress)
    }

    /// Pins the result `id`, whether it exists or not: from now on no prune of any process removes it. Returns `false` if it
    /// was already pinned. Waits while a prune is removing it. A [`delete`](Self::delete) removes it anyway, and the pin is
    /// kept.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `id` cannot be part of an image name; any error that the
    /// system returns; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn pin(&self, id: &str, limits: &Limits) -> Result<bool> {
        pins::pin(&self.site, id, limits)
    }

    /// Removes the pin of the result `id`. Returns `false` if there was none.
    ///
    /// # Errors
    ///
    /// The errors of [`pin`](Self::pin).
    pub fn unpin(&self, id: &str) -> Result<bool> {
        pins::unpin(&self.site, id)
    }

    /// Pins the cache `name`, whether it exists or not. Returns `false` if it was already pinned.
    ///
    /// # Errors
    ///
    /// The errors of [`pin`](Self::pin).
    pub fn pin_cache(&self, name: impl AsRef<[u8]>, limits: &Limits) -> Result<bool> {
        self.caches.pin(&self.site, name.as_ref(), limits.wait())
    }

    /// Removes the pin of the cache `name`. Returns `false` if there was none.
    ///
    /// # Errors
    ///
    /// The errors of [`pin`](Self::pin).
    pub fn unpin_cache(&self, name: impl AsRef<[u8]>) -> Result<bool> {
        pins::unpin_cache(&self.site, name.as_ref())
    }

    /// Sets a limit for the cache `name`, or removes it. It applies to all processes from now on, also if the cache does not
    /// exist yet.
    ///
    /// A release that would make the cache hold more is discarded ([`Released::TooLarge`](crate::Released::TooLarge), counted
    /// in [`Stats`]). The cache stays as it was: none of its contents are lost. The size is the sum of the cache's layers. A
    /// file that is rewritten in several layers therefore counts once in each, until the layers are merged; the merge then
    /// happens in the background. The limit is enforced only if this process can access the engine's volumes directly.
    /// Otherwise a release logs that the size was not checked.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an empty name; any error that the system returns.
    pub fn limit_cache(&self, name: impl AsRef<[u8]>, most_bytes: Option<u64>) -> Result<()> {
        cache::sizes::set_limit(&self.site, name.as_ref(), most_bytes)
    }

    /// Returns what is pinned: results by id, then caches by name. Pins are stored in the root, and apply to all engines that
    /// it is used with.
    ///
    /// # Errors
    ///
    /// Any error that the system returns.
    pub fn pins(&self) -> Result<Vec<Pin>> {
        pins::list(&self.site)
    }

    /// Waits until everything that was queued for removal is removed from the engine. May also be called after the store is
    /// closed. The generation of a cache that was last on disk is not queued until a newer one is on disk; see
    /// [`Options::sync`].
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled), as `limits` says.
    pub fn complete_deletes(&self, limits: &Limits) -> Result<()> {
        self.site.check_process("completing deletes")?;
        // Also after closing: steps and leases that are still open queue their objects later.
        self.site.deletes.retry(&self.site);
        self.caches.hurry(limits.wait())?;
        self.site
            .deletes
            .wait_idle(None, limits.wait())
            .map_err(|stop| stopped(&"completing deletes", stop))
    }

    /// Returns counters of what has been done since this store was opened.
    pub fn stats(&self) -> Stats {
        self.site.counters.read()
    }

    /// Removes leftovers of terminated processes, as opening does. Objects of active sessions, in any process, are kept.
    ///
    /// # Errors
    ///
    /// The engine's error if the listing fails.
    pub fn purge(&self) -> Result<Purged> {
        self.purge_within(&Limits::none())
    }

    /// Like [`purge`](Self::purge), but bounded by `limits`.
    ///
    /// # Errors
    ///
    /// The errors of `purge`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled).
    pub fn purge_within(&self, limits: &Limits) -> Result<Purged> {
        purge::purge(&self.site, &self.caches, limits)
    }

    /// Closes the store. Waits for removals in progress. For caches, waits up to two seconds for layers that are being merged,
    /// and for released files to reach the disk. Then it ends the session. Steps and leases that are still open return
    /// [`Closed`](crate::ErrorKind::Closed) from now on; what they hold is removed when they are dropped.
    ///
    /// Closing waits for removals for up to ten seconds. If the engine takes longer, it continues with them, and the next open
    /// of this root looks for what is left. [`complete_deletes`](Self::complete_deletes) waits longer, and reports the outcome.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed) if another handle of the store has already closed it.
    pub fn close(self) -> Result<()> {
        self.shut(&Limits::none())
    }

    /// Like [`close`](Self::close), but bounded by `limits`.
    ///
    /// # Errors
    ///
    /// The errors of `close`; and [`TimedOut`](crate::ErrorKind::TimedOut) and [`Cancelled`](crate::ErrorKind::Cancelled) if
    /// removals are still pending: the store is closed anyway.
    pub fn close_within(self, limits: &Limits) -> Result<()> {
        self.shut(limits)
    }

    /// Does the work of [`close_within`](Self::close_within), for handles that outlive the store.
    pub(crate) fn shut(&self, limits: &Limits) -> Result<()> {
        self.site.check_open("closing")?;
        if !self.site.close() {
            return Ok(());
        }
        let wait = limits.wait();
        self.caches.close(&self.site, wait);
        // A last retry; what fails now is left for the next open.
        self.site.deletes.retry(&self.site);
        let idle = self.site.deletes.wait_idle(None, wait.at_most(CLOSING));
        self.site.engine.close_idle();
        match idle {
            Ok(()) => {
                self.site.deletes.join();
                // If no step and no lease is open, the session can create nothing more. Other processes then need not wait
                // until the handle is freed.
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
