//! C programs against the library, shared and static, on the real engine; and again under valgrind and sanitizers.

mod abi;
mod common;

mod capi_c {
    mod limits;
}

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use abi::{Folder, Function, Linked, compile, run, valgrind};
use common::{Root, base_tar};

/// Runs `tests/c/NAME.c` in every way.
fn program(name: &str) {
    every_way(
        name,
        &abi::root().join("tests/c").join(name).with_extension("c"),
    );
}

/// Links a program to both libraries and runs it; and again under valgrind, and under the sanitizers. Nothing may be left on
/// the engine.
fn every_way(name: &str, source: &Path) {
    let folder = Folder::new(name);
    for linked in [Linked::Shared, Linked::Static, Linked::Sanitized] {
        let file = folder.file(&format!("{name}-{linked:?}"));
        compile(source, linked, &file);
        in_a_root(name, &mut Command::new(&file));
        match linked {
            Linked::Shared => {}
            Linked::Static => in_a_root(name, valgrind().arg(&file)),
            Linked::Sanitized => {
                let symbols = run(Command::new("nm").arg(&file));
                assert!(symbols.contains("__asan_init"), "the sanitizer was not on");
            }
        }
    }
}

/// Runs a program with a root of its own and the base as its arguments.
fn in_a_root(name: &str, program: &mut Command) {
    let root = Root::new(name);
    let said = run(program.arg(&root.path).arg(base_tar()));
    assert!(said.ends_with("ok\n"), "{said}");
    // What was queued for removal at the very end is removed by the next session.
    root.open().close().expect("closed");
    // The caller's own name, which outlives a root.
    common::docker(&["rmi", &format!("example.test/{}:1", root.prefix())]);
    assert_eq!(root.leftovers(), Vec::<String>::new());
}

#[test]
fn a_life_of_a_store() {
    program("lifecycle");
}

#[test]
fn a_product_is_published_and_the_root_given_up() {
    program("publish");
}

#[test]
fn a_forked_child_takes_nothing_from_its_parent() {
    program("fork");
}

#[test]
fn bad_input_gets_a_clear_error_and_loses_nothing() {
    program("errors");
}

#[test]
fn an_engine_that_goes_away_does_not_end_the_process() {
    program("sigpipe");
}

/// Output of a host that has closed its standard streams is lost; in particular, it must not go to the engine or into a lock's
/// file.
#[test]
fn no_descriptor_takes_the_number_of_a_closed_stream() {
    once("descriptors");
}

#[test]
fn a_limit_for_files_is_an_error_and_not_the_end_of_the_process() {
    once("filesize");
}

/// It monitors the library's allocations with functions that replace `malloc`, which a C library must allow.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn a_signal_handler_cancels_a_command_at_once_and_touches_nothing_else() {
    once("handler");
}

/// Runs `tests/c/NAME.c` in one way, because it tests the same in all.
fn once(name: &str) {
    let folder = Folder::new(name);
    let source = abi::root().join("tests/c").join(name).with_extension("c");
    let file = folder.file(name);
    compile(&source, Linked::Shared, &file);
    in_a_root(name, &mut Command::new(&file));
}

/// Each function of the header, with NULL for each of its pointers in turn and valid other arguments.
#[test]
fn null_in_every_position_is_answered() {
    let header = abi::header();
    let mut calls = String::new();
    for function in abi::functions(&header) {
        call_with_nulls(&mut calls, &function);
    }
    assert!(calls.matches("NAMES").count() > 80, "{calls}");
    let template =
        fs::read_to_string(abi::root().join("tests/c/nulls.c")).expect("tests/c/nulls.c");
    let folder = Folder::new("nulls-source");
    let source = folder.file("nulls.c");
    fs::write(&source, template.replace("/* CALLS */", &calls)).expect("a source file");
    every_way("nulls", &source);
}

fn call_with_nulls(calls: &mut String, function: &Function) {
    let is_pointer = |kind: &str| kind.ends_with('*') || kind.ends_with("_callback");
    let (always, _) = function.may_be_null();
    let fails = function
        .parameters
        .last()
        .is_some_and(|(kind, _)| kind == "dstore_error **");
    let arguments = &function.parameters[..function.parameters.len() - usize::from(fails)];
    let call = |is_null: &dyn Fn(&str) -> bool, error: &'static str| {
        let values = arguments
            .iter()
            .map(|(kind, name)| match is_pointer(kind) && is_null(name) {
                true => "NULL",
                false => sample(kind),
            });
        let values: Vec<&str> = values.chain(fails.then_some(error)).collect();
        format!("{}({})", function.name, values.join(", "))
    };
    let needed = arguments
        .iter()
        .filter(|(kind, name)| is_pointer(kind) && !always.contains(&name.as_str()));
    let needed: Vec<&str> = needed.map(|(_, name)| name.as_str()).collect();
    if !fails {
        // A getter or a free: it returns something, and that is all.
        for (_, null) in arguments.iter().filter(|(kind, _)| is_pointer(kind)) {
            writeln!(calls, "    (void){};", call(&|name| name == null, "")).expect("in memory");
        }
        return;
    }
    for name in &needed {
        let (told, silent) = (
            call(&|n| n == *name, "&error"),
            call(&|n| n == *name, "NULL"),
        );
        writeln!(
            calls,
            "    NAMES(\"{name}\", {told});\n    CHECK({silent} == DSTORE_INVALID_ARGUMENT);"
        )
        .expect("in memory");
    }
    if !needed.is_empty() {
        writeln!(
            calls,
            "    CHECK({} == DSTORE_INVALID_ARGUMENT);",
            call(&|_| true, "NULL")
        )
        .expect("in memory");
    }
}

/// A valid value of each type.
fn sample(kind: &str) -> &'static str {
    match kind {
        "const dstore_store *" => "store",
        "const dstore_options *" | "dstore_options *" => "options",
        "const dstore_step *" | "dstore_step *" => "step",
        "const dstore_command *" | "dstore_command *" => "command",
        "const dstore_lease *" | "dstore_lease *" => "lease",
        "const dstore_cancel *" => "cancel",
        "const dstore_results *" => "results",
        "const dstore_caches *" => "caches",
        "const dstore_health *" => "health",
        "const dstore_image_config *" | "dstore_image_config *" => "config",
        "const dstore_host_files *" | "dstore_host_files *" => "files",
        "const dstore_host_folder *" | "dstore_host_folder *" => "folder",
        "const dstore_remains *" => "remains",
        "const dstore_usage *" => "usage",
        "const dstore_pins *" => "pins",
        "const dstore_pruned *" => "pruned",
        "const dstore_policy *" | "dstore_policy *" => "policy",
        "const dstore_error *" => "some_error",
        "const char *" => "\"/x\"",
        "const char *const *" => "words",
        "void *" => "NULL",
        "dstore_error **" => "&error",
        "char **" => "&string",
        "dstore_store **" => "&new_store",
        "dstore_step **" => "&new_step",
        "dstore_command **" => "&new_command",
        "dstore_host_files **" => "&new_files",
        "dstore_host_folder **" => "&new_folder",
        "dstore_lease **" => "&new_lease",
        "dstore_results **" => "&new_results",
        "dstore_caches **" => "&new_caches",
        "dstore_health **" => "&new_health",
        "dstore_remains **" => "&new_remains",
        "dstore_usage **" => "&new_usage",
        "dstore_pins **" => "&new_pins",
        "dstore_pruned **" => "&new_pruned",
        "dstore_went *" => "&went",
        "dstore_outcome *" => "&outcome",
        "dstore_strategy *" => "&strategy",
        "dstore_released *" => "&released",
        "bool *" => "&flag",
        "uint64_t *" => "&number",
        "int64_t *" => "&code",
        "size_t *" | "const size_t *" => "&length",
        "double *" => "&part",
        "size_t" | "int32_t" | "uint32_t" | "int64_t" | "uint64_t" | "double" => "1",
        "bool" => "true",
        "dstore_output_callback" => "output",
        "dstore_progress_callback" => "progress",
        "dstore_read_callback" => "give",
        "dstore_write_callback" => "take",
        "dstore_work_callback" => "work",
        "dstore_log_callback" => "line",
        "dstore_prune_callback" => "row",
        "dstore_follow_callback" => "followed",
        // Only for objects that are freed: NULL is all that is tried.
        "dstore_error *" | "dstore_store *" | "dstore_cancel *" | "dstore_results *"
        | "dstore_caches *" | "dstore_health *" | "dstore_remains *" | "dstore_usage *"
        | "dstore_pins *" | "dstore_pruned *" | "char *" => "NULL",
        other => panic!("give the generated test a value of the type {other:?}"),
    }
}

/// The numbers in a C program are those that `abi/values.txt` has kept since each was assigned; for Rust's numbers this is
/// tested where they are defined.
#[test]
fn numbers_and_sizes_in_c_are_those_of_rust() {
    let header = abi::header();
    let (names, types) = abi::enumerators(&header);
    let mut program =
        String::from("#include <docker_store.h>\n#include <stdio.h>\nint main(void)\n{\n");
    for name in names {
        writeln!(program, "    printf(\"{name} %d\\n\", (int){name});").expect("in memory");
    }
    for name in types {
        writeln!(
            program,
            "    printf(\"sizeof({name}) %d\\n\", (int)sizeof({name}));"
        )
        .expect("in memory");
    }
    program.push_str("    return 0;\n}\n");
    let folder = Folder::new("layout");
    let (source, file) = (folder.file("layout.c"), folder.file("layout"));
    fs::write(&source, program).expect("a source file");
    compile(&source, Linked::Static, &file);
    let said = run(&mut Command::new(&file));
    let values = abi::root().join("abi/values.txt");
    if env::var_os("UPDATE_ABI").is_some() {
        fs::write(&values, &said).expect("abi/values.txt");
    }
    let kept = fs::read_to_string(&values).expect("abi/values.txt");
    assert_eq!(
        said, kept,
        "numbers never change; where new ones came, see them, and set UPDATE_ABI=1"
    );
}
