//! Where the engine is: an option, else `DOCKER_HOST`, else the current docker context, else the usual socket.
//! The order and the files are those of Docker's own client (docker/cli, `cli/context`).

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
    pub(crate) host: Option<String>,
    pub(crate) context: Option<String>,
    /// The folder of Docker's client configuration.
    pub(crate) config: Option<PathBuf>,
}

impl DockerEnv {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        let var = |name| std::env::var(name).ok().filter(|v: &String| !v.is_empty());
        let home = || Some(PathBuf::from(var("HOME")?).join(".docker"));
        DockerEnv {
            host: var("DOCKER_HOST"),
            context: var("DOCKER_CONTEXT"),
            config: var("DOCKER_CONFIG").map(PathBuf::from).or_else(home),
        }
    }

    /// The address to use where `given` is the option.
    pub(crate) fn address(&self, given: Option<&str>) -> Result<String> {
        if let Some(address) = given.or(self.host.as_deref()) {
            return Ok(address.to_owned());
        }
        let named = match &self.context {
            Some(name) => Some(name.clone()),
            None => self.current_context()?,
        };
        match named.as_deref() {
            None | Some("default") => Ok(USUAL.to_owned()),
            Some(name) => self.context_address(name),
        }
    }

    fn current_context(&self) -> Result<Option<String>> {
        #[derive(Deserialize)]
        struct Config {
            #[serde(rename = "currentContext")]
            current_context: Option<String>,
        }
        let Some(folder) = &self.config else {
            return Ok(None);
        };
        let config: Option<Config> = read_json(&folder.join("config.json"))?;
        Ok(config
            .and_then(|c| c.current_context)
            .filter(|name| !name.is_empty()))
    }

    fn context_address(&self, name: &str) -> Result<String> {
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
        let folder: String = Sha256::digest(name)
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
pub(crate) fn connector(address: &str) -> Result<Box<dyn Connect>> {
    let refuse = |why: &str| {
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("cannot use engine address {address:?}: {why}"),
        ))
    };
    match address.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Ok(Box::new(UnixConnector::new(path))),
        Some(("unix", _)) => refuse("the path of a unix socket must be absolute"),
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
            let error = connector(address).err().expect("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains("unix://"), "{error}");
        }
    }
}
