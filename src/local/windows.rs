//! Windows, where a file that another process has open cannot always be replaced.

mod tree;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_FILE_TOO_LARGE, ERROR_SHARING_VIOLATION,
};

pub(crate) use self::tree::{Tree, dress_file};

/// The error number for a file that would be too large.
pub(crate) const TOO_LARGE: i32 = ERROR_FILE_TOO_LARGE as i32;

/// How long another process may keep a file open whose name is needed, and how often that is retried. A reader of one of our
/// files takes very little time; a virus scanner takes longer.
const IN_THE_WAY: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// Runs `open`, which opens files.
pub(crate) fn aside<T>(open: impl FnOnce() -> T) -> T {
    open()
}

/// Returns what `open` opens.
pub(crate) fn opened<F, E>(open: impl FnOnce() -> Result<F, E>) -> Result<F, E> {
    open()
}

/// Returns the maximum size of a file of this process: there is no limit.
pub(crate) fn longest_file() -> u64 {
    u64::MAX
}

/// `std::fs::rename`, which waits for other processes that have the replaced file open.
pub(crate) fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let end = Instant::now() + IN_THE_WAY;
    loop {
        let Err(e) = std::fs::rename(&from, &to) else {
            return Ok(());
        };
        let number = e.raw_os_error().map(|number| number as u32);
        let in_the_way = matches!(number, Some(ERROR_ACCESS_DENIED | ERROR_SHARING_VIOLATION));
        if !in_the_way || Instant::now() >= end {
            return Err(e);
        }
        std::thread::sleep(PAUSE);
    }
}
