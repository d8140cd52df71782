//! What an image has beside its files: its configuration, and for what machine and by whom it was made. A result has what its base has.
//!
//! An engine can be given it word for word by loading a file that names the layers and holds none.

use serde_json::{Map, Value, json};

use crate::engine::images::{Image, Step};
use crate::store::archive::absolute;
use crate::store::bounds::record::Base;
use crate::store::clock::rfc3339;
use crate::store::names::Id;
use crate::store::step::spec::Config;

/// The record of a step's base.
pub(super) struct Record {
    pub(super) config: Config,
    /// All that the engine shows of it; its configuration is taken out.
    pub(super) image: Image,
}

impl Record {
    pub(super) fn of(mut image: Image) -> Self {
        Record {
            config: image.config.take().unwrap_or_default(),
            image,
        }
    }

    /// What is kept of it in the record of a result.
    pub(super) fn as_base(&self, id: &Id) -> Base {
        Base {
            id: id.as_str().to_owned(),
            image: self.image.id.clone(),
            bytes: self.image.size,
            shared: true,
        }
    }

    /// Whether the engine would put volumes of its own in every container made of it: what is written there is in no commit, and gone
    /// with the container.
    pub(super) fn declares_volumes(&self) -> bool {
        let volumes = self.config.get("Volumes").and_then(Value::as_object);
        volumes.is_some_and(|volumes| !volumes.is_empty())
    }

    /// The places of the declared volumes, as absolute paths.
    pub(super) fn places(&self) -> Vec<String> {
        let volumes = self.config.get("Volumes").and_then(Value::as_object);
        let paths = volumes.into_iter().flat_map(|volumes| volumes.keys());
        paths
            .map(|path| format!("/{}", path.trim_start_matches('/')))
            .filter(|path| absolute("a volume's path", path).is_ok())
            .collect()
    }

    /// The configuration without volumes.
    pub(super) fn bare_config(&self) -> Config {
        let mut config = self.config.clone();
        config.remove("Volumes");
        config
    }

    /// This record as an engine keeps it, but with `config`, and with the layers and history of `image`.
    pub(super) fn written(&self, config: &Config, image: &Image, history: &[Step]) -> Vec<u8> {
        let base = &self.image;
        let layers = &image.root_fs.layers;
        let mut file = Map::new();
        for (field, value) in [
            ("architecture", &base.architecture),
            ("variant", &base.variant),
            ("os", &base.os),
            ("os.version", &base.os_version),
            ("author", &base.author),
            ("created", &image.created),
            ("docker_version", &image.docker_version),
        ] {
            if !value.is_empty() {
                file.insert(field.to_owned(), json!(value));
            }
        }
        file.insert("config".to_owned(), json!(config));
        let rootfs = json!({ "type": "layers", "diff_ids": layers });
        file.insert("rootfs".to_owned(), rootfs);
        file.insert("history".to_owned(), history_of(layers.len(), history));
        Value::Object(file).to_string().into_bytes()
    }
}

/// The history as an image's configuration has it: oldest first, with as many lines that made a layer as there are layers.
/// The engine lists which lines made none only by their size.
fn history_of(layers: usize, listed: &[Step]) -> Value {
    let mut empty = listed.len().saturating_sub(layers);
    let lines = listed.iter().rev().map(|line| {
        let made_none = empty > 0 && line.size == 0;
        empty -= usize::from(made_none);
        json!({
            "created": rfc3339(line.created),
            "created_by": line.created_by,
            "comment": line.comment,
            "empty_layer": made_none,
        })
    });
    lines.collect()
}
