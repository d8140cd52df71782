//! Opening a store: without leftovers but with many results, and with leftovers.

use std::fmt::Write;

use docker_store::{Store, Strategy};

use crate::bare::{Bare, request};
use crate::docker::{attempt, docker};
use crate::images;
use crate::plot::Plot;
use crate::race::{Series, Times, Way, race, unwarmed};
use crate::report::{Bound, Report, Section, Table};
use crate::seed;
use crate::unit::Unit;
use crate::world::{World, open};

const TEXT: &str = "\
    Opening asks the engine who it is, and claims the prefix by a volume that is there already: the bare socket makes the same two \
    calls. Lists are asked for only where something was left, and by a purge; the second table of each size shows the engine's answers \
    to these one by one (the tags of steps cost it a look at every image that it has). With leftovers (as many tags of steps as \
    containers that never ran, as from killed processes) opening also removes them, several at once.";

pub(crate) fn measure(world: &World, report: &mut Report) {
    let mut section = Section::new("Opening and purging", TEXT);
    let mut groups = Vec::new();
    let sizes: &[usize] = if world.quick {
        &[0, 300]
    } else {
        &[0, 1000, 10_000]
    };
    let mut stored = 0;
    for &count in sizes {
        images::store(world, stored, count);
        stored = count;
        let title = format!("{} results", Unit::Count.show(count as f64));
        let table = empty(world, &title);
        let pair = ["docker-store, open", "bare socket"];
        report.judge(
            &format!("open with {title}"),
            &table,
            pair,
            Bound::AtMost(1.5),
        );
        let pair = ["docker-store, open", "seed's commands"];
        report.judge(
            &format!("open with {title}"),
            &table,
            pair,
            Bound::AtLeast(1.0),
        );
        groups.push((title.clone(), table.rows.clone()));
        section.tables.extend([table, answers(world, &title)]);
    }
    images::forget(world, stored);
    let rows = leftovers(world);
    section.tables.push(Table::new(
        "opening, with leftovers",
        Unit::Time,
        "docker-store, 0",
        rows,
    ));
    section.plots.push(Plot {
        file: "opening",
        title: String::from("Opening a store, by how many results it has"),
        unit: Unit::Time,
        logarithmic: true,
        groups,
    });
    report.add(section);
}

/// The requests of a purge, and the name of each.
fn questions(world: &World) -> [(&'static str, Vec<u8>); 3] {
    let filters = |field: &str, value: &str| {
        let json = format!(r#"{{"{field}":["{value}"]}}"#);
        let mut text = String::new();
        for byte in json.bytes() {
            match byte.is_ascii_alphanumeric() || byte == b'-' {
                true => text.push(char::from(byte)),
                false => write!(text, "%{byte:02X}").expect("in memory"),
            }
        }
        text
    };
    let prefix = world.prefix();
    let containers = filters("name", &format!("^/?{prefix}-"));
    let images = filters("reference", &format!("{prefix}-image-tmp-*"));
    let volumes = filters("name", &format!("{prefix}-"));
    [
        (
            "containers",
            format!("/containers/json?all=1&filters={containers}"),
        ),
        ("images", format!("/images/json?filters={images}")),
        ("volumes", format!("/volumes?filters={volumes}")),
    ]
    .map(|(name, path)| (name, world.request("GET", &path, "")))
}

fn reopen(world: &World) -> Store {
    open(world.store.root(), Strategy::Automatic)
}

fn empty(world: &World, title: &str) -> Table {
    // With GET, whose response has an end that the bare client recognises.
    let ping = request("GET", "/_ping", "");
    let claim = format!(r#"{{"Name":"{}-store"}}"#, world.prefix());
    let claim = world.request("POST", "/volumes/create", &claim);
    let ways = vec![
        Way::new("bare socket", |times: &mut Times| {
            times.time(|| {
                let mut socket = Bare::connect(&world.socket);
                socket.ask(&ping);
                assert_eq!(socket.ask(&claim), 201);
            });
        }),
        Way::new("docker-store, open", |times| {
            drop(times.time(|| reopen(world)))
        }),
        Way::new("docker-store, purge", |times| {
            times.time(|| world.store.purge()).expect("purged");
        }),
        Way::new("seed's commands", |times| {
            times.time(|| seed::open(world.prefix()))
        }),
    ];
    Table::new(
        title,
        Unit::Time,
        "bare socket",
        race(title, world.pick(5, 20), ways),
    )
}

/// The engine's time for each.
fn answers(world: &World, title: &str) -> Table {
    let mut socket = Bare::connect(&world.socket);
    let mut rows = Vec::new();
    for (name, question) in questions(world) {
        let way = Way::new(name, |times| {
            times.time(|| socket.ask(&question));
        });
        rows.extend(race(
            &format!("{title}, {name}"),
            world.pick(5, 20),
            vec![way],
        ));
    }
    Table::new(
        &format!("the engine's answers, with {title}"),
        Unit::Time,
        "containers",
        rows,
    )
}

fn leftovers(world: &World) -> Vec<Series> {
    let mut rows = Vec::new();
    for count in [0, 10, world.pick(20, 100)] {
        let ways = vec![
            Way::new(&format!("docker-store, {count}"), |times: &mut Times| {
                leave(world, count);
                drop(times.time(|| reopen(world)));
                assert_eq!(left(world), [0, 0]);
            }),
            Way::new(&format!("seed's commands, {count}"), |times: &mut Times| {
                leave(world, count);
                times.time(|| remove_as_the_seed(world));
            }),
        ];
        rows.extend(unwarmed(world.pick(1, 5), ways));
    }
    rows
}

/// Leaves what killed processes leave, as the lock files of their builds show.
fn leave(world: &World, count: usize) {
    let builds = world.store.root().join(".store/builds");
    let mut socket = Bare::connect(&world.socket);
    let (prefix, base) = (world.prefix(), world.image("base"));
    for n in 0..count {
        std::fs::write(builds.join(format!("left{n}")), "").expect("a lock's file");
        let tag = format!("/images/{base}/tag?repo={prefix}-image-tmp-left{n}&tag=latest");
        assert_eq!(socket.ask(&world.request("POST", &tag, "")), 201);
        let create = format!("/containers/create?name={prefix}-container-left{n}");
        let body = format!(
            r#"{{"Image":"{prefix}-image-tmp-left{n}","Entrypoint":["-"],"HostConfig":{{"NetworkMode":"none"}}}}"#
        );
        assert_eq!(socket.ask(&world.request("POST", &create, &body)), 201);
    }
}

/// How many containers and tags exist.
fn left(world: &World) -> [usize; 2] {
    let prefix = world.prefix();
    let containers = docker(&[
        "ps",
        "-aq",
        "--filter",
        &format!("name=^/?{prefix}-container-left"),
    ]);
    let tags = docker(&["images", "-q", &format!("{prefix}-image-tmp-*")]);
    [containers.len(), tags.len()]
}

fn remove_as_the_seed(world: &World) {
    let prefix = world.prefix();
    let remove = |command: &[&str], names: Vec<String>| {
        if !names.is_empty() {
            let names = names.iter().map(String::as_str);
            assert!(attempt(&command.iter().copied().chain(names).collect::<Vec<_>>()).0);
        }
    };
    let filter = format!("name=^{prefix}-container-left");
    remove(
        &["rm", "--force"],
        docker(&["container", "ls", "--all", "--filter", &filter, "-q"]),
    );
    let tmp = format!("{prefix}-image-tmp-*");
    remove(
        &["rmi"],
        docker(&["images", "--format", "{{ .Repository }}", &tmp]),
    );
    docker(&[
        "volume",
        "ls",
        "--quiet",
        "--filter",
        &format!("name=^{prefix}-cache-tmp-"),
    ]);
}
