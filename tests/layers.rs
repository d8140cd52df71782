//! What ARCHITECTURE says about the layers: a file uses its own layer and those below, and files do not use each other in a
//! cycle. Determined from the `use` lines (a re-export passes a name on, and uses nothing) and from paths that start with
//! `crate::`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The directories of `src`, each with everything that it may use besides itself.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("os", &[]),
    ("transport", &["cancel", "error", "process", "wait"]),
    ("http", &["transport", "cancel", "error", "process", "wait"]),
    ("engine", &["http", "transport", "cancel", "error", "wait"]),
    ("store", &["engine", "cancel", "error", "process", "wait"]),
    (
        "capi",
        &[
            "store", "engine", "cancel", "error", "process", "wait", "crate",
        ],
    ),
    ("store::cache::files", &["engine", "error", "wait", "store"]),
    (
        "store::cache::state",
        &["store::cache::files", "engine", "error", "wait", "store"],
    ),
    (
        "store::cache::facts",
        &["store::cache::files", "store::options"],
    ),
    (
        "store::cache::clone",
        &[
            "store::cache::files",
            "store::cache::state",
            "store::cache::facts",
            "engine",
            "error",
            "wait",
            "store",
            "crate",
        ],
    ),
    (
        "store::step",
        &["engine", "cancel", "error", "wait", "store", "crate"],
    ),
];

/// What every layer may use.
const ANYBODYS: [&str; 2] = ["local", "os"];

/// Only these themselves and what is listed above for them may name a module in them.
const FLOORS: [&str; 1] = ["store::cache"];

#[test]
fn a_lower_layer_does_not_name_an_upper_one() {
    let mut wrong = Vec::new();
    for (file, used) in uses() {
        // The rule of the deepest directory.
        let rule = MAY_USE
            .iter()
            .filter(|(layer, _)| is_in(&file, layer))
            .max_by_key(|(layer, _)| layer.len());
        let Some((layer, allowed)) = rule else {
            continue;
        };
        for target in used {
            let fits = |other: &str| match FLOORS.iter().find(|floor| is_in(layer, floor)) {
                // "store" means the rest of it then.
                Some(floor) if !is_in(other, floor) => {
                    is_in(&target, other) && !is_in(&target, floor)
                }
                _ => is_in(&target, other),
            };
            if !ANYBODYS.contains(&target.as_str())
                && !fits(layer)
                && !allowed.iter().any(|other| fits(other))
            {
                wrong.push(format!("{file} uses {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_do_not_use_each_other_in_a_circle() {
    let uses = uses();
    assert!(uses.len() > 80, "the sources were not found");
    let mut done = BTreeSet::new();
    for file in uses.keys() {
        let mut path = Vec::new();
        if let Some(circle) = circle(file, &uses, &mut path, &mut done) {
            panic!("a circle: {}", circle.join(" -> "));
        }
    }
}

/// If a descriptor of the library is 0, 1 or 2, it receives what a host with closed standard streams prints. `src/local.rs`
/// prevents that, so everything that opens a file is there, or called through it.
#[test]
fn nothing_is_opened_but_by_what_keeps_off_the_standard_streams() {
    let mut wrong = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    for path in files {
        let below = path.strip_prefix(&root).expect("below");
        if below.starts_with("local") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file");
        for line in opens(without_tests(&text)) {
            wrong.push(format!("{}: {line}", path.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "use crate::local, whose functions have the names of std::fs:\n{}",
        wrong.join("\n")
    );
    let good = "use crate::local as fs;\nfs::read(x);\nopened(|| net::socket_with(x));\nfs::open_with(File::options().write(true), x);";
    assert_eq!(opens(good), Vec::<&str>::new());
    for bad in [
        "std::fs::read(x)",
        "fs::read(x)",
        "let x = File::open(y)?;",
        "net::socket(a, b, c)",
        "use rustix::fs::{\n    Mode, openat,\n};",
        "        .open(path)",
    ] {
        assert_eq!(opens(bad).len(), 1, "{bad}");
    }
}

/// A source before its tests, which may be for some systems only.
fn without_tests(text: &str) -> &str {
    let ends = ["#[cfg(test)]", "#[cfg(all(test"].map(|tests| text.find(tests));
    &text[..ends.into_iter().flatten().min().unwrap_or(text.len())]
}

/// The lines that open something directly.
fn opens(text: &str) -> Vec<&str> {
    const OPENERS: [&str; 17] = [
        "fs::File::",
        "File::open(",
        "File::create(",
        "File::create_new(",
        ".open(",
        "Dir::read_from(",
        "fs::openat(",
        "socket_with(",
        "net::socket(",
        "socketpair(",
        "accept(",
        "UnixStream::",
        "UnixListener::",
        "pipe::pipe",
        "io::dup(",
        "eventfd(",
        "memfd_create(",
    ];
    // The functions of `std::fs`, by all of its names.
    const STD: [&str; 6] = [
        "read(",
        "read_to_string(",
        "read_dir(",
        "write(",
        "copy(",
        "remove_dir_all(",
    ];
    let is_std = !text.contains("use crate::local as fs;") && !text.contains("local::{self as fs,");
    let is_opener = |line: &str| {
        let code = line.trim_start();
        if code.starts_with("//")
            || code.contains("aside(")
            || code.contains("opened(")
            || code.contains("opened_pair(")
        {
            return false;
        }
        let std = STD.iter().any(|name| {
            code.contains(&format!("std::fs::{name}"))
                || is_std && code.contains(&format!("fs::{name}"))
        });
        std || OPENERS.iter().any(|opener| code.contains(opener))
    };
    let imports = text
        .match_indices("use rustix::fs::")
        .filter_map(|(at, _)| {
            let import = text[at..].split(';').next().unwrap_or_default();
            let mut words = import.split(|c: char| !c.is_alphanumeric());
            words
                .any(|word| word == "openat" || word == "open")
                .then_some(import)
        });
    let lines = text.lines().filter(|line| is_opener(line));
    imports.chain(lines).collect()
}

#[test]
fn a_circle_and_a_wrong_way_up_are_seen() {
    let modules: BTreeSet<String> = ["a", "a::b", "a::c", "crate"]
        .map(str::to_owned)
        .into_iter()
        .collect();
    let read = |module: &str, text: &str| targets(module, text, &modules);
    assert_eq!(
        read("a::b", "use crate::a::{self, c::{X, Y}, Z};\n"),
        ["a", "a::c"].map(str::to_owned).into_iter().collect()
    );
    assert_eq!(
        read(
            "a",
            "pub use self::b::X;\nuse self::c::Y;\nfn f() { crate::a::b::g() }\n"
        ),
        ["a::b", "a::c"].map(str::to_owned).into_iter().collect()
    );
    assert_eq!(
        read("a::b", "use super::c::X;\n#[cfg(test)]\nuse super::*;\n").len(),
        1
    );
    let circle_of = |uses: &[(&str, &str)]| {
        let mut map: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in uses {
            map.entry((*from).to_owned())
                .or_default()
                .insert((*to).to_owned());
        }
        circle("a", &map, &mut Vec::new(), &mut BTreeSet::new())
    };
    assert!(circle_of(&[("a", "b"), ("b", "c"), ("c", "a")]).is_some());
    assert!(circle_of(&[("a", "b"), ("a", "c"), ("b", "c")]).is_none());
}

fn is_in(module: &str, folder: &str) -> bool {
    module == folder
        || module
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with("::"))
}

fn circle(
    file: &str,
    uses: &BTreeMap<String, BTreeSet<String>>,
    path: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(at) = path.iter().position(|seen| seen == file) {
        let mut circle = path[at..].to_vec();
        circle.push(file.to_owned());
        return Some(circle);
    }
    if done.contains(file) {
        return None;
    }
    path.push(file.to_owned());
    for target in uses.get(file).into_iter().flatten() {
        if let Some(found) = circle(target, uses, path, done) {
            return Some(found);
        }
    }
    path.pop();
    done.insert(file.to_owned());
    None
}

/// For each file of `src`, by its module's path: the modules whose names it uses.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let named: Vec<(String, PathBuf)> = files
        .into_iter()
        .map(|path| (module_of(path.strip_prefix(&root).expect("below")), path))
        .collect();
    let modules: BTreeSet<String> = named.iter().map(|(module, _)| module.clone()).collect();
    named
        .into_iter()
        .map(|(module, path)| {
            let text = fs::read_to_string(path).expect("a source file");
            let used = targets(&module, &text, &modules);
            (module, used)
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
}

fn module_of(path: &Path) -> String {
    let text = path.with_extension("");
    let mut words: Vec<String> = text
        .components()
        .map(|word| word.as_os_str().to_string_lossy().into_owned())
        .collect();
    if words.last().is_some_and(|last| last == "mod") {
        words.pop();
    }
    match words.join("::").as_str() {
        "lib" => String::from("crate"),
        module => module.to_owned(),
    }
}

/// The modules that `text`, the source of `module`, uses; without its tests.
fn targets(module: &str, text: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let text = without_tests(text);
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("use ") {
        if !before(&code, at).trim().is_empty() {
            continue; // "pub use", or a word in a text
        }
        let end = code[at..].find(';').map_or(code.len(), |end| at + end);
        expand("", code[at + 4..end].trim(), &mut paths);
    }
    for (at, _) in code.match_indices("crate::") {
        let path: String = code[at..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || matches!(c, ':' | '_'))
            .collect();
        let line = before(&code, at);
        if !line.contains("use ") && !line.contains("pub(in ") {
            paths.push(path);
        }
    }
    paths
        .iter()
        .filter_map(|path| resolve(module, path, modules))
        .filter(|target| target != module)
        .collect()
}

/// The text before a position on its line.
fn before(code: &str, at: usize) -> &str {
    code[..at].rsplit('\n').next().unwrap_or_default()
}

/// `a::{b, c::{d, e}}` becomes `a::b`, `a::c::d` and `a::c::e`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        if !tree.is_empty() {
            paths.push(format!("{prefix}{tree}"));
        }
        return;
    };
    let prefix = format!("{prefix}{}", &tree[..open]);
    let inner = tree[open + 1..]
        .rsplit_once('}')
        .map_or("", |(inner, _)| inner);
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &inner[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    expand(&prefix, &inner[start..], paths);
}

/// The longest module path that a path starts with.
fn resolve(module: &str, path: &str, modules: &BTreeSet<String>) -> Option<String> {
    let path = path.split(" as ").next().unwrap_or_default().trim();
    let mut words: Vec<&str> = path.split("::").collect();
    let mut at: Vec<&str> = match *words.first()? {
        "crate" => Vec::new(),
        "self" => module.split("::").collect(),
        "super" => module
            .rsplit_once("::")
            .map_or(Vec::new(), |(up, _)| up.split("::").collect()),
        _ => return None,
    };
    words.remove(0);
    at.extend(words.iter().filter(|word| **word != "self"));
    while !at.is_empty() {
        let name = at.join("::");
        if modules.contains(&name) {
            return Some(name);
        }
        at.pop();
    }
    Some(String::from("crate"))
}

#[test]
fn each_file_that_architecture_names_is_there() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(here.join("ARCHITECTURE.md")).expect("the page");
    let mut rows = Vec::new();
    for heading in ["\n## Words\n", "\n## To change X, open Y\n"] {
        let section = page.split(heading).nth(1).expect("the section");
        let section = section.split("\n## ").next().expect("its end");
        rows.extend(section.lines().filter(|line| line.starts_with('|')));
    }
    let mut named = 0;
    for row in rows {
        // A bare name is of the folder of the one before.
        let mut folder = PathBuf::new();
        for name in row.split('`').skip(1).step_by(2) {
            let is_path = name.ends_with('/')
                || name.ends_with(".rs")
                || name.contains(".m")
                || name.ends_with(".py");
            if !is_path {
                continue;
            }
            let places = [
                here.join("src").join(name),
                here.join(name),
                folder.join(name),
            ];
            let place = places.iter().find(|place| place.exists());
            let place = place.unwrap_or_else(|| panic!("{name} is not there: {row}"));
            folder = place.parent().expect("a folder").to_owned();
            named += 1;
        }
    }
    assert!(named > 180, "only {named} files are named");
}

#[test]
fn each_source_file_that_the_page_of_formats_names_is_there() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(here.join("docs/formats.md")).expect("the page");
    let mut named = 0;
    for line in page.lines() {
        // A bare name is of the folder of the one before.
        let mut folder = PathBuf::new();
        let names = line.split('`').skip(1).step_by(2);
        for name in names.filter(|name| name.ends_with(".rs")) {
            let place = match name.starts_with("src/") {
                true => here.join(name),
                false => folder.join(name),
            };
            assert!(place.exists(), "{name} is not there: {line}");
            folder = place.parent().expect("a folder").to_owned();
            named += 1;
        }
    }
    assert!(named > 50, "only {named} files are named");
}

#[test]
fn the_page_of_formats_names_each_label_and_each_file_that_the_store_keeps() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(here.join("docs/formats.md")).expect("the page");
    let mut named = 0;
    for (file, before) in [
        ("ownership.rs", ": &str = \""),
        ("paths.rs", ": &str = \""),
        ("paths.rs", ".join(\""),
        ("cache/state/folder.rs", ".join(\""),
    ] {
        let text = fs::read_to_string(here.join("src/store").join(file)).expect("a source file");
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for rest in text.split(before).skip(1) {
            let name = rest.split('"').next().expect("a literal");
            // As a word of its own, as in `NAME`, `…/NAME` and `NAME/`.
            let is_named = page
                .split(|c: char| c == '`' || c == '/' || c.is_whitespace())
                .any(|word| word == name);
            assert!(is_named, "docs/formats.md does not name {name:?} of {file}");
            named += 1;
        }
    }
    assert!(named > 30, "only {named} names were found");
}
