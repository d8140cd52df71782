//! The requests that a step, a lookup and an open make: those that ARCHITECTURE.md lists, in that order, and no more.

mod common;

use std::sync::{Arc, Mutex};

use common::proxy::{Act, Proxy};
use common::{ImageStore, Root, begin, docker, image_store, import_base, sh};
use docker_store::{CacheRequest, Options, Released, Store, Strategy};

/// The lines of the block in ARCHITECTURE.md that follows `<!-- calls: NAME -->`, without the remarks after the path.
fn listed(name: &str) -> Vec<String> {
    let text = include_str!("../ARCHITECTURE.md");
    let (_, after) = text
        .split_once(&format!("<!-- calls: {name} -->"))
        .expect("the block's mark");
    let block = after.split("```").nth(1).expect("a block");
    let call = |line: &str| {
        line.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    };
    block
        .lines()
        .skip(1)
        .map(call)
        .filter(|line| !line.is_empty())
        .collect()
}

/// A store whose calls are written down, with names and ids replaced as ARCHITECTURE.md writes them.
struct Recorded {
    root: Root,
    address: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Recorded {
    fn new(name: &str) -> Self {
        let root = Root::new(name);
        import_base(&root.open(), "base");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let proxy = Proxy::new(&root.path, move |_, line| {
            kept.lock().expect("unpoisoned").push(line.to_owned());
            Act::Pass
        });
        Recorded {
            address: proxy.address,
            root,
            lines,
        }
    }

    fn open(&self) -> Store {
        Store::open(&self.root.path, Options::new().engine(&self.address)).expect("a store")
    }

    fn taken(&self) -> Vec<String> {
        let lines = std::mem::take(&mut *self.lines.lock().expect("unpoisoned"));
        let mut calls: Vec<String> = lines.iter().map(|line| self.plain(line)).collect();
        if image_store() == ImageStore::Podman {
            // For a short time Podman does not find a container that has ended. It is then inspected again.
            let inspects = "GET /containers/CONTAINER/json";
            calls.dedup_by(|call, before| call == before && call == inspects);
        }
        calls
    }

    fn plain(&self, line: &str) -> String {
        let mut words = line.split(' ');
        let (method, target) = (
            words.next().expect("a method"),
            words.next().expect("a target"),
        );
        let path = target.split('?').next().expect("a path");
        let path = path
            .strip_prefix("/v1.")
            .and_then(|p| p.find('/').map(|at| &p[at..]))
            .unwrap_or(path);
        let is_id = |part: &str| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit());
        let parts = path.split('/').map(|part| match part {
            part if is_id(part) => "CONTAINER".to_owned(),
            part if part.strip_prefix("sha256%3A").is_some_and(is_id) => "IMAGE".to_owned(),
            part => part
                .replace("%3A", ":")
                .replace(self.root.prefix(), "PREFIX")
                .replace("-one", "-ID")
                .replace("-base", "-BASE"),
        });
        format!("{method} {}", parts.collect::<Vec<_>>().join("/"))
    }
}

#[test]
fn a_step_makes_the_calls_that_architecture_lists() {
    let recorded = Recorded::new("calls-step");
    let store = recorded.open();
    recorded.taken();
    let mut step = begin(&store, "base", "one");
    step.run(&sh("echo made > /made")).expect("a run");
    step.commit().expect("a commit");
    let list = match image_store() {
        ImageStore::Podman => "step on Podman",
        ImageStore::Docker | ImageStore::Containerd => "step",
    };
    assert_eq!(recorded.taken(), listed(list));
}

#[test]
fn a_step_with_a_user_and_variables_of_its_own_makes_the_calls_that_architecture_lists() {
    let recorded = Recorded::new("calls-exact");
    let store = recorded.open();
    recorded.taken();
    let mut step = begin(&store, "base", "one");
    step.run(sh("echo made > /tmp/made").env("NEW", "1").user("1000"))
        .expect("a run");
    step.commit().expect("a commit");
    let list = match image_store() {
        ImageStore::Docker => "exact step",
        ImageStore::Containerd => "exact step with the images of containerd",
        ImageStore::Podman => "step on Podman",
    };
    assert_eq!(recorded.taken(), listed(list));
}

#[test]
fn a_step_on_a_base_with_volumes_makes_the_calls_that_architecture_lists() {
    let recorded = Recorded::new("calls-volumes");
    let (base, volumes) = (recorded.root.image("base"), recorded.root.image("base"));
    let container = docker(&["create", &base, "x"]).remove(0);
    docker(&["rmi", &base]);
    docker(&["commit", "-c", "VOLUME /tmp", &container, &volumes]);
    docker(&["rm", &container]);
    let store = recorded.open();
    recorded.taken();
    let mut step = begin(&store, "base", "one");
    step.run(&sh("echo made > /tmp/made")).expect("a run");
    step.commit().expect("a commit");
    let list = match image_store() {
        ImageStore::Docker => "step on volumes",
        ImageStore::Containerd => "step on volumes with the images of containerd",
        ImageStore::Podman => "step on volumes on Podman",
    };
    assert_eq!(recorded.taken(), listed(list));
}

#[test]
fn a_look_up_is_one_call_and_so_is_a_build_that_hits() {
    let recorded = Recorded::new("calls-result");
    let store = recorded.open();
    recorded.taken();
    assert!(!store.result("one").expect("a look"));
    assert_eq!(recorded.taken(), listed("result"));
    store
        .build(Some("base"), "base", &Default::default(), |_| {
            panic!("a hit")
        })
        .expect("a hit");
    assert_eq!(recorded.taken().len(), 1);
}

#[test]
fn an_open_that_finds_no_leftovers_makes_the_calls_that_architecture_lists() {
    let recorded = Recorded::new("calls-open");
    recorded.taken();
    let store = recorded.open();
    assert_eq!(recorded.taken(), listed("open"));
    drop(store);
}

/// What a cache's newest generation consists of: the kinds of its parts, lowest first.
fn kinds(root: &Root) -> Vec<String> {
    let head = std::fs::read(root.path.join(".store/caches/c-a/head")).expect("a head");
    let head: serde_json::Value = serde_json::from_slice(&head).expect("a head");
    let parts = head["parts"].as_array().expect("parts");
    let kind = |part: &serde_json::Value| part["kind"].as_str().expect("a kind").to_owned();
    parts.iter().map(kind).collect()
}

#[test]
fn a_lease_of_a_cache_asks_for_its_two_volumes_and_for_nothing_that_was_there_before() {
    let recorded = Recorded::new("calls-lease");
    let store = recorded.open();
    let change = |n: usize| {
        let lease = store.cache("a", &CacheRequest::new()).expect("a lease");
        let mut step = begin(&store, "base", &format!("change-{n}"));
        step.run(sh(&format!("echo {n} >/c/of-{n}")).lease(&lease, "/c"))
            .expect("a run");
        step.abort().expect("aborted");
        assert!(matches!(lease.release(), Ok(Released::Won(_))));
    };
    change(0);
    let (strategy, why) = store.strategy().expect("a strategy");
    if strategy != Strategy::Overlay || !why.contains("as files") {
        println!("skipped: caches are made otherwise here ({strategy:?}: {why})");
        return;
    }
    // A chain that was merged down to the bottom was examined least often.
    let mut changes = 1;
    while kinds(&recorded.root)[0] != "whole" {
        assert!(changes < 40, "never merged: {:?}", kinds(&recorded.root));
        change(changes);
        changes += 1;
        let merged = store.complete_deletes(&docker_store::Limits::none());
        merged.expect("no deletes left");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    recorded.taken();
    let lease = store.cache("a", &CacheRequest::new()).expect("a lease");
    let list = match image_store() {
        ImageStore::Podman => "lease on Podman",
        ImageStore::Docker | ImageStore::Containerd => "lease",
    };
    assert_eq!(recorded.taken(), listed(list));
    lease.discard().expect("discarded");
    store.delete_cache("a").expect("deleted");
    store.close().expect("closed");
}
