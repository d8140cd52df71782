//! A chain of steps all of which exist: the most frequent case for a build tool.

use docker_store::{Limits, Outcome};

use crate::bare::Bare;
use crate::plot::Plot;
use crate::race::{Way, race};
use crate::report::{Bound, Report, Section, Table};
use crate::seed;
use crate::unit::Unit;
use crate::world::World;

const STEPS: usize = 100;

const TEXT: &str = "\
    A chain of a hundred steps, each on the one before, all of them built. docker-store is asked to build each \
    (`Store::build`); the seed starts one `docker inspect` for each; the bare socket only asks. The engine takes longer for an image \
    the more layers it has.";

pub(crate) fn measure(world: &World, report: &mut Report) {
    let mut section = Section::new("A rebuild in which all is there", TEXT);
    let ids: Vec<String> = (0..STEPS).map(|n| format!("chain{n}")).collect();
    build(world, &ids);
    let requests: Vec<_> = ids
        .iter()
        .map(|id| world.inspect(&world.image(id)))
        .collect();
    let mut socket = Bare::connect(&world.socket);
    let rows = race(
        "rebuild",
        world.pick(3, 15),
        vec![
            Way::new("bare socket", |times| {
                times.time(|| {
                    requests
                        .iter()
                        .for_each(|request| assert_eq!(socket.ask(request), 200))
                });
            }),
            Way::new("docker-store", |times| {
                times.time(|| {
                    for n in 0..STEPS {
                        let base = if n == 0 { "base" } else { &ids[n - 1] };
                        let built = world
                            .store
                            .build(Some(base), &ids[n], &Limits::none(), |_| {
                                panic!("it is there")
                            });
                        assert_eq!(built.expect("a hit"), Outcome::Hit);
                    }
                });
            }),
            Way::new("seed's commands", |times| {
                times.time(|| {
                    ids.iter()
                        .for_each(|id| assert!(seed::result(&world.image(id))))
                });
            }),
        ],
    );
    let table = Table::new("100 steps", Unit::Time, "bare socket", rows);
    let pair = ["docker-store", "seed's commands"];
    report.judge(
        "fully cached rebuild of 100 steps",
        &table,
        pair,
        Bound::AtLeast(20.0),
    );
    section.plots.push(Plot {
        file: "rebuild",
        title: String::from("A rebuild of 100 steps that are all there"),
        unit: Unit::Time,
        logarithmic: true,
        groups: vec![(String::new(), table.rows.clone())],
    });
    section.tables.push(table);
    report.add(section);
    // From the last to the first, so that each is removed completely.
    for id in ids.iter().rev() {
        world.store.delete(id).expect("deleted");
    }
}

/// Each step copies one small file in: a separate image, without the time of a run.
fn build(world: &World, ids: &[String]) {
    let mut base = "base";
    for id in ids {
        let mut step = world.begin(base, id);
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(id.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "tmp/step", id.as_bytes())
            .expect("in memory");
        let tar = tar.into_inner().expect("in memory");
        step.copy_in("/", &mut tar.as_slice()).expect("copied");
        step.commit().expect("committed");
        base = id;
    }
}
