//! Systems whose open files are numbers, of which a new one gets the lowest that is free.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, fcntl_dupfd_cloexec, fcntl_getfd};
use rustix::process::{Resource, getrlimit};
use rustix::stdio::{stderr, stdin, stdout};

/// The number of the error that a file may not be so large.
pub(crate) const TOO_LARGE: i32 = Errno::FBIG.raw_os_error();

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

/// `rustix::fs::openat`.
#[cfg(target_os = "linux")]
pub(crate) fn openat(
    folder: impl AsFd,
    name: impl rustix::path::Arg,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    opened(|| rustix::fs::openat(folder, name, flags | OFlags::CLOEXEC, mode))
}

/// How many bytes a file of this process may have.
pub(crate) fn longest_file() -> u64 {
    getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX)
}

pub(crate) use std::fs::rename;
