//! A result that is configured, tagged and pushed. The engine is queried without the library.

mod common;

use std::time::{Duration, Instant};

use common::registry::Registry;
use common::{Root, begin, build, config_of, docker, id_of, output_in, sh};
use docker_store::{Cancel, ErrorKind, HealthCheck, ImageConfig, Limits, RegistryLogin};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
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
    // The step's own command ran with the base's configuration; and what it wrote at a path that is now a declared volume is in
    // the result.
    let seen = output_in(
        &store,
        "app",
        "cat /seen /data/x; echo \"$GREETING\"; id -u",
    );
    assert_eq!(seen, "[]\n0\nkept\nhello, you\n1000\n");
    // The next one inherits all of it, and can remove it.
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
    // On a base that declares volumes, and before the step has a source.
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
    // A refused setting leaves the step as it was.
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

/// Podman requires TLS for every registry that its own configuration does not name.
fn pushes_in_the_clear() -> bool {
    let podman = common::image_store() == common::ImageStore::Podman;
    if podman {
        println!("skipped: this engine speaks to no registry without TLS");
    }
    !podman
}

#[test]
fn a_pushed_result_is_at_the_registry_under_the_digest_that_is_told() {
    if !pushes_in_the_clear() {
        return;
    }
    let root = Root::new("pushed");
    let store = root.open_with_base();
    build(
        &store,
        "base",
        "one",
        "head -c 3000000 /dev/urandom >/large",
    );
    build(&store, "one", "two", "echo 2 >/n");
    let registry = Registry::start(false);
    let name = format!("{}/team/app:1.0", registry.host);
    let mut heard = Vec::new();
    let mut most = 0;
    let pushed = store.push(
        "two",
        &name,
        None,
        &mut |so_far| {
            heard.push(so_far.status.to_owned());
            most = most.max(so_far.current);
            Ok(())
        },
        &Limits::none(),
    );
    let pushed = pushed.expect("pushed");
    assert_eq!((pushed.name, pushed.moved_from), (name.clone(), None));
    assert!(heard.iter().any(|status| status == "Pushed"), "{heard:?}");
    assert!(most > 1_000_000, "it tells how far it has come: {most}");
    let (status, head, manifest) = registry.get("/v2/team/app/manifests/1.0");
    assert_eq!(status, 200);
    let digest = format!("sha256:{}", sha256(&manifest));
    assert!(head.contains(&digest), "{head}");
    assert_eq!(pushed.digest.as_deref(), Some(digest.as_str()));
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    if common::image_store() == common::ImageStore::Docker {
        assert_eq!(
            manifest["config"]["digest"],
            id_of(&root.image("two")).as_str()
        );
    }
    // Again: everything exists there, so it costs nothing.
    let mut heard = Vec::new();
    let again = store.push(
        "two",
        &name,
        None,
        &mut |so_far| {
            heard.push(so_far.status.to_owned());
            Ok(())
        },
        &Limits::none(),
    );
    assert_eq!(
        again.expect("pushed").digest.as_deref(),
        Some(digest.as_str())
    );
    assert!(!heard.iter().any(|status| status == "Pushed"), "{heard:?}");
    // Another image takes the tag.
    let other = store
        .push("one", &name, None, &mut |_| Ok(()), &Limits::none())
        .expect("pushed");
    assert_eq!(other.moved_from, Some(id_of(&root.image("two"))));
    assert_ne!(other.digest, Some(digest));
    docker(&["rmi", &name]);
    // The one that lost the tag is still available there by its digest.
    let repository = format!("{}/team/app", registry.host);
    let by_digest = [
        "images",
        "--digests",
        "--format",
        "{{.Repository}}@{{.Digest}}",
    ];
    for known in docker(&[&by_digest[..], &[&repository]].concat()) {
        docker(&["rmi", &known]);
    }
    assert!(root.leftovers().is_empty());
}

#[test]
fn a_push_that_is_refused_or_ended_says_why_and_leaves_no_tag_at_the_registry() {
    if !pushes_in_the_clear() {
        return;
    }
    let root = Root::new("refused-push");
    let store = root.open_with_base();
    let registry = Registry::start(true);
    let name = format!("{}/app:1", registry.host);
    let push = |login: Option<&RegistryLogin>| {
        store.push("base", &name, login, &mut |_| Ok(()), &Limits::none())
    };
    let login = |password: &str| RegistryLogin {
        user: "builder".into(),
        password: password.into(),
        server: registry.host.clone(),
    };
    for bad in [None, Some(login("wrong"))] {
        let refused = push(bad.as_ref()).expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::Engine, "{refused}");
        assert!(
            !refused.message().contains("wrong"),
            "no password in {refused}"
        );
        assert_eq!(registry.get("/v2/app/manifests/1").0, 404);
    }
    // Stopped by the callback; then by a cancel.
    let ended = store.push(
        "base",
        &name,
        Some(&login("hunter2")),
        &mut |_| Err(docker_store::Error::new(ErrorKind::Callback, "enough")),
        &Limits::none(),
    );
    assert_eq!(ended.expect_err("ended").kind(), ErrorKind::Callback);
    let cancel = Cancel::new();
    let limits = Limits::none().cancel(&cancel);
    let mut told = None;
    let ended = store.push(
        "base",
        &name,
        Some(&login("hunter2")),
        &mut |_| {
            cancel.cancel();
            told.get_or_insert_with(Instant::now);
            Ok(())
        },
        &limits,
    );
    assert_eq!(ended.expect_err("ended").kind(), ErrorKind::Cancelled);
    assert!(told.expect("it began").elapsed() < Duration::from_secs(2));
    push(Some(&login("hunter2"))).expect("pushed");
    assert_eq!(registry.get("/v2/app/manifests/1").0, 200);
    // No server any more.
    drop(registry);
    let down = push(None).expect_err("nobody there");
    assert_eq!(down.kind(), ErrorKind::Engine, "{down}");
    docker(&["rmi", &name]);
}
