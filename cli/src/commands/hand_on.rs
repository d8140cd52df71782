//! `dstore tag`, `push`, `save` and `load`: exporting and importing results.

use std::io::{BufRead, IsTerminal};
use std::path::Path;

use docker_store::{ImageFormat, Outcome, RegistryLogin};
use serde_json::json;

use crate::arguments::{Format, Load, Push, Save, Tag};
use crate::commands::outfile;
use crate::context::Context;
use crate::ending::{DONE, Failure};
use crate::login;
use crate::progress::Bar;
use crate::screen::Screen;

pub(crate) fn tag(context: &Context, screen: &mut Screen, tag: &Tag) -> Result<u8, Failure> {
    let tagged =
        context.with_store(|store| Ok(store.tag(&tag.id, &tag.name, context.limits())?))?;
    if context.json {
        screen.json(&json!({ "name": tagged.name, "moved_from": tagged.moved_from }))?;
        return Ok(DONE);
    }
    screen.line(&tagged.name)?;
    moved(tagged.moved_from);
    Ok(DONE)
}

/// The image that had the name still exists, possibly without a name.
fn moved(from: Option<String>) {
    if let Some(from) = from {
        eprintln!("dstore: {from} had that name before");
    }
}

pub(crate) fn push(context: &Context, screen: &mut Screen, push: &Push) -> Result<u8, Failure> {
    let login = match &push.user {
        Some(user) => Some(RegistryLogin {
            user: user.clone(),
            password: password()?,
            server: login::registry_of(&push.name),
        }),
        None => login::of_docker(&push.name)?,
    };
    let mut bar = Bar::new();
    let pushed = context.with_store(|store| {
        let mut report = |progress: docker_store::Progress<'_>| {
            bar.told(progress);
            Ok(())
        };
        Ok(store.push(
            &push.id,
            &push.name,
            login.as_ref(),
            &mut report,
            context.limits(),
        )?)
    })?;
    drop(bar);
    if context.json {
        screen.json(&json!({
            "name": pushed.name, "digest": pushed.digest, "moved_from": pushed.moved_from,
        }))?;
        return Ok(DONE);
    }
    screen.line(match pushed.digest {
        Some(digest) => format!("{}@{digest}", pushed.name),
        None => pushed.name,
    })?;
    moved(pushed.moved_from);
    Ok(DONE)
}

/// A line of standard input, because a password among the arguments is visible to all users.
fn password() -> Result<String, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Failure::usage(
            "--user reads the password from standard input: pipe it, or use `docker login`",
        ));
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    read.map_err(|e| Failure::Io("reading the password".to_owned(), e))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

pub(crate) fn save(context: &Context, screen: &mut Screen, save: &Save) -> Result<u8, Failure> {
    let format = match save.format {
        Format::Docker => ImageFormat::Docker,
        Format::Oci => ImageFormat::Oci,
    };
    let name = save.name.as_deref();
    context.with_store(|store| {
        outfile::write(context, screen, save.output.as_deref(), |out| {
            store.save(&save.id, format, name, out, context.limits())
        })
    })
}

pub(crate) fn load(context: &Context, screen: &mut Screen, load: &Load) -> Result<u8, Failure> {
    let is_stdin = load.file == Path::new("-");
    if is_stdin && std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "an archive cannot be typed: name a FILE, or pipe it",
        ));
    }
    let mut bar = Bar::new();
    let outcome = context.with_store(|store| {
        let mut report = |progress: docker_store::Progress<'_>| {
            bar.told(progress);
            Ok(())
        };
        let limits = context.limits();
        // By its path: a silent pipe then does not block Ctrl-C.
        Ok(match is_stdin {
            true if cfg!(unix) => {
                store.load_file(&load.id, Path::new("/dev/stdin"), &mut report, limits)?
            }
            true => store.load(&load.id, &mut std::io::stdin(), &mut report, limits)?,
            false => store.load_file(&load.id, &load.file, &mut report, limits)?,
        })
    })?;
    drop(bar);
    let (id, hit) = (&load.id, outcome == Outcome::Hit);
    match context.json {
        true => screen.json(&json!({ "id": id, "was_there": hit }))?,
        false if hit => screen.line(format!("{id} was there, and nothing was read"))?,
        false => screen.line(id)?,
    }
    Ok(DONE)
}
