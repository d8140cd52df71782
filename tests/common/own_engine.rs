//! An engine that belongs to a test, which may stop, kill and restart it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// Started like those of `scripts/engine`; stopped, and its directory removed, when it is dropped.
pub struct OwnEngine {
    pub folder: PathBuf,
    config: String,
    options: String,
}

impl OwnEngine {
    /// `None` if none can be started: only root can.
    pub fn start() -> Option<Self> {
        OwnEngine::start_with("{}")
    }

    /// The same with this in its `daemon.json`.
    pub fn start_with(config: &str) -> Option<Self> {
        OwnEngine::start_as(config, "")
    }

    /// The same with more options for the daemon.
    pub fn start_as(config: &str, options: &str) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("docker-store-own-{}-{number}", std::process::id());
        // Must be on a disk: directories for temporary files may not be.
        let engine = OwnEngine {
            folder: Path::new("/var/lib").join(name),
            config: config.to_owned(),
            options: options.to_owned(),
        };
        let output = engine.script("up");
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            println!("skipped: no engine of its own can be started here ({why})");
            return None;
        }
        Some(engine)
    }

    fn script(&self, verb: &str) -> Output {
        script(&self.folder)
            .arg(verb)
            .env("DOCKER_STORE_ENGINE_CONFIG", &self.config)
            .env("DOCKER_STORE_ENGINE_OPTIONS", &self.options)
            .output()
            .expect("scripts/engine runs")
    }

    pub fn address(&self) -> String {
        format!("unix://{}", self.folder.join("docker.sock").display())
    }

    /// Stops it as a service is stopped, including containers.
    pub fn stop(&self) {
        assert!(self.script("down").status.success());
    }

    /// Starts it again on the same data.
    pub fn start_again(&self) {
        let output = self.script("up");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
    }

    /// Sends only the daemon a signal (`-STOP`, `-KILL`).
    pub fn signal(&self, signal: &str) {
        signal_daemon(&self.folder, signal);
    }
}

fn script(folder: &Path) -> Command {
    let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/engine"));
    script
        .env("DOCKER_STORE_ENGINE", "private")
        .env("DOCKER_STORE_ENGINE_DIR", folder)
        .env_remove("DOCKER_HOST");
    script
}

/// Sends the daemon of the engine in `folder` a signal.
pub fn signal_daemon(folder: &Path, signal: &str) {
    let pid = std::fs::read_to_string(folder.join("exec/dockerd.pid"));
    let pid = pid.expect("its process id").trim().to_owned();
    let sent = Command::new("kill").args([signal, &pid]).status();
    assert!(sent.expect("kill runs").success());
}

/// Waits for the end of a daemon that was sent a signal, and starts only the daemon again, as a service manager does.
pub fn restart_daemon(folder: &Path) {
    let output = script(folder).arg("restart").output();
    let output = output.expect("scripts/engine runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        self.script("down");
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
