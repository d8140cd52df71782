//! What this layer costs, beside the bare socket under it. To be asked for:
//!
//! ```text
//! cargo test --release --lib measure -- --ignored --nocapture --test-threads 1
//! ```

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::testing::request;
use super::{Body, Client, Method, Request};
use crate::cancel::Cancel;
use crate::transport::unix::UnixConnector;
use crate::wait::Wait;

/// An engine that does nothing but answer, each connection in a thread.
fn engine(name: &str, serve: fn(UnixStream)) -> PathBuf {
    let path = std::env::temp_dir().join(format!("docker-store-{name}-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for peer in listener.incoming() {
            thread::spawn(move || serve(peer.unwrap()));
        }
    });
    path
}

/// As large as the inspection of an image.
fn reply() -> Vec<u8> {
    let body = "x".repeat(3000);
    format!(
        "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nDocker-Experimental: false\r\n\
         Ostype: linux\r\nServer: Docker/20.10.24 (linux)\r\nDate: Mon, 24 Nov 2025 06:58:00 GMT\r\n\
         Content-Length: 3000\r\n\r\n{body}"
    )
    .into_bytes()
}

fn answer(mut peer: UnixStream) {
    let reply = reply();
    let mut buffer = [0; 4096];
    while peer.read(&mut buffer).is_ok_and(|n| n > 0) {
        peer.write_all(&reply).unwrap();
    }
}

/// The time of one `call`, as the median of batches.
fn median(batches: &mut [Duration], calls: u32) -> Duration {
    batches.sort_unstable();
    batches[batches.len() / 2] / calls
}

#[test]
#[ignore = "a measurement"]
fn a_call_costs_little_more_than_a_bare_round_trip() {
    const BATCHES: usize = 60;
    const CALLS: u32 = 500;
    let path = engine("measure-call", answer);
    let client = Client::new(Box::new(UnixConnector::new(&path)));
    let cancel = Cancel::new();
    let mut bare = UnixStream::connect(&path).unwrap();
    let mut sent = Vec::new();
    request(Method::Get).write_head(&mut sent).unwrap();
    let expected = reply().len();
    let mut buffer = vec![0; expected];
    let (mut bares, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..BATCHES {
        let begun = Instant::now();
        for _ in 0..CALLS {
            bare.write_all(&sent).unwrap();
            bare.read_exact(&mut buffer).unwrap();
        }
        bares.push(begun.elapsed());
        let begun = Instant::now();
        for _ in 0..CALLS {
            let wait = Wait::new(None, Some(&cancel)).at_most(Duration::from_secs(60));
            let mut response = client.send(request(Method::Get), wait).unwrap();
            assert_eq!(response.read_whole(1 << 20, wait).unwrap().len(), 3000);
        }
        ours.push(begun.elapsed());
    }
    let (bare, ours) = (median(&mut bares, CALLS), median(&mut ours, CALLS));
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    println!("bare round trip {bare:?}, call {ours:?}: {ratio:.3} times");
    std::fs::remove_file(path).unwrap();
}

/// Takes one upload after the other, and answers when it has seen the last chunk.
fn take(mut peer: UnixStream) {
    let mut buffer = vec![0; 256 << 10];
    let mut end = [0; 5];
    loop {
        let Ok(n @ 1..) = peer.read(&mut buffer) else {
            return;
        };
        let tail = &buffer[n.saturating_sub(end.len())..n];
        end.rotate_left(tail.len());
        end[5 - tail.len()..].copy_from_slice(tail);
        if &end == b"0\r\n\r\n" {
            peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    }
}

/// Answers each request with a gigabyte, in chunks as Docker cuts them, or with its length.
fn give(mut peer: UnixStream) {
    let mut buffer = [0; 4096];
    let content = vec![b'x'; 32 << 10];
    while let Ok(n @ 1..) = peer.read(&mut buffer) {
        let chunked = buffer[..n].starts_with(b"PUT");
        if chunked {
            peer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        } else {
            peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").unwrap();
        }
        let chunk = [b"8000\r\n", &content[..], b"\r\n"].concat();
        for _ in 0..32 << 10 {
            peer.write_all(if chunked { &chunk } else { &content }).unwrap();
        }
        if chunked {
            peer.write_all(b"0\r\n\r\n").unwrap();
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn zz_down() {
    let wait = Wait::forever().at_most(Duration::from_secs(600));
    let mut buffer = vec![b'x'; 256 << 10];
    let path = engine("measure-give2", give);
    let size: usize = std::env::var("SIZE").unwrap().parse().unwrap();
    let client = Client::new(Box::new(UnixConnector::new(&path)));
    let begun = Instant::now();
    let mut response = client.send(request(Method::Get), wait).unwrap();
    let mut read = 0;
    while let n @ 1.. = response.read(&mut buffer[..size], wait).unwrap() {
        read += n;
    }
    assert_eq!(read, 1 << 30);
    println!("ZZ {size:6}  {:?}", begun.elapsed());
}

#[test]
#[ignore = "a measurement"]
fn a_gigabyte_moves_as_fast_as_over_a_bare_socket() {
    let wait = Wait::forever().at_most(Duration::from_secs(600));
    let mut buffer = vec![b'x'; 256 << 10];

    let path = engine("measure-take", take);
    for _ in 0..3 {
        let mut bare = UnixStream::connect(&path).unwrap();
        let begun = Instant::now();
        for _ in 0..4096 {
            bare.write_all(&buffer).unwrap();
        }
        bare.write_all(b"0\r\n\r\n").unwrap();
        bare.read_exact(&mut [0; 38]).unwrap();
        println!("bare up    {:?}", begun.elapsed());
        let client = Client::new(Box::new(UnixConnector::new(&path)));
        let begun = Instant::now();
        let mut source = std::io::repeat(b'x').take(1 << 30);
        let body = Body::Stream {
            content_type: "application/x-tar",
            source: &mut source,
        };
        let upload = Request {
            body,
            ..request(Method::Put)
        };
        client.send(upload, wait).unwrap();
        println!("stream up  {:?}", begun.elapsed());
    }
    std::fs::remove_file(path).unwrap();

    let path = engine("measure-give", give);
    for _ in 0..3 {
        let mut bare = UnixStream::connect(&path).unwrap();
        let begun = Instant::now();
        bare.write_all(b"GET").unwrap();
        let mut left = (1 << 30) + "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n".len();
        while left > 0 {
            left -= bare.read(&mut buffer).unwrap();
        }
        println!("bare down  {:?}", begun.elapsed());
        for method in [Method::Get, Method::Put] {
            for size in [8 << 10, 64 << 10, 256 << 10] {
                let client = Client::new(Box::new(UnixConnector::new(&path)));
                let begun = Instant::now();
                let mut response = client.send(request(method), wait).unwrap();
                let mut read = 0;
                while let n @ 1.. = response.read(&mut buffer[..size], wait).unwrap() {
                    read += n;
                }
                assert_eq!(read, 1 << 30);
                println!("{method:?} down, {size:6}  {:?}", begun.elapsed());
            }
        }
    }
    std::fs::remove_file(path).unwrap();
}
