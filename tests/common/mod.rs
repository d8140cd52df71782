//! What the tests share: a root and a store of their own, a base to build on, and queries of the engine without the library.
//!
//! The tests need a real engine: run them with `make test`, which makes sure that there is one.
#![allow(dead_code, unreachable_pub, unused_imports)] // each test file uses its part

pub mod asked;
pub mod certificates;
pub mod own_engine;
pub mod patience;
pub mod proxy;
pub mod registry;
pub mod sshd;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::atomic::{AtomicU32, Ordering};

use docker_store::{Begun, Command, Limits, Options, Step, Store};
pub use patience::until;
use patience::{Watch, ended};
use sha2::{Digest, Sha256};

/// A root of its own, and so a prefix of its own. Dropping it removes everything under that prefix from the engine, and fails
/// the test if the library left anything that it should not have.
pub struct Root {
    pub path: PathBuf,
    prefix: String,
    _watch: Watch,
}

impl Root {
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!(
            "docker-store-test-{}-{n}-{name}",
            std::process::id()
        ));
        Root::at(path)
    }

    /// A root at the given path.
    pub fn at(path: PathBuf) -> Self {
        let watch = Watch::new();
        std::fs::create_dir(&path).expect("a new directory");
        let prefix = match Store::open(&path, &Options::new()) {
            Ok(store) => store.prefix().to_owned(),
            Err(e) => {
                let _ = std::fs::remove_dir_all(&path);
                panic!("no engine to test with ({e}); run the tests by `make test`");
            }
        };
        Root {
            path,
            prefix,
            _watch: watch,
        }
    }

    pub fn open(&self) -> Store {
        self.open_with(&Options::new())
    }

    pub fn open_with(&self, options: &Options) -> Store {
        Store::open(&self.path, options).expect("a store")
    }

    /// A store with the result `base` in it: busybox.
    pub fn open_with_base(&self) -> Store {
        let store = self.open();
        import_base(&store, "base");
        store
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub fn image(&self, id: &str) -> String {
        format!("{}-image-{id}", self.prefix)
    }

    /// The names of containers, images and volumes of this root that only a step or a lease in progress may hold.
    pub fn leftovers(&self) -> Vec<String> {
        let p = &self.prefix;
        let mut names = asked::containers(p);
        let images = asked::image_names(&format!("{p}-image-tmp-"));
        let untagged = images.iter().filter_map(|name| name.rsplit_once(':'));
        names.extend(untagged.map(|(repository, _)| repository.to_owned()));
        let volumes = asked::volumes(&format!("{p}-"));
        names.extend(
            volumes
                .into_iter()
                .filter(|name| !name.starts_with(&format!("{p}-cache-")))
                // The root's claim on the prefix, which is kept.
                .filter(|name| *name != format!("{p}-store")),
        );
        names
    }

    /// Like [`leftovers`](Self::leftovers), if caches were released: their layers are kept.
    pub fn leftovers_beside_caches(&self) -> Vec<String> {
        let layer = format!("{}-layer-", self.prefix);
        self.leftovers()
            .into_iter()
            .filter(|name| !name.starts_with(&layer))
            .collect()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // An engine that the test has ended has nothing to ask.
        if asked::connect().is_ok() {
            let p = &self.prefix;
            let remove = |what: String| drop(asked::request("DELETE", &what, None));
            for name in asked::containers(p) {
                remove(format!("/containers/{name}?force=1&v=1"));
            }
            for name in asked::image_names(&format!("{p}-")) {
                // Not by force: Podman would take all other names of it along, of other tests' roots.
                remove(format!("/images/{name}"));
            }
            for name in asked::volumes(&format!("{p}-")) {
                remove(format!("/volumes/{name}?force=1"));
            }
        }
        let _ = Process::new("rm").arg("-rf").arg(&self.path).status();
    }
}

/// Creates the result `marked` from the result `base`, and returns a function that lists the images that are based on it and
/// have no name.
pub fn marked(root: &Root) -> impl Fn() -> Vec<String> {
    let mark = format!("org.example.mark={}", root.prefix());
    let container = docker(&["create", &root.image("base"), "x"]).remove(0);
    let label = format!("LABEL {mark}");
    docker(&["commit", "-c", &label, &container, &root.image("marked")]);
    docker(&["rm", &container]);
    move || nameless(&mark)
}

/// The images with a label and without a name. (`images -a` would show parents, too.)
pub fn nameless(label: &str) -> Vec<String> {
    let label = format!("label={label}");
    docker(&[
        "images",
        "-q",
        "--filter",
        "dangling=true",
        "--filter",
        &label,
    ])
}

/// The tar of a small root file system: busybox and a user `build`.
pub fn base_tar() -> PathBuf {
    let path = std::env::var_os("DOCKER_STORE_TEST_BASE").map(PathBuf::from);
    let path = path
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/base/busybox.tar"));
    assert!(
        path.exists(),
        "{} is missing: run `make test`, or `scripts/base busybox {0}`",
        path.display()
    );
    path
}

pub fn import_base(store: &Store, id: &str) {
    if let Begun::Step(mut step) = store.begin(None, id, &Limits::none()).expect("a step") {
        step.import_file(&base_tar(), &mut |_| Ok(()))
            .expect("an import");
        step.commit().expect("a commit");
    }
}

/// Begins a step whose result must not exist yet.
pub fn begin(store: &Store, base: &str, id: &str) -> Step {
    match store.begin(Some(base), id, &Limits::none()).expect("begun") {
        Begun::Step(step) => step,
        Begun::Present => panic!("{id} is there already"),
    }
}

pub fn sh(script: &str) -> Command {
    Command::new(["/bin/sh", "-c", script])
}

/// Builds `id` on `base` with a shell script.
pub fn build(store: &Store, base: &str, id: &str, script: &str) {
    let mut step = begin(store, base, id);
    step.run(&sh(script)).expect("a run");
    step.commit().expect("a commit");
}

/// The output of a command in a container created from a result, which is not changed by it.
pub fn output_in(store: &Store, id: &str, script: &str) -> String {
    let probe = format!("{id}-probe");
    let mut step = begin(store, id, &probe);
    step.run(&sh(script)).expect("a run");
    step.abort().expect("aborted");
    std::fs::read_to_string(store.log_file(&probe).expect("a path")).expect("a log")
}

/// Runs the `docker` command, and returns its lines. The library is not involved.
pub fn docker(args: &[&str]) -> Vec<String> {
    let output = Process::new("docker")
        .args(args)
        .output()
        .expect("the docker command");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .filter(|l| !l.is_empty())
        .collect()
}

/// How much of something a test does: `short`, or `long` where `DOCKER_STORE_TEST_LONG` asks for what takes its time.
pub fn amount(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// Whether tests may take their time.
pub fn is_long() -> bool {
    std::env::var_os("DOCKER_STORE_TEST_LONG").is_some()
}

/// Of the calls that something makes, those to try in this run: all in a long one, else every `stride`-th, from another one on in
/// each run.
pub fn some_calls(stride: usize) -> impl Iterator<Item = usize> {
    let stride = amount(stride, 1);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_micros());
    let first = nanos as usize % stride;
    println!("every {stride}-th call, from {first} on");
    (first..).step_by(stride)
}

/// An image's configuration, as the engine shows it.
pub fn config_of(image: &str) -> serde_json::Value {
    let found = asked::get(&format!("/images/{image}/json"));
    assert!(found["Config"].is_object(), "no image {image}: {found}");
    found["Config"].clone()
}

/// An image's id; "" where there is none.
pub fn id_of(image: &str) -> String {
    let found = asked::get(&format!("/images/{image}/json"));
    found["Id"].as_str().unwrap_or_default().to_owned()
}

/// What stores the engine's images: each accepts an image's file without layers in a different form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageStore {
    /// Docker with a storage driver of its own.
    Docker,
    /// Docker with the image store of containerd.
    Containerd,
    Podman,
}

pub fn image_store() -> ImageStore {
    let parts = "{{range .Server.Components}}{{.Name}} {{end}}";
    let parts = docker(&["version", "--format", parts]).concat();
    if parts.contains("Podman") {
        return ImageStore::Podman;
    }
    let status = docker(&["info", "--format", "{{.DriverStatus}}"]).concat();
    match status.contains("io.containerd.snapshotter.") {
        true => ImageStore::Containerd,
        false => ImageStore::Docker,
    }
}

/// One tar file with one file in it.
pub fn tar_of(name: &str, content: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content)
        .expect("in memory");
    tar.into_inner().expect("in memory")
}

/// The files in a tar stream: names and contents.
pub fn untar(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().expect("a tar");
    entries
        .map(|entry| {
            let mut entry = entry.expect("an entry");
            let name = entry.path().expect("a path").display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("its content");
            (name, content)
        })
        .collect()
}

/// What is in a directory.
pub fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// The kilobytes of memory that this process uses now, and its peak.
pub fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let of = |name: &str| {
        let line = status
            .lines()
            .find(|line| line.starts_with(name))
            .expect("a line");
        let number = line.split_whitespace().nth(1).expect("a number");
        number.parse().expect("a number")
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// In a child that [`spawn`] started for this test: the root to work on. A test starts with this check, and is its own child's
/// program.
pub fn child_of(test: &str) -> Option<PathBuf> {
    let (name, root) = (
        std::env::var("DOCKER_STORE_CHILD").ok()?,
        std::env::var_os("DOCKER_STORE_CHILD_ROOT")?,
    );
    (name == test).then(|| root.into())
}

/// Runs `test` again as a child process that works on `root`.
pub fn spawn(test: &str, root: &Root, role: &str) -> Child {
    let process = Process::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env("DOCKER_STORE_CHILD", test)
        .env("DOCKER_STORE_CHILD_ROOT", &root.path)
        .env("DOCKER_STORE_CHILD_ROLE", role)
        .stdin(std::process::Stdio::null())
        .spawn()
        .expect("a child");
    Child(process)
}

/// What the child was spawned for.
pub fn role() -> String {
    std::env::var("DOCKER_STORE_CHILD_ROLE").unwrap_or_default()
}

/// A child process; killed if the test ends before it does.
pub struct Child(std::process::Child);

impl Child {
    /// Kills it immediately.
    pub fn kill(mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("its end");
    }

    /// Waits for it to pass.
    pub fn pass(self) {
        assert!(self.wait(), "the child failed");
    }

    /// Waits for its end; returns whether it passed.
    pub fn wait(mut self) -> bool {
        ended(&mut self.0, "a child of the test").success()
    }

    pub fn id(&self) -> i32 {
        self.0.id().try_into().expect("a process id")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes the note in the lock of a build older by this many seconds.
pub fn make_older(lock: &Path, seconds: i64) {
    let line = std::fs::read_to_string(lock).expect("a note");
    let (said, _) = line.split_once(" sum=").expect("a note");
    let (before, at) = said.split_once(" at=").expect("its time");
    let at: i64 = at.trim().parse().expect("seconds");
    let said = format!("{before} at={:<11}", at - seconds);
    let sum: String = Sha256::digest(&said)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    std::fs::write(lock, format!("{said} sum={sum}\n")).expect("written");
}
