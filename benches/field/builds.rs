//! Whole builds of small steps, compared with BuildKit: the cost of a step when there are several, with a cache, concurrently,
//! and repeated.

use docker_store::{CacheRequest, Limits, Outcome, Store};

use crate::buildkit::BuildKit;
use crate::docker::docker;
use crate::race::{Series, Times, Way, race, unwarmed};
use crate::report::{Bound, Report, Section, Table};
use crate::seed;
use crate::steps::step_in;
use crate::threads::at_once;
use crate::unit::Unit;
use crate::world::{World, begin, sh};

pub(crate) const OURS: &str = "docker-store";
pub(crate) const BUILDKIT: &str = "BuildKit";
pub(crate) const SEED: &str = "seed's commands";

const FEW: usize = 5;
const MANY: usize = 20;
const CHAIN: usize = 100;

/// What fills the cache, and what each step does to it.
const FILL: &str = "for n in 0 1 2 3 4 5 6 7 8 9; do dd if=/dev/urandom of=/c/$n bs=1048576 count=100 2>/dev/null; done";
const CHANGE: &str = "echo changed >>/c/changed";

const TEXT: &str = "\
    `docker build` of a Dockerfile with BuildKit, which the engine has built in, beside steps of docker-store and the seed's \
    commands. Each step runs `/bin/true`, on what the step before it left; with a cache, a shell that appends a line to a file in \
    it. BuildKit's time is that of one `docker build --quiet`, with its start and the name that the image gets, and for 20 \
    builds that of 20 such commands at once, of one step each.

    BuildKit is faster at a step that must be done, because it makes less of it. It runs inside the engine and calls the runtime itself: \
    no container of the engine's is created, recorded, attached to and removed for a step, and none of its results is an image. It \
    makes one image of a whole build, at the end. docker-store has the engine's calls alone, and each of its results is an image: so it \
    is there for the next build whatever becomes of this one, other processes find it by its name, and `docker` shows, runs and removes it.

    docker-store is faster where a step is there: it asks for one image by its name, and needs no build for that, no Dockerfile and \
    no client that is started. BuildKit's cache mount is one folder that all builds write to: nothing is copied, lent, or kept as it \
    was. docker-store's is a copy of one's own, which becomes the next version when it is given back; it costs two calls of the \
    engine and a mount. The seed copies the cache twice a step: so of that there is one round.";

pub(crate) fn measure(world: &World, report: &mut Report) {
    let mut section = Section::new("Builds, beside BuildKit", TEXT);
    let kit = BuildKit::prepared(world);
    let kit = kit.as_ref();
    let all = [
        few(world, kit),
        again(world, kit),
        cached(world, kit),
        many(world, kit),
        chain(world, kit),
    ];
    let [_, again, cached, ..] = &all;
    let what = "rebuild of five, all there";
    report.judge(what, again, [OURS, BUILDKIT], Bound::AtLeast(20.0));
    if !world.quick {
        let what = "five steps with a cache of 1 GB";
        report.judge(what, cached, [OURS, SEED], Bound::AtLeast(100.0));
        report.judge(what, cached, [OURS, BUILDKIT], Bound::AtMost(4.0));
    }
    section.tables.extend(all);
    report.add(section);
}

fn table(title: &str, rows: Vec<Series>) -> Table {
    Table::new(title, Unit::Time, BUILDKIT, rows)
}

/// Ids of one build: each step's is the base of the next.
fn ids(world: &World, count: usize) -> Vec<String> {
    let word = world.fresh("build");
    (0..count).map(|n| format!("{word}-{n}")).collect()
}

/// Each id with its base.
fn on_base(ids: &[String]) -> impl Iterator<Item = (&str, &str)> {
    let bases = std::iter::once("base").chain(ids.iter().map(String::as_str));
    bases.zip(ids.iter().map(String::as_str))
}

/// A Dockerfile whose steps have never been built: an argument that `/bin/true` ignores makes them different.
fn dockerfile(world: &World, ids: &[String]) -> String {
    let mut text = format!("FROM {}\n", world.image("base"));
    for id in ids {
        text += &format!("RUN [\"/bin/true\", \"{}\"]\n", world.image(id));
    }
    text
}

/// Removes results from the last to the first, so that each is removed completely.
fn forget(world: &World, ids: &[String]) {
    for id in ids.iter().rev() {
        assert!(world.store.delete(id).expect("deleted"));
    }
}

/// The ways to build `count` steps, one on another.
fn in_a_row<'a>(world: &'a World, kit: Option<&'a BuildKit>, count: usize) -> Vec<Way<'a>> {
    let mut ways = vec![Way::new(OURS, move |times: &mut Times| {
        let ids = ids(world, count);
        times.time(|| on_base(&ids).for_each(|(base, id)| step_in(&world.store, base, id)));
        forget(world, &ids);
    })];
    ways.extend(kit.map(|kit| {
        Way::new(BUILDKIT, move |times| {
            let ids = ids(world, count);
            let (text, image) = (dockerfile(world, &ids), world.image(&ids[0]));
            times.time(|| kit.build(&image, &text));
            forget(world, &ids[..1]);
        })
    }));
    ways.push(Way::new(SEED, move |times| {
        let ids = ids(world, count);
        times.time(|| on_base(&ids).for_each(|(base, id)| seed::step(world.prefix(), base, id)));
        forget(world, &ids);
    }));
    ways
}

fn few(world: &World, kit: Option<&BuildKit>) -> Table {
    let ways = in_a_row(world, kit, FEW);
    table("five steps", race("five steps", world.pick(2, 7), ways))
}

fn chain(world: &World, kit: Option<&BuildKit>) -> Table {
    let count = world.pick(10, CHAIN);
    let mut ways = in_a_row(world, kit, count);
    let seed = ways.pop().expect("the last");
    ways.push(seed.at_most(1));
    let title = format!("a chain of {count} steps");
    table(&title, unwarmed(world.pick(1, 2), ways))
}

/// The five again, when all exist.
fn again(world: &World, kit: Option<&BuildKit>) -> Table {
    let ids = ids(world, FEW);
    on_base(&ids).for_each(|(base, id)| step_in(&world.store, base, id));
    let built = world.image("built");
    let text = dockerfile(world, &ids);
    let mut ways = vec![Way::new(OURS, |times: &mut Times| {
        times.time(|| {
            for (base, id) in on_base(&ids) {
                let store = &world.store;
                let there = |_: &mut _| panic!("it is there");
                let built = store.build(Some(base), id, &Limits::none(), there);
                assert_eq!(built.expect("a hit"), Outcome::Hit);
            }
        });
    })];
    ways.extend(kit.map(|kit| {
        kit.build(&built, &text);
        Way::new(BUILDKIT, |times| times.time(|| kit.build(&built, &text)))
    }));
    ways.push(Way::new(SEED, |times| {
        times.time(|| {
            ids.iter()
                .for_each(|id| assert!(seed::result(&world.image(id))))
        })
    }));
    let rows = race("five, all there", world.pick(5, 40), ways);
    if kit.is_some() {
        docker(&["rmi", "-f", &built]);
    }
    forget(world, &ids);
    table("the five once more, all there", rows)
}

/// Five steps that each have a cache of 1 GB and change it.
fn cached(world: &World, kit: Option<&BuildKit>) -> Table {
    let name = world.fresh("gigabyte");
    let fill = if world.quick { CHANGE } else { FILL };
    let step = |store: &Store, base: &str, id: &str, script: &str| {
        let lease = store.cache(&name, &CacheRequest::new()).expect("a lease");
        let mut step = begin(store, base, id);
        let mut command = sh(script);
        command.lease(&lease, "/c");
        step.run(&command).expect("a run");
        step.commit().expect("a commit");
        lease.release().expect("released");
    };
    let in_kit = |ids: &[String], script: &str| {
        let mut text = format!("FROM {}\n", world.image("base"));
        for id in ids {
            let (cache, image) = (world.image(&name), world.image(id));
            text += &format!("RUN --mount=type=cache,id={cache},target=/c : {image}; {script}\n");
        }
        text
    };
    let by_seed = |volume: &str, base: &str, id: &str, script: &str| {
        let mount = format!("type=volume,src={volume},dst=/c");
        let run = seed::Run {
            options: &["--mount", &mount],
            command: &["/bin/sh", "-c", script],
            input: None,
        };
        seed::step_of(world.prefix(), base, id, run);
    };
    let seed = seed::Cache::new(world.prefix(), &name);

    // Filled before the clock starts.
    let first = world.fresh("filled");
    step(&world.store, "base", &first, fill);
    forget(world, std::slice::from_ref(&first));
    if let Some(kit) = kit {
        let image = world.image(&first);
        kit.build(&image, &in_kit(std::slice::from_ref(&first), fill));
        forget(world, std::slice::from_ref(&first));
    }
    let volume = format!("{}-cache-c-{name}", world.prefix());
    docker(&["volume", "create", &volume]);
    by_seed(&volume, "base", &first, fill);
    forget(world, std::slice::from_ref(&first));

    let mut ways = vec![Way::new(OURS, |times: &mut Times| {
        let ids = ids(world, FEW);
        times.time(|| on_base(&ids).for_each(|(base, id)| step(&world.store, base, id, CHANGE)));
        forget(world, &ids);
    })];
    ways.extend(kit.map(|kit| {
        Way::new(BUILDKIT, |times: &mut Times| {
            let ids = ids(world, FEW);
            let (text, image) = (in_kit(&ids, CHANGE), world.image(&ids[0]));
            times.time(|| kit.build(&image, &text));
            forget(world, &ids[..1]);
        })
    }));
    let theirs = Way::new(SEED, |times: &mut Times| {
        let ids = ids(world, FEW);
        times.time(|| {
            for (base, id) in on_base(&ids) {
                by_seed(seed.acquire(), base, id, CHANGE);
                seed.release();
            }
        });
        forget(world, &ids);
    });
    ways.push(theirs.at_most(1));
    let rows = race("five with a cache", world.pick(2, 7), ways);
    docker(&["volume", "rm", &volume]);
    world.store.delete_cache(&name).expect("deleted");
    world.store.complete_deletes(&Limits::none()).expect("gone");
    let size = if world.quick {
        "that is empty"
    } else {
        "of 1 GB"
    };
    table(&format!("five steps with a cache {size}"), rows)
}

fn many(world: &World, kit: Option<&BuildKit>) -> Table {
    let mut ways = vec![Way::new(OURS, |times: &mut Times| {
        let ids = ids(world, MANY);
        let store = &world.store;
        let works = ids.iter().map(|id| move || step_in(store, "base", id));
        at_once(times, works.collect());
        forget(world, &ids);
    })];
    ways.extend(kit.map(|kit| {
        Way::new(BUILDKIT, move |times: &mut Times| {
            let ids = ids(world, MANY);
            let builds = ids.iter().map(|id| {
                let text = dockerfile(world, std::slice::from_ref(id));
                let image = world.image(id);
                move || kit.build(&image, &text)
            });
            at_once(times, builds.collect());
            forget(world, &ids);
        })
    }));
    let seed = Way::new(SEED, |times: &mut Times| {
        let (ids, prefix) = (ids(world, MANY), world.prefix());
        let works = ids.iter().map(|id| move || seed::step(prefix, "base", id));
        at_once(times, works.collect());
        forget(world, &ids);
    });
    ways.push(seed.at_most(2));
    let rows = match world.quick {
        true => unwarmed(1, ways),
        false => race("20 builds", 4, ways),
    };
    table("20 builds at once", rows)
}
