//! Parses the header's declarations, with comments as paragraphs: for pages that show them.

use super::split_name;

/// One thing that the header declares.
#[derive(Debug)]
pub struct Declared {
    pub name: String,
    pub kind: Kind,
    pub paragraphs: Vec<String>,
    /// As it is in the header.
    pub code: String,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// An opaque type.
    Object,
    Callback,
    Function,
    Enum(Vec<Value>),
}

/// An enumerator.
#[derive(Debug, PartialEq, Eq)]
pub struct Value {
    pub name: String,
    pub number: i32,
    pub comment: String,
}

/// A comment and the macros that stand under it.
#[derive(Debug)]
pub struct Macros {
    pub names: Vec<String>,
    pub comment: String,
    pub code: String,
}

/// Everything with its own comment, in the order of the header, except macros.
pub fn declared(header: &str) -> Vec<Declared> {
    let mut all = Vec::new();
    let mut lines = header.lines();
    while let Some(line) = lines.next() {
        if line != "/**" {
            continue;
        }
        let comment: Vec<&str> = lines.by_ref().take_while(|line| *line != " */").collect();
        let first = lines.next().expect("what the comment is about");
        all.push(match first.strip_prefix("enum ") {
            Some(name) => Declared {
                name: name.to_owned(),
                kind: Kind::Enum(values(lines.by_ref().take_while(|line| *line != "};"))),
                paragraphs: paragraphs(&comment),
                code: String::new(),
            },
            None => {
                let mut code = vec![first];
                while !code.last().is_some_and(|line| line.ends_with(';')) {
                    code.push(lines.next().expect("the end of a declaration"));
                }
                one(&code, paragraphs(&comment))
            }
        });
    }
    all
}

fn one(code: &[&str], paragraphs: Vec<String>) -> Declared {
    let code: Vec<&str> = code
        .iter()
        .copied()
        .filter(|line| *line != "DSTORE_MUST_USE")
        .collect();
    let code = code.join("\n");
    let (kind, name) = match code.strip_prefix("typedef struct ") {
        Some(object) => (Kind::Object, object.split(' ').next().expect("a name")),
        None if code.starts_with("typedef ") => {
            let name = code.split_once("(*").expect("a callback").1;
            (Kind::Callback, name.split(')').next().expect("a name"))
        }
        None => (
            Kind::Function,
            code.split('(').next().expect("a function's name"),
        ),
    };
    let (_, name) = split_name(name).unwrap_or((String::new(), name.to_owned()));
    Declared {
        name,
        kind,
        paragraphs,
        code: code.clone(),
    }
}

fn values<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Value> {
    let (mut values, mut comment) = (Vec::new(), Vec::new());
    for line in lines.map(str::trim) {
        if let Some(text) = line.strip_prefix("* ") {
            comment.push(text);
        } else if let Some((name, number)) = line
            .strip_suffix(',')
            .and_then(|line| line.split_once(" = "))
        {
            values.push(Value {
                name: name.to_owned(),
                number: number.parse().expect("a number"),
                comment: std::mem::take(&mut comment).join(" "),
            });
        }
    }
    values
}

/// The lines of a comment, joined: an empty one ends a paragraph.
fn paragraphs(lines: &[&str]) -> Vec<String> {
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.trim_start_matches(" *").trim())
        .collect();
    lines
        .split(|line| line.is_empty())
        .map(|lines| lines.join(" "))
        .collect()
}

/// The macros: they come before everything else, each group under a comment of one line.
pub fn macros(header: &str) -> Vec<Macros> {
    let (_, after) = header.split_once("#include <stdint.h>").expect("includes");
    let before = after.split("/**").next().expect("macros");
    let groups = before.split("\n\n").map(str::trim);
    groups
        .filter_map(|group| {
            let (comment, code) = group.strip_prefix("/* ")?.split_once(" */\n")?;
            let mut names = Vec::new();
            for line in code.lines() {
                let name = line
                    .strip_prefix("#define ")
                    .and_then(|l| l.split(' ').next());
                if let Some(name) = name.filter(|name| !names.iter().any(|n| n == name)) {
                    names.push(name.to_owned());
                }
            }
            Some(Macros {
                names,
                comment: comment.to_owned(),
                code: code.to_owned(),
            })
        })
        .collect()
}

/// A type of objects: which calls return one to the caller, and which one frees it.
#[derive(Debug)]
pub struct Owned {
    pub object: String,
    pub makers: Vec<String>,
    pub free: String,
}

/// Every type of objects; and text, which is a `char *` for this.
pub fn owned(header: &str) -> Vec<Owned> {
    let functions = super::functions(header);
    let objects = declared(header)
        .into_iter()
        .filter(|d| d.kind == Kind::Object)
        .map(|d| d.name);
    objects
        .chain([String::from("char")])
        .map(|object| {
            let (one, place) = (format!("{object} *"), format!("{object} **"));
            let gives = |f: &&super::Function| {
                f.returns == one
                    || f.parameters.iter().any(|(kind, name)| {
                        // Every call that can fail returns an error, so these calls are not listed as its makers.
                        *kind == place && name != "error"
                    })
            };
            let frees = |f: &&super::Function| {
                f.name.ends_with("_free") && f.parameters.iter().any(|(kind, _)| *kind == one)
            };
            let frees: Vec<_> = functions.iter().filter(frees).collect();
            assert_eq!(frees.len(), 1, "what frees a {object}? {frees:?}");
            Owned {
                makers: functions
                    .iter()
                    .filter(gives)
                    .map(|f| f.name.clone())
                    .collect(),
                free: frees[0].name.clone(),
                object,
            }
        })
        .collect()
}
