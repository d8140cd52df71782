//! What can be waited for: events of the system. A cancel sets one, and so does data that arrives on a pipe or a socket.

use std::io;
use std::ops::BitOr;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::time::Duration;

use windows_sys::Win32::Foundation::{HANDLE, WAIT_FAILED, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, ResetEvent, SetEvent, WaitForMultipleObjects,
};

/// What can be waited for: an event that is set when it has occurred.
pub(crate) type Watched<'a> = BorrowedHandle<'a>;

/// The maximum number of events to wait for: two directions of a stream, a file beside it, and a cancel.
const MOST: usize = 4;

/// An event, which stays set until it is reset.
pub(crate) struct Event(OwnedHandle);

impl Event {
    pub(crate) fn new(is_set: bool) -> io::Result<Self> {
        // SAFETY: neither attributes nor a name are passed; a returned handle is owned here alone.
        let event = unsafe { CreateEventW(ptr::null(), 1, i32::from(is_set), ptr::null()) };
        match event.is_null() {
            true => Err(io::Error::last_os_error()),
            // SAFETY: it was just opened, and nothing else closes it.
            false => Ok(Event(unsafe { OwnedHandle::from_raw_handle(event) })),
        }
    }

    pub(crate) fn set(&self) {
        // SAFETY: the handle is an event's, and open. This cannot fail.
        unsafe { SetEvent(self.raw()) };
    }

    pub(crate) fn reset(&self) {
        // SAFETY: the same.
        unsafe { ResetEvent(self.raw()) };
    }

    pub(crate) fn raw(&self) -> HANDLE {
        self.0.as_raw_handle()
    }

    pub(crate) fn watched(&self) -> Watched<'_> {
        self.0.as_handle()
    }
}

/// Wakes other threads. Stays signalled.
pub(crate) struct Wake(Event);

impl Wake {
    pub(crate) fn new() -> io::Result<Self> {
        Event::new(false).map(Wake)
    }

    /// Wakes all current and future waiters.
    pub(crate) fn ring(&self) {
        self.0.set();
    }

    pub(crate) fn watched(&self) -> Watched<'_> {
        self.0.watched()
    }
}

/// Waits until one of the events is set, for up to `longest`: returns the first that is.
pub(crate) fn first_of(events: &[Watched<'_>], longest: Duration) -> io::Result<Option<usize>> {
    assert!(events.len() <= MOST && !events.is_empty());
    let mut handles = [ptr::null_mut(); MOST];
    for (handle, event) in handles.iter_mut().zip(events) {
        *handle = event.as_raw_handle();
    }
    // Rounded up, because a deadline must have passed; and never the value that means an infinite wait.
    let milliseconds = longest.as_nanos().div_ceil(1_000_000);
    let milliseconds = u32::try_from(milliseconds)
        .unwrap_or(INFINITE)
        .min(INFINITE - 1);
    let count = events.len() as u32;
    // SAFETY: the count is the number of handles, and they are open as long as they are borrowed.
    match unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, milliseconds) } {
        WAIT_FAILED => Err(io::Error::last_os_error()),
        WAIT_TIMEOUT => Ok(None),
        set => Ok(Some((set - WAIT_OBJECT_0) as usize)),
    }
}

/// What a stream is ready for, with the names of `poll`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PollFlags(u8);

impl PollFlags {
    pub(crate) const IN: Self = PollFlags(1);
    pub(crate) const OUT: Self = PollFlags(2);
    pub(crate) const HUP: Self = PollFlags(4);
    pub(crate) const ERR: Self = PollFlags(8);

    pub(crate) const fn empty() -> Self {
        PollFlags(0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn set(&mut self, other: Self, on: bool) {
        match on {
            true => self.0 |= other.0,
            false => self.0 &= !other.0,
        }
    }
}

impl BitOr for PollFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        PollFlags(self.0 | other.0)
    }
}
