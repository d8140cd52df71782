//! What every kind of stream must do: the tests that each kind runs with its own two ends.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use super::{Fault, Stream};
use crate::cancel::Cancel;
use crate::os::Wake;
use crate::wait::{Stop, Wait};

/// An engine's end of a connection.
pub(crate) trait Peer: Read + Write + Send {
    /// Closes it cleanly for all copies: a process that another test is just starting has one briefly.
    fn end(&mut self);
}

/// Both ends of a new connection.
pub(crate) type Pair = fn() -> (Box<dyn Stream>, Box<dyn Peer>);

/// The tests of the contract, for the connections that a function returns.
macro_rules! holds_for {
    ($pair:path) => {
        $crate::transport::contract::holds_for!($pair;
            bytes_go_both_ways
            a_deadline_ends_every_wait_and_none_before_it
            a_cancel_wakes_every_wait_of_every_thread_at_once
            two_sides_that_both_send_first_do_not_wait_for_each_other
            the_end_of_what_we_send_is_not_the_end_of_what_we_hear
            a_connection_is_quiet_until_the_peer_speaks_or_goes
            a_stream_is_read_beside_something_else);
    };
    ($pair:path; $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::transport::contract::$name($pair);
            }
        )*
    };
}
pub(crate) use holds_for;

pub(crate) fn soon() -> Wait<'static> {
    within(20_000)
}

pub(crate) fn within(milliseconds: u64) -> Wait<'static> {
    Wait::unbounded().at_most(Duration::from_millis(milliseconds))
}

/// Sends until no more is accepted. A full system may have room again later.
pub(crate) fn fill(stream: &mut dyn Stream) {
    let is_full = |sent| matches!(sent, Err(Fault::Stopped(Stop::TimedOut)));
    let large = vec![0; 64 << 20];
    for _ in 0..20 {
        assert!(is_full(stream.write_all(&large, within(100))));
        // Twice, because the first thing that the second call does is to try.
        let mut is_full = || is_full(stream.write_all(&[0], within(100)));
        if is_full() && is_full() {
            return;
        }
    }
    panic!("it never fills");
}

pub(crate) fn bytes_go_both_ways(pair: Pair) {
    let (mut ours, mut theirs) = pair();
    ours.write_all(b"question", soon()).unwrap();
    let mut buffer = [0; 8];
    theirs.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"question");
    theirs.write_all(b"answer").unwrap();
    theirs.flush().unwrap();
    // Smaller than what has arrived, the same size, and the rest after that.
    for expected in [&b"ans"[..], b"wer"] {
        let n = ours.read(&mut buffer[..3], soon()).unwrap();
        assert_eq!(&buffer[..n], expected);
    }
    theirs.write_all(b"!").unwrap();
    theirs.flush().unwrap();
    assert_eq!(ours.read(&mut buffer, soon()).unwrap(), 1);
    theirs.end();
    assert_eq!(ours.read(&mut buffer, soon()).unwrap(), 0);
    assert_eq!(ours.read(&mut buffer, soon()).unwrap(), 0);
}

type Waiting = fn(&mut dyn Stream, Wait<'_>) -> Option<Fault>;

/// Every way to wait for a peer that neither reads nor sends.
const WAITS: [(&str, Waiting); 5] = [
    ("read", |ours, wait| ours.read(&mut [0], wait).err()),
    ("write", |ours, wait| ours.write_all(&[0], wait).err()),
    ("both", |ours, wait| {
        ours.exchange(&[0], &mut [0], wait).err()
    }),
    ("in", |ours, wait| ours.exchange(&[], &mut [0], wait).err()),
    ("out", |ours, wait| ours.exchange(&[0], &mut [], wait).err()),
];

pub(crate) fn a_deadline_ends_every_wait_and_none_before_it(pair: Pair) {
    let (mut ours, _theirs) = pair();
    fill(&mut *ours);
    for (name, waiting) in WAITS {
        for cancel in [None, Some(&Cancel::new())] {
            let begun = Instant::now();
            let deadline = begun + Duration::from_millis(60);
            let fault = waiting(&mut *ours, Wait::new(Some(deadline), cancel));
            let took = begun.elapsed();
            let is_over = matches!(fault, Some(Fault::Stopped(Stop::TimedOut)));
            assert!(is_over, "{name}: {fault:?}");
            assert!(took >= Duration::from_millis(60), "{name}: {took:?}");
            assert!(took < Duration::from_millis(500), "{name}: {took:?}");
        }
    }
}

pub(crate) fn a_cancel_wakes_every_wait_of_every_thread_at_once(pair: Pair) {
    let cancel = Cancel::new();
    let mut peers: Vec<_> = WAITS.iter().map(|_| pair()).collect();
    for (ours, _) in &mut peers {
        fill(&mut **ours);
    }
    thread::scope(|scope| {
        let waits: Vec<_> = WAITS
            .into_iter()
            .zip(peers)
            .map(|((name, waiting), (mut ours, mut theirs))| {
                let cancel = &cancel;
                scope.spawn(move || {
                    // TCP may have room again after it was full: the writes that do not wait fill it.
                    let fault = loop {
                        let fault = waiting(&mut *ours, Wait::new(None, Some(cancel)));
                        if fault.is_some() {
                            break fault;
                        }
                    };
                    let woken = Instant::now();
                    let is_woken = matches!(fault, Some(Fault::Stopped(Stop::Cancelled)));
                    assert!(is_woken, "{name}: {fault:?}");
                    // And permanently: the next one does not even start.
                    let fault = waiting(&mut *ours, Wait::new(None, Some(cancel)));
                    let is_woken = matches!(fault, Some(Fault::Stopped(Stop::Cancelled)));
                    assert!(is_woken, "{name}: {fault:?}");
                    theirs.end();
                    woken
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(200));
        let cancelled = Instant::now();
        cancel.cancel();
        for wait in waits {
            let took = wait.join().unwrap().duration_since(cancelled);
            assert!(took < Duration::from_millis(100), "{took:?}");
        }
    });
}

pub(crate) fn two_sides_that_both_send_first_do_not_wait_for_each_other(pair: Pair) {
    const SIZE: usize = 8 << 20;
    let (mut ours, mut theirs) = pair();
    let peer = thread::spawn(move || {
        theirs.write_all(&vec![1; SIZE]).unwrap();
        theirs.flush().unwrap();
        let mut received = Vec::new();
        theirs.read_to_end(&mut received).unwrap();
        theirs.end();
        received.len()
    });
    let mut out = &vec![2; SIZE][..];
    let mut buffer = vec![0; 100_000];
    let mut received = 0;
    while !out.is_empty() || received < SIZE {
        let moved = ours.exchange(out, &mut buffer, soon()).unwrap();
        out = &out[moved.sent..];
        received += moved.received.unwrap_or(0);
        assert!(moved.sent > 0 || moved.received.is_some());
    }
    ours.close_write().unwrap();
    // Data that a stream still holds is sent while it is read.
    assert_eq!(ours.read(&mut buffer, soon()).unwrap(), 0);
    assert_eq!(peer.join().unwrap(), SIZE);
    let nothing = ours.exchange(&[], &mut [], soon()).unwrap();
    assert_eq!((nothing.sent, nothing.received), (0, None));
}

pub(crate) fn the_end_of_what_we_send_is_not_the_end_of_what_we_hear(pair: Pair) {
    let (mut ours, mut theirs) = pair();
    ours.write_all(b"all", soon()).unwrap();
    ours.close_write().unwrap();
    let mut received = String::new();
    theirs.read_to_string(&mut received).unwrap();
    assert_eq!(received, "all");
    theirs.write_all(b"done").unwrap();
    theirs.flush().unwrap();
    let mut buffer = [0; 10];
    assert_eq!(ours.read(&mut buffer, soon()).unwrap(), 4);
}

pub(crate) fn a_connection_is_quiet_until_the_peer_speaks_or_goes(pair: Pair) {
    let (mut ours, mut theirs) = pair();
    assert!(ours.is_quiet());
    theirs.write_all(b"x").unwrap();
    theirs.flush().unwrap();
    let begun = Instant::now();
    while ours.is_quiet() {
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    // A check does not consume anything.
    assert_eq!(ours.read(&mut [0; 10], soon()).unwrap(), 1);
    assert!(ours.is_quiet());
    theirs.end();
    let begun = Instant::now();
    while ours.is_quiet() {
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

pub(crate) fn a_stream_is_read_beside_something_else(pair: Pair) {
    let (mut ours, mut theirs) = pair();
    let other = Wake::new().unwrap();
    let mut buffer = [0; 10];
    let ended = ours.read_beside(&mut buffer, other.watched(), within(30));
    assert!(matches!(ended, Err(Fault::Stopped(Stop::TimedOut))));
    theirs.write_all(b"xy").unwrap();
    theirs.flush().unwrap();
    // What the first of two reads leaves is found by the second without new data.
    for _ in 0..2 {
        let read = ours.read_beside(&mut buffer[..1], other.watched(), soon());
        assert_eq!(read.unwrap(), Some(1));
    }
    other.ring();
    let read = ours.read_beside(&mut buffer, other.watched(), soon());
    assert_eq!(read.unwrap(), None);
}
