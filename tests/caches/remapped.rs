//! Caches if the numbers of users in the engine's containers differ from the host's: every way keeps what steps write. The
//! engine belongs to the test, so it needs root and `DOCKER_STORE_TEST_LONG`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use docker_store::{CacheRequest, Options, Released, Store};

use super::ground::Way;
use crate::common::amount;
use crate::common::{begin, import_base, sh};

/// The container's root is this user of the host.
const FIRST: u32 = 300_000;

/// A daemon in its own directory, with the host's own list of user namespaces hidden.
struct Engine {
    folder: PathBuf,
    daemon: Child,
}

impl Engine {
    /// `None` if no engine can be started.
    fn start() -> Option<Self> {
        if amount(0, 1) == 0 || !rustix::process::geteuid().is_root() {
            return None;
        }
        // Not in /tmp: a data root must not be on an overlay or in memory.
        let folder = Path::new("/var/lib").join(format!("ds-remap-{}", std::process::id()));
        fs::create_dir(&folder).expect("a folder");
        let ids = folder.join("ids");
        fs::write(
            &ids,
            format!("nobody:{FIRST}:65536\nnogroup:{FIRST}:65536\n"),
        )
        .expect("written");
        let script = r#"set -e; d=$0
            mount --bind "$d/ids" /etc/subuid; mount --bind "$d/ids" /etc/subgid
            echo '{}' >"$d/dockerd.json"
            exec dockerd --config-file "$d/dockerd.json" --data-root "$d/data" --exec-root "$d/exec" --pidfile "$d/pid" \
                --host "unix://$d/docker.sock" --storage-driver overlay2 --bridge=none --iptables=false --ip6tables=false \
                --userns-remap=nobody:nogroup"#;
        let log = fs::File::create(folder.join("log")).expect("a log");
        let daemon = Command::new("unshare")
            .args(["-m", "sh", "-c", script])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("unshare runs");
        let engine = Engine { folder, daemon };
        let began = Instant::now();
        while !engine.answers() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{}",
                engine.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(engine)
    }

    fn address(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.display())
    }

    fn answers(&self) -> bool {
        let asked = Command::new("docker")
            .args(["--host", &self.address(), "version"])
            .output();
        asked.is_ok_and(|output| output.status.success())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .arg(self.daemon.id().to_string())
            .status();
        let _ = self.daemon.wait();
        let _ = Command::new("rm").arg("-rf").arg(&self.folder).status();
    }
}

#[test]
fn where_containers_have_other_users_every_way_keeps_what_steps_write() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let ways = Way::ALL.map(Way::options);
    for (n, mut options) in ways.into_iter().chain([Options::new()]).enumerate() {
        let root = engine.folder.join(format!("root{n}"));
        fs::create_dir(&root).expect("a root");
        let store = Store::open(&root, options.engine(engine.address())).expect("a store");
        import_base(&store, "base");
        keeps(&store, n);
        store.close().expect("closed");
    }
}

fn keeps(store: &Store, n: usize) {
    let (strategy, why) = store.strategy().expect("a strategy");
    println!("-- {n}: {strategy:?}: {why}");
    assert!(
        why.contains("archive"),
        "files are not this machine's to write: {why}"
    );
    // More than a chain of layers may have, so that it is also compacted.
    for generation in 1..=9 {
        let lease = store
            .cache("c", CacheRequest::new().owner(1000, 1001))
            .expect("a lease");
        let mut step = begin(store, "base", &format!("s{generation}"));
        let script = format!(
            "set -e; test \"$(stat -c %u:%g /c)\" = 1000:1001; echo {generation} >/c/root; echo {generation} >/c/{generation}; \
             mkdir -p /c/d; chown 1000:1001 /c/d; echo x >/c/d/{generation}; chown 65534:7 /c/d/{generation}"
        );
        step.run(sh(&script).lease(&lease, "/c")).expect("a run");
        step.run(
            sh("echo mine >>/c/mine")
                .user("1000:1001")
                .lease(&lease, "/c"),
        )
        .expect("a run as its owner");
        step.commit().expect("a commit");
        assert_eq!(
            lease.release().expect("released"),
            Released::Won(generation)
        );
        // A lease without changes is not a generation.
        let untouched = store
            .cache("c", CacheRequest::new().owner(5, 6))
            .expect("a lease");
        assert_eq!(untouched.release().expect("released"), Released::Unchanged);
    }
    let lease = store
        .cache("c", CacheRequest::new().owner(1000, 1001))
        .expect("a lease");
    let mut step = begin(store, "base", "look");
    step.run(
        sh("cd /c; stat -c '%n %u:%g' root d d/1 mine; cat root; ls d | wc -l; wc -l <mine")
            .lease(&lease, "/c"),
    )
    .expect("a run");
    step.abort().expect("aborted");
    let log = fs::read_to_string(store.log_file("look").expect("a path")).expect("a log");
    assert_eq!(
        log,
        "root 0:0\nd 1000:1001\nd/1 65534:7\nmine 1000:1001\n9\n9\n9\n"
    );
}
