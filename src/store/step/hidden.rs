//! Hiding the mount points that an engine created for secrets, if this process cannot access the container's layer: the engine
//! is on another machine, the user lacks permission, or the engine uses containerd's image store, which does not reveal where a
//! container's files are.
//!
//! No API call removes a file. But if an image is loaded whose layers the engine has, one more layer can be added that declares
//! files as removed.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use crate::error::{Error, ErrorKind, Result};
use crate::os;
use crate::store::step::StepContext;
use crate::store::tar_entry::{self, Entry};

/// The maximum number of links to follow on the way to a target, as in the kernel.
const LINKS_MAX: u32 = 40;

/// The prefix by which a layer declares that something below it is removed (the OCI image specification, `layer.md`).
const GONE: &str = ".wh.";

/// The metadata of a file in a container.
#[derive(Clone, Debug)]
struct Look {
    kind: EntryType,
    owner: (u64, u64),
    mode: u32,
    time: u64,
    link: Option<PathBuf>,
}

impl Look {
    /// Returns whether it looks like a directory that an engine created on the way to a target.
    fn is_as_made(&self) -> bool {
        self.kind == EntryType::Directory && self.owner == (0, 0) && self.mode == 0o755
    }
}

/// Returns the metadata of what is at a path, if anything is.
type Looks<'a> = &'a mut dyn FnMut(&Path) -> Result<Option<Look>>;

/// What was mounted in a container that has ended, and which files are new in it.
pub(super) struct Covered {
    targets: Vec<String>,
    new: BTreeSet<PathBuf>,
}

impl Covered {
    /// Examines `container`, in which something was mounted at `targets`.
    pub(super) fn of(step: &StepContext<'_>, container: &str, targets: &[String]) -> Result<Self> {
        let changes = step
            .site
            .engine
            .changes_in_container(container, step.wait)?;
        let new = changes.into_iter().filter(|change| change.is_new());
        Ok(Covered {
            targets: targets.to_vec(),
            new: new.map(|change| change.path.into()).collect(),
        })
    }

    /// Returns the layer that hides the mount points; `None` if there is nothing to hide. `container` has the same files and no
    /// mounts: an engine may refuse to read from a container in which something is mounted behind a link (Docker 28.5).
    pub(super) fn layer_over(
        &self,
        step: &StepContext<'_>,
        container: &str,
    ) -> Result<Option<Vec<u8>>> {
        let mut seen = HashMap::new();
        let mut looks = |path: &Path| {
            if !seen.contains_key(path) {
                let found = look(step, container, path)?;
                seen.insert(path.to_owned(), found);
            }
            Ok(seen.get(path).cloned().flatten())
        };
        let mut points = BTreeSet::new();
        for target in &self.targets {
            points.extend(resolve(target, &self.new, &mut looks)?);
        }
        let hidden = hidden(&points, &self.new, &mut looks)?;
        match hidden.is_empty() {
            true => Ok(None),
            false => pack(&hidden, &mut looks).map(Some),
        }
    }
}

/// Reads the metadata from the first entry of an archive of the path. No more of it is read.
fn look(step: &StepContext<'_>, container: &str, path: &Path) -> Result<Option<Look>> {
    let Some(path) = path.to_str() else {
        return Ok(None);
    };
    let mut archive = match step.site.engine.get_archive(container, path, step.wait) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        archive => archive?,
    };
    let read = |entry: Entry| -> std::io::Result<Look> {
        let header = &entry.header;
        let link = entry.link().unwrap_or_default();
        let is_link = header.entry_type().is_symlink();
        Ok(Look {
            kind: header.entry_type(),
            owner: entry.owner()?,
            mode: header.mode()? & 0o7777,
            time: header.mtime()?,
            link: os::text_of(&link).filter(|_| is_link).map(PathBuf::from),
        })
    };
    let found = tar_entry::next(&mut archive).and_then(|entry| entry.map(read).transpose());
    found.map_err(|e| {
        let doing = format!("reading {path} in container {container}");
        archive.why().unwrap_or_else(|| Error::io(doing, &e))
    })
}

/// Returns where `target` leads, after following all links, if that path is new.
fn resolve(target: &str, new: &BTreeSet<PathBuf>, looks: Looks<'_>) -> Result<Option<PathBuf>> {
    let names = |path: &Path| -> Vec<PathBuf> {
        let parts = path.components();
        let parts =
            parts.filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
        parts.map(|part| part.as_os_str().into()).collect()
    };
    let mut left: VecDeque<PathBuf> = names(Path::new(target)).into();
    let (mut path, mut links) = (PathBuf::from("/"), 0);
    while let Some(name) = left.pop_front() {
        if name == Path::new("..") {
            path.pop();
            continue;
        }
        let next = path.join(&name);
        // The engine follows the last link, too.
        let link = match looks(&next)? {
            Some(look) if look.kind == EntryType::Symlink => look.link,
            _ => None,
        };
        let Some(link) = link else {
            path = next;
            continue;
        };
        links += 1;
        if links > LINKS_MAX {
            return Ok(None);
        }
        if link.is_absolute() {
            path = PathBuf::from("/");
        }
        for name in names(&link).into_iter().rev() {
            left.push_front(name);
        }
    }
    Ok(new.contains(&path).then_some(path))
}

/// Returns which of `points`, and of the directories that were created on the way to them, contain nothing else. Only the
/// topmost ones.
fn hidden(
    points: &BTreeSet<PathBuf>,
    new: &BTreeSet<PathBuf>,
    looks: Looks<'_>,
) -> Result<BTreeSet<PathBuf>> {
    let mut gone: BTreeSet<PathBuf> = BTreeSet::new();
    let holds_more = |path: &Path, gone: &BTreeSet<PathBuf>| {
        let below = new.range(path.to_owned()..).skip(1);
        let mut below = below.take_while(|other| other.starts_with(path));
        below.any(|other| !gone.contains(other))
    };
    let mut deepest_first: Vec<&PathBuf> = points.iter().collect();
    deepest_first.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    for point in deepest_first {
        if holds_more(point, &gone) {
            continue;
        }
        gone.insert(point.clone());
        for above in point.ancestors().skip(1) {
            let is_left = !new.contains(above) || holds_more(above, &gone);
            if is_left || !looks(above)?.is_some_and(|look| look.is_as_made()) {
                break;
            }
            gone.insert(above.to_owned());
        }
    }
    let is_in_one = |path: &PathBuf| path.parent().is_some_and(|above| gone.contains(above));
    Ok(gone
        .iter()
        .filter(|path| !is_in_one(path))
        .cloned()
        .collect())
}

/// Builds the layer. It contains the parent directories with their metadata, because an engine would otherwise create them with
/// defaults.
fn pack(hidden: &BTreeSet<PathBuf>, looks: Looks<'_>) -> Result<Vec<u8>> {
    let mut folders = BTreeMap::new();
    for path in hidden {
        for above in path.ancestors().skip(1) {
            if above != Path::new("/") && !folders.contains_key(above) {
                if let Some(look) = looks(above)? {
                    folders.insert(above.to_owned(), look);
                }
            }
        }
    }
    let packing = |e| Error::io("packing what is to be hidden", &e);
    let inside = |path: &Path| path.strip_prefix("/").unwrap_or(path).to_owned();
    let mut layer = tar::Builder::new(Vec::new());
    for (path, look) in &folders {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_size(0);
        header.set_mode(look.mode);
        header.set_uid(look.owner.0);
        header.set_gid(look.owner.1);
        header.set_mtime(look.time);
        layer
            .append_data(&mut header, inside(path), &[][..])
            .map_err(packing)?;
    }
    for path in hidden {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            continue;
        };
        let mut mark = std::ffi::OsString::from(GONE);
        mark.push(name);
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o600);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        layer
            .append_data(&mut header, inside(&above.join(mark)), &[][..])
            .map_err(packing)?;
    }
    layer.into_inner().map_err(packing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[&str]) -> BTreeSet<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    fn folder(mode: u32, owner: u64) -> Look {
        Look {
            kind: EntryType::Directory,
            owner: (owner, owner),
            mode,
            time: 7,
            link: None,
        }
    }

    fn link(to: &str) -> Look {
        Look {
            kind: EntryType::Symlink,
            link: Some(to.into()),
            ..folder(0o777, 0)
        }
    }

    /// A path that is not listed does not exist.
    fn container(there: &[(&str, Look)]) -> impl FnMut(&Path) -> Result<Option<Look>> + use<> {
        let there: HashMap<PathBuf, Look> = there
            .iter()
            .map(|(path, look)| (PathBuf::from(path), look.clone()))
            .collect();
        move |path| Ok(there.get(path).cloned())
    }

    #[test]
    fn a_target_is_found_past_links_and_only_where_it_is_new() {
        let mut looks = container(&[
            ("/var/run", link("../run")),
            ("/a", link("/b")),
            ("/b", link("/a")),
        ]);
        let new = paths(&["/run/secrets", "/run/secrets/key"]);
        let mut at = |target: &str| resolve(target, &new, &mut looks).expect("an answer");
        let key = Some(PathBuf::from("/run/secrets/key"));
        assert_eq!(at("/run/secrets/key"), key);
        assert_eq!(at("/var/run/secrets/key"), key);
        assert_eq!(at("/etc/passwd"), None);
        assert_eq!(at("/a/key"), None);
    }

    #[test]
    fn what_holds_something_of_the_commands_or_looks_otherwise_stays() {
        let new = [
            "/new",
            "/new/deep",
            "/new/deep/key",
            "/new-er",
            "/own",
            "/own/key",
            "/mine",
            "/mine/by-me",
            "/mine/key",
        ];
        let mut looks = container(&[
            ("/new", folder(0o755, 0)),
            ("/new/deep", folder(0o755, 0)),
            ("/own", folder(0o700, 0)),
            ("/mine", folder(0o755, 0)),
        ]);
        let points = paths(&["/new/deep/key", "/own/key", "/mine/key", "/home/key"]);
        let mut new = paths(&new);
        new.insert("/home/key".into());
        let found = hidden(&points, &new, &mut looks).expect("an answer");
        assert_eq!(
            found,
            paths(&["/new", "/own/key", "/mine/key", "/home/key"])
        );
    }

    #[test]
    fn a_layer_says_what_is_gone_and_has_the_directories_above_as_they_are() {
        let mut looks = container(&[
            ("/home", folder(0o750, 0)),
            ("/home/build", folder(0o700, 1000)),
        ]);
        let layer = pack(&paths(&["/home/build/.netrc", "/run"]), &mut looks).expect("a layer");
        let mut archive = tar::Archive::new(layer.as_slice());
        let found: Vec<(String, u32, u64)> = archive
            .entries()
            .expect("a tar")
            .map(|entry| {
                let entry = entry.expect("an entry");
                let path = entry.path().expect("a path").display().to_string();
                let header = entry.header();
                (
                    path,
                    header.mode().expect("a mode"),
                    header.uid().expect("a user"),
                )
            })
            .collect();
        let wanted = [
            ("home", 0o750, 0),
            ("home/build", 0o700, 1000),
            ("home/build/.wh..netrc", 0o600, 0),
            (".wh.run", 0o600, 0),
        ];
        let wanted = wanted.map(|(path, mode, user)| (path.to_owned(), mode, user));
        assert_eq!(found, wanted);
    }
}
