//! Steps without a network: a separate namespace with only `lo`, created by the container's runtime if that works with the
//! engine; and no trace of it in the result.

mod common;

use std::collections::BTreeMap;

use common::{ImageStore, Root, begin, docker, image_store, import_base, output_in, sh};
use docker_store::{Begun, Limits, Options, Store};

fn is_podman() -> bool {
    matches!(image_store(), ImageStore::Podman)
}

/// Whether steps without a network are started without the engine's help, according to the store.
fn by_runtime(store: &Store) -> bool {
    let health = store.health(&Limits::none()).expect("health");
    let told = health.network.starts_with("by the runtime: ");
    assert!(
        told || health.network.starts_with("by the engine: "),
        "{}",
        health.network
    );
    told
}

/// The container of a running step, as the engine itself shows it.
fn shown(root: &Root, format: &str) -> String {
    let name = format!("name={}-container-", root.prefix());
    let running = docker(&["ps", "-q", "--filter", &name]);
    docker(&["inspect", "--format", format, &running[0]]).concat()
}

/// What a step sees of its network.
const LOOK: &str = "\
for d in /sys/class/net/*; do echo \"device ${d##*/}\"; done
for host in 127.0.0.1 ::1 localhost $(hostname); do ping -c 1 -W 2 $host >/dev/null 2>&1 && echo \"$host answers\"; done
hostname
wc -l </proc/net/unix";

#[test]
fn a_step_without_a_network_has_a_loopback_of_its_own_that_answers_by_each_name() {
    let root = Root::new("loopback");
    let store = root.open_with_base();
    let seen = output_in(&store, "base", LOOK);
    match by_runtime(&store) {
        true => {
            for host in ["127.0.0.1", "::1", "localhost", "docker-store"] {
                assert!(
                    seen.contains(&format!("{host} answers\n")),
                    "{host}:\n{seen}"
                );
            }
        }
        // Its containers may not ping.
        false => assert!(is_podman(), "a Docker that does not behave"),
    }
    assert_eq!(seen.matches("device ").count(), 1, "{seen}");
    assert!(
        seen.starts_with("device lo\n") && seen.ends_with("\n1\n"),
        "{seen}"
    );
}

#[test]
fn a_step_may_be_called_anything_that_resolves() {
    let root = Root::new("named");
    let store = root.open_with_base();
    for (n, name) in ["builder", "builder.example.org", "Odd_Name"]
        .iter()
        .enumerate()
    {
        let mut step = begin(&store, "base", &format!("named-{n}"));
        let mut look = sh(LOOK);
        step.run(look.hostname(*name)).expect("a run");
        step.abort().expect("aborted");
        let log = store.log_file(&format!("named-{n}")).expect("a path");
        let seen = std::fs::read_to_string(log).expect("a log");
        if by_runtime(&store) {
            assert!(seen.contains(&format!("\n{name} answers\n")), "{seen}");
        }
        assert!(seen.contains(&format!("\n{name}\n")), "{seen}");
    }
}

#[test]
fn an_option_leaves_it_to_the_engine_and_the_store_says_who_does_it() {
    let root = Root::new("who");
    import_base(&root.open(), "base");
    for forced in [false, true] {
        let store = root.open_with(Options::new().engine_network(forced));
        let mut step = begin(&store, "base", "who");
        let mut disabled = String::new();
        step.run_with(&sh("echo running; sleep 1"), &mut |_| {
            disabled = shown(
                &root,
                "{{.Config.NetworkDisabled}} {{.HostConfig.NetworkMode}}",
            );
            Ok(())
        })
        .expect("a run");
        step.abort().expect("aborted");
        let told = by_runtime(&store);
        assert!(!(forced && told));
        if !is_podman() {
            assert_eq!(disabled, format!("{told} none"));
            assert_eq!(told, !forced);
        }
        store.close().expect("closed");
    }
}

/// The contents of the layer that a result adds to its base: names, and tar's listing of each.
fn layer(root: &Root, id: &str) -> BTreeMap<String, String> {
    let store = root.open();
    let mut tar = Vec::new();
    store
        .copy_out(id, "/", &mut tar, &Limits::none())
        .expect("copied out");
    store.close().expect("closed");
    let mut archive = tar::Archive::new(tar.as_slice());
    let entries = archive.entries().expect("a tar");
    entries
        .map(|entry| {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").display().to_string();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).expect("its content");
            let header = entry.header();
            let said = format!(
                "{:?} {:?} {:?} {:?} {} bytes {:?}",
                header.entry_type(),
                header.mode().ok(),
                header.uid().ok(),
                entry.link_name().ok().flatten(),
                content.len(),
                String::from_utf8_lossy(&content[..content.len().min(200)]),
            );
            (path, said)
        })
        .collect()
}

#[test]
fn nothing_of_how_the_network_was_made_is_in_the_result() {
    let root = Root::new("same");
    import_base(&root.open(), "base");
    let mut made = Vec::new();
    for forced in [false, true] {
        let store = root.open_with(Options::new().engine_network(forced));
        let id = if forced { "engine" } else { "runtime" };
        let mut step = begin(&store, "base", id);
        step.run(&sh(
            "cat /etc/hosts >/dev/null; echo made >/made; touch -d @0 /made",
        ))
        .expect("a run");
        step.commit().expect("a commit");
        store.close().expect("closed");
        let changes = docker(&["history", "-q", &root.image(id)]).len();
        let config = docker(&["inspect", "--format", "{{json .Config}}", &root.image(id)]).concat();
        made.push((layer(&root, id), changes, config));
    }
    let engine = made.pop().expect("two");
    let runtime = made.pop().expect("two");
    assert!(runtime.0.contains_key("/made"), "{:?}", runtime.0.keys());
    assert_eq!(runtime, engine);
    let base = docker(&[
        "inspect",
        "--format",
        "{{json .Config}}",
        &root.image("base"),
    ])
    .concat();
    assert!(!runtime.2.contains("docker-store") && !base.contains("NetworkDisabled"));
}

#[test]
fn a_step_goes_on_where_its_hosts_were_pruned_and_the_root_keeps_its_names() {
    for name in [None, Some("builder")] {
        let root = Root::new("pruned");
        let store = root.open_with_base();
        // As `docker volume prune -a` does.
        docker(&["volume", "rm", &format!("{}-store", root.prefix())]);
        let mut step = begin(&store, "base", "one");
        let mut command = sh("echo ran");
        if let Some(name) = name {
            command.hostname(name);
        }
        step.run(&command).expect("a run");
        step.commit().expect("a commit");
        assert!(!by_runtime(&store));
        store.close().expect("closed");
        let log = root.path.join("logs/one.log");
        assert_eq!(std::fs::read_to_string(log).expect("a log"), "ran\n");
        // The engine did not create a volume in the claim's place, which would make the prefix another store's.
        let store = root.open();
        assert_eq!(store.prefix(), root.prefix());
        assert!(store.result("one").expect("a look"));
        // And after a new claim, it is tried again.
        common::build(&store, "one", "two", "true");
        assert_eq!(by_runtime(&store), !is_podman());
        store.close().expect("closed");
    }
}

#[test]
fn a_mount_over_etc_is_the_callers_and_gets_no_file_of_ours() {
    let root = Root::new("covered");
    let store = root.open_with_base();
    let volume = format!("{}-cache-mine", root.prefix());
    docker(&["volume", "create", &volume]);
    let mut step = begin(&store, "base", "one");
    let mut look = sh("ls -A /mine");
    step.run(sh("true").volume(&volume, "/etc", false))
        .expect("a run");
    step.run(look.volume(&volume, "/mine", true))
        .expect("a run");
    step.abort().expect("aborted");
    // Nothing was set up by the store: what exists was set up by the engine.
    let log = std::fs::read_to_string(store.log_file("one").expect("a path")).expect("a log");
    assert!(!log.contains("hosts-"), "{log}");
    store.close().expect("closed");
}

#[test]
fn an_image_without_a_shell_is_run_all_the_same() {
    let root = Root::new("shell-less");
    let store = root.open();
    let Begun::Step(mut step) = store.begin(None, "base", &Limits::none()).expect("begun") else {
        panic!("it is there")
    };
    let whole = std::fs::read(common::base_tar()).expect("the base");
    let busybox = common::untar(&whole)
        .into_iter()
        .find(|(name, content)| name.ends_with("bin/busybox") && !content.is_empty())
        .expect("busybox");
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(busybox.1.len() as u64);
    header.set_mode(0o755);
    tar.append_data(&mut header, "busybox", busybox.1.as_slice())
        .expect("in memory");
    let tar = tar.into_inner().expect("in memory");
    step.import(&mut tar.as_slice(), &mut |_| Ok(()))
        .expect("an import");
    step.commit().expect("a commit");
    let mut step = begin(&store, "base", "one");
    step.run(&docker_store::Command::new(["/busybox", "echo", "ran"]))
        .expect("a run");
    step.commit().expect("a commit");
    assert!(!by_runtime(&store));
    let log = std::fs::read_to_string(store.log_file("one").expect("a path")).expect("a log");
    assert_eq!(log, "ran\n");
    store.close().expect("closed");
}
