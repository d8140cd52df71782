//! Links in the pages for C programmers work, and names in them exist.

mod abi;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use abi::declared::{Kind, declared, macros};
use abi::{header, root, slug};

const PAGES: [&str; 4] = [
    "README.md",
    "docs/c-api.md",
    "docs/conventions.md",
    "docs/tutorial.md",
];

fn texts() -> BTreeMap<&'static str, String> {
    let read =
        |name| fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    PAGES.map(|name| (name, read(name))).into()
}

#[test]
fn links_lead_to_a_file_and_a_heading() {
    let texts = texts();
    let mut links = 0;
    for (name, text) in &texts {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in prose(text).flat_map(|prose| prose.split("](").skip(1)) {
            let target = target.split(')').next().unwrap_or_default();
            if target.starts_with("http") {
                continue;
            }
            links += 1;
            let (page, anchor) = target.split_once('#').unwrap_or((target, ""));
            let page = match (page, folder) {
                ("", _) => (*name).to_owned(),
                (page, "") => page.to_owned(),
                (page, folder) => format!("{folder}/{page}"),
            };
            let found = match texts.get(page.as_str()) {
                Some(text) if !anchor.is_empty() => headings(text).any(|h| slug(h) == anchor),
                _ => anchor.is_empty() && root().join(&page).exists(),
            };
            assert!(found, "{name}: {target} leads nowhere");
        }
    }
    assert!(links > 250, "only {links} links: are the pages read right?");
}

#[test]
fn every_name_of_the_librarys_is_one_that_the_header_has() {
    let header = header();
    let mut known: BTreeSet<String> = macros(&header).into_iter().flat_map(|m| m.names).collect();
    for one in declared(&header) {
        if let Kind::Enum(values) = one.kind {
            known.extend(values.into_iter().map(|value| value.name));
        }
        known.insert(one.name);
    }
    for (page, text) in texts() {
        // Link targets are checked by the other test.
        let shown = text.split("](").enumerate().map(|(n, part)| match n {
            0 => part,
            _ => part.split_once(')').map_or("", |(_, after)| after),
        });
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = shown.flat_map(|part| part.split(|c| !is_name(c)));
        for word in words.filter(|w| w.starts_with("dstore_") || w.starts_with("DSTORE_")) {
            // Prefixes of names; and the variable for the root of the dstore command.
            let start = matches!(word, "dstore_" | "DSTORE_" | "DSTORE_ROOT");
            assert!(start || known.contains(word), "{page}: what is {word}?");
        }
    }
}

/// Text that is not code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    page.split("```").step_by(2)
}

fn headings(page: &str) -> impl Iterator<Item = &str> {
    let lines = prose(page).flat_map(str::lines);
    lines
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim())
}
