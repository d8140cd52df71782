//! Other processes: this test program, run again, does what a test tells it to.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use docker_store::{Lease, Store};

use super::ground::{Way, get};

/// The variable with the root for a child to work on. Tests that are children do nothing without it.
const ROOT: &str = "DOCKER_STORE_TEST_CHILD_ROOT";
const WAY: &str = "DOCKER_STORE_TEST_CHILD_WAY";
const NUMBER: &str = "DOCKER_STORE_TEST_CHILD_NUMBER";
const ENGINE: &str = "DOCKER_STORE_TEST_CHILD_ENGINE";

/// Starts the test `test` of this program in a process of its own.
pub fn start(test: &str, root: &Path, way: Way, number: usize, engine: Option<&str>) -> Child {
    let mut command = command(test, root, way, number);
    if let Some(engine) = engine {
        command.env(ENGINE, engine);
    }
    command.stdout(Stdio::null()).spawn().expect("a child")
}

/// What starts it.
pub fn command(test: &str, root: &Path, way: Way, number: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command
        .env(ROOT, root)
        .env(WAY, way.number().to_string())
        .env(NUMBER, number.to_string());
    command
}

/// Runs `child` in a different boot, as far as it can see, with this number; `folder` is for what that needs.
pub fn in_boot(folder: &Path, number: usize, child: &Command) -> Command {
    let boot = folder.join("boot");
    let name = format!("00000000-0000-4000-8000-{number:012}\n");
    std::fs::write(&boot, name).expect("written");
    let mut inside = Command::new("unshare");
    inside
        .args(["-m", "sh", "-c"])
        .arg("mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"")
        .arg(&boot)
        .arg(child.get_program())
        .args(child.get_args())
        .stdout(Stdio::null());
    for (name, value) in child.get_envs() {
        inside.env(name, value.expect("set"));
    }
    inside
}

/// What this process is told to do, if it is a child.
pub struct Orders {
    pub root: PathBuf,
    pub way: Way,
    pub number: usize,
    engine: Option<String>,
}

impl Orders {
    pub fn given() -> Option<Self> {
        let number = |name| std::env::var(name).expect("set").parse().expect("a number");
        Some(Orders {
            root: PathBuf::from(std::env::var_os(ROOT)?),
            way: Way::ALL[number(WAY)],
            number: number(NUMBER),
            engine: std::env::var(ENGINE).ok(),
        })
    }

    pub fn open(&self) -> Store {
        let mut options = self.way.options();
        if let Some(engine) = &self.engine {
            options.engine(engine.as_str());
        }
        Store::open(&self.root, &options).expect("an open store")
    }
}

/// A file of lines that several processes append to. A line is complete as soon as it is written, whichever process is killed
/// then.
pub struct Journal(File);

impl Journal {
    fn path(root: &Path) -> PathBuf {
        root.join("state/journal")
    }

    pub fn append(root: &Path) -> Self {
        let _ = fs::create_dir_all(root.join("state"));
        Journal(
            File::options()
                .create(true)
                .append(true)
                .open(Journal::path(root))
                .expect("a journal"),
        )
    }

    pub fn line(&self, text: &str) {
        (&self.0)
            .write_all(format!("{text}\n").as_bytes())
            .expect("written");
    }

    pub fn read(root: &Path) -> Vec<Vec<String>> {
        let text = fs::read_to_string(Journal::path(root)).unwrap_or_default();
        text.lines()
            .map(|line| line.split(' ').map(str::to_owned).collect())
            .collect()
    }
}

/// The directory of a lease to which writes go. Nothing is mounted, so a kill leaves nothing mounted.
pub fn place_to_write(lease: &Lease) -> PathBuf {
    let volume = get(&format!("/volumes/{}", lease.volume()));
    let upper = volume["Options"]["o"].as_str().and_then(|options| {
        options
            .split(',')
            .find_map(|option| option.strip_prefix("upperdir="))
            .map(PathBuf::from)
    });
    upper.unwrap_or_else(|| PathBuf::from(volume["Mountpoint"].as_str().expect("a mount point")))
}

/// The files of a version of a cache: all of them have the same contents.
const FILES: [&str; 5] = ["v", "f0", "f1", "f2", "f3"];

/// Writes the version `version` to a lease.
pub fn write_version(place: &Path, version: &str) {
    for name in FILES {
        fs::write(place.join(name), version).expect("written");
    }
}

/// The version in a tree; `None` for an empty one. Fails for an incomplete one.
pub fn version_in(place: &Path) -> Option<String> {
    let all: Vec<Option<String>> = FILES
        .iter()
        .map(|name| fs::read_to_string(place.join(name)).ok())
        .collect();
    assert!(
        all.iter().all(|text| *text == all[0]),
        "a torn generation: {all:?}"
    );
    all[0].clone()
}
