//! `dstore export`: the files of a result.

use docker_store::HostFolder;

use crate::arguments::Export;
use crate::commands::outfile;
use crate::context::Context;
use crate::ending::Failure;
use crate::screen::Screen;

pub(crate) fn run(context: &Context, screen: &mut Screen, export: &Export) -> Result<u8, Failure> {
    let (id, path) = (&export.id, &export.path);
    context.with_store(|store| {
        let Some(folder) = &export.unpack else {
            return outfile::write(context, screen, export.output.as_deref(), |out| {
                store.copy_out(id, path, out, context.limits())
            });
        };
        let bytes = store.copy_out_host(id, path, &HostFolder::new(folder), context.limits())?;
        outfile::tell(context, screen, folder, bytes)
    })
}
