//! A registry that belongs to a test: Debian's `docker-registry`, on a port that the system chooses. Engines use plain HTTP for
//! 127.0.0.1.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The user of a registry that requires a login: `builder`, whose password is `hunter2` (`htpasswd -nbB -C 4`).
const USERS: &str = "builder:$2y$04$l/t2UBV4nUBJT0nIpQ7AEu7nNZk1KrCnufV2bmSY1VmO7kT/deNQe\n";

/// Stopped, and its directory removed, when it is dropped.
pub struct Registry {
    process: Child,
    folder: PathBuf,
    /// `127.0.0.1:PORT`.
    pub host: String,
}

impl Registry {
    /// A registry for all users, or only for `builder`.
    pub fn start(asks: bool) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("docker-store-registry-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let users = folder.join("users");
        std::fs::write(&users, USERS).expect("its users");
        let mut config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:0\"}}\n",
            folder.join("data").display()
        );
        if asks {
            let users = users.display();
            config += &format!("auth: {{htpasswd: {{realm: test, path: {users}}}}}\n");
        }
        let file = folder.join("config.yml");
        std::fs::write(&file, config).expect("its configuration");
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry: run the tests by `make test`, which installs it");
        let mut lines = BufReader::new(process.stderr.take().expect("its log")).lines();
        let host = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let rest = line.split("listening on ").nth(1)?;
                let end = rest.find(|c: char| c != '.' && c != ':' && !c.is_ascii_digit());
                Some(rest[..end.unwrap_or(rest.len())].to_owned())
            })
            .expect("it listens");
        // It must not block because its output is not read.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Registry {
            process,
            folder,
            host,
        }
    }

    /// Its response to a GET: the status, the head, the body.
    pub fn get(&self, path: &str) -> (u16, String, Vec<u8>) {
        let accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
        self.ask("GET", path, ("Accept", accept), &[])
    }

    /// Puts a blob into the repository `name`.
    pub fn put_blob(&self, name: &str, digest: &str, content: &[u8]) {
        let path = format!("/v2/{name}/blobs/uploads/");
        let (_, head, _) = self.ask("POST", &path, ("Accept", "*/*"), &[]);
        let place = head
            .lines()
            .find_map(|line| line.strip_prefix("Location: "))
            .expect("a place");
        let path = place.split_once("/v2/").expect("a path").1.trim();
        let path = format!("/v2/{path}&digest={digest}");
        let kind = ("Content-Type", "application/octet-stream");
        let (status, _, body) = self.ask("PUT", &path, kind, content);
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    }

    /// Puts a manifest into the repository `name` under `tag`.
    pub fn put_manifest(&self, name: &str, tag: &str, kind: &str, content: &[u8]) {
        let path = format!("/v2/{name}/manifests/{tag}");
        let (status, _, body) = self.ask("PUT", &path, ("Content-Type", kind), content);
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        (name, value): (&str, &str),
        body: &[u8],
    ) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.host).expect("it listens");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{name}: {value}\r\nContent-Length: {}\r\nAuthorization: Basic YnVpbGRlcjpodW50ZXIy\r\nConnection: close\r\n\r\n",
            self.host,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("asked");
        stream.write_all(body).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.expect("the end of a head");
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        (status.expect("a status"), head, answer[end + 4..].to_vec())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
