//! `docs/conventions.md` is true as far as a program can check: its tables match the header, and its recipe works.

mod abi;
mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use abi::declared::{Kind, declared, owned};
use abi::{Folder, Linked, compile, functions, header, root};
use common::patience::ended;
use common::{Root, base_tar};

fn page() -> String {
    fs::read_to_string(root().join("docs/conventions.md")).expect("docs/conventions.md")
}

/// The rows of the table under `heading`, as cells without the marks around a name.
fn table(heading: &str) -> Vec<Vec<String>> {
    let page = page();
    let (_, after) = page.split_once(heading).expect("the table's heading");
    let rows = after.lines().skip_while(|line| !line.starts_with("|--"));
    let rows = rows.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells = row.trim_matches('|').split('|');
        cells
            .map(|cell| cell.replace('`', "").trim().to_owned())
            .collect()
    })
    .collect()
}

#[test]
fn each_status_says_what_to_do_about_it() {
    let header = declared(&header());
    let status = header.iter().find(|d| d.name == "dstore_status");
    let Some(Kind::Enum(values)) = status.map(|d| &d.kind) else {
        panic!("there is no dstore_status");
    };
    let values: Vec<_> = values
        .iter()
        .map(|value| (value.name.clone(), value.number.to_string()))
        .collect();
    let rows = table("What each status asks of you:");
    let named: Vec<_> = rows
        .iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    assert_eq!(named, values, "docs/conventions.md: the table of statuses");
    assert!(rows.iter().all(|row| row.len() == 3 && row[2].len() > 5));
}

#[test]
fn each_object_says_who_makes_and_who_frees_it() {
    let owned = owned(&header());
    let expected: BTreeSet<_> = owned
        .into_iter()
        .map(|owned| {
            let makers: Vec<String> = owned.makers.iter().map(|m| format!("{m}()")).collect();
            let makers = match makers.is_empty() {
                true => String::from("every call that fails"),
                false => makers.join(", "),
            };
            (owned.object, makers, format!("{}()", owned.free))
        })
        .collect();
    let rows = table("Objects are made by one of these calls");
    let told: BTreeSet<_> = rows
        .into_iter()
        .map(|row| {
            let object = row[0].split(',').next().unwrap_or_default().to_owned();
            (object, row[1].clone(), row[2].clone())
        })
        .collect();
    assert_eq!(told, expected, "docs/conventions.md: the table of objects");
}

/// Several threads may use a type if every call except its free takes it as `const`.
#[test]
fn each_object_says_how_many_threads_may_use_it() {
    let header = header();
    let functions = functions(&header);
    let objects = declared(&header)
        .into_iter()
        .filter(|d| d.kind == Kind::Object);
    let expected: BTreeSet<_> = objects
        .map(|object| {
            let alone = format!("{} *", object.name);
            let many = functions
                .iter()
                .filter(|f| !f.name.ends_with("_free"))
                .all(|f| f.parameters.iter().all(|(kind, _)| *kind != alone));
            (
                object.name,
                if many { "any number" } else { "one" }.to_owned(),
            )
        })
        .collect();
    let rows = table("\n## Threads\n");
    let told: BTreeSet<_> = rows
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    assert_eq!(told, expected, "docs/conventions.md: the table of threads");
}

#[test]
fn a_signal_ends_a_build_as_the_recipe_says() {
    let page = page();
    let (_, after) = page
        .split_once("<!-- recipe: interrupt -->\n```c\n")
        .expect("the recipe");
    let recipe = after.split("```").next().expect("its end");
    let template = fs::read_to_string(root().join("tests/c/interrupt.c")).expect("a program");
    let folder = Folder::new("interrupt");
    let (source, program) = (folder.file("interrupt.c"), folder.file("interrupt"));
    fs::write(&source, template.replace("/* RECIPE */", recipe)).expect("a source file");
    compile(&source, Linked::Shared, &program);

    let root = Root::new("interrupt");
    let mut child = Command::new(&program)
        .arg(&root.path)
        .arg(base_tar())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut said = BufReader::new(child.stdout.take().expect("its output"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    assert_eq!(line, "running\n");
    abi::run(Command::new("kill").args(["-INT", &child.id().to_string()]));
    // It prints little: the pipe has room for all of it.
    assert!(ended(&mut child, "the interrupted program").success());
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("the rest");
    assert_eq!(rest, "ok\n");
    root.open().close().expect("closed");
    assert_eq!(root.leftovers(), Vec::<String>::new());
}
