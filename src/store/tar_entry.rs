//! The entries of a tar stream from an engine, one header at a time. Names and targets are any bytes, line breaks included,
//! which the crate `tar` (0.4) does not read: to it, a line break ends a record of an extended header.

use std::io::{self, Read};

use tar::{EntryType, Header};

use crate::store::pax::{self, BLOCK};

/// The maximum length of an extended header that is accepted: the names and attributes of one file. On Linux, a path has up to
/// 4 KiB and an attribute up to 64 KiB. An archive with a longer header was not created by an engine.
pub(crate) const EXTENDED_MAX: u64 = 4 << 20;

/// What is wrong with a stream that ends too early.
pub(crate) const NO_END: &str = "it has no end";

/// An entry: its header, and what precedes that.
pub(crate) struct Entry {
    pub(crate) header: Header,
    pub(crate) extended: Extended,
}

/// What precedes a header because it does not fit into it.
#[derive(Default)]
pub(crate) struct Extended {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) user: Option<u64>,
    pub(crate) group: Option<u64>,
    pub(crate) size: Option<u64>,
    /// Everything else: times, attributes.
    pub(crate) others: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Reads up to the contents of the next entry, which have [`padded`] bytes. Returns `None` for the first block of the end.
pub(crate) fn next(stream: &mut impl Read) -> io::Result<Option<Entry>> {
    let mut extended = Extended::default();
    loop {
        let mut header = Header::new_old();
        read_exact(stream, header.as_mut_bytes())?;
        if header.as_bytes().iter().all(|b| *b == 0) {
            return Ok(None);
        }
        match header.entry_type() {
            EntryType::XHeader => extended.take(&contents(stream, &header)?)?,
            EntryType::GNULongName => extended.path = Some(long(stream, &header)?),
            EntryType::GNULongLink => extended.link = Some(long(stream, &header)?),
            EntryType::XGlobalHeader => return Err(bad("it has a header for all of it")),
            _ => return Ok(Some(Entry { header, extended })),
        }
    }
}

impl Entry {
    /// Returns the whole name.
    pub(crate) fn path(&self) -> Vec<u8> {
        let path = self.extended.path.clone();
        path.unwrap_or_else(|| self.header.path_bytes().into_owned())
    }

    /// Returns what a link leads to.
    pub(crate) fn link(&self) -> Option<Vec<u8>> {
        let link = self.extended.link.clone();
        link.or_else(|| self.header.link_name_bytes().map(|link| link.into_owned()))
    }

    /// Returns the numbers of the user and the group.
    pub(crate) fn owner(&self) -> io::Result<(u64, u64)> {
        let Extended { user, group, .. } = self.extended;
        Ok((
            user.map_or_else(|| self.header.uid(), Ok)?,
            group.map_or_else(|| self.header.gid(), Ok)?,
        ))
    }

    /// Returns how many bytes of contents follow, without padding. A directory and a link have none, whatever they say.
    pub(crate) fn size(&self) -> io::Result<u64> {
        let kind = self.header.entry_type();
        let size = self.extended.size;
        match kind.is_dir() || kind.is_symlink() || kind.is_hard_link() {
            true => Ok(0),
            false => size.map_or_else(|| self.header.entry_size(), Ok),
        }
    }

    /// Returns when it was last written: seconds since 1970, and nanoseconds.
    pub(crate) fn changed(&self) -> io::Result<(i64, u32)> {
        let mut others = self.extended.others.iter();
        match others.find(|(key, _)| key == b"mtime") {
            Some((_, text)) => moment(text).ok_or_else(|| bad("a time in it is not a number")),
            None => Ok((i64::try_from(self.header.mtime()?).unwrap_or(i64::MAX), 0)),
        }
    }
}

impl Extended {
    fn take(&mut self, text: &[u8]) -> io::Result<()> {
        let mut rest = text;
        while !rest.is_empty() {
            let (key, value, after) =
                pax::record(rest).ok_or_else(|| bad("an extended header of it is invalid"))?;
            rest = after;
            let number = || std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"uid" => self.user = number(),
                b"gid" => self.group = number(),
                b"size" => self.size = number(),
                b"uname" | b"gname" => {}
                _ => self.others.push((key.to_vec(), value.to_vec())),
            }
        }
        Ok(())
    }
}

/// The contents of an extended header.
fn contents(stream: &mut impl Read, header: &Header) -> io::Result<Vec<u8>> {
    let size = header.entry_size()?;
    if size > EXTENDED_MAX {
        return Err(bad("an extended header of it is too long"));
    }
    let mut text = vec![0; usize::try_from(padded(size)).unwrap_or_default()];
    read_exact(stream, &mut text)?;
    text.truncate(usize::try_from(size).unwrap_or_default());
    Ok(text)
}

fn long(stream: &mut impl Read, header: &Header) -> io::Result<Vec<u8>> {
    let mut name = contents(stream, header)?;
    name.truncate(name.iter().position(|b| *b == 0).unwrap_or(name.len()));
    Ok(name)
}

/// Parses seconds since 1970 with a fraction: half a second before that is -0.5.
fn moment(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.get(..9).unwrap_or(fraction);
    let nanos: u32 = format!("{digits:0<9}").parse().ok()?;
    match (whole.starts_with('-'), nanos) {
        (_, 0) => Some((seconds, 0)),
        (false, nanos) => Some((seconds, nanos)),
        (true, nanos) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos)),
    }
}

pub(crate) fn read_exact(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<()> {
    stream.read_exact(buffer).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => bad(NO_END),
        _ => e,
    })
}

/// Returns the size of contents with what fills the last block.
pub(crate) fn padded(size: u64) -> u64 {
    size.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64)
}

/// Returns how many bytes fill the last block.
pub(crate) fn padding(size: u64) -> u64 {
    padded(size) - size
}

/// Returns the parts of a name: leading and trailing slashes have no meaning, and neither has a dot.
pub(crate) fn parts(name: &[u8]) -> Vec<Vec<u8>> {
    let parts = name.split(|b| *b == b'/');
    let parts = parts.filter(|part| !part.is_empty() && *part != b".");
    parts.map(<[u8]>::to_vec).collect()
}

/// Returns the name relative to a directory: empty for the directory itself, and `None` if it is not below that.
pub(crate) fn below(name: &[u8], folder: &[Vec<u8>]) -> Option<Vec<u8>> {
    let parts = parts(name);
    let rest = parts.strip_prefix(folder)?;
    let leaves = parts.iter().any(|part| part == b"..");
    (!leaves).then(|| rest.join(&b'/'))
}

/// Reads past so many bytes.
pub(crate) fn skip(stream: &mut impl Read, bytes: u64) -> io::Result<()> {
    io::copy(&mut Read::take(stream, bytes), &mut io::sink()).map(drop)
}

pub(crate) fn bad(why: &str) -> io::Error {
    io::Error::other(format!("the engine's tar stream is unusable: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_nanoseconds_and_may_be_before_1970() {
        for (text, expected) in [
            ("5", Some((5, 0))),
            ("5.1", Some((5, 100_000_000))),
            ("5.0000000019", Some((5, 1))),
            ("-0.5", Some((-1, 500_000_000))),
            ("-2", Some((-2, 0))),
            ("-2.25", Some((-3, 750_000_000))),
            ("", None),
            ("5.x", None),
            ("5.-1", None),
        ] {
            assert_eq!(moment(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn names_and_targets_are_any_bytes() {
        let mut records = Vec::new();
        pax::add(&mut records, b"path", b"a\nb\xff/c");
        pax::add(&mut records, b"linkpath", b"x\n5 y=z\n");
        pax::add(&mut records, b"uid", b"70000");
        pax::add(&mut records, b"mtime", b"1.5");
        let mut stream = pax::header(&records);
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Symlink);
        header.set_gid(3);
        header.set_mtime(1);
        header.set_size(700);
        stream.extend(header.as_bytes());
        stream.extend([0; 1024]);
        let mut rest = &stream[..];
        let entry = next(&mut rest).expect("an entry").expect("not the end");
        assert_eq!(entry.path(), b"a\nb\xff/c");
        assert_eq!(entry.link().as_deref(), Some(&b"x\n5 y=z\n"[..]));
        assert_eq!(entry.owner().expect("an owner"), (70_000, 3));
        assert_eq!(entry.changed().expect("a time"), (1, 500_000_000));
        assert_eq!(entry.size().expect("a size"), 0);
        assert!(next(&mut rest).expect("the end").is_none());
        assert_eq!(rest.len(), 512);
    }
}
