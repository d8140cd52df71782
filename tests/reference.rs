//! `docs/c-api.md` is generated from the header, and this test checks that it is up to date. `make header` rewrites it.

mod abi;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::{env, fs};

use abi::declared::{Declared, Kind, Macros, declared, macros, owned};
use abi::{Function, assert_made, functions, header, root, slug};

/// The sections and their names, in reading order. A name that ends with `*` stands for all names that start so and are not
/// listed themselves.
const ORDER: &str = "
## The store
dstore_store dstore_store_open dstore_store_open_within dstore_store_close dstore_store_close_within dstore_store_free
dstore_store_root dstore_store_prefix dstore_store_state_dir dstore_store_empty_dir dstore_store_engine
dstore_store_api_version
## Options
dstore_options dstore_options_*
## Results
dstore_store_result dstore_store_result_within dstore_store_delete dstore_store_delete_within dstore_store_log_file
dstore_store_copy_out dstore_store_copy_out_file dstore_id dstore_store_results dstore_store_results_within dstore_results
dstore_results_*
## Building
dstore_step dstore_store_begin dstore_store_begin_following dstore_follow_callback dstore_step_id dstore_step_run
dstore_step_was_started dstore_output_callback dstore_channel
dstore_step_write_log dstore_step_limit dstore_step_commit dstore_step_commit_within dstore_step_abort
dstore_step_abort_within dstore_step_free dstore_store_building dstore_store_build dstore_work_callback dstore_outcome
## Sources of a step
dstore_step_import dstore_step_import_file dstore_step_pull dstore_step_pull_platform dstore_step_use_image dstore_step_load
dstore_step_load_file dstore_progress_callback
## Files into and out of a step
dstore_step_copy_in dstore_step_copy_in_file dstore_step_copy_out dstore_step_copy_out_file dstore_read_callback
dstore_write_callback dstore_step_copy_in_host dstore_host_files dstore_host_files_* dstore_step_copy_out_host
dstore_store_copy_out_host dstore_host_folder dstore_host_folder_*
## Image settings of a result
dstore_image_config dstore_step_configure dstore_image_config_*
## Publishing a result
dstore_store_tag dstore_store_push dstore_store_save dstore_store_save_file dstore_image_format dstore_store_load
dstore_store_load_file
## Commands
dstore_command dstore_command_*
## Leases
dstore_lease dstore_store_cache dstore_cache_mode dstore_lease_volume dstore_lease_generation dstore_lease_release
dstore_released dstore_lease_*
## Caches
dstore_store_strategy dstore_store_strategy_within dstore_strategy dstore_store_delete_cache
dstore_store_delete_cache_within dstore_store_limit_cache dstore_store_caches dstore_store_caches_within dstore_caches dstore_caches_*
## Usage, prunes and pins
dstore_store_usage dstore_usage dstore_usage_* dstore_policy dstore_policy_* dstore_store_prune dstore_prune_callback
dstore_pruned dstore_pruned_* dstore_item dstore_fate dstore_store_pin dstore_store_unpin dstore_store_pin_cache
dstore_store_unpin_cache dstore_store_pins dstore_pins dstore_pins_* dstore_store_went dstore_store_why_gone
dstore_went
## The engine's health
dstore_store_ping dstore_store_health dstore_health dstore_health_*
## Maintenance
dstore_store_complete_deletes dstore_store_purge dstore_store_purge_within dstore_store_df dstore_store_df_within
dstore_store_count dstore_counter
## Destroying a root
dstore_destroy dstore_find_remains dstore_destroy_remains dstore_remains dstore_remnant dstore_remains_*
## Cancelling
dstore_cancel dstore_cancel_*
## Errors and text
dstore_status dstore_status_name dstore_error dstore_error_* dstore_string_free
## The library's log and version
dstore_log_* dstore_log_callback dstore_log_level dstore_version dstore_version_number DSTORE_*
";

const TOP: &str = "# C API reference

<!-- Generated from include/docker_store.h by tests/reference.rs. Change the comments in src/capi, then run `make header`. -->

Every type and function of `docker_store.h`. The rules for all of them (errors, ownership, threads, callbacks, blocking) are in
the [conventions](conventions.md); the [tutorial](tutorial.md) shows them in use.

If a function takes a `dstore_error **`, it is the last parameter, and may be NULL. Other pointers must not be NULL, except
those that a function lists after \"May be NULL\".
";

/// One entry of the page.
enum Entry<'a> {
    One(&'a Declared),
    Macros(&'a Macros),
}

impl Entry<'_> {
    /// The names that it covers; the heading is the first.
    fn names(&self) -> Vec<&str> {
        match self {
            Entry::One(one) => vec![&one.name],
            Entry::Macros(macros) => macros.names.iter().map(String::as_str).collect(),
        }
    }
}

struct Page<'a> {
    header: &'a str,
    functions: BTreeMap<String, Function>,
    /// Every name that can be linked to, and its heading.
    anchors: BTreeMap<String, String>,
}

#[test]
fn the_reference_is_what_the_header_says() {
    let file = root().join("docs/c-api.md");
    let page = generate(&header());
    if env::var_os("UPDATE_HEADER").is_some() {
        fs::write(&file, &page).expect("docs/c-api.md");
    }
    let there = fs::read_to_string(&file)
        .unwrap_or_else(|e| panic!("{}: {e}: run `make header`", file.display()));
    assert_made(&there, &page, "docs/c-api.md");
}

fn generate(header: &str) -> String {
    let (all, macros) = (declared(header), macros(header));
    let entries: Vec<Entry<'_>> = all
        .iter()
        .map(Entry::One)
        .chain(macros.iter().map(Entry::Macros))
        .collect();
    let mut anchors = BTreeMap::new();
    for entry in &entries {
        let heading = entry.names()[0].to_lowercase();
        for name in entry.names() {
            anchors.insert(name.to_owned(), heading.clone());
        }
        if let Entry::One(Declared {
            kind: Kind::Enum(values),
            ..
        }) = entry
        {
            for value in values {
                anchors.insert(value.name.clone(), heading.clone());
            }
        }
    }
    let page = Page {
        header,
        functions: functions(header)
            .into_iter()
            .map(|f| (f.name.clone(), f))
            .collect(),
        anchors,
    };
    let sections = in_sections(&entries);
    let mut text = String::from(TOP);
    text.push_str("\n## Contents\n\n");
    for (title, entries) in &sections {
        let names = entries.iter().map(|e| page.link(e.names()[0], false));
        let names: Vec<String> = names.collect();
        writeln!(text, "- [{title}](#{}): {}", slug(title), names.join(", ")).expect("in memory");
    }
    for (title, entries) in &sections {
        writeln!(text, "\n## {title}").expect("in memory");
        for entry in entries {
            text.push_str(&page.entry(entry));
        }
    }
    text
}

/// Every entry in its section: each in exactly one.
fn in_sections<'a>(entries: &'a [Entry<'a>]) -> Vec<(&'static str, Vec<&'a Entry<'a>>)> {
    let heading = |entry: &'a Entry<'a>| entry.names()[0];
    let all: Vec<&str> = ORDER.split_whitespace().collect();
    let mut sections = Vec::new();
    for section in ORDER.split("## ").skip(1) {
        let (title, names) = section.split_once('\n').expect("a title's line");
        let mut here = Vec::new();
        for name in names.split_whitespace() {
            let before = here.len();
            here.extend(entries.iter().filter(|entry| {
                match (heading(entry), name.strip_suffix('*')) {
                    (entry, Some(start)) => entry.starts_with(start) && !all.contains(&entry),
                    (entry, None) => entry == name,
                }
            }));
            assert!(here.len() > before, "the header has no {name}: see ORDER");
        }
        sections.push((title, here));
    }
    let places = |name: &str| {
        let placed = sections.iter().flat_map(|(_, here)| here);
        placed.filter(|entry| heading(entry) == name).count()
    };
    let lost = entries.iter().map(heading).find(|name| places(name) != 1);
    assert_eq!(lost, None, "give it a place in ORDER, and only one");
    sections
}

impl Page<'_> {
    fn entry(&self, entry: &Entry<'_>) -> String {
        match entry {
            Entry::One(one) => self.one(one),
            Entry::Macros(macros) => {
                let comment = self.prose(&macros.comment, "");
                let heading = &macros.names[0];
                format!(
                    "\n### `{heading}`\n\n{comment}\n\n```c\n{}\n```\n",
                    macros.code
                )
            }
        }
    }

    fn one(&self, one: &Declared) -> String {
        let mut text = format!("\n### `{}`\n", one.name);
        if matches!(one.kind, Kind::Function | Kind::Callback) {
            write!(text, "\n```c\n{}\n```\n", one.code).expect("in memory");
        }
        for paragraph in &one.paragraphs {
            let paragraph = match self.functions.get(&one.name) {
                Some(function) => in_code(paragraph, function),
                None => paragraph.clone(),
            };
            write!(text, "\n{}\n", self.prose(&paragraph, &one.name)).expect("in memory");
        }
        match &one.kind {
            Kind::Function => {}
            Kind::Object => text.push_str(&self.object(&one.name)),
            Kind::Callback => {
                let taken = self.all(|f| f.parameters.iter().any(|(kind, _)| *kind == one.name));
                write!(text, "\nTaken by {taken}.\n").expect("in memory");
            }
            Kind::Enum(values) => {
                text.push_str("\n| name | number | |\n|---|---|---|\n");
                for value in values {
                    let comment = self.prose(&value.comment, &one.name).replace('|', "\\|");
                    writeln!(text, "| `{}` | {} | {comment} |", value.name, value.number)
                        .expect("in memory");
                }
                // Nearly every call involves a status.
                if one.name != "dstore_status" {
                    let users = self.all(|f| f.mentions(&one.name));
                    if !users.is_empty() {
                        write!(text, "\nSee {users}.\n").expect("in memory");
                    }
                }
            }
        }
        text
    }

    /// Which calls return an object, and what frees it.
    fn object(&self, name: &str) -> String {
        let owned = owned(self.header);
        let owned = owned.iter().find(|o| o.object == name).expect("an object");
        let free = self.link(&owned.free, true);
        let makers = self.all(|f| owned.makers.contains(&f.name));
        match makers.as_str() {
            "" => format!("\nCreated by every call that fails; freed by {free}.\n"),
            makers => format!("\nCreated by {makers}; freed by {free}.\n"),
        }
    }

    /// Links to all functions that are meant, in the order of the header.
    fn all(&self, meant: impl Fn(&Function) -> bool) -> String {
        let functions = functions(self.header);
        let links = functions.iter().filter(|f| meant(f));
        links
            .map(|f| self.link(&f.name, true))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn link(&self, name: &str, call: bool) -> String {
        let anchor = self.anchors.get(name);
        let anchor = anchor.unwrap_or_else(|| panic!("a comment names {name}, which there is not"));
        format!("[`{name}{}`](#{anchor})", if call { "()" } else { "" })
    }

    /// A comment, with links to everything that it names except itself.
    fn prose(&self, text: &str, own: &str) -> String {
        let parts = text.split('`').enumerate();
        let parts = parts.map(|(n, part)| match n % 2 {
            0 => self.linked(part, own),
            _ => format!("`{part}`"),
        });
        parts.collect()
    }

    fn linked(&self, text: &str, own: &str) -> String {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (mut done, mut rest) = (String::new(), text);
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|c| is_name(c) != is_name(first));
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after;
            if !word.starts_with("dstore_") && !word.starts_with("DSTORE_") {
                done.push_str(word);
                continue;
            }
            let call = after.strip_prefix("()");
            rest = call.unwrap_or(after);
            match (word == own, call) {
                (false, _) => done.push_str(&self.link(word, call.is_some())),
                (true, None) => write!(done, "`{word}`").expect("in memory"),
                (true, Some(_)) => write!(done, "`{word}()`").expect("in memory"),
            }
        }
        done
    }
}

/// The names of arguments after "May be NULL" are code.
fn in_code(paragraph: &str, function: &Function) -> String {
    let Some((before, list)) = paragraph.split_once("May be NULL: ") else {
        return paragraph.to_owned();
    };
    let names: Vec<&str> = function
        .parameters
        .iter()
        .map(|(_, n)| n.as_str())
        .collect();
    let list = list.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let list = list.map(|word| {
        let name = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        match names.contains(&name) {
            true => format!("`{name}`{}", &word[name.len()..]),
            false => word.to_owned(),
        }
    });
    format!("{before}May be NULL: {}", list.collect::<String>())
}
