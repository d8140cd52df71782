//! What all measurements share: a separate store on the engine, a base in it, the other clients, and how much to do.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use docker_store::{Begun, Command, Limits, Options, Step, Store, Strategy};

use crate::bare;
use crate::docker::{docker, sweep};
use crate::peer::Peer;

/// The start of every name that the benchmarks create on the engine. What an interrupted run left is recognised by it.
pub(crate) const WORD: &str = "storebench";

/// An image in which `tar` is a command; OBuilder takes one called busybox from a registry.
pub(crate) const BUSYBOX: &str = "storebench-busybox";

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) folder: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) quick: bool,
    pub(crate) bollard: Option<Peer>,
    pub(crate) docker_py: Option<Peer>,
    /// A C program that is linked to the static library.
    pub(crate) c: Option<Peer>,
    next: Cell<usize>,
}

impl World {
    pub(crate) fn new(folder: &Path, quick: bool) -> Self {
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        let socket = host.strip_prefix("unix://");
        let socket = PathBuf::from(socket.expect("an engine on a unix socket in DOCKER_HOST"));
        let base = std::env::var("DOCKER_STORE_BENCH_BASE").expect("scripts/bench to have run");
        sweep(&format!("{WORD}-"));
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).expect("a folder");
        let folder = folder.canonicalize().expect("a folder");
        let root = folder.join("root");
        let c = std::env::var("DOCKER_STORE_BENCH_C").ok();
        let mut world = World {
            store: open(&root, Strategy::Automatic),
            socket,
            quick,
            bollard: Peer::prepared("bollard", "DOCKER_STORE_BENCH_BOLLARD"),
            docker_py: Peer::prepared("docker-py", "DOCKER_STORE_BENCH_DOCKER_PY"),
            c: None,
            folder,
            next: Cell::new(0),
        };
        if let Some(program) = c {
            let mut command = std::process::Command::new(program);
            world.c = Peer::start("docker-store from C", command.arg(&root).arg(WORD));
        }
        world.import_base(&base);
        world
    }

    fn import_base(&self, tar: &str) {
        let mut step = match self
            .store
            .begin(None, "base", &Limits::none())
            .expect("begun")
        {
            Begun::Step(step) => step,
            Begun::Present => return,
        };
        let mut tar = std::fs::File::open(tar).expect("the base's tar file");
        step.import(&mut tar, &mut |_| Ok(())).expect("imported");
        step.commit().expect("committed");
        docker(&["tag", &self.image("base"), BUSYBOX]);
    }

    /// One of two numbers: for the quick run or the full one.
    pub(crate) fn pick(&self, quick: usize, whole: usize) -> usize {
        if self.quick { quick } else { whole }
    }

    pub(crate) fn prefix(&self) -> &str {
        self.store.prefix()
    }

    pub(crate) fn image(&self, id: &str) -> String {
        format!("{}-image-{id}", self.prefix())
    }

    /// An id that was not used before.
    pub(crate) fn fresh(&self, what: &str) -> String {
        self.next.set(self.next.get() + 1);
        format!("{what}{}", self.next.get())
    }

    /// Begins a step that was never built.
    pub(crate) fn begin(&self, base: &str, id: &str) -> Step {
        begin(&self.store, base, id)
    }

    /// A prepared request for a path under the API version that the store uses.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        bare::request(
            method,
            &format!("/v{}{path}", self.store.api_version()),
            body,
        )
    }

    pub(crate) fn inspect(&self, image: &str) -> Vec<u8> {
        self.request("GET", &format!("/images/{image}/json"), "")
    }

    /// The other clients that could be prepared.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Peer> {
        self.bollard.iter().chain(&self.docker_py)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.c = None;
        sweep(&format!("{WORD}-"));
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Opens a store with the benchmarks' own word in its names.
pub(crate) fn open(root: &Path, strategy: Strategy) -> Store {
    Store::open(root, Options::new().name(WORD).strategy(strategy)).expect("an open store")
}

pub(crate) fn begin(store: &Store, base: &str, id: &str) -> Step {
    match store.begin(Some(base), id, &Limits::none()).expect("begun") {
        Begun::Step(step) => step,
        Begun::Present => panic!("{id} is there already"),
    }
}

pub(crate) fn sh(script: &str) -> Command {
    Command::new(["/bin/sh", "-c", script])
}
