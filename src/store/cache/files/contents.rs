//! Copying the contents of one file: shared with the source if the file system supports that (reflinks), otherwise copied by
//! the kernel, or by this process if the kernel refuses. Holes stay holes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{SeekFrom, Stat, copy_file_range, ftruncate, ioctl_ficlone, seek};
use rustix::io::Errno;

use crate::store::cache::files::walk::{self, Fault};
use crate::wait::Wait;

/// How much is copied between two checks of the deadline. A slow disk writes this much in a fraction of a second, so a call
/// still ends in time. A smaller size would only cause more system calls.
const PIECE: usize = 16 << 20;

/// Copies files of one file system to another.
pub(crate) struct Contents<'a> {
    /// Whether sharing contents has not failed yet.
    reflink: bool,
    /// How much was copied.
    pub(crate) bytes: u64,
    wait: Wait<'a>,
}

impl<'a> Contents<'a> {
    pub(crate) fn new(wait: Wait<'a>) -> Self {
        Contents {
            reflink: true,
            bytes: 0,
            wait,
        }
    }

    /// Fills the empty file `to` with the contents of `from`, whose metadata is `stat`.
    pub(crate) fn copy(&mut self, from: &OwnedFd, to: &OwnedFd, stat: &Stat) -> Result<(), Fault> {
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        self.bytes += size;
        if size == 0 {
            return Ok(());
        }
        crate::local::room(0, usize::try_from(size).unwrap_or(usize::MAX))?;
        if self.reflink {
            match ioctl_ficlone(to, from) {
                Ok(()) => return Ok(()),
                // Not supported: a different file system, or two of them.
                Err(_) => self.reflink = false,
            }
        }
        if walk::blocks(stat) >= size {
            self.extent(from, to, 0, size)?;
        } else {
            self.extents(from, to, size)?;
        }
        Ok(())
    }

    /// Copies the parts of a file that are not holes.
    fn extents(&self, from: &OwnedFd, to: &OwnedFd, size: u64) -> Result<(), Fault> {
        let mut at = 0;
        while at < size {
            let data = match seek(from, SeekFrom::Data(at)) {
                Ok(data) => data,
                // Only a hole up to the end.
                Err(Errno::NXIO) => break,
                Err(e) => return Err(e.into()),
            };
            let hole = seek(from, SeekFrom::Hole(data))?.min(size);
            self.extent(from, to, data, hole)?;
            at = hole;
        }
        ftruncate(to, size)?;
        Ok(())
    }

    fn extent(&self, from: &OwnedFd, to: &OwnedFd, start: u64, end: u64) -> Result<(), Fault> {
        let (mut read_at, mut write_at) = (start, start);
        while read_at < end {
            self.wait.left()?;
            let piece = usize::try_from(end - read_at).unwrap_or(PIECE).min(PIECE);
            match copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), piece) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(_) => {}
                Err(Errno::INTR) => {}
                Err(Errno::NOSYS | Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM) => {
                    return self.extent_by_hand(from, to, read_at, end);
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn extent_by_hand(
        &self,
        from: &OwnedFd,
        to: &OwnedFd,
        start: u64,
        end: u64,
    ) -> Result<(), Fault> {
        let (mut from, mut to) = (File::from(from.try_clone()?), File::from(to.try_clone()?));
        seek(&from, SeekFrom::Start(start))?;
        seek(&to, SeekFrom::Start(start))?;
        let mut buffer = vec![0; 256 << 10];
        let mut left = end - start;
        while left > 0 {
            self.wait.left()?;
            let piece = usize::try_from(left)
                .unwrap_or(buffer.len())
                .min(buffer.len());
            let n = match from.read(&mut buffer[..piece]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if n == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            to.write_all(&buffer[..n])?;
            left -= n as u64;
        }
        Ok(())
    }
}
