//! `--json` prints what docs/dstore.md documents: each field there, and no other.

mod at;
#[path = "../../tests/common/mod.rs"]
mod common;

use std::collections::BTreeSet;

use at::json;
use common::{Root, begin, build, sh};
use serde_json::Value;

/// The fields that the manual lists for a command: `<!-- json: COMMAND -->` and a table below it.
fn documented(command: &str) -> BTreeSet<String> {
    let manual = include_str!("../../docs/dstore.md");
    let (_, table) = manual
        .split_once(&format!("<!-- json: {command} -->\n"))
        .unwrap_or_else(|| panic!("docs/dstore.md has no table for {command}"));
    table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.split('`').nth(1).expect("a field").to_owned())
        .collect()
}

/// The fields of a document: `results[].id`.
fn fields(document: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, at: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let at = match at {
                        "" => name.clone(),
                        at => format!("{at}.{name}"),
                    };
                    walk(value, &at, found);
                }
            }
            Value::Array(values) if values.iter().any(Value::is_object) => {
                for value in values {
                    walk(value, &format!("{at}[]"), found);
                }
            }
            _ => {
                found.insert(at.to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(document, "", &mut found);
    found
}

/// A field that is an empty list or null shows none of the fields below it.
fn compare(command: &str, document: &Value) {
    let (documented, found) = (documented(command), fields(document));
    for field in &found {
        assert!(
            documented.contains(field)
                || documented
                    .iter()
                    .any(|known| known.starts_with(&format!("{field}["))
                        || known.starts_with(&format!("{field}."))),
            "{command}: {field} is not in docs/dstore.md: {document:#}"
        );
    }
    for field in &documented {
        let missing = !found.contains(field)
            && !found.iter().any(|known| {
                field
                    .strip_prefix(known.as_str())
                    .is_some_and(|rest| rest.starts_with(['[', '.']))
            });
        assert!(
            !missing,
            "{command}: {field} of docs/dstore.md is not there: {document:#}"
        );
    }
}

#[test]
fn every_field_is_documented_and_every_documented_field_is_there() {
    let root = Root::new("cli-json");
    let store = root.open_with_base();
    build(&store, "base", "made", "echo hello");
    drop(
        store
            .cache("compiler", &Default::default())
            .expect("a lease"),
    );
    let mut step = begin(&store, "base", "failed");
    step.run(&sh("false")).expect_err("it fails");
    step.abort().expect("aborted");
    let file = root.path.join("file.tar").display().to_string();
    store
        .pin("made", &docker_store::Limits::none())
        .expect("pinned");
    let name = format!("example.com/{}", root.prefix());
    for arguments in [
        &["ls"][..],
        &["usage"],
        &["pin"],
        &["prune", "-n", "--unused-for", "0s"],
        &["unpin", "made", "base"],
        &["pin", "base"],
        &["tag", "made", &name],
        &["save", "made", "-o", &file],
        &["load", "loaded", &file],
        &["show", "made"],
        &["caches"],
        &["why", "failed"],
        &["why", "base"],
        &["doctor"],
        &["purge"],
        &["export", "made", "/bin", "-o", &file],
        &["rm", "made", "gone"],
    ] {
        let (document, _) = json(&root, arguments);
        let command = match arguments {
            ["pin", _] => "pin ID",
            _ => arguments[0],
        };
        compare(command, &document);
    }
    common::docker(&["rmi", &name]);
    let (document, _) = json(&root, &["show", "gone"]);
    compare("error", &document);
    store.close().expect("closed");
    let (document, _) = json(&root, &["destroy", "-n"]);
    compare("destroy", &document);
}
