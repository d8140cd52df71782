//! Keeping chains of layers short. Layers are merged into one in the background: the contents of the generation do not change,
//! only the volumes that it consists of. Outstanding leases keep their volumes.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use crate::engine::stopped;
use crate::error::{Error, ErrorKind, Result};
use crate::store::cache::Caches;
use crate::store::cache::clone::overlay::options_length;
use crate::store::cache::clone::strategy::{Failed, Source};
use crate::store::cache::clone::view::View;
use crate::store::cache::clone::{archive, copy, layer, volumes};
use crate::store::cache::facts::OPTIONS_MAX;
use crate::store::cache::files::look::RootLook;
use crate::store::cache::files::{merge, walk};
use crate::store::cache::sizes::Sizes;
use crate::store::cache::state::folder::Folder;
use crate::store::cache::state::head::{Head, Kind, Part};
use crate::store::cache::state::record::{COMPACTION, Record};
use crate::store::lock::FileLock;
use crate::store::place::Birth;
use crate::store::site::Site;
use crate::wait::Wait;

/// The maximum number of layers in a chain after it was shortened. Every user of a lease pays for each layer: with 6 layers,
/// looking up a name that does not exist costs nearly four times as much as in a plain directory, with 12 seven times
/// (docs/benchmarks.md). A smaller number would cause more merges than reads.
const DEPTH: usize = 6;

/// If each merge copies all data of the cache, a chain may grow to this length: about as deep as a mount's options allow, so
/// that there is a copy for every twenty releases and not for every five.
const DEPTH_BY_ARCHIVE: usize = 24;

/// The length of a mount's options from which on a chain is shortened, however few its layers are. The rest is room for
/// releases during the merge.
const LONG: usize = OPTIONS_MAX * 3 / 4;

/// A layer is merged with those above it once they have a quarter of its files. So a file is merged again only when the layers
/// above it have grown in proportion, which is a few times whenever the cache grows by a factor of four: the cost of a release
/// grows with the logarithm of the cache. With a smaller number chains would be deeper; with a larger one files would be merged
/// more often.
const RATIO: u64 = 4;

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
        site.defer_long(move |site| {
            let wait = Wait::new(None, Some(&caches.closing));
            match caches.compact(site, &folder, false, wait) {
                // The next lease or release finds the chain still long, and tries again.
                Err(e) if e.kind() == ErrorKind::Cancelled => {}
                Err(e) => log::warn!("{e}; tried again after the next release"),
                Ok(()) => {}
            }
            Ok(())
        });
    }

    /// Shortens the chain of a cache. If another process is doing that, waits for it if `must` is set, and otherwise leaves it
    /// to that process.
    pub(super) fn compact(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        must: bool,
        wait: Wait<'_>,
    ) -> Result<()> {
        wait.left()
            .map_err(|stop| stopped(&"compacting a cache", stop))?;
        let facts = self.facts(site, wait)?;
        let path = folder.compaction_file();
        let lock = if must {
            FileLock::take(&path, wait).map(Some)
        } else {
            FileLock::try_take(&path)
        }?;
        let Some(_lock) = lock else { return Ok(()) };
        let done = if facts.merges() {
            self.merge_all(site, folder, false, wait)
        } else {
            self.flatten_all(site, folder, wait)
        };
        done.map_err(|e| e.context(format_args!("compacting the cache {}", folder.escaped)))
    }

    /// Merges all layers of a cache into one, later. A file that is rewritten in several layers counts in each; a single layer
    /// has exactly the cache's size.
    pub(super) fn merge_whole_later(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        parts: &[Part],
    ) {
        if parts.len() < 2 || !self.merges_as_known() {
            return;
        }
        let (caches, folder) = (Arc::clone(self), Arc::clone(folder));
        site.defer_long(move |site| {
            let wait = Wait::new(None, Some(&caches.closing));
            let Some(_lock) = FileLock::try_take(&folder.compaction_file())? else {
                return Ok(());
            };
            match caches.merge_all(site, &folder, true, wait) {
                Err(e) if e.kind() == ErrorKind::Cancelled => Ok(()),
                done => done,
            }
        });
    }

    /// Merges layers of a cache, as files, until its chain is short; or (`whole`) all of them.
    fn merge_all(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        whole: bool,
        wait: Wait<'_>,
    ) -> Result<()> {
        loop {
            let Some(head) = folder.read_head()? else {
                return Ok(());
            };
            // With no lock held, because there may be many files.
            let mut sizes = Sizes::default();
            for part in &head.parts {
                sizes.of(part, wait)?;
            }
            let guard = folder.lock(wait)?;
            let is_due = |head: &Head| is_long(&head.parts, true) || whole && head.parts.len() > 1;
            let Some(head) = guard.head()?.filter(is_due) else {
                return Ok(());
            };
            let entries = head
                .parts
                .iter()
                .map(|part| Some(sizes.known(part)?.entries));
            let Some(entries) = entries.collect::<Option<Vec<u64>>>() else {
                // A lease was released in between.
                continue;
            };
            // The merged layer's name is as long as that of its lowest layer.
            let fits = |from: usize| options_length(&head.parts[..=from]) <= LONG;
            let from = if whole { 0 } else { choose(&entries, fits) };
            let name = site.names.volume("layer", &site.session.unique());
            let mut record = Record::pin(format!("{}{COMPACTION}", site.session.unique()), &head);
            record.volumes.push(name);
            guard.write_record(&record)?;
            drop(guard);
            let merged = self.merge(site, folder, &head.parts, from, &record.volumes[0], wait);
            let replaced = merged.and_then(|part| {
                self.replace(site, folder, &head.parts[from..], part, &sizes, wait)
            });
            self.give_up(site, folder, &record, wait);
            replaced?;
        }
    }

    /// Merges the layers from `from` on.
    fn merge(
        &self,
        site: &Arc<Site>,
        folder: &Folder,
        parts: &[Part],
        from: usize,
        name: &str,
        wait: Wait<'_>,
    ) -> Result<Part> {
        let facts = self.facts(site, wait)?;
        let mut places = Vec::new();
        for part in parts {
            let volume = volumes::find_part(site, part, wait).map_err(not_there)?;
            places.push(PathBuf::from(layer::place(part.kind, &volume.mountpoint)));
        }
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
        // If one of them was removed in the meantime, the merge is incomplete, possibly without an error.
        for part in parts {
            volumes::find_part(site, part, wait).map_err(not_there)?;
        }
        let size = walk::size(&to, wait)?;
        if site.cache_options.sync {
            walk::sync(&to)?;
        }
        Ok(Part {
            volume: volume.name,
            kind,
            birth: Birth::of(&to),
            mountpoint: volume.mountpoint,
            generation: newest(&parts[from..]),
            adopted: false,
            size: Some(size),
        })
    }

    /// Copies a long chain through the engine into one volume.
    fn flatten_all(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        wait: Wait<'_>,
    ) -> Result<()> {
        let guard = folder.lock(wait)?;
        let Some(head) = guard.head()?.filter(|head| is_long(&head.parts, false)) else {
            return Ok(());
        };
        let name = copy::whole_name(site, &folder.escaped, head.generation);
        let mut record = Record::pin(format!("{}{COMPACTION}", site.session.unique()), &head);
        record.volumes.push(name);
        guard.write_record(&record)?;
        drop(guard);
        let source = Source {
            cache: &folder.escaped,
            parts: &head.parts,
            root: head.root.unwrap_or_else(RootLook::new),
            owner: (0, 0),
        };
        let flat = self.flatten(site, &source, &record.volumes[0], wait);
        let sizes = Sizes::default();
        let replaced =
            flat.and_then(|part| self.replace(site, folder, &head.parts, part, &sizes, wait));
        self.give_up(site, folder, &record, wait);
        replaced
    }

    /// Copies the whole chain through the engine, as its mount shows it.
    fn flatten(
        &self,
        site: &Arc<Site>,
        source: &Source<'_>,
        name: &str,
        wait: Wait<'_>,
    ) -> Result<Part> {
        let facts = self.facts(site, wait)?;
        let volume = volumes::create(site, "cache", name, source.cache, &json!({}), wait)?;
        let archives = archive::ways(&facts)?;
        let view = View::of(site, &facts, source, wait).map_err(not_there)?;
        let copied = archive::copy(site, archives, view.volume(), &volume, None, wait);
        view.remove(site, wait);
        copied?;
        for part in source.parts {
            volumes::find_part(site, part, wait).map_err(not_there)?;
        }
        let mut part = copy::whole(volume, None);
        part.generation = newest(source.parts);
        Ok(part)
    }

    /// Replaces `parts` by `part`, in whatever generation they are now.
    fn replace(
        self: &Arc<Self>,
        site: &Arc<Site>,
        folder: &Arc<Folder>,
        parts: &[Part],
        part: Part,
        sizes: &Sizes,
        wait: Wait<'_>,
    ) -> Result<()> {
        let facts = self.facts(site, wait.whole())?;
        let guard = folder.lock(wait.whole())?;
        let Some(mut head) = guard.head()? else {
            return Ok(());
        };
        let same = |window: &[Part]| window.iter().zip(parts).all(|(a, b)| a.volume == b.volume);
        // The cache may have been deleted, emptied, or have grown.
        let Some(at) = head.parts.windows(parts.len()).position(same) else {
            return Ok(());
        };
        let before = head.state();
        head.parts.splice(at..at + parts.len(), [part]);
        head.note(self.written(site, &facts), before);
        sizes.note(&mut head);
        guard.write_head(&head)?;
        drop(guard);
        self.keep_later(site, folder, &head);
        Ok(())
    }
}

/// Returns the newest generation that any of them was added in.
fn newest(parts: &[Part]) -> u64 {
    parts
        .iter()
        .map(|part| part.generation)
        .max()
        .unwrap_or_default()
}

fn is_long(parts: &[Part], merges: bool) -> bool {
    let depth = if merges { DEPTH } else { DEPTH_BY_ARCHIVE };
    parts.len() > depth || parts.len() > 1 && options_length(parts) > LONG
}

/// Returns where the layers to merge start: as few as are needed to make the chain short, and all that are small compared with
/// those above them.
///
/// The lowest layer, which usually holds most of the cache, is merged only when a single layer has grown as large as it. A
/// single layer that large has been merged before, so its number of files does not count the same file several times, as the
/// sum over several layers may. After such a merge, a program that goes by the change times of files has to read all of them
/// again.
///
/// `entries` are the numbers of files, lowest layer first; `fits` tells whether the layers below one, and one more, fit into
/// the options of a mount.
fn choose(entries: &[u64], fits: impl Fn(usize) -> bool) -> usize {
    let mut from = entries.len();
    let (mut above, mut largest): (u64, u64) = (0, 0);
    while from > 0 {
        let below = entries[from - 1];
        let must = entries.len() - from < 2 || from >= DEPTH || !fits(from);
        let is_small = match from {
            1 => below <= largest,
            _ => below <= RATIO * above,
        };
        if !must && !is_small {
            break;
        }
        from -= 1;
        above += below;
        largest = largest.max(below);
    }
    from
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

    fn run(entries: &[u64]) -> usize {
        choose(entries, |_| true)
    }

    #[test]
    fn a_small_tail_is_merged_alone_and_a_grown_one_takes_the_rest_along() {
        assert_eq!(run(&[1000, 1, 1, 1, 1, 1, 1]), 1);
        assert_eq!(run(&[1000, 100, 1, 1, 1, 1, 1]), 2);
        assert_eq!(run(&[1000, 15, 1, 1, 1, 1, 1]), 1);
        assert_eq!(run(&[1, 1, 1, 1, 1, 1, 1]), 0);
        assert_eq!(run(&[1, 1]), 0);
        // The same files six times are no reason to merge the base; one layer of its size is.
        assert_eq!(run(&[400, 100, 100, 100, 100, 100, 100]), 1);
        assert_eq!(run(&[400, 400, 100, 100, 100, 100, 100]), 0);
        // Each has four times the files of those above: only the depth requires a merge.
        assert_eq!(run(&[40_000, 9_000, 2_000, 400, 80, 15, 2]), 5);
        assert_eq!(choose(&[9, 1, 1], |from| from < 1), 0, "no room for more");
    }

    /// How many files a release adds, by its number.
    type Shape = fn(u64) -> u64;

    /// Simulates many releases: how deep the chain gets, and how many files are merged for each one released.
    fn release(base: u64, times: u64, size: Shape) -> (usize, f64, u64) {
        let mut chain = vec![base];
        let (mut deepest, mut merged, mut released, mut base_merged) = (0, 0, 0, 0);
        for n in 0..times {
            chain.push(size(n));
            released += size(n);
            deepest = deepest.max(chain.len());
            while chain.len() > DEPTH {
                let from = run(&chain);
                base_merged += u64::from(from == 0);
                let sum = chain.drain(from..).sum();
                merged += sum;
                chain.push(sum);
            }
        }
        (deepest, merged as f64 / released as f64, base_merged)
    }

    #[test]
    fn a_chain_stays_short_and_a_file_is_merged_a_few_times_whatever_is_released() {
        let shapes: [(u64, Shape); 6] = [
            (40_000, |_| 5),
            (40_000, |n| 1 + n * n % 50),
            (0, |_| 5),
            (1_000_000, |n| 1 << (n % 12)),
            (40_000, |n| if n % 50 == 49 { 20_000 } else { 3 }),
            (40_000, |n| 4_u64.pow(7 - (n % 8) as u32)),
        ];
        for (n, (base, size)) in shapes.into_iter().enumerate() {
            let (deepest, merged, base_merged) = release(base, 2000, size);
            println!(
                "shape {n}: {deepest} layers at most, {merged:.1} files merged for each released, the base {base_merged} times"
            );
            assert!(deepest <= DEPTH + 1, "shape {n}: {deepest} layers");
            assert!(merged < 16.0, "shape {n}: {merged} times");
            if base > 0 {
                assert!(base_merged <= 40, "shape {n}: the base {base_merged} times");
            }
        }
    }
}
