//! Containers: create, attach, start, wait, inspect, remove, list, export.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::answer::List;
use crate::engine::call::{Call, QUICK, REMOVAL, Send, stopped};
use crate::engine::images::found;
use crate::engine::{BodyReader, Engine};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Failure, Response, Upgraded};
use crate::os::Watched;
use crate::transport::Moved;
use crate::wait::Wait;

/// The fields of a container that the store reads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Container {
    pub(crate) state: State,
    /// By the engine's clock; see [`moment`](crate::engine::moment).
    #[serde(default)]
    pub(crate) created: String,
    #[serde(default)]
    pub(crate) graph_driver: Option<GraphDriver>,
}

/// Where the engine stores the files of a container.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GraphDriver {
    #[serde(default)]
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))] // Not used there.
    pub(crate) data: Option<HashMap<String, Value>>,
}

/// The state of a container.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct State {
    #[serde(default)]
    pub(crate) running: bool,
    #[serde(default)]
    pub(crate) exit_code: i64,
    #[serde(rename = "OOMKilled", default)]
    pub(crate) oom_killed: bool,
    /// Whether a removal has begun and failed.
    #[serde(default)]
    pub(crate) dead: bool,
    /// `exited`, `removing`, …
    #[serde(default)]
    pub(crate) status: String,
    /// By the engine's clock; see [`moment`](crate::engine::moment).
    #[serde(default)]
    pub(crate) started_at: String,
    #[serde(default)]
    pub(crate) finished_at: String,
}

/// A path in a container that differs from its image.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Change {
    pub(crate) path: String,
    /// 0: changed; 1: added; 2: removed.
    kind: u8,
}

impl Change {
    pub(crate) fn is_new(&self) -> bool {
        self.kind == 1
    }
}

/// One container in a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListedContainer {
    /// The id of the image that it was created from.
    #[serde(rename = "ImageID", default)]
    pub(crate) image: String,
    pub(crate) id: String,
    /// Each with a leading slash.
    #[serde(default)]
    pub(crate) names: Vec<String>,
    #[serde(default)]
    pub(crate) labels: Option<HashMap<String, String>>,
    /// `running`, `exited`, `created`, …
    #[serde(default)]
    pub(crate) state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exit {
    status_code: i64,
    error: Option<ExitError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExitError {
    #[serde(default)]
    message: String,
}

/// A pending request for a container's next exit, sent before its start.
pub(crate) struct ExitWait {
    response: Response,
}

/// A container's stdin, stdout and stderr over one connection; the output comes in [frames](crate::engine::frames).
pub(crate) struct Attached<'a> {
    engine: &'a Engine,
    stream: Upgraded,
    /// Whether anything was sent.
    sent: bool,
    /// Whether input is no longer accepted.
    deaf: bool,
}

impl Attached<'_> {
    /// Waits for output, or until some of `input` can be sent, whichever is first. `received` of 0 is the end.
    pub(crate) fn exchange(
        &mut self,
        input: &[u8],
        output: &mut [u8],
        wait: Wait<'_>,
    ) -> Result<Moved> {
        let doing = "reading the output of the step";
        if input.is_empty() {
            let received = self.stream.read(output, wait);
            return Ok(Moved {
                sent: 0,
                received: Some(self.heard(received)?),
            });
        }
        match self.stream.exchange(input, output, wait) {
            Ok(moved) => {
                self.sent |= moved.sent > 0;
                Ok(moved)
            }
            // A command need not read its input. Podman then closes the connection (moby reads the input and drops it), after
            // having sent any output.
            Err(Failure::Send(e)) if is_gone(&e) => {
                log::debug!("{doing}: the command no longer reads its input: {e}");
                self.deaf = true;
                Ok(Moved {
                    sent: 0,
                    received: None,
                })
            }
            Err(f) => Ok(Moved {
                sent: 0,
                received: Some(self.heard(Err(f))?),
            }),
        }
    }

    /// Returns whether sending more is pointless.
    pub(crate) fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// A connection that is reset because sent data was not read has ended; data from before the reset was received before it.
    /// Whether that was all of it, the exit shows.
    fn heard(&self, received: std::result::Result<usize, Failure>) -> Result<usize> {
        let doing = "reading the output of the step";
        match received {
            Err(Failure::Receive(e)) if (self.sent || self.deaf) && is_gone(&e) => {
                if !self.engine.address().starts_with("unix:") {
                    log::warn!("{doing}: {e}: the end of it may be missing");
                }
                Ok(0)
            }
            other => other.map_err(|f| self.engine.failed(&doing, f)),
        }
    }

    /// Waits for output, or until `other` has occurred: `None`. 0 is the end.
    pub(crate) fn read_beside(
        &mut self,
        output: &mut [u8],
        other: Watched<'_>,
        wait: Wait<'_>,
    ) -> Result<Option<usize>> {
        let received = self.stream.read_beside(output, other, wait);
        match received {
            Ok(None) => Ok(None),
            Ok(Some(n)) => Ok(Some(n)),
            Err(f) => self.heard(Err(f)).map(Some),
        }
    }

    /// Closes the container's stdin.
    pub(crate) fn close_input(&mut self) -> Result<()> {
        match self.stream.close_write() {
            Err(Failure::Send(e)) if is_gone(&e) => Ok(()),
            done => done.map_err(|f| self.engine.failed(&"ending the step's input", f)),
        }
    }
}

/// Returns whether the other side has closed the connection.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected
    )
}

/// Returns the spec with its volumes as bind mounts: for a mount, Podman ignores the request not to copy files into it (seen on
/// 4.3 and 5.4).
fn with_binds(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let host = &mut spec["HostConfig"];
    let text = |mount: &Value, field: &str| mount[field].as_str().unwrap_or_default().to_owned();
    let (mut mounts, mut binds) = (Vec::new(), Vec::new());
    for mount in host["Mounts"].as_array().into_iter().flatten() {
        let (source, target) = (text(mount, "Source"), text(mount, "Target"));
        // A bind is split at its colons.
        if text(mount, "Type") != "volume" || source.contains(':') || target.contains(':') {
            mounts.push(mount.clone());
            continue;
        }
        let read_only = mount["ReadOnly"].as_bool() == Some(true);
        let options = if read_only { "nocopy,ro" } else { "nocopy" };
        binds.push(json!(format!("{source}:{target}:{options}")));
    }
    if !binds.is_empty() {
        host["Mounts"] = json!(mounts);
        host["Binds"] = json!(binds);
    }
    spec
}

impl Engine {
    /// Creates a container and returns its id.
    pub(crate) fn create_container(
        &self,
        name: &str,
        spec: &Value,
        wait: Wait<'_>,
    ) -> Result<String> {
        let doing = format!("creating container {name}");
        let bound;
        let spec = match self.is_podman() {
            true => {
                bound = with_binds(spec);
                &bound
            }
            false => spec,
        };
        let call = Call::post(self.path("/containers/create").query("name", name))
            .sending(Send::Json(spec));
        self.ask::<Created>(&doing, call, wait.at_most(QUICK))
            .map(|c| c.id)
    }

    /// Attaches to a container's output, and to its stdin if `input`. Call this before the start, so that no output is missed.
    pub(crate) fn attach(
        &self,
        container: &str,
        input: bool,
        wait: Wait<'_>,
    ) -> Result<Attached<'_>> {
        let doing = format!("attaching to container {container}");
        let mut target = self
            .container(container, "/attach")
            .query("stream", "1")
            .query("stdout", "1")
            .query("stderr", "1");
        if input {
            target = target.query("stdin", "1");
        }
        let response = self.call(&doing, Call::post(target).upgrading(), wait.at_most(QUICK))?;
        Ok(Attached {
            engine: self,
            stream: response.upgrade(),
            sent: false,
            deaf: false,
        })
    }

    /// Requests a container's next exit. The response's head arrives immediately, so that the start can follow; its body
    /// arrives with the exit. A plain wait on a container that has not started returns 0 immediately (seen on 20.10).
    pub(crate) fn wait_next_exit(&self, container: &str, wait: Wait<'_>) -> Result<ExitWait> {
        let doing = format!("asking for the exit of container {container}");
        let call = Call::post(
            self.container(container, "/wait")
                .query("condition", "next-exit"),
        );
        let response = self.call(&doing, call, wait.at_most(QUICK))?;
        Ok(ExitWait { response })
    }

    /// Waits for the requested exit, without a time limit other than the wait's.
    pub(crate) fn exit_status(&self, exit: ExitWait, wait: Wait<'_>) -> Result<i64> {
        let doing = "waiting for the step to end";
        let exit: Exit = self.parse(&doing, exit.response, wait)?;
        match exit.error {
            Some(e) if !e.message.is_empty() => Err(Error::new(
                ErrorKind::Engine,
                format!("{doing}: the engine reported: {}", e.message),
            )),
            _ => Ok(exit.status_code),
        }
    }

    /// Starts a container. Waits as long as the engine takes to mount its volumes.
    pub(crate) fn start_container(&self, container: &str, wait: Wait<'_>) -> Result<()> {
        let doing = format!("starting container {container}");
        self.done(
            &doing,
            Call::post(self.container(container, "/start")),
            wait,
        )
    }

    /// Returns the container, or `None` if it does not exist.
    pub(crate) fn inspect_container(
        &self,
        container: &str,
        wait: Wait<'_>,
    ) -> Result<Option<Container>> {
        let doing = format!("inspecting container {container}");
        let call = Call::get(self.container(container, "/json"));
        found(self.ask(&doing, call, wait.at_most(QUICK)))
    }

    /// Kills and removes a container, with its anonymous volumes, and returns when it no longer exists. Returns `false` if it
    /// did not exist.
    ///
    /// Removal is asynchronous on the engine if another client began it: 404 is the end, "already in progress" means retry
    /// (moby#37698).
    pub(crate) fn remove_container(&self, container: &str, wait: Wait<'_>) -> Result<bool> {
        let doing = format!("removing container {container}");
        let wait = wait.at_most(REMOVAL);
        let mut pause = Duration::from_millis(2);
        let mut seen = false;
        if self.is_podman() {
            if let Some(removed) = self.remove_at_rest(container, wait)? {
                return Ok(removed);
            }
        }
        loop {
            let target = self
                .container(container, "")
                .query("force", "1")
                .query("v", "1");
            match self.removes(&doing, Call::delete(target), wait) {
                Ok(removed) => return Ok(removed || seen),
                Err(e) if e.kind() == ErrorKind::InProgress => {
                    seen = true;
                    wait.sleep(pause).map_err(|stop| stopped(&doing, stop))?;
                    pause = (pause * 2).min(Duration::from_millis(100));
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Podman's "force" asks a command to stop, and waits for ten seconds, before it kills it. So a stopped container is
    /// removed without force, and a running one is killed first. Returns `None` if it still has to be removed.
    fn remove_at_rest(&self, container: &str, wait: Wait<'_>) -> Result<Option<bool>> {
        let doing = format!("removing container {container}");
        let target = self.container(container, "").query("v", "1");
        match self.removes(&doing, Call::delete(target), wait) {
            Err(e) if e.http_status().is_none() => Err(e),
            Ok(removed) => Ok(Some(removed)),
            Err(_) => {
                let kill = Call::post(self.container(container, "/kill"));
                match self.done(&doing, kill, wait) {
                    Err(e) if e.http_status().is_none() => Err(e),
                    // It may have ended, or no longer exist: the removal shows which.
                    _ => Ok(None),
                }
            }
        }
    }

    /// Returns which of a container's files differ from its image. Waits as long as the engine takes: some compare file by
    /// file.
    pub(crate) fn changes_in_container(
        &self,
        container: &str,
        wait: Wait<'_>,
    ) -> Result<Vec<Change>> {
        let doing = format!("listing the changes in container {container}");
        let call = Call::get(self.container(container, "/changes"));
        let changes: List<_> = self.ask(&doing, call, wait)?;
        Ok(changes.0)
    }

    /// Returns the containers that match `filters`, running or not.
    pub(crate) fn list_containers(
        &self,
        filters: &Value,
        wait: Wait<'_>,
    ) -> Result<Vec<ListedContainer>> {
        let doing = "listing containers";
        let target = self
            .path("/containers/json")
            .query("all", "1")
            .query("filters", &filters.to_string());
        let listed: List<_> = self.ask(&doing, Call::get(target), wait.at_most(QUICK))?;
        Ok(listed.0)
    }

    /// Returns all files of a container as one tar stream, without the contents of its volumes.
    pub(crate) fn export_container<'a>(
        &'a self,
        container: &str,
        wait: Wait<'a>,
    ) -> Result<BodyReader<'a>> {
        let doing = format!("exporting container {container}");
        let response = self.call(
            &doing,
            Call::get(self.container(container, "/export")),
            wait,
        )?;
        Ok(BodyReader::new(self, doing, response, wait))
    }

    pub(super) fn container(&self, container: &str, rest: &str) -> crate::http::Target {
        self.path("/containers").segment(container).fixed(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_bound_without_a_copy_where_a_mount_would_not_hear_of_it() {
        let mount = |kind: &str, target: &str, read_only| {
            json!({ "Type": kind, "Source": "v", "Target": target, "ReadOnly": read_only,
                    "VolumeOptions": { "NoCopy": true } })
        };
        let mounts = [
            mount("volume", "/a", false),
            mount("volume", "/b", true),
            mount("bind", "/c", true),
            mount("volume", "/d:e", false),
        ];
        let spec =
            json!({ "Image": "i", "HostConfig": { "NetworkMode": "none", "Mounts": mounts } });
        let wanted = json!({ "Image": "i", "HostConfig": {
            "NetworkMode": "none",
            "Mounts": mounts[2..],
            "Binds": ["v:/a:nocopy", "v:/b:nocopy,ro"],
        } });
        assert_eq!(with_binds(&spec), wanted);
        let none = json!({ "Image": "i", "HostConfig": { "NetworkMode": "none" } });
        assert_eq!(with_binds(&none), none);
    }
}
