//! The session in the README is a real one: its commands are run again, and print the same, except for numbers and what depends
//! on the machine.

mod at;
#[path = "../../tests/common/mod.rs"]
mod common;

use at::says;
use common::{Root, build};

/// The commands, each with the output shown below it.
fn session() -> Vec<(String, String)> {
    let readme = include_str!("../../README.md");
    let (_, session) = readme
        .split_once("<!-- dstore -->\n```text\n")
        .expect("the session's place");
    let session = session.split("```").next().expect("its end");
    let parts = session.split("$ dstore ").skip(1);
    parts
        .map(|part| part.split_once('\n').expect("a command's line"))
        .map(|(command, shown)| (command.to_owned(), shown.to_owned()))
        .collect()
}

/// Words, with each amount, age and time replaced by a placeholder.
fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut plain = Vec::new();
    let mut n = 0;
    while n < words.len() {
        let is_number = |word: &str| word.trim_start_matches('(').parse::<f64>().is_ok();
        let next = words.get(n + 1).copied().unwrap_or_default();
        let (word, used) = match words[n] {
            "just" if next.starts_with("now") => ("AGO", 2),
            word if is_number(word)
                && words.get(n + 2).is_some_and(|word| word.starts_with("ago")) =>
            {
                ("AGO", 3)
            }
            word if is_number(word) && next.trim_end_matches([',', ';', ')']).ends_with('B') => {
                ("SIZE", 2)
            }
            word if is_number(word) && next.starts_with('%') => ("PERCENT", 2),
            word => (word, 1),
        };
        plain.push(word);
        n += used;
    }
    plain.join(" ")
}

#[test]
fn the_session_in_the_readme_is_what_dstore_prints() {
    let root = Root::new("cli-readme");
    let store = root.open_with_base();
    build(
        &store,
        "base",
        "deps",
        "head -c 30000000 /dev/urandom >/lib.a",
    );
    for (id, bytes) in [
        ("app-1", 4_000_000),
        ("app-2", 4_100_000),
        ("docs", 900_000),
    ] {
        build(
            &store,
            "deps",
            id,
            &format!("head -c {bytes} /dev/urandom >/made"),
        );
    }
    build(&store, "app-2", "app-2-tested", "echo ok >/report");
    drop(
        store
            .cache("compiler", &Default::default())
            .expect("a lease"),
    );
    assert!(store.delete("docs").expect("deleted"));
    store.close().expect("closed");
    let session = session();
    assert!(session.len() >= 4);
    for (command, shown) in session {
        let arguments: Vec<&str> = command.split(' ').collect();
        let said = says(&root, &arguments);
        let printed = said.out.clone() + &said.err;
        println!("$ dstore {command}\n{printed}");
        if command == "doctor" {
            // These depend on the machine, except for the names of the lines.
            let names = |text: &str| -> Vec<String> {
                let lines = text.lines().take_while(|line| !line.is_empty());
                lines
                    .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
                    .collect()
            };
            assert_eq!(names(&printed), names(&shown), "{printed}");
        } else {
            assert_eq!(plain(&printed), plain(&shown), "{command}:\n{printed}");
        }
    }
}
