//! Where the engine is: an option, else `DOCKER_HOST`, else the current docker context, else the usual socket.
//! The order and the files are those of Docker's own client (docker/cli, `cli/context`).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::transport::Connect;
use crate::transport::unix::UnixConnector;

/// Where Docker listens unless told otherwise.
const USUAL: &str = "unix:///var/run/docker.sock";

/// The part of the environment that decides; a type, so that tests need not change the process's own.
pub(crate) struct DockerEnv {
    pub(crate) host: Option<OsString>,
    pub(crate) context: Option<OsString>,
    /// The folder of Docker's client configuration.
    pub(crate) config: Option<PathBuf>,
}

impl DockerEnv {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = || Some(PathBuf::from(var("HOME")?).join(".docker"));
        DockerEnv {
            host: var("DOCKER_HOST"),
            context: var("DOCKER_CONTEXT"),
            config: var("DOCKER_CONFIG").map(PathBuf::from).or_else(home),
        }
    }

    /// The address to use where `given` is the option. Any bytes: a path need not be UTF-8.
    pub(crate) fn address(&self, given: Option<&str>) -> Result<OsString> {
        if let Some(address) = given.map(OsStr::new).or(self.host.as_deref()) {
            // The docker command takes blanks away, and what is left empty for the usual socket: never for a context's.
            let address = address.as_bytes().trim_ascii();
            return Ok(match address {
                b"" | b"unix://" => OsString::from(USUAL),
                address => OsStr::from_bytes(address).to_owned(),
            });
        }
        let named = match &self.context {
            Some(name) => Some(name.clone()),
            None => self.current_context().map(OsString::from),
        };
        match named {
            None => Ok(OsString::from(USUAL)),
            Some(name) if name == "default" => Ok(OsString::from(USUAL)),
            Some(name) => self.context_address(&name).map(OsString::from),
        }
    }

    /// The context that the configuration names. One that cannot be read is warned of and passed over, as the docker command does.
    fn current_context(&self) -> Option<String> {
        let path = self.config.as_ref()?.join("config.json");
        let text = match crate::local::read(&path) {
            Ok(text) => text,
            Err(e) => {
                if e.kind() != std::io::ErrorKind::NotFound {
                    log::warn!("reading docker's configuration {}: {e}", path.display());
                }
                return None;
            }
        };
        if text.is_empty() {
            return None;
        }
        let config = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&text);
        let config = config
            .inspect_err(|e| log::warn!("reading docker's configuration {}: {e}", path.display()))
            .ok()?;
        // Go takes names of any case.
        let is_named = |(key, _): &(&String, _)| key.eq_ignore_ascii_case("currentContext");
        let (_, name) = config.iter().find(is_named)?;
        name.as_str()
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
    }

    fn context_address(&self, name: &OsStr) -> Result<String> {
        #[derive(Deserialize)]
        struct Meta {
            #[serde(rename = "Endpoints")]
            endpoints: Endpoints,
        }
        #[derive(Deserialize)]
        struct Endpoints {
            docker: Endpoint,
        }
        #[derive(Deserialize)]
        struct Endpoint {
            #[serde(rename = "Host")]
            host: String,
        }
        let folder: String = Sha256::digest(name.as_bytes())
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let meta = match &self.config {
            Some(config) => {
                read_json::<Meta>(&config.join("contexts/meta").join(folder).join("meta.json"))?
            }
            None => None,
        };
        meta.map(|m| m.endpoints.docker.host).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("there is no docker context named {name:?}"),
            )
        })
    }
}

/// A connector for an address.
pub(crate) fn connector(address: &OsStr) -> Result<Box<dyn Connect>> {
    let refuse = |why: &str| {
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("cannot use engine address {address:?}: {why}"),
        ))
    };
    if let Some(path) = address.as_bytes().strip_prefix(b"unix://") {
        return match path.first() {
            Some(b'/') => Ok(Box::new(UnixConnector::new(OsStr::from_bytes(path)))),
            _ => refuse("the path of a unix socket must be absolute, as in unix:///path"),
        };
    }
    match address.to_string_lossy().split_once("://") {
        Some((scheme, _)) => refuse(&format!("this build speaks unix:// only, not {scheme}://")),
        None => refuse("write it as unix:///path/of/socket"),
    }
}

/// A JSON file, or `None` where there is none.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let doing = format!("reading docker's configuration {}", path.display());
    let text = match crate::local::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(doing, &e)),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|e| Error::new(ErrorKind::Corrupt, format!("{doing}: {e}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn none() -> DockerEnv {
        DockerEnv {
            host: None,
            context: None,
            config: None,
        }
    }

    #[test]
    fn an_option_goes_before_docker_host_before_a_context_before_the_usual_socket() {
        let folder =
            std::env::temp_dir().join(format!("docker-store-address-{}", std::process::id()));
        // SHA-256 of "far", as `docker context create far` names the folder.
        let hash: String = Sha256::digest("far")
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let meta = folder.join("contexts/meta").join(hash);
        std::fs::create_dir_all(&meta).expect("a folder");
        std::fs::write(
            meta.join("meta.json"),
            r#"{"Name":"far","Endpoints":{"docker":{"Host":"unix:///far"}}}"#,
        )
        .expect("a file");
        std::fs::write(folder.join("config.json"), r#"{"currentContext":"far"}"#).expect("a file");

        let mut around = none();
        assert_eq!(around.address(None).expect("an address"), USUAL);
        around.config = Some(folder.clone());
        assert_eq!(around.address(None).expect("an address"), "unix:///far");
        around.context = Some("default".into());
        assert_eq!(around.address(None).expect("an address"), USUAL);
        around.context = Some("gone".into());
        assert_eq!(
            around.address(None).expect_err("no such context").kind(),
            ErrorKind::InvalidArgument
        );
        around.host = Some("unix:///host".into());
        assert_eq!(around.address(None).expect("an address"), "unix:///host");
        assert_eq!(
            around.address(Some("unix:///given")).expect("an address"),
            "unix:///given"
        );
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn an_address_of_another_kind_is_refused_with_what_to_write() {
        for address in [
            "tcp://h:1",
            "unix://relative",
            "/var/run/docker.sock",
            "",
            "ssh://x",
        ] {
            let error = connector(OsStr::new(address)).err().expect("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains("unix://"), "{error}");
        }
    }

    #[test]
    fn the_engine_is_the_one_that_was_named_however_it_was_written() {
        let mut around = none();
        for host in [" unix:///host ", "\tunix:///host", "unix:///host\n"] {
            around.host = Some(host.into());
            assert_eq!(around.address(None).expect("an address"), "unix:///host");
            assert_eq!(
                none().address(Some(host)).expect("an address"),
                "unix:///host"
            );
        }
        // Blank is named, too: the usual one, and no context's.
        around.context = Some("far".into());
        for host in [" ", "unix://"] {
            around.host = Some(host.into());
            assert_eq!(around.address(None).expect("an address"), USUAL);
        }
        around.host = Some(OsStr::from_bytes(b"unix:///odd\xff.sock").to_owned());
        let address = around.address(None).expect("an address");
        assert_eq!(address.as_bytes(), b"unix:///odd\xff.sock");
        assert!(connector(&address).is_ok());
        around.host = None;
        around.context = Some(OsStr::from_bytes(b"\xff").to_owned());
        assert!(around.address(None).is_err());
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_passed_over_as_docker_does() {
        let folder =
            std::env::temp_dir().join(format!("docker-store-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("config.json");
        let around = DockerEnv {
            config: Some(folder.clone()),
            ..none()
        };
        for text in [
            "",
            "{",
            "[]",
            r#"{"currentContext":5}"#,
            r#"{"currentContext":""}"#,
            "\u{feff}{}",
        ] {
            std::fs::write(&file, text).expect("a file");
            assert_eq!(around.address(None).expect("an address"), USUAL, "{text}");
        }
        for text in [
            r#"{"currentContext":"gone","auths":5}"#,
            r#"{"CURRENTCONTEXT":"gone"}"#,
        ] {
            std::fs::write(&file, text).expect("a file");
            assert!(
                around.address(None).is_err(),
                "a context that was named: {text}"
            );
        }
        std::fs::remove_file(&file).expect("removed");
        std::fs::create_dir(&file).expect("a folder in its place");
        assert_eq!(around.address(None).expect("an address"), USUAL);
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    proptest! {
        #[test]
        fn any_address_is_one_path_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60), is_unix: bool) {
            let bytes = if is_unix { [b"unix://".as_slice(), &bytes].concat() } else { bytes };
            let around = DockerEnv { host: Some(OsStr::from_bytes(&bytes).to_owned()), ..none() };
            let address = around.address(None).expect("that which was named");
            prop_assert!(address == USUAL || bytes.trim_ascii() == address.as_bytes());
            if let Ok(connector) = connector(&address) {
                prop_assert!(address.as_bytes().starts_with(b"unix:///") && connector.address().starts_with("unix:///"));
            }
        }
    }
}
