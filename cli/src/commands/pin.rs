//! `dstore pin` and `dstore unpin`

use std::ffi::OsString;
use std::time::SystemTime;

use docker_store::Pin;
use serde::Serialize;

use crate::amounts;
use crate::arguments;
use crate::commands::each;
use crate::commands::prune::item;
use crate::context::Context;
use crate::ending::{DONE, Failure};
use crate::names;
use crate::screen::Screen;
use crate::table::LEFT;

#[derive(Serialize)]
struct Document {
    pins: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    kind: &'static str,
    name: Option<String>,
    name_hex: String,
    since: String,
}

pub(crate) fn pin(
    context: &Context,
    screen: &mut Screen,
    pin: arguments::Pin,
) -> Result<u8, Failure> {
    if pin.names.is_empty() {
        return list(context, screen);
    }
    each::run(context, screen, "pinned", pin.names, |store, name| {
        // One that was already pinned stays pinned.
        match pin.cache {
            true => store.pin_cache(name, context.limits())?,
            false => store.pin(&String::from_utf8_lossy(name), context.limits())?,
        };
        Ok(())
    })
}

pub(crate) fn unpin(
    context: &Context,
    screen: &mut Screen,
    names: Vec<OsString>,
    cache: bool,
) -> Result<u8, Failure> {
    each::run(context, screen, "unpinned", names, |store, name| {
        let was = match cache {
            true => store.unpin_cache(name)?,
            false => store.unpin(&String::from_utf8_lossy(name))?,
        };
        match was {
            true => Ok(()),
            false => Err(Failure::not_found(format!(
                "{} was not pinned",
                names::shown(name)
            ))),
        }
    })
}

fn list(context: &Context, screen: &mut Screen) -> Result<u8, Failure> {
    let pins = context.with_store(|store| Ok(store.pins()?))?;
    if context.json {
        let row = |pin: &Pin| {
            let (kind, name) = item(&pin.item);
            Row {
                kind,
                name: String::from_utf8(name.to_vec()).ok(),
                name_hex: names::hex(name),
                since: amounts::moment(pin.since),
            }
        };
        let pins = pins.iter().map(row).collect();
        screen.json(&Document { pins })?;
        return Ok(DONE);
    }
    let now = SystemTime::now();
    let row = |pin: &Pin| {
        let (kind, name) = item(&pin.item);
        vec![
            kind.to_owned(),
            names::shown(name),
            amounts::ago(pin.since, now),
        ]
    };
    let rows = pins.iter().map(row).collect();
    screen.table(&[("KIND", LEFT), ("NAME", LEFT), ("PINNED", LEFT)], rows)?;
    Ok(DONE)
}
