//! The credentials for a registry, as `docker login` has stored them: in Docker's configuration, or in a helper that it names.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use docker_store::RegistryLogin;
use serde_json::Value;

use crate::ending::Failure;

/// The key of Docker Hub in that configuration.
const HUB: &str = "https://index.docker.io/v1/";

/// Returns the login for the registry in `name`; `None` if there is none.
pub(crate) fn of_docker(name: &str) -> Result<Option<RegistryLogin>, Failure> {
    let Some(file) = file() else { return Ok(None) };
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Failure::Io(format!("reading {}", file.display()), e)),
    };
    let config: Value = serde_json::from_str(&text)
        .map_err(|e| Failure::failed(format!("reading {}: {e}", file.display())))?;
    let registry = registry_of(name);
    match helper(&config, &registry) {
        Some(helper) => ask(helper, &registry),
        None => Ok(kept(&config, &registry)),
    }
}

fn file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = set("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(set("HOME")?).join(".docker")))?;
    Some(folder.join("config.json"))
}

/// Returns the registry in an image's name, as Docker's configuration calls it.
pub(crate) fn registry_of(name: &str) -> String {
    match name.split_once('/') {
        // A first part without a dot or a port, other than localhost, is a part of a path on Docker Hub.
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => match host {
            "docker.io" | "index.docker.io" => HUB.to_owned(),
            host => host.to_owned(),
        },
        _ => HUB.to_owned(),
    }
}

fn helper<'a>(config: &'a Value, registry: &str) -> Option<&'a str> {
    let own = config["credHelpers"][registry].as_str();
    own.or_else(|| config["credsStore"].as_str())
        .filter(|helper| !helper.is_empty())
}

/// Returns what is stored in the file itself.
fn kept(config: &Value, registry: &str) -> Option<RegistryLogin> {
    let auths = config["auths"].as_object()?;
    // Older versions wrote full addresses.
    let host = |key: &str| {
        let key = key
            .strip_prefix("https://")
            .or_else(|| key.strip_prefix("http://"));
        key.map(|key| key.split('/').next().unwrap_or(key).to_owned())
    };
    let found = auths.get(registry).or_else(|| {
        let mut others = auths.iter();
        others.find_map(|(key, auth)| (host(key).as_deref() == Some(registry)).then_some(auth))
    })?;
    if let Some(token) = found["identitytoken"]
        .as_str()
        .filter(|token| !token.is_empty())
    {
        return Some(login("<token>", token, registry));
    }
    let plain = STANDARD.decode(found["auth"].as_str()?).ok()?;
    let plain = String::from_utf8(plain).ok()?;
    let (user, password) = plain.split_once(':')?;
    Some(login(user, password.trim_end_matches('\0'), registry))
}

/// Queries `docker-credential-HELPER`.
fn ask(helper: &str, registry: &str) -> Result<Option<RegistryLogin>, Failure> {
    let program = format!("docker-credential-{helper}");
    let failed = |e| Failure::Io(format!("asking {program} for the login to {registry}"), e);
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input may still answer.
        let _ = stdin.write_all(registry.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        // What all helpers print if there is no login.
        if said.contains("credentials not found") {
            return Ok(None);
        }
        let why = format!("{program} has no login to {registry}: {}", said.trim());
        return Err(Failure::failed(why));
    }
    let answer: Value = serde_json::from_str(&said)
        .map_err(|e| Failure::failed(format!("reading the answer of {program}: {e}")))?;
    let part = |name: &str| answer[name].as_str().unwrap_or_default();
    Ok(Some(login(part("Username"), part("Secret"), registry)))
}

fn login(user: &str, password: &str, server: &str) -> RegistryLogin {
    RegistryLogin {
        user: user.to_owned(),
        password: password.to_owned(),
        server: server.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_is_of_the_registry_that_docker_takes_it_for() {
        for (name, registry) in [
            ("app", HUB),
            ("team/app:1", HUB),
            ("docker.io/team/app", HUB),
            ("registry.example/app", "registry.example"),
            ("registry.example:5000/team/app:1", "registry.example:5000"),
            ("localhost/app", "localhost"),
            ("localhost:5000/app", "localhost:5000"),
        ] {
            assert_eq!(registry_of(name), registry, "{name}");
        }
    }

    #[test]
    fn what_docker_login_wrote_is_read() {
        let config = json!({
            "auths": {
                "registry.example": { "auth": STANDARD.encode("me:se:cret") },
                "https://old.example/v1/": { "auth": STANDARD.encode("you:x") },
                "token.example": { "auth": "", "identitytoken": "t" },
                "broken.example": { "auth": "!" },
                "empty.example": {},
            },
            "credHelpers": { "helped.example": "pass" },
        });
        let of = |registry| kept(&config, registry).map(|login| (login.user, login.password));
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(of("registry.example"), pair("me", "se:cret"));
        assert_eq!(of("old.example"), pair("you", "x"));
        assert_eq!(of("token.example"), pair("<token>", "t"));
        for registry in ["broken.example", "empty.example", "none.example"] {
            assert_eq!(of(registry), None, "{registry}");
        }
        assert_eq!(helper(&config, "helped.example"), Some("pass"));
        assert_eq!(helper(&config, "registry.example"), None);
        assert_eq!(helper(&json!({ "credsStore": "all" }), "x"), Some("all"));
    }
}
