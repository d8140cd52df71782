//! A real C project compiled in containers, by `examples/c/demo_real.c`. It takes several minutes, and needs a userland: see
//! `make test-real`.

mod abi;
mod common;

use std::env;
use std::path::PathBuf;
use std::process::Command;

use abi::{Folder, Linked, compile, run};
use common::Root;

#[test]
fn a_real_project_compiles_with_its_compilers_cache_in_the_store() {
    if env::var_os("DOCKER_STORE_TEST_REAL").is_none() {
        println!("not asked for: run `make test-real`");
        return;
    }
    let given = |name: &str| {
        PathBuf::from(env::var_os(name).unwrap_or_else(|| panic!("{name} is not set")))
    };
    let (userland, zlib) = (
        given("DOCKER_STORE_TEST_USERLAND"),
        given("DOCKER_STORE_TEST_ZLIB"),
    );
    let folder = Folder::new("real");
    let program = folder.file("demo_real");
    compile(
        &abi::root().join("examples/c/demo_real.c"),
        Linked::Static,
        &program,
    );
    let root = Root::new("real");
    let demo = |change: &str| {
        let out = folder.file("out");
        let said = run(Command::new(&program)
            .arg(&root.path)
            .arg(&userland)
            .arg(&zlib)
            .arg(&out)
            .arg(change));
        print!("{said}");
        assert!(out.join("libz.a").is_file() && out.join("check").is_file());
        assert_eq!(
            said.matches("on this machine: zlib").count(),
            2,
            "the built program runs here"
        );
        [Counts::of(&said, 1), Counts::of(&said, 2)]
    };

    let [whole, changed] = demo("first");
    assert_eq!((whole.hits, whole.built, whole.ccache_hits), (0, 4, 0));
    assert!(whole.ccache_misses > 10, "zlib has more files than that");
    // The userland, the source and its configuration were reused; the change and the compilation were not.
    assert_eq!((changed.hits, changed.built), (3, 2));
    // And only the changed file was compiled: the compiler's cache came from the store.
    assert_eq!(
        (changed.ccache_hits, changed.ccache_misses),
        (whole.ccache_misses - 1, 1)
    );

    let [whole, changed] = demo("second");
    assert_eq!((whole.hits, whole.built), (4, 0));
    assert_eq!(
        (changed.hits, changed.built, changed.ccache_misses),
        (3, 2, 1)
    );

    let [whole, changed] = demo("second");
    assert_eq!((whole.built, changed.built), (0, 0));
    assert_eq!(root.leftovers_beside_caches(), Vec::<String>::new());
}

/// The counts of a build.
#[derive(Debug)]
struct Counts {
    hits: u32,
    built: u32,
    ccache_hits: u32,
    ccache_misses: u32,
}

impl Counts {
    /// Reads `build N: H store hits, B built; ccache: C hits, M misses`.
    fn of(said: &str, number: u32) -> Self {
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix(&format!("build {number}: ")));
        let line = line.unwrap_or_else(|| panic!("no line of build {number}: {said}"));
        let numbers: Vec<u32> = line
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        let [hits, built, ccache_hits, ccache_misses] = numbers[..] else {
            panic!("{line}")
        };
        Counts {
            hits,
            built,
            ccache_hits,
            ccache_misses,
        }
    }
}
