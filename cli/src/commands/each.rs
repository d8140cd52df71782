//! Applies an operation to each of several names, whatever the outcome for the others.

use std::collections::BTreeMap;
use std::ffi::OsString;

use docker_store::{ErrorKind, Store};
use serde_json::{Value, json};

use crate::context::Context;
use crate::ending::{DONE, Failure, kind_of};
use crate::names;
use crate::screen::Screen;

/// Does it, and prints each name for which it succeeded; in JSON as the list `done`. The first failure determines the exit
/// status.
pub(crate) fn run(
    context: &Context,
    screen: &mut Screen,
    done: &'static str,
    names: Vec<OsString>,
    work: impl Fn(&Store, &[u8]) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let (mut good, mut failed) = (Vec::new(), Vec::new());
    let mut status = DONE;
    context.with_store(|store| {
        for name in names {
            let name = names::given(name);
            let shown = names::shown(&name);
            match work(store, &name) {
                Ok(()) => {
                    if !context.json {
                        screen.line(&shown)?;
                    }
                    good.push(shown);
                }
                // It would fail for the others, too.
                Err(Failure::Store(e)) if e.kind() == ErrorKind::Cancelled => return Err(e.into()),
                Err(failure) => {
                    if !context.json {
                        failure.tell(false);
                    }
                    if status == DONE {
                        status = failure.status();
                    }
                    failed.push(json!({
                        "name": shown, "kind": kind_of(failure.status()), "message": failure.to_string(),
                    }));
                }
            }
        }
        Ok(())
    })?;
    if context.json {
        let document: BTreeMap<&str, Value> = [(done, json!(good)), ("failed", json!(failed))]
            .into_iter()
            .collect();
        screen.json(&document)?;
    }
    Ok(status)
}
