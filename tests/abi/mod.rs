//! What the tests of the C ABI share: the header, parsed into functions and enumerators, and a C compiler.
#![allow(dead_code, unreachable_pub)] // each test file uses its part

pub mod declared;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `include/docker_store.h`.
pub fn header() -> String {
    let file = root().join("include/docker_store.h");
    fs::read_to_string(&file)
        .unwrap_or_else(|e| panic!("{}: {e}: run `make header`", file.display()))
}

/// A function that the header declares.
#[derive(Debug)]
pub struct Function {
    pub comment: String,
    pub returns: String,
    pub name: String,
    /// Type and name.
    pub parameters: Vec<(String, String)>,
}

impl Function {
    /// What the comment says may be NULL: always, or only together with something else.
    pub fn may_be_null(&self) -> (Vec<&str>, Vec<&str>) {
        let (mut always, mut sometimes) = (Vec::new(), Vec::new());
        let list = self
            .comment
            .split_once("May be NULL: ")
            .map_or("", |(_, rest)| rest);
        for clause in list.split('.').next().unwrap_or_default().split(';') {
            let (names, list) = match clause.split_once(", if ") {
                Some((names, _)) => (names, &mut sometimes),
                None => (clause, &mut always),
            };
            list.extend(
                names
                    .split([',', ' '])
                    .filter(|word| !word.is_empty() && *word != "and"),
            );
        }
        (always, sometimes)
    }

    /// Whether it says that it blocks.
    pub fn blocks(&self) -> bool {
        self.comment.contains("Blocks.") || self.comment.contains("Blocks, ")
    }

    /// How a blocking call is limited; `None` if it cannot be.
    pub fn limits(&self, all: &[Function]) -> Option<Limits> {
        let asks = |name: &str| self.parameters.iter().any(|(_, n)| n == name);
        let twin = format!("{}_within", self.name);
        let of_step = |(kind, _): &(String, String)| kind == "dstore_step *";
        match self.parameters.first() {
            _ if asks("timeout_ms") && asks("cancel") => Some(Limits::Asked),
            _ if all
                .iter()
                .any(|f| f.name == twin && f.limits(all).is_some()) =>
            {
                Some(Limits::OfTwin)
            }
            Some(first) if of_step(first) => Some(Limits::OfStep),
            _ => None,
        }
    }

    /// Whether it involves a type: in an argument, its result or its comment.
    pub fn mentions(&self, name: &str) -> bool {
        let whole = |text: &str| {
            let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.any(|word| word == name)
        };
        whole(&self.returns)
            || whole(&self.comment)
            || self.parameters.iter().any(|(kind, _)| whole(kind))
    }
}

/// What limits a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    /// Its own `timeout_ms` and `cancel`.
    Asked,
    /// Those of the same call with `_within` at the end of its name.
    OfTwin,
    /// Those of its step, which `dstore_step_limit` sets.
    OfStep,
}

/// All functions, in the order of the header.
pub fn functions(header: &str) -> Vec<Function> {
    let parts = header.split("/**").skip(1).filter_map(|part| {
        let (comment, declared) = part.split_once("*/")?;
        let comment = comment
            .split_whitespace()
            .filter(|word| *word != "*")
            .collect::<Vec<_>>()
            .join(" ");
        let declared = declared.split_once(';')?.0.replace("DSTORE_MUST_USE", "");
        let (before, parameters) = declared.trim().split_once('(')?;
        let (returns, name) = split_name(before)?;
        let parameters = parameters.trim_end_matches(')').split(',');
        let parameters = parameters
            .filter(|p| p.trim() != "void")
            .map(|p| split_name(p).expect("a parameter"))
            .collect();
        name.starts_with("dstore_").then_some(Function {
            comment,
            returns,
            name,
            parameters,
        })
    });
    parts
        .filter(|f| !f.returns.starts_with("typedef"))
        .collect()
}

/// `const char *id` is the type `const char *` and the name `id`.
fn split_name(text: &str) -> Option<(String, String)> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let start = text.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')? + 1;
    Some((text[..start].trim().to_owned(), text[start..].to_owned()))
}

/// The names of all enumerators and of the enums' types.
pub fn enumerators(header: &str) -> (Vec<&str>, Vec<&str>) {
    let lines = header.lines().map(str::trim);
    let names = lines.clone().filter_map(|line| {
        let (name, value) = line.strip_suffix(',')?.split_once(" = ")?;
        (name.starts_with("DSTORE_") && value.parse::<i32>().is_ok()).then_some(name)
    });
    let types = lines
        .filter_map(|line| line.strip_prefix("enum "))
        .filter(|name| name.starts_with("dstore_"));
    (names.collect(), types.collect())
}

/// The anchor of a heading on pages like GitHub's.
pub fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().replace(' ', "-")
}

/// Checks that a generated file is up to date.
pub fn assert_made(there: &str, now: &str, file: &str) {
    let lines = there.lines().zip(now.lines()).enumerate();
    let differs = lines
        .filter(|(_, (a, b))| a != b)
        .map(|(n, (a, b))| format!("line {}:\n- {a}\n+ {b}", n + 1))
        .next();
    assert!(
        there == now,
        "{file} is not what src/capi says: run `make header`, and look at what changed.\n{}",
        differs.unwrap_or_else(|| String::from("one is longer than the other"))
    );
}

/// Which of the two libraries a program is linked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    Shared,
    Static,
    /// The static one, under the address and undefined behaviour sanitizers.
    Sanitized,
}

/// Compiles a C program with the strictest warnings.
pub fn compile(source: &Path, linked: Linked, program: &Path) {
    let mut cc = Command::new("cc");
    cc.args([
        "-std=c99",
        "-D_XOPEN_SOURCE=700",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        "-g",
        "-pthread",
        "-I",
    ]);
    cc.arg(root().join("include"))
        .arg("-I")
        .arg(root().join("tests/c"))
        .arg(source)
        .arg("-o")
        .arg(program);
    if linked == Linked::Sanitized {
        cc.args([
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=undefined",
        ]);
    }
    match linked {
        Linked::Static | Linked::Sanitized => cc.arg(library("a")).args(static_libs()),
        Linked::Shared => {
            // A program requires the library by its SONAME, which is not the name of cargo's file.
            let folder = program.parent().expect("a folder").join("lib");
            fs::create_dir_all(&folder).expect("a folder");
            let soname = folder.join(format!("libdocker_store.so.{}", abi()));
            if !soname.exists() {
                std::os::unix::fs::symlink(library("so"), &soname).expect("a link");
            }
            cc.arg(&soname)
                .arg(format!("-Wl,-rpath,{}", folder.display()))
        }
    };
    run(&mut cc);
}

/// The number in the SONAME.
pub fn abi() -> String {
    match env!("CARGO_PKG_VERSION_MAJOR") {
        "0" => concat!("0.", env!("CARGO_PKG_VERSION_MINOR")).to_owned(),
        major => major.to_owned(),
    }
}

/// The library that cargo built for these tests: it is beside them.
pub fn library(suffix: &str) -> PathBuf {
    let tests = env::current_exe().expect("this program");
    let file = tests
        .parent()
        .expect("its folder")
        .join(format!("libdocker_store.{suffix}"));
    assert!(
        file.exists(),
        "{} is missing: does Cargo.toml still ask for it?",
        file.display()
    );
    file
}

/// What the Makefile says the static library needs.
pub fn static_libs() -> Vec<String> {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("the Makefile");
    let line = makefile
        .lines()
        .find_map(|line| line.strip_prefix("STATIC_LIBS := "))
        .expect("STATIC_LIBS");
    line.split_whitespace().map(str::to_owned).collect()
}

/// Runs a program that must succeed, and returns its output.
pub fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{command:?}: {}\n{out}{err}",
        output.status
    );
    out.into_owned()
}

/// Runs a command under valgrind: an error makes the exit status 99.
pub fn valgrind() -> Command {
    let found = Command::new("valgrind").arg("--version").output();
    assert!(
        found.is_ok(),
        "valgrind is missing: run the tests by `make test`, or install it"
    );
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=99", "--leak-check=full"]);
    valgrind.args([
        "--show-leak-kinds=definite,indirect,possible",
        "--errors-for-leak-kinds=definite,indirect,possible",
    ]);
    valgrind
}

/// A directory of a test, which is removed with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("docker-store-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
