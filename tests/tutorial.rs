//! `docs/tutorial.md` is followed to the letter: its program is assembled as the page says, compiled and run against the real
//! engine, and prints what the page shows.

mod abi;
mod common;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use abi::{Folder, Linked, compile, root};
use common::{Root, base_tar};

/// What the page tells a reader to do, in order.
enum Task<'a> {
    /// A part of the program, which may replace an earlier one.
    Part(&'a str, &'a str),
    File(&'a str, &'a str),
    /// A command, and what it prints.
    Run(&'a str, Vec<&'a str>),
}

/// A block of code starts with its language; blocks of C and of files are preceded by a comment that says what they are.
fn tasks(page: &str) -> Vec<Task<'_>> {
    let mut tasks = Vec::new();
    let mut prose = "";
    for (n, block) in page.split("```").enumerate() {
        if n % 2 == 0 {
            prose = block.trim_end();
            continue;
        }
        let (language, code) = block.split_once('\n').expect("a language");
        let marked = |what: &str| {
            let mark = prose.lines().last().unwrap_or_default();
            let name = mark.strip_prefix(what).and_then(|m| m.strip_suffix(" -->"));
            name.unwrap_or_else(|| panic!("no {what:?} before:\n{code}"))
        };
        match language {
            "c" => tasks.push(Task::Part(marked("<!-- tool.c: "), code)),
            "text" => tasks.push(Task::File(marked("<!-- file: "), code)),
            "console" => {
                for command in code.trim_start_matches("$ ").trim_end().split("\n$ ") {
                    let mut lines = command.lines();
                    let command = lines.next().expect("a command");
                    tasks.push(Task::Run(command, lines.collect()));
                }
            }
            other => panic!("what is a reader to do with {other:?}?"),
        }
    }
    tasks
}

/// The program so far: the parts in the order in which they came, and `main` last.
#[derive(Default)]
struct Program<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Program<'a> {
    /// `name` is a part's name, or `NAME, above OTHER`.
    fn put(&mut self, name: &'a str, code: &'a str) {
        let place = |name: &str| self.0.iter().position(|(known, _)| *known == name);
        match (place(name), name.split_once(", above ")) {
            (Some(old), _) => self.0[old].1 = code,
            (None, None) => self.0.push((name, code)),
            (None, Some((name, other))) => {
                let other = place(other).expect("something to stand above");
                self.0.insert(other, (name, code));
            }
        }
    }

    fn text(&self) -> String {
        let main = |part: &&(&str, &str)| part.0 == "main";
        let parts = self.0.iter().filter(|part| !main(part));
        let parts = parts.chain(self.0.iter().filter(main));
        parts.fold(String::new(), |mut text, (_, code)| {
            writeln!(text, "{code}").expect("in memory");
            text
        })
    }
}

/// Returns whether a line matches what the page shows: `<>` there matches anything.
fn matches(line: &str, shown: &str) -> bool {
    let mut parts = shown
        .split('<')
        .map(|part| part.split_once('>').map_or(part, |p| p.1));
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let Some(mut left) = line.strip_prefix(first) else {
        return false;
    };
    let Some((last, middle)) = rest.split_last() else {
        return left.is_empty();
    };
    for part in middle {
        let Some((_, after)) = left.split_once(part) else {
            return false;
        };
        left = after;
    }
    left.ends_with(last)
}

/// Runs a line of the page as a reader would, and returns the output.
fn shell(folder: &Path, line: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", &format!("{{ {line}\n}} 2>&1")])
        .current_dir(folder)
        .env_remove("TOKEN")
        .output()
        .expect("a shell");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_tutorial_can_be_followed_to_the_letter() {
    let page = fs::read_to_string(root().join("docs/tutorial.md")).expect("docs/tutorial.md");
    let folder = Folder::new("tutorial");
    let root = Root::at(folder.file("store"));
    symlink(base_tar(), folder.file("base.tar")).expect("a link");
    let mut program = Program::default();
    let (mut compiled, mut ran) = (0, 0);
    for task in tasks(&page) {
        match task {
            Task::Part(name, code) => program.put(name, code),
            Task::File(name, text) => fs::write(folder.file(name), text).expect("a file"),
            Task::Run(line, shown) if line.starts_with("cc ") => {
                assert!(shown.is_empty(), "a compiler that says nothing");
                fs::write(folder.file("tool.c"), program.text()).expect("the program");
                compile(&folder.file("tool.c"), Linked::Shared, &folder.file("tool"));
                compiled += 1;
            }
            Task::Run(line, shown) => {
                let said = shell(&folder.file(""), line);
                let lines: Vec<&str> = said.lines().collect();
                let as_shown = lines.len() == shown.len()
                    && lines
                        .iter()
                        .zip(&shown)
                        .all(|(line, shown)| matches(line, shown));
                assert!(
                    as_shown,
                    "$ {line}\nthe page shows:\n{}\nit says:\n{said}",
                    shown.join("\n")
                );
                ran += 1;
            }
        }
    }
    assert!(
        compiled >= 9 && ran > 15,
        "{compiled} times compiled, {ran} commands run"
    );
    // The tool has cleaned up after itself.
    assert_eq!(root.leftovers(), Vec::<String>::new());
    under_valgrind(&folder, &root);
}

/// The final program of the page, from an empty store to an empty store.
fn under_valgrind(folder: &Folder, root: &Root) {
    compile(&folder.file("tool.c"), Linked::Static, &folder.file("tool"));
    for (arguments, status) in [
        ("base.tar steps.txt slow.txt bad.txt", 1),
        ("base.tar steps.txt", 0),
        ("--clean", 0),
    ] {
        let line = format!(
            "valgrind --quiet --error-exitcode=99 --leak-check=full \
             --show-leak-kinds=definite,indirect,possible \
             --errors-for-leak-kinds=definite,indirect,possible ./tool store {arguments}; echo $?"
        );
        let said = shell(&folder.file(""), &line);
        assert!(said.ends_with(&format!("\n{status}\n")), "{line}\n{said}");
    }
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn what_is_in_angle_brackets_may_be_anything_and_the_rest_may_not() {
    for (line, shown, same) in [
        ("as it is", "as it is", true),
        ("as it is", "as it was", false),
        ("/x/store on unix:///y", "<here>/store on <there>", true),
        ("a-0123: built", "a-<16 digits>: built", true),
        ("a-0123: was there", "a-<16 digits>: built", false),
        ("b-0123: built", "a-<16 digits>: built", false),
        ("a 1 c 2 d", "a <x> b <y> d", false),
        ("more as it is", "as it is", false),
        ("as it is, and more", "as it is", false),
    ] {
        assert_eq!(matches(line, shown), same, "{line:?} {shown:?}");
    }
}
