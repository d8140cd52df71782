//! A container that is never started: the engine's way to reach into volumes with tar streams alone, for a user who is only
//! in the `docker` group, on any machine, without a shell in any image.

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

/// How often, and with which pause, a container is looked for that the engine may not have made yet. A create takes
/// milliseconds, so half a second finds it mostly; where it does not, the session owes it, and a later open looks again.
const LOOKS: u32 = 10;
const LOOK: Duration = Duration::from_millis(50);

/// A never-started container with volumes mounted. Removed when it is dropped: then, or where that takes the engine long, in
/// the background.
pub(crate) struct Helper<'a> {
    site: &'a Site,
    id: String,
    wait: Wait<'a>,
}

impl<'a> Helper<'a> {
    /// Mounts each `(volume, path)` of `volumes`, without copying anything of the image into them.
    ///
    /// The creation is not cut off in the middle: the engine would go on with it, and whoever cleans up would come too early.
    pub(crate) fn create(site: &'a Site, volumes: &[(&str, &str)], wait: Wait<'a>) -> Result<Self> {
        let mounts = volumes
            .iter()
            .map(|(volume, target)| volume_mount(volume, target, false))
            .collect();
        Helper::with(site, mounts, wait)
    }

    /// Mounts a directory of the engine's machine at `path`.
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
            // Never run, but the engine wants one.
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
            // The first helper of this store, or somebody removed the image.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                make_empty_image(site, wait)?;
                site.engine.create_container(&name, &spec, wait.whole())
            }
            made => made,
        };
        let id = made.inspect_err(|e| remove_if_made(site, &name, e, wait))?;
        Ok(Helper { site, id, wait })
    }

    /// Unpacks a tar stream below `path`, owners and modes as in the stream.
    pub(crate) fn put(&self, path: &str, source: &mut dyn Read, wait: Wait<'_>) -> Result<()> {
        self.site.engine.put_archive(&self.id, path, source, wait)
    }

    /// `path` as a tar stream. Never feed it into this same container: that deadlocks the engine.
    pub(crate) fn get<'b>(&'b self, path: &str, wait: Wait<'b>) -> Result<BodyReader<'b>> {
        self.site.engine.get_archive(&self.id, path, wait)
    }

    /// Removes the container; the volumes stay.
    pub(crate) fn remove(self) {
        drop(self);
    }
}

impl Drop for Helper<'_> {
    fn drop(&mut self) {
        self.site.remove_container(&self.id, self.wait);
    }
}

/// Removes a container whose creation failed: an answer that was lost is not a "no", and the engine may not even be done yet.
/// What stayed would hold its volumes for as long as this session lives.
pub(crate) fn remove_if_made(site: &Site, name: &str, failure: &Error, wait: Wait<'_>) {
    let looks = match (failure.may_go_on(), failure.http_status()) {
        (false, _) => return,
        // It has answered, so it is done, whatever it did.
        (true, Some(_)) => 1,
        (true, None) => LOOKS,
    };
    let e = match seek(site, name, looks, wait.clean_up()) {
        Ok(true) => return,
        // Not that there will be none.
        Ok(false) => return site.session.owe(),
        Err(e) => e,
    };
    site.session.owe();
    let name = name.to_owned();
    site.try_again(&e, move |site| {
        seek(site, &name, looks, Wait::unbounded()).map(drop)
    });
}

/// Looks some times for a container that may be made yet, and removes it. `false`: it never came.
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

/// Makes the image that helpers are made of, if nobody else does: no files at all, so no registry is needed.
pub(crate) fn make_empty_image(site: &Site, wait: Wait<'_>) -> Result<()> {
    // Two imports at once would take the name from each other, and leave an image without one.
    let lock = FileLock::take(&site.paths.of_engine().join("empty-image"), wait)?;
    let name = site.names.empty_image();
    let made = match site.engine.image_exists(&name, wait) {
        Ok(false) => {
            let label = format!("LABEL {LABEL_ROOT}={}", site.owner.root);
            let change = Some(label.as_str());
            let doing = format!("making image {name}");
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

/// A mount of a volume. `NoCopy` always: else the engine fills an empty volume from the image and re-owns its root.
pub(crate) fn volume_mount(volume: &str, target: &str, read_only: bool) -> Value {
    json!({
        "Type": "volume",
        "Source": volume,
        "Target": target,
        "ReadOnly": read_only,
        "VolumeOptions": { "NoCopy": true },
    })
}

/// A mount of a file or directory of the engine's machine, which must be there.
pub(crate) fn bind_mount(path: &str, target: &str, read_only: bool) -> Value {
    json!({ "Type": "bind", "Source": path, "Target": target, "ReadOnly": read_only })
}
