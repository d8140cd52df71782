//! The machine and the programs of the measurements.

use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::docker::docker;
use crate::world::World;

/// The processor, the memory, and the versions of everything that took part.
pub(crate) fn describe(world: &World) -> String {
    let engine = |field: &str| docker(&["info", "--format", field]).concat();
    let peer = |there: bool, variable: &str| match std::env::var(variable) {
        Ok(version) if there => version,
        _ => String::from("could not be prepared, and was left out"),
    };
    let rows = [
        (
            "processor",
            format!("{} × {}", cores(), find("/proc/cpuinfo", "model name")),
        ),
        ("memory", find("/proc/meminfo", "MemTotal")),
        ("kernel", first("/proc/sys/kernel/osrelease")),
        (
            "engine",
            engine("Docker {{.ServerVersion}}, {{.Driver}} on {{index (index .DriverStatus 0) 1}}"),
        ),
        ("`docker`", said("docker", &["--version"])),
        (
            "BuildKit",
            match std::env::var("DOCKER_STORE_BENCH_BUILDKIT") {
                Ok(program) => format!("the engine's own, by {}", said(&program, &["--version"])),
                Err(_) => String::from("could not be reached, and was left out"),
            },
        ),
        (
            "docker-store",
            format!(
                "{}, API {}",
                env!("CARGO_PKG_VERSION"),
                world.store.api_version()
            ),
        ),
        ("rustc", said("rustc", &["--version"])),
        (
            "bollard",
            peer(
                world.bollard.is_some(),
                "DOCKER_STORE_BENCH_BOLLARD_VERSION",
            ),
        ),
        (
            "docker-py",
            peer(
                world.docker_py.is_some(),
                "DOCKER_STORE_BENCH_DOCKER_PY_VERSION",
            ),
        ),
    ];
    let mut out = String::from("| | |\n|---|---|\n");
    for (what, is) in rows {
        writeln!(out, "| {what} | {} |", is.trim()).expect("in memory");
    }
    out
}

/// How busy the machine was otherwise: the load of the last minute.
pub(crate) fn load() -> f64 {
    let text = first("/proc/loadavg");
    text.split(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or_default()
}

/// Today, as 2025-11-24.
pub(crate) fn today() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let days = i64::try_from(now.as_secs() / 86_400).unwrap_or_default();
    // Civil from days, after Howard Hinnant: years start in March, so that leap days come last.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, (month + 2) % 12 + 1);
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn first(file: &str) -> String {
    fs::read_to_string(file)
        .unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn find(file: &str, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text
        .lines()
        .find(|line| line.starts_with(key))
        .unwrap_or_default();
    line.split_once(':')
        .map_or("", |(_, value)| value)
        .trim()
        .to_owned()
}

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output
        .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
        .unwrap_or_default()
}
