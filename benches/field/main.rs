//! docker-store compared with its alternatives, in one run, on one machine: `make bench`.
//!
//! ```text
//! scripts/bench [--quick] [--only KEY,KEY…]
//! ```
//! A full run writes docs/benchmarks.md and docs/*.svg; a quick or partial one writes the same files to target/bench. Every
//! number in them comes from here.

mod bare;
mod bare_step;
mod buildkit;
mod builds;
mod caches;
mod calls;
mod common;
mod copies;
mod depth;
mod docker;
mod footprint;
mod images;
mod machine;
mod opening;
mod output;
mod peer;
mod plot;
mod race;
mod real;
mod rebuild;
mod report;
mod seed;
mod steps;
mod threads;
mod transports;
mod unit;
mod world;

// The library's inner layers, unchanged: two of the measured calls are not accessible from outside.
#[path = "../../src/cancel.rs"]
#[allow(unused, unreachable_pub)]
mod cancel;
#[path = "../../src/engine/mod.rs"]
#[allow(unused, unreachable_pub)]
mod engine;
#[path = "../../src/error.rs"]
#[allow(unused, unreachable_pub)]
mod error;
#[path = "../../src/http/mod.rs"]
#[allow(unused, unreachable_pub)]
mod http;
#[path = "../../src/local/mod.rs"]
#[allow(unused, unreachable_pub)]
mod local;
#[path = "../../src/os/mod.rs"]
#[allow(dead_code)]
mod os;
#[path = "../../src/process.rs"]
#[allow(unused, unreachable_pub)]
mod process;
#[path = "../../src/transport/mod.rs"]
#[allow(unused, unreachable_pub)]
mod transport;
#[path = "../../src/wait/mod.rs"]
#[allow(unused, unreachable_pub)]
mod wait;

use std::path::Path;
use std::time::Instant;

use report::Report;
use world::World;

type Measure = fn(&World, &mut Report);

/// In the order of the report.
const ALL: [(&str, Measure); 13] = [
    ("calls", calls::measure),
    ("transports", transports::measure),
    ("threads", threads::measure),
    ("rebuild", rebuild::measure),
    ("steps", steps::measure),
    ("builds", builds::measure),
    ("real", real::measure),
    ("caches", caches::measure),
    ("depth", depth::measure),
    ("output", output::measure),
    ("copies", copies::measure),
    ("footprint", footprint::measure),
    // Last, because thousands of images slow the engine down for all.
    ("opening", opening::measure),
];

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    if let Some(at) = args.iter().position(|arg| arg == transports::SERVES) {
        return transports::serve(&args[at + 1..]);
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    let only = args
        .iter()
        .position(|arg| arg == "--only")
        .and_then(|at| args.get(at + 1));
    let wanted = |key: &str| only.is_none_or(|only| only.split(',').any(|part| part == key));
    let began = Instant::now();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = std::env::var("DOCKER_STORE_BENCH_DIR").expect("scripts/bench to have run");
    let scratch = Path::new(&scratch);

    let mut report = Report::default();
    let world = World::new(&scratch.join("run"), quick);
    let (machine, load) = (machine::describe(&world), machine::load());
    for (key, measure) in ALL {
        if wanted(key) {
            say(&format!(
                "{key}, after {:.0} s",
                began.elapsed().as_secs_f64()
            ));
            measure(&world, &mut report);
        }
    }
    drop(world);

    let minutes = began.elapsed().as_secs_f64() / 60.0;
    let kind = if quick {
        "A quick run: few rounds, small amounts."
    } else {
        "A whole run."
    };
    let preface = format!(
        "# Benchmarks\n\nWritten by `make bench` on {}, in {minutes:.1} minutes. {kind} Every way is measured in turns with the \
         others, so that noise falls on all; what counts is a ratio, not a time. Ratios are given of the minima, and by rounds: the \
         median of what one way took in each round over what the other did. The load of the machine was {load:.2} when \
         it began and {:.2} when it ended.\n\n{machine}\n## What had to be reached\n",
        machine::today(),
        machine::load(),
    );
    let docs = here.join("docs");
    let out = if quick || only.is_some() {
        scratch
    } else {
        &docs
    };
    std::fs::create_dir_all(out).expect("a folder");
    std::fs::write(out.join("benchmarks.md"), report.markdown(&preface)).expect("written");
    for plot in report.plots() {
        std::fs::write(out.join(plot.file).with_extension("svg"), plot.svg()).expect("written");
    }
    println!("{}", report.targets());
    say(&format!(
        "{minutes:.1} minutes; written to {}",
        out.join("benchmarks.md").display()
    ));
}

/// Prints the progress of the run.
pub(crate) fn say(what: &str) {
    eprintln!("bench: {what}");
}
