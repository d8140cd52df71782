//! The state of the engine, how well the store works with it, and advice on what could be better.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::engine::system::Info;
use crate::error::Result;
use crate::store::cache::Caches;
use crate::store::disk::{self, DiskFree};
use crate::store::loopback;
use crate::store::options::Strategy;
use crate::store::site::Site;
use crate::wait::Limits;

/// A smaller difference between clocks is ignored. This is a choice: a time server keeps clocks much closer, and a difference
/// of several seconds is visible in the dates of results.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

/// A disk with less free space, in percent, is reported. This is a choice: with less free space, the next large build may fail.
/// A larger number would report disks that are used as intended.
const SCARCE: f64 = 5.0;

/// What [`Store::health`](crate::Store::health) found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// The engine's name for itself: `Docker`, `Podman`, or another.
    pub engine: String,
    /// Its version, such as `28.5.2`.
    pub engine_version: String,
    /// The version of the Engine API that is in use.
    pub api_version: String,
    /// The newest version of the API that the engine supports.
    pub newest_api_version: String,
    /// The address at which it was reached.
    pub address: String,
    /// Where the engine stores images: its storage driver, such as `overlay2`; or `containerd (overlayfs)`.
    pub image_store: String,
    /// How caches are cloned; `None` if they cannot be.
    pub strategy: Option<Strategy>,
    /// The reason for the strategy.
    pub strategy_reason: String,
    /// What sets up the network of steps that have none, and why.
    pub network: String,
    /// By how many milliseconds the engine's clock is ahead of the local clock; negative if it is behind. `None` if the engine
    /// does not report its time.
    pub clock_ahead_ms: Option<i64>,
    /// Free space.
    pub free: DiskFree,
    /// What could be better; empty if nothing.
    pub troubles: Vec<Trouble>,
}

/// Something that could be better.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// What it is, and how it affects the store.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

/// Checks that the engine responds, and nothing else.
pub(crate) fn ping(site: &Site, limits: &Limits) -> Result<()> {
    let doing = "checking that the engine responds";
    site.check_open(doing)?;
    site.engine.greet(limits.wait())
}

/// Queries the engine, the system and the caches.
pub(crate) fn look(site: &Site, caches: &Caches, limits: &Limits) -> Result<Health> {
    let doing = "checking the engine";
    site.check_open(doing)?;
    let wait = limits.wait();
    site.engine.greet(wait)?;
    let before = SystemTime::now();
    let info = site.engine.info(wait)?;
    let after = SystemTime::now();
    let free = disk::of(site, &info)?;
    let mut troubles = Troubles::default();

    // First the trouble that explains the others.
    if let Err(e) = site.check_engine(doing, wait) {
        troubles.add(e.message(), "close the store and open it again");
    }
    let strategy = match caches.found(site, wait) {
        Ok(found) => {
            troubles.of_caches(&found, site);
            Ok((found.strategy, found.why))
        }
        Err(e) => {
            wait.left()
                .map_err(|stop| crate::engine::stopped(&doing, stop))?;
            troubles.add(
                format!("no cache can be leased: {e}"),
                "if an option sets a strategy, remove it; otherwise use an engine whose containers can mount volumes",
            );
            Err(e.message().to_owned())
        }
    };
    let clock = clock(&info, before, after);
    if let Some(clock) = &clock {
        troubles.of_clock(clock);
    }
    troubles.of_engine(&info);
    troubles.of_space(&free, site);
    if site.deletes.has_failed() {
        troubles.add(
            "an object that is queued for removal could not be removed from the engine yet",
            "complete deletes, or open the root again: both retry; the engine's log says why it refused",
        );
    }

    let (strategy, strategy_reason) = match strategy {
        Ok((strategy, why)) => (Some(strategy), why),
        Err(why) => (None, why),
    };
    Ok(Health {
        engine: site.engine.product(),
        engine_version: info.server_version.clone(),
        api_version: site.engine.version().to_string(),
        newest_api_version: site.engine.offered().to_string(),
        address: site.engine.address().to_owned(),
        image_store: info.image_store(),
        strategy,
        strategy_reason,
        network: loopback::way(site),
        clock_ahead_ms: clock.map(|clock| clock.ahead_ms),
        free,
        troubles: troubles.0,
    })
}

/// How the engine's clock compares with the local clock.
#[derive(Debug)]
struct Clock {
    ahead_ms: i64,
    /// The uncertainty: the engine read its clock at some point during a request of this duration.
    unsure: Duration,
}

fn clock(info: &Info, before: SystemTime, after: SystemTime) -> Option<Clock> {
    let since_1970 = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok();
    let (before, after) = (since_1970(before)?, since_1970(after)?);
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let here = (millis(before) + millis(after)) / 2;
    Some(Clock {
        ahead_ms: millis(info.clock()?).saturating_sub(here),
        unsure: after.saturating_sub(before) / 2,
    })
}

#[derive(Default)]
struct Troubles(Vec<Trouble>);

impl Troubles {
    fn add(&mut self, what: impl Into<String>, advice: impl Into<String>) {
        self.0.push(Trouble {
            what: what.into(),
            advice: advice.into(),
        });
    }

    fn of_caches(&mut self, found: &crate::store::cache::Found, site: &Site) {
        if site.cache_options.strategy == Strategy::Automatic && found.strategy == Strategy::Copy {
            self.add(
                format!(
                    "each lease of a cache copies all of its files: {}",
                    found.why
                ),
                "have the engine keep its data on a file system that takes overlay mounts, such as ext4 or xfs",
            );
        }
        if site.cache_options.direct && !found.reach {
            self.add(
                "this process cannot access the engine's volumes directly, so caches are copied through the engine",
                "run as root on the engine's host, with the engine's data directory at the same path",
            );
        }
    }

    fn of_clock(&mut self, clock: &Clock) {
        let differs = Duration::from_millis(clock.ahead_ms.unsigned_abs());
        if differs <= CLOCK_TOLERANCE + clock.unsure {
            return;
        }
        let where_to = match clock.ahead_ms > 0 {
            true => "ahead of",
            false => "behind",
        };
        self.add(
            format!(
                "the engine's clock is {:.1} s {where_to} this machine's, and the times of results are the engine's",
                differs.as_secs_f64()
            ),
            "synchronise both with the same source (NTP)",
        );
    }

    fn of_engine(&mut self, info: &Info) {
        if info.os_type != "linux" {
            self.add(
                format!(
                    "the engine runs {} containers, and caches are copied by archive there",
                    info.os_type
                ),
                "switch it to Linux containers",
            );
        }
        if info.image_store() == "vfs" {
            self.add(
                "the engine's storage driver is vfs: each container starts from a copy of its whole image",
                "have it use overlay2 (Docker) or overlay (Podman)",
            );
        }
        if info.image_store().starts_with("containerd") {
            self.add(
                "the engine keeps images in containerd, which compresses what a step has written at each commit",
                "if commits take too long, turn off its feature containerd-snapshotter; its images must then be built again",
            );
        }
        let (memory, cpu) = info.lacks_limits();
        for (lacks, what, group) in [(memory, "memory", "memory"), (cpu, "processor time", "cpu")] {
            if lacks {
                self.add(
                    format!(
                        "the engine cannot limit the {what} of a command: such a limit fails or has no effect"
                    ),
                    format!("have its kernel and its user provide the control group `{group}`"),
                );
            }
        }
    }

    fn of_space(&mut self, free: &DiskFree, site: &Site) {
        let advice = "delete results and caches that are not needed";
        if free.root < SCARCE {
            let root = site.paths.root().display();
            self.add(
                format!("{:.1} % is free on the file system of {root}", free.root),
                advice,
            );
        }
        if let Some(engine) = free.engine.filter(|engine| *engine < SCARCE) {
            self.add(
                format!("{engine:.1} % is free on the file system of the engine's data"),
                advice,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn info(more: serde_json::Value) -> Info {
        serde_json::from_value(more).expect("what an engine says of itself")
    }

    fn told(say: impl FnOnce(&mut Troubles)) -> Vec<String> {
        let mut troubles = Troubles::default();
        say(&mut troubles);
        assert!(troubles.0.iter().all(|trouble| !trouble.advice.is_empty()));
        troubles.0.into_iter().map(|trouble| trouble.what).collect()
    }

    #[test]
    fn clocks_are_compared_at_the_middle_of_the_call() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let engine = info(json!({ "SystemTime": "1970-01-01T00:01:40.5Z" }));
        let found = clock(&engine, at(100), at(101)).expect("a clock");
        assert_eq!(found.ahead_ms, 0);
        let found = clock(&engine, at(90), at(92)).expect("a clock");
        assert_eq!(found.ahead_ms, 9500);
        assert!(clock(&info(json!({})), at(90), at(92)).is_none());
    }

    #[test]
    fn a_clock_is_wrong_when_it_differs_by_more_than_the_call_explains() {
        let says = |ahead_ms, unsure| {
            let unsure = Duration::from_secs(unsure);
            told(|troubles| troubles.of_clock(&Clock { ahead_ms, unsure }))
        };
        assert!(says(1500, 0).is_empty() && says(-9000, 8).is_empty());
        assert!(says(3_600_000, 1)[0].contains("3600.0 s ahead of"));
        assert!(says(-4000, 1)[0].contains("4.0 s behind"));
    }

    #[test]
    fn what_an_engine_lacks_is_told() {
        let of = |value| told(|troubles| troubles.of_engine(&info(value)));
        let good = json!({ "OSType": "linux", "Driver": "overlay2", "MemoryLimit": true, "CpuCfsQuota": true });
        assert_eq!(of(good), Vec::<String>::new());
        // Podman 4 does not report limits; this is not a trouble.
        assert!(of(json!({ "OSType": "linux", "Driver": "overlay" })).is_empty());
        let poor = json!({ "OSType": "linux", "Driver": "vfs", "MemoryLimit": false, "CpuCfsQuota": false });
        let said = of(poor);
        for (said, word) in said.iter().zip(["vfs", "memory", "processor"]) {
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(said.len(), 3);
        let containerd = json!({
            "OSType": "linux", "Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
        });
        assert_eq!(
            info(containerd.clone()).image_store(),
            "containerd (overlayfs)"
        );
        assert!(of(containerd)[0].contains("containerd"));
    }
}
