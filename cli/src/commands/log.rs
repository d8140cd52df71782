//! `dstore log`: a build's log, and how it grows.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use docker_store::{ErrorKind, Store};

use crate::arguments::Log;
use crate::context::Context;
use crate::ending::{DONE, FAILED, Failure};
use crate::screen::Screen;

/// How often a log that grows is looked at.
const MOMENT: Duration = Duration::from_millis(100);

pub(crate) fn run(context: &Context, screen: &mut Screen, log: &Log) -> Result<u8, Failure> {
    context.with_store(|store| {
        let path = store.log_file(&log.id)?;
        match log.follow {
            false => {
                let mut file = open(&path)?.ok_or_else(|| none(&log.id))?;
                copy(&mut file, screen, &path)?;
                Ok(DONE)
            }
            true => follow(context, store, screen, log, &path),
        }
    })
}

fn none(id: &str) -> Failure {
    Failure::not_found(format!(
        "there is no log of {id}; `dstore why {id}` may tell more"
    ))
}

/// Until nobody builds it any more.
fn follow(
    context: &Context,
    store: &Store,
    screen: &mut Screen,
    log: &Log,
    path: &Path,
) -> Result<u8, Failure> {
    let mut file = None;
    let mut seen = false;
    loop {
        // First: what is written until it has ended is read after this.
        let building = store.building(&log.id)?;
        seen |= building;
        let old_is_gone = file.as_ref().is_some_and(is_gone);
        if let Some(file) = &mut file {
            copy(file, screen, path)?;
        }
        // Another try of the same build makes another file.
        if file.is_none() || old_is_gone {
            let again = file.is_some();
            if let Some(next) = open(path)? {
                if again {
                    screen.flush()?;
                    eprintln!(
                        "dstore: {} is built once more; its log from the start:",
                        log.id
                    );
                }
                copy(file.insert(next), screen, path)?;
            }
        }
        screen.flush()?;
        if !building && (seen || !log.wait || file.is_some()) {
            break;
        }
        pause(context)?;
    }
    let there = store.result_within(&log.id, context.limits())?;
    match (there, file) {
        (true, _) => Ok(DONE),
        (false, Some(_)) => {
            eprintln!("dstore: the build of {} ended without a result", log.id);
            Ok(FAILED)
        }
        (false, None) => Err(none(&log.id)),
    }
}

/// A moment; less where somebody wants an end, or nobody reads.
fn pause(context: &Context) -> Result<(), Failure> {
    if context.cancel.is_cancelled() {
        let why = docker_store::Error::new(ErrorKind::Cancelled, "following the log: cancelled");
        return Err(why.into());
    }
    if context.is_over() {
        let why =
            docker_store::Error::new(ErrorKind::TimedOut, "following the log: the time is up");
        return Err(why.into());
    }
    if nobody_reads() {
        return Err(Failure::output(io::ErrorKind::BrokenPipe.into()));
    }
    thread::sleep(MOMENT);
    Ok(())
}

/// Whether standard output is a pipe whose reader has gone. `dstore log -f ID | head -1` ends then, and not at the next line.
#[cfg(unix)]
fn nobody_reads() -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let stdout = rustix::stdio::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    let now = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut watched, Some(&now)).is_ok() && watched[0].revents().contains(PollFlags::ERR)
}

#[cfg(not(unix))]
fn nobody_reads() -> bool {
    false
}

#[cfg(unix)]
fn is_gone(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|file| file.nlink() == 0)
}

#[cfg(not(unix))]
fn is_gone(_: &File) -> bool {
    false
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

/// What there is of it by now.
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
