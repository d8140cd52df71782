//! The tar streams that the store creates itself: they contain only directories.

use crate::store::cache::files::look::RootLook;

pub(crate) use crate::store::pax::BLOCK;

/// How many zero bytes end an archive.
pub(crate) const END: usize = 2 * BLOCK;

/// The maximum number of zero bytes that a stream may contain in whole blocks. An archive has no holes: a hole in a file of the
/// source would be written out, and a sparse file may be larger than any disk.
pub(crate) const MOST_ZEROS: u64 = 4 << 30;

/// The mount point of the volume in the helper containers, and its name in the parent directory.
pub(crate) const PLACE: &str = "/c";
pub(crate) const NAME: &str = "c/";

/// The name of a volume's root in a stream that is extracted into it.
pub(crate) const ROOT: &str = "./";

/// A tar header for a directory.
pub(crate) fn folder(path: &str, owner: (u32, u32), look: RootLook) -> [u8; BLOCK] {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    // These names are a few letters long; a header has room for a hundred.
    let name = path.as_bytes();
    header.as_gnu_mut().expect("a GNU header was made").name[..name.len()].copy_from_slice(name);
    header.set_uid(owner.0.into());
    header.set_gid(owner.1.into());
    header.set_mode(look.mode);
    header.set_mtime(u64::try_from(look.mtime.0).unwrap_or_default());
    header.set_size(0);
    header.set_cksum();
    *header.as_bytes()
}

/// Returns an archive of these headers.
pub(crate) fn archive(headers: impl IntoIterator<Item = [u8; BLOCK]>) -> Vec<u8> {
    let mut stream: Vec<u8> = headers.into_iter().flatten().collect();
    stream.resize(stream.len() + END, 0);
    stream
}
