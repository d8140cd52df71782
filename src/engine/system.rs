//! The engine as a whole: finding out what answers and which API version to use, and its information about itself.

use std::time::Duration;

use serde::Deserialize;

use crate::engine::Engine;
use crate::engine::call::{Call, QUICK};
use crate::engine::moment;
use crate::engine::peer::Peer;
use crate::engine::version::ApiVersion;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Body, Client, Failure, Method, Request, Response, Target};
use crate::transport::Connect;
use crate::wait::Wait;

/// An engine's information about itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Info {
    /// Does not change for the life of the engine's data root.
    #[serde(rename = "ID", default)]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) docker_root_dir: String,
    #[serde(rename = "OSType", default)]
    pub(crate) os_type: String,
    /// Its kernel's name for it: `x86_64`.
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) server_version: String,
    #[serde(default)]
    pub(crate) kernel_version: String,
    /// The storage driver.
    #[serde(default)]
    pub(crate) driver: String,
    /// The engine's clock.
    #[serde(default)]
    system_time: String,
    /// Whether the memory, and the processor time, of containers can be limited.
    memory_limit: Option<bool>,
    #[serde(rename = "CpuCfsQuota")]
    cpu_limit: Option<bool>,
    /// The storage driver's information about itself: names and values.
    #[serde(default)]
    driver_status: Option<Vec<(String, String)>>,
}

impl Info {
    /// Returns whether images are stored by containerd, and not by a graph driver of the engine.
    pub(crate) fn is_of_containerd(&self) -> bool {
        let mut status = self.driver_status.iter().flatten();
        status.any(|(name, value)| name == "driver-type" && value == "io.containerd.snapshotter.v1")
    }

    /// Returns where images are stored: by a storage driver of the engine, or by containerd.
    pub(crate) fn image_store(&self) -> String {
        match self.is_of_containerd() {
            true => format!("containerd ({})", self.driver),
            false => self.driver.clone(),
        }
    }

    /// Returns the time of the engine's clock when it responded, since 1970.
    pub(crate) fn clock(&self) -> Option<Duration> {
        moment::since_1970(&self.system_time)
    }

    /// Returns whether the engine reports that it cannot limit containers' memory, and their processor time.
    pub(crate) fn lacks_limits(&self) -> (bool, bool) {
        (
            self.memory_limit == Some(false),
            self.cpu_limit == Some(false),
        )
    }

    /// Returns whether the engine reports that directory listings on its disk do not contain entry types.
    pub(crate) fn has_no_entry_types(&self) -> bool {
        let status = self.driver_status.iter().flatten();
        status
            .into_iter()
            .any(|(name, value)| name == "Supports d_type" && value == "false")
    }
}

impl Engine {
    /// Finds out what answers behind `connector`, and agrees on an API version.
    ///
    /// The ping has no version, so an engine of any age answers it. Docker supports HEAD since API 1.40; other engines are
    /// asked again with GET.
    pub(crate) fn negotiate(connector: Box<dyn Connect>, wait: Wait<'_>) -> Result<Self> {
        let engine = Engine {
            client: Client::new(connector),
            peer: Peer::unknown(),
        };
        engine.greet(wait)?;
        Ok(engine)
    }

    /// Checks that the engine responds, and records which API versions it supports.
    pub(crate) fn greet(&self, wait: Wait<'_>) -> Result<()> {
        let wait = wait.at_most(QUICK);
        let (mut answer, mut said) = self.ping(Method::Head, wait)?;
        if answer.status() != 200 || answer.header("api-version").is_none() {
            drop(answer);
            (answer, said) = self.ping(Method::Get, wait)?;
        }
        let at = self.address();
        let unusable =
            |why: String| Error::new(ErrorKind::Unsupported, why).with_http_status(answer.status());
        if answer.status() >= 500 {
            return Err(Error::new(
                ErrorKind::Engine,
                format!(
                    "asking the engine at {at} for its version: it answered {}",
                    answer.status()
                ),
            )
            .with_http_status(answer.status()));
        }
        // Go's servers, including the engine's, answer this to plain HTTP on a TLS port.
        if answer.status() == 400
            && said.ends_with(b"Client sent an HTTP request to an HTTPS server.\n")
        {
            return Err(unusable(format!(
                "the server at {at} requires TLS: set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or use a docker context that has certificates"
            )));
        }
        let offered = answer
            .header("api-version")
            .and_then(ApiVersion::parse)
            .ok_or_else(|| {
                unusable(format!(
                    "the server at {at} is not a Docker engine: its ping names no API version"
                ))
            })?;
        if offered < ApiVersion::OLDEST {
            let need = ApiVersion::OLDEST;
            return Err(unusable(format!(
                "the engine at {at} is too old: it speaks API {offered}, and {need} or newer is needed (Docker 20.10)"
            )));
        }
        let system = answer.header("ostype").unwrap_or_default();
        self.check_system(system)
            .map_err(|e| e.with_http_status(answer.status()))?;
        self.heard(&answer);
        Ok(())
    }

    /// Refuses an engine of Windows containers. Its images cannot be imported from a tar, its volumes cannot be overlays, and
    /// its archive calls do not support owners and modes: no promise of a store could be kept.
    fn check_system(&self, system: &str) -> Result<()> {
        match system.eq_ignore_ascii_case("windows") {
            false => Ok(()),
            true => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the engine at {} runs Windows containers, which are not supported: a store needs an engine that runs Linux ones \
                     (Docker Desktop: \"Switch to Linux containers\")",
                    self.address()
                ),
            )),
        }
    }

    /// Records which engine responded.
    pub(super) fn heard(&self, answer: &Response) {
        let podman = answer.header("libpod-api-version").is_some();
        let (api, server) = (answer.header("api-version"), answer.header("server"));
        self.peer.heard(api, podman, server);
    }

    /// Returns the response, and its body.
    fn ping(&self, method: Method, wait: Wait<'_>) -> Result<(Response, Vec<u8>)> {
        let doing = "asking for the engine's version";
        let request = Request {
            method,
            target: Target::new("/_ping"),
            headers: &[],
            body: Body::Empty,
            repeatable: true,
            upgrade: false,
            stall: None,
        };
        let mut response = self.client.send(request, wait).map_err(|f| match f {
            Failure::Malformed(why) => Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the server at {} is not a Docker engine: {why}",
                    self.address()
                ),
            ),
            other => self.failed(&doing, other),
        })?;
        let body = response
            .read_whole(64 << 10, wait)
            .map_err(|f| self.failed(&doing, f))?;
        Ok((response, body))
    }

    /// Returns the engine's information about itself. Slower than other lookups, because the engine counts its objects for it.
    pub(crate) fn info(&self, wait: Wait<'_>) -> Result<Info> {
        let call = Call::get(self.path("/info"));
        let info: Info = self.ask(
            &"asking for the engine's information",
            call,
            wait.at_most(QUICK),
        )?;
        // A proxy may have removed the word from the ping, and an engine can be switched to Windows containers later.
        self.check_system(&info.os_type)?;
        Ok(info)
    }

    /// Returns a path of the agreed API version.
    pub(super) fn path(&self, fixed: &str) -> Target {
        Target::of(format_args!("/v{}{fixed}", self.version()))
    }

    /// Returns what the paths of all requests except the ping start with.
    pub(super) fn path_start(&self) -> String {
        format!("/v{}", self.version())
    }
}

/// How long an upload may stall. An engine that stops reading an archive holds that container's lock, which blocks every image
/// deletion (seen on 20.10): closing the connection frees the lock.
pub(crate) const UPLOAD_STALL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::memory::{Memory, Step};

    /// An engine that reports this operating system in its ping and in its information.
    fn engine(ping: &'static str, info: &'static str) -> Memory {
        Memory::answering(move |asked| {
            let info = format!(r#"{{"ID":"X","OSType":"{info}","ServerVersion":"27.3.1"}}"#);
            let (system, body) = match asked.target.ends_with("/info") {
                true => ("", info.as_str()),
                false => (ping, ""),
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nApi-Version: 1.47\r\nServer: Docker/27.3.1\r\n{system}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            vec![Step::Bytes(head.into_bytes())]
        })
    }

    fn refusal(outcome: Result<impl Sized>) -> String {
        let error = outcome.err().expect("it is refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        error.message().to_owned()
    }

    #[test]
    fn an_engine_of_windows_containers_is_refused_by_its_ping_or_by_what_it_is() {
        let wait = || Wait::unbounded().at_most(Duration::from_secs(20));
        let windows = "OSType: windows\r\n";
        let negotiated = |memory| Engine::negotiate(Box::new(memory), wait());
        let why = refusal(negotiated(engine(windows, "windows")));
        assert!(
            why.contains("Windows containers") && why.contains("Switch to Linux"),
            "{why}"
        );
        // An engine whose ping does not report it.
        let silent = negotiated(engine("", "windows")).expect("nothing is known yet");
        let why = refusal(silent.info(wait()));
        assert!(why.contains("Windows containers"), "{why}");
        let linux = negotiated(engine("Ostype: linux\r\n", "linux")).expect("it serves");
        assert_eq!(linux.info(wait()).expect("an answer").os_type, "linux");
    }
}
