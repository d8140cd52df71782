//! `dstore export`: the files of a result.

use crate::arguments::Export;
use crate::commands::outfile;
use crate::context::Context;
use crate::ending::Failure;
use crate::screen::Screen;

pub(crate) fn run(context: &Context, screen: &mut Screen, export: &Export) -> Result<u8, Failure> {
    context.with_store(|store| {
        outfile::write(context, screen, export.output.as_deref(), |out| {
            store.copy_out(&export.id, &export.path, out, context.limits())
        })
    })
}
