//! The cost of the library for a process: memory, threads, size, the time to load it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use crate::race::Series;
use crate::report::{Report, Section, Table};
use crate::unit::Unit;
use crate::world::{WORD, World};

const TEXT: &str = "\
    A C program loads the shared library with `dlopen`, opens a store, looks up one result, and then looks at itself: resident \
    memory and threads in `/proc/self/status`. For comparison: the processes of bollard and docker-py as they stand at the end \
    of this run, and the size of the `docker` command.";

pub(crate) fn measure(world: &World, report: &mut Report) {
    let mut section = Section::new("Memory, threads, size", TEXT);
    let variables = ["DOCKER_STORE_BENCH_FOOTPRINT", "DOCKER_STORE_BENCH_LIBRARY"];
    let [Ok(program), Ok(library)] = variables.map(std::env::var) else {
        return crate::say("footprint: not prepared, and left out");
    };
    let stripped = stripped(world, &library, "stripped.so");

    let mut seen: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..world.pick(3, 9) {
        let output = Command::new(&program)
            .arg(&stripped)
            .arg(world.store.root())
            .args([WORD, "base"])
            .output()
            .expect("the C program");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let (name, value) = line.split_once(' ').expect("a name and a value");
            seen.entry(name.to_owned())
                .or_default()
                .push(value.parse().expect("a number"));
        }
    }
    let row = |key: &str, name: &str, factor: f64| {
        Series::new(name, seen[key].iter().map(|value| value * factor).collect())
    };

    let mut memory = vec![
        row("bare-kb", "a C program", 1024.0),
        row("loaded-kb", "with the library loaded", 1024.0),
        row("idle-kb", "with an open, idle store", 1024.0),
    ];
    let more = memory[2].median() - memory[0].median();
    memory.extend(world.others().map(|other| {
        let name = format!("a process with {}", other.name);
        Series::new(&name, vec![resident(other.id())])
    }));
    let threads = row("idle-threads", "threads, an open and idle store", 1.0);
    let megabytes = more / 1e6;
    report.judge_value(
        "memory of an idle store, MB",
        "≤ 2",
        megabytes,
        megabytes <= 2.0,
    );
    report.judge_value(
        "threads beside the caller's",
        "0",
        threads.maximum() - 1.0,
        threads.maximum() == 1.0,
    );

    let mut sizes = vec![Series::new(
        "libdocker_store.so, stripped",
        vec![size(&stripped)],
    )];
    if let Ok(library) = std::env::var("DOCKER_STORE_BENCH_LIBRARY_WITHOUT_TLS") {
        let smaller = self::stripped(world, &library, "smaller.so");
        let name = "the same without the feature `tls`";
        sizes.push(Series::new(name, vec![size(&smaller)]));
    }
    let which = Command::new("sh")
        .args(["-c", "command -v docker"])
        .output()
        .expect("sh");
    let path = String::from_utf8_lossy(&which.stdout).trim().to_owned();
    if let Ok(path) = std::fs::canonicalize(path) {
        sizes.push(Series::new("the `docker` command", vec![size(&path)]));
    }
    section.tables.extend([
        Table::new("resident memory", Unit::Size, "a C program", memory),
        Table::new("threads", Unit::Count, "", vec![threads]),
        Table::new("size", Unit::Size, "libdocker_store.so, stripped", sizes),
        Table::new(
            "loading",
            Unit::Time,
            "",
            vec![row("dlopen-ns", "dlopen, every symbol bound", 1e-9)],
        ),
    ]);
    report.add(section);
}

/// The library without debugging information.
fn stripped(world: &World, library: &str, name: &str) -> PathBuf {
    let stripped = world.folder.join(name);
    let strip = Command::new("strip")
        .arg("-o")
        .arg(&stripped)
        .arg(library)
        .status();
    assert!(strip.expect("strip").success());
    stripped
}

/// The memory of the process, in bytes.
fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("its memory");
    let number = line
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse::<f64>().ok());
    number.expect("a number") * 1024.0
}

fn size(file: &std::path::Path) -> f64 {
    file.metadata().expect("a file").len() as f64
}
