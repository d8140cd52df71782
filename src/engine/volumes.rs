//! Volumes: create, inspect, remove, list.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::engine::answer::List;
use crate::engine::call::{Call, QUICK, REMOVAL, Send};
use crate::engine::images::found;
use crate::error::{Error, ErrorKind, Result};
use crate::wait::Wait;

/// The fields of a volume that the store reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Volume {
    pub(crate) name: String,
    /// Where its files are, on the engine's host.
    #[serde(default)]
    pub(crate) mountpoint: String,
    #[serde(default)]
    pub(crate) labels: Option<HashMap<String, String>>,
    /// When it was created, or its root directory was last changed, as text.
    #[serde(default)]
    pub(crate) created_at: String,
}

impl Volume {
    /// Returns the value of a label, if it has it.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.as_ref()?.get(name).map(String::as_str)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    volumes: Option<List<Volume>>,
}

/// The engine's disk usage; only the part about volumes is read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DiskUsage {
    volumes: Option<List<MeasuredVolume>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MeasuredVolume {
    name: String,
    usage_data: Option<UsageData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UsageData {
    /// -1 if the engine does not know.
    size: i64,
}

impl Engine {
    /// Creates a local volume. `labels` and `options` are JSON objects.
    ///
    /// If a volume of this name exists, an engine returns it and ignores the other parameters, so the name must be new. The
    /// returned `labels` are compared to make sure.
    pub(crate) fn create_volume(
        &self,
        name: &str,
        labels: &Value,
        options: &Value,
        wait: Wait<'_>,
    ) -> Result<Volume> {
        let made = self.create_or_find_volume(name, labels, options, wait)?;
        let same = labels.as_object().is_none_or(|want| {
            want.iter()
                .all(|(name, value)| made.label(name) == value.as_str())
        });
        if made.name != name || !same {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("creating volume {name}: the engine has another volume of this name"),
            ));
        }
        Ok(made)
    }

    /// Creates a local volume, or finds the existing one of that name: the labels in the response show which.
    pub(crate) fn create_or_find_volume(
        &self,
        name: &str,
        labels: &Value,
        options: &Value,
        wait: Wait<'_>,
    ) -> Result<Volume> {
        let doing = format!("creating volume {name}");
        let body =
            json!({ "Name": name, "Driver": "local", "DriverOpts": options, "Labels": labels });
        // Repeatable, because a second request with the same labels returns the first volume.
        let call = Call::post(self.path("/volumes/create"))
            .sending(Send::Json(&body))
            .repeatable();
        let made: Volume = self.ask(&doing, call, wait.at_most(QUICK))?;
        // After a start of the engine, and until a volume is inspected, an older volume is returned without its labels (seen on
        // Docker 20.10; moby's `volume/service/store.go` says "there could be some inconsistent details such as labels here").
        if made.labels.as_ref().is_none_or(HashMap::is_empty) {
            let known = self.inspect_volume(name, wait)?;
            return Ok(known.unwrap_or(made));
        }
        Ok(made)
    }

    /// Returns the volume, or `None` if it does not exist.
    pub(crate) fn inspect_volume(&self, name: &str, wait: Wait<'_>) -> Result<Option<Volume>> {
        let doing = format!("inspecting volume {name}");
        found(self.ask(
            &doing,
            Call::get(self.path("/volumes").segment(name)),
            wait.at_most(QUICK),
        ))
    }

    /// Removes a volume and its contents. Returns `false` if it did not exist. Returns [`Conflict`](ErrorKind::Conflict) while
    /// any container, even one that never started, mounts it.
    ///
    /// Waits while the engine unlinks the files. If the request fails, the engine may have removed the volume anyway, so it is
    /// queried.
    pub(crate) fn remove_volume(&self, name: &str, wait: Wait<'_>) -> Result<bool> {
        let doing = format!("removing volume {name}");
        let call = Call::delete(self.path("/volumes").segment(name));
        self.removes_for_sure(&doing, call, REMOVAL, wait, || {
            Ok(self.inspect_volume(name, wait)?.is_some())
        })
    }

    /// Returns the volumes whose name contains `name`.
    pub(crate) fn list_volumes(&self, name: &str, wait: Wait<'_>) -> Result<Vec<Volume>> {
        self.filter_volumes(name, &json!({ "name": [name] }), wait)
    }

    /// Returns the volumes with `label`, `NAME` or `NAME=VALUE`.
    pub(crate) fn list_labelled_volumes(&self, label: &str, wait: Wait<'_>) -> Result<Vec<Volume>> {
        self.filter_volumes(label, &json!({ "label": [label] }), wait)
    }

    /// Returns the size of each volume in bytes, as the engine measures it. The engine examines every file of every volume, and
    /// an older one (before API 1.42) also all images.
    pub(crate) fn volume_sizes(&self, wait: Wait<'_>) -> Result<HashMap<String, u64>> {
        let call = Call::get(self.path("/system/df").query("type", "volume"));
        let said: DiskUsage = self.ask(
            &"asking for the sizes of volumes",
            call,
            wait.at_most(REMOVAL),
        )?;
        let volumes = said.volumes.map_or_else(Vec::new, |list| list.0);
        let known = |volume: MeasuredVolume| {
            let size = volume.usage_data?.size;
            Some((volume.name, size.try_into().ok()?))
        };
        Ok(volumes.into_iter().filter_map(known).collect())
    }

    fn filter_volumes(&self, what: &str, filters: &Value, wait: Wait<'_>) -> Result<Vec<Volume>> {
        let doing = format!("listing volumes {what}");
        let filters = filters.to_string();
        let call = Call::get(self.path("/volumes").query("filters", &filters));
        let listed: Listed = self.ask(&doing, call, wait.at_most(QUICK))?;
        Ok(listed.volumes.map_or_else(Vec::new, |list| list.0))
    }
}
