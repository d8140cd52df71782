//! A result that is handed on: configured, tagged, saved, loaded, pushed. The engine is asked past the library.

mod common;

use std::path::{Path, PathBuf};

use common::{Root, begin, build, docker, output_in, sh, tar_of};
use docker_store::{ErrorKind, HealthCheck, ImageConfig, ImageFormat, Limits, Outcome, Store};
use serde_json::{Value, json};

const FORMATS: [ImageFormat; 2] = [ImageFormat::Docker, ImageFormat::Oci];

fn config_of(image: &str) -> Value {
    let text = docker(&["image", "inspect", "--format", "{{json .Config}}", image]);
    serde_json::from_str(text.first().expect("an image")).expect("JSON")
}

fn id_of(image: &str) -> String {
    docker(&["image", "inspect", "--format", "{{.Id}}", image]).concat()
}

fn save(store: &Store, id: &str, format: ImageFormat, name: Option<&str>) -> Vec<u8> {
    let mut file = Vec::new();
    let bytes = store
        .save(id, format, name, &mut file, &Limits::none())
        .expect("saved");
    assert_eq!(bytes, file.len() as u64);
    file
}

/// A chain of some layers: a whiteout, a large file, a small one, one more.
fn chain(store: &Store) {
    build(
        store,
        "base",
        "one",
        "head -c 9000000 /dev/urandom >/large; rm /bin/wget",
    );
    build(
        store,
        "one",
        "two",
        "mkdir /d; echo two >/d/two; ln -s two /d/link",
    );
    build(
        store,
        "two",
        "three",
        "rm -r /d; mkdir /d; echo three >/d/three",
    );
}

fn all() -> ImageConfig {
    let mut config = ImageConfig::new();
    config
        .entrypoint(["/bin/sh", "-c"])
        .command(["echo $GREETING"])
        .env("GREETING", "hello, you")
        .label("org.example/part", "one")
        .user("1000:1000")
        .directory("/srv")
        .expose("8080")
        .expose("53/udp")
        .volume("/data")
        .stop_signal("SIGINT");
    config
}

#[test]
fn a_result_says_what_was_set_and_else_what_its_base_says() {
    let root = Root::new("configured");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "app");
    step.configure(&all()).expect("configured");
    let mut run = sh("echo \"[$GREETING]\" >/seen; id -u >>/seen; mkdir /data; echo kept >/data/x");
    run.env("OWN", "x").user("0");
    step.run(&run).expect("a run");
    step.commit().expect("a commit");
    let config = config_of(&root.image("app"));
    let base = config_of(&root.image("base"));
    assert_eq!(config["Entrypoint"], json!(["/bin/sh", "-c"]));
    assert_eq!(config["Cmd"], json!(["echo $GREETING"]));
    let env = config["Env"].as_array().expect("variables");
    let own = json!("GREETING=hello, you");
    assert_eq!(
        env.iter().filter(|line| **line == own).count(),
        1,
        "{env:?}"
    );
    assert!(
        !env.iter().any(|line| line.as_str() == Some("OWN=x")),
        "{env:?}"
    );
    let others: Vec<&Value> = env.iter().filter(|line| **line != own).collect();
    let base_env = base["Env"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(others, base_env.iter().collect::<Vec<_>>());
    assert_eq!(config["Labels"]["org.example/part"], "one");
    assert_eq!(config["User"], "1000:1000");
    assert_eq!(config["WorkingDir"], "/srv");
    assert_eq!(
        config["ExposedPorts"],
        json!({ "8080/tcp": {}, "53/udp": {} })
    );
    assert_eq!(config["Volumes"], json!({ "/data": {} }));
    assert_eq!(config["StopSignal"], "SIGINT");
    // The step's own command ran as the base says; and what it wrote where a volume is declared now is in the result.
    let seen = output_in(
        &store,
        "app",
        "cat /seen /data/x; echo \"$GREETING\"; id -u",
    );
    assert_eq!(seen, "[]\n0\nkept\nhello, you\n1000\n");
    // The next one inherits all of it, and may take it away.
    let mut step = begin(&store, "app", "next");
    let mut less = ImageConfig::new();
    less.no_env("GREETING")
        .no_label("org.example/part")
        .user("")
        .entrypoint([""; 0]);
    less.no_expose("53/udp").no_volume("/data").stop_signal("");
    step.run(sh("true").user("0")).expect("a run");
    step.configure(&less).expect("configured");
    step.commit().expect("a commit");
    let after = config_of(&root.image("next"));
    let none = |value: &Value| {
        value.is_null() || *value == json!({}) || *value == "" || *value == json!([])
    };
    for field in ["Labels", "User", "Entrypoint", "Volumes", "StopSignal"] {
        assert!(none(&after[field]), "{field}: {}", after[field]);
    }
    assert_eq!(after["Cmd"], config["Cmd"]);
    assert_eq!(after["ExposedPorts"], json!({ "8080/tcp": {} }));
    assert_eq!(
        after["Env"].as_array().map_or(&[][..], Vec::as_slice),
        base_env
    );
    assert!(root.leftovers().is_empty());
}

#[test]
fn a_step_that_only_configures_adds_no_layer_whatever_it_begins_with() {
    let root = Root::new("only-configured");
    let store = root.open_with_base();
    let layers = |id: &str| {
        docker(&[
            "image",
            "inspect",
            "--format",
            "{{json .RootFS.Layers}}",
            &root.image(id),
        ])
    };
    let mut config = ImageConfig::new();
    config.command(["sleep", "1"]).volume("/v");
    let mut step = begin(&store, "base", "one");
    step.configure(&config).expect("configured");
    step.commit().expect("a commit");
    // On a base that declares volumes, and before the step has begun with anything.
    let mut step = begin(&store, "one", "two");
    step.configure(ImageConfig::new().label("a", "b"))
        .expect("configured");
    step.commit().expect("a commit");
    let mut step = match store.begin(None, "three", &Limits::none()).expect("begun") {
        docker_store::Begun::Step(step) => step,
        docker_store::Begun::Present => panic!("there"),
    };
    step.configure(ImageConfig::new().label("a", "c"))
        .expect("configured");
    step.use_image(&root.image("two")).expect("the image");
    step.commit().expect("a commit");
    for id in ["one", "two", "three"] {
        assert_eq!(layers(id), layers("base"), "{id}");
        let config = config_of(&root.image(id));
        assert_eq!(config["Cmd"], json!(["sleep", "1"]), "{id}");
        assert_eq!(config["Volumes"], json!({ "/v": {} }), "{id}");
    }
    assert_eq!(config_of(&root.image("two"))["Labels"]["a"], "b");
    assert_eq!(config_of(&root.image("three"))["Labels"]["a"], "c");
    // What is refused leaves the step as it was.
    let mut step = begin(&store, "base", "four");
    let refused = step
        .configure(ImageConfig::new().expose("http"))
        .expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    step.commit().expect("a commit");
    assert_eq!(
        config_of(&root.image("four")),
        config_of(&root.image("base"))
    );
    assert!(root.leftovers().is_empty());
}

#[test]
fn a_health_check_is_kept_or_the_commit_fails() {
    let root = Root::new("health-check");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "app");
    let second = std::time::Duration::from_secs(1);
    let check = HealthCheck::command(["test", "-e", "/ok"])
        .interval(second)
        .retries(2);
    step.configure(ImageConfig::new().health_check(Some(check)))
        .expect("configured");
    step.run(&sh("touch /ok")).expect("a run");
    match step.commit() {
        Ok(()) => {
            let config = config_of(&root.image("app"));
            assert_eq!(
                config["Healthcheck"]["Test"],
                json!(["CMD", "test", "-e", "/ok"])
            );
            assert_eq!(config["Healthcheck"]["Interval"], 1_000_000_000);
            assert_eq!(config["Healthcheck"]["Retries"], 2);
        }
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
            assert_eq!(common::image_store(), common::ImageStore::Podman, "{e}");
            assert!(!store.result("app").expect("a look"));
        }
    }
    assert!(root.leftovers().is_empty());
}

#[test]
fn a_tag_is_the_callers_and_says_whom_it_was_taken_from() {
    let root = Root::new("tagged");
    let store = root.open_with_base();
    build(&store, "base", "one", "echo 1 >/n");
    build(&store, "base", "two", "echo 2 >/n");
    // Two parts, so that Root's own clean-up by prefix does not hide what is left.
    let name = format!("example.test/t{}/app", root.prefix());
    let no = Limits::none();
    let tagged = store.tag("one", &format!("{name}:1"), &no).expect("tagged");
    assert_eq!(
        (tagged.name, tagged.moved_from),
        (format!("{name}:1"), None)
    );
    let again = store.tag("one", &format!("{name}:1"), &no).expect("tagged");
    assert_eq!(again.moved_from, None, "it was this one's");
    let (one, two) = (id_of(&root.image("one")), id_of(&root.image("two")));
    let moved = store.tag("two", &format!("{name}:1"), &no).expect("tagged");
    assert_eq!(moved.moved_from, Some(one));
    assert_eq!(id_of(&format!("{name}:1")), two);
    // No store takes it for its own, and it outlives the result.
    assert_eq!(store.results().expect("a list").len(), 3);
    assert!(store.delete("two").expect("deleted"));
    assert_eq!(id_of(&format!("{name}:1")), two);
    docker(&["rmi", &format!("{name}:1")]);
    let missing = store.tag("none", &name, &no).expect_err("no result");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    for own in [
        root.image("one"),
        root.image("tmp-x"),
        format!("x/{}", root.image("y")),
        format!("{}-empty", root.prefix()),
        "A".into(),
    ] {
        let refused = store.tag("one", &own, &no).expect_err(&own);
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn a_saved_result_is_the_same_each_time_and_loads_as_the_same_image() {
    let root = Root::new("saved");
    let store = root.open_with_base();
    chain(&store);
    let id = id_of(&root.image("three"));
    for format in FORMATS {
        let file = save(&store, "three", format, Some("example.test/app:1"));
        assert_eq!(
            file,
            save(&store, "three", format, Some("example.test/app:1"))
        );
        let outcome = store.load(
            "copy",
            &mut file.as_slice(),
            &mut |_| Ok(()),
            &Limits::none(),
        );
        assert_eq!(outcome.expect("loaded"), Outcome::Built);
        // On an engine that goes by configurations the id says that all is the same.
        if common::image_store() == common::ImageStore::Docker {
            assert_eq!(id_of(&root.image("copy")), id);
        }
        assert_eq!(
            config_of(&root.image("copy")),
            config_of(&root.image("three"))
        );
        assert_eq!(
            output_in(
                &store,
                "copy",
                "cat /d/*; ls /bin/wget 2>/dev/null; wc -c </large"
            ),
            "three\n9000000\n"
        );
        assert_eq!(
            file,
            save(&store, "copy", format, Some("example.test/app:1")),
            "a copy is the same result"
        );
        // The name in the file is nobody's business here.
        assert_eq!(id_of("example.test/app:1"), "");
        // Once it is there, nothing is read.
        let mut unread = tar_of("x", b"");
        unread.truncate(10);
        let outcome = store.load(
            "copy",
            &mut unread.as_slice(),
            &mut |_| Ok(()),
            &Limits::none(),
        );
        assert_eq!(outcome.expect("there"), Outcome::Hit);
        assert!(store.delete("copy").expect("deleted"));
    }
    assert!(root.leftovers().is_empty());
    assert!(spooled(&root.path).is_empty());
}

fn spooled(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root.join(".store")).expect("a folder");
    let entries = entries.map(|entry| entry.expect("an entry").path());
    entries
        .filter(|path| path.to_string_lossy().contains("spool"))
        .collect()
}
