//! The parts of an image's file besides its layers: descriptors, a manifest, an index, in both forms.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::store::names::hex;
use crate::store::reference;

/// The maximum size of a description in an image's file, and of all of them together. They are held in memory. The first is the
/// size of manifests that the OCI distribution specification wants registries to accept; sixteen of them leave room for an
/// index of several platforms.
pub(crate) const BLOB_MAX: u64 = 4 << 20;
pub(crate) const BLOBS_MAX: u64 = 16 * BLOB_MAX;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// The file that marks a tar as a layout.
pub(crate) const LAYOUT_FILE: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Returns the descriptor of these bytes.
pub(crate) fn described(kind: &str, bytes: &[u8]) -> Value {
    descriptor(kind, &digest(bytes), bytes.len() as u64)
}

pub(crate) fn descriptor(kind: &str, digest: &str, size: u64) -> Value {
    json!({ "mediaType": kind, "digest": digest, "size": size })
}

/// Returns a manifest of a configuration and layers, given their descriptors.
pub(crate) fn manifest(config: &Value, layers: &[Value]) -> Vec<u8> {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": layers,
    });
    manifest.to_string().into_bytes()
}

/// Returns the index of a layout of one image, with the image's name, tag included.
pub(crate) fn index(manifest: &[u8], name: Option<&str>) -> Vec<u8> {
    let mut listed = described(MANIFEST, manifest);
    if let Some(name) = name {
        let full = reference::full(name);
        // The first is containerd's, the second Podman's, which requires the full name in it.
        listed["annotations"] = json!({
            "io.containerd.image.name": full,
            "org.opencontainers.image.ref.name": full,
        });
    }
    let index = json!({ "schemaVersion": 2, "manifests": [listed] });
    index.to_string().into_bytes()
}

/// Returns the list of images of a docker archive: one image, with the paths of its configuration and its layers.
pub(crate) fn docker_manifest(config: &str, layers: &[String], name: Option<&str>) -> Vec<u8> {
    let tags = name.map(|name| vec![name]);
    let manifest = json!([{ "Config": config, "RepoTags": tags, "Layers": layers }]);
    manifest.to_string().into_bytes()
}

/// Returns the path of a blob in a layout.
pub(crate) fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

/// Returns the digest of these bytes, `sha256:…`.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// Returns the header of a file in a tar. It does not depend on the program or the time.
pub(crate) fn file_header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}
