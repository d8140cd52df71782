//! Checks of the standard streams without reading or writing.

/// Returns whether standard output is a pipe whose reader has gone.
#[cfg(unix)]
pub(crate) fn nobody_reads() -> bool {
    use rustix::event::PollFlags;
    polled(&rustix::stdio::stdout(), PollFlags::empty(), 0).contains(PollFlags::ERR)
}

/// Returns whether standard input has data or has ended; waits briefly for it.
#[cfg(unix)]
pub(crate) fn is_answered() -> bool {
    use rustix::event::PollFlags;
    const MOMENT: i64 = 100_000_000;
    !polled(&rustix::stdio::stdin(), PollFlags::IN, MOMENT).is_empty()
}

#[cfg(unix)]
fn polled(
    stream: &impl std::os::fd::AsFd,
    wanted: rustix::event::PollFlags,
    nanos: i64,
) -> rustix::event::PollFlags {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut watched = [PollFd::new(stream, wanted)];
    let time = Timespec {
        tv_sec: 0,
        tv_nsec: nanos,
    };
    match poll(&mut watched, Some(&time)) {
        Ok(_) => watched[0].revents(),
        Err(_) => PollFlags::empty(),
    }
}

/// On other systems, a write finds out.
#[cfg(not(unix))]
pub(crate) fn nobody_reads() -> bool {
    false
}

/// On other systems, a read waits for it.
#[cfg(not(unix))]
pub(crate) fn is_answered() -> bool {
    true
}
