//! Ten thousand results, on an engine that only lists them.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use docker_store::{Limits, Options, Policy, Store};

use crate::common::proxy::{fake, opened, read_request};

const MANY: usize = 10_000;

/// What the engine was asked for, and when it last answered.
#[derive(Default)]
struct Seen {
    asked: BTreeMap<String, usize>,
    answered: Option<Instant>,
    /// The root's claim.
    claim: String,
}

#[test]
fn ten_thousand_results_are_looked_at_by_three_listings_and_soon() {
    let folder = std::env::temp_dir().join(format!("docker-store-many-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (seen, prefix) = (
        Arc::new(Mutex::new(Seen::default())),
        Arc::new(Mutex::new(String::new())),
    );
    let (noted, of) = (Arc::clone(&seen), Arc::clone(&prefix));
    let address = fake(&folder, move |client| {
        let _ = serve(client, &noted, &of);
    });
    let store = Store::open(folder.join("root"), Options::new().engine(address)).expect("a store");
    *prefix.lock().expect("a lock") = store.prefix().to_owned();
    // Each on the one before, ten in a chain.
    let results = folder.join("root/.store/results");
    for n in 0..MANY {
        let base = match n % 10 {
            0 => String::from("null"),
            _ => format!(
                r#"{{"id":"r{0}","image":"sha256:{0}","bytes":{1},"shared":true}}"#,
                n - 1,
                bytes(n - 1)
            ),
        };
        let record = format!(r#"{{"format":1,"base":{base},"built_ms":{n}}}"#);
        std::fs::write(results.join(format!("r{n}")), record).expect("a record");
        std::fs::write(folder.join(format!("root/logs/r{n}.log")), "log").expect("a log");
    }
    seen.lock().expect("a lock").asked.clear();
    let usage = store.usage(&Limits::none()).expect("usage");
    let (took, asked) = {
        let seen = seen.lock().expect("a lock");
        (
            seen.answered.expect("an answer").elapsed(),
            seen.asked.clone(),
        )
    };
    assert_eq!(usage.results.len(), MANY);
    assert_eq!(usage.totals.results, (MANY / 10) as u64 * bytes(9));
    assert!(
        usage
            .results
            .iter()
            .all(|row| row.own_bytes == 1000 && row.log_bytes == 3)
    );
    let listings = ["containers/json", "images/json", "volumes"].map(|path| (path.to_owned(), 1));
    assert_eq!(asked, BTreeMap::from(listings));
    println!("{MANY} results: {took:?} after the engine's own answer");
    // An optimised build takes a tenth of this.
    let most = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });
    assert!(took < most, "{took:?}");
    let mut policy = Policy::new();
    policy.most_bytes(0).dry_run(true).spare(Duration::ZERO);
    let began = Instant::now();
    let pruned = store
        .prune(&policy, &Limits::none(), |_| Ok(()))
        .expect("a dry run");
    println!("a dry run of all of them: {:?}", began.elapsed());
    assert_eq!((pruned.rows.len(), pruned.kept), (MANY, 0));
    assert!(began.elapsed() < 3 * most);
    drop(store);
    std::fs::remove_dir_all(&folder).expect("removed");
}

/// The size of the n-th, of which all but the last thousand is its base's.
fn bytes(n: usize) -> u64 {
    (n % 10 + 1) as u64 * 1000
}

fn serve(
    mut client: UnixStream,
    seen: &Mutex<Seen>,
    prefix: &Mutex<String>,
) -> std::io::Result<()> {
    while let Some((line, sent)) = read_request(&mut client) {
        let target = line.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        let path = path.trim_start_matches("/v1.41/").to_owned();
        let prefix = prefix.lock().expect("a lock").clone();
        let body = match path.as_str() {
            "/_ping" => String::new(),
            "images/json" if !prefix.is_empty() => images(&prefix),
            _ if path.starts_with("volumes/") && line.starts_with("GET") => {
                seen.lock().expect("a lock").claim.clone()
            }
            _ => opened(&line, &sent).unwrap_or_else(|| String::from("[]")),
        };
        if path == "volumes/create" {
            seen.lock().expect("a lock").claim = body.clone();
        }
        let answer = format!(
            "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nServer: Docker/20.10\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        client.write_all(answer.as_bytes())?;
        let mut seen = seen.lock().expect("a lock");
        *seen.asked.entry(path).or_default() += 1;
        seen.answered = Some(Instant::now());
    }
    Ok(())
}

fn images(prefix: &str) -> String {
    let row = |n: usize| {
        format!(
            r#"{{"Id":"sha256:{n}","ParentId":"","RepoTags":["{prefix}-image-r{n}:latest"],"Created":1700000000,"Size":{}}}"#,
            bytes(n)
        )
    };
    let rows: Vec<String> = (0..MANY).map(row).collect();
    format!("[{}]", rows.join(","))
}
