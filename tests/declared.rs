//! What a base has besides its files: the step runs as if volumes and health checks were not declared, and the result declares
//! them.

mod common;

use common::{Root, base_tar, begin, build, docker, import_base, output_in, sh, tar_of, untar};
use docker_store::{Begun, ErrorKind, Limits, Step, Store};

/// An image with a record of its own, created without the library: loaded in the form of `docker save`.
fn load(root: &Root, name: &str, config: &serde_json::Value) -> String {
    let image = format!("{}-{name}", root.prefix());
    let files = std::fs::read(base_tar()).expect("the base");
    let file = root.path.join("layer.tar");
    std::fs::write(&file, &files).expect("written");
    let sum = std::process::Command::new("sha256sum")
        .arg(&file)
        .output()
        .expect("sha256sum");
    let sum = String::from_utf8(sum.stdout).expect("a sum");
    let digest = format!("sha256:{}", sum.split(' ').next().expect("a digest"));
    let record = serde_json::json!({
        "architecture": "amd64",
        "variant": "v3",
        "os": "linux",
        "os.version": "1.2.3",
        "author": "somebody",
        "created": "2020-01-02T03:04:05Z",
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": [digest] },
        "history": [{ "created": "2020-01-02T03:04:05Z", "created_by": "ADD base" }],
    });
    let manifest = serde_json::json!([{
        "Config": "config.json",
        "RepoTags": [format!("{image}:latest")],
        "Layers": ["layer.tar"],
    }]);
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in [
        ("manifest.json", manifest.to_string().into_bytes()),
        ("config.json", record.to_string().into_bytes()),
        ("layer.tar", files),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes.as_slice())
            .expect("in memory");
    }
    let archive = root.path.join("image.tar");
    std::fs::write(&archive, tar.into_inner().expect("in memory")).expect("written");
    docker(&["load", "-q", "-i", archive.to_str().expect("a path")]);
    image
}

fn shown(image: &str) -> serde_json::Value {
    let text = docker(&["inspect", "--format", "{{json .}}", image]).join("");
    serde_json::from_str(&text).expect("JSON")
}

/// A step without a base that has started from `image`.
fn on_image(store: &Store, image: &str, id: &str) -> Step {
    match store.begin(None, id, &Limits::none()).expect("begun") {
        Begun::Step(mut step) => {
            step.use_image(image).expect("a base");
            step
        }
        Begun::Present => panic!("{id} is there already"),
    }
}

fn rich() -> serde_json::Value {
    serde_json::json!({
        "Env": ["PATH=/bin:/usr/bin", "A=1"],
        "Cmd": ["/bin/sh"],
        "Volumes": { "/data": {}, "/var/lib/deep": {}, "/etc": {} },
        "OnBuild": ["RUN true"],
        "StopSignal": "SIGQUIT",
        "Shell": ["/bin/sh", "-ec"],
        "ExposedPorts": { "80/tcp": {} },
        "Labels": { "l": "m" },
        "Healthcheck": { "Test": ["CMD-SHELL", "echo checked >>/checked"], "Interval": 1_000_000_000 },
    })
}

#[test]
fn what_a_step_writes_below_a_volume_of_its_base_is_kept() {
    let root = Root::new("volumes");
    let store = root.open();
    let image = load(&root, "rich", &rich());
    let volumes = || docker(&["volume", "ls", "-q"]);
    let before = volumes();

    // Between two runs, for files copied in, and at the commit.
    let mut step = on_image(&store, &image, "one");
    step.copy_in("/data", &mut tar_of("copied", b"in").as_slice())
        .expect("copied in");
    step.run(&sh(
        "test -e /data/copied && echo run >/data/run && test -e /etc/passwd",
    ))
    .expect("a run");
    step.run(
        sh("cat /data/run && echo env >/var/lib/deep/env")
            .env("A", "2")
            .user("0"),
    )
    .expect("a run");
    let mut out = Vec::new();
    step.copy_out("/data/run", &mut out).expect("copied out");
    assert_eq!(untar(&out), vec![("run".to_owned(), b"run\n".to_vec())]);
    step.commit().expect("a commit");

    // A result that declares volumes can be a base, and so can an image that another program creates from it.
    build(
        &store,
        "one",
        "two",
        "cat /data/run >/data/two; rm /data/copied",
    );
    let found = "cat /data/* /var/lib/deep/env; ls /data";
    assert_eq!(output_in(&store, "two", found), "run\nrun\nenv\nrun\ntwo\n");
    assert_eq!(output_in(&store, "one", "ls /data"), "copied\nrun\n");

    // A commit after a command that could not be run, one of nothing at all, and one of files that were only copied in.
    let mut step = begin(&store, "two", "three");
    step.run(&sh("echo x >/data/three")).expect("a run");
    let wrong = step.run(sh("true").user("nosuch")).expect_err("wrong");
    assert_eq!(wrong.kind(), ErrorKind::InvalidArgument, "{wrong}");
    step.commit().expect("a commit");
    begin(&store, "three", "four").commit().expect("a commit");
    let mut step = begin(&store, "four", "five");
    step.copy_in("/data", &mut tar_of("five", b"5").as_slice())
        .expect("copied in");
    step.commit().expect("a commit");
    assert_eq!(
        output_in(&store, "five", "ls /data"),
        "five\nrun\nthree\ntwo\n"
    );
    let mut out = Vec::new();
    store
        .copy_out("five", "/data/five", &mut out, &Limits::none())
        .expect("copied out");
    assert_eq!(untar(&out), vec![("five".to_owned(), b"5".to_vec())]);

    // All declare what the base did, and nothing else.
    let wanted = shown(&image);
    for id in ["one", "two", "three", "four", "five"] {
        assert_same_record(&shown(&root.image(id)), &wanted, id);
    }
    let left: Vec<String> = volumes()
        .into_iter()
        .filter(|v| !before.contains(v))
        .collect();
    let left: Vec<String> = left
        .into_iter()
        .filter(|v| v.starts_with(root.prefix()))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

fn assert_same_record(got: &serde_json::Value, wanted: &serde_json::Value, id: &str) {
    for what in [
        "Env",
        "Cmd",
        "Entrypoint",
        "Volumes",
        "OnBuild",
        "StopSignal",
        "Shell",
        "ExposedPorts",
        "Labels",
        "Healthcheck",
        "User",
    ] {
        assert_eq!(
            got["Config"][what], wanted["Config"][what],
            "{what} of {id}"
        );
    }
    for what in ["Architecture", "Variant", "Os", "OsVersion", "Author"] {
        assert_eq!(got[what], wanted[what], "{what} of {id}");
    }
}

#[test]
fn a_volume_declared_at_import_is_one_too() {
    let root = Root::new("changed");
    let store = root.open();
    let image = format!("{}-changed", root.prefix());
    let tar = base_tar();
    docker(&[
        "import",
        "--change",
        "VOLUME /data",
        tar.to_str().expect("a path"),
        &image,
    ]);
    let mut step = on_image(&store, &image, "one");
    step.run(&sh("echo x >/data/f")).expect("a run");
    step.commit().expect("a commit");
    assert_eq!(output_in(&store, "one", "cat /data/f"), "x\n");
    assert_eq!(
        shown(&root.image("one"))["Config"]["Volumes"],
        serde_json::json!({ "/data": {} })
    );
}

#[test]
fn a_bases_health_is_not_looked_after_in_a_step() {
    let root = Root::new("health");
    let store = root.open();
    let mut config = rich();
    config.as_object_mut().expect("an object").remove("Volumes");
    let image = load(&root, "checked", &config);
    let mut step = on_image(&store, &image, "one");
    step.run(&sh("sleep 2.5; test ! -e /checked"))
        .expect("a run");
    step.commit().expect("a commit");
    assert_same_record(&shown(&root.image("one")), &shown(&image), "one");
    // A base without a check gets none.
    import_base(&store, "base");
    build(&store, "base", "two", "true");
    assert!(shown(&root.image("two"))["Config"]["Healthcheck"].is_null());
}

#[test]
fn the_variables_of_a_command_are_nowhere_in_its_result() {
    let root = Root::new("nowhere");
    let store = root.open();
    let mut config = rich();
    config.as_object_mut().expect("an object").remove("Volumes");
    let image = load(&root, "plain", &config);
    for (id, name) in [("old", "A"), ("new", "B")] {
        let mut step = on_image(&store, &image, id);
        step.run(sh("test $A$B").env(name, "hunter2"))
            .expect("a run");
        step.commit().expect("a commit");
        let got = shown(&root.image(id));
        assert!(!got.to_string().contains("hunter2"), "{got}");
        assert_same_record(&got, &shown(&image), id);
        let history = docker(&["history", "--no-trunc", &root.image(id)]).join("\n");
        assert!(
            !history.contains("hunter2") && history.contains("ADD base"),
            "{history}"
        );
    }
}

#[test]
fn volumes_and_record_outlive_the_flattening_of_a_long_chain() {
    let root = Root::new("flat");
    let store = root.open();
    let image = load(&root, "deep", &rich());
    // A base with one layer fewer than the limit, created without the library.
    let mut dockerfile = format!("FROM {image}\n");
    dockerfile.push_str(&"COPY f /f\n".repeat(99));
    let context = root.path.join("context");
    std::fs::create_dir(&context).expect("a folder");
    std::fs::write(context.join("f"), "f").expect("written");
    std::fs::write(context.join("Dockerfile"), dockerfile).expect("written");
    let deep = format!("{}-deeper", root.prefix());
    let context = context.to_str().expect("a path");
    let built = std::process::Command::new("docker")
        .args(["build", "-q", "--network", "none", "-t", &deep, context])
        .env("DOCKER_BUILDKIT", "0")
        .output()
        .expect("docker");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let mut step = on_image(&store, &deep, "one");
    for n in 0..3 {
        step.run(&sh(&format!("echo {n} >>/data/n")))
            .expect("a run");
    }
    step.commit().expect("a commit");
    assert_eq!(output_in(&store, "one", "cat /data/n /f"), "0\n1\n2\nf");
    let got = shown(&root.image("one"));
    assert!(got["RootFS"]["Layers"].as_array().expect("layers").len() < 10);
    assert_same_record(&got, &shown(&deep), "one");
    assert_eq!(root.leftovers(), Vec::<String>::new());
}
