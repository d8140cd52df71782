//! What all copies of files out of or into a container share: an absolute path and a stream that is copied.

use std::io::{Read, Write};

use crate::engine::BodyReader;
use crate::error::{Error, ErrorKind, Result};

/// The buffer size for copying tar streams. It is large enough for few system calls, and small enough for many concurrent
/// copies. The bare socket in docs/benchmarks.md uses the same size.
const PIECE: usize = 256 << 10;

/// Refuses a path that is not absolute, or contains `..`. `what` names the path in the message.
pub(crate) fn absolute(what: &str, path: &str) -> Result<()> {
    if !path.starts_with('/') || path.contains('\0') {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("{what} {path:?} is not an absolute path"),
        ));
    }
    if path.split('/').any(|name| name == "..") {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("{what} {path:?} contains .."),
        ));
    }
    Ok(())
}

/// Copies all of `from` to `to`, and returns the number of bytes.
pub(crate) fn pour(from: &mut dyn Read, to: &mut dyn Write) -> Result<u64> {
    let mut buffer = vec![0; PIECE];
    let mut moved = 0;
    loop {
        let n = from
            .read(&mut buffer)
            .map_err(|e| Error::io("reading the files", &e))?;
        if n == 0 {
            return Ok(moved);
        }
        to.write_all(&buffer[..n])
            .map_err(|e| Error::io("writing the tar stream", &e))?;
        moved += n as u64;
    }
}

/// Gives an archive from the engine to `take`. If reading it failed, that is the error, whatever `take` made of it.
pub(crate) fn taken(
    mut body: BodyReader<'_>,
    take: impl FnOnce(&mut dyn Read) -> Result<u64>,
) -> Result<u64> {
    let done = take(&mut body);
    body.why().map_or(done, Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_stay_where_they_point() {
        for path in ["", "a", "../a", "/a/../b", "/..", "/a\0b"] {
            assert!(absolute("the path", path).is_err(), "{path:?}");
        }
        for path in ["/", "/a", "/a/b/", "/..a"] {
            assert!(absolute("the path", path).is_ok(), "{path:?}");
        }
    }
}
