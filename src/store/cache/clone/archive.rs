//! Volumes that are accessed only through the engine's archive calls: filled, read and copied as tar streams, with containers
//! that are never started.
//!
//! An engine's "200" says that it has read a stream, not where it has put the files. So what was copied is read back and
//! compared.

use crate::engine::volumes::Volume;
use crate::error::{Error, ErrorKind, Result};
use crate::store::cache::clone::volumes;
use crate::store::cache::facts::{Archives, Facts, NO_ARCHIVES, RootBy};
use crate::store::cache::files::owners::Owners;
use crate::store::cache::files::tar::{MOST_ZEROS, NAME, PLACE, ROOT, archive, folder};
use crate::store::cache::files::tree::{Root, Seen, Tree};
use crate::store::helper::Helper;
use crate::store::site::Site;
use crate::wait::Wait;

/// Returns how volumes are copied, if they can be.
pub(crate) fn ways(facts: &Facts) -> Result<Archives> {
    let ways = facts.archives;
    ways.ok_or_else(|| Error::new(ErrorKind::Unsupported, NO_ARCHIVES))
}

/// Extracts a stream, whose names are relative, into the volume of a helper.
pub(crate) fn fill(helper: &Helper<'_>, stream: &[u8], wait: Wait<'_>) -> Result<()> {
    helper.put(PLACE, &mut &stream[..], wait)
}

/// Sets the owner and attributes of the volume's root. Call this after filling it, which changes the root's time.
pub(crate) fn set_root(helper: &Helper<'_>, by: RootBy, root: Root, wait: Wait<'_>) -> Result<()> {
    let (place, name) = match by {
        RootBy::Itself => (PLACE, ROOT),
        RootBy::Parent => ("/", NAME),
    };
    let stream = archive([folder(name, root.owner, root.look)]);
    helper.put(place, &mut stream.as_slice(), wait)
}

/// Returns the owner and attributes of the volume's root.
pub(crate) fn root(helper: &Helper<'_>, owners: Owners, wait: Wait<'_>) -> Result<Root> {
    let mut stream = helper.get(PLACE, wait)?;
    let root = Tree::new(&mut stream, owners, None).root();
    root.map_err(|e| {
        let doing = "reading the root of a volume";
        stream.why().unwrap_or_else(|| Error::io(doing, &e))
    })
}

/// Reads the whole volume.
pub(crate) fn read(helper: &Helper<'_>, owners: Owners, wait: Wait<'_>) -> Result<Seen> {
    let mut stream = helper.get(PLACE, wait)?;
    let mut tree = Tree::new(&mut stream, owners, None);
    let seen = tree.finish();
    if tree.is_too_hollow() {
        // The next generation could not be leased.
        return Err(too_hollow("reading the files of a lease"));
    }
    seen.map_err(|e| {
        let doing = "reading the files of a lease";
        stream.why().unwrap_or_else(|| Error::io(doing, &e))
    })
}

/// Makes `to` an empty tree with this root, and returns its digest.
pub(crate) fn empty(
    site: &Site,
    archives: Archives,
    to: &Volume,
    root: Root,
    wait: Wait<'_>,
) -> Result<String> {
    let helper = volumes::helper(site, &to.name, wait)?;
    set_root(&helper, archives.root, root, wait)?;
    let arrived = read(&helper, archives.owners, wait)?;
    helper.remove();
    let stream = archive([folder(ROOT, root.owner, root.look)]);
    let sent = Tree::new(stream.as_slice(), Owners::default(), None).finish();
    let sent = sent.map_err(|e| Error::io("reading a new lease", &e))?;
    same(&to.name, &sent, &arrived)?;
    Ok(arrived.digest)
}

/// Copies one volume into another through two containers, and returns its digest. Two, because a download and an upload on the
/// same container deadlock the engine. Gives the root to `owner`, if that is set.
pub(crate) fn copy(
    site: &Site,
    archives: Archives,
    from: &str,
    to: &Volume,
    owner: Option<(u32, u32)>,
    wait: Wait<'_>,
) -> Result<String> {
    let source = volumes::helper(site, from, wait)?;
    let target = volumes::helper(site, &to.name, wait)?;
    let mut stream = source.get(PLACE, wait)?;
    let mut tree = Tree::new(&mut stream, archives.owners, owner);
    let put = target.put(PLACE, &mut tree, wait);
    // The engine may stop reading at the archive's end marker; the data behind it must be checked, too.
    let done = put.and_then(|()| {
        tree.finish()
            .map_err(|e| Error::io(format!("copying volume {from}"), &e))
    });
    if tree.is_too_hollow() {
        return Err(too_hollow(&format!("copying volume {from}")));
    }
    // An error of the download explains the error of the upload.
    let sent = done.map_err(|e| stream.why().unwrap_or(e))?;
    drop(stream);
    source.remove();
    set_root(&target, archives.root, sent.root, wait)?;
    let arrived = read(&target, archives.owners, wait)?;
    target.remove();
    same(&to.name, &sent, &arrived)?;
    site.counters.bytes_copied.add(sent.bytes);
    Ok(arrived.digest)
}

/// Refuses a volume that does not contain what was sent to it.
fn same(volume: &str, sent: &Seen, arrived: &Seen) -> Result<()> {
    if sent.digest == arrived.digest {
        return Ok(());
    }
    let why = match (sent.entries, arrived.entries) {
        (sent, arrived) if sent != arrived => format!("{arrived} of {sent} entries are there"),
        _ if sent.root != arrived.root => {
            format!("its root is {:?} and not {:?}", arrived.root, sent.root)
        }
        _ => String::from("its files are not the same"),
    };
    Err(Error::new(
        ErrorKind::Engine,
        format!(
            "copying files to volume {volume}: the engine accepted all of them, but what it returns is different: {why}"
        ),
    ))
}

/// Returns the error for a tree with large holes, which an archive would write out: it is neither copied nor made a generation.
fn too_hollow(doing: &str) -> Error {
    let most = MOST_ZEROS >> 30;
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "{doing}: there are more than {most} GiB of zeros in it, as in sparse files, and the engine's archive calls, through \
             which it is accessed, would write them all out; keep such files out of the cache, or delete it"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::cache::files::look::RootLook;

    #[test]
    fn a_clone_that_is_not_what_was_sent_is_refused_and_says_what_is_missing() {
        let look = RootLook {
            mode: 0o755,
            mtime: (1, 0),
        };
        let seen = |names: &[&str], owner| {
            let entries = names.iter().map(|name| folder(name, owner, look));
            let stream = archive(entries);
            let mut tree = Tree::new(stream.as_slice(), Owners::default(), None);
            tree.finish().expect("whole")
        };
        // Podman extracts nothing from a stream that starts with the name of the directory.
        let sent = seen(&["c/", "c/kept/"], (1, 2));
        let missing = same("v", &sent, &seen(&["/"], (1, 2))).expect_err("refused");
        assert!(missing.message().contains("1 of 2 entries"), "{missing}");
        let other = same("v", &sent, &seen(&["c/", "c/other/"], (1, 2))).expect_err("refused");
        assert!(other.message().contains("not the same"), "{other}");
        let owner = same("v", &seen(&["c/"], (1, 2)), &seen(&["c/"], (0, 0)));
        let owner = owner.expect_err("refused");
        assert!(owner.message().contains("its root"), "{owner}");
        assert!(same("v", &sent, &seen(&["/", "/kept"], (1, 2))).is_ok());
    }
}
