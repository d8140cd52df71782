//! From a container to an image: commit, flatten before the engine's limit, and publish under the result's name.
//!
//! Nothing is ever committed under the result's own name. A commit takes as long as its files; cut off from it, nobody could
//! say whether the name would still appear. It goes to a tag of the step's own, and one short call gives the result its name.

use serde_json::{Value, json};

use crate::engine::images::{Image, must_exist};
use crate::error::{Error, ErrorKind, Result};
use crate::store::step::{Open, StepContext, spec};

/// Images of more layers than this are flattened. An engine takes 125 (moby `daemon/internal/layer`), and a step may be given
/// a base that somebody else has grown.
const LAYERS_MAX: usize = 100;

impl Open {
    /// Publishes what the step has come to as its result.
    pub(super) fn publish_result(&mut self, step: &StepContext<'_>) -> Result<()> {
        self.image(step)?;
        self.take_in(step)?;
        step.go_on("publishing the result")?;
        let name = &self.image(step)?.name;
        step.site
            .engine
            .tag_image(name, &step.site.names.image(step.id), step.wait.whole())?;
        step.site.counters.results_committed.add(1);
        Ok(())
    }

    /// Takes what the container changed into the step's image, so that another container can follow.
    pub(super) fn settle(&mut self, step: &StepContext<'_>) -> Result<()> {
        self.take_in(step)?;
        self.remove_container(step.site, step.wait)
    }

    /// Makes the step's image what its container has become, if there is one that changed anything.
    fn take_in(&mut self, step: &StepContext<'_>) -> Result<()> {
        if !self.container.as_ref().is_some_and(|made| made.changed) {
            return Ok(());
        }
        if self
            .image
            .as_ref()
            .is_some_and(|image| image.layers + 1 > LAYERS_MAX)
        {
            self.flatten(step)?;
        }
        let name = self.new_tag(step)?;
        let (Some(made), Some(image)) = (&mut self.container, &mut self.image) else {
            return Ok(());
        };
        let body = spec::commit_body(&image.config);
        let engine = &step.site.engine;
        engine.commit(&made.container, &name, &body, step.wait)?;
        image.name = name;
        image.layers += 1;
        made.changed = false;
        match made.spec.leaks {
            true => self.rewrite(step),
            false => Ok(()),
        }
    }

    /// Replaces the step's image by one of the same layers whose configuration is exactly the base's.
    ///
    /// A commit can only add to a configuration. But an engine that loads an image whose layers it has takes the configuration
    /// as it is, and asks for no layer's bytes (moby `image/tarexport/load.go`).
    fn rewrite(&mut self, step: &StepContext<'_>) -> Result<()> {
        let engine = &step.site.engine;
        let name = self.new_tag(step)?;
        let Some(current) = &mut self.image else {
            return Ok(());
        };
        let committed = engine.inspect_image(&current.name, step.wait)?;
        let committed = committed.ok_or_else(|| must_exist(&format!("image {}", current.name)))?;
        let history = engine.image_history(&current.name, step.wait)?;
        let tar = image_file(&name, &committed, &current.config, &history)?;
        match engine.load_image(&tar, &name, step.wait) {
            Ok(()) => current.name = name,
            Err(e) if matches!(e.kind(), ErrorKind::Engine | ErrorKind::InvalidArgument) => {
                ::log::warn!("{e}; the result keeps the user and the new variables of its command");
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Makes the step's image one of one layer: the container's files as they are seen from inside.
    fn flatten(&mut self, step: &StepContext<'_>) -> Result<()> {
        let Some(made) = &self.container else {
            return Ok(());
        };
        let engine = &step.site.engine;
        let mut files = engine.export_container(&made.container, step.wait)?;
        let name = self.new_tag(step)?;
        let imported = engine.import_image(&mut files, &name, None, step.wait, |_| Ok(()));
        // Of two errors the first is the cause: the export broke, and so the import.
        if let Some(why) = files.why() {
            return Err(why);
        }
        imported?;
        self.remove_container(step.site, step.wait)?;
        // An import takes its configuration as text; the commit of an untouched container, which follows, takes it as it is.
        let made = self.make_container(step, spec::idle(&name), None)?;
        made.changed = true;
        if let Some(image) = self.image.as_mut() {
            image.name = name;
            image.layers = 1;
        }
        Ok(())
    }
}

/// A file as `docker save` writes it, of an image named `name`, tag included: the layers of `committed`, by digest alone, and `config`.
fn image_file(
    name: &str,
    committed: &Image,
    config: &spec::Config,
    history: &[crate::engine::images::Step],
) -> Result<Vec<u8>> {
    let layers = &committed.root_fs.layers;
    let file = json!({
        "architecture": committed.architecture,
        "os": committed.os,
        "created": committed.created,
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": layers },
        "history": history_of(layers.len(), history),
    })
    .to_string();
    let names: Vec<String> = (0..layers.len())
        .map(|n| format!("{n}/layer.tar"))
        .collect();
    let manifest = json!([{
        "Config": "config.json",
        "RepoTags": [name],
        "Layers": names,
    }])
    .to_string();
    let packing = |e| Error::io("packing an image's configuration", &e);
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in [("manifest.json", manifest), ("config.json", file)] {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes())
            .map_err(packing)?;
    }
    tar.into_inner().map_err(packing)
}

/// The history as an image's configuration has it: oldest first, with as many lines that made a layer as there are layers.
/// The engine lists which lines made none only by their size.
fn history_of(layers: usize, listed: &[crate::engine::images::Step]) -> Vec<Value> {
    let mut empty = listed.len().saturating_sub(layers);
    let lines = listed.iter().rev().map(|line| {
        let made_none = empty > 0 && line.size == 0;
        empty -= usize::from(made_none);
        json!({
            "created": crate::store::clock::rfc3339(line.created),
            "created_by": line.created_by,
            "comment": line.comment,
            "empty_layer": made_none,
        })
    });
    lines.collect()
}
