//! Which users may use a root: its owner, or a group that was set. A directory that another user prepared is refused, as `ssh`
//! does with its files: that user could read or replace what is written to it, and could hold its locks forever.
//!
//! Only `.store` has a mode of its own; what is created below it gets the permissions of its parent directory.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;

use rustix::process::{getegid, geteuid};

use crate::error::{Error, ErrorKind, Result};
use crate::local::{self as fs, OpenOptions};

/// The bits that mark a directory as a group's, and that no other directory has by chance: set-group-id, so that everything
/// below it belongs to the group, and write permission for the group.
const SHARED: u32 = 0o2070;
const FOR_OWNER: u32 = 0o700;
const FOR_GROUP: u32 = 0o2770;

/// Refuses a root, or a directory of one, that another user could have prepared or could replace. `group` may own it, too.
pub(crate) fn check(path: &Path, group: Option<u32>) -> Result<()> {
    let refused = |what: String| {
        let why = format!("refusing to use {}: {what}", path.display());
        Err(Error::new(ErrorKind::InvalidArgument, why))
    };
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(format!("looking at {}", path.display()), &e)),
    };
    if found.is_symlink() {
        return refused("it is a symbolic link, which leads out of the root; put a directory there, or mount one".into());
    }
    if !found.is_dir() {
        return refused("it exists but is not a directory".into());
    }
    let of_group = group == Some(found.gid());
    let (owner, user) = (found.uid(), geteuid().as_raw());
    if owner != user && owner != 0 && !of_group && !is_known_as(owner, path) {
        return refused(format!(
            "it belongs to user {owner}, and user {user} opens it; give it to that user (chown), use a root of your own, or open it \
             for a group that both are in"
        ));
    }
    let (mode, sticky) = (found.mode() & 0o7777, found.mode() & 0o1000 != 0);
    if mode & 0o002 != 0 && !sticky {
        return refused(format!(
            "any user may write to it (mode {mode:o}); remove that permission (chmod o-w)"
        ));
    }
    if mode & 0o020 != 0
        && !sticky
        && !of_group
        && !is_private_group(found.gid())
        && !is_ours(&found)
    {
        return refused(format!(
            "its group {} may write to it (mode {mode:o}); remove that permission (chmod g-w), or open it for that group",
            found.gid()
        ));
    }
    Ok(())
}

/// Returns whether it is the user's private group, with the same number, as many systems create for each user.
fn is_private_group(group: u32) -> bool {
    group == 0 || (group == getegid().as_raw() && group == geteuid().as_raw())
}

/// Returns whether this user has already shared it with a group: later opens need not name the group.
fn is_ours(found: &Metadata) -> bool {
    found.uid() == geteuid().as_raw() && found.mode() & SHARED == SHARED
}

/// Returns whether this process is the user `owner` in this file system: some file systems do not store owners, and some map
/// all files to one owner.
fn is_known_as(owner: u32, folder: &Path) -> bool {
    let probe = folder.join(format!(".docker-store-{}", std::process::id()));
    let made = fs::open_with(
        OpenOptions::new().write(true).create_new(true).mode(0o600),
        &probe,
    );
    let known = made.and_then(|file| file.metadata());
    let _ = fs::remove_file(&probe);
    known.is_ok_and(|found| found.uid() == owner)
}

/// Creates the library's own directory of a root, or makes an existing one accessible only to the right users: version 0.1 made
/// it readable for all users.
pub(crate) fn make_own(path: &Path, group: Option<u32>) -> Result<()> {
    let doing = |e: io::Error| Error::io(format!("creating the directory {}", path.display()), &e);
    check(path, group)?;
    match fs::DirBuilder::new().mode(FOR_OWNER).create(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(doing(e)),
        _ => check(path, group)?,
    }
    let found = fs::metadata(path).map_err(doing)?;
    if found.uid() != geteuid().as_raw() {
        return Ok(()); // Only its owner can change it.
    }
    match group {
        Some(group) if found.gid() != group || found.mode() & 0o7777 != FOR_GROUP => {
            share_all(path, group).map_err(doing)
        }
        None if found.mode() & SHARED != SHARED && found.mode() & 0o7777 != FOR_OWNER => {
            fs::set_permissions(path, fs::Permissions::from_mode(FOR_OWNER)).map_err(doing)
        }
        _ => Ok(()),
    }
}

/// Gives a directory and everything in it to a group.
fn share_all(folder: &Path, group: u32) -> io::Result<()> {
    chown(folder, None, Some(group))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(FOR_GROUP))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.metadata()?;
        if found.is_dir() {
            share_all(&entry.path(), group)?;
        } else if found.is_file() {
            chown(entry.path(), None, Some(group))?;
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o660))?;
        }
    }
    Ok(())
}

/// Creates `state` or `logs`, according to the umask or for the group, unless it exists.
pub(crate) fn make_public(path: &Path, group: Option<u32>) -> Result<()> {
    let doing = |e: io::Error| Error::io(format!("creating the directory {}", path.display()), &e);
    match fs::DirBuilder::new().mode(0o755).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(doing)?,
    }
    check(path, group)?;
    let found = fs::metadata(path).map_err(doing)?;
    match group {
        Some(group) if found.uid() == geteuid().as_raw() && found.mode() & SHARED != SHARED => {
            share_all(path, group).map_err(doing)
        }
        _ => Ok(()),
    }
}

/// Returns whether the contents of `folder` belong to a group.
fn is_shared(folder: Option<&Path>) -> bool {
    let found = folder.map(fs::metadata);
    matches!(found, Some(Ok(found)) if found.mode() & SHARED == SHARED)
}

/// Creates a directory with the access of its parent directory.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(FOR_OWNER).create(path)?;
    match is_shared(path.parent()) {
        true => fs::set_permissions(path, fs::Permissions::from_mode(FOR_GROUP)),
        false => Ok(()),
    }
}

/// Opens one of the library's own files. If `options` create it, it gets the access of its directory.
pub(crate) fn open_with(options: &OpenOptions, path: &Path) -> io::Result<File> {
    let file = fs::open_with(options.clone().mode(0o600), path)?;
    // Only its owner may do this, which is the user who created it. It costs one check if there is no group.
    if is_shared(path.parent()) && file.metadata()?.uid() == geteuid().as_raw() {
        file.set_permissions(fs::Permissions::from_mode(0o660))?;
    }
    Ok(file)
}

/// Creates or truncates one of the library's own files.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    open_with(
        OpenOptions::new().write(true).create(true).truncate(true),
        path,
    )
}

/// Writes one of the library's own files.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::room(0, content.len())?;
    create(path)?.write_all(content)
}

/// Creates the log of a step, according to the umask or for the group. Never through a link, and never an existing file.
pub(crate) fn create_log(path: &Path) -> io::Result<File> {
    let file = fs::open_with(OpenOptions::new().write(true).create_new(true), path)?;
    if is_shared(path.parent()) {
        file.set_permissions(fs::Permissions::from_mode(0o660))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let path =
            std::env::temp_dir().join(format!("docker-store-access-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        path
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").mode() & 0o7777
    }

    #[test]
    fn what_others_could_have_prepared_is_refused_and_told_how_to_mend() {
        let path = folder("refused");
        let told = |path: &Path| {
            check(path, None)
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default()
        };
        assert_eq!(told(&path), "");
        assert_eq!(told(&path.join("none")), "");
        symlink("/tmp", path.join("link")).expect("a link");
        assert!(told(&path.join("link")).contains("put a directory there"));
        std::fs::write(path.join("file"), "").expect("a file");
        assert!(told(&path.join("file")).contains("not a directory"));
        for (mode, part) in [
            (0o777, "chmod o-w"),
            (0o757, "chmod o-w"),
            (0o1777, ""),
            (0o700, ""),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            let said = told(&path);
            assert!(
                said.contains(part) && said.is_empty() == part.is_empty(),
                "{mode:o}: {said}"
            );
        }
        // Only root may change the owner of files.
        if geteuid().is_root() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o775)).expect("a mode");
            chown(&path, None, Some(4242)).expect("given");
            assert!(told(&path).contains("chmod g-w"));
            assert!(check(&path, Some(4242)).is_ok());
            chown(&path, Some(4242), None).expect("given");
            assert!(told(&path).contains("belongs to user 4242"));
            assert!(check(&path, Some(4242)).is_ok() && check(&path, Some(1)).is_err());
        }
        assert!(
            !path
                .join(format!(".docker-store-{}", std::process::id()))
                .exists()
        );
        fs::remove_dir_all(&path).expect("removed");
    }

    #[test]
    fn what_is_made_is_its_owners_or_the_groups_and_a_root_of_0_1_is_closed() {
        let path = folder("made");
        let (own, group) = (path.join(".store"), getegid().as_raw());
        // As version 0.1 created it.
        fs::create_dir(&own).expect("a folder");
        fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).expect("a mode");
        make_own(&own, None).expect("closed");
        assert_eq!(mode(&own), 0o700);
        create_dir(&own.join("builds")).expect("a folder");
        write(&own.join("builds/one"), b"1").expect("a file");
        assert_eq!(
            (mode(&own.join("builds")), mode(&own.join("builds/one"))),
            (0o700, 0o600)
        );

        make_own(&own, Some(group)).expect("shared");
        let (folder, file) = (own.join("builds"), own.join("builds/one"));
        assert_eq!(
            (mode(&own), mode(&folder), mode(&file)),
            (0o2770, 0o2770, 0o660)
        );
        // Without naming the group again.
        make_own(&own, None).expect("as it is");
        create_dir(&folder.join("new")).expect("a folder");
        write(&folder.join("new/two"), b"2").expect("a file");
        assert_eq!(
            (
                mode(&own),
                mode(&folder.join("new")),
                mode(&folder.join("new/two"))
            ),
            (0o2770, 0o2770, 0o660)
        );
        fs::remove_dir_all(&path).expect("removed");
    }
}
