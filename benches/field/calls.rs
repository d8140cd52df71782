//! One request: `_ping`, the inspection of an existing and of a missing image, a volume created and removed.

use std::time::Duration;

use serde_json::json;

use crate::bare::{self, Bare};
use crate::docker::docker;
use crate::engine::Engine;
use crate::http::{Body, Client, Method, Request, Target};
use crate::peer::Peer;
use crate::plot::Plot;
use crate::race::{Times, Way, race};
use crate::report::{Bound, Report, Section, Table};
use crate::seed;
use crate::transport::unix::UnixConnector;
use crate::unit::Unit;
use crate::wait::Wait;
use crate::world::World;

/// How many requests one turn makes. A client that was asleep is slow at first: a turn is long enough for it to wake up.
const TURN: usize = 25;

pub(crate) const TEXT: &str = "\
    `docker` is the command that the seed starts for the same question; for `_ping` it has none, and `docker version` stands \
    there. bollard, docker-py and the C program are processes that live as long as the run, so that no figure of theirs has \
    a start in it. The bare socket sends the same bytes as the library and reads until the answer is whole: it allocates \
    nothing and checks nothing. docker-store's `_ping` and volumes are calls of its inner layers, which `Store` does not offer \
    alone; its look-ups are `Store::result`, and `dstore_store_result` from C.";

pub(crate) fn measure(world: &World, report: &mut Report) {
    let mut section = Section::new("One engine call", TEXT);
    let tables = [
        ping(world),
        look(world, "base", "look-up, hit"),
        look(world, "absent", "look-up, miss"),
        volume(world),
    ];
    for table in &tables {
        let title = table.title.clone();
        let ours = "docker-store";
        report.judge(&title, table, [ours, "bare socket"], Bound::AtMost(1.15));
        if table.row("docker-store from C").is_some() {
            let pair = ["docker-store from C", "bare socket"];
            report.judge(&format!("{title}, from C"), table, pair, Bound::AtMost(1.2));
        }
        report.judge(&title, table, [ours, "bollard"], Bound::AtLeast(1.0));
        report.judge(&title, table, [ours, "docker-py"], Bound::AtLeast(1.0));
        report.judge(&title, table, [ours, "`docker`"], Bound::AtLeast(40.0));
    }
    section.plots.push(Plot {
        file: "calls",
        title: String::from("Time of one engine call, median"),
        unit: Unit::Time,
        logarithmic: true,
        groups: tables
            .iter()
            .map(|t| (t.title.clone(), t.rows.clone()))
            .collect(),
    });
    section.tables.extend(tables);
    report.add(section);
}

fn table(world: &World, title: &str, ways: Vec<Way<'_>>) -> Table {
    let rows = race(title, world.pick(8, 80), ways);
    Table::new(title, Unit::Time, "bare socket", rows)
}

fn bare<'a>(world: &World, requests: Vec<Vec<u8>>) -> Way<'a> {
    let mut bare = Bare::connect(&world.socket);
    Way::new("bare socket", move |times| {
        for _ in 0..TURN {
            times.time(|| {
                for request in &requests {
                    bare.ask(request);
                }
            });
        }
    })
}

fn peer<'a>(peer: &'a Peer, command: &str) -> Way<'a> {
    let command = format!("{command} {TURN}");
    Way::new(peer.name, move |times| peer.ask(&command, times))
}

/// `_ping` with the library's own HTTP.
pub(crate) fn ask_ping(client: &Client) {
    let request = Request {
        method: Method::Get,
        target: Target::new("/_ping"),
        headers: &[],
        body: Body::Empty,
        repeatable: true,
        upgrade: false,
        stall: None,
    };
    let wait = Wait::unbounded().at_most(Duration::from_secs(60));
    let mut answer = client.send(request, wait).expect("an answer");
    answer.read_whole(1000, wait).expect("a body");
}

fn ping(world: &World) -> Table {
    let client = Client::new(Box::new(UnixConnector::new(&world.socket)));
    let ours = move || ask_ping(&client);
    let mut ways = vec![
        bare(world, vec![bare::request("GET", "/_ping", "")]),
        Way::new("docker-store", |times| {
            (0..TURN).for_each(|_| times.time(&ours))
        }),
    ];
    ways.extend(world.others().map(|other| peer(other, "ping")));
    ways.push(Way::new("`docker`", |times| {
        times.time(|| docker(&["version", "--format", "{{.Server.Version}}"]));
    }));
    table(world, "`_ping`", ways)
}

fn look(world: &World, id: &str, title: &str) -> Table {
    let (image, there) = (world.image(id), id == "base");
    let mut ways = vec![
        bare(world, vec![world.inspect(&image)]),
        Way::new("docker-store", |times: &mut Times| {
            for _ in 0..TURN {
                let found = times.time(|| world.store.result(id).expect("a look"));
                assert_eq!(found, there);
            }
        }),
    ];
    ways.extend(world.c.iter().map(|c| peer(c, &format!("result {id}"))));
    ways.extend(
        world
            .others()
            .map(|other| peer(other, &format!("result {image}"))),
    );
    ways.push(Way::new("`docker`", |times| {
        let found = times.time(|| seed::result(&image));
        assert_eq!(found, there);
    }));
    table(world, title, ways)
}

fn volume(world: &World) -> Table {
    let name = format!("{}-volume", world.prefix());
    let connector = Box::new(UnixConnector::new(&world.socket));
    let engine = Engine::negotiate(connector, Wait::unbounded()).expect("an engine");
    let body = format!(r#"{{"Name":"{name}","Driver":"local","DriverOpts":{{}},"Labels":{{}}}}"#);
    let requests = vec![
        world.request("POST", "/volumes/create", &body),
        world.request("DELETE", &format!("/volumes/{name}"), ""),
    ];
    let (ours, nothing) = (&name, json!({}));
    let mut ways = vec![
        bare(world, requests),
        Way::new("docker-store", move |times| {
            for _ in 0..TURN {
                times.time(|| {
                    let wait = Wait::unbounded();
                    engine
                        .create_volume(ours, &nothing, &nothing, wait)
                        .expect("created");
                    engine.remove_volume(ours, wait).expect("removed");
                });
            }
        }),
    ];
    ways.extend(
        world
            .others()
            .map(|other| peer(other, &format!("volume {name}"))),
    );
    ways.push(Way::new("`docker`", |times| {
        times.time(|| {
            docker(&["volume", "create", &name]);
            docker(&["volume", "rm", &name]);
        });
    }));
    table(world, "volume create + remove", ways)
}
