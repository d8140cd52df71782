//! A mount in a step leaves nothing behind: no mount point in the result, no empty file in a cache.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use common::proxy::{Act, Proxy, engine_socket};
use common::{Root, begin, build, output_in, sh};
use docker_store::{CacheRequest, Options, Released, Store, Strategy};

/// Everything in a result, except what the engine itself adds.
fn listing(store: &Store, id: &str) -> String {
    let script = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o -print | sort | \
                  xargs stat -c '%n %a %u:%g %s' | grep -v -e '^/etc [0-9]' -e '^/ [0-9]' -e '^/etc/'";
    output_in(store, id, script)
}

/// What existed, what was created, and what the image's mounts leave, sorted.
fn with_own<'a>(before: &'a str, made: &'a str) -> Vec<&'a str> {
    let mut lines: Vec<&str> = before
        .lines()
        .chain(made.lines())
        .chain(["/own 700 0:0 4096"])
        .collect();
    lines.sort_unstable();
    lines
}

#[test]
fn what_was_only_made_to_mount_on_is_not_in_the_result() {
    let root = Root::new("mounts");
    let store = root.open_with_base();
    let script = "mkdir -p /home/build /var /run/deep /there/point; ln -s /run /var/run; chown -R build /home/build; \
                  touch -d 2001-02-03 /home/build";
    build(&store, "base", "image", script);
    let before = listing(&store, "image");
    let bound = root.path.join("bound");
    fs::write(&bound, "bound").expect("a file to bind");
    let lease = store.cache("c", &CacheRequest::new()).expect("a lease");
    let mut step = begin(&store, "image", "one");
    let mut command = sh(
        "set -e; cat /home/build/.netrc /var/run/secrets/deep/key /etc/tool/conf; echo x >/cache/in/x; \
                          echo x >/there/point/x; echo x >/work/space/x; mkdir /own; chmod 700 /own; echo x >/new/dir/beside",
    );
    command
        .lease(&lease, "/cache/in")
        .volume(lease.volume(), "/there/point", false)
        .volume(lease.volume(), "/work/space", false)
        .volume(lease.volume(), "/new/dir/cache", false)
        .bind(bound.to_str().expect("text"), "/etc/tool/conf", true)
        .secret("/home/build/.netrc", "one", (1000, 1000), 0o400)
        .secret("/var/run/secrets/deep/key", "two", (0, 0), 0o400);
    step.run(&command).expect("a run");
    step.commit().expect("a commit");
    let after = listing(&store, "one");
    let made = "/new 755 0:0 4096\n/new/dir 755 0:0 4096\n/new/dir/beside 644 0:0 2\n";
    let lines = with_own(&before, made);
    assert_eq!(after.lines().collect::<Vec<_>>(), lines);
    // The files of the image are unchanged.
    let looks =
        "stat -c '%y %U' /home/build; ls -A /home/build /there/point /etc/tool 2>/dev/null; true";
    assert_eq!(
        output_in(&store, "one", looks),
        output_in(&store, "image", looks)
    );
    drop(lease);
}

/// A proxy to the engine that hides where containers' files are, like the image store of containerd.
fn secretive_engine(root: &Root) -> Proxy {
    Proxy::new(&root.path, |_, line| {
        let target = line.split(' ').nth(1).unwrap_or_default();
        let inspects = line.starts_with("GET ")
            && target.contains("/containers/")
            && target.ends_with("/json")
            && !target.ends_with("/containers/json");
        if !inspects {
            return Act::Pass;
        }
        let mut engine = UnixStream::connect(engine_socket()).expect("the engine");
        write!(engine, "GET {target} HTTP/1.0\r\nHost: x\r\n\r\n").expect("asked");
        let mut answer = String::new();
        engine.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let Ok(mut container) = serde_json::from_str::<serde_json::Value>(body) else {
            return Act::Pass;
        };
        container["GraphDriver"]["Data"] = serde_json::Value::Null;
        let head: String = head
            .lines()
            .filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"))
            .map(|line| format!("{line}\r\n"))
            .collect();
        Act::Answer(format!("{head}\r\n{container}").leak())
    })
}

#[test]
fn what_secrets_were_mounted_on_is_hidden_where_the_layers_are_out_of_reach() {
    if common::image_store() == common::ImageStore::Podman {
        println!("skipped: Podman's archives do not say enough for it");
        return;
    }
    let root = Root::new("mounts-hidden");
    let engine = secretive_engine(&root);
    let store = root.open_with(Options::new().engine(&engine.address));
    common::import_base(&store, "base");
    let script = "mkdir -p /home/build /var /run/deep; ln -s /run /var/run; chown -R build /home/build; \
                  chmod 750 /home; echo kept >/kept";
    build(&store, "base", "image", script);
    let before = listing(&store, "image");
    let mut command = sh(
        "set -e; cat /home/build/.netrc /var/run/secrets/deep/key /etc/tool/conf /kept; mkdir /own; \
         chmod 700 /own; echo x >/new/dir/beside",
    );
    command
        .secret("/home/build/.netrc", "one", (1000, 1000), 0o400)
        .secret("/var/run/secrets/deep/key", "two", (0, 0), 0o400)
        .secret("/etc/tool/conf", "three", (0, 0), 0o400)
        .secret("/new/dir/key", "four", (0, 0), 0o400)
        .secret("/kept", "five", (0, 0), 0o400);
    let mut step = begin(&store, "image", "one");
    step.run(command.env("A", "b")).expect("a run");
    step.run(&sh("[ ! -e /etc/tool ] && echo >/after"))
        .expect("a run without secrets");
    step.commit().expect("a commit");
    let made =
        "/after 644 0:0 1\n/new 755 0:0 4096\n/new/dir 755 0:0 4096\n/new/dir/beside 644 0:0 2\n";
    let lines = with_own(&before, made);
    let after = listing(&store, "one");
    assert_eq!(after.lines().collect::<Vec<_>>(), lines);
    let looks =
        "stat -c '%a %U' /home /home/build; ls -A /home/build /etc/tool 2>/dev/null; cat /kept";
    assert_eq!(
        output_in(&store, "one", looks),
        output_in(&store, "image", looks)
    );
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn its_user_can_make_the_directory_that_an_earlier_step_mounted_a_cache_at() {
    let root = Root::new("mounts-user");
    let store = root.open_with_base();
    build(&store, "base", "image", "mkdir /home; chown build /home");
    let lease = store
        .cache("c", CacheRequest::new().owner(1000, 1000))
        .expect("a lease");
    let mut step = begin(&store, "image", "one");
    step.run(
        sh("echo x >/home/.cache/tool/x")
            .user("build")
            .lease(&lease, "/home/.cache/tool"),
    )
    .expect("a run");
    // The step continues in another container.
    step.run(sh("mkdir -p /home/.cache/own; echo y >/home/.cache/own/y").user("build"))
        .expect("its own directory");
    step.commit().expect("a commit");
    assert_eq!(
        output_in(&store, "one", "stat -c %U /home/.cache; ls /home/.cache"),
        "build\nown\n"
    );
}

#[test]
fn a_secret_inside_a_lease_leaves_nothing_in_the_cache_and_makes_no_generation() {
    let root = Root::new("mounts-secret");
    for strategy in [Strategy::Overlay, Strategy::Copy] {
        let store = root.open_with(Options::new().strategy(strategy));
        if store.result("base").is_ok_and(|there| !there) {
            common::import_base(&store, "base");
        }
        let name = format!("{strategy:?}");
        let cache = || store.cache(&name, &CacheRequest::new()).expect("a lease");
        let run = |id: &str, script: &str, secrets: bool| {
            let lease = cache();
            let mut step = begin(&store, "base", &format!("{}-{id}", name.to_lowercase()));
            let mut command = sh(script);
            command.lease(&lease, "/c");
            if secrets {
                command.secret("/c/.netrc", "secret", (0, 0), 0o400);
                command.secret("/c/old/new/key", "secret", (0, 0), 0o400);
                command.secret("/c/.kept", "secret", (0, 0), 0o400);
            }
            step.run(&command).expect("a run");
            step.run(&command).expect("once more");
            step.abort().expect("aborted");
            let log = fs::read_to_string(store.log_file(step_id(&name, id)).expect("a path"))
                .expect("a log");
            (lease.release().expect("released"), log)
        };
        assert_eq!(
            run(
                "fill",
                "mkdir -p /c/old; touch -d 2001-02-03 /c/old; echo kept >/c/.kept",
                false
            )
            .0,
            Released::Won(1)
        );
        let (released, log) = run("alone", "cat /c/.netrc /c/old/new/key /c/.kept", true);
        assert_eq!(
            (released, log.as_str()),
            (Released::Unchanged, "secret".repeat(6).as_str()),
            "{name}"
        );
        assert_eq!(
            run("change", "echo x >>/c/x; cat /c/.netrc", true).0,
            Released::Won(2),
            "{name}"
        );
        let (_, log) = run(
            "look",
            "cd /c; find . | sort; stat -c %y old | cut -c -10; cat .kept",
            false,
        );
        let once = ".\n./.kept\n./old\n./x\n2001-02-03\nkept\n";
        assert_eq!(log, once.repeat(2), "{name}");
    }
}

fn step_id<'a>(name: &str, id: &str) -> &'a str {
    format!("{}-{id}", name.to_lowercase()).leak()
}
