//! Caches: leased and released, at four sizes, with both strategies and with OBuilder's docker commands.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use docker_store::{CacheRequest, Lease, Limits, Released, Store, Strategy};

use crate::docker::docker;
use crate::plot::Plot;
use crate::race::{Series, Times, Way, unwarmed};
use crate::report::{Bound, Report, Section, Table};
use crate::seed;
use crate::unit::Unit;
use crate::world::{BUSYBOX, World, open};

/// The contents of a cache, and the script that creates them.
struct Content {
    name: &'static str,
    fill: &'static str,
    /// Rounds of a quick run and of a full one.
    rounds: [usize; 2],
    /// The maximum number of turns with OBuilder's docker commands, because they take so long.
    seed: usize,
}

const CONTENTS: [Content; 4] = [
    Content {
        name: "empty",
        fill: "true",
        rounds: [3, 10],
        seed: 10,
    },
    Content {
        name: "100 MB in one file",
        fill: "dd if=/dev/urandom of=/c/file bs=1048576 count=100",
        rounds: [1, 5],
        seed: 3,
    },
    Content {
        name: "100 MB in 2,000 files",
        fill: "for n in $(seq 2000); do dd if=/dev/urandom of=/c/$n bs=52429 count=1 2>/dev/null; done",
        rounds: [0, 5],
        seed: 3,
    },
    Content {
        name: "1 GB",
        fill: "for n in 0 1 2 3 4 5 6 7 8 9; do dd if=/dev/urandom of=/c/$n bs=1048576 count=100; done",
        rounds: [0, 5],
        seed: 1,
    },
];

const OURS: [(&str, Strategy); 2] = [
    ("docker-store, overlay", Strategy::Overlay),
    ("docker-store, copy", Strategy::Copy),
];

const SEED: &str = "seed's commands";

const TEXT: &str = "\
    A cache is lent, a container writes a small file into it (off the clock), and it is taken back and becomes the next version. \
    The seed's own sequence of `docker` commands does the same: two containers joined by a pipe copy the whole cache at each \
    end, through the engine's log of the sender; at 1 GB that is some 80 seconds a run, so there it has one turn (and \
    five more in a section above). What docker-store does in the background \
    afterwards (removals, compaction) is in a row of its own. Before each turn the disk is synced. The copy strategy reaches the \
    engine's volumes as files here, which it may as root.";

pub(crate) fn measure(world: &World, report: &mut Report) {
    let mut section = Section::new("Caches", TEXT);
    let stores: Vec<(&str, Store)> = OURS
        .iter()
        .filter_map(|(name, s)| usable(world, name, *s))
        .collect();
    let mut both = Vec::new();
    for content in &CONTENTS {
        let rounds = world.pick(content.rounds[0], content.rounds[1]);
        if rounds == 0 {
            continue;
        }
        let began = Instant::now();
        let table = cache(world, &stores, content, rounds);
        crate::say(&format!(
            "{}: {:.0} s",
            content.name,
            began.elapsed().as_secs_f64()
        ));
        let rows: Vec<Series> = table
            .rows
            .iter()
            .filter_map(|row| Some(row.named(row.name.strip_suffix(": both")?)))
            .collect();
        both.push((content.name, rows));
        section.tables.push(table);
    }
    judge(report, &both);
    section.plots.push(Plot {
        file: "caches",
        title: String::from("Acquire and release of a cache"),
        unit: Unit::Time,
        logarithmic: true,
        groups: both
            .into_iter()
            .map(|(name, rows)| (name.to_owned(), rows))
            .collect(),
    });
    if !world.quick {
        section
            .tables
            .extend(stores.iter().map(|(name, store)| chain(name, store)));
    }
    report.add(section);
    for (name, store) in stores {
        let root = store.root().to_owned();
        store.close().expect(name);
        std::fs::remove_dir_all(root).expect("removed");
    }
}

/// A store that clones in one way, unless that does not work on this engine.
fn usable<'a>(world: &World, name: &'a str, strategy: Strategy) -> Option<(&'a str, Store)> {
    let store = open(
        &world.folder.join(format!("{strategy:?}").to_lowercase()),
        strategy,
    );
    let lent = store.cache("probe", &CacheRequest::new());
    match lent.and_then(|lease| lease.release()) {
        Ok(_) => Some((name, store)),
        Err(e) => {
            crate::say(&format!("{name} is left out: {e}"));
            None
        }
    }
}

fn judge(report: &mut Report, all: &[(&str, Vec<Series>)]) {
    let find = |content: &str, name: &str| {
        let (_, rows) = all.iter().find(|(c, _)| *c == content)?;
        rows.iter().find(|row| row.name == name)
    };
    let [(overlay, _), (copy, _)] = OURS;
    let grows = find("1 GB", overlay).zip(find("empty", overlay));
    let what = "cache acquire + release, overlay, 1 GB";
    report.judge_series(what, grows, "that of an empty one", Bound::AtMost(1.3));
    report.judge_series(
        what,
        find("1 GB", overlay).zip(find("1 GB", SEED)),
        SEED,
        Bound::AtLeast(500.0),
    );
    for (content, _) in all {
        let what = format!("cache acquire + release, copy, {content}");
        let pair = find(content, copy).zip(find(content, SEED));
        report.judge_series(&what, pair, SEED, Bound::AtLeast(2.0));
    }
}

/// The times of the parts of one way's turns.
#[derive(Default)]
struct Parts {
    acquire: Vec<f64>,
    release: Vec<f64>,
    afterwards: Vec<f64>,
}

impl Parts {
    fn rows(self, name: &str, both: &Series) -> Vec<Series> {
        let mut rows = vec![
            Series::new(&format!("{name}: acquire"), self.acquire),
            Series::new(&format!("{name}: release"), self.release),
            both.named(&format!("{name}: both")),
        ];
        if !self.afterwards.is_empty() {
            rows.push(Series::new(&format!("{name}: afterwards"), self.afterwards));
        }
        rows
    }
}

fn cache(world: &World, stores: &[(&str, Store)], content: &Content, rounds: usize) -> Table {
    let name = content.name.replace([' ', ','], "-");
    let parts: Vec<RefCell<Parts>> = (0..=stores.len())
        .map(|_| RefCell::new(Parts::default()))
        .collect();
    let mut ways: Vec<Way<'_>> = Vec::new();
    for ((strategy, store), parts) in stores.iter().zip(&parts) {
        let lease = lend(store, &name);
        write(lease.volume(), content.fill);
        lease.release().expect("released");
        let name = &name;
        ways.push(Way::new(strategy, move |times| {
            ours(store, name, &mut parts.borrow_mut(), times)
        }));
    }
    let seed = seed::Cache::new(world.prefix(), &name);
    let filled = format!("{}-cache-c-{name}", world.prefix());
    docker(&["volume", "create", &filled]);
    write(&filled, content.fill);
    let own = &parts[stores.len()];
    let theirs = Way::new(SEED, move |times| {
        theirs(&seed, &mut own.borrow_mut(), times)
    });
    ways.push(theirs.at_most(content.seed));

    let series = unwarmed(rounds, ways);
    let all = series.iter().zip(parts);
    let rows = all
        .flat_map(|(both, parts)| parts.into_inner().rows(&both.name, both))
        .collect();
    docker(&["volume", "rm", &filled]);
    for (_, store) in stores {
        store.delete_cache(&name).expect("deleted");
        store.complete_deletes(&Limits::none()).expect("gone");
    }
    Table::new(
        content.name,
        Unit::Time,
        "docker-store, overlay: both",
        rows,
    )
}

/// Waits until the store has no more volumes than its caches need. A volume that a new generation replaces is kept until that
/// is on disk, and would then be removed in the turn of another way.
fn settle(store: &Store) {
    let filter = format!("name={}-", store.prefix());
    let claim = format!("{}-store", store.prefix());
    for _ in 0..200 {
        let caches = store.caches().expect("a listing");
        let needed: usize = caches.iter().map(|cache| cache.layers).sum();
        let volumes = docker(&["volume", "ls", "--quiet", "--filter", &filter]);
        if volumes.iter().filter(|name| **name != claim).count() <= needed {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    crate::say("volumes that nobody needs stay: what follows is measured beside their removal");
}

fn ours(store: &Store, name: &str, parts: &mut Parts, times: &mut Times) {
    rustix::fs::sync();
    let (acquire, lease) = timed(|| lend(store, name));
    write(lease.volume(), "echo changed >> /c/changed");
    let (release, released) = timed(|| lease.release().expect("released"));
    assert!(matches!(released, Released::Won(_)), "{released:?}");
    let (afterwards, ()) = timed(|| store.complete_deletes(&Limits::none()).expect("gone"));
    settle(store);
    parts.acquire.push(acquire.as_secs_f64());
    parts.release.push(release.as_secs_f64());
    parts.afterwards.push(afterwards.as_secs_f64());
    times.add(acquire + release);
}

fn theirs(seed: &seed::Cache, parts: &mut Parts, times: &mut Times) {
    rustix::fs::sync();
    let (acquire, volume) = timed(|| seed.acquire());
    write(volume, "echo changed >> /c/changed");
    let (release, ()) = timed(|| seed.release());
    parts.acquire.push(acquire.as_secs_f64());
    parts.release.push(release.as_secs_f64());
    times.add(acquire + release);
}

/// Many releases with changes in a row: the cost of a cache does not grow with its history.
fn chain(name: &str, store: &Store) -> Table {
    const PART: usize = 30;
    let mut rows = Vec::new();
    for part in 0..3 {
        let mut taken = Vec::new();
        for _ in 0..PART {
            let (acquire, lease) = timed(|| lend(store, "chain"));
            write(lease.volume(), "echo changed >> /c/changed");
            let (release, _) = timed(|| lease.release().expect("released"));
            taken.push((acquire + release).as_secs_f64());
        }
        rows.push(Series::new(
            &format!("versions {} to {}", part * PART + 1, (part + 1) * PART),
            taken,
        ));
    }
    store.delete_cache("chain").expect("deleted");
    store.complete_deletes(&Limits::none()).expect("gone");
    Table::new(
        &format!("{name}, one small cache again and again"),
        Unit::Time,
        "versions 1 to 30",
        rows,
    )
}

fn lend(store: &Store, name: &str) -> Lease {
    store.cache(name, &CacheRequest::new()).expect("a lease")
}

/// Runs a script in a container that has the volume at /c.
fn write(volume: &str, script: &str) {
    let mount = format!("type=volume,src={volume},dst=/c,volume-nocopy");
    let run = [
        "run",
        "--rm",
        "--network",
        "none",
        "--log-driver",
        "none",
        "--mount",
        &mount,
        BUSYBOX,
    ];
    docker(&[&run[..], &["/bin/sh", "-c", script]].concat());
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let done = work();
    (began.elapsed(), done)
}
