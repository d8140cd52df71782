//! `dstore` shows what exists: compared with the engine's own listing, and the files.

mod at;
#[path = "../../tests/common/mod.rs"]
mod common;

use at::{json, prints, says};
use common::{Root, begin, build, docker, import_base, sh};
use docker_store::CacheRequest;

/// The names of a root's results in `docker`.
fn of_engine(root: &Root) -> Vec<String> {
    let begins = root.image("");
    let names = docker(&[
        "images",
        "--format",
        "{{.Repository}}",
        &format!("{begins}*"),
    ]);
    let mut ids: Vec<String> = names
        .iter()
        .filter_map(|name| name.strip_prefix(&begins))
        .map(str::to_owned)
        .collect();
    ids.sort();
    ids
}

#[test]
fn results_are_those_that_the_engine_lists() {
    let root = Root::new("cli-ls");
    let nothing = prints(&root, &["ls"]);
    assert!(
        nothing.starts_with("ID ") && nothing.lines().count() == 1,
        "{nothing}"
    );
    assert_eq!(
        json(&root, &["ls"]).0["results"].as_array().map(Vec::len),
        Some(0)
    );
    let store = root.open_with_base();
    build(
        &store,
        "base",
        "second",
        "head -c 3000000 /dev/zero | tr '\\0' x >/big",
    );
    build(&store, "second", "third", "true");

    let ids = |text: &str| {
        let mut ids: Vec<String> = text.lines().map(str::to_owned).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&prints(&root, &["ls", "-q"])), of_engine(&root));
    let table = prints(&root, &["ls", "--sort", "id"]);
    let mut lines = table.lines();
    assert!(
        lines
            .next()
            .is_some_and(|heading| heading.starts_with("ID "))
    );
    let first: Vec<&str> = lines.filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(first, ["base", "second", "third"]);
    let by_size = prints(&root, &["ls", "-q", "--sort", "size"]);
    assert_eq!(
        by_size.lines().last(),
        Some("third"),
        "it has nothing of its own"
    );

    let (document, status) = json(&root, &["ls", "--sort", "id"]);
    assert_eq!(status, Some(0));
    for (n, id) in ["base", "second", "third"].into_iter().enumerate() {
        let row = &document["results"][n];
        let inspect = docker(&[
            "image",
            "inspect",
            "--format",
            "{{.Size}} {{.Created}}",
            &root.image(id),
        ]);
        let (size, created) = inspect[0].split_once(' ').expect("two words");
        assert_eq!(row["id"], id);
        assert_eq!(row["size"].to_string(), size);
        let seconds = row["created"]
            .as_str()
            .and_then(|time| time.strip_suffix('Z'));
        assert!(
            seconds.is_some_and(|seconds| created.starts_with(seconds)),
            "{row} {created}"
        );
    }

    let own = document["results"][1]["own_size"]
        .as_u64()
        .expect("a number");
    assert!((3_000_000..3_100_000).contains(&own), "{document}");
    store.close().expect("closed");
}

#[test]
fn a_result_is_shown_with_what_it_stands_on_and_what_stands_on_it() {
    let root = Root::new("cli-show");
    let store = root.open_with_base();
    for (base, id) in [
        ("base", "a"),
        ("a", "b"),
        ("b", "c"),
        ("b", "d"),
        ("base", "aside"),
    ] {
        build(&store, base, id, "echo built");
    }
    let (document, _) = json(&root, &["show", "b"]);
    assert_eq!(document["image"], root.image("b"));
    let engine_id = docker(&["image", "inspect", "--format", "{{.Id}}", &root.image("b")]);
    assert_eq!(document["engine_id"], engine_id[0]);
    assert_eq!(document["log_size"], 6);
    assert_eq!(document["chain"], serde_json::json!(["base", "a", "b"]));
    assert_eq!(document["children"], serde_json::json!(["c", "d"]));
    let shown = prints(&root, &["show", "b"]);
    let tree: Vec<&str> = shown
        .lines()
        .skip_while(|line| !line.contains("OWN"))
        .skip(1)
        .collect();
    let names = ["base", "└─ a", "└─ b", "   ├─ c", "   └─ d"];
    assert_eq!(tree.len(), names.len(), "{shown}");
    for (line, name) in tree.iter().zip(names) {
        assert!(line.contains(&format!("  {name}")), "{name}: {shown}");
    }
    assert!(
        tree[2].contains("<-") && shown.matches("<-").count() == 1,
        "{shown}"
    );
    // All of them, with the characters that the locale supports.
    let all = at::at(&root, &["ls", "--tree"])
        .env("LC_ALL", "C")
        .output()
        .expect("it runs");
    let all = String::from_utf8_lossy(&all.stdout).into_owned();
    assert!(
        all.contains("|- a") && all.contains("`- aside") && !all.contains('└'),
        "{all}"
    );
    // A base that was removed before what is based on it.
    assert!(store.delete("a").expect("deleted"));
    let shown = prints(&root, &["show", "b"]);
    assert!(shown.contains("b (on a, which is gone)"), "{shown}");
}

#[test]
fn what_is_being_built_is_listed() {
    let root = Root::new("cli-building");
    let store = root.open_with_base();
    let mut step = begin(&store, "base", "slow");
    step.run(&sh("echo begun")).expect("a run");
    let (document, _) = json(&root, &["ls"]);
    assert_eq!(document["building"], serde_json::json!(["slow"]));
    assert_eq!(document["results"][0]["held"], true);
    let text = prints(&root, &["ls"]);
    assert!(
        text.contains("slow is being built") && text.contains("base of a step"),
        "{text}"
    );
    step.abort().expect("aborted");
    assert_eq!(json(&root, &["ls"]).0["building"], serde_json::json!([]));
}

#[test]
fn usage_is_the_sum_of_what_is_listed() {
    let root = Root::new("cli-usage");
    let store = root.open_with_base();
    build(
        &store,
        "base",
        "big",
        "head -c 5000000 /dev/zero | tr '\\0' x >/big",
    );
    drop(
        store
            .cache("compiler", &CacheRequest::new())
            .expect("a lease"),
    );
    let (usage, _) = json(&root, &["usage"]);
    let own = |n: usize| usage["results"][n]["own_size"].as_u64().expect("a number");
    assert_eq!(usage["totals"]["results"], own(0) + own(1), "{usage}");
    // By the engine's own measure of the layers of the topmost one.
    let size = docker(&[
        "image",
        "inspect",
        "--format",
        "{{.Size}}",
        &root.image("big"),
    ]);
    assert_eq!(usage["totals"]["results"].to_string(), size[0]);
    assert_eq!(usage["caches"][0]["name"], "compiler");
    assert_eq!(usage["leftovers"]["containers"], 0);
    let text = prints(&root, &["usage"]);
    for word in ["results", "caches", "logs", "leftovers", "free"] {
        assert!(
            text.lines().any(|line| line.starts_with(word)),
            "{word}: {text}"
        );
    }
}

#[test]
fn what_is_not_there_is_said_with_a_status_of_its_own() {
    let root = Root::new("cli-none");
    for arguments in [
        &["show", "nothing"][..],
        &["log", "nothing"],
        &["log", "-f", "nothing"],
        &["rm", "nothing"],
        &["rm", "--cache", "nothing"],
        &["export", "nothing"],
        &["why", "nothing"],
    ] {
        let said = says(&root, arguments);
        assert_eq!(said.status, Some(3), "{arguments:?}: {said:?}");
        assert!((said.out + &said.err).contains("nothing"), "{arguments:?}");
        let (document, status) = json(&root, arguments);
        assert_eq!(status, Some(3), "{arguments:?}");
        assert!(document.is_object(), "{document}");
    }
    for arguments in [
        &["show"][..],
        &["frobnicate"],
        &["show", "Not An Id"],
        &["ls", "--sort", "x"],
    ] {
        let said = says(&root, arguments);
        assert_eq!(said.status, Some(2), "{arguments:?}: {said:?}");
        assert!(!said.err.is_empty());
    }
    let (document, _) = json(&root, &["show", "nothing"]);
    assert_eq!(document["error"]["kind"], "not-found");
    assert_eq!(document["error"]["status"], 3);
}

/// A typing error creates no store, neither in a missing directory nor in an unrelated one.
#[test]
fn nothing_is_made_where_there_is_no_store() {
    let root = Root::new("cli-typo");
    let (nowhere, other) = (root.path.join("nowhere"), root.path.join("other"));
    std::fs::create_dir(&other).expect("made");
    for path in [&nowhere, &other] {
        let mut dstore = at::dstore();
        let said: at::Said = dstore
            .arg("ls")
            .env("DSTORE_ROOT", path)
            .output()
            .expect("it runs")
            .into();
        assert_eq!(said.status, Some(3), "{said:?}");
        assert!(common::names_in(path).is_empty());
    }
    let said: at::Said = at::dstore().arg("ls").output().expect("it runs").into();
    assert_eq!(said.status, Some(2));
    assert!(
        said.err.contains("--root") && said.err.contains("DSTORE_ROOT"),
        "{said:?}"
    );
}

#[test]
fn caches_are_shown_with_what_is_lent() {
    let root = Root::new("cli-caches");
    let store = root.open_with_base();
    let request = CacheRequest::new();
    let name = b"compiler\x1b[2J\xff";
    let lease = store.cache(name, &request).expect("a lease");
    let mut step = begin(&store, "base", "filler");
    step.run(sh("head -c 100000 /dev/zero >/c/file").lease(&lease, "/c"))
        .expect("a run");
    step.commit().expect("a commit");
    lease.release().expect("released");
    let _held = store.cache(name, &request).expect("a lease");

    let text = prints(&root, &["caches"]);
    assert!(!text.contains('\x1b'), "{text:?}");
    assert!(text.contains("compiler\\u{1b}[2J\\xff"), "{text}");
    let (document, _) = json(&root, &["caches"]);
    let row = &document["caches"][0];
    assert_eq!(row["name"], serde_json::Value::Null);
    assert_eq!(row["name_hex"], "636f6d70696c65721b5b324aff");
    assert_eq!((&row["generation"], &row["leases"]), (&1.into(), &1.into()));
    let known = store.caches().expect("listed");
    assert_eq!(row["size"].as_u64(), known[0].bytes);
}

#[test]
fn why_says_what_is_known() {
    let root = Root::new("cli-why");
    let store = root.open_with_base();
    let state = |id| {
        let (document, status) = json(&root, &["why", id]);
        let state = document["state"].as_str().expect("a state").to_owned();
        assert_eq!(
            status,
            Some(if state == "there" { 0 } else { 3 }),
            "{document}"
        );
        state
    };
    assert_eq!(state("base"), "there");
    assert_eq!(state("never"), "unknown");
    let mut step = begin(&store, "base", "fails");
    assert_eq!(state("fails"), "building");
    step.run(&sh("echo so far; exit 3")).expect_err("it fails");
    step.abort().expect("aborted");
    assert_eq!(state("fails"), "failed");
    let said = says(&root, &["why", "fails"]);
    assert!(said.out.contains("dstore log fails"), "{said:?}");
    // How a result was removed, by whichever process.
    for id in ["deleted", "pruned", "vanished"] {
        build(&store, "base", id, "echo here");
    }
    assert!(store.delete("deleted").expect("deleted"));
    assert_eq!(state("deleted"), "deleted");
    docker(&["rmi", &root.image("vanished")]);
    assert_eq!(state("vanished"), "vanished");
    prints(&root, &["pin", "base"]);
    says(
        &root,
        &[
            "prune",
            "--unused-for",
            "0s",
            "--spare",
            "0s",
            "--no-caches",
        ],
    );
    assert_eq!(state("pruned"), "pruned");
    assert_eq!(state("base"), "there");
    build(&store, "base", "deleted", "true");
    assert_eq!(state("deleted"), "there");
}

#[test]
fn doctor_says_what_answers_and_how_it_is() {
    let root = Root::new("cli-doctor");
    // What the last build has tried is known here.
    let store = root.open_with_base();
    build(&store, "base", "made", "true");
    let said = says(&root, &["doctor"]);
    let (document, status) = json(&root, &["doctor"]);
    let troubles = document["troubles"].as_array().expect("a list");
    // A machine may really have little free space.
    assert_eq!(status, Some(i32::from(!troubles.is_empty())), "{document}");
    let version = docker(&["version", "--format", "{{.Server.Version}}"]).concat();
    assert_eq!(document["engine_version"], version);
    assert_eq!(document["prefix"], root.prefix());
    let network = document["network"].as_str().expect("text");
    assert!(network.starts_with("by the "), "{network}");
    for name in [
        "engine_version",
        "address",
        "api_version",
        "strategy",
        "strategy_reason",
        "network",
        "image_store",
    ] {
        let value = document[name]
            .as_str()
            .unwrap_or_else(|| panic!("{name}: {document}"));
        assert!(
            !value.is_empty() && said.out.contains(value),
            "{name}: {said:?}"
        );
    }
    for trouble in troubles {
        for part in ["what", "advice"] {
            let text = trouble[part].as_str().expect("text");
            assert!(said.out.contains(text) || text.contains('%'), "{said:?}");
        }
    }
}

#[test]
fn doctor_has_advice_where_no_engine_answers() {
    let root = Root::new("cli-no-engine");
    let nobody = format!("unix://{}/no.sock", root.path.display());
    let said = says(&root, &["--engine", &nobody, "doctor"]);
    assert_eq!(said.status, Some(5), "{said:?}");
    assert!(
        said.out.contains("no.sock") && said.out.contains("DOCKER_HOST"),
        "{said:?}"
    );
    let (document, status) = json(&root, &["--engine", &nobody, "doctor"]);
    assert_eq!(status, Some(5));
    assert!(document["troubles"][0]["advice"].is_string(), "{document}");
    let said = says(&root, &["--engine", &nobody, "ls"]);
    assert_eq!((said.status, said.out.as_str()), (Some(5), ""), "{said:?}");
}

#[test]
fn a_store_of_another_word_is_shown_by_it() {
    let root = Root::new("cli-word");
    let store = root.open_with(docker_store::Options::new().name("dstoretest"));
    import_base(&store, "base");
    assert_eq!(prints(&root, &["ls", "-q"]), "");
    assert_eq!(
        prints(&root, &["--name", "dstoretest", "ls", "-q"]),
        "base\n"
    );
    assert!(store.delete("base").expect("deleted"));
    for name in docker(&[
        "images",
        "--format",
        "{{.Repository}}:{{.Tag}}",
        &format!("{}-*", store.prefix()),
    ]) {
        docker(&["rmi", &name]);
    }
    let claim = format!("{}-store", store.prefix());
    store.close().expect("closed");
    docker(&["volume", "rm", &claim]);
}
