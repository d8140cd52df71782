//! Finding the engine's address: an option, otherwise `DOCKER_HOST`, otherwise the current docker context, otherwise the
//! default socket; and which certificates to trust. The order and the files are those of Docker's own client (docker/cli,
//! `cli/context` and `cli/flags`).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::engine::address::Address;
use crate::error::{Error, ErrorKind, Result};
use crate::os::{HOME, USUAL_ADDRESS, bytes_of, text_of};
use crate::transport::Connect;
use crate::transport::trust::{Pem, Trust};

/// Docker's default address if only TLS is set.
const USUAL_TLS: &str = "tcp://localhost:2376";

/// The part of the environment that decides; a type, so that tests need not change the process's own.
#[derive(Default)]
pub(crate) struct DockerEnv {
    /// `DOCKER_HOST`.
    pub(crate) host: Option<OsString>,
    /// `DOCKER_CONTEXT`.
    pub(crate) context: Option<OsString>,
    /// The directory of Docker's client configuration.
    pub(crate) config: Option<PathBuf>,
    /// `DOCKER_TLS_VERIFY`: TLS, and the server's certificate is verified.
    pub(crate) verify: bool,
    /// `DOCKER_TLS`: TLS without verification.
    pub(crate) tls: bool,
    /// `DOCKER_CERT_PATH`: where the three files are, if not in `config`.
    pub(crate) certificates: Option<PathBuf>,
    /// `DOCKER_STORE_SSH_ASK`: ssh may prompt at the host's terminal.
    pub(crate) asks: bool,
}

/// What was found, before it is interpreted.
#[derive(Debug)]
struct Found {
    address: OsString,
    /// The context's settings; without a context, those of the environment apply.
    context: Option<Context>,
}

#[derive(Debug)]
struct Context {
    /// Where its certificates are, if it has any.
    folder: PathBuf,
    anybody: bool,
}

fn usual_begins(scheme: &[u8]) -> bool {
    USUAL_ADDRESS.as_bytes().starts_with(scheme)
}

impl DockerEnv {
    /// Returns the environment of this process.
    pub(crate) fn of_process() -> Self {
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = || Some(PathBuf::from(var(HOME)?).join(".docker"));
        DockerEnv {
            host: var("DOCKER_HOST"),
            context: var("DOCKER_CONTEXT"),
            config: var("DOCKER_CONFIG").map(PathBuf::from).or_else(home),
            verify: var("DOCKER_TLS_VERIFY").is_some(),
            tls: var("DOCKER_TLS").is_some(),
            certificates: var("DOCKER_CERT_PATH").map(PathBuf::from),
            asks: var("DOCKER_STORE_SSH_ASK").is_some(),
        }
    }

    /// Returns a connector for the engine; `given` is the option.
    pub(crate) fn connector(&self, given: Option<&str>) -> Result<Box<dyn Connect>> {
        let found = self.find(given)?;
        let secured = match &found.context {
            // As docker does: if there are certificates, or verification is turned off.
            Some(context) => context.anybody || context.folder.is_dir(),
            None => self.verify || self.tls,
        };
        let address = Address::parse(&found.address, secured)?;
        let trust = match (&address, &found.context) {
            (Address::Tcp { secured: true, .. }, Some(context)) => context.trust()?,
            (Address::Tcp { secured: true, .. }, None) => self.trust()?,
            _ => Trust::default(),
        };
        address.connector(&trust, self.asks)
    }

    /// Returns the address to use; `given` is the option. Any bytes: a path need not be UTF-8.
    fn find(&self, given: Option<&str>) -> Result<Found> {
        let usual = || {
            OsString::from(match self.verify || self.tls {
                true => USUAL_TLS,
                false => USUAL_ADDRESS,
            })
        };
        let of_environment = |address| Found {
            address,
            context: None,
        };
        if let Some(address) = given.map(OsStr::new).or(self.host.as_deref()) {
            // The docker command strips blanks, and interprets an empty value as the default socket, never as a context's
            // address.
            let address = bytes_of(address);
            return Ok(of_environment(match address.trim_ascii() {
                b"" => usual(),
                scheme if scheme.ends_with(b"://") && usual_begins(scheme) => {
                    OsString::from(USUAL_ADDRESS)
                }
                address => text_of(address).unwrap_or_default().to_owned(),
            }));
        }
        let named = match &self.context {
            Some(name) => Some(name.clone()),
            None => self.current_context().map(OsString::from),
        };
        match named {
            None => Ok(of_environment(usual())),
            Some(name) if name == "default" => Ok(of_environment(usual())),
            Some(name) => self.in_context(&name),
        }
    }

    /// Returns the context that the configuration names. If the configuration cannot be read, logs a warning and ignores it, as
    /// the docker command does.
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
        // Go matches names case-insensitively.
        let is_named = |(key, _): &(&String, _)| key.eq_ignore_ascii_case("currentContext");
        let (_, name) = config.iter().find(is_named)?;
        name.as_str()
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
    }

    fn in_context(&self, name: &OsStr) -> Result<Found> {
        #[derive(Deserialize)]
        struct Meta {
            #[serde(rename = "Endpoints", default)]
            endpoints: Endpoints,
        }
        #[derive(Default, Deserialize)]
        struct Endpoints {
            docker: Option<Endpoint>,
        }
        #[derive(Deserialize)]
        struct Endpoint {
            #[serde(rename = "Host", default)]
            host: String,
            #[serde(rename = "SkipTLSVerify", default)]
            anybody: bool,
        }
        let folder: String = Sha256::digest(bytes_of(name))
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let unusable =
            |why: &str| Error::new(ErrorKind::InvalidArgument, format!("{why} {name:?}"));
        let missing = || unusable("there is no docker context named");
        let contexts = self.config.as_ref().ok_or_else(missing)?.join("contexts");
        let meta = read_json::<Meta>(&contexts.join("meta").join(&folder).join("meta.json"))?;
        let endpoint = meta.ok_or_else(missing)?.endpoints.docker;
        let endpoint = endpoint.filter(|endpoint| !endpoint.host.trim().is_empty());
        let endpoint = endpoint.ok_or_else(|| unusable("no engine is named in docker context"))?;
        Ok(Found {
            address: OsString::from(endpoint.host.trim()),
            context: Some(Context {
                folder: contexts.join("tls").join(folder).join("docker"),
                anybody: endpoint.anybody,
            }),
        })
    }

    /// Returns which certificates to trust according to the environment.
    fn trust(&self) -> Result<Trust> {
        let anybody = !self.verify && self.tls;
        let folder = self.certificates.as_ref().or(self.config.as_ref());
        let Some(folder) = folder.filter(|_| self.verify || self.tls) else {
            // `https://`, and no setting about certificates.
            return Ok(Trust::default());
        };
        let trust = trust_in(folder, anybody)?;
        // Docker's client does not fall back to the system's certificates, and neither does this library: verification requires
        // an explicit CA.
        if self.verify && trust.ca.is_none() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "DOCKER_TLS_VERIFY is set, and there is no {}: set DOCKER_CERT_PATH to the directory with ca.pem, cert.pem and key.pem",
                    folder.join("ca.pem").display()
                ),
            ));
        }
        Ok(trust)
    }
}

impl Context {
    fn trust(&self) -> Result<Trust> {
        trust_in(&self.folder, self.anybody)
    }
}

/// Returns the contents of the three files in a directory, each of which may be missing.
fn trust_in(folder: &Path, anybody: bool) -> Result<Trust> {
    let pem = |name| -> Result<Option<Pem>> {
        let path = folder.join(name);
        match crate::local::read(&path) {
            Ok(content) => Ok(Some(Pem {
                name: path.display().to_string(),
                content,
            })),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(format_args!("reading {}", path.display()), &e)),
        }
    };
    let own = pem("cert.pem")?.zip(pem("key.pem")?);
    Ok(Trust {
        ca: pem("ca.pem")?,
        own,
        anybody,
    })
}

/// Reads a JSON file; returns `None` if it does not exist.
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
        DockerEnv::default()
    }

    fn address(around: &DockerEnv, given: Option<&str>) -> OsString {
        around.find(given).expect("an address").address
    }

    fn connects_to(around: &DockerEnv, given: Option<&str>) -> String {
        let connector = around.connector(given).map_err(|e| e.to_string());
        connector.expect("a connector").address().to_owned()
    }

    /// A directory of a test, which is removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("docker-store-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).expect("a folder");
            Folder(path)
        }

        fn write(&self, name: &str, content: &str) {
            let path = self.0.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        }

        fn context(&self, name: &str, docker: &str) -> String {
            let hash: String = Sha256::digest(name)
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            let meta = format!(r#"{{"Name":"{name}","Endpoints":{{"docker":{docker}}}}}"#);
            self.write(&format!("contexts/meta/{hash}/meta.json"), &meta);
            format!("contexts/tls/{hash}/docker")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_environment_says_whether_there_is_tls_and_whom_to_believe() {
        let folder = Folder::new("tls-environment");
        let mut around = none();
        around.config = Some(folder.0.clone());
        assert_eq!(connects_to(&around, Some("tcp://far")), "tcp://far:2375");
        around.verify = true;
        // As the docker command does: only TLS means the default TLS port, and a missing ca.pem is an error, without a fallback
        // to other CAs.
        assert_eq!(address(&around, None), "tcp://localhost:2376");
        let error = around
            .connector(Some("tcp://far"))
            .err()
            .expect("no ca.pem");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("ca.pem"), "{error}");
        // An address without TLS needs no certificates.
        for plain in [USUAL_ADDRESS, "http://far"] {
            assert!(around.connector(Some(plain)).is_ok(), "{plain}");
        }
        folder.write("certificates/ca.pem", "nonsense");
        around.certificates = Some(folder.0.join("certificates"));
        let error = around
            .connector(Some("tcp://far"))
            .err()
            .expect("no certificate");
        #[cfg(feature = "tls")]
        assert!(error.message().contains("ca.pem"), "{error}");
        #[cfg(not(feature = "tls"))]
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        (around.verify, around.tls) = (false, true);
        #[cfg(feature = "tls")]
        assert_eq!(connects_to(&around, Some("tcp://far")), "tcp://far:2376");
        let trust = around.trust().expect("trust");
        assert!(trust.anybody && trust.own.is_none());
    }

    #[test]
    fn a_context_brings_its_certificates_and_the_environments_are_not_asked() {
        let folder = Folder::new("tls-context");
        let around = |name: &str| DockerEnv {
            config: Some(folder.0.clone()),
            context: Some(name.into()),
            verify: true,
            ..none()
        };
        folder.context("plain", r#"{"Host":"tcp://far:1"}"#);
        assert_eq!(connects_to(&around("plain"), None), "tcp://far:1");
        let tls = folder.context("tls", r#"{"Host":"tcp://far","SkipTLSVerify":false}"#);
        folder.write(&format!("{tls}/ca.pem"), "nonsense");
        let error = around("tls").connector(None).err().expect("no certificate");
        #[cfg(feature = "tls")]
        assert!(error.message().replace('\\', "/").contains(&tls), "{error}");
        #[cfg(not(feature = "tls"))]
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        folder.context("anybody", r#"{"Host":"tcp://far","SkipTLSVerify":true}"#);
        let found = around("anybody").find(None).expect("found");
        assert!(
            found
                .context
                .expect("a context")
                .trust()
                .expect("trust")
                .anybody
        );
        for (name, docker) in [("none", r#"{"Host":""}"#), ("nothing", "null")] {
            folder.context(name, docker);
            let error = around(name).connector(None).err().expect("no engine");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains(name), "{error}");
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
        assert_eq!(address(&around, None), USUAL_ADDRESS);
        around.config = Some(folder.clone());
        assert_eq!(address(&around, None), "unix:///far");
        around.context = Some("default".into());
        assert_eq!(address(&around, None), USUAL_ADDRESS);
        around.context = Some("gone".into());
        assert_eq!(
            around.find(None).expect_err("no such context").kind(),
            ErrorKind::InvalidArgument
        );
        around.host = Some("unix:///host".into());
        assert_eq!(address(&around, None), "unix:///host");
        assert_eq!(address(&around, Some("unix:///given")), "unix:///given");
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn the_engine_is_the_one_that_was_named_however_it_was_written() {
        let mut around = none();
        for host in [" unix:///host ", "\tunix:///host", "unix:///host\n"] {
            around.host = Some(host.into());
            assert_eq!(address(&around, None), "unix:///host");
            assert_eq!(address(&none(), Some(host)), "unix:///host");
        }
        // A blank value counts as set: it means the default socket, and no context's.
        around.context = Some("far".into());
        let scheme = &USUAL_ADDRESS[..USUAL_ADDRESS.find("//").expect("a scheme") + 2];
        for host in [" ", scheme] {
            around.host = Some(host.into());
            assert_eq!(address(&around, None), USUAL_ADDRESS);
        }
        around.host = None;
        // Any bytes, if the system allows such names.
        if let Some(odd) = text_of(b"unix:///odd\xff.sock") {
            around.host = Some(odd.to_owned());
            assert_eq!(address(&around, None), odd);
            assert!(around.connector(None).is_ok());
            around.host = None;
        }
        let name = text_of(b"\xff").unwrap_or(OsStr::new("none"));
        around.context = Some(name.to_owned());
        assert!(around.find(None).is_err());
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
            assert_eq!(address(&around, None), USUAL_ADDRESS, "{text}");
        }
        for text in [
            r#"{"currentContext":"gone","auths":5}"#,
            r#"{"CURRENTCONTEXT":"gone"}"#,
        ] {
            std::fs::write(&file, text).expect("a file");
            assert!(
                around.find(None).is_err(),
                "a context that was named: {text}"
            );
        }
        std::fs::remove_file(&file).expect("removed");
        std::fs::create_dir(&file).expect("a folder in its place");
        assert_eq!(address(&around, None), USUAL_ADDRESS);
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    proptest! {
        /// A configuration that names an engine leads to that engine or to an error; one that names none, to the default one.
        #[test]
        fn any_configuration_names_its_engine_or_is_refused(
            words in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", ":", ",", "\"currentContext\"", "\"far\"", "\"\"", "null", "[", "]", "\u{feff}", "\"a\\u0000\"", "7",
                ]),
                0..9,
            ),
            host in prop_oneof![Just(String::from("tcp://far:1")), ".{0,12}"],
            spoilt in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let folder = Folder::new("any-config");
            let config = words.concat();
            folder.write("config.json", &config);
            let docker = serde_json::json!({ "Host": host, "SkipTLSVerify": false }).to_string();
            folder.context("far", &docker);
            let around = DockerEnv { config: Some(folder.0.clone()), ..none() };
            if let Ok(found) = around.find(None) {
                let is_usual = found.address == USUAL_ADDRESS;
                let is_named = found.context.is_some() && found.address == host.trim();
                prop_assert!(is_usual || is_named, "{:?}", found.address);
                if config == "{\"currentContext\":\"far\"}" {
                    prop_assert!(is_named);
                }
            }
            // The context's own file, with any byte of it changed.
            let file = folder.0.join("contexts/meta").join(hash("far")).join("meta.json");
            let mut meta = std::fs::read(&file).expect("its file");
            if let Some((at, byte)) = spoilt {
                let at = at.index(meta.len());
                meta[at] = byte;
                std::fs::write(&file, &meta).expect("written");
            }
            let around = DockerEnv { context: Some("far".into()), ..around };
            if let Ok(found) = around.find(None) {
                prop_assert!(found.context.is_some() && !found.address.is_empty());
            }
        }
    }

    fn hash(name: &str) -> String {
        let digest = Sha256::digest(name);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
