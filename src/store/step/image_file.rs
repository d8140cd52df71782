//! An image's file without its layers. An engine that has the layers takes the image's record from it unchanged. There are
//! three dialects:
//!
//! - Docker with graph drivers requires its own form (`docker save`), in which layers are files that may be missing (moby
//!   `image/tarexport/load.go`);
//! - Docker with containerd's image store requires an OCI layout with the descriptors of the compressed layers as it stores
//!   them;
//! - Podman requires an OCI layout whose layers are named by the digests of their contents.
//!
//! Given the wrong dialect, an engine may report "Loaded image" and then have an image that no container can be created from.
//! So the loaded image is checked.

use std::collections::HashMap;
use std::io::{self, Read};

use serde_json::{Value, json};

use crate::engine::images::Image;
use crate::error::{Error, ErrorKind, Result};
use crate::store::image_archive::parts::{
    self, BLOB_MAX, BLOBS_MAX, CONFIG, LAYER, blob, described, digest,
};
use crate::store::step::spec::Config;

/// A layer that the engine does not have yet: its tar.
pub(super) type NewLayer<'a> = Option<&'a [u8]>;

/// Returns the digest of a layer's contents.
pub(super) fn layer_digest(tar: &[u8]) -> String {
    digest(tar)
}

/// Builds a file as `docker save` writes it, of an image named `name`, tag included, with the given number of layers. `top` is
/// the last of them, if the engine does not have it.
pub(super) fn saved(
    name: &str,
    record: &[u8],
    layers: usize,
    top: NewLayer<'_>,
) -> Result<Vec<u8>> {
    let names: Vec<String> = (0..layers).map(|n| format!("{n}/layer.tar")).collect();
    let manifest = parts::docker_manifest("config.json", &names, Some(name));
    let mut files = vec![
        ("manifest.json".to_owned(), manifest.as_slice()),
        ("config.json".to_owned(), record),
    ];
    files.extend(names.last().cloned().zip(top));
    pack(&files)
}

/// Builds an OCI layout of an image named `name`, tag included, whose layers have these descriptors. `top` is on top of them.
pub(super) fn layout(
    name: &str,
    record: &[u8],
    layers: &[Value],
    top: NewLayer<'_>,
) -> Result<Vec<u8>> {
    let new = top.map(|tar| described(LAYER, tar));
    let layers: Vec<Value> = layers.iter().cloned().chain(new).collect();
    let manifest = parts::manifest(&described(CONFIG, record), &layers);
    let index = parts::index(&manifest, Some(name));
    let blob = |bytes| blob(&digest(bytes));
    let mut files: Vec<(String, &[u8])> = vec![
        ("oci-layout".into(), parts::LAYOUT_FILE),
        ("index.json".into(), index.as_slice()),
        (blob(&manifest), manifest.as_slice()),
        (blob(record), record),
    ];
    files.extend(top.map(|tar| (blob(tar), tar)));
    pack(&files)
}

/// Returns the descriptors of layers that are named by the digests of their contents.
pub(super) fn by_digests(layers: &[String]) -> Vec<Value> {
    let layer = |digest| json!({ "mediaType": LAYER, "digest": digest, "size": 1 });
    layers.iter().map(layer).collect()
}

/// Extracts the descriptors of the compressed layers of the image `id` from a file of it as `docker save` writes it. Reads only
/// up to the descriptors.
pub(super) fn descriptors(saved: &mut dyn Read, id: &str) -> io::Result<Vec<Value>> {
    let mut blobs = HashMap::new();
    let mut first = id.to_owned();
    let mut left = BLOBS_MAX;
    for entry in tar::Archive::new(saved).entries()? {
        let mut entry = entry?;
        if entry.size() > BLOB_MAX {
            continue;
        }
        let path = entry.path()?.to_string_lossy().into_owned();
        let mut text = Vec::new();
        entry.read_to_end(&mut text)?;
        let length = text.len() as u64;
        left = left
            .checked_sub(length)
            .ok_or_else(|| io::Error::other("there are too many descriptions in its file"))?;
        let Ok(value) = serde_json::from_slice::<Value>(&text) else {
            continue;
        };
        if path == "index.json" && !blobs.contains_key(&first) {
            let listed = value["manifests"][0]["digest"].as_str();
            first = listed.unwrap_or_default().to_owned();
        } else if let Some(hex) = path.strip_prefix("blobs/sha256/") {
            blobs.insert(format!("sha256:{hex}"), value);
        }
        if let Some(layers) = layers_of(&blobs, &first, 3) {
            return Ok(layers);
        }
    }
    Err(io::Error::other("there is no manifest of it in its file"))
}

/// Returns the layers in the manifest `digest`, or in one that it lists.
fn layers_of(blobs: &HashMap<String, Value>, digest: &str, depth: u32) -> Option<Vec<Value>> {
    let found = blobs.get(digest)?;
    if let Some(layers) = found["layers"].as_array() {
        return Some(layers.clone());
    }
    let mut listed = found["manifests"].as_array()?.iter();
    let depth = depth.checked_sub(1)?;
    listed.find_map(|listed| layers_of(blobs, listed["digest"].as_str()?, depth))
}

/// Refuses an image that is not what was loaded: it must have these layers and this configuration, and name an operating
/// system.
pub(super) fn check(name: &str, loaded: &Image, layers: &[String], config: &Config) -> Result<()> {
    let of = |config: &Config| plain(&Value::Object(config.clone()));
    let got = loaded.config.as_ref().map(of).unwrap_or_default();
    let why = match () {
        () if loaded.os.is_empty() => String::from("it names no operating system"),
        () if loaded.root_fs.layers != layers => String::from("it has other layers"),
        () if got != of(config) => format!("its configuration is {got} and not {}", of(config)),
        () => return Ok(()),
    };
    let why = format!("loading image {name}: the engine took it, and has another one: {why}");
    Err(Error::new(ErrorKind::Engine, why))
}

/// Reduces a configuration to what has meaning: engines write an unset field as null, as an empty value, or not at all.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| (key.clone(), plain(value)));
            // A volume or port is declared by the presence of its key.
            let says = |(key, value): &(String, Value)| !value.is_null() || key.contains('/');
            let kept: serde_json::Map<_, _> = fields.filter(says).collect();
            if kept.is_empty() {
                return Value::Null;
            }
            Value::Object(kept)
        }
        Value::Array(all) if all.is_empty() => Value::Null,
        Value::String(text) if text.is_empty() => Value::Null,
        Value::Bool(false) => Value::Null,
        Value::Number(number) if number.as_i64() == Some(0) => Value::Null,
        other => other.clone(),
    }
}

fn pack(files: &[(String, &[u8])]) -> Result<Vec<u8>> {
    let packing = |e| Error::io("packing an image's configuration", &e);
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = parts::file_header(content.len() as u64);
        tar.append_data(&mut header, path, *content)
            .map_err(packing)?;
    }
    tar.into_inner().map_err(packing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(file: &[u8]) -> HashMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(file);
        let entries = archive.entries().expect("a tar");
        entries
            .map(|entry| {
                let mut entry = entry.expect("an entry");
                let path = entry.path().expect("a path").to_string_lossy().into_owned();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).expect("content");
                (path, content)
            })
            .collect()
    }

    fn value(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).expect("JSON")
    }

    #[test]
    fn a_layout_names_its_parts_by_what_is_in_them() {
        let record = br#"{"os":"linux"}"#;
        let layers = by_digests(&["sha256:aa".into(), "sha256:bb".into()]);
        let files =
            files(&layout("p-image-tmp-x:2", record, &layers, Some(b"the top")).expect("a file"));
        for (path, content) in &files {
            if let Some(hex) = path.strip_prefix("blobs/sha256/") {
                assert_eq!(format!("sha256:{hex}"), digest(content));
            }
        }
        let index = value(&files["index.json"]);
        let listed = &index["manifests"][0];
        let full = "docker.io/library/p-image-tmp-x:2";
        for name in [
            "io.containerd.image.name",
            "org.opencontainers.image.ref.name",
        ] {
            assert_eq!(listed["annotations"][name], full);
        }
        let blob = |described: &Value| {
            let digest = described["digest"].as_str().expect("a digest");
            let path = format!("blobs/sha256/{}", digest.trim_start_matches("sha256:"));
            assert_eq!(described["size"], files[&path].len());
            files[&path].clone()
        };
        let manifest = value(&blob(listed));
        assert_eq!(blob(&manifest["config"]), record);
        assert_eq!(manifest["layers"][1]["digest"], "sha256:bb");
        assert_eq!(blob(&manifest["layers"][2]), b"the top");
    }

    #[test]
    fn a_file_as_docker_saves_it_names_layers_and_holds_none() {
        let with_top = saved("a:1", b"{}", 3, Some(b"the top")).expect("a file");
        assert_eq!(files(&with_top)["2/layer.tar"], b"the top");
        let files = files(&saved("a:1", b"{}", 3, None).expect("a file"));
        let manifest = value(&files["manifest.json"]);
        assert_eq!(manifest[0]["RepoTags"], json!(["a:1"]));
        assert_eq!(manifest[0]["Layers"].as_array().map(Vec::len), Some(3));
        assert_eq!(files["config.json"], b"{}");
        assert_eq!(files.len(), 2);
    }

    #[test]
    fn packed_layers_are_found_by_the_images_id_or_by_the_index() {
        let layers = json!([{ "digest": "sha256:packed", "size": 7, "mediaType": "m" }]);
        let manifest = json!({ "config": {}, "layers": layers }).to_string();
        let id = digest(manifest.as_bytes());
        let many = json!({ "manifests": [{ "digest": "sha256:not-here" }, { "digest": id }] });
        let many = many.to_string();
        let many_id = digest(many.as_bytes());
        let index = json!({ "manifests": [{ "digest": many_id }] }).to_string();
        let blob = |bytes: &str| blob(&digest(bytes.as_bytes()));
        let file = pack(&[
            ("blobs/sha256/0".into(), b"no JSON"),
            (blob(&many), many.as_bytes()),
            (blob(&manifest), manifest.as_bytes()),
            ("index.json".into(), index.as_bytes()),
        ])
        .expect("a file");
        for id in [&id, &many_id, "sha256:of-a-configuration"] {
            let found = descriptors(&mut file.as_slice(), id).expect("found");
            assert_eq!(json!(found), layers, "{id}");
        }
        // More than any image has, in a part that does not belong to the image: refused, and not kept.
        let large = format!("\"{}\"", "x".repeat(BLOB_MAX as usize / 2));
        let many: Vec<_> = (0..40)
            .map(|n| (format!("blobs/sha256/{n}"), large.as_bytes()))
            .collect();
        let many = pack(&many).expect("a file");
        let refused = descriptors(&mut many.as_slice(), &id).expect_err("too many");
        assert!(refused.to_string().contains("too many"), "{refused}");
        let none = pack(&[("index.json".into(), index.as_bytes())]).expect("a file");
        assert!(descriptors(&mut none.as_slice(), &id).is_err());
        assert!(descriptors(&mut &file[..700], &id).is_err());
    }

    #[test]
    fn a_broken_image_is_not_taken_for_the_one_that_was_loaded() {
        let config = |value: Value| value.as_object().cloned().expect("an object");
        let wanted = config(json!({
            "Env": null, "Cmd": ["a"], "Volumes": { "/data": {} }, "Hostname": "", "Tty": false,
        }));
        let image = |os: &str, layers: &[&str], config: Value| -> Image {
            let image =
                json!({ "Id": "i", "Os": os, "Config": config, "RootFS": { "Layers": layers } });
            serde_json::from_value(image).expect("an image")
        };
        let same = json!({ "Env": [], "Cmd": ["a"], "Volumes": { "/data": {} } });
        let layers = ["sha256:a".to_owned()];
        let check = |image: Image| super::check("n", &image, &layers, &wanted);
        assert!(check(image("linux", &["sha256:a"], same.clone())).is_ok());
        // How containerd's store shows an image whose layers it cannot find.
        assert!(check(image("", &["sha256:a"], same.clone())).is_err());
        assert!(check(image("linux", &[], same)).is_err());
        for leak in [
            json!({ "Env": ["PATH=/bin"], "Cmd": ["a"], "Volumes": { "/data": {} } }),
            json!({ "Cmd": ["a"] }),
            json!({ "Cmd": ["a"], "Volumes": { "/data": {} }, "User": "0" }),
        ] {
            assert!(check(image("linux", &["sha256:a"], leak)).is_err());
        }
    }
}
