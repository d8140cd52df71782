//! The `docker` command: OBuilder's way, and what a benchmark prepares and removes without the library.

use std::fs::File;
use std::process::{Command, Stdio};

/// Runs `docker` with `args`; returns its lines. If it fails, the run fails.
pub(crate) fn docker(args: &[&str]) -> Vec<String> {
    let (success, lines) = attempt(args);
    assert!(success, "docker {args:?} failed");
    lines
}

/// Runs `docker`, which may fail.
pub(crate) fn attempt(args: &[&str]) -> (bool, Vec<String>) {
    let output = Command::new("docker")
        .args(args)
        .stderr(Stdio::null())
        .output();
    let output = output.expect("the docker command");
    let text = String::from_utf8_lossy(&output.stdout);
    (
        output.status.success(),
        text.lines().map(str::to_owned).collect(),
    )
}

/// Runs `docker` with its output in a file.
pub(crate) fn docker_to(args: &[&str], file: File) {
    let status = Command::new("docker").args(args).stdout(file).status();
    assert!(
        status.expect("the docker command").success(),
        "docker {args:?} failed"
    );
}

/// Runs `docker` with its input from a file or a pipe.
pub(crate) fn docker_from(args: &[&str], file: impl Into<Stdio>) {
    let status = Command::new("docker")
        .args(args)
        .stdin(file)
        .stdout(Stdio::null())
        .status();
    assert!(
        status.expect("the docker command").success(),
        "docker {args:?} failed"
    );
}

/// `docker FROM | docker TO`, as OBuilder copies a volume.
pub(crate) fn docker_pipe(from: &[&str], to: &[&str]) {
    let mut sender = Command::new("docker")
        .args(from)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the docker command");
    let pipe = sender.stdout.take().expect("piped");
    let received = Command::new("docker")
        .args(to)
        .stdin(pipe)
        .stdout(Stdio::null())
        .status();
    let sent = sender.wait().expect("its end");
    assert!(sent.success() && received.expect("the docker command").success());
}

/// Removes every container, image tag and volume whose name starts with `prefix`.
pub(crate) fn sweep(prefix: &str) {
    let named = format!("name=^/?{prefix}");
    in_portions(
        &["rm", "-fv"],
        &docker(&["ps", "-aq", "--no-trunc", "--filter", &named]),
    );
    let images = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let ours: Vec<String> = images
        .into_iter()
        .filter(|name| name.starts_with(prefix))
        .collect();
    in_portions(&["rmi", "-f"], &ours);
    in_portions(
        &["volume", "rm", "-f"],
        &docker(&["volume", "ls", "-q", "--filter", &named]),
    );
}

fn in_portions(command: &[&str], names: &[String]) {
    for names in names.chunks(500) {
        let names = names.iter().map(String::as_str);
        let args: Vec<&str> = command.iter().copied().chain(names).collect();
        attempt(&args);
    }
}
