//! OBuilder's Docker store: its own `docker` commands in its own order, as observed from its processes. Its names start with
//! the same word as ours, and the image called busybox is a private one.

use std::process::{Command, Stdio};

use crate::docker::{attempt, docker, docker_from, docker_pipe};
use crate::world::BUSYBOX;

/// One lookup: `result`.
pub(crate) fn result(image: &str) -> bool {
    attempt(&["inspect", "--type=image", "--", image]).0
}

/// The requests of opening, without leftovers.
pub(crate) fn open(prefix: &str) {
    docker(&[
        "container",
        "ls",
        "--all",
        "--filter",
        &format!("name=^{prefix}"),
        "-q",
    ]);
    let tmp = format!("{prefix}-image-tmp-*");
    docker(&["images", "--format", "{{ .Repository }}", &tmp]);
    let filter = format!("name=^{prefix}-cache-tmp-");
    docker(&["volume", "ls", "--quiet", "--filter", &filter]);
}

/// One step that runs `/bin/true`, from the lookup to the result.
pub(crate) fn step(prefix: &str, base: &str, id: &str) {
    let run = Run {
        options: &[],
        command: &["/bin/true"],
        input: None,
    };
    step_of(prefix, base, id, run);
}

/// What a step passes to `docker run`, in addition to the common arguments.
pub(crate) struct Run<'a> {
    pub(crate) options: &'a [&'a str],
    pub(crate) command: &'a [&'a str],
    pub(crate) input: Option<Stdio>,
}

/// One step, from the lookup to the result.
pub(crate) fn step_of(prefix: &str, base: &str, id: &str, run: Run<'_>) {
    let (base, result_image) = (
        format!("{prefix}-image-{base}"),
        format!("{prefix}-image-{id}"),
    );
    let (tmp, container) = (
        format!("{prefix}-image-tmp-{id}"),
        format!("{prefix}-container-{id}"),
    );
    assert!(!result(&result_image));
    docker(&["tag", &base, &tmp]);
    attempt(&["inspect", "--type=container", "--", &container]);
    let each = ["run", "--name", &container, "-i", "--network", "none"];
    let words = [&each[..], run.options, &["--", &tmp], run.command].concat();
    match run.input {
        Some(input) => docker_from(&words, input),
        None => drop(docker(&words)),
    }
    docker(&[
        "inspect",
        "--type=image",
        "--format={{json .Config.Entrypoint }}",
        "--",
        &tmp,
    ]);
    docker(&[
        "inspect",
        "--type=image",
        "--format={{json .Config.Cmd }}",
        "--",
        &tmp,
    ]);
    docker(&[
        "commit",
        "--change",
        r#"CMD ["/bin/sh"]"#,
        "--",
        &container,
        &result_image,
    ]);
    docker(&["rm", "--force", "--", &container]);
    docker(&["image", "rm", &tmp]);
}

/// The volumes of one cache.
pub(crate) struct Cache {
    main: String,
    tmp: String,
}

impl Cache {
    pub(crate) fn new(prefix: &str, name: &str) -> Self {
        Cache {
            main: format!("{prefix}-cache-c-{name}"),
            tmp: format!("{prefix}-cache-tmp-0-c-{name}"),
        }
    }

    /// Leases it to root; returns the volume to mount.
    pub(crate) fn acquire(&self) -> &str {
        self.acquire_for("0:0")
    }

    /// Leases it to the user and group with these numbers.
    pub(crate) fn acquire_for(&self, owner: &str) -> &str {
        if !attempt(&["volume", "inspect", "--", &self.main]).0 {
            docker(&["volume", "create", "--", &self.main]);
        }
        docker(&["volume", "create", "--", &self.tmp]);
        copy(&self.main, &self.tmp);
        let place = docker(&[
            "volume",
            "inspect",
            "--format",
            "{{ .Mountpoint }}",
            "--",
            &self.tmp,
        ]);
        let chown = Command::new("chown").arg(owner).arg(&place[0]).status();
        assert!(chown.expect("chown").success());
        &self.tmp
    }

    /// Releases it as the next version.
    pub(crate) fn release(&self) {
        docker(&["volume", "rm", &self.main]);
        docker(&["volume", "create", "--", &self.main]);
        copy(&self.tmp, &self.main);
        docker(&["volume", "rm", &self.tmp]);
    }
}

fn copy(from: &str, to: &str) {
    let source = format!("type=volume,src={from},dst=/src,readonly");
    let target = format!("type=volume,src={to},dst=/dst");
    let none = ["--network", "none"];
    let sender = ["run", "--rm", none[0], none[1], "--mount", &source, BUSYBOX];
    let receiver = [
        "run", "--rm", none[0], none[1], "-i", "--mount", &target, BUSYBOX,
    ];
    docker_pipe(
        &[&sender[..], &["tar", "-c", "-C", "/src", "-f", "-", "."]].concat(),
        &[&receiver[..], &["tar", "-xp", "-C", "/dst", "-f", "-"]].concat(),
    );
}
