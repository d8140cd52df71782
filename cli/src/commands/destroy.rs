//! `dstore destroy`: destroys a root, or what is left of one whose directory no longer exists.

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use docker_store::{Destroy, Fate, Remains, Remnant, RemnantKind, Store};
use serde::Serialize;

use crate::arguments;
use crate::context::Context;
use crate::ending::{BUSY, DONE, Failure};
use crate::names;
use crate::rows::many;
use crate::screen::Screen;
use crate::streams;
use crate::table::{LEFT, RIGHT};

#[derive(Serialize)]
struct Document {
    things: Vec<Thing>,
    dry_run: bool,
}

#[derive(Serialize)]
struct Thing {
    kind: &'static str,
    name: String,
    identity: String,
    root: Option<String>,
    engine: String,
    fate: &'static str,
    why: Option<String>,
}

pub(crate) fn run(
    context: &Context,
    screen: &mut Screen,
    asked: &arguments::Destroy,
) -> Result<u8, Failure> {
    if asked.remains {
        return remains(context, screen);
    }
    let (options, limits) = (context.options(), context.limits());
    let root = match asked.identity {
        Some(_) => None,
        None => Some(context.named_root()?),
    };
    let mut how = Destroy::new();
    how.abandon(asked.abandon);
    let destroy = |root: Option<&Path>, how: &Destroy| match (root, &asked.identity) {
        (Some(root), _) => Store::destroy(root, options, how, limits),
        (None, Some(identity)) => Store::destroy_remains(options, identity, limits),
        (None, None) => Ok(Remains::default()),
    };
    let there = match &asked.identity {
        Some(_) => Store::remains(options, asked.identity.as_deref(), limits)?,
        None => destroy(root, how.clone().dry_run(true))?,
    };
    if asked.identity.is_some() && there.things.is_empty() {
        return Err(Failure::not_found(
            "nothing on this engine carries that identity",
        ));
    }
    if asked.dry_run {
        return tell(context, screen, &there, true);
    }
    if !asked.yes {
        let of = match (
            root,
            there.things.first().and_then(|thing| thing.root.as_deref()),
        ) {
            (Some(root), _) => root.display().to_string(),
            (None, of) => of.unwrap_or("a root whose path is unknown").to_owned(),
        };
        confirm(context, &there, &of)?;
    }
    tell(context, screen, &destroy(root, &how)?, false)
}

/// Lists each root that has left anything on the engine, or is in use there.
fn remains(context: &Context, screen: &mut Screen) -> Result<u8, Failure> {
    let found = Store::remains(context.options(), None, context.limits())?;
    if context.json {
        screen.json(&document(&found, true))?;
        return Ok(DONE);
    }
    let mut roots: BTreeMap<(&str, Option<&str>), u64> = BTreeMap::new();
    for thing in &found.things {
        *roots
            .entry((&thing.identity, thing.root.as_deref()))
            .or_default() += 1;
    }
    let row = |((identity, root), things): ((&str, Option<&str>), u64)| {
        let here = match root {
            Some(root) if Path::new(root).join(".store").exists() => "there",
            Some(_) => "gone, moved, or on another machine",
            None => "not known",
        };
        vec![
            identity.to_owned(),
            things.to_string(),
            root.unwrap_or("?").to_owned(),
            here.to_owned(),
        ]
    };
    let columns = [
        ("IDENTITY", LEFT),
        ("THINGS", RIGHT),
        ("ROOT", LEFT),
        ("THE ROOT IS", LEFT),
    ];
    screen.table(&columns, roots.into_iter().map(row).collect())?;
    Ok(DONE)
}

/// Asks for confirmation, which is possible only at a terminal.
fn confirm(context: &Context, there: &Remains, of: &str) -> Result<(), Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() || context.json {
        return Err(Failure::usage(
            "add --yes to confirm, or --dry-run to look first",
        ));
    }
    let of = names::shown(of.as_bytes());
    eprint!(
        "This removes {} of {of}, for good. Type yes: ",
        counted(there)
    );
    let _ = io::stderr().flush();
    // Ctrl-C also counts as an answer.
    while !streams::is_answered() {
        context.still_wanted("asking")?;
    }
    context.still_wanted("asking")?;
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    read.map_err(|e| Failure::Io("reading the answer".to_owned(), e))?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Failure::failed("nothing was removed")),
    }
}

fn tell(
    context: &Context,
    screen: &mut Screen,
    remains: &Remains,
    dry_run: bool,
) -> Result<u8, Failure> {
    let status = match !dry_run && remains.is_any_kept() {
        true => BUSY,
        false => DONE,
    };
    if context.json {
        screen.json(&document(remains, dry_run))?;
        return Ok(status);
    }
    for thing in &remains.things {
        let (kind, name) = (kind(thing.kind), &thing.name);
        match &thing.fate {
            Fate::Kept(why) => {
                screen.line(screen.bad(&format!("{kind} {name} is still there: {why}")))?;
            }
            _ if dry_run => screen.line(format!("would remove {kind} {name}"))?,
            _ => screen.line(format!("removed {kind} {name}"))?,
        }
    }
    screen.line(match (dry_run, remains.things.is_empty()) {
        (_, true) => "nothing was there".to_owned(),
        (true, false) => format!("{} would go", counted(remains)),
        (false, false) if status == DONE => "all of it is gone".to_owned(),
        (false, false) => "the rest is gone; what is still there goes with the next try".to_owned(),
    })?;
    Ok(status)
}

/// `3 images, 1 volume`.
fn counted(remains: &Remains) -> String {
    let mut kinds: BTreeMap<RemnantKind, u64> = BTreeMap::new();
    for thing in &remains.things {
        *kinds.entry(thing.kind).or_default() += 1;
    }
    let parts: Vec<String> = kinds.into_iter().map(|(of, n)| many(n, kind(of))).collect();
    parts.join(", ")
}

fn kind(kind: RemnantKind) -> &'static str {
    match kind {
        RemnantKind::Container => "container",
        RemnantKind::Image => "image",
        RemnantKind::Volume => "volume",
        RemnantKind::File => "file",
        RemnantKind::Engine => "engine",
        // A kind that a later version of the library adds.
        _ => "thing",
    }
}

fn document(remains: &Remains, dry_run: bool) -> Document {
    let thing = |thing: &Remnant| {
        let (fate, why) = match &thing.fate {
            Fate::Removed => ("removed", None),
            Fate::Kept(why) => ("kept", Some(why.clone())),
            _ => ("found", None),
        };
        Thing {
            kind: kind(thing.kind),
            name: thing.name.clone(),
            identity: thing.identity.clone(),
            root: thing.root.clone(),
            engine: thing.engine.clone(),
            fate,
            why,
        }
    };
    Document {
        things: remains.things.iter().map(thing).collect(),
        dry_run,
    }
}
