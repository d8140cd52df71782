//! Systems whose open files are numbers; a new file gets the lowest free number.

mod tree;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, fcntl_dupfd_cloexec, fcntl_getfd};
use rustix::process::{Resource, getrlimit};
use rustix::stdio::{stderr, stdin, stdout};

/// The error number for a file that would be too large.
pub(crate) const TOO_LARGE: i32 = Errno::FBIG.raw_os_error();

/// The first number after the standard streams.
const FIRST: i32 = 3;

/// The flags for opening a stand-in: it can be neither read nor written, so that a program that uses the number gets the same
/// error as for a closed descriptor, EBADF.
#[cfg(any(target_os = "linux", target_os = "android"))]
const STAND_IN: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const STAND_IN: OFlags = OFlags::DIRECTORY;

/// Held while stand-ins exist. A host with all three streams never waits for it.
static STANDING_IN: Mutex<()> = Mutex::new(());
/// Odd while stand-ins exist, and increased each time: a check of the streams that overlapped with such a period is not
/// trusted.
static TURN: AtomicU64 = AtomicU64::new(0);

/// Runs `open`, which opens files: none of them gets the number of a closed standard stream. Does not nest.
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

/// The descriptors that occupy the numbers of closed streams in the meantime.
struct StandIns(Vec<OwnedFd>);

impl StandIns {
    fn new() -> Self {
        TURN.fetch_add(1, Ordering::SeqCst);
        let mut taken = Vec::new();
        // The system assigns the lowest free number. If it has none left, it has none for `open` either.
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
            // The host may have put its own stream in its place (`dup2`), which must not be closed.
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

/// Returns `file` with a number of 3 or more, in case the host closed a stream at the very moment at which the file was opened.
fn lifted<F: AsFd + From<OwnedFd>>(file: F) -> rustix::io::Result<F> {
    match number(&file) >= FIRST {
        true => Ok(file),
        false => Ok(F::from(fcntl_dupfd_cloexec(&file, FIRST)?)),
    }
}

/// Returns what `open` opens, with a number of 3 or more.
pub(crate) fn opened<F: AsFd + From<OwnedFd>, E: From<Errno>>(
    open: impl FnOnce() -> Result<F, E>,
) -> Result<F, E> {
    Ok(lifted(aside(open)?)?)
}

/// The same for a function that opens two.
pub(crate) fn opened_pair<E: From<Errno>>(
    open: impl FnOnce() -> Result<(OwnedFd, OwnedFd), E>,
) -> Result<(OwnedFd, OwnedFd), E> {
    let (one, other) = aside(open)?;
    Ok((lifted(one)?, lifted(other)?))
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

/// Returns the maximum size of a file of this process, in bytes.
pub(crate) fn longest_file() -> u64 {
    getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX)
}

pub(crate) use self::tree::{Tree, dress_file};
pub(crate) use std::fs::rename;
