//! One step that must be built, end to end, and twenty of them concurrently.

use std::fs::File;
use std::thread;

use docker_store::Command;

use crate::bare::Pair;
use crate::bare_step::BareStep;
use crate::plot::Plot;
use crate::race::{Series, Times, Way, race, unwarmed};
use crate::report::{Bound, Report, Section, Table};
use crate::seed;
use crate::threads::at_once;
use crate::unit::Unit;
use crate::world::World;

const AT_ONCE: usize = 20;

const TEXT: &str = "\
    A step that runs `/bin/true`, from the question whether it is there to the last removal. The bare sockets make the calls \
    that docker-store makes (ARCHITECTURE.md lists them), but look once, not twice, and need no tag of their own; and they ask for \
    `NetworkMode: none` alone, as everybody does, where docker-store leaves the loopback to the runtime. bollard and docker-py do \
    the same in the way that their own documentation shows. Nearly all of it is the engine's own time.";

pub(crate) fn measure(world: &World, report: &mut Report) {
    let mut section = Section::new("A step that must be done", TEXT);
    let one = Table::new("one step", Unit::Time, "bare sockets", single(world));
    let many = Table::new(
        "20 steps at once",
        Unit::Time,
        "bare sockets",
        parallel(world),
    );
    let bare = ["docker-store", "bare sockets"];
    report.judge("one uncached step", &one, bare, Bound::AtMost(0.72));
    for other in world.others() {
        let pair = ["docker-store", other.name];
        report.judge("one uncached step", &one, pair, Bound::AtMost(0.72));
    }
    let seed = ["docker-store", "seed's commands"];
    report.judge("one uncached step", &one, seed, Bound::AtLeast(2.0));
    report.judge(
        "20 uncached steps at once",
        &many,
        bare,
        Bound::AtMost(0.75),
    );
    section.plots.push(Plot {
        file: "steps",
        title: String::from("Steps that run /bin/true, end to end"),
        unit: Unit::Time,
        logarithmic: false,
        groups: vec![
            (one.title.clone(), one.rows.clone()),
            (
                format!("{}, each", many.title),
                many.rows
                    .iter()
                    .map(|r| r.divided(AT_ONCE as f64))
                    .collect(),
            ),
        ],
    });
    section.tables.extend([one, many]);
    report.add(section);
}

fn single(world: &World) -> Vec<Series> {
    let mut pair = Pair::connect(&world.socket);
    let mut ways = vec![
        Way::new("bare sockets", |times: &mut Times| {
            let id = world.fresh("bare");
            let step = BareStep::new(world, "base", &id, r#"["/bin/true"]"#);
            times.time(|| {
                let mut log = File::create(world.folder.join("bare.log")).expect("a log");
                step.run(&mut pair, &mut log);
            });
            forget(world, &[id]);
        }),
        Way::new("docker-store", |times| {
            let id = world.fresh("ours");
            times.time(|| step(world, &id));
            forget(world, &[id]);
        }),
    ];
    ways.extend(world.others().map(|other| {
        Way::new(other.name, move |times| {
            let id = world.fresh("other");
            other.ask(&format!("step {} base {id}", world.prefix()), times);
            forget(world, &[id]);
        })
    }));
    ways.push(Way::new("seed's commands", |times| {
        let id = world.fresh("seed");
        times.time(|| seed::step(world.prefix(), "base", &id));
        forget(world, &[id]);
    }));
    race("one step", world.pick(5, 30), ways)
}

fn parallel(world: &World) -> Vec<Series> {
    let mut pairs: Vec<_> = (0..AT_ONCE).map(|_| Pair::connect(&world.socket)).collect();
    let ids = |what: &str| {
        let what = world.fresh(what);
        (0..AT_ONCE)
            .map(|n| format!("{what}-{n}"))
            .collect::<Vec<_>>()
    };
    let mut ways = vec![
        Way::new("bare sockets", |times: &mut Times| {
            let ids = ids("bare");
            let works = ids.iter().zip(&mut pairs).map(|(id, pair)| {
                let step = BareStep::new(world, "base", id, r#"["/bin/true"]"#);
                let path = world.folder.join(format!("{id}.log"));
                move || {
                    let mut log = File::create(&path).expect("a log");
                    step.run(pair, &mut log);
                    std::fs::remove_file(&path).expect("removed");
                }
            });
            at_once(times, works.collect());
            forget(world, &ids);
        }),
        Way::new("docker-store", |times| {
            let ids = ids("ours");
            let store = &world.store;
            at_once(
                times,
                ids.iter()
                    .map(|id| move || step_in(store, "base", id))
                    .collect(),
            );
            forget(world, &ids);
        }),
    ];
    ways.extend(world.others().filter(|_| !world.quick).map(|other| {
        Way::new(other.name, move |times| {
            let id = world.fresh("other");
            other.ask(
                &format!("steps {} base {id}- {AT_ONCE}", world.prefix()),
                times,
            );
            forget(
                world,
                &(0..AT_ONCE)
                    .map(|n| format!("{id}-{n}"))
                    .collect::<Vec<_>>(),
            );
        })
    }));
    ways.push(Way::new("seed's commands", |times| {
        let (ids, prefix) = (ids("seed"), world.prefix());
        at_once(
            times,
            ids.iter()
                .map(|id| move || seed::step(prefix, "base", id))
                .collect(),
        );
        forget(world, &ids);
    }));
    match world.quick {
        true => unwarmed(1, ways),
        false => race("20 steps", 5, ways),
    }
}

fn step(world: &World, id: &str) {
    step_in(&world.store, "base", id);
}

/// The step: it runs `/bin/true`.
pub(crate) fn step_in(store: &docker_store::Store, base: &str, id: &str) {
    let mut step = crate::world::begin(store, base, id);
    step.run(&Command::new(["/bin/true"])).expect("a run");
    step.commit().expect("a commit");
}

/// Removes results of all builders, while the clock is stopped.
fn forget(world: &World, ids: &[String]) {
    let store = &world.store;
    thread::scope(|scope| {
        for id in ids {
            scope.spawn(move || assert!(store.delete(id).expect("deleted")));
        }
    });
}
