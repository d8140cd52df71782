//! The engine, asked past the library: by requests of our own. They cost the machine a hundredth of what a `docker` command does.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use super::proxy::engine_socket;

pub fn connect() -> std::io::Result<UnixStream> {
    UnixStream::connect(engine_socket())
}

/// Asks the engine past the library, and gives the status and the answer.
pub fn request(method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut stream = connect().expect("an engine; run the tests by `make test`");
    let body = body.map(Value::to_string).unwrap_or_default();
    let head = format!(
        "{method} /v1.41{path} HTTP/1.0\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body.as_bytes()))
        .expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .expect("a status");
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

pub fn get(path: &str) -> Value {
    request("GET", path, None).1
}

/// The names of all containers, running or not, that have `prefix` in them: more than those of the library's own making.
pub fn containers(prefix: &str) -> Vec<String> {
    let listed = get("/containers/json?all=1");
    let names = items(&listed).flat_map(|container| texts(&container["Names"]));
    names
        .map(|name| name.trim_start_matches('/').to_owned())
        .filter(|name| name.contains(prefix))
        .collect()
}

/// The names of images that have `prefix` in them, with their tags. (Podman puts a registry of its own before them.)
pub fn image_names(prefix: &str) -> Vec<String> {
    let listed = get("/images/json");
    let names = items(&listed).flat_map(|image| texts(&image["RepoTags"]));
    names
        .filter(|name| name.contains(prefix))
        .map(str::to_owned)
        .collect()
}

/// The names of volumes that have `prefix` in them.
pub fn volumes(prefix: &str) -> Vec<String> {
    let listed = get("/volumes");
    let names = items(&listed["Volumes"]).filter_map(|volume| volume["Name"].as_str());
    names
        .filter(|name| name.contains(prefix))
        .map(str::to_owned)
        .collect()
}

fn items(listed: &Value) -> impl Iterator<Item = &Value> {
    listed.as_array().into_iter().flatten()
}

fn texts(listed: &Value) -> impl Iterator<Item = &str> {
    items(listed).filter_map(Value::as_str)
}
