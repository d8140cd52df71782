//! Every snippet of every page is compiled, either here or by the test of its page. New ones are found automatically; one in a
//! language that cannot be compiled here is refused.

mod abi;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use abi::{Folder, root};

/// Pages with a test of their own, which goes through all of their blocks.
const FOLLOWED: [(&str, &str); 2] = [
    ("docs/tutorial.md", "tests/tutorial.rs"),
    ("docs/c-api.md", "tests/reference.rs"),
];

/// A block of code of a page.
struct Snippet {
    page: String,
    line: usize,
    language: String,
    code: String,
}

impl Snippet {
    fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }
}

/// All pages of the tree, except those that tools have put there.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    const NOT_OURS: [&str; 6] = ["target", "_build", "_opam", "node_modules", "dist", "build"];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && !NOT_OURS.contains(&&*name) {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(path.clone());
        }
    }
}

fn snippets_of(page: &str, text: &str) -> Vec<Snippet> {
    let mut snippets: Vec<Snippet> = Vec::new();
    let mut open = false;
    for (n, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), open) {
            (Some(language), false) => {
                open = true;
                snippets.push(Snippet {
                    page: page.to_owned(),
                    line: n + 1,
                    language: language.split(',').next().unwrap_or_default().to_owned(),
                    code: String::new(),
                });
            }
            (Some(_), true) => open = false,
            (None, true) => {
                let last = snippets.last_mut().expect("it is open");
                last.code.push_str(line);
                last.code.push('\n');
            }
            (None, false) => {}
        }
    }
    assert!(!open, "{page}: a block has no end");
    snippets
}

fn all() -> Vec<Snippet> {
    let mut paths = Vec::new();
    pages(root(), &mut paths);
    let mut snippets = Vec::new();
    for path in paths {
        let page = path.strip_prefix(root()).expect("below it");
        let text = fs::read_to_string(&path).expect("a page");
        snippets.extend(snippets_of(&page.to_string_lossy(), &text));
    }
    snippets
}

fn is_followed(page: &str) -> bool {
    FOLLOWED.iter().any(|(followed, _)| *followed == page)
}

/// What is wrong with a snippet, if anything.
fn fault(snippet: &Snippet, folder: &Folder) -> Option<String> {
    match snippet.language.as_str() {
        // Output of programs.
        "" | "text" => None,
        "c" => of_c(&snippet.code, folder),
        "rust" => of_rust(&snippet.code, folder),
        "sh" => said(Command::new("sh").args(["-n", "-c", &snippet.code])),
        "python" => of_python(&snippet.code),
        // With the bindings, which are not built here.
        "ocaml" => None,
        other => Some(format!("nobody compiles {other:?}")),
    }
}

/// The output of a program that failed.
fn said(command: &mut Command) -> Option<String> {
    let Output { status, stderr, .. } = command.output().expect("a program");
    (!status.success()).then(|| String::from_utf8_lossy(&stderr).into_owned())
}

/// Whole files, declarations, or the body of a function.
fn of_c(code: &str, folder: &Folder) -> Option<String> {
    const HEAD: &str = "#include <docker_store.h>\n#include <pthread.h>\n#include <signal.h>\n#include <stdio.h>\n\
        #include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n";
    const INSIDE: &str = "void snippet(const dstore_store *store, dstore_step *step, dstore_command *command, \
        dstore_cancel *cancel, dstore_lease *lease, const char *id, bool present);\n\
        void snippet(const dstore_store *store, dstore_step *step, dstore_command *command, \
        dstore_cancel *cancel, dstore_lease *lease, const char *id, bool present)\n{\n\
        (void)store, (void)step, (void)command, (void)cancel, (void)lease, (void)id, (void)present;\n";
    let source = folder.file("snippet.c");
    let compile = |text: String| {
        fs::write(&source, text).expect("a source file");
        let mut cc = Command::new("cc");
        cc.args([
            "-std=c99",
            "-D_XOPEN_SOURCE=700",
            "-fsyntax-only",
            "-Wall",
            "-Wextra",
        ]);
        cc.args(["-Wpedantic", "-Werror", "-Wno-unused-function", "-I"]);
        said(cc.arg(root().join("include")).arg(&source))
    };
    let outside = compile(format!("{HEAD}{code}"))?;
    let inside = compile(format!("{HEAD}{INSIDE}{code}}}\n"))?;
    Some(format!("as a file:\n{outside}\nin a function:\n{inside}"))
}

fn of_rust(code: &str, folder: &Folder) -> Option<String> {
    let source = folder.file("snippet.rs");
    fs::write(&source, code).expect("a source file");
    let tests = std::env::current_exe().expect("this program");
    let libraries = tests.parent().expect("its folder");
    let mut library = None;
    for entry in fs::read_dir(libraries).expect("the libraries") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with("libdocker_store") && name.ends_with(".rlib") {
            let age = fs::metadata(&path)
                .and_then(|m| m.modified())
                .expect("its time");
            library = library.max(Some((age, path)));
        }
    }
    let (_, library) = library.expect("the library that cargo made for this test");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = Command::new(rustc);
    rustc.args([
        "--edition",
        "2024",
        "--emit",
        "metadata",
        "--crate-type",
        "bin",
        "-o",
    ]);
    rustc.arg(folder.file("snippet.rmeta")).arg("--extern");
    rustc.arg(format!("docker_store={}", library.display()));
    rustc
        .arg("-L")
        .arg(format!("dependency={}", libraries.display()));
    said(rustc.arg(&source))
}

fn of_python(code: &str) -> Option<String> {
    let program = "import sys; compile(sys.argv[1], 'snippet', 'exec')";
    match Command::new("python3").arg("--version").output() {
        Ok(_) => said(Command::new("python3").args(["-c", program, code])),
        Err(_) => None,
    }
}

#[test]
fn every_snippet_of_every_page_compiles() {
    let folder = Folder::new("snippets");
    let mut faults = String::new();
    let (mut compiled, mut of_ocaml) = (0, 0);
    for snippet in all() {
        if is_followed(&snippet.page) {
            continue;
        }
        compiled += usize::from(!matches!(snippet.language.as_str(), "" | "text" | "ocaml"));
        of_ocaml += usize::from(snippet.language == "ocaml");
        if let Some(fault) = fault(&snippet, &folder) {
            faults.push_str(&format!("{}: {fault}\n", snippet.place()));
        }
    }
    assert!(faults.is_empty(), "{faults}");
    assert!(compiled > 0 && of_ocaml > 0, "{compiled}, {of_ocaml}");
}

/// Snippets of OCaml are compiled where the bindings are built: those of all pages, and those of the interfaces.
#[test]
fn the_pages_that_are_left_out_here_have_a_test_that_names_them() {
    for (page, test) in FOLLOWED {
        let text = fs::read_to_string(root().join(test)).expect("a test");
        assert!(text.contains(page), "{test} does not name {page}");
    }
    let script = fs::read_to_string(root().join("scripts/ocaml")).expect("scripts/ocaml");
    assert!(script.contains("scripts/ocaml-snippets"));
    let dune = fs::read_to_string(root().join("bindings/ocaml/test/obuilder/dune"));
    assert!(dune.expect("its dune file").contains("obuilder.md"));
}

#[test]
fn a_snippet_that_does_not_compile_is_found_whatever_its_language() {
    let folder = Folder::new("bad-snippets");
    for (language, good, bad) in [
        (
            "c",
            "dstore_cancel_trigger(cancel);",
            "dstore_cancel_triggers(cancel);",
        ),
        (
            "c",
            "static int f(void) { return 0; }",
            "static int f(void) { return x; }",
        ),
        (
            "rust,no_run",
            "fn main() { docker_store::Cancel::new().cancel(); }",
            "fn main() { docker_store::Cancel::new().cancels(); }",
        ),
        ("sh", "echo a && echo b", "echo a && ("),
        ("text", "anything", ""),
        ("", "anything", ""),
    ] {
        let page = |code: &str| format!("A page:\n\n  ```{language}\n{code}\n  ```\n");
        let fault = |code: &str| {
            let snippets = snippets_of("page.md", &page(code));
            assert_eq!((snippets.len(), snippets[0].line), (1, 3));
            fault(&snippets[0], &folder)
        };
        assert_eq!(fault(good), None, "{language}");
        assert!(bad.is_empty() || fault(bad).is_some(), "{language}: {bad}");
    }
    let unknown = snippets_of("page.md", "```cobol\nSTOP RUN.\n```\n");
    assert!(fault(&unknown[0], &folder).is_some());
}
