//! `dstore log`: a build's log, and its continuation.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use docker_store::Store;

use crate::arguments::Log;
use crate::context::Context;
use crate::ending::{DONE, FAILED, Failure};
use crate::screen::Screen;
use crate::streams;

/// How often a growing log is checked.
const MOMENT: Duration = Duration::from_millis(100);

/// A build that is not in progress in this many checks has ended: a waiting builder takes some time to begin another attempt.
const LOOKS: u32 = 4;

pub(crate) fn run(context: &Context, screen: &mut Screen, log: &Log) -> Result<u8, Failure> {
    context.with_store(|store| {
        let path = store.log_file(&log.id)?;
        match log.follow {
            false => {
                let mut file = open(&path)?.ok_or_else(|| none(&log.id))?;
                copy(&mut file, screen, &path)?;
                Ok(DONE)
            }
            true => follow(context, store, screen, log),
        }
    })
}

fn none(id: &str) -> Failure {
    Failure::not_found(format!(
        "there is no log of {id}; `dstore why {id}` may tell more"
    ))
}

/// Until the id is no longer being built.
fn follow(context: &Context, store: &Store, screen: &mut Screen, log: &Log) -> Result<u8, Failure> {
    let mut follower = store.follow_log(&log.id)?;
    // The attempt of which something was shown.
    let mut shown = None;
    let (mut seen, mut looks) = (false, 0);
    loop {
        // First: anything that was written before the build ended is then read below.
        let building = store.building(&log.id)?;
        seen |= building;
        while let Some(piece) = follower.next_piece()? {
            if shown.is_some_and(|shown| shown != piece.attempt) {
                screen.flush()?;
                eprintln!(
                    "dstore: {} is built once more; its log from the start:",
                    log.id
                );
            }
            shown = Some(piece.attempt);
            screen
                .raw()
                .write_all(piece.bytes)
                .map_err(Failure::output)?;
        }
        screen.flush()?;
        match building {
            true => looks = 0,
            false if looks == 0 && store.result_within(&log.id, context.limits())? => {
                return Ok(DONE);
            }
            false => looks += 1,
        }
        if looks >= LOOKS && (seen || !log.wait) {
            if !store.result_within(&log.id, context.limits())? {
                break;
            }
            // An attempt that was missed: its log, and then the end.
            looks = 0;
            continue;
        }
        // There is nothing to follow.
        if !is_there(store, log)? && !building && !seen && !log.wait {
            break;
        }
        pause(context)?;
    }
    match shown.is_some() || is_there(store, log)? {
        true => {
            eprintln!("dstore: the build of {} ended without a result", log.id);
            Ok(FAILED)
        }
        false => Err(none(&log.id)),
    }
}

fn is_there(store: &Store, log: &Log) -> Result<bool, Failure> {
    Ok(store.log_file(&log.id)?.exists())
}

/// A short pause; shorter if the command was cancelled, or standard output is no longer read.
fn pause(context: &Context) -> Result<(), Failure> {
    context.still_wanted("following the log")?;
    // `dstore log -f ID | head -1` ends then, and not at the next line.
    if streams::nobody_reads() {
        return Err(Failure::output(io::ErrorKind::BrokenPipe.into()));
    }
    thread::sleep(MOMENT);
    Ok(())
}

fn open(path: &Path) -> Result<Option<File>, Failure> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::Io(
            format!("opening the log {}", path.display()),
            e,
        )),
    }
}

/// Copies what exists so far.
fn copy(log: &mut File, screen: &mut Screen, path: &Path) -> Result<(), Failure> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        match log.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(n) => screen
                .raw()
                .write_all(&bytes[..n])
                .map_err(Failure::output)?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                return Err(Failure::Io(
                    format!("reading the log {}", path.display()),
                    e,
                ));
            }
        }
    }
}
