//! What an image has besides its files: its configuration, its platform and its author. A result inherits all of it from its
//! base.
//!
//! An engine takes it over unchanged when it loads a file that names the layers and contains none.

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
    /// Everything that the engine shows of the image, except its configuration.
    pub(super) image: Image,
}

impl Record {
    pub(super) fn of(mut image: Image) -> Self {
        Record {
            config: image.config.take().unwrap_or_default(),
            image,
        }
    }

    /// Returns what the record of a result keeps of its base.
    pub(super) fn as_base(&self, id: &Id) -> Base {
        Base {
            id: id.as_str().to_owned(),
            image: self.image.id.clone(),
            bytes: self.image.size,
            shared: true,
        }
    }

    /// Returns whether the engine would create volumes of its own in every container created from the image: what is written
    /// there is not part of a commit, and is lost with the container.
    pub(super) fn declares_volumes(&self) -> bool {
        let volumes = self.config.get("Volumes").and_then(Value::as_object);
        volumes.is_some_and(|volumes| !volumes.is_empty())
    }

    /// Returns the paths of the declared volumes, as absolute paths.
    pub(super) fn places(&self) -> Vec<String> {
        let volumes = self.config.get("Volumes").and_then(Value::as_object);
        let paths = volumes.into_iter().flat_map(|volumes| volumes.keys());
        paths
            .map(|path| format!("/{}", path.trim_start_matches('/')))
            .filter(|path| absolute("a volume's path", path).is_ok())
            .collect()
    }

    /// Returns the configuration without volumes.
    pub(super) fn bare_config(&self) -> Config {
        let mut config = self.config.clone();
        config.remove("Volumes");
        config
    }

    /// Returns this record as an engine stores it, but with `config`, and with the layers and history of `image`.
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

/// Returns the history in the form of an image's configuration: oldest first, with as many entries that created a layer as
/// there are layers. The engine's list shows only by size which entries created none.
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
