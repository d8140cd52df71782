//! Random operations, compared with a small model of what a cache is.

use std::collections::BTreeMap;
use std::fs;

use docker_store::{CacheMode, CacheRequest, Lease, Released, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::ground::{Root, View, Way, here, settle};
use crate::common::amount;

const CACHES: [&str; 2] = ["a", "b"];
const NAMES: [&str; 4] = ["f", "d/f", "d/e/f", "g"];

/// The operations. Numbers choose among what exists then.
#[derive(Clone, Debug)]
enum Step {
    Acquire {
        cache: usize,
        shared: bool,
    },
    Write {
        lease: usize,
        name: usize,
        text: u8,
    },
    Remove {
        lease: usize,
        name: usize,
    },
    /// A directory is replaced by one of the same name.
    Replace {
        lease: usize,
    },
    Release(usize),
    Discard(usize),
    Delete(usize),
    Settle,
    Reopen,
    Purge,
}

fn step() -> impl Strategy<Value = Step> {
    let some = 0usize..100;
    prop_oneof![
        5 => (0..CACHES.len(), prop::bool::weighted(0.2)).prop_map(|(cache, shared)| Step::Acquire { cache, shared }),
        6 => (some.clone(), 0..NAMES.len(), any::<u8>()).prop_map(|(lease, name, text)| Step::Write { lease, name, text }),
        3 => (some.clone(), 0..NAMES.len()).prop_map(|(lease, name)| Step::Remove { lease, name }),
        2 => some.clone().prop_map(|lease| Step::Replace { lease }),
        6 => some.clone().prop_map(Step::Release),
        2 => some.clone().prop_map(Step::Discard),
        1 => (0..CACHES.len()).prop_map(Step::Delete),
        1 => Just(Step::Settle),
        1 => Just(Step::Reopen),
        1 => Just(Step::Purge),
    ]
}

type Files = BTreeMap<String, String>;

/// The expected state of a cache.
#[derive(Clone, Debug, Default)]
struct Cache {
    generation: u64,
    files: Files,
    /// The store knows it, and has not forgotten it.
    known: bool,
}

/// The tree of one lease or, if it is shared, of several.
#[derive(Debug)]
struct Copy {
    cache: usize,
    base: u64,
    files: Files,
    changed: bool,
    shared: bool,
    keep: bool,
    holders: usize,
}

struct World {
    store: Option<Store>,
    caches: [Cache; CACHES.len()],
    copies: Vec<Copy>,
    /// The outstanding leases, and which copy each is.
    leases: Vec<(Lease, usize)>,
}

impl World {
    fn store(&self) -> &Store {
        self.store.as_ref().expect("open")
    }

    fn acquire(&mut self, cache: usize, shared: bool) {
        let mut request = CacheRequest::new();
        request.mode(if shared {
            CacheMode::Shared
        } else {
            CacheMode::Private
        });
        let lease = self
            .store()
            .cache(CACHES[cache], &request)
            .expect("a lease");
        self.caches[cache].known = true;
        let joined = |copy: &Copy| copy.shared && copy.cache == cache && copy.holders > 0;
        let copy = match self.copies.iter().position(joined).filter(|_| shared) {
            Some(at) => at,
            None => {
                let now = &self.caches[cache];
                let (base, files) = (now.generation, now.files.clone());
                self.copies.push(Copy {
                    cache,
                    base,
                    files,
                    changed: false,
                    shared,
                    keep: false,
                    holders: 0,
                });
                self.copies.len() - 1
            }
        };
        self.copies[copy].holders += 1;
        assert_eq!(lease.generation(), self.copies[copy].base);
        assert_eq!(
            View::of(&lease).files(),
            self.copies[copy].files,
            "a lease of {}",
            CACHES[cache]
        );
        self.leases.push((lease, copy));
    }

    fn edit(&mut self, lease: usize, edit: impl FnOnce(&View, &mut Files) -> bool) {
        if self.leases.is_empty() {
            return;
        }
        let (lease, copy) = &self.leases[lease % self.leases.len()];
        let copy = &mut self.copies[*copy];
        let view = View::of(lease);
        copy.changed |= edit(&view, &mut copy.files);
        assert_eq!(view.files(), copy.files);
    }

    /// What happens to the copy when its last holder releases it.
    fn end(&mut self, copy: usize) -> Released {
        let now = self.generation_in_store(self.copies[copy].cache);
        let copy = &self.copies[copy];
        let cache = &mut self.caches[copy.cache];
        if copy.base != cache.generation {
            return Released::Lost;
        }
        // A file that was written and removed again shows in the directory's time, unless times have whole seconds. Then either
        // outcome is correct.
        let taken_back = copy.files == cache.files && now == copy.base;
        if !copy.changed || taken_back {
            return Released::Unchanged;
        }
        cache.generation += 1;
        cache.files = copy.files.clone();
        Released::Won(cache.generation)
    }

    /// The generation that the store says the cache is at.
    fn generation_in_store(&self, cache: usize) -> u64 {
        let rows = self.store().caches().expect("a listing");
        let row = rows.iter().find(|row| row.name == CACHES[cache].as_bytes());
        row.map_or(0, |row| row.generation)
    }

    fn release(&mut self, lease: usize) {
        if self.leases.is_empty() {
            return;
        }
        let at = lease % self.leases.len();
        let (lease, copy) = self.leases.swap_remove(at);
        let released = lease.release().expect("released");
        self.copies[copy].holders -= 1;
        let expected = match self.copies[copy].holders {
            0 => self.end(copy),
            _ => {
                self.copies[copy].keep = true;
                Released::Shared
            }
        };
        assert_eq!(released, expected);
    }

    fn discard(&mut self, lease: usize) {
        if self.leases.is_empty() {
            return;
        }
        let at = lease % self.leases.len();
        let (lease, copy) = self.leases.swap_remove(at);
        drop(lease);
        // It happens in the background.
        settle(self.store());
        self.copies[copy].holders -= 1;
        if self.copies[copy].holders == 0 && self.copies[copy].keep {
            self.end(copy);
        }
    }
}

fn run(root: &Root, way: Way, steps: &[Step]) {
    let mut world = World {
        store: Some(root.open(way)),
        caches: Default::default(),
        copies: Vec::new(),
        leases: Vec::new(),
    };
    for step in steps {
        match step.clone() {
            Step::Acquire { cache, shared } => world.acquire(cache, shared),
            Step::Write { lease, name, text } => world.edit(lease, |view, files| {
                let path = view.path.join(NAMES[name]);
                fs::create_dir_all(path.parent().expect("a parent")).expect("made");
                fs::write(path, text.to_string()).expect("written");
                files.insert(NAMES[name].to_owned(), text.to_string());
                true
            }),
            Step::Remove { lease, name } => world.edit(lease, |view, files| {
                let removed = files.remove(NAMES[name]).is_some();
                if removed {
                    fs::remove_file(view.path.join(NAMES[name])).expect("removed");
                }
                removed
            }),
            Step::Replace { lease } => world.edit(lease, |view, files| {
                let folder = view.path.join("d");
                let _ = fs::remove_dir_all(&folder);
                fs::create_dir(&folder).expect("made");
                files.retain(|name, _| !name.starts_with("d/"));
                true
            }),
            Step::Release(lease) => world.release(lease),
            Step::Discard(lease) => world.discard(lease),
            Step::Delete(cache) => {
                world.store().delete_cache(CACHES[cache]).expect("deleted");
                // A cache that never existed has no generation to raise.
                let now = &mut world.caches[cache];
                now.generation += u64::from(now.known);
                now.files.clear();
            }
            Step::Settle => settle(world.store()),
            Step::Purge => drop(world.store().purge().expect("purged")),
            Step::Reopen => {
                // Leases belong to the store that they are from.
                while !world.leases.is_empty() {
                    world.discard(0);
                }
                world.store.take().expect("open").close().expect("closed");
                world.store = Some(root.open(way));
            }
        }
        // A purge forgets deleted caches without leases, and they start at 0 again.
        for (cache, name) in CACHES.iter().enumerate() {
            let idle = !world
                .copies
                .iter()
                .any(|copy| copy.cache == cache && copy.holders > 0);
            if idle && !root.path.join(format!(".store/caches/c-{name}")).exists() {
                assert!(world.caches[cache].files.is_empty());
                world.caches[cache] = Cache::default();
            }
        }
    }
    while !world.leases.is_empty() {
        world.release(0);
    }
    let store = world.store.take().expect("open");
    for (cache, name) in CACHES.iter().enumerate() {
        let lease = store.cache(name, &CacheRequest::new()).expect("a lease");
        assert_eq!(View::of(&lease).files(), world.caches[cache].files);
        drop(lease);
    }
    settle(&store);
    let layers: usize = store
        .caches()
        .expect("a listing")
        .iter()
        .map(|row| row.layers)
        .sum();
    assert_eq!(root.left().len(), layers, "{:?}", root.left());
    store.close().expect("closed");
}

#[test]
fn random_operations_do_what_a_simple_model_does() {
    let cases = amount(12, 80) as u32;
    for way in here(Way::ALL) {
        let cases = if way.direct { cases } else { cases / 4 };
        let config = Config {
            cases,
            failure_persistence: None,
            max_shrink_iters: 200,
            ..Config::default()
        };
        let mut runner = TestRunner::new(config);
        runner
            .run(&prop::collection::vec(step(), 1..60), |steps| {
                let root = Root::new("model");
                // What works on this engine is found out once for all.
                let known = std::env::temp_dir()
                    .join(format!("docker-store-probed-{}", std::process::id()));
                if known.exists() {
                    fs::create_dir_all(root.path.join(".store")).expect("made");
                    fs::copy(&known, root.path.join(".store/probed")).expect("copied");
                }
                run(&root, way, &steps);
                let _ = fs::copy(root.path.join(".store/probed"), known);
                Ok(())
            })
            .unwrap_or_else(|e| panic!("{way:?}: {e}"));
        println!("{way:?}: {cases} cases");
    }
    let _ = fs::remove_file(
        std::env::temp_dir().join(format!("docker-store-probed-{}", std::process::id())),
    );
}
