//! One engine call beside a bare socket that sends the same bytes, interleaved, in one run: `make bench-call`.
//!
//! Prints minimum, median and maximum of each, and their ratio.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use docker_store::{Begun, Limits, Options, Store};

const ROUNDS: usize = 4000;

fn main() {
    let root = std::env::temp_dir().join(format!("docker-store-bench-{}", std::process::id()));
    std::fs::create_dir(&root).expect("a new directory");
    let store = Store::open(&root, &Options::new()).expect("an engine: run `make bench-call`");
    if let Begun::Step(step) = store.begin(None, "hit", &Limits::none()).expect("a step") {
        step.commit().expect("a commit");
    }
    println!(
        "{:<22} {:>9} {:>9} {:>9}   {ROUNDS} rounds, interleaved",
        "", "minimum", "median", "maximum"
    );
    for id in ["hit", "miss"] {
        let mut bare = Bare::new(&store, id);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            // Which goes first changes, so that neither always meets a warm engine.
            for turn in 0..2 {
                let began = Instant::now();
                if (round + turn) % 2 == 0 {
                    assert_eq!(store.result(id).expect("a look"), id == "hit");
                    ours.push(began.elapsed());
                } else {
                    bare.ask();
                    theirs.push(began.elapsed());
                }
            }
        }
        let bare = show(&format!("bare socket, {id}"), &mut theirs);
        let ours = show(&format!("Store::result, {id}"), &mut ours);
        println!(
            "{:<22} {:>9.3} {:>9.3}",
            "  ratio",
            ours.0 / bare.0,
            ours.1 / bare.1
        );
    }
    store.delete("hit").expect("deleted");
    let empty = format!("{}-empty", store.prefix());
    drop(store);
    // The image without files that helpers are made of.
    Bare::send(&format!(
        "DELETE /v1.41/images/{empty} HTTP/1.1\r\nHost: docker\r\n\r\n"
    ));
    std::fs::remove_dir_all(&root).expect("removed");
}

fn show(name: &str, times: &mut [Duration]) -> (f64, f64) {
    times.sort();
    let micros = |d: Duration| d.as_secs_f64() * 1e6;
    let (least, middle, most) = (
        micros(times[0]),
        micros(times[times.len() / 2]),
        micros(times[times.len() - 1]),
    );
    println!("{name:<22} {least:>6.0} us {middle:>6.0} us {most:>6.0} us");
    (least, middle)
}

/// The least that a client can do: write a request, read until the answer is whole.
struct Bare {
    stream: UnixStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Bare {
    fn connect() -> UnixStream {
        let host = std::env::var("DOCKER_HOST")
            .unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        UnixStream::connect(host.strip_prefix("unix://").expect("a unix socket"))
            .expect("an engine")
    }

    fn new(store: &Store, id: &str) -> Self {
        let (version, prefix) = (store.api_version(), store.prefix());
        let request = format!(
            "GET /v{version}/images/{prefix}-image-{id}/json HTTP/1.1\r\nHost: docker\r\n\r\n"
        );
        Bare {
            stream: Bare::connect(),
            request: request.into_bytes(),
            buffer: vec![0; 64 << 10],
        }
    }

    fn send(request: &str) {
        let mut bare = Bare {
            stream: Bare::connect(),
            request: request.into(),
            buffer: vec![0; 64 << 10],
        };
        bare.ask();
    }

    fn ask(&mut self) {
        self.stream.write_all(&self.request).expect("sent");
        let mut filled = 0;
        loop {
            filled += self
                .stream
                .read(&mut self.buffer[filled..])
                .expect("received");
            let text = &self.buffer[..filled];
            let Some(head) = text.windows(4).position(|w| w == b"\r\n\r\n") else {
                continue;
            };
            let head_text = std::str::from_utf8(&text[..head]).expect("a head");
            let length = head_text
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            let whole = match length {
                Some(length) => filled >= head + 4 + length.parse::<usize>().expect("a length"),
                None => text.ends_with(b"0\r\n\r\n"),
            };
            if whole {
                return;
            }
        }
    }
}
