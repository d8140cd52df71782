//! The output of a step, on its way to a log file and a callback.

use std::fs::{File, remove_file};

use crate::bare::Pair;
use crate::bare_step::BareStep;
use crate::docker::docker_to;
use crate::plot::Plot;
use crate::race::{Times, Way, race};
use crate::report::{Bound, Report, Section, Table};
use crate::unit::Unit;
use crate::world::{BUSYBOX, World, sh};

const TEXT: &str = "\
    A step that writes that much to its standard output, with everything around it, until its result is there. docker-store \
    writes it to the step's log and gives it to a callback; the bare sockets write it to a file; `docker run` is `docker run … > file`, \
    which commits nothing, with the engine's own log as it is by default and without it.";

pub(crate) fn measure(world: &World, report: &mut Report) {
    let mut section = Section::new("Output of a step", TEXT);
    let megabytes = world.pick(100, 1000);
    let bytes = (megabytes as u64) << 20;
    let script = format!("dd if=/dev/zero bs=1048576 count={megabytes} 2>/dev/null");
    let file = world.folder.join("output");
    let create = || File::create(&file).expect("a file");
    let mut pair = Pair::connect(&world.socket);
    let run = |driver: &[&str]| {
        let start = ["run", "--rm", "--network", "none"];
        docker_to(
            &[&start[..], driver, &[BUSYBOX, "/bin/sh", "-c", &script]].concat(),
            create(),
        );
    };
    let ways = vec![
        Way::new("bare sockets", |times: &mut Times| {
            let id = world.fresh("output");
            let command = format!(r#"["/bin/sh","-c","{script}"]"#);
            let step = BareStep::new(world, "base", &id, &command);
            prepare(&file);
            let written = times.time(|| step.run(&mut pair, &mut create()));
            assert_eq!(written, bytes);
            world.store.delete(&id).expect("deleted");
        }),
        Way::new("docker-store", |times| {
            let id = world.fresh("output");
            let mut heard = 0;
            prepare(&file);
            times.time(|| {
                let mut step = world.begin("base", &id);
                let ran = step.run_with(&sh(&script), &mut |output| {
                    heard += output.bytes.len() as u64;
                    Ok(())
                });
                ran.expect("a run");
                step.commit().expect("a commit");
            });
            assert_eq!(heard, bytes);
            world.store.delete(&id).expect("deleted");
        }),
        Way::new("`docker run`", |times| {
            prepare(&file);
            times.time(|| run(&[]));
        }),
        Way::new("`docker run --log-driver none`", |times| {
            prepare(&file);
            times.time(|| run(&["--log-driver", "none"]));
        }),
    ];
    let rows = race("output", world.pick(2, 5), ways);
    let title = format!("{megabytes} MB of output");
    let table = Table::new(&title, Unit::Bytes(bytes as f64), "bare sockets", rows);
    let pair = ["docker-store", "bare sockets"];
    // 0.9 of the speed is 1/0.9 of the time.
    report.judge(&title, &table, pair, Bound::AtMost(1.11));
    report.judge(
        &title,
        &table,
        ["docker-store", "`docker run`"],
        Bound::AtLeast(1.0),
    );
    section.plots.push(Plot {
        file: "output",
        title: String::from("Output of a step, to a file"),
        unit: table.unit,
        logarithmic: false,
        groups: vec![(String::new(), table.rows.clone())],
    });
    section.tables.push(table);
    report.add(section);
    let _ = remove_file(&file);
}

/// No turn pays for writing the dirty pages of the previous one.
fn prepare(file: &std::path::Path) {
    let _ = remove_file(file);
    rustix::fs::sync();
}
