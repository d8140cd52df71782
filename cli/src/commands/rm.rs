//! `dstore rm`

use crate::arguments::Rm;
use crate::commands::each;
use crate::context::Context;
use crate::ending::Failure;
use crate::names;
use crate::screen::Screen;

pub(crate) fn run(context: &Context, screen: &mut Screen, rm: Rm) -> Result<u8, Failure> {
    each::run(context, screen, "removed", rm.names, |store, name| {
        let (there, what) = match rm.cache {
            true => (store.delete_cache_within(name, context.limits())?, "cache"),
            false => {
                let id = String::from_utf8_lossy(name);
                (store.delete_within(&id, context.limits())?, "result")
            }
        };
        match there {
            true => Ok(()),
            false => Err(Failure::not_found(format!(
                "there is no {what} {}",
                names::shown(name)
            ))),
        }
    })
}
