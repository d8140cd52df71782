//! The health report: it agrees with docker, and what is wrong is reported with advice. An engine that is upgraded or replaced
//! under an open store is used with its own version of the API.

mod common;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::proxy::{Act, Proxy, engine_socket};
use common::{Root, begin, docker, sh};
use docker_store::{Cancel, ErrorKind, Limits, Options, Store, Strategy};

fn open_at(root: &Root, address: &str) -> Store {
    let mut options = Options::new();
    options.engine(address);
    Store::open(&root.path, &options).expect("a store")
}

#[test]
fn what_is_free_is_what_df_says() {
    let root = Root::new("free");
    let free = root.open().df().expect("asked");
    // It counts and rounds by itself: a percentage of what users have and may have, rounded up.
    let df = std::process::Command::new("df")
        .args(["-P", "-k"])
        .arg(&root.path)
        .output()
        .expect("df");
    let said = String::from_utf8_lossy(&df.stdout).into_owned();
    let row: Vec<&str> = said
        .lines()
        .nth(1)
        .expect("a row")
        .split_whitespace()
        .collect();
    let number = |n: usize| row[n].parse::<f64>().expect("a number");
    let (used, available) = (number(2), number(3));
    let percent = available / (used + available) * 100.0;
    assert!((free.root - percent).abs() < 1.0, "{free:?}: {said}");
    let in_use: f64 = row[4].trim_end_matches('%').parse().expect("a percentage");
    assert!((100.0 - free.root - in_use).abs() < 2.0, "{free:?}: {said}");
    if free.engine.is_some_and(|engine| engine < free.root) {
        assert_eq!(Some(free.percent()), free.engine);
    }
}

#[test]
fn health_tells_what_the_engine_and_the_store_tell() {
    let root = Root::new("health");
    let store = root.open();
    let health = store.health(&Limits::none()).expect("health");
    let said = |format: &str| docker(&["version", "--format", format]).remove(0);
    assert_eq!(health.engine_version, said("{{.Server.Version}}"));
    assert_eq!(health.newest_api_version, said("{{.Server.APIVersion}}"));
    let podman = docker(&[
        "version",
        "--format",
        "{{range .Server.Components}}{{.Name}} {{end}}",
    ]);
    let is_podman = podman[0].contains("Podman");
    assert_eq!(health.engine, if is_podman { "Podman" } else { "Docker" });
    assert_eq!(health.api_version, store.api_version());
    assert_eq!(health.address, store.engine());
    let driver = docker(&["info", "--format", "{{.Driver}}"]).remove(0);
    assert!(health.image_store.contains(&driver), "{health:?}");
    let (strategy, why) = store.strategy().expect("a strategy");
    assert_eq!(
        (health.strategy, health.strategy_reason),
        (Some(strategy), why)
    );
    let ahead = health.clock_ahead_ms.expect("a clock");
    assert!(ahead.abs() < 60_000, "{ahead} ms on one machine");
    let free = store.df().expect("free space");
    assert!((health.free.root - free.root).abs() < 5.0);
    assert_eq!(health.free.engine.is_some(), free.engine.is_some());
    let copied = health
        .troubles
        .iter()
        .any(|trouble| trouble.what.contains("copies all of its files"));
    assert_eq!(copied, strategy == Strategy::Copy);
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let root = Root::new("ill");
    // An hour ahead, and without limits. Everything else is passed to the real engine.
    let later = std::process::Command::new("date")
        .args(["-u", "-d", "+1 hour", "+%FT%T.000000000Z"])
        .output()
        .expect("date");
    let later = String::from_utf8_lossy(&later.stdout).trim().to_owned();
    let body = format!(
        r#"{{"ID":"x","OSType":"linux","Driver":"vfs","SystemTime":"{later}","MemoryLimit":false,"DockerRootDir":"/"}}"#
    );
    let answer: &'static str = Box::leak(
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_boxed_str(),
    );
    let ill = Arc::new(AtomicU32::new(0));
    let proxy = Proxy::new(&root.path, {
        let ill = Arc::clone(&ill);
        move |_, line| match ill.load(Ordering::SeqCst) == 1 && line.contains("/info") {
            true => Act::Answer(answer),
            false => Act::Pass,
        }
    });
    let store = open_at(&root, &proxy.address);
    ill.store(1, Ordering::SeqCst);
    let health = store.health(&Limits::none()).expect("health");
    let ahead = health.clock_ahead_ms.expect("a clock");
    assert!((3_500_000..3_700_000).contains(&ahead), "{ahead}");
    for (word, advice) in [("clock", "NTP"), ("vfs", "overlay2"), ("memory", "group")] {
        let found = health
            .troubles
            .iter()
            .find(|trouble| trouble.what.contains(word));
        let found = found.unwrap_or_else(|| panic!("{word}: {health:?}"));
        assert!(found.advice.contains(advice), "{found:?}");
    }
}

#[test]
fn a_ping_takes_one_round_trip_and_ends_when_it_is_told_to() {
    let root = Root::new("ping");
    let stalls = Arc::new(AtomicU32::new(0));
    let proxy = Proxy::new(&root.path, {
        let stalls = Arc::clone(&stalls);
        move |_, _| match stalls.load(Ordering::SeqCst) {
            1 => Act::Stall,
            2 => Act::CutBefore,
            _ => Act::Pass,
        }
    });
    let store = open_at(&root, &proxy.address);
    let before = proxy.seen();
    store.ping(&Limits::none()).expect("an answer");
    assert_eq!(proxy.seen(), before + 1);
    stalls.store(1, Ordering::SeqCst);
    let began = Instant::now();
    let limits = Limits::none().timeout(Duration::from_millis(200));
    let error = store.ping(&limits).expect_err("stalls");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    let cancel = Cancel::new();
    cancel.cancel();
    let limits = Limits::none().cancel(&cancel);
    let error = store.health(&limits).expect_err("cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(began.elapsed() < Duration::from_secs(10));
    stalls.store(2, Ordering::SeqCst);
    let error = store.ping(&Limits::none()).expect_err("cut");
    assert_eq!(error.kind(), ErrorKind::CutShort, "{error}");
    stalls.store(0, Ordering::SeqCst);
    store.ping(&Limits::none()).expect("an answer");
    store.close().expect("closed");
}

/// The real engine, presented as one that supports the versions of the API from `oldest` to `newest`.
struct Guise {
    address: String,
    oldest: Arc<AtomicU32>,
    newest: Arc<AtomicU32>,
}

impl Guise {
    fn new(root: &Root, newest: u32) -> Self {
        let path = root.path.join("guise");
        let listener = UnixListener::bind(&path).expect("a socket");
        let guise = Guise {
            address: format!("unix://{}", path.display()),
            oldest: Arc::new(AtomicU32::new(24)),
            newest: Arc::new(AtomicU32::new(newest)),
        };
        let (oldest, newest) = (Arc::clone(&guise.oldest), Arc::clone(&guise.newest));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (oldest, newest) = (Arc::clone(&oldest), Arc::clone(&newest));
                std::thread::spawn(move || serve(client, &oldest, &newest));
            }
        });
        guise
    }

    fn becomes(&self, oldest: u32, newest: u32) {
        self.oldest.store(oldest, Ordering::SeqCst);
        self.newest.store(newest, Ordering::SeqCst);
    }
}

/// The head of a request, with the empty line at its end.
fn read_whole_head(client: &mut UnixStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// One request for each connection, which is closed after it.
fn serve(mut client: UnixStream, oldest: &AtomicU32, newest: &AtomicU32) {
    let Some(head) = read_whole_head(&mut client) else {
        return;
    };
    let (line, headers) = head.split_once("\r\n").expect("a request line");
    let (oldest, newest) = (oldest.load(Ordering::SeqCst), newest.load(Ordering::SeqCst));
    let version = line.split("/v1.").nth(1).and_then(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    });
    let said = format!("Api-Version: 1.{newest}\r\nServer: Docker/{newest} (linux)\r\n");
    if let Some(version) = version.filter(|version| !(oldest..=newest).contains(version)) {
        let message = match version < oldest {
            true => format!(
                "client version 1.{version} is too old. Minimum supported API version is 1.{oldest}, please upgrade"
            ),
            false => format!(
                "client version 1.{version} is too new. Maximum supported API version is 1.{newest}"
            ),
        };
        let body = format!("{{\"message\":\"{message}\"}}");
        let _ = write!(
            client,
            "HTTP/1.1 400 Bad Request\r\n{said}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        return;
    }
    let mut engine = UnixStream::connect(engine_socket()).expect("the engine");
    let line = match version {
        Some(version) => line.replacen(&format!("/v1.{version}/"), "/v1.41/", 1),
        None => line.to_owned(),
    };
    write!(engine, "{line}\r\nConnection: close\r\n{headers}").expect("sent");
    // What else the client sends: the rest of an upload.
    let (mut from, mut to) = (
        client.try_clone().expect("a clone"),
        engine.try_clone().expect("a clone"),
    );
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    let mut answer = Vec::new();
    engine.read_to_end(&mut answer).expect("an answer");
    let head = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head");
    let lines = String::from_utf8_lossy(&answer[..head]).into_owned();
    let kept = lines.split("\r\n").filter(|line| {
        let line = line.to_ascii_lowercase();
        !["api-version:", "server:", "connection:"]
            .iter()
            .any(|name| line.starts_with(name))
    });
    let kept = kept.collect::<Vec<_>>().join("\r\n");
    let _ = write!(client, "{kept}\r\n{said}Connection: close\r\n\r\n");
    let _ = client.write_all(&answer[head + 4..]);
    let _ = client.shutdown(Shutdown::Both);
}

#[test]
fn an_engine_that_is_upgraded_or_replaced_is_spoken_to_in_its_own_version() {
    let root = Root::new("versions");
    root.open_with_base();
    let guise = Guise::new(&root, 47);
    let store = open_at(&root, &guise.address);
    assert_eq!(store.api_version(), "1.47");
    // An older one: it refuses the request in the old version, and is asked again in its own.
    guise.becomes(24, 41);
    assert!(store.result("base").expect("a look"));
    assert_eq!(store.api_version(), "1.41");
    // A newer one, too new for the version that was in use; and a call that changes something.
    guise.becomes(44, 52);
    let lease = store.cache("c", &Default::default()).expect("a lease");
    lease.discard().expect("discarded");
    assert_eq!(store.api_version(), "1.47");
    // If it only supports more, its newest version is used after it has reported it.
    guise.becomes(24, 43);
    store.ping(&Limits::none()).expect("an answer");
    assert_eq!(store.api_version(), "1.43");
    guise.becomes(24, 45);
    assert_eq!(store.results().expect("a list").len(), 1);
    assert_eq!(store.api_version(), "1.45");
    let health = store.health(&Limits::none()).expect("health");
    assert_eq!(
        (
            health.api_version.as_str(),
            health.newest_api_version.as_str()
        ),
        ("1.45", "1.45")
    );
    // One that is too old for this library is refused with the reason, and used again when it is back.
    guise.becomes(24, 40);
    let error = store.result("base").expect_err("too old");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let error = store.ping(&Limits::none()).expect_err("too old");
    assert!(error.message().contains("too old"), "{error}");
    guise.becomes(24, 41);
    assert!(store.result("base").expect("a look"));
    drop(store);
    // And everything works.
    let store = root.open();
    let mut step = begin(&store, "base", "one");
    step.run(&sh("true")).expect("a run");
    step.abort().expect("aborted");
}
