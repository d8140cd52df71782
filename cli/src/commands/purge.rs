//! `dstore purge`

use serde_json::json;

use crate::context::Context;
use crate::ending::{DONE, Failure};
use crate::rows::many;
use crate::screen::Screen;

pub(crate) fn run(context: &Context, screen: &mut Screen) -> Result<u8, Failure> {
    let purged = context.with_store(|store| {
        let purged = store.purge_within(context.limits())?;
        store.complete_deletes(context.limits())?;
        Ok(purged)
    })?;
    if context.json {
        screen.json(&json!({
            "containers": purged.containers, "images": purged.images, "volumes": purged.volumes,
        }))?;
        return Ok(DONE);
    }
    let (containers, images, volumes) = (purged.containers, purged.images, purged.volumes);
    screen.line(match containers + images + volumes {
        0 => "nothing was left".to_owned(),
        _ => format!(
            "removed {}, {} and {}",
            many(containers, "container"),
            many(images, "tag"),
            many(volumes, "volume")
        ),
    })?;
    Ok(DONE)
}
