//! [`Polled`]: a stream that never blocks by itself. How to wait for such a stream is written here, once for all kinds.

use std::io;

use super::{Fault, Moved, Stream};
use crate::os::{PollFlags, Watched};
use crate::wait::Wait;

/// A stream that transfers bytes without waiting, and can be waited for.
pub(super) trait Polled: Send {
    /// Sends what can be sent without waiting; returns `None` if that is nothing. It may still hold the bytes it accepted: see
    /// [`flush`](Self::flush).
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<Option<usize>>;

    /// Reads what has arrived; returns `None` if nothing has, and `Some(0)` at the end of the stream.
    fn try_receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Returns whether data has most likely arrived, so that a read without a poll is worth a system call.
    fn is_eager(&mut self) -> bool;

    /// Waits until it is ready for one of `events`, or `other` has occurred; returns which of the two, and which events. In the
    /// meantime it does anything else that the stream needs.
    fn ready(
        &mut self,
        events: PollFlags,
        other: Option<Watched<'_>>,
        wait: Wait<'_>,
    ) -> Result<[PollFlags; 2], Fault>;

    /// Sends everything that it still holds.
    fn flush(&mut self, _wait: Wait<'_>) -> Result<(), Fault> {
        Ok(())
    }

    /// Says that no more will be sent.
    fn end_sending(&mut self) -> io::Result<()>;

    /// Returns whether it is open, and nothing has arrived.
    fn is_silent(&mut self) -> bool;
}

impl<T: Polled> Stream for T {
    fn read(&mut self, buffer: &mut [u8], wait: Wait<'_>) -> Result<usize, Fault> {
        // Reading before there is a response would waste a system call each time, so an ordinary read polls first.
        if self.is_eager() {
            wait.left()?;
            if let Some(received) = self.try_receive(buffer)? {
                return Ok(received);
            }
        }
        loop {
            self.ready(PollFlags::IN, None, wait)?;
            if let Some(received) = self.try_receive(buffer)? {
                return Ok(received);
            }
        }
    }

    fn read_beside(
        &mut self,
        buffer: &mut [u8],
        other: Watched<'_>,
        wait: Wait<'_>,
    ) -> Result<Option<usize>, Fault> {
        if self.is_eager() {
            wait.left()?;
            if let Some(received) = self.try_receive(buffer)? {
                return Ok(Some(received));
            }
        }
        loop {
            let [ours, theirs] = self.ready(PollFlags::IN, Some(other), wait)?;
            if !ours.is_empty() {
                if let Some(received) = self.try_receive(buffer)? {
                    return Ok(Some(received));
                }
            }
            if !theirs.is_empty() {
                return Ok(None);
            }
        }
    }

    fn write_all(&mut self, mut bytes: &[u8], wait: Wait<'_>) -> Result<(), Fault> {
        wait.left()?;
        while !bytes.is_empty() {
            match self.try_send(bytes)? {
                Some(sent) => bytes = &bytes[sent..],
                None => {
                    self.ready(PollFlags::OUT, None, wait)?;
                }
            }
        }
        self.flush(wait)
    }

    fn exchange(&mut self, out: &[u8], buffer: &mut [u8], wait: Wait<'_>) -> Result<Moved, Fault> {
        if out.is_empty() {
            let received = match buffer {
                [] => None,
                _ => Some(self.read(buffer, wait)?),
            };
            return Ok(Moved { sent: 0, received });
        }
        wait.left()?;
        let mut wanted = PollFlags::OUT;
        wanted.set(PollFlags::IN, !buffer.is_empty());
        // In the first iteration, try both: neither a peer that accepts everything nor one that sends without end may keep the
        // other direction from being served.
        let mut ready_for = wanted;
        loop {
            let sent = match ready_for.intersects(PollFlags::OUT) {
                true => self.try_send(out).transpose(),
                false => None,
            };
            let received = match ready_for.intersects(PollFlags::IN) {
                true => self.try_receive(buffer)?,
                false => None,
            };
            match (sent, received) {
                (None, None) => {}
                // The data that has arrived may explain why nothing more can be sent.
                (Some(Err(_)), Some(1..)) => return Ok(Moved { sent: 0, received }),
                (Some(Err(error)), _) => return Err(Fault::Io(error)),
                (Some(Ok(sent)), _) => return Ok(Moved { sent, received }),
                (None, Some(_)) => return Ok(Moved { sent: 0, received }),
            }
            [ready_for, _] = self.ready(wanted, None, wait)?;
            if ready_for.intersects(PollFlags::HUP | PollFlags::ERR) {
                ready_for = wanted;
            }
        }
    }

    fn close_write(&mut self) -> Result<(), Fault> {
        Ok(self.end_sending()?)
    }

    fn is_quiet(&mut self) -> bool {
        self.is_silent()
    }
}
