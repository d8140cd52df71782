//! Keeping chains of layers short. Layers are merged into one in the background: the generation stays what it is, only the
//! volumes that it is made of change. Leases that are out keep theirs.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use crate::error::{Error, ErrorKind, Result};
use crate::store::cache::Caches;
use crate::store::cache::clone::overlay::options_length;
use crate::store::cache::clone::strategy::{Failed, Source};
use crate::store::cache::clone::view::View;
use crate::store::cache::clone::{copy, layer, volumes};
use crate::store::cache::facts::OPTIONS_MAX;
use crate::store::cache::files::look::RootLook;
use crate::store::cache::files::{merge, walk};
use crate::store::cache::state::folder::Folder;
use crate::store::cache::state::head::{Kind, Part};
use crate::store::cache::state::record::{COMPACTION, Record};
use crate::store::lock::FileLock;
use crate::store::site::Site;
use crate::wait::Wait;

/// At how many layers a chain is shortened, and to how many at most.
const DEPTH: usize = 12;
const SHORT: usize = 4;

/// Where each merge copies all bytes, a chain is left to grow to this many.
const DEPTH_BY_ARCHIVE: usize = 24;

/// At which length of a mount's options a chain is shortened, however few its layers are.
const LONG: usize = OPTIONS_MAX * 3 / 4;

impl Caches {
    /// Shortens the chain of a cache in the background, if it is long.
    pub(super) fn compact_later(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        parts: &[Part],
    ) {
        if !is_long(parts, self.merges_as_known()) {
            return;
        }
        let (caches, folder) = (Arc::clone(self), Arc::clone(folder));
        site.defer(move |site| {
            if site.is_closed() {
                return;
            }
            let wait = Wait::new(None, Some(&caches.closing));
            match caches.compact(site, &folder, false, wait) {
                Err(e) if e.kind() == ErrorKind::Cancelled => {}
                Err(e) => log::warn!("{e}; tried again after the next release"),
                Ok(()) => {}
            }
        });
    }

    /// Shortens the chain of a cache. If somebody else does that already, waits for it where `must`, else leaves it to them.
    pub(super) fn compact(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        must: bool,
        wait: Wait<'_>,
    ) -> Result<()> {
        let facts = self.facts(site, wait)?;
        let path = folder.compaction_file();
        let lock = if must {
            FileLock::take(&path, wait).map(Some)
        } else {
            FileLock::try_take(&path)
        }?;
        let Some(_lock) = lock else { return Ok(()) };

        let guard = folder.lock(wait)?;
        let Some(head) = guard.head()? else {
            return Ok(());
        };
        if head.parts.len() < 2 || !is_long(&head.parts, facts.merges()) {
            return Ok(());
        }
        let mut record = Record {
            id: format!("{}{COMPACTION}", site.session.unique()),
            base: head.generation,
            parts: head.parts.iter().map(|part| part.volume.clone()).collect(),
            volumes: Vec::new(),
            shared: None,
            looks: None,
        };
        let direct = facts.merges();
        let name = copy::whole_name(site, &folder.escaped, head.generation);
        record.volumes.push(if direct {
            site.names.volume("layer", &site.session.unique())
        } else {
            name
        });
        guard.write_record(&record)?;
        drop(guard);

        let root = head.root.unwrap_or_else(RootLook::new);
        let merged = if direct {
            self.merge(site, folder, &head.parts, &record.volumes[0], wait)
        } else {
            let source = Source {
                cache: &folder.escaped,
                parts: &head.parts,
                root,
                owner: (0, 0),
            };
            self.flatten(site, &source, &record.volumes[0], wait)
                .map(|part| (0, part))
        };
        let replaced = merged.and_then(|(from, part)| replace(folder, &head.parts[from..], part));
        self.give_up(site, folder, &record);
        replaced.map_err(|e| e.context(format_args!("compacting the cache {}", folder.escaped)))
    }

    /// Merges the topmost layers, as files: gives where they began, and what they are now.
    fn merge(
        &self,
        site: &Arc<Site>,
        folder: &Folder,
        parts: &[Part],
        name: &str,
        wait: Wait<'_>,
    ) -> Result<(usize, Part)> {
        let facts = self.facts(site, wait)?;
        let mut places = Vec::new();
        for part in parts {
            let volume = volumes::find_part(site, part, wait).map_err(not_there)?;
            places.push(PathBuf::from(layer::place(part.kind, &volume.mountpoint)));
        }
        let from = choose(parts.len(), |part, limit| {
            walk::count(&places[part], limit, wait)
        })?;
        let kind = if from == 0 { Kind::Whole } else { Kind::Layer };
        let volume = volumes::create(site, "layer", name, &folder.escaped, &json!({}), wait)?;
        let to = PathBuf::from(layer::place(kind, &volume.mountpoint));
        if kind == Kind::Layer {
            std::fs::create_dir(&to)
                .map_err(|e| Error::io(format!("making {}", to.display()), &e))?;
        }
        let sources: Vec<PathBuf> = places.drain(from..).rev().collect();
        places.reverse();
        merge::merge(&sources, &places, &to, &facts.marks(), wait)?;
        // Somebody who removed one of them meanwhile has left us with less than all of it, and maybe without an error.
        for part in parts {
            volumes::find_part(site, part, wait).map_err(not_there)?;
        }
        if site.cache_options.sync {
            walk::sync(&to)?;
        }
        let part = Part {
            volume: volume.name,
            kind,
            mountpoint: volume.mountpoint,
            adopted: false,
            size: None,
        };
        Ok((from, part))
    }

    /// Copies all of a chain through the engine, as its mount shows it.
    fn flatten(
        &self,
        site: &Arc<Site>,
        source: &Source<'_>,
        name: &str,
        wait: Wait<'_>,
    ) -> Result<Part> {
        let facts = self.facts(site, wait)?;
        let volume = volumes::create(site, "cache", name, source.cache, &json!({}), wait)?;
        let view = View::of(site, &facts, source, wait).map_err(not_there)?;
        let copied = copy::clone_by_archive(site, view.volume(), &volume, None, wait);
        view.remove(site);
        copied?;
        for part in source.parts {
            volumes::find_part(site, part, wait).map_err(not_there)?;
        }
        Ok(copy::whole(volume, None))
    }
}

/// Puts `part` in the place of `parts`, in whatever generation they are now.
fn replace(folder: &Folder, parts: &[Part], part: Part) -> Result<()> {
    let guard = folder.lock(Wait::forever())?;
    let Some(mut head) = guard.head()? else {
        return Ok(());
    };
    let same = |window: &[Part]| window.iter().zip(parts).all(|(a, b)| a.volume == b.volume);
    // The cache may have been deleted, or emptied, or have grown.
    let Some(at) = head.parts.windows(parts.len()).position(same) else {
        return Ok(());
    };
    let out: Vec<Part> = head.parts.splice(at..at + parts.len(), [part]).collect();
    head.retired.extend(
        out.into_iter()
            .filter(|part| part.adopted)
            .map(|part| part.volume),
    );
    guard.write_head(&head)
}

fn is_long(parts: &[Part], merges: bool) -> bool {
    let depth = if merges { DEPTH } else { DEPTH_BY_ARCHIVE };
    parts.len() >= depth || parts.len() > 1 && options_length(parts) > LONG
}

/// Where the layers to merge begin: as few as make the chain short, and all that are small beside those above them. So a
/// file is merged again only when what lies above it has grown like it, and the cost of a release grows with the logarithm of
/// the cache.
///
/// `count` counts the files of a layer, up to a limit.
fn choose(parts: usize, mut count: impl FnMut(usize, u64) -> Result<u64>) -> Result<usize> {
    let mut from = parts;
    let mut above = 0;
    while from > 0 {
        let must = from + 1 > SHORT || parts - from < 2;
        let entries = count(from - 1, if must { u64::MAX } else { 2 * above + 1 })?;
        if !must && entries > 2 * above {
            break;
        }
        from -= 1;
        above += entries;
    }
    Ok(from)
}

fn not_there(failed: Failed) -> Error {
    match failed {
        Failed::Error(e) => e,
        Failed::Lost(why) => Error::new(ErrorKind::NotFound, why),
        Failed::TooDeep => Error::new(ErrorKind::Internal, "its layers are too many for one mount"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_tail_is_merged_alone_and_a_grown_one_takes_the_rest_along() {
        let run = |sizes: &[u64]| {
            choose(sizes.len(), |i, limit| Ok(sizes[i].min(limit))).expect("a choice")
        };
        assert_eq!(run(&[1000, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]), 1);
        assert_eq!(run(&[1000, 100, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]), 2);
        assert_eq!(run(&[1000, 15, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]), 1);
        assert_eq!(run(&[15, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]), 0);
        assert_eq!(run(&[1, 1]), 0);
    }
}
