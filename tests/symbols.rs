//! What the shared library exports is what `abi/symbols.txt` lists and the header declares, and each of it is behind the boundary.

mod abi;

use std::collections::BTreeSet;
use std::process::Command;
use std::{env, fs};

use abi::{library, root, run};

#[test]
fn the_library_exports_what_is_listed_and_nothing_else() {
    let listed = run(Command::new("nm")
        .args(["-D", "--defined-only", "--format=posix"])
        .arg(library("so")));
    let exported: BTreeSet<&str> = listed
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let file = root().join("abi/symbols.txt");
    if env::var_os("UPDATE_ABI").is_some() {
        let text: String = exported.iter().map(|name| format!("{name}\n")).collect();
        fs::write(&file, text).expect("abi/symbols.txt");
    }
    let kept = fs::read_to_string(&file).expect("abi/symbols.txt");
    let kept: BTreeSet<&str> = kept.lines().collect();
    let gone: Vec<_> = kept.difference(&exported).collect();
    let new: Vec<_> = exported.difference(&kept).collect();
    assert!(
        gone.is_empty(),
        "no longer exported, which breaks programs: {gone:?}"
    );
    assert!(
        new.is_empty(),
        "exported anew; if that is meant, set UPDATE_ABI=1: {new:?}"
    );
    assert!(
        exported.iter().all(|name| name.starts_with("dstore_")),
        "{exported:?}"
    );
}

#[test]
fn the_header_declares_what_is_exported() {
    let kept = fs::read_to_string(root().join("abi/symbols.txt")).expect("abi/symbols.txt");
    let functions = abi::functions(&abi::header());
    let declared: BTreeSet<&str> = functions.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(declared, kept.lines().collect::<BTreeSet<_>>());
}

#[test]
fn the_library_has_the_soname_that_programs_ask_for() {
    let dynamic = run(Command::new("readelf").arg("-d").arg(library("so")));
    let soname = format!("[libdocker_store.so.{}]", abi::abi());
    assert!(
        dynamic
            .lines()
            .any(|line| line.contains("SONAME") && line.contains(&soname)),
        "{dynamic}"
    );
}

/// A panic that gets out of an exported function ends the host. So each body is one call of the boundary's, and what comes
/// before that, if anything, is a constant that gets a shorter name.
#[test]
fn every_exported_function_is_behind_the_boundary() {
    let mut functions = 0;
    for entry in fs::read_dir(root().join("src/capi")).expect("src/capi") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a source");
        for function in text.split("#[unsafe(no_mangle)]\n").skip(1) {
            functions += 1;
            let body = function
                .split_once("{\n")
                .expect("a body")
                .1
                .split("\n}\n")
                .next()
                .expect("its end");
            let is_constant = |line: &str| {
                let (_, value) = line.strip_prefix("let ")?.split_once(" = ")?;
                let path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                Some(value.trim_end_matches(';').chars().all(path))
            };
            let code = body.lines().map(str::trim).filter(|line| {
                !line.starts_with("//") && is_constant(line) != Some(true) && *line != "unsafe {"
            });
            let first = code.into_iter().next().unwrap_or_default();
            let first = first.strip_prefix("unsafe { ").unwrap_or(first);
            let guarded = ["fallible(", "infallible(", "getter(", "free(", "set("]
                .iter()
                .any(|call| first.starts_with(call))
                || first.starts_with("if !getter(");
            assert!(
                guarded,
                "{}: not behind the boundary:\n{function}",
                path.display()
            );
        }
    }
    assert!(functions > 90, "only {functions} functions found");
}
