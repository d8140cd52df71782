//! Files of this machine, opened so that no descriptor of ours is 0, 1 or 2; and none outlives an `exec`.
//!
//! A program that has closed its standard output prints into whatever takes that number next: a lock's file, or the connection to
//! the engine. Rust's runtime opens all three for programs in Rust; a library in somebody else's process has to look for itself.
//!
//! All that opens anything in this crate does so in here or in [`aside`]; a test reads the sources for what goes past it. Names are
//! those of `std::fs`, so that a file says `use crate::local as fs`.

use std::fs::{File, ReadDir};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, fcntl_dupfd_cloexec, fcntl_getfd};
use rustix::process::{Resource, getrlimit};
use rustix::stdio::{stderr, stdin, stdout};

// What opens nothing.
#[allow(unused_imports)]
pub(crate) use std::fs::{
    DirBuilder, OpenOptions, Permissions, canonicalize, create_dir, create_dir_all, metadata,
    read_link, remove_dir, remove_file, rename, set_permissions, symlink_metadata,
};

/// The first number that is not a standard stream's.
const FIRST: i32 = 3;

/// What opens a stand-in: it can be neither read nor written, so that whoever uses the number is told what it would be told if it
/// was closed, EBADF.
#[cfg(any(target_os = "linux", target_os = "android"))]
const STAND_IN: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const STAND_IN: OFlags = OFlags::DIRECTORY;

/// Held while stand-ins are there. Nobody waits for it whose host has its three streams.
static STANDING_IN: Mutex<()> = Mutex::new(());
/// Odd while stand-ins are there, and more each time: a look at the streams that one of them fell into is not believed.
static TURN: AtomicU64 = AtomicU64::new(0);

/// Runs `open`, which opens something: nothing of it gets the number of a standard stream that is closed. Does not nest.
pub(crate) fn aside<T>(open: impl FnOnce() -> T) -> T {
    let turn = TURN.load(Ordering::SeqCst);
    let closed = has_closed_stream();
    if turn % 2 == 0 && !closed && TURN.load(Ordering::SeqCst) == turn {
        return open();
    }
    let _alone = STANDING_IN.lock();
    let _stand_ins = StandIns::new();
    open()
}

fn has_closed_stream() -> bool {
    [stdin(), stdout(), stderr()]
        .into_iter()
        .any(|stream| fcntl_getfd(stream).is_err())
}

/// What takes the numbers of closed streams meanwhile.
struct StandIns(Vec<OwnedFd>);

impl StandIns {
    fn new() -> Self {
        TURN.fetch_add(1, Ordering::SeqCst);
        let mut taken = Vec::new();
        // The system gives the lowest number that is free. If it has none left, it has none for `open` either.
        while let Ok(one) = rustix::fs::open(c"/", STAND_IN | OFlags::CLOEXEC, Mode::empty()) {
            if number(&one) >= FIRST {
                break;
            }
            taken.push(one);
        }
        StandIns(taken)
    }
}

impl Drop for StandIns {
    fn drop(&mut self) {
        for one in self.0.drain(..) {
            // The host may have put a stream of its own in its place (`dup2`), which is not ours to close.
            match is_stand_in(&one) {
                true => drop(one),
                false => std::mem::forget(one),
            }
        }
        TURN.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_stand_in(file: &OwnedFd) -> bool {
    rustix::fs::fcntl_getfl(file).is_ok_and(|flags| flags.contains(STAND_IN))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_stand_in(_file: &OwnedFd) -> bool {
    true
}

fn number(file: &impl AsFd) -> i32 {
    use std::os::fd::AsRawFd;
    file.as_fd().as_raw_fd()
}

/// `file`, at a number of 3 or more: should the host have closed a stream in the instant in which it was opened.
fn lifted<F: AsFd + From<OwnedFd>>(file: F) -> rustix::io::Result<F> {
    match number(&file) >= FIRST {
        true => Ok(file),
        false => Ok(F::from(fcntl_dupfd_cloexec(&file, FIRST)?)),
    }
}

/// What `open` opens, at a number of 3 or more.
pub(crate) fn opened<F: AsFd + From<OwnedFd>, E: From<Errno>>(
    open: impl FnOnce() -> Result<F, E>,
) -> Result<F, E> {
    Ok(lifted(aside(open)?)?)
}

/// The same for what opens two at once.
pub(crate) fn opened_pair<E: From<Errno>>(
    open: impl FnOnce() -> Result<(OwnedFd, OwnedFd), E>,
) -> Result<(OwnedFd, OwnedFd), E> {
    let (one, other) = aside(open)?;
    Ok((lifted(one)?, lifted(other)?))
}

/// `File::open`.
pub(crate) fn open(path: impl AsRef<Path>) -> io::Result<File> {
    opened(|| File::open(path))
}

/// `options.open(path)`.
pub(crate) fn open_with(options: &OpenOptions, path: impl AsRef<Path>) -> io::Result<File> {
    opened(|| options.open(path))
}

/// `rustix::fs::openat`.
pub(crate) fn openat(
    folder: impl AsFd,
    name: impl rustix::path::Arg,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    opened(|| rustix::fs::openat(folder, name, flags | OFlags::CLOEXEC, mode))
}

/// Whether `length` bytes may be written at `position` of a file: beyond the limit of this process (`ulimit -f`) a write would raise
/// SIGXFSZ, which ends a host that does not expect it.
pub(crate) fn room(position: u64, length: usize) -> io::Result<()> {
    match position.saturating_add(length as u64) > longest_file() {
        true => Err(Errno::FBIG.into()),
        false => Ok(()),
    }
}

/// How many bytes a file of this process may have.
pub(crate) fn longest_file() -> u64 {
    getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX)
}

pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    aside(|| std::fs::read(path))
}

pub(crate) fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    aside(|| std::fs::read_to_string(path))
}

pub(crate) fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    aside(|| std::fs::read_dir(path))
}

pub(crate) fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    aside(|| std::fs::remove_dir_all(path))
}
