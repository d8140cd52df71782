//! A container that is never started. Through its archive calls, a user who is only in the `docker` group can access volumes on
//! any machine, without a shell in any image.

use std::io::Read;
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::{BodyReader, stopped};
use crate::error::{Error, ErrorKind, Result};
use crate::store::lock::FileLock;
use crate::store::ownership::LABEL_ROOT;
use crate::store::site::Site;
use crate::wait::Wait;

/// An empty tar file: two blocks of zeros.
const EMPTY_TAR: [u8; 1024] = [0; 1024];

/// How often, and with which pause, a container is looked for that the engine may not have created yet. Creating one takes
/// milliseconds, so half a second usually finds it. Otherwise the session stays owing, and a later open looks again.
const LOOKS: u32 = 10;
const LOOK: Duration = Duration::from_millis(50);

/// A container with mounted volumes that is never started. It is removed when it is dropped: immediately, or in the background
/// if the engine is slow.
pub(crate) struct Helper<'a> {
    site: &'a Site,
    id: String,
    wait: Wait<'a>,
}

impl<'a> Helper<'a> {
    /// Mounts each `(volume, path)` of `volumes`, without copying files of the image into them.
    ///
    /// The creation must not be interrupted: the engine would continue with it, and could create the container after the
    /// cleanup.
    pub(crate) fn create(site: &'a Site, volumes: &[(&str, &str)], wait: Wait<'a>) -> Result<Self> {
        let mounts = volumes
            .iter()
            .map(|(volume, target)| volume_mount(volume, target, false))
            .collect();
        Helper::with(site, mounts, wait)
    }

    /// Mounts a directory of the engine's host at `path`.
    pub(crate) fn beside(
        site: &'a Site,
        directory: &str,
        path: &str,
        wait: Wait<'a>,
    ) -> Result<Self> {
        Helper::with(site, vec![bind_mount(directory, path, false)], wait)
    }

    fn with(site: &'a Site, mounts: Vec<Value>, wait: Wait<'a>) -> Result<Self> {
        let image = site.names.empty_image();
        let spec = json!({
            "Image": image,
            // Never run, but the engine requires a command.
            "Cmd": ["-"],
            "Labels": site.labels("helper"),
            "NetworkDisabled": true,
            "HostConfig": {
                "NetworkMode": "none",
                "LogConfig": { "Type": "none" },
                "Mounts": mounts,
            },
        });
        let name = site.names.helper(&site.session.unique());
        let made = match site.engine.create_container(&name, &spec, wait.whole()) {
            // This is the first helper of this store, or the image was removed.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                make_empty_image(site, wait)?;
                site.engine.create_container(&name, &spec, wait.whole())
            }
            made => made,
        };
        let id = made.inspect_err(|e| remove_if_made(site, &name, e, wait))?;
        Ok(Helper { site, id, wait })
    }

    /// Extracts a tar stream into `path`, with owners and modes as in the stream.
    pub(crate) fn put(&self, path: &str, source: &mut dyn Read, wait: Wait<'_>) -> Result<()> {
        self.site.engine.put_archive(&self.id, path, source, wait)
    }

    /// Returns `path` as a tar stream. Do not feed it into the same container: that deadlocks the engine.
    pub(crate) fn get<'b>(&'b self, path: &str, wait: Wait<'b>) -> Result<BodyReader<'b>> {
        self.site.engine.get_archive(&self.id, path, wait)
    }

    /// Removes the container; the volumes are kept.
    pub(crate) fn remove(self) {
        drop(self);
    }
}

impl Drop for Helper<'_> {
    fn drop(&mut self) {
        self.site.remove_container(&self.id, self.wait);
    }
}

/// Removes a container whose creation failed. A lost response does not mean that it was not created, and the engine may still
/// be creating it. A container that remained would hold its volumes for as long as this session is active.
pub(crate) fn remove_if_made(site: &Site, name: &str, failure: &Error, wait: Wait<'_>) {
    let looks = match (failure.may_go_on(), failure.http_status()) {
        (false, _) => return,
        // The engine has responded, so it has finished, whatever it did.
        (true, Some(_)) => 1,
        (true, None) => LOOKS,
    };
    let e = match seek(site, name, looks, wait.clean_up()) {
        Ok(true) => return,
        // It may still be created later.
        Ok(false) => return site.session.owe(),
        Err(e) => e,
    };
    site.session.owe();
    let name = name.to_owned();
    site.try_again(&e, move |site| {
        seek(site, &name, looks, Wait::unbounded()).map(drop)
    });
}

/// Looks several times for a container that may still be created, and removes it. Returns `false` if it never appeared.
fn seek(site: &Site, name: &str, looks: u32, wait: Wait<'_>) -> Result<bool> {
    for _ in 0..looks {
        if site.engine.remove_container(name, wait)? {
            return Ok(true);
        }
        let doing = format!("looking for container {name}");
        wait.sleep(LOOK).map_err(|stop| stopped(&doing, stop))?;
    }
    Ok(false)
}

/// Creates the image that helpers are created from, unless another process is doing so. It has no files, so no registry is
/// needed.
pub(crate) fn make_empty_image(site: &Site, wait: Wait<'_>) -> Result<()> {
    // Two concurrent imports would take the name from each other, and leave an image without a name.
    let lock = FileLock::take(&site.paths.of_engine().join("empty-image"), wait)?;
    let name = site.names.empty_image();
    let made = match site.engine.image_exists(&name, wait) {
        Ok(false) => {
            let label = format!("LABEL {LABEL_ROOT}={}", site.owner.root);
            let change = Some(label.as_str());
            let doing = format!("creating image {name}");
            site.engine.with_layers_kept(&doing, wait, || {
                let mut files = EMPTY_TAR.as_slice();
                let engine = &site.engine;
                engine.import_image(&mut files, &name, change, wait, |_| Ok(()))
            })
        }
        there => there.map(drop),
    };
    lock.remove();
    made
}

/// Returns a mount of a volume. Always with `NoCopy`: otherwise the engine fills an empty volume from the image and changes the
/// owner of its root directory.
pub(crate) fn volume_mount(volume: &str, target: &str, read_only: bool) -> Value {
    json!({
        "Type": "volume",
        "Source": volume,
        "Target": target,
        "ReadOnly": read_only,
        "VolumeOptions": { "NoCopy": true },
    })
}

/// Returns a mount of a file or directory of the engine's host, which must exist.
pub(crate) fn bind_mount(path: &str, target: &str, read_only: bool) -> Value {
    json!({ "Type": "bind", "Source": path, "Target": target, "ReadOnly": read_only })
}
