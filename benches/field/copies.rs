//! Files into a step and out of it, as tar streams.

use std::fs::File;
use std::io::{Read, Write};

use crate::bare::Bare;
use crate::docker::{docker, docker_from, docker_to};
use crate::plot::Plot;
use crate::race::{Times, Way, race};
use crate::report::{Bound, Report, Section, Table};
use crate::unit::Unit;
use crate::world::{BUSYBOX, World};

const TEXT: &str = "\
    One large file in a tar stream, into a container that has been made and out of it again, into nothing. The bare socket says \
    how long the stream is, and writes and reads 256 kB at a time.";

pub(crate) fn measure(world: &World, report: &mut Report) {
    let mut section = Section::new("Files into a step and out of it", TEXT);
    let megabytes = world.pick(50, 500);
    let tar = tar_of(world, megabytes);
    let bytes = tar.metadata().expect("a file").len();
    let place = world.folder.join("copies.tar");
    let open = || File::open(&place).expect("the tar file");

    let mut step = world.begin("base", &world.fresh("copies"));
    let empty = [0; 1024];
    step.copy_in("/", &mut empty.as_slice())
        .expect("a container");
    let step = std::cell::RefCell::new(step);
    let [bare, cli] = ["bare", "cli"].map(|name| {
        let name = format!("{}-copies-{name}", world.prefix());
        docker(&[
            "create",
            "--name",
            &name,
            "--network",
            "none",
            BUSYBOX,
            "/bin/true",
        ]);
        name
    });
    let archive = |path: &str| format!("/containers/{bare}/archive?path={path}");

    let mut socket = Bare::connect(&world.socket);
    let put = with_length(world.request("PUT", &archive("/"), ""), bytes);
    let into = vec![
        Way::new("bare socket", |times: &mut Times| {
            rustix::fs::sync();
            times.time(|| upload(&mut socket, &put, open()));
        }),
        Way::new("docker-store", |times| {
            rustix::fs::sync();
            times.time(|| step.borrow_mut().copy_in("/", &mut open()).expect("copied"));
        }),
        Way::new("`docker cp`", |times| {
            rustix::fs::sync();
            times.time(|| docker_from(&["cp", "-", &format!("{cli}:/")], open()));
        }),
    ];
    let into = race("copy in", world.pick(2, 9), into);

    let mut socket = Bare::connect(&world.socket);
    let get = world.request("GET", &archive("/copied"), "");
    let out = vec![
        Way::new("bare socket", |times: &mut Times| {
            times.time(|| download(&mut socket, &get, bytes))
        }),
        Way::new("docker-store", |times| {
            let copied = times.time(|| step.borrow_mut().copy_out("/copied", &mut std::io::sink()));
            assert!(copied.expect("copied") > bytes - 4096);
        }),
        Way::new("`docker cp`", |times| {
            let nowhere = File::options()
                .write(true)
                .open("/dev/null")
                .expect("/dev/null");
            times.time(|| docker_to(&["cp", &format!("{cli}:/copied"), "-"], nowhere));
        }),
    ];
    let out = race("copy out", world.pick(2, 9), out);

    step.into_inner().abort().expect("aborted");
    docker(&["rm", "-f", &bare, &cli]);
    let mut groups = Vec::new();
    for (title, rows) in [("in", into), ("out", out)] {
        let title = format!("{megabytes} MB copied {title}");
        let table = Table::new(&title, Unit::Bytes(bytes as f64), "bare socket", rows);
        report.judge(
            &title,
            &table,
            ["docker-store", "bare socket"],
            Bound::AtMost(1.11),
        );
        report.judge(
            &title,
            &table,
            ["docker-store", "`docker cp`"],
            Bound::AtLeast(1.0),
        );
        groups.push((title, table.rows.clone()));
        section.tables.push(table);
    }
    section.plots.push(Plot {
        file: "copies",
        title: String::from("Files into a step and out of it"),
        unit: Unit::Bytes(bytes as f64),
        logarithmic: false,
        groups,
    });
    report.add(section);
}

/// A tar file with one file in it, whose contents cannot be compressed.
fn tar_of(world: &World, megabytes: usize) -> File {
    let file = File::create(world.folder.join("copies.tar")).expect("a file");
    let mut tar = tar::Builder::new(file);
    let mut header = tar::Header::new_gnu();
    header.set_size((megabytes as u64) << 20);
    header.set_mode(0o644);
    let noise = File::open("/dev/urandom")
        .expect("/dev/urandom")
        .take(header.size().expect("a size"));
    tar.append_data(&mut header, "copied", noise)
        .expect("written");
    tar.into_inner().expect("written")
}

fn with_length(request: Vec<u8>, bytes: u64) -> Vec<u8> {
    let request = String::from_utf8(request).expect("text");
    let lines = format!("Content-Type: application/x-tar\r\nContent-Length: {bytes}\r\n");
    request
        .replace("Content-Length: 0\r\n", &lines)
        .into_bytes()
}

fn upload(socket: &mut Bare, head: &[u8], mut tar: File) {
    let mut buffer = vec![0; 256 << 10];
    socket.send(head);
    loop {
        match tar.read(&mut buffer).expect("read") {
            0 => break,
            n => socket.stream.write_all(&buffer[..n]).expect("sent"),
        }
    }
    assert_eq!(socket.finish(), 200);
}

/// Reads until the last chunk, which is searched for only near the end.
fn download(socket: &mut Bare, request: &[u8], bytes: u64) {
    const END: &[u8] = b"\r\n0\r\n\r\n";
    socket.send(request);
    let (status, start) = socket.head();
    assert_eq!(status, 200);
    let mut seen = socket.arrived(start).len() as u64;
    let mut buffer = vec![0; 256 << 10];
    // A read may end anywhere, so the last bytes are kept for the next one.
    let mut kept = 0;
    loop {
        let n = socket.stream.read(&mut buffer[kept..]).expect("received");
        assert!(n > 0, "the engine closed the connection");
        seen += n as u64;
        let filled = kept + n;
        if seen >= bytes && buffer[..filled].ends_with(END) {
            return;
        }
        kept = filled.min(END.len());
        buffer.copy_within(filled - kept..filled, 0);
    }
}
