//! Images: inspect, tag, remove, list, commit, import, load, pull, push.

use std::collections::HashMap;
use std::io::Read;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::engine::answer::List;
use crate::engine::call::{Call, QUICK, REMOVAL, Send};
use crate::engine::progress::Message;
use crate::engine::system::UPLOAD_STALL;
use crate::engine::{BodyReader, Engine, stopped};
use crate::error::{Error, ErrorKind, Result};
use crate::wait::Wait;

/// How often a list of images is requested again, and the pause before. Docker with containerd's image store (seen on 28.5) reads
/// each image after it has listed the names, and answers 404 if another request has removed one of them in the meantime. A second
/// in all outlasts the removals of a prune; an engine that fails for another reason is reported after that.
const RELISTS: u32 = 20;
const RELIST_PAUSE: Duration = Duration::from_millis(50);

/// The fields of an image that the store reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Image {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) repo_tags: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) repo_digests: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) variant: String,
    #[serde(default)]
    pub(crate) os: String,
    #[serde(default)]
    pub(crate) os_version: String,
    #[serde(default)]
    pub(crate) author: String,
    #[serde(default)]
    pub(crate) created: String,
    #[serde(default)]
    pub(crate) docker_version: String,
    /// The configuration that containers created from it inherit, as the engine wrote it.
    #[serde(default)]
    pub(crate) config: Option<Map<String, Value>>,
    #[serde(rename = "RootFS", default)]
    pub(crate) root_fs: RootFs,
    /// The size in bytes, including layers that it shares with others.
    #[serde(default)]
    pub(crate) size: u64,
}

/// How an engine accepts an image's file without layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Docker's own form.
    Saved,
    /// A layout with the descriptors of the compressed layers.
    Packed,
    /// A layout with the digests of the layers' contents.
    Digests,
}

/// The layers of an image.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RootFs {
    /// The digest of each layer's uncompressed tar, lowest first.
    pub(crate) layers: Vec<String>,
}

/// One image in a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListedImage {
    pub(crate) id: String,
    pub(crate) repo_tags: Option<Vec<String>>,
    /// The image that it was committed on, if the engine knows it.
    #[serde(default)]
    pub(crate) parent_id: String,
    /// Seconds since 1970.
    #[serde(default)]
    pub(crate) created: i64,
    /// The size in bytes, including layers that it shares with others.
    #[serde(default)]
    pub(crate) size: u64,
}

/// One image in a listing of those with a label. (In a listing of all images, the labels would use most of the memory.)
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LabelledImage {
    pub(crate) id: String,
    pub(crate) repo_tags: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) labels: Option<HashMap<String, String>>,
}

/// One entry of an image's history, newest first as the engine lists it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Step {
    /// Seconds since 1970.
    #[serde(default)]
    pub(crate) created: i64,
    #[serde(default)]
    pub(crate) created_by: String,
    #[serde(default)]
    pub(crate) comment: String,
    #[serde(default)]
    pub(crate) size: i64,
}

impl Step {
    /// Returns the entry of an additional layer of the given size, over an image with the history `earlier`.
    pub(crate) fn of_layer(comment: &str, earlier: &[Step], bytes: usize) -> Self {
        Step {
            created: earlier.first().map(|step| step.created).unwrap_or_default(),
            created_by: String::new(),
            comment: comment.to_owned(),
            size: i64::try_from(bytes).unwrap_or(i64::MAX),
        }
    }
}

impl Engine {
    /// Returns whether an image of this name exists, in one round trip. A broken connection is an error, never "absent".
    ///
    /// Uses GET although only the status is needed, because engines have no HEAD for it and answer it with 404 (seen on Docker
    /// 20.10).
    pub(crate) fn image_exists(&self, name: &str, wait: Wait<'_>) -> Result<bool> {
        let call = Call::get(self.path("/images").segment(name).fixed("/json"));
        self.exists(
            &format_args!("looking for image {name}"),
            call,
            wait.at_most(QUICK),
        )
    }

    /// Returns the image, or `None` if there is none of this name.
    pub(crate) fn inspect_image(&self, name: &str, wait: Wait<'_>) -> Result<Option<Image>> {
        let doing = format!("inspecting image {name}");
        let call = Call::get(self.path("/images").segment(name).fixed("/json"));
        found(self.ask(&doing, call, wait.at_most(QUICK)))
    }

    /// Returns the history of an image, newest first.
    pub(crate) fn image_history(&self, name: &str, wait: Wait<'_>) -> Result<Vec<Step>> {
        let doing = format!("reading the history of image {name}");
        let call = Call::get(self.path("/images").segment(name).fixed("/history"));
        self.ask(&doing, call, wait.at_most(QUICK))
    }

    /// Gives `source` the additional name `name`. If another image has it, that image loses it.
    pub(crate) fn tag_image(&self, source: &str, name: &str, wait: Wait<'_>) -> Result<()> {
        let doing = format!("tagging image {source} as {name}");
        let (repo, tag) = repo_and_tag(name);
        let target = self
            .path("/images")
            .segment(source)
            .fixed("/tag")
            .query("repo", repo)
            .query("tag", tag);
        self.done(&doing, Call::post(target).repeatable(), wait.at_most(QUICK))
    }

    /// Removes the name, and the image if it was its last name. Returns `false` if it did not exist.
    ///
    /// The engine responds only after a large image is removed from the disk. An engine that does not respond in five minutes
    /// may have removed it anyway (seen on 20.10, when another container's stalled copy blocked it), and so may one that
    /// failed: so it is queried.
    pub(crate) fn remove_image(&self, name: &str, wait: Wait<'_>) -> Result<bool> {
        let doing = format!("removing image {name}");
        let call = Call::delete(self.path("/images").segment(name));
        self.removes_for_sure(&doing, call, REMOVAL, wait, || {
            self.image_exists(name, wait)
        })
    }

    /// Returns the images with a name that matches the glob `reference`.
    pub(crate) fn list_images(&self, reference: &str, wait: Wait<'_>) -> Result<Vec<ListedImage>> {
        let doing = format!("listing images {reference}");
        self.filter_images(&doing, &json!({ "reference": [reference] }), wait)
    }

    /// Returns the images with `label`, `NAME` or `NAME=VALUE`, with and without names.
    pub(crate) fn list_labelled_images(
        &self,
        label: &str,
        wait: Wait<'_>,
    ) -> Result<Vec<LabelledImage>> {
        let doing = format!("listing images of {label}");
        self.filter_images(&doing, &json!({ "label": [label] }), wait)
    }

    /// Returns the images with `label` that have lost their names.
    pub(crate) fn list_nameless_images(
        &self,
        label: &str,
        wait: Wait<'_>,
    ) -> Result<Vec<ListedImage>> {
        let doing = format!("listing images of {label} without a name");
        let filters = json!({ "dangling": ["true"], "label": [label] });
        self.filter_images(&doing, &filters, wait)
    }

    fn filter_images<Listed: DeserializeOwned>(
        &self,
        doing: &str,
        filters: &Value,
        wait: Wait<'_>,
    ) -> Result<Vec<Listed>> {
        let target = self.path("/images/json");
        let target = target.query("filters", &filters.to_string());
        let mut again = 0..RELISTS;
        loop {
            let call = Call::get(target.clone());
            match self.ask::<List<_>>(&doing, call, wait.at_most(QUICK)) {
                Err(e) if e.kind() == ErrorKind::NotFound && again.next().is_some() => {
                    log::debug!("{e}; listed again");
                    let rested = wait.sleep(RELIST_PAUSE);
                    rested.map_err(|stop| stopped(&doing, stop))?;
                }
                listed => return listed.map(|listed| listed.0),
            }
        }
    }

    /// Creates an image of a container's files with the name `name`, which is the engine's last step. `config` is merged over
    /// the container's own configuration (moby `daemon/commit.go`, `merge`).
    ///
    /// Waits as long as the engine takes.
    pub(crate) fn commit(
        &self,
        container: &str,
        name: &str,
        config: &Value,
        author: &str,
        wait: Wait<'_>,
    ) -> Result<()> {
        let doing = format!("committing container {container} as {name}");
        let (repo, tag) = repo_and_tag(name);
        let mut target = self
            .path("/commit")
            .query("container", container)
            .query("repo", repo)
            .query("tag", tag)
            // The store never commits a running container; without this, Podman would pause it.
            .query("pause", "0");
        if !author.is_empty() {
            target = target.query("author", author);
        }
        self.with_layers_kept(&doing, wait, || {
            let call = Call::post(target.clone()).sending(Send::Json(config));
            self.done(&doing, call, wait)
        })
    }

    /// Creates an image named `name` with one layer, the files in the tar stream `source`. `change` is one Dockerfile
    /// instruction for its configuration.
    ///
    /// Waits as long as the stream and the engine take, but fails if the engine stops reading.
    pub(crate) fn import_image(
        &self,
        source: &mut dyn Read,
        name: &str,
        change: Option<&str>,
        wait: Wait<'_>,
        each: impl FnMut(&Message) -> Result<()>,
    ) -> Result<()> {
        let doing = format!("importing a tar stream as {name}");
        // The full name as the repository: Podman 4.3 ignores a separate tag, and names the image `latest`.
        let (repo, tag) = repo_and_tag(name);
        let mut target = self
            .path("/images/create")
            .query("fromSrc", "-")
            .query("repo", &format!("{repo}:{tag}"));
        if let Some(change) = change {
            target = target.query("changes", change);
        }
        // Podman identifies an image by its record, whose time is in whole seconds. So two imports of the same files would be
        // the same image, and an operation on one would affect the other.
        if self.is_podman() {
            target = target.query("message", &format!("Imported as {name}"));
        }
        let call = Call::post(target).sending(Send::Tar(source, UPLOAD_STALL));
        self.call(&doing, call, wait)
            .and_then(|response| self.follow(&doing, response, wait, each))
            .map_err(|e| self.lost_or(e))
    }

    /// Returns the whole image as one tar stream.
    pub(crate) fn save_image<'a>(&'a self, name: &str, wait: Wait<'a>) -> Result<BodyReader<'a>> {
        let doing = format!("saving image {name}");
        let call = Call::get(self.path("/images").segment(name).fixed("/get"));
        let response = self.call(&doing, call, wait)?;
        Ok(BodyReader::new(self, doing, response, wait))
    }

    /// Loads a tar in the form of `docker save`.
    pub(crate) fn load_image(&self, tar: &mut dyn Read, name: &str, wait: Wait<'_>) -> Result<()> {
        let doing = format!("loading image {name}");
        let call = Call::post(self.path("/images/load").query("quiet", "1"));
        self.call(&doing, call.sending(Send::Tar(tar, UPLOAD_STALL)), wait)
            .and_then(|response| self.follow(&doing, response, wait, |_| Ok(())))
            .map_err(|e| self.lost_or(e))
    }

    /// The same for a tar that can be sent again.
    pub(crate) fn load_image_file(&self, tar: &[u8], name: &str, wait: Wait<'_>) -> Result<()> {
        let doing = format!("loading image {name}");
        self.with_layers_kept(&doing, wait, || self.load_image(&mut &tar[..], name, wait))
    }

    /// Pulls `reference` from its registry, for `platform` or the engine's own. `auth` is the value of `X-Registry-Auth`:
    /// base64url, padded, of a JSON object.
    ///
    /// Waits as long as the registry takes.
    pub(crate) fn pull_image(
        &self,
        reference: &str,
        platform: Option<&str>,
        auth: Option<&str>,
        wait: Wait<'_>,
        each: impl FnMut(&Message) -> Result<()>,
    ) -> Result<()> {
        let doing = format!("pulling {reference}");
        let mut target = self.path("/images/create").query("fromImage", reference);
        // Without a tag the engine would pull every tag of the repository.
        if !reference.contains('@') && !has_tag(reference) {
            target = target.query("tag", "latest");
        }
        if let Some(platform) = platform {
            target = target.query("platform", platform);
        }
        let call = Call {
            registry_auth: auth,
            ..Call::post(target)
        };
        let response = self.call(&doing, call, wait)?;
        self.follow(&doing, response, wait, each)
    }

    /// Pushes the image `name` to the registry in the name. `auth` is as for a pull; without any value an engine refuses a
    /// push.
    ///
    /// Waits as long as the registry takes.
    pub(crate) fn push_image(
        &self,
        name: &str,
        auth: &str,
        wait: Wait<'_>,
        each: impl FnMut(&Message) -> Result<()>,
    ) -> Result<()> {
        let doing = format!("pushing {name}");
        let (repo, tag) = repo_and_tag(name);
        let target = self.path("/images").segment(repo).fixed("/push");
        let call = Call {
            registry_auth: Some(auth),
            ..Call::post(target.query("tag", tag))
        };
        let response = self.call(&doing, call, wait)?;
        self.follow(&doing, response, wait, each)
    }
}

/// Returns whether an image's name ends in a tag. A colon before the last slash separates a registry's port.
fn has_tag(name: &str) -> bool {
    name.rsplit('/')
        .next()
        .is_some_and(|last| last.contains(':'))
}

/// Returns the repository and the tag of an image's name; `latest` if it has no tag.
fn repo_and_tag(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some(parts) if has_tag(name) => parts,
        _ => (name, "latest"),
    }
}

/// Turns "not found" into `None`.
pub(super) fn found<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Returns the "not found" error for an object that must exist.
pub(crate) fn must_exist(what: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("{what} does not exist on the engine"),
    )
}

#[cfg(test)]
mod tests {
    use super::repo_and_tag;

    #[test]
    fn a_registrys_port_is_no_tag() {
        assert_eq!(repo_and_tag("a"), ("a", "latest"));
        assert_eq!(repo_and_tag("a:1"), ("a", "1"));
        assert_eq!(repo_and_tag("h:5000/a"), ("h:5000/a", "latest"));
        assert_eq!(repo_and_tag("h:5000/a:1"), ("h:5000/a", "1"));
    }
}
