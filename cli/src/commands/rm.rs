//! `dstore rm`: each of what is named is tried, whatever becomes of the others.

use docker_store::{ErrorKind, Store};
use serde::Serialize;

use crate::arguments::Rm;
use crate::context::Context;
use crate::ending::{DONE, Failure, NOT_FOUND, kind_of};
use crate::names;
use crate::screen::Screen;

#[derive(Serialize)]
struct Document {
    removed: Vec<String>,
    failed: Vec<Failed>,
}

#[derive(Serialize)]
struct Failed {
    name: String,
    kind: &'static str,
    message: String,
}

pub(crate) fn run(context: &Context, screen: &mut Screen, rm: Rm) -> Result<u8, Failure> {
    let mut document = Document {
        removed: Vec::new(),
        failed: Vec::new(),
    };
    let mut status = DONE;
    context.with_store(|store| {
        for name in rm.names {
            let name = names::given(name);
            let shown = names::shown(&name);
            match remove(context, store, &name, rm.cache) {
                Ok(()) => {
                    if !context.json {
                        screen.line(&shown)?;
                    }
                    document.removed.push(shown);
                }
                // Nor would the rest be removed.
                Err(Failure::Store(e)) if e.kind() == ErrorKind::Cancelled => return Err(e.into()),
                Err(failure) => {
                    if !context.json {
                        failure.tell(false);
                    }
                    // The first tells why.
                    if status == DONE {
                        status = failure.status();
                    }
                    document.failed.push(Failed {
                        name: shown,
                        kind: kind_of(failure.status()),
                        message: failure.to_string(),
                    });
                }
            }
        }
        Ok(())
    })?;
    if context.json {
        screen.json(&document)?;
    }
    Ok(status)
}

fn remove(context: &Context, store: &Store, name: &[u8], cache: bool) -> Result<(), Failure> {
    let (there, what) = match cache {
        true => (store.delete_cache_within(name, context.limits())?, "cache"),
        false => {
            let id = String::from_utf8_lossy(name);
            (store.delete_within(&id, context.limits())?, "result")
        }
    };
    match there {
        true => Ok(()),
        false => Err(Failure::Said(
            NOT_FOUND,
            format!("there is no {what} {}", names::shown(name)),
        )),
    }
}
