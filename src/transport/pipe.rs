//! Named pipes: Docker's default on Windows.
//!
//! A transfer is started, and its completion is an event that is waited for together with the call's [`Cancel`](crate::Cancel).
//! There may be one transfer in each direction, to or from a buffer of the stream's own. So data may have arrived before it is
//! requested, and data that was accepted may not have been sent yet.
//!
//! Docker's pipe carries messages, and an empty message is the end of the data in its direction (as in go-winio).

use std::io::{self, ErrorKind};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_IO_INCOMPLETE, ERROR_IO_PENDING, ERROR_MORE_DATA, ERROR_PIPE_BUSY,
    ERROR_PIPE_NOT_CONNECTED, GENERIC_READ, GENERIC_WRITE, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_OVERLAPPED, OPEN_EXISTING, ReadFile, SECURITY_ANONYMOUS,
    SECURITY_SQOS_PRESENT, WriteFile,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Pipes::{GetNamedPipeInfo, PIPE_TYPE_MESSAGE};

use super::polled::Polled;
use super::{Connect, Fault, Stream};
use crate::os::{Event, PollFlags, Watched};
use crate::wait::Wait;

/// The pause between tries to open a pipe all of whose instances are in use. (The system's own wait for one cannot be
/// interrupted.)
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// The maximum size of a transfer, in each direction.
const PIECE: usize = 64 << 10;

/// Connects to the pipe with a name.
pub(crate) struct PipeConnector {
    /// NUL-terminated.
    name: Vec<u16>,
    address: String,
}

impl PipeConnector {
    pub(crate) fn new(name: &str, address: &str) -> Self {
        PipeConnector {
            name: name.encode_utf16().chain([0]).collect(),
            address: address.to_owned(),
        }
    }
}

impl Connect for PipeConnector {
    fn connect(&self, wait: Wait<'_>) -> Result<Box<dyn Stream>, Fault> {
        let mut pause = FIRST_PAUSE;
        loop {
            wait.left()?;
            match open(&self.name) {
                Ok(pipe) => return Ok(Box::new(PipeStream::new(pipe)?)),
                // The engine has not created another instance yet.
                Err(e) if is(&e, ERROR_PIPE_BUSY) => {
                    wait.sleep(pause)?;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(e) => return Err(Fault::Io(e)),
            }
        }
    }

    fn address(&self) -> &str {
        &self.address
    }
}

fn is(error: &io::Error, number: u32) -> bool {
    error.raw_os_error() == Some(number as i32)
}

/// Returns why bytes were not sent: the peer has gone, whatever the system calls that.
fn not_sent(error: io::Error) -> io::Error {
    match is(&error, ERROR_PIPE_NOT_CONNECTED) {
        true => io::Error::new(
            ErrorKind::BrokenPipe,
            format!("the pipe was disconnected: {error}"),
        ),
        false => error,
    }
}

/// Opens a pipe for reading and writing without blocking. The server may be any process, and must not be able to impersonate
/// this one.
fn open(name: &[u16]) -> io::Result<OwnedHandle> {
    assert_eq!(name.last(), Some(&0));
    // SAFETY: the name is NUL-terminated; nothing else is passed.
    let pipe = unsafe {
        CreateFileW(
            name.as_ptr(),
            GENERIC_READ | GENERIC_WRITE,
            0,
            ptr::null(),
            OPEN_EXISTING,
            FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS,
            ptr::null_mut(),
        )
    };
    match pipe {
        INVALID_HANDLE_VALUE => Err(io::Error::last_os_error()),
        // SAFETY: it was just opened, and nothing else closes it.
        pipe => Ok(unsafe { OwnedHandle::from_raw_handle(pipe) }),
    }
}

/// Returns whether the pipe carries messages, so that an empty one can be sent.
fn has_messages(pipe: &OwnedHandle) -> io::Result<bool> {
    let mut flags = 0;
    let no = ptr::null_mut();
    // SAFETY: the handle is open, the flags may be written to, and nothing else is requested.
    match unsafe { GetNamedPipeInfo(pipe.as_raw_handle(), &mut flags, no, no, no) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(flags & PIPE_TYPE_MESSAGE != 0),
    }
}

/// The memory that the system uses during a transfer.
struct Memory {
    overlapped: OVERLAPPED,
    bytes: [u8; PIECE],
}

/// One direction of a pipe.
struct Transfer {
    /// From a `Box`, which is freed only when no transfer is in progress.
    memory: *mut Memory,
    /// Set when no transfer is in progress.
    event: Event,
    /// The size of the transfer in progress.
    under_way: Option<usize>,
}

#[derive(Clone, Copy)]
enum Direction {
    In,
    Out,
}

// SAFETY: the memory behind the pointer is used only by this object, and by the system, to which threads do not matter.
unsafe impl Send for Transfer {}

impl Transfer {
    fn new() -> io::Result<Self> {
        let event = Event::new(true)?;
        let memory = Box::new(Memory {
            overlapped: OVERLAPPED {
                hEvent: event.raw(),
                ..OVERLAPPED::default()
            },
            bytes: [0; PIECE],
        });
        Ok(Transfer {
            memory: Box::into_raw(memory),
            event,
            under_way: None,
        })
    }

    /// Returns the bytes that arrived, or the buffer for bytes to send.
    fn bytes(&mut self) -> &mut [u8; PIECE] {
        assert!(self.under_way.is_none());
        // SAFETY: no transfer is in progress, so the system does not use it, and `self` is borrowed for as long.
        unsafe { &mut (*self.memory).bytes }
    }

    /// Starts a transfer of `length` bytes.
    fn begin(&mut self, pipe: HANDLE, direction: Direction, length: usize) -> io::Result<()> {
        assert!(self.under_way.is_none() && length <= PIECE);
        let none = ptr::null_mut();
        // SAFETY: no transfer is in progress, so both buffers may be passed. They stay in place until `end` has seen that the
        // transfer is complete, for which `drop` waits. Nothing else writes to them in the meantime.
        let begun = unsafe {
            let overlapped = &raw mut (*self.memory).overlapped;
            let bytes = (&raw mut (*self.memory).bytes).cast::<u8>();
            match direction {
                Direction::In => ReadFile(pipe, bytes, length as u32, none, overlapped),
                Direction::Out => WriteFile(pipe, bytes, length as u32, none, overlapped),
            }
        };
        if begun == 0 {
            let error = io::Error::last_os_error();
            if !is(&error, ERROR_IO_PENDING) && !is(&error, ERROR_MORE_DATA) {
                return Err(error);
            }
        }
        self.under_way = Some(length);
        Ok(())
    }

    /// Returns how many bytes were transferred, or why none; `None` while the transfer is in progress.
    fn end(&mut self, pipe: HANDLE, wait: bool) -> io::Result<Option<usize>> {
        let mut moved = 0;
        // SAFETY: it belongs to the transfer that was started, on the same pipe.
        let ended = unsafe {
            let overlapped = &raw const (*self.memory).overlapped;
            GetOverlappedResult(pipe, overlapped, &mut moved, i32::from(wait))
        };
        if ended == 0 {
            let error = io::Error::last_os_error();
            if is(&error, ERROR_IO_INCOMPLETE) {
                return Ok(None);
            }
            self.under_way = None;
            if !is(&error, ERROR_MORE_DATA) {
                return Err(error);
            }
        }
        self.under_way = None;
        Ok(Some(moved as usize))
    }

    /// Aborts it, so that the system no longer uses any of its memory.
    fn give_up(&mut self, pipe: HANDLE) {
        if self.under_way.is_some() {
            // SAFETY: as for `end`, which then waits until the transfer is complete or aborted.
            unsafe { CancelIoEx(pipe, &raw const (*self.memory).overlapped) };
            let _ = self.end(pipe, true);
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if self.under_way.is_none() {
            // SAFETY: it was created by `new`, is freed once, and the system no longer uses it.
            drop(unsafe { Box::from_raw(self.memory) });
        }
    }
}

struct PipeStream {
    pipe: OwnedHandle,
    reading: Transfer,
    writing: Transfer,
    /// For the message that ends the outgoing data: it is sent after the data that is still in progress.
    ending: Option<Transfer>,
    has_messages: bool,
    /// Data that has arrived and was not read yet: a part of the buffer of `reading`.
    start: usize,
    end: usize,
    /// How the incoming data has ended.
    over: Option<io::Result<()>>,
}

impl PipeStream {
    fn new(pipe: OwnedHandle) -> io::Result<Self> {
        Ok(PipeStream {
            has_messages: has_messages(&pipe)?,
            reading: Transfer::new()?,
            writing: Transfer::new()?,
            ending: None,
            start: 0,
            end: 0,
            over: None,
            pipe,
        })
    }

    fn raw(&self) -> HANDLE {
        self.pipe.as_raw_handle()
    }

    /// Returns whether there is something to read, including the end. If there is nothing, a read is in progress then.
    fn has_arrived(&mut self) -> bool {
        let pipe = self.raw();
        while self.start == self.end && self.over.is_none() {
            let ended = match self.reading.under_way {
                None => match self.reading.begin(pipe, Direction::In, PIECE) {
                    Ok(()) => continue,
                    Err(e) => Err(e),
                },
                Some(_) => match self.reading.end(pipe, false) {
                    Ok(None) => return false,
                    Ok(Some(arrived)) => Ok(arrived),
                    Err(e) => Err(e),
                },
            };
            match ended {
                // An empty message is only sent as the end.
                Ok(0) => self.over = Some(Ok(())),
                Ok(arrived) => (self.start, self.end) = (0, arrived),
                Err(e) if is(&e, ERROR_BROKEN_PIPE) => self.over = Some(Ok(())),
                Err(e) if is(&e, ERROR_PIPE_NOT_CONNECTED) => {
                    let why = format!("the pipe was disconnected: {e}");
                    self.over = Some(Err(io::Error::new(ErrorKind::ConnectionReset, why)));
                }
                Err(e) => self.over = Some(Err(e)),
            }
        }
        true
    }

    /// Returns whether all accepted data has been sent.
    fn has_gone(&mut self) -> io::Result<bool> {
        let pipe = self.raw();
        let Some(length) = self.writing.under_way else {
            return Ok(true);
        };
        match self.writing.end(pipe, false).map_err(not_sent)? {
            None => Ok(false),
            Some(moved) if moved == length => Ok(true),
            Some(_) => Err(ErrorKind::WriteZero.into()),
        }
    }
}

impl Polled for PipeStream {
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        if self.ending.is_some() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if !self.has_gone()? {
            return Ok(None);
        }
        // An empty message would be the end.
        let length = bytes.len().min(PIECE);
        if length > 0 {
            let pipe = self.raw();
            self.writing.bytes()[..length].copy_from_slice(&bytes[..length]);
            let begun = self.writing.begin(pipe, Direction::Out, length);
            begun.map_err(not_sent)?;
        }
        Ok(Some(length))
    }

    fn try_receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        debug_assert!(!buffer.is_empty(), "an empty buffer looks like the end");
        if !self.has_arrived() {
            return Ok(None);
        }
        if self.start == self.end {
            // An error is reported once; after that it is the end.
            return match self.over.replace(Ok(())) {
                Some(Err(e)) => Err(e),
                _ => Ok(Some(0)),
            };
        }
        let length = buffer.len().min(self.end - self.start);
        let there = self.start..self.start + length;
        buffer[..length].copy_from_slice(&self.reading.bytes()[there]);
        self.start += length;
        Ok(Some(length))
    }

    fn is_eager(&mut self) -> bool {
        self.start < self.end
    }

    fn ready(
        &mut self,
        events: PollFlags,
        other: Option<Watched<'_>>,
        wait: Wait<'_>,
    ) -> Result<[PollFlags; 2], Fault> {
        wait.left()?;
        let mut ready = PollFlags::empty();
        let (reads, writes) = (
            events.contains(PollFlags::IN),
            events.contains(PollFlags::OUT),
        );
        ready.set(PollFlags::IN, reads && self.has_arrived());
        ready.set(PollFlags::OUT, writes && self.writing.under_way.is_none());
        if !ready.is_empty() {
            return Ok([ready, PollFlags::empty()]);
        }
        let none = PollFlags::empty();
        let mut watched = Vec::with_capacity(3);
        if reads {
            watched.push((self.reading.event.watched(), [PollFlags::IN, none]));
        }
        if writes {
            watched.push((self.writing.event.watched(), [PollFlags::OUT, none]));
        }
        if let Some(other) = other {
            watched.push((other, [none, PollFlags::IN]));
        }
        let events: Vec<Watched<'_>> = watched.iter().map(|(event, _)| *event).collect();
        Ok(watched[wait.first_of(&events)?].1)
    }

    fn flush(&mut self, wait: Wait<'_>) -> Result<(), Fault> {
        while !self.has_gone()? {
            self.ready(PollFlags::OUT, None, wait)?;
        }
        Ok(())
    }

    fn end_sending(&mut self) -> io::Result<()> {
        if self.ending.is_some() {
            return Ok(());
        }
        if !self.has_messages {
            return Err(io::Error::new(
                ErrorKind::Unsupported,
                "a pipe that carries no messages cannot say that no more will be sent",
            ));
        }
        let mut ending = Transfer::new()?;
        let sent = ending.begin(self.raw(), Direction::Out, 0);
        self.ending = Some(ending);
        match sent.map_err(not_sent) {
            // The peer has already gone.
            Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
            sent => sent,
        }
    }

    fn is_silent(&mut self) -> bool {
        !self.has_arrived()
    }
}

impl Drop for PipeStream {
    fn drop(&mut self) {
        let pipe = self.raw();
        for transfer in [&mut self.reading, &mut self.writing]
            .into_iter()
            .chain(&mut self.ending)
        {
            transfer.give_up(pipe);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_PIPE_CONNECTED};
    use windows_sys::Win32::Storage::FileSystem::PIPE_ACCESS_DUPLEX;
    use windows_sys::Win32::System::Pipes::{
        ConnectNamedPipe, CreateNamedPipeW, PIPE_READMODE_BYTE, PIPE_TYPE_BYTE, PIPE_WAIT,
    };

    use super::*;
    use crate::cancel::Cancel;
    use crate::transport::contract::{self, Peer, soon, within};
    use crate::wait::Stop;

    /// An engine's end, which blocks.
    struct Served(Option<File>);

    impl Served {
        fn file(&mut self) -> &mut File {
            self.0.as_mut().expect("open")
        }
    }

    impl Read for Served {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.file().read(buffer)
        }
    }

    impl Write for Served {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.file().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Peer for Served {
        fn end(&mut self) {
            self.0 = None;
        }
    }

    fn name() -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!(
            r"\\.\pipe\docker-store-test-{}-{number}",
            std::process::id()
        )
    }

    /// Creates an instance of a pipe that has not been opened yet.
    fn instance(name: &str, kind: u32, most: u32) -> OwnedHandle {
        let name: Vec<u16> = name.encode_utf16().chain([0]).collect();
        let mode = kind | PIPE_READMODE_BYTE | PIPE_WAIT;
        // SAFETY: the name is NUL-terminated, and no attributes are passed.
        let pipe = unsafe {
            let none = ptr::null();
            CreateNamedPipeW(
                name.as_ptr(),
                PIPE_ACCESS_DUPLEX,
                mode,
                most,
                4096,
                4096,
                0,
                none,
            )
        };
        assert_ne!(pipe, INVALID_HANDLE_VALUE, "{}", io::Error::last_os_error());
        // SAFETY: it was just created, and nothing else closes it.
        unsafe { OwnedHandle::from_raw_handle(pipe) }
    }

    fn accept(pipe: OwnedHandle) -> Served {
        // SAFETY: the handle is open, and not overlapped.
        let connected = unsafe { ConnectNamedPipe(pipe.as_raw_handle(), ptr::null_mut()) };
        let error = io::Error::last_os_error();
        assert!(
            connected != 0 || is(&error, ERROR_PIPE_CONNECTED),
            "{error}"
        );
        Served(Some(File::from(pipe)))
    }

    fn connector(name: &str) -> PipeConnector {
        PipeConnector::new(name, "npipe:////./pipe/test")
    }

    fn pair_of(kind: u32) -> (Box<dyn Stream>, Box<dyn Peer>) {
        let name = name();
        let pipe = instance(&name, kind, 1);
        let ours = connector(&name).connect(soon()).expect("a pipe");
        (ours, Box::new(accept(pipe)))
    }

    fn pair() -> (Box<dyn Stream>, Box<dyn Peer>) {
        pair_of(PIPE_TYPE_MESSAGE)
    }

    contract::holds_for!(pair);

    #[test]
    fn a_pipe_without_messages_carries_all_but_the_end_of_what_we_send() {
        let bytes = || pair_of(PIPE_TYPE_BYTE);
        contract::bytes_go_both_ways(bytes);
        contract::a_deadline_ends_every_wait_and_none_before_it(bytes);
        let (mut ours, _theirs) = bytes();
        match ours.close_write() {
            Err(Fault::Io(e)) => assert_eq!(e.kind(), ErrorKind::Unsupported),
            other => panic!("{other:?}"),
        }
        ours.write_all(b"goes on", soon()).expect("sent");
    }

    #[test]
    fn an_empty_message_is_the_end_of_what_the_peer_sends_for_good() {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(b"last").expect("sent");
        assert_eq!(theirs.write(&[]).expect("sent"), 0);
        let mut buffer = [0; 10];
        assert_eq!(ours.read(&mut buffer, soon()).expect("read"), 4);
        for _ in 0..2 {
            assert_eq!(ours.read(&mut buffer, soon()).expect("read"), 0);
        }
        // And data can still be sent.
        ours.write_all(b"more", soon()).expect("sent");
        theirs.read_exact(&mut buffer[..4]).expect("received");
        assert_eq!(&buffer[..4], b"more");
    }

    #[test]
    fn a_pipe_that_is_not_there_is_told_at_once_and_a_busy_one_is_waited_for() {
        let name = name();
        let begun = Instant::now();
        match connector(&name).connect(soon()).err() {
            Some(Fault::Io(e)) => assert!(is(&e, ERROR_FILE_NOT_FOUND), "{e}"),
            other => panic!("{other:?}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(5));
        // One instance, which is in use.
        let pipe = instance(&name, PIPE_TYPE_MESSAGE, 2);
        let _taken = connector(&name).connect(soon()).expect("a pipe");
        let ended = connector(&name).connect(within(100)).err();
        assert!(
            matches!(ended, Some(Fault::Stopped(Stop::TimedOut))),
            "{ended:?}"
        );
        let cancel = Cancel::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                cancel.cancel();
            });
            let wait = Wait::new(None, Some(&cancel));
            let ended = connector(&name).connect(wait).err();
            assert!(
                matches!(ended, Some(Fault::Stopped(Stop::Cancelled))),
                "{ended:?}"
            );
            // Another instance is created while it is waited for.
            let later = scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(100));
                instance(&name, PIPE_TYPE_MESSAGE, 2)
            });
            connector(&name).connect(soon()).expect("a pipe");
            drop(later.join());
        });
        drop(pipe);
    }

    #[test]
    fn a_peer_that_is_gone_is_an_error_for_who_sends() {
        let (mut ours, theirs) = pair();
        drop(theirs);
        let failed = std::iter::repeat_with(|| ours.write_all(&[0; 1000], soon()))
            .take(100)
            .find_map(Result::err);
        match failed {
            Some(Fault::Io(e)) => assert_eq!(e.kind(), ErrorKind::BrokenPipe),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_under_way_when_a_stream_is_dropped_is_over_before_its_memory_goes() {
        for _ in 0..50 {
            let (mut ours, _theirs) = pair();
            assert!(ours.is_quiet());
            let _ = ours.write_all(&[1; 200_000], within(1));
            let _ = ours.close_write();
        }
    }
}
