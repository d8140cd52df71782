//! The files for shells and man(1): they can be parsed, and `make` installs and removes them.

mod at;
#[path = "../../tests/common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use at::{Said, dstore};
use common::names_in;

/// A directory of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("made");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn generated(into: &Path) {
    let output = dstore()
        .arg("generate")
        .arg(into)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
}

/// The commands that the help shows.
fn commands() -> Vec<String> {
    let help: Said = dstore().arg("--help").output().expect("it runs").into();
    assert_eq!(help.status, Some(0));
    let (_, list) = help.out.split_once("Commands:\n").expect("a list");
    let words = list.lines().take_while(|line| !line.is_empty());
    words
        .filter_map(|line| {
            line.strip_prefix("  ")?
                .split(' ')
                .next()
                .filter(|word| !word.is_empty())
        })
        .map(str::to_owned)
        .filter(|word| word != "help")
        .collect()
}

#[test]
fn each_command_has_a_page_and_a_section_in_the_manual() {
    let folder = Folder::new("pages");
    generated(&folder.0);
    let mut expected = vec!["dstore.1".to_owned()];
    expected.extend(
        commands()
            .iter()
            .map(|command| format!("dstore-{command}.1")),
    );
    expected.sort();
    let mut pages = names_in(&folder.0.join("man"));
    pages.sort();
    assert_eq!(pages, expected);
    for page in &pages {
        let text = std::fs::read_to_string(folder.0.join("man").join(page)).expect("read");
        assert!(text.contains(".TH") && text.contains(".SH NAME"), "{page}");
    }
    let manual = include_str!("../../docs/dstore.md");
    for command in commands() {
        assert!(
            manual.contains(&format!("`dstore {command}")),
            "docs/dstore.md: {command}"
        );
    }
}

#[test]
fn bash_takes_the_completions_and_completes() {
    let output = dstore()
        .args(["completions", "bash"])
        .output()
        .expect("it runs");
    let script = String::from_utf8(output.stdout).expect("text");
    let ask =
        "COMP_WORDS=(dstore do); COMP_CWORD=1; _dstore dstore do dstore; echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["--norc", "-euc", &format!("{script}\n{ask}")])
        .output()
        .expect("bash");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "doctor",
        "{output:?}"
    );
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let output = dstore()
            .args(["completions", shell])
            .output()
            .expect("it runs");
        assert!(
            output.status.success() && output.stdout.len() > 1000,
            "{shell}"
        );
    }
}

#[test]
fn make_puts_all_in_place_and_takes_it_away() {
    let folder = Folder::new("installed");
    let (made, place) = (folder.0.join("made"), folder.0.join("place"));
    generated(&made);
    let make = |target: &str| {
        let mut make = Command::new("make");
        make.args([
            "-s",
            "-C",
            concat!(env!("CARGO_MANIFEST_DIR"), "/.."),
            target,
            "PREFIX=/usr",
        ])
        .arg(format!("DESTDIR={}", place.display()))
        .arg(format!("DSTORE={}", env!("CARGO_BIN_EXE_dstore")))
        .arg(format!("MADE={}", made.display()))
        // This test may itself run under make, whose flags are not meant for this one.
        .env_remove("MAKEFLAGS");
        let output = make.output().expect("make");
        assert!(output.status.success(), "{output:?}");
    };
    let files = || {
        let find = Command::new("find")
            .arg(&place)
            .args(["-type", "f"])
            .output();
        let find: Said = find.expect("find").into();
        find.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    make("install-cli");
    let there = files();
    assert_eq!(there.len(), 1 + 1 + commands().len() + 3, "{there:#?}");
    let usr = place.join("usr");
    let version: Said = Command::new(usr.join("bin/dstore"))
        .arg("--version")
        .output()
        .expect("it runs")
        .into();
    assert_eq!(
        version.out,
        format!("dstore {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(
        names_in(&usr.join("share/man/man1")),
        names_in(&made.join("man"))
    );
    make("uninstall");
    assert_eq!(files(), [""; 0]);
}

/// What links the library does not build what this command needs.
#[test]
fn the_library_alone_builds_nothing_of_it() {
    let tree = |package: &str| {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--locked",
                "--offline",
                "--edges",
                "normal,build",
                "--prefix",
                "none",
                "--package",
                package,
            ])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .expect("cargo");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    for name in ["clap ", "comfy-table ", "indicatif "] {
        assert!(tree("dstore").contains(name), "{name}");
        assert!(!tree("docker-store").contains(name), "{name}");
    }
}
