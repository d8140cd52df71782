//! Everything that works over a unix socket works over tcp, TLS and ssh; and a problem with a certificate, a key or an address
//! is reported in words, in time, and never answered by another engine.
#![cfg(feature = "tls")]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::certificates::{Authority, Valid};
use common::own_engine::OwnEngine;
use common::sshd::Sshd;
use common::{child_of, is_long, sh};
use docker_store::{Cancel, ErrorKind, Limits, Options, Store};
use sha2::{Digest, Sha256};

/// A directory of a test, which is removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("docker-store-transports-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `test` as a child whose environment names an engine; fails if it does, or takes more than several minutes.
fn child(test: &str, folder: &Path, role: &str, environment: &[(&str, &std::ffi::OsStr)]) {
    let mut command = Process::new(std::env::current_exe().expect("this program"));
    command
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env("DOCKER_STORE_CHILD", test)
        .env("DOCKER_STORE_CHILD_ROOT", folder)
        .env("DOCKER_STORE_CHILD_ROLE", role)
        .env("DOCKER_STORE_TEST_SOCKET", socket())
        .stdin(Stdio::null());
    for name in [
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "DOCKER_TLS_VERIFY",
        "DOCKER_CERT_PATH",
    ] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    let mut child = command.spawn().expect("a child");
    let limit = Duration::from_secs(if is_long() { 1200 } else { 180 });
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break status,
            None if begun.elapsed() > limit => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{role}: the child does not end");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert!(status.success(), "{role}: the child failed");
}

fn socket() -> PathBuf {
    let host =
        std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".into());
    host.strip_prefix("unix://")
        .expect("an engine on a unix socket")
        .into()
}

/// A port of the loopback that leads to a socket.
fn forward(socket: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("a port").port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(engine) = UnixStream::connect(&socket) else {
                continue;
            };
            let _ = client.set_nodelay(true);
            let (mut from, mut to) = (
                client.try_clone().expect("a copy"),
                engine.try_clone().expect("a copy"),
            );
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
            let (mut from, mut to) = (engine, client);
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    });
    port
}

/// The typical use of a host, on the engine that the environment names.
fn conversation(folder: &Path, scheme: &str) {
    let root = common::Root::at(folder.join("root"));
    let store = root.open();
    assert!(store.engine().starts_with(scheme), "{}", store.engine());
    common::import_base(&store, "base");
    let mut step = common::begin(&store, "base", "made");
    // The end of the input is noticed, and output after it is received.
    step.run(sh("wc -c; sleep 0.2; echo after").stdin(vec![b'x'; 3_000_000]))
        .expect("a run");
    let log = store.log_file("made").expect("a path");
    let text = std::fs::read_to_string(&log).expect("a log");
    assert_eq!(text, "3000000\nafter\n");
    let output: u64 = if is_long() { 1 << 30 } else { 8 << 20 };
    step.run(&sh(&format!("head -c {output} /dev/zero")))
        .expect("a run");
    assert_eq!(
        std::fs::metadata(&log).expect("a log").len(),
        output + text.len() as u64
    );
    // In both directions.
    let size = if is_long() { 500 << 20 } else { 8 << 20 };
    let content: Vec<u8> = (0..size as u64)
        .map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u8)
        .collect();
    step.copy_in("/", &mut common::tar_of("large", &content).as_slice())
        .expect("copied in");
    step.commit().expect("a commit");
    let mut tar = Vec::new();
    store
        .copy_out("made", "/large", &mut tar, &Limits::none())
        .expect("copied out");
    let back = common::untar(&tar);
    assert_eq!(Sha256::digest(&back[0].1), Sha256::digest(&content));
    // It ends when it is cancelled.
    let soon = Duration::from_secs(1);
    for told in [ErrorKind::Cancelled, ErrorKind::TimedOut] {
        let cancel = Cancel::new();
        let mut step = common::begin(&store, "base", "ended");
        let begun = Instant::now();
        let limits = match told {
            ErrorKind::Cancelled => Limits::none().cancel(&cancel),
            _ => Limits::none().timeout(soon),
        };
        let ended = std::thread::scope(|scope| {
            let waker = scope.spawn(|| {
                std::thread::sleep(soon);
                cancel.cancel();
            });
            step.limit(&limits);
            let ended = step.run(&sh("sleep 100")).expect_err("told to end");
            waker.join().expect("woken");
            ended
        });
        assert_eq!(ended.kind(), told, "{ended}");
        let took = begun.elapsed();
        assert!(
            took >= soon && took < soon + Duration::from_secs(2),
            "{took:?}"
        );
        drop(step);
    }
    assert!(store.result("made").expect("a look") && !store.result("ended").expect("a look"));
    for id in ["made", "base"] {
        store.delete(id).expect("deleted");
    }
    store.purge().expect("purged");
    drop(store);
    falls_silent(folder);
    // No child is left, not even as a zombie.
    assert_eq!(children(), Vec::new());
}

/// The engine stops responding, over connections that stay open: calls end at their limits.
fn falls_silent(folder: &Path) {
    let silent = Arc::new(AtomicBool::new(false));
    let mut options = Options::new();
    match common::role().as_str() {
        "ssh" => stop_children_while(Arc::clone(&silent)),
        "tcp" | "tls" => {
            let host = std::env::var("DOCKER_HOST").expect("an address");
            let port = host.rsplit(':').next().and_then(|port| port.parse().ok());
            let front = pass_on(port.expect("a port"), Arc::clone(&silent));
            options.engine(format!("tcp://localhost:{front}"));
        }
        // The same transport as one of these.
        _ => return,
    }
    let root = common::Root::at(folder.join("silent"));
    let store = root.open_with(&options);
    common::import_base(&store, "base");
    let mut steps = ["timed out", "cancelled"].map(|told| {
        let mut step = common::begin(&store, "base", &told.replace(' ', "-"));
        step.run(&sh("true")).expect("a run");
        (told, step)
    });
    silent.store(true, Ordering::SeqCst);
    common::until("nothing is heard any more", || {
        let stopped = |(pid, _): (String, String)| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" T"))
        };
        children().into_iter().all(stopped)
    });
    let (cancel, soon) = (Cancel::new(), Duration::from_millis(700));
    let told_at = Instant::now() + soon;
    let ends = |what: &str, wanted: ErrorKind, error: docker_store::Error| {
        let late = told_at.elapsed();
        assert_eq!(error.kind(), wanted, "{what}: {error}");
        assert!(
            late < Duration::from_secs(2),
            "{what}, {wanted:?}: {late:?} late"
        );
    };
    std::thread::scope(|scope| {
        for (told, step) in &mut steps {
            let (limits, wanted) = match *told {
                "cancelled" => (Limits::none().cancel(&cancel), ErrorKind::Cancelled),
                _ => (Limits::none().timeout(soon), ErrorKind::TimedOut),
            };
            let (ends, store, looks) = (&ends, &store, limits.clone());
            scope.spawn(move || {
                let looked = store.result_within("base", &looks);
                ends("a look", wanted, looked.expect_err("silence"));
            });
            scope.spawn(move || {
                step.limit(&limits);
                let ran = step.run(&sh("true"));
                ends("a run", wanted, ran.expect_err("silence"));
            });
        }
        std::thread::sleep(soon);
        cancel.cancel();
    });
    silent.store(false, Ordering::SeqCst);
    drop(steps);
    let limits = Limits::none().timeout(Duration::from_secs(60));
    store.complete_deletes(&limits).expect("removed");
    store.delete("base").expect("deleted");
    store.purge().expect("purged");
    store.close().expect("closed");
}

/// Stops this process's children, and their children, while `silent` is set.
fn stop_children_while(silent: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let mut stopped = Vec::new();
        loop {
            let (now, signal) = match silent.load(Ordering::SeqCst) {
                true => (
                    children().into_iter().map(|(pid, _)| pid).collect(),
                    "-STOP",
                ),
                false => (std::mem::take(&mut stopped), "-CONT"),
            };
            for pid in &now {
                let _ = Process::new("kill").args([signal, pid]).status();
            }
            if signal == "-STOP" {
                stopped = now;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
}

/// A port of the loopback that leads to another one, and nowhere while `silent` is set.
fn pass_on(port: u16, silent: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let front = listener.local_addr().expect("a port").port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let engine = TcpStream::connect(("127.0.0.1", port)).expect("the engine's port");
            for (from, to) in [(&client, &engine), (&engine, &client)] {
                from.set_nodelay(true).expect("set");
                let (mut from, mut to) = (
                    from.try_clone().expect("a copy"),
                    to.try_clone().expect("a copy"),
                );
                let silent = Arc::clone(&silent);
                std::thread::spawn(move || {
                    let mut buffer = [0; 64 << 10];
                    while let Ok(n) = from.read(&mut buffer) {
                        while silent.load(Ordering::SeqCst) {
                            std::thread::sleep(Duration::from_millis(10));
                        }
                        if n == 0 || to.write_all(&buffer[..n]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    front
}

/// The children of this process that were not waited for: their pids and names.
fn children() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("processes").flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((name, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        if rest.split_whitespace().nth(1) == Some(&std::process::id().to_string()) {
            let pid = entry.file_name().to_string_lossy().into_owned();
            found.push((pid, name.to_owned()));
        }
    }
    found
}

#[test]
fn what_holds_over_a_unix_socket_holds_over_tcp() {
    const NAME: &str = "what_holds_over_a_unix_socket_holds_over_tcp";
    if let Some(folder) = child_of(NAME) {
        return conversation(&folder, "tcp://");
    }
    let folder = Folder::new("tcp");
    let host = format!("tcp://localhost:{}", forward(socket()));
    child(NAME, &folder.0, "tcp", &[("DOCKER_HOST", host.as_ref())]);
}

#[test]
fn what_holds_over_a_unix_socket_holds_over_ssh() {
    const NAME: &str = "what_holds_over_a_unix_socket_holds_over_ssh";
    if let Some(folder) = child_of(NAME) {
        match common::role().as_str() {
            "cut" => return cut(&folder),
            _ => return conversation(&folder, "ssh://good"),
        }
    }
    let Some(sshd) = Sshd::start() else { return };
    let folder = Folder::new("ssh");
    let host = format!("ssh://good{}", socket().display());
    let path = sshd.path();
    let environment = [("DOCKER_HOST", host.as_ref()), ("PATH", path.as_os_str())];
    child(NAME, &folder.0, "ssh", &environment);
    child(NAME, &folder.0, "cut", &environment);
    for (host, says) in [
        ("refused", "Permission denied"),
        ("unknown", "Host key verification failed"),
        ("changed", "Host key verification failed"),
        ("no-docker", "no-such-docker"),
    ] {
        let host = format!("ssh://{host}{}", socket().display());
        let environment = [("DOCKER_HOST", host.as_ref()), ("PATH", path.as_os_str())];
        child(
            "what_cannot_be_reached_is_said_in_words",
            &folder.0,
            says,
            &environment,
        );
    }
    let nothing = Folder::new("no-ssh");
    let environment = [
        ("DOCKER_HOST", "ssh://good".as_ref()),
        ("PATH", nothing.0.as_os_str()),
    ];
    child(
        "what_cannot_be_reached_is_said_in_words",
        &folder.0,
        "starting the program `ssh`",
        &environment,
    );
}

/// The connection breaks in the middle of a command's output.
fn cut(folder: &Path) {
    let root = common::Root::at(folder.join("root"));
    let store = root.open();
    common::import_base(&store, "base");
    let mut step = common::begin(&store, "base", "cut");
    let log = store.log_file("cut").expect("a path");
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            common::until("the output has begun", || {
                std::fs::read_to_string(&log).is_ok_and(|text| text.contains("more"))
            });
            let (pids, _): (Vec<_>, Vec<_>) = children().into_iter().unzip();
            assert!(!pids.is_empty(), "no ssh runs");
            for pid in pids {
                let _ = Process::new("kill").args(["-KILL", &pid]).status();
            }
        });
        step.run(&sh("while echo more; do sleep 0.1; done"))
            .expect_err("cut off")
    });
    assert_eq!(ended.kind(), ErrorKind::CutShort, "{ended}");
    drop(step);
    assert!(!store.result("cut").expect("a look"));
    store.delete("base").expect("deleted");
    store.purge().expect("purged");
}

/// A child's program: its environment names an engine that cannot be reached, and its role is the expected message.
#[test]
fn what_cannot_be_reached_is_said_in_words() {
    const NAME: &str = "what_cannot_be_reached_is_said_in_words";
    if let Some(folder) = child_of(NAME) {
        // One for each line: the address, and the message.
        for line in common::role().lines() {
            let (address, says) = line.split_once(" => ").unwrap_or(("", line));
            let mut options = Options::new();
            options
                .connect_timeout(Duration::from_secs(10))
                .expect("a time");
            if !address.is_empty() {
                options.engine(address);
            }
            let begun = Instant::now();
            let root = folder.join("unreachable");
            let error = Store::open(&root, &options).expect_err(says);
            assert!(error.message().contains(says), "{line}: {error}");
            let kinds = [
                ErrorKind::Unreachable,
                ErrorKind::Unsupported,
                ErrorKind::InvalidArgument,
                ErrorKind::TimedOut,
            ];
            assert!(kinds.contains(&error.kind()), "{line}: {error:?}");
            assert!(
                begun.elapsed() < Duration::from_secs(12),
                "{line}: {:?}",
                begun.elapsed()
            );
            assert!(!root.exists(), "{line}: something was left behind");
        }
        return;
    }
    let folder = Folder::new("words");
    let (ours, strange) = (Authority::new("ours"), Authority::new("strange"));
    let good = ours.server("localhost", Valid::Now);
    let front = |config: Arc<rustls::ServerConfig>| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a port").port();
        std::thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                let mut session =
                    rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
                while session.is_handshaking() && session.complete_io(&mut client).is_ok() {}
                let _ = client.shutdown(Shutdown::Write);
                let _ = client.read_to_end(&mut Vec::new());
            }
        });
        format!("tcp://localhost:{port}")
    };
    let raw = |says: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a port").port();
        std::thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                let _ = client.read(&mut [0; 4096]);
                let _ = client.write_all(says);
                let _ = client.shutdown(Shutdown::Write);
                let _ = client.read_to_end(&mut Vec::new());
            }
        });
        format!("localhost:{port}")
    };
    // It accepts connections and is silent: not even an accept happens.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = format!(
        "tcp://localhost:{}",
        silent
            .local_addr()
            .map(|at| (at.port(), silent))
            .map(|(port, kept)| {
                std::mem::forget(kept);
                port
            })
            .expect("a port")
    );
    let gone = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a port")
        .port();
    let cases = [
        (front(ours.server("localhost", Valid::NoLonger).serving(None)), "it has expired"),
        (front(ours.server("localhost", Valid::NotYet).serving(None)), "it is not valid yet"),
        (front(ours.server("elsewhere", Valid::Now).serving(None)), "it is for another name"),
        (front(strange.server("localhost", Valid::Now).serving(None)), "not signed by a trusted CA"),
        (front(good.serving(Some(&strange))), "the engine refuses the client certificate"),
        (format!("tcp://{}", raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")), "does not speak TLS"),
        (format!("tcp://{}", raw(b"")), "in the middle of the TLS handshake"),
        (
            format!("http://{}", raw(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")),
            "requires TLS",
        ),
        (silent, "deadline"),
        (format!("tcp://localhost:{gone}"), "refused"),
        (String::from("tcp://no-such-host.invalid"), "no-such-host.invalid"),
        (String::from("npipe:////./pipe/docker_engine"), "Windows"),
        (String::from("fd://3"), "systemd"),
    ];
    let role: Vec<String> = cases
        .iter()
        .map(|(at, says)| format!("{at} => {says}"))
        .collect();
    let certificates = folder.0.join("certificates");
    ours.write(&certificates, Some(&ours.client()));
    let environment = |certificates: &Path| {
        [
            ("DOCKER_TLS_VERIFY", "1".into()),
            ("DOCKER_CERT_PATH", certificates.as_os_str().to_owned()),
        ]
    };
    let run = |role: &str, environment: &[(&str, std::ffi::OsString)]| {
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| (*name, value.as_os_str()))
            .collect();
        child(NAME, &folder.0, role, &environment);
    };
    run(&role.join("\n"), &environment(&certificates));
    // Without a client certificate, although one is required.
    let bare = folder.0.join("bare");
    ours.write(&bare, None);
    let wants = format!(
        "{} => requires a client certificate",
        front(good.serving(Some(&ours)))
    );
    run(&wants, &environment(&bare));
    // If the docker command would not use the default engine, the library does not either.
    run("ca.pem", &environment(&folder.0.join("nowhere")));
    run(
        "no docker context named",
        &[("DOCKER_CONTEXT", "gone".into())],
    );
}

#[test]
fn what_holds_over_a_unix_socket_holds_over_tls() {
    const NAME: &str = "what_holds_over_a_unix_socket_holds_over_tls";
    if let Some(folder) = child_of(NAME) {
        return conversation(&folder, "tcp://localhost");
    }
    let folder = Folder::new("tls");
    let (authority, strange) = (Authority::new("ours"), Authority::new("strange"));
    let server = folder.0.join("server");
    authority.write(&server, Some(&authority.server("localhost", Valid::Now)));
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a port")
        .port();
    let at = |name: &str| server.join(name).display().to_string();
    let options = format!(
        "--host tcp://127.0.0.1:{port} --tlsverify --tlscacert {} --tlscert {} --tlskey {}",
        at("ca.pem"),
        at("cert.pem"),
        at("key.pem"),
    );
    let Some(_engine) = OwnEngine::start_as("{}", &options) else {
        return;
    };
    let client = folder.0.join("client");
    authority.write(&client, Some(&authority.client()));
    let host = format!("tcp://localhost:{port}");
    let run = |test: &str, role: &str, host: &str, certificates: &Path| {
        let environment = [
            ("DOCKER_HOST", host.as_ref()),
            ("DOCKER_TLS_VERIFY", "1".as_ref()),
            ("DOCKER_CERT_PATH", certificates.as_os_str()),
        ];
        child(test, &folder.0, role, &environment);
    };
    run(NAME, "tls", &host, &client);
    // The same with a context, whose certificates are in its directory.
    let hash: String = Sha256::digest("far")
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let config = folder.0.join("config/contexts");
    let meta = config.join("meta").join(&hash);
    std::fs::create_dir_all(&meta).expect("a folder");
    let text = format!(
        r#"{{"Name":"far","Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
    );
    std::fs::write(meta.join("meta.json"), text).expect("written");
    authority.write(
        &config.join("tls").join(&hash).join("docker"),
        Some(&authority.client()),
    );
    let root = folder.0.join("config");
    let context = [
        ("DOCKER_CONFIG", root.as_os_str()),
        ("DOCKER_CONTEXT", "far".as_ref()),
    ];
    child(NAME, &folder.0, "context", &context);
    // What a real engine refuses.
    let words = "what_cannot_be_reached_is_said_in_words";
    let wrong = folder.0.join("wrong");
    authority.write(&wrong, Some(&strange.client()));
    run(
        words,
        "the engine refuses the client certificate",
        &host,
        &wrong,
    );
    let none = folder.0.join("none");
    authority.write(&none, None);
    run(words, "certificate", &host, &none);
    let believes = folder.0.join("believes");
    strange.write(&believes, Some(&authority.client()));
    run(words, "not signed by a trusted CA", &host, &believes);
    run(
        words,
        "it is for another name",
        &format!("tcp://127.0.0.1:{port}"),
        &client,
    );
    run(
        words,
        "requires TLS",
        &format!("http://localhost:{port}"),
        &client,
    );
}
