//! A cancel and a timeout end every blocking call of the header, while the engine no longer responds.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::sync::Arc;

use super::super::abi::{self, Folder, Function, Limits, Linked, compile, run};
use super::super::common::proxy::{Act, Proxy};
use super::super::common::{Root, base_tar};
use docker_store::{Destroy, Options, Store};

#[test]
fn a_timeout_and_a_cancel_end_every_call_that_blocks_of_an_engine_that_hangs() {
    let functions = abi::functions(&abi::header());
    let (mut calls, mut rows) = (String::new(), String::new());
    let mut limited = 0;
    for function in &functions {
        let limits = function.limits(&functions);
        let tried = match limits {
            Some(Limits::Asked | Limits::OfStep) if function.blocks() => true,
            // Without limits: what does not block, and uses objects on the engine.
            _ => !function.blocks() && on_the_engine(function),
        };
        if tried {
            limited += usize::from(function.blocks());
            add(function, limits, &mut calls, &mut rows);
        }
    }
    assert!(limited >= 30, "{rows}");
    let template = fs::read_to_string(abi::root().join("tests/c/limits.c")).expect("a template");
    let table = format!("{calls}\nstatic const struct row rows[] = {{\n{rows}}};\n");
    let folder = Folder::new("limits");
    let (source, program) = (folder.file("limits.c"), folder.file("limits"));
    fs::write(&source, template.replace("/* ROWS */", &table)).expect("a source file");
    compile(&source, Linked::Shared, &program);
    std::thread::scope(|scope| {
        for told in ["timeout", "switch"] {
            let program = &program;
            scope.spawn(move || {
                let root = Root::new(&format!("limits-{told}"));
                let stop = Arc::new(root.path.join("stop"));
                let stopped = Arc::clone(&stop);
                let proxy = Proxy::new(&root.path, move |_, _| match stopped.exists() {
                    true => Act::Stall,
                    false => Act::Pass,
                });
                let mut command = Command::new(program);
                command.arg(&root.path).arg(base_tar()).arg(&proxy.address);
                let said = run(command.arg(stop.as_ref()).arg(told));
                println!("by a {told}:\n{said}");
                assert!(said.ends_with("ok\n"), "{said}");
                proxy.release();
                let spare = root.path.join("spare");
                let how = Destroy::new();
                let done =
                    Store::destroy(&spare, &Options::new(), &how, &docker_store::Limits::none());
                assert!(!done.expect("given up").is_any_kept() && !spare.exists());
                let next = root.open();
                next.purge().expect("purged");
                next.close().expect("closed");
                assert_eq!(root.leftovers_beside_caches(), Vec::<String>::new());
            });
        }
    });
}

/// Whether it uses an object that may have something on the engine. (The program frees all of them at its end.)
fn on_the_engine(function: &Function) -> bool {
    let kinds = [
        "const dstore_store *",
        "dstore_step *",
        "const dstore_step *",
        "dstore_lease *",
        "const dstore_lease *",
    ];
    let first = function.parameters.first();
    let works = first.is_some_and(|(kind, _)| kinds.contains(&kind.as_str()));
    works && !function.name.ends_with("_free")
}

/// A function that makes the call, and the row that names it.
fn add(function: &Function, limits: Option<Limits>, calls: &mut String, rows: &mut String) {
    let name = &function.name;
    let values: Vec<&str> = function
        .parameters
        .iter()
        .map(|(kind, name)| sample(function, kind, name))
        .collect();
    let call = format!("{name}({})", values.join(", "));
    writeln!(
        calls,
        "static dstore_status call_{name}(struct scene *s, uint64_t timeout_ms, const dstore_cancel *cancel, \
         dstore_error **error)\n{{\n    size_t given = 0;\n    (void)s, (void)timeout_ms, (void)cancel, (void)given;"
    )
    .expect("in memory");
    if limits == Some(Limits::OfStep) && function.blocks() {
        calls.push_str(
            "    if (dstore_step_limit(s->step, timeout_ms, cancel, error))\n        \
             return DSTORE_INTERNAL;\n",
        );
    }
    match function.returns.as_str() {
        "dstore_status" => writeln!(calls, "    return {call};\n}}"),
        _ => writeln!(
            calls,
            "    (void){call};\n    *error = NULL;\n    return DSTORE_OK;\n}}"
        ),
    }
    .expect("in memory");
    let takes = |kind: &str| function.parameters.iter().any(|(k, _)| k.ends_with(kind));
    let sources = ["step_import", "step_load", "step_pull", "step_use_image"];
    let begins = sources.iter().any(|source| name.contains(source));
    let needs = match name.as_str() {
        _ if takes("dstore_lease *") => "LEASE",
        _ if takes("dstore_step *") && begins => "BARE_STEP",
        "dstore_step_commit_within" | "dstore_step_abort_within" => "RUN_STEP",
        _ if takes("dstore_step *") => "STEP",
        // What heads say of caches is local; what is queued for removal is waited for.
        "dstore_store_caches_within"
        | "dstore_store_pin"
        | "dstore_store_pin_cache"
        | "dstore_host_files_digest" => "HERE",
        "dstore_destroy" => "SPARE",
        "dstore_store_close_within" | "dstore_store_complete_deletes" => "GIVEN_UP",
        _ => "NOTHING",
    };
    let blocks = function.blocks();
    writeln!(rows, "    {{\"{name}\", {needs}, call_{name}, {blocks}}},").expect("in memory");
}

/// What C passes for a parameter.
fn sample(function: &Function, kind: &str, name: &str) -> &'static str {
    match (kind, name) {
        (_, "timeout_ms") => "timeout_ms",
        (_, "cancel") => "cancel",
        (_, "error") => "error",
        ("const char *", "root") if function.name == "dstore_destroy" => "s->spare",
        ("const char *", "root") => "s->root",
        // What is read or deleted must exist, and what is created must not.
        ("const char *", "id") if function.comment.contains("the result `id`") => "\"base\"",
        ("const char *", "id") => "s->id",
        ("const char *", "base") => "\"base\"",
        ("const char *", "name") => "s->id",
        ("const char *", "path") if function.name.contains("copy_out") => "\"/etc/passwd\"",
        ("const char *", "path") => "\"/copied\"",
        ("const char *", "tar") if function.name.contains("copy_out") => "s->file",
        ("const char *", "tar") => "s->tar",
        ("const char *", "file") if function.name.contains("save") => "s->file",
        ("const char *", "file") => "s->tar",
        ("const char *", "reference") => "\"localhost:1/none:1\"",
        ("const char *", "platform") => "\"linux/amd64\"",
        ("const char *", "user" | "password" | "server") => "NULL",
        (_, "read_data") => "&given",
        (_, "user_data") if function.parameters.iter().any(|(_, n)| n == "read") => "&given",
        ("const char *", _) => "\"x\"",
        ("const dstore_store *" | "dstore_store *", _) => "s->store",
        ("const dstore_options *", _) => "s->options",
        ("const dstore_step *" | "dstore_step *", _) => "s->step",
        ("const dstore_lease *" | "dstore_lease *", _) => "s->lease",
        ("const dstore_command *", _) => "s->command",
        ("dstore_store **", _) => "&s->new_store",
        ("dstore_step **", _) => "&s->new_step",
        ("dstore_lease **", _) => "&s->new_lease",
        ("dstore_results **", _) => "&s->results",
        ("dstore_caches **", _) => "&s->caches",
        ("dstore_health **", _) => "&s->health",
        ("dstore_remains **", _) => "&s->remains",
        ("const dstore_image_config *", _) => "s->config",
        ("const dstore_host_files *", _) => "s->files",
        ("const dstore_host_folder *", _) => "s->folder",
        ("dstore_usage **", _) => "&s->usage",
        ("dstore_pins **", _) => "&s->pins",
        ("dstore_pruned **", _) => "&s->pruned",
        ("const dstore_policy *", _) => "s->policy",
        ("dstore_went *", _) => "&s->went",
        ("char **", _) => "&s->string",
        ("dstore_outcome *", _) => "&s->outcome",
        ("dstore_strategy *", _) => "&s->strategy",
        ("dstore_released *", _) => "&s->released",
        ("bool *", _) => "&s->flag",
        ("uint64_t *", _) => "&s->number",
        ("int64_t *", _) => "&s->code",
        ("double *", _) => "&s->part",
        ("bool", _) => "false",
        ("void *", _) => "NULL",
        ("size_t" | "int32_t" | "uint32_t" | "uint64_t", _) => "1",
        ("dstore_output_callback", _) => "output",
        ("dstore_progress_callback", _) => "progress",
        ("dstore_read_callback", _) => "give",
        ("dstore_write_callback", _) => "take",
        ("dstore_work_callback", _) => "work",
        ("dstore_prune_callback", _) => "row",
        ("dstore_follow_callback", _) => "followed",
        other => panic!("give the generated test a value for {other:?}"),
    }
}
