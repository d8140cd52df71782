//! A real project compiled in containers with a compiler's cache: from nothing, with a warm cache, and after a change of one
//! file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};

use docker_store::{Begun, CacheRequest, Command, Limits};

use crate::buildkit::BuildKit;
use crate::builds::{BUILDKIT, OURS, SEED};
use crate::docker::docker;
use crate::race::{Series, Times, Way, race, unwarmed};
use crate::report::{Bound, Report, Section, Table};
use crate::seed;
use crate::unit::Unit;
use crate::world::{World, begin};

const TEXT: &str = "\
    zlib, on a Debian with gcc, make and ccache: one step copies its source in, one configures, compiles and tests it as a user, two \
    files at a time, with ccache's folder in a cache. docker-store and the seed are given the source as a tar stream, which is packed on the clock; BuildKit \
    looks for what has changed in the folder itself. *From nothing*: neither result nor cache is there. *With a warm cache*: both steps are done \
    again, and the compiler finds all in its cache. *One file changed*: the source is another one, so both steps are done, and one file is \
    compiled. What the steps run is most of each figure, and the same for all; the rest is what a user feels of the store.";

/// The compiler's user.
const BUILDER: u32 = 1000;

const COMPILE: &str = "./configure && make -j2 CC='ccache gcc' test";

const CACHE_AT: &str = "/ccache";

const BOUND: Bound = Bound::AtMost(1.1);

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    FromNothing,
    Warm,
    Changed,
}

/// The source in a separate directory, and how each builder builds it.
struct Project<'a> {
    world: &'a World,
    source: PathBuf,
}

/// Builds results that start with this word, with the compiler's cache of this name.
type Build<'a> = Box<dyn Fn(&str, &str, Kind) + 'a>;

pub(crate) fn measure(world: &World, report: &mut Report) {
    let mut section = Section::new("A real build", TEXT);
    let given = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let userland = given("DOCKER_STORE_BENCH_USERLAND");
    let what = "a real build, one file changed";
    let Some((userland, zlib)) = userland.zip(given("DOCKER_STORE_BENCH_ZLIB")) else {
        report.judge_series(what, None, BUILDKIT, BOUND);
        return crate::say("no userland: the real build is left out");
    };
    let project = &Project::new(world, &userland, &zlib);
    let kit = &BuildKit::prepared(world);
    let mut builds: Vec<(&str, Build<'_>)> = vec![(OURS, Box::new(|w, c, _| project.ours(w, c)))];
    if let Some(kit) = kit {
        let build = Box::new(|word: &str, cache: &str, kind| project.kit(kit, word, cache, kind));
        builds.push((BUILDKIT, build));
    }
    builds.push((SEED, Box::new(|w, c, _| project.seed(w, c))));

    let kinds = [
        (Kind::FromNothing, "from nothing", world.pick(1, 2)),
        (Kind::Warm, "with a warm cache", world.pick(1, 3)),
        (Kind::Changed, "one file changed", world.pick(1, 7)),
    ];
    for (kind, title, rounds) in kinds {
        let rows = project.race(&builds, kind, rounds);
        section
            .tables
            .push(Table::new(title, Unit::Time, BUILDKIT, rows));
    }
    let changed = section.tables.last().expect("a table");
    report.judge(what, changed, [OURS, BUILDKIT], BOUND);
    report.add(section);
    project.forget_cache(WARM);
    drop(builds);
    assert!(world.store.delete(USERLAND).expect("deleted"));
}

const USERLAND: &str = "userland";
const WARM: &str = "warm";

impl<'a> Project<'a> {
    fn new(world: &'a World, userland: &Path, zlib: &Path) -> Self {
        let source = world.folder.join("zlib");
        let copied = Process::new("cp").arg("-r").arg(zlib).arg(&source).status();
        assert!(copied.expect("cp").success());
        match world
            .store
            .begin(None, USERLAND, &Limits::none())
            .expect("begun")
        {
            Begun::Step(mut step) => {
                let mut tar = File::open(userland).expect("the userland");
                step.import(&mut tar, &mut |_| Ok(())).expect("imported");
                step.commit().expect("committed");
            }
            Begun::Present => panic!("nobody else makes it"),
        }
        Project { world, source }
    }

    fn race(&self, builds: &[(&str, Build<'_>)], kind: Kind, rounds: usize) -> Vec<Series> {
        let ways = builds.iter().map(|(name, build)| {
            Way::new(name, move |times: &mut Times| {
                let word = self.world.fresh("real");
                let cache = match kind {
                    Kind::FromNothing => word.as_str(),
                    _ => WARM,
                };
                if kind == Kind::Changed {
                    self.change(&word);
                }
                rustix::fs::sync();
                times.time(|| build(&word, cache, kind));
                self.forget(&word);
                if kind == Kind::FromNothing {
                    self.forget_cache(cache);
                }
            })
        });
        let ways = ways.collect();
        match kind {
            // The others fill the cache in a turn that is not counted.
            Kind::FromNothing => unwarmed(rounds, ways),
            _ => race("a real build", rounds, ways),
        }
    }

    /// Changes one file of the source in a new way.
    fn change(&self, word: &str) {
        let path = self.source.join("adler32.c");
        let file = OpenOptions::new().append(true).open(path);
        writeln!(
            file.expect("a source file"),
            "const char {word}[] = \"{word}\";"
        )
        .expect("written");
    }

    /// The source as a tar stream.
    fn packed(&self) -> Child {
        let owner = format!("--owner=build:{BUILDER}");
        let group = format!("--group=build:{BUILDER}");
        let words = [
            "--sort=name",
            &owner,
            &group,
            "--transform=s,^[.],src,",
            "-cf",
            "-",
            ".",
        ];
        let mut tar = Process::new("tar");
        tar.arg("-C").arg(&self.source).args(words);
        tar.stdout(Stdio::piped()).spawn().expect("tar")
    }

    fn ours(&self, word: &str, cache: &str) {
        let store = &self.world.store;
        let (source, built) = (format!("{word}-source"), format!("{word}-built"));
        let mut step = begin(store, USERLAND, &source);
        let mut tar = self.packed();
        let mut stream = tar.stdout.take().expect("piped");
        step.copy_in("/", &mut stream).expect("copied");
        assert!(tar.wait().expect("its end").success());
        step.commit().expect("committed");

        let mut request = CacheRequest::new();
        request.owner(BUILDER, BUILDER);
        let lease = store.cache(cache, &request).expect("a lease");
        let mut step = begin(store, &source, &built);
        let mut command = Command::new(["/bin/sh", "-c", COMPILE]);
        command
            .user(BUILDER.to_string())
            .cwd("/src")
            .env("CCACHE_DIR", CACHE_AT);
        command.lease(&lease, CACHE_AT);
        step.run(&command).expect("it compiles");
        step.commit().expect("committed");
        lease.release().expect("released");
    }

    fn kit(&self, kit: &BuildKit, word: &str, cache: &str, kind: Kind) {
        let world = self.world;
        let file = world.folder.join("zlib.dockerfile");
        let (base, cache) = (world.image(USERLAND), world.image(cache));
        let image = world.image(&format!("{word}-built"));
        let mount = format!("type=cache,id={cache},target={CACHE_AT},uid={BUILDER},gid={BUILDER}");
        let text = format!(
            "FROM {base}\nCOPY --chown={BUILDER}:{BUILDER} . /src/\nWORKDIR /src\nUSER {BUILDER}\n\
             RUN --mount={mount} export CCACHE_DIR={CACHE_AT} of={image}; {COMPILE}\n"
        );
        std::fs::write(&file, text).expect("written");
        kit.build_in(&image, &file, &self.source, kind == Kind::Warm);
    }

    fn seed(&self, word: &str, cache: &str) {
        let prefix = self.world.prefix();
        let (source, built) = (format!("{word}-source"), format!("{word}-built"));
        let mut tar = self.packed();
        let unpack = seed::Run {
            options: &["--workdir", "/"],
            command: &["tar", "-xf", "-"],
            input: Some(tar.stdout.take().expect("piped").into()),
        };
        seed::step_of(prefix, USERLAND, &source, unpack);
        assert!(tar.wait().expect("its end").success());

        let cache = seed::Cache::new(prefix, cache);
        let owner = format!("{BUILDER}:{BUILDER}");
        let mount = format!(
            "type=volume,src={},dst={CACHE_AT}",
            cache.acquire_for(&owner)
        );
        let variable = format!("CCACHE_DIR={CACHE_AT}");
        let user = ["--user", &owner, "--workdir", "/src", "--env", &variable];
        let compile = seed::Run {
            options: &[&user[..], &["--mount", &mount]].concat(),
            command: &["/bin/sh", "-c", COMPILE],
            input: None,
        };
        seed::step_of(prefix, &source, &built, compile);
        cache.release();
    }

    /// Removes what was built under this word, by any builder: not all have an image of the source.
    fn forget(&self, word: &str) {
        for what in ["built", "source"] {
            let id = format!("{word}-{what}");
            self.world.store.delete(&id).expect("deleted");
        }
    }

    /// Removes a cache, ours and OBuilder's. (BuildKit's is removed with all of its cache.)
    fn forget_cache(&self, cache: &str) {
        let store = &self.world.store;
        store.delete_cache(cache).expect("deleted");
        store.complete_deletes(&Limits::none()).expect("gone");
        let volume = format!("{}-cache-c-{cache}", self.world.prefix());
        docker(&["volume", "rm", "-f", &volume]);
    }
}
