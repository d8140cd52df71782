//! Checks that `include/docker_store.h` is up to date with the sources, and that C and C++ compilers accept it.

mod abi;

use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

use abi::{Folder, assert_made, root, run};

/// The files of the C ABI, in the order of their functions in the header.
const SOURCES: [&str; 30] = [
    "version",
    "status",
    "error",
    "text",
    "cancel",
    "options",
    "store",
    "results",
    "id",
    "build",
    "step",
    "source",
    "copy",
    "host_files",
    "host_folder",
    "image_config",
    "publish",
    "command",
    "lease",
    "cache",
    "health",
    "upkeep",
    "destroy",
    "log",
    "callback",
    "usage",
    "item",
    "policy",
    "prune",
    "pins",
];

const VERSION: [&str; 3] = [
    env!("CARGO_PKG_VERSION_MAJOR"),
    env!("CARGO_PKG_VERSION_MINOR"),
    env!("CARGO_PKG_VERSION_PATCH"),
];

/// Returns the header that is checked in. If `UPDATE_HEADER` is set, first rewrites it from the sources.
fn checked_in() -> &'static str {
    static HEADER: OnceLock<String> = OnceLock::new();
    HEADER.get_or_init(|| {
        let file = root().join("include/docker_store.h");
        if env::var_os("UPDATE_HEADER").is_some() {
            fs::write(&file, generate(VERSION)).expect("include/docker_store.h");
        }
        fs::read_to_string(&file)
            .unwrap_or_else(|e| panic!("{}: {e}: run `make header`", file.display()))
    })
}

/// Generates the header from the sources.
fn generate(version: [&str; 3]) -> String {
    let mut config =
        cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml");
    let after = config.after_includes.get_or_insert_default();
    after.push_str(&version_macros(version));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in SOURCES {
        builder = builder.with_src(root().join("src/capi").join(name).with_extension("rs"));
    }
    let mut header = Vec::new();
    builder
        .generate()
        .expect("cbindgen takes the sources")
        .write(&mut header);
    String::from_utf8(header).expect("UTF-8")
}

fn version_macros([major, minor, patch]: [&str; 3]) -> String {
    format!(
        "
/* The version of this header. dstore_version() returns the version of the library in use. */
#define DSTORE_VERSION_MAJOR {major}
#define DSTORE_VERSION_MINOR {minor}
#define DSTORE_VERSION_PATCH {patch}
#define DSTORE_VERSION_NUMBER \\
    (DSTORE_VERSION_MAJOR * 1000000 + DSTORE_VERSION_MINOR * 1000 + DSTORE_VERSION_PATCH)
#define DSTORE_VERSION_STRING \"{major}.{minor}.{patch}\"
"
    )
}

#[test]
fn the_header_is_what_the_sources_say() {
    assert_made(checked_in(), &generate(VERSION), "include/docker_store.h");
}

#[test]
fn no_source_with_a_call_is_left_out() {
    for entry in fs::read_dir(root().join("src/capi")).expect("src/capi") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a source");
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        let exports = text.contains("#[unsafe(no_mangle)]") || text.contains("#[repr(i32)]");
        assert_eq!(
            exports,
            SOURCES.contains(&name),
            "src/capi/{name}.rs: list it in tests/header.rs"
        );
    }
}

/// Every comment says whether the function blocks and who frees what it returns, and names only existing arguments.
#[test]
fn every_declaration_says_what_a_caller_must_know() {
    let functions = abi::functions(checked_in());
    assert!(
        functions.len() > 90,
        "only {} functions found: is the header read right?",
        functions.len()
    );
    for function in functions {
        let comment = &function.comment;
        let blocks = ["Blocks.", "Blocks, ", "Does not block"]
            .iter()
            .any(|words| comment.contains(words));
        assert!(blocks, "does it block? {function:#?}");
        let (always, sometimes) = function.may_be_null();
        for name in always.iter().chain(&sometimes) {
            let known = function
                .parameters
                .iter()
                .any(|(_, parameter)| parameter == name);
            assert!(
                known,
                "{name} may be NULL, but is no argument: {function:#?}"
            );
        }
        let gives =
            |kind: &str| kind == "char **" || kind.starts_with("dstore_") && kind.ends_with("**");
        let mut given = function
            .parameters
            .iter()
            .filter(|(kind, name)| gives(kind) && name != "error");
        let owned = given.next().is_some()
            || function.returns.starts_with("dstore_") && function.returns.ends_with('*');
        assert!(
            !owned || comment.contains("_free()"),
            "who frees what it gives? {function:#?}"
        );
        let borrowed = function.returns == "const char *";
        assert!(
            !borrowed || comment.contains("Borrowed from") || comment.contains("A constant"),
            "whose? {function:#?}"
        );
    }
}

/// It takes a timeout and no cancel: it waits for lines of the log, and does not query the engine.
const ENDS_BY_ITSELF: &str = "dstore_log_fetch";

#[test]
fn every_call_that_blocks_has_a_form_that_takes_limits() {
    let functions = abi::functions(checked_in());
    let blocking = functions
        .iter()
        .filter(|f| f.blocks() && f.name != ENDS_BY_ITSELF);
    let mut count = 0;
    for function in blocking {
        let how = function.limits(&functions);
        assert!(how.is_some(), "what ends it? {function:#?}");
        count += 1;
    }
    assert!(count > 40, "{count}");
    // The `_within` form takes the same parameters, plus the limits.
    for function in &functions {
        let twin = functions
            .iter()
            .find(|f| f.name == format!("{}_within", function.name));
        if let Some(twin) = twin {
            let mut without = twin.parameters.clone();
            without.retain(|(_, name)| name != "timeout_ms" && name != "cancel");
            assert_eq!(without, function.parameters, "{}", twin.name);
        }
    }
}

/// Functions that the OCaml bindings do not use: they build by begin, and commit or abort.
const NOT_BOUND: [&str; 1] = ["dstore_store_build"];

#[test]
fn the_bindings_hand_limits_on_wherever_a_call_takes_them() {
    let folder = root().join("bindings/ocaml/src");
    let stubs = fs::read_dir(folder).expect("the bindings").map(|entry| {
        let path = entry.expect("an entry").path();
        let is_c = path.extension().is_some_and(|suffix| suffix == "c");
        is_c.then(|| fs::read_to_string(path).expect("a source file"))
    });
    let stubs: String = stubs.flatten().collect();
    let functions = abi::functions(checked_in());
    let limited = functions
        .iter()
        .filter(|f| f.limits(&functions) == Some(abi::Limits::Asked));
    for function in limited.filter(|f| !NOT_BOUND.contains(&f.name.as_str())) {
        let uses = stubs.matches(function.name.as_str()).count();
        assert!(uses > 0, "no stub calls {}", function.name);
    }
}

#[test]
fn the_header_compiles_alone_and_twice_in_every_standard() {
    checked_in();
    let source =
        "#include <docker_store.h>\n#include <docker_store.h>\nint main(void) { return 0; }\n";
    for (compiler, suffix, standards) in [
        ("cc", "c", &["c99", "c11", "c17"][..]),
        ("c++", "cc", &["c++11", "c++14", "c++17", "c++20"]),
    ] {
        if suffix == "cc" && Command::new(compiler).arg("--version").output().is_err() {
            println!("there is no {compiler}: the header was not tried with it");
            continue;
        }
        let folder = Folder::new(&format!("header-{suffix}"));
        let file = folder.file("twice").with_extension(suffix);
        fs::write(&file, source).expect("a source file");
        for standard in standards {
            let mut compile = Command::new(compiler);
            compile.arg(format!("-std={standard}")).args([
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Werror",
                "-fsyntax-only",
            ]);
            run(compile.arg("-I").arg(root().join("include")).arg(&file));
        }
    }
}

#[test]
fn version_macros_have_each_number_in_its_place() {
    let folder = Folder::new("header-version");
    fs::write(folder.file("docker_store.h"), generate(["1", "2", "3"])).expect("a header");
    let program = "#include <docker_store.h>\n#include <string.h>\n\
        #if DSTORE_VERSION_NUMBER != 1002003 || DSTORE_VERSION_MAJOR != 1 || DSTORE_VERSION_MINOR != 2 || DSTORE_VERSION_PATCH != 3\n\
        #error wrong\n#endif\n\
        int main(void) { return strcmp(DSTORE_VERSION_STRING, \"1.2.3\"); }\n";
    let (file, program_file) = (folder.file("version.c"), folder.file("version"));
    fs::write(&file, program).expect("a source file");
    run(Command::new("cc")
        .arg("-I")
        .arg(folder.file(""))
        .arg(&file)
        .arg("-o")
        .arg(&program_file));
    run(&mut Command::new(&program_file));
}
