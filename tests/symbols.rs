//! The shared library exports what `abi/symbols.txt` lists and the header declares, and each function is behind the boundary.

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

/// A panic that leaves an exported function kills the host, and an unchecked argument may be anything. So each body is one of
/// the boundary's macros and nothing else (except a constant that gets a shorter name): safe code, which cannot use pointers
/// until the macro has checked them. And an output that C will own is cleared by the macro first.
#[test]
fn every_exported_function_is_behind_the_boundary() {
    let mut functions = 0;
    for entry in fs::read_dir(root().join("src/capi")).expect("src/capi") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a source");
        for function in text.split("#[unsafe(no_mangle)]\n").skip(1) {
            functions += 1;
            if let Err(why) = is_behind_the_boundary(function) {
                panic!("{}: {why}:\n{function}", path.display());
            }
        }
    }
    assert!(functions > 90, "only {functions} functions found");
}

fn is_behind_the_boundary(function: &str) -> Result<(), String> {
    let (signature, body) = function.split_once(" {\n").ok_or("no body")?;
    let (body, _) = body.split_once("\n}\n").ok_or("no end")?;
    let parameters: Vec<(&str, &str)> = signature
        .split(['(', ')', ','])
        .filter_map(|part| part.trim().split_once(": "))
        .collect();
    let is = |what: bool, why: &str| what.then_some(()).ok_or_else(|| why.to_owned());

    let is_constant = |line: &str| {
        let value = line.trim().strip_prefix("let ")?.split_once(" = ")?.1;
        let path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        Some(value.trim_end_matches(';').chars().all(path))
    };
    let code = body.lines().filter(|line| is_constant(line) != Some(true));
    let code: Vec<&str> = code.collect();
    let fails = parameters.contains(&("error", "*mut *mut dstore_error"));
    let guards: &[&str] = match fails {
        true => &["fallible!(", "setter!("],
        false => &["infallible!("],
    };
    let guarded = guards.iter().any(|guard| code[0].trim().starts_with(guard));
    is(guarded, "does not begin with the boundary's macro")?;
    let macros = code.join("\n");
    let mut open = 0_i32;
    let end = macros.find(|c| {
        open += i32::from(c == '(') - i32::from(c == ')');
        c == ')' && open == 0
    });
    is(end == Some(macros.len() - 1), "more than the macro")?;
    is(!body.contains("unsafe"), "unsafe code of its own")?;
    if fails {
        let said = code[..2.min(code.len())].concat().replace(' ', "");
        is(said.contains("!(error,"), "does not give its error")?;
    }

    let pointers = parameters
        .iter()
        .any(|(_, kind)| kind.contains('*') || kind.ends_with("_callback"));
    let promised = signature.starts_with("pub unsafe extern");
    is(promised || !pointers, "takes pointers as if that were safe")?;
    for (name, kind) in parameters {
        let owned = kind.starts_with("*mut *mut ") && name != "error";
        let cleared = body.contains(&format!("{name}: Owned<"));
        is(cleared || !owned, "an answer that is not cleared first")?;
    }
    Ok(())
}

/// The test above would notice.
#[test]
fn a_function_that_goes_past_the_boundary_is_noticed() {
    let good = "pub unsafe extern \"C\" fn f(\n    a: *mut *mut x,\n    error: *mut *mut dstore_error,\n) -> dstore_status {\n    \
                fallible!(error, |a: Owned<x>| {\n        a.set(x);\n        Ok(())\n    })\n}\n";
    assert_eq!(is_behind_the_boundary(good), Ok(()));
    for (part, bad) in [
        ("unsafe extern", "extern"),
        ("a: Owned<x>", "a: Out<x>"),
        ("    fallible!", "    do_it();\n    fallible!"),
        ("})\n}", "});\n    dstore_status::DSTORE_OK\n}"),
        ("a.set(x);", "unsafe { a.write(x) };"),
        ("fallible!(error", "infallible!(error"),
        ("fallible!(error", "fallible!(nothing"),
    ] {
        let bad = good.replace(part, bad);
        assert!(is_behind_the_boundary(&bad).is_err(), "{bad}");
    }
}
