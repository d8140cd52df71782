//! [`Polled`]: a stream that never blocks by itself. How such a stream is waited on is written here, once for all kinds.

use std::io;

use super::{Fault, Moved, Stream};
use crate::os::{PollFlags, Watched};
use crate::wait::Wait;

/// What moves bytes without waiting, and can be waited for.
pub(super) trait Polled: Send {
    /// Sends what goes without waiting; `None` when nothing does. What it has taken it may still hold: [`flush`](Self::flush).
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<Option<usize>>;

    /// Reads what has arrived; `None` when nothing has, `Some(0)` at the end of the stream.
    fn try_receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Whether something has most likely arrived, so that asking for it without a poll is worth a call.
    fn is_eager(&mut self) -> bool;

    /// Waits until it is ready for one of `events`, or `other` has come; says which for what. Whatever else the stream has to
    /// do meanwhile, it does.
    fn ready(
        &mut self,
        events: PollFlags,
        other: Option<Watched<'_>>,
        wait: Wait<'_>,
    ) -> Result<[PollFlags; 2], Fault>;

    /// Sends all that it still holds.
    fn flush(&mut self, _wait: Wait<'_>) -> Result<(), Fault> {
        Ok(())
    }

    /// Says that no more will be sent.
    fn end_sending(&mut self) -> io::Result<()>;

    /// Whether it is open, and nothing has arrived.
    fn is_silent(&mut self) -> bool;
}

impl<T: Polled> Stream for T {
    fn read(&mut self, buffer: &mut [u8], wait: Wait<'_>) -> Result<usize, Fault> {
        // Asking before there is an answer would waste a call each time, so an ordinary read polls first.
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
        // The first time round, try both: neither a peer that takes everything nor one that talks without end may
        // keep the other direction from being seen.
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
                // What has arrived may say why nothing more can be sent.
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
