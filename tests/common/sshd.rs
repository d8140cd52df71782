//! An `sshd` that belongs to a test, on the loopback, with keys of its own, and an `ssh` that knows only this server.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Stopped, and its directory removed, when it is dropped.
pub struct Sshd {
    folder: PathBuf,
    process: Child,
}

impl Sshd {
    /// `None` if none can be started: only root can.
    pub fn start() -> Option<Self> {
        let need = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/need");
        let program = Path::new("/usr/sbin/sshd");
        let is_root = rustix::process::geteuid().is_root();
        let is_there = || {
            program.exists()
                || Command::new(need)
                    .args(["openssh-server", "openssh-client"])
                    .status()
                    .is_ok_and(|s| s.success())
        };
        if !is_root || !is_there() {
            println!("skipped: no sshd of its own can be started here");
            return None;
        }
        let folder = std::env::temp_dir().join(format!("docker-store-sshd-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let at = |name: &str| folder.join(name).display().to_string();
        for key in ["host", "good", "no-docker", "stranger"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)])
                .status();
            assert!(made.expect("ssh-keygen runs").success());
        }
        let public = |key: &str| std::fs::read_to_string(at(&format!("{key}.pub"))).expect("a key");
        let authorized = format!(
            "{}command=\"no-such-docker system dial-stdio\" {}",
            public("good"),
            public("no-docker")
        );
        std::fs::write(at("authorized"), authorized).expect("written");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("a port")
            .port();
        let known = |key: &str| format!("[127.0.0.1]:{port} {}", public(key));
        std::fs::write(at("known"), known("host")).expect("written");
        std::fs::write(at("unknown"), "").expect("written");
        std::fs::write(at("changed"), known("stranger")).expect("written");
        let server = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile {}\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nMaxStartups 100\n",
            at("host"),
            at("authorized"),
            at("sshd.pid"),
        );
        std::fs::write(at("sshd_config"), server).expect("written");
        let mut client = format!(
            "Host *\n  HostName 127.0.0.1\n  Port {port}\n  User root\n  IdentitiesOnly yes\n  IdentityAgent none\n  GlobalKnownHostsFile /dev/null\n"
        );
        for (host, key, known) in [
            ("good", "good", "known"),
            ("no-docker", "no-docker", "known"),
            ("refused", "stranger", "known"),
            ("unknown", "good", "unknown"),
            ("changed", "good", "changed"),
        ] {
            client.push_str(&format!(
                "Host {host}\n  IdentityFile {}\n  UserKnownHostsFile {}\n",
                at(key),
                at(known),
            ));
        }
        // The first value counts: what applies to all hosts is last.
        let (all, each) = client.split_at(client.find("Host good").expect("there"));
        std::fs::write(at("ssh_config"), format!("{each}{all}")).expect("written");
        std::fs::create_dir_all(folder.join("bin")).expect("a folder");
        let real = ["/usr/bin/ssh", "/bin/ssh", "/usr/local/bin/ssh"];
        let real = real
            .iter()
            .find(|path| Path::new(path).exists())
            .expect("an ssh");
        std::fs::write(
            at("bin/ssh"),
            format!("#!/bin/sh\nexec {real} -F {} \"$@\"\n", at("ssh_config")),
        )
        .expect("written");
        std::fs::set_permissions(
            folder.join("bin/ssh"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .expect("set");
        let _ = std::fs::create_dir_all("/run/sshd");
        let mut process = Command::new(program)
            .args(["-D", "-e", "-f", &at("sshd_config")])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sshd runs");
        let said = BufReader::new(process.stderr.take().expect("its words"));
        // It keeps writing, and blocks if its output is not read.
        std::thread::spawn(move || said.lines().map_while(Result::ok).for_each(drop));
        super::until("sshd listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(Sshd { folder, process })
    }

    /// A `PATH` on which `ssh` is the one that knows this server.
    pub fn path(&self) -> std::ffi::OsString {
        let mut path = self.folder.join("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        path
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
