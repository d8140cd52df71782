//! The engine as a whole: finding out what answers and which API version to speak, and what it says of itself.

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

/// What an engine says of itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Info {
    /// Stays the same for the life of the engine's data root.
    #[serde(rename = "ID", default)]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) docker_root_dir: String,
    #[serde(rename = "OSType", default)]
    pub(crate) os_type: String,
    /// As its kernel calls it: `x86_64`.
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
    /// Whether containers can be kept to an amount of memory; and of processor time.
    memory_limit: Option<bool>,
    #[serde(rename = "CpuCfsQuota")]
    cpu_limit: Option<bool>,
    /// What the storage driver says of itself: names and values.
    #[serde(default)]
    driver_status: Option<Vec<(String, String)>>,
}

impl Info {
    /// Whether images are kept by containerd, and not by a graph driver of the engine's own.
    pub(crate) fn is_of_containerd(&self) -> bool {
        let mut status = self.driver_status.iter().flatten();
        status.any(|(name, value)| name == "driver-type" && value == "io.containerd.snapshotter.v1")
    }

    /// Where images are kept: by a storage driver of the engine, or by containerd.
    pub(crate) fn image_store(&self) -> String {
        match self.is_of_containerd() {
            true => format!("containerd ({})", self.driver),
            false => self.driver.clone(),
        }
    }

    /// What the engine's clock showed when it answered, since 1970.
    pub(crate) fn clock(&self) -> Option<Duration> {
        moment::since_1970(&self.system_time)
    }

    /// Whether the engine says that it cannot keep containers to an amount of memory, of processor time.
    pub(crate) fn lacks_limits(&self) -> (bool, bool) {
        (
            self.memory_limit == Some(false),
            self.cpu_limit == Some(false),
        )
    }

    /// Whether the engine says that a directory on its disk does not tell the types of its entries.
    pub(crate) fn has_no_entry_types(&self) -> bool {
        let status = self.driver_status.iter().flatten();
        status
            .into_iter()
            .any(|(name, value)| name == "Supports d_type" && value == "false")
    }
}

impl Engine {
    /// Asks what answers behind `connector`, and agrees on an API version.
    ///
    /// The ping is unversioned, so an engine of any age answers it. Docker takes HEAD since API 1.40; whatever does not
    /// is asked again with GET.
    pub(crate) fn negotiate(connector: Box<dyn Connect>, wait: Wait<'_>) -> Result<Self> {
        let engine = Engine {
            client: Client::new(connector),
            peer: Peer::unknown(),
        };
        engine.greet(wait)?;
        Ok(engine)
    }

    /// Asks whether the engine answers, and takes down which API versions it speaks.
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
        // Go's servers, an engine's among them, say this to who speaks in the clear where they speak TLS.
        if answer.status() == 400
            && said.ends_with(b"Client sent an HTTP request to an HTTPS server.\n")
        {
            return Err(unusable(format!(
                "what answers at {at} wants TLS: set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or use a docker context that has certificates"
            )));
        }
        let offered = answer
            .header("api-version")
            .and_then(ApiVersion::parse)
            .ok_or_else(|| {
                unusable(format!(
                    "what answers at {at} is not a Docker engine: its ping names no API version"
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

    /// Refuses an engine of Windows containers. Its images cannot be imported from a tar, its volumes cannot be overlays, and its archive
    /// calls know no owners and modes: nothing that a store promises could be kept.
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

    /// Takes down who it is that answered.
    pub(super) fn heard(&self, answer: &Response) {
        let podman = answer.header("libpod-api-version").is_some();
        let (api, server) = (answer.header("api-version"), answer.header("server"));
        self.peer.heard(api, podman, server);
    }

    /// The answer, and its body.
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
                    "what answers at {} is not a Docker engine: {why}",
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

    /// What the engine says of itself. Slower than other look-ups: the engine counts its objects for it.
    pub(crate) fn info(&self, wait: Wait<'_>) -> Result<Info> {
        let call = Call::get(self.path("/info"));
        let info: Info = self.ask(&"asking what the engine is", call, wait.at_most(QUICK))?;
        // What stands between may have taken the word out of the ping, and an engine can be switched over.
        self.check_system(&info.os_type)?;
        Ok(info)
    }

    /// A path of the agreed API version.
    pub(super) fn path(&self, fixed: &str) -> Target {
        Target::of(format_args!("/v{}{fixed}", self.version()))
    }

    /// What the paths of all calls but the ping begin with.
    pub(super) fn path_start(&self) -> String {
        format!("/v{}", self.version())
    }
}

/// The longest time that an upload may stand still. An engine that stops taking an archive holds that container's lock, and
/// with it every image delete (seen on 20.10): better to close the connection, which frees it.
pub(crate) const UPLOAD_STALL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::memory::{Memory, Step};

    /// An engine that says in its ping, and in what it is, that it is one of these systems.
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
        // One whose ping does not say it.
        let silent = negotiated(engine("", "windows")).expect("nothing is known yet");
        let why = refusal(silent.info(wait()));
        assert!(why.contains("Windows containers"), "{why}");
        let linux = negotiated(engine("Ostype: linux\r\n", "linux")).expect("it serves");
        assert_eq!(linux.info(wait()).expect("an answer").os_type, "linux");
    }
}
