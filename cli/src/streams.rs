//! What can be asked of the standard streams without reading or writing.

/// Whether standard output is a pipe whose reader has gone.
#[cfg(unix)]
pub(crate) fn nobody_reads() -> bool {
    use rustix::event::PollFlags;
    polled(&rustix::stdio::stdout(), PollFlags::empty(), 0).contains(PollFlags::ERR)
}

/// Whether there is something to read on standard input, or no more; waits a moment for it.
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

/// Elsewhere a write finds out.
#[cfg(not(unix))]
pub(crate) fn nobody_reads() -> bool {
    false
}

/// Elsewhere a read waits for it.
#[cfg(not(unix))]
pub(crate) fn is_answered() -> bool {
    true
}
