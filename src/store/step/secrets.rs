//! Secrets of a command: files in a volume that exists only as long as the step's container, each bind-mounted at its target.

use crate::error::Result;
use crate::store::helper::Helper;
use crate::store::site::Site;
use crate::store::step::command::Secret;
use crate::wait::Wait;

/// Where a helper mounts the volume.
const AT: &str = "/secrets";

/// The volume that holds the secrets of one container.
#[derive(Debug)]
pub(crate) struct SecretVolume {
    name: String,
    /// (path on the engine's host, target in the container)
    pub(crate) binds: Vec<(String, String)>,
}

impl SecretVolume {
    /// Uploads `secrets`; returns `None` if there are none.
    pub(crate) fn create(site: &Site, secrets: &[Secret], wait: Wait<'_>) -> Result<Option<Self>> {
        if secrets.is_empty() {
            return Ok(None);
        }
        let name = site.names.volume("secrets", &site.session.unique());
        let made = site.engine.create_volume(
            &name,
            &site.labels("secrets"),
            &serde_json::json!({}),
            wait.whole(),
        );
        // A lost response does not mean that the volume was not created.
        let volume = made.inspect_err(|_| {
            site.remove_volume(&name, wait);
            site.session.owe();
        })?;
        let binds = secrets
            .iter()
            .enumerate()
            .map(|(n, secret)| (format!("{}/{n}", volume.mountpoint), secret.target.clone()))
            .collect();
        let made = SecretVolume { name, binds };
        match made.fill(site, secrets, wait) {
            Ok(()) => Ok(Some(made)),
            Err(e) => {
                made.remove(site, wait);
                Err(e)
            }
        }
    }

    fn fill(&self, site: &Site, secrets: &[Secret], wait: Wait<'_>) -> Result<()> {
        let mut tar = tar::Builder::new(Vec::new());
        for (n, secret) in secrets.iter().enumerate() {
            let mut header = tar::Header::new_ustar();
            header.set_size(secret.content.len() as u64);
            header.set_mode(secret.mode);
            header.set_uid(secret.owner.0.into());
            header.set_gid(secret.owner.1.into());
            tar.append_data(&mut header, n.to_string(), secret.content.as_slice())
                .map_err(in_memory)?;
        }
        let tar = tar.into_inner().map_err(in_memory)?;
        let helper = Helper::create(site, &[(&self.name, AT)], wait)?;
        helper.put(AT, &mut tar.as_slice(), wait)
    }

    /// Removes the volume and its contents. Call this only when no container mounts it.
    pub(crate) fn remove(self, site: &Site, wait: Wait<'_>) {
        site.remove_volume(&self.name, wait);
    }

    /// Has the worker remove it, with retries. If that never succeeds, the session records it as owed.
    pub(crate) fn remove_later(self, site: &Site) {
        site.defer(move |site| {
            let removed = site.engine.remove_volume(&self.name, Wait::unbounded());
            removed.map(drop)
        });
    }
}

fn in_memory(error: std::io::Error) -> crate::Error {
    crate::Error::io("packing secrets", &error)
}
