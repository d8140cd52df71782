//! The other transports to an engine: a round trip over tcp, TLS and ssh compared with the bare ones, and a step over TLS
//! compared with one over a unix socket. The engines belong to this run, and the certificates and keys are created for it.

use std::ffi::OsString;
use std::io::{self, BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use docker_store::{Begun, Limits, Options, Store};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::bare::{self, Bare};
use crate::calls::ask_ping;
use crate::common::certificates::{Authority, Valid};
use crate::common::own_engine::OwnEngine;
use crate::common::sshd::Sshd;
use crate::engine::context::DockerEnv;
use crate::http::Client;
use crate::peer::Peer;
use crate::race::{Times, Way, race};
use crate::report::{Bound, Report, Section, Table};
use crate::unit::Unit;
use crate::world::World;

/// The argument that makes this program a peer; the next one is the root of its store.
pub(crate) const SERVES: &str = "--serve-steps";

/// How many requests one turn makes.
const TURN: usize = 25;

const TEXT: &str = "\
    `_ping` on a kept connection, over each transport. The bare ways send the same bytes and read until the answer is whole: over \
    a tcp socket; over rustls on a tcp socket, in the manner of its own documentation, with the same certificates; and into a \
    pipe to the same `ssh` with the same command at its far end. A step is that of the section below, by a process that reaches one \
    and the same engine through its unix socket and through TLS.";

pub(crate) fn measure(world: &World, report: &mut Report) {
    let mut section = Section::new("Other ways to an engine", TEXT);
    let folder = world.folder.join("transports");
    std::fs::create_dir_all(&folder).expect("a folder");
    let tables = [tcp(world), tls(world, &folder), ssh(world)];
    let [tcp, tls, ssh] = &tables;
    let bounds = [(tcp, "tcp", 1.15), (tls, "TLS", 1.25)];
    for (table, kind, most) in bounds {
        let what = format!("round trip over {kind}");
        let other = bare_name(kind);
        match table {
            Some((ping, _)) => {
                report.judge(&what, ping, ["docker-store", &other], Bound::AtMost(most));
            }
            None => report.judge_series(&what, None, &other, Bound::AtMost(most)),
        }
    }
    let steps = tls.as_ref().and_then(|(_, steps)| steps.as_ref());
    let pair = ["over TLS", "over unix"];
    match steps {
        Some(table) => report.judge("one step over TLS", table, pair, Bound::AtMost(1.05)),
        None => report.judge_series("one step over TLS", None, pair[1], Bound::AtMost(1.05)),
    }
    if ssh.is_none() {
        crate::say("no sshd of our own: ssh is left out");
    }
    for (ping, steps) in tables.into_iter().flatten() {
        section.tables.push(ping);
        section.tables.extend(steps);
    }
    report.add(section);
}

/// A table of pings, and possibly one of steps; nothing if no private engine can be started.
type Tables = Option<(Table, Option<Table>)>;

fn bare_name(kind: &str) -> String {
    format!("bare {kind}")
}

fn pings<S: Read + Write>(world: &World, kind: &str, stream: S, ours: &DockerEnv) -> Table {
    let mut bare = Bare::over(stream);
    let request = bare::request("GET", "/_ping", "");
    let client = client(ours);
    let name = bare_name(kind);
    let ways = vec![
        Way::new(&name, |times: &mut Times| {
            for _ in 0..TURN {
                let status = times.time(|| bare.ask(&request));
                assert_eq!(status, 200);
            }
        }),
        Way::new("docker-store", |times: &mut Times| {
            (0..TURN).for_each(|_| times.time(|| ask_ping(&client)));
        }),
    ];
    table(world, kind, ways)
}

fn table(world: &World, kind: &str, ways: Vec<Way<'_>>) -> Table {
    let title = format!("`_ping` over {kind}");
    let rows = race(&title, world.pick(8, 80), ways);
    Table::new(&title, Unit::Time, &bare_name(kind), rows)
}

fn client(environment: &DockerEnv) -> Client {
    Client::new(environment.connector(None).expect("an address"))
}

/// An environment that names this engine and nothing else.
fn at(host: &str) -> DockerEnv {
    DockerEnv {
        host: Some(host.into()),
        ..DockerEnv::default()
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("a port").port()
}

fn dial(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the engine's port");
    stream.set_nodelay(true).expect("set");
    stream
}

fn tcp(world: &World) -> Tables {
    let port = free_port();
    let host = format!("tcp://127.0.0.1:{port}");
    let options = format!("--host {host} --tls=false");
    let _engine = OwnEngine::start_as("{}", &options)?;
    Some((pings(world, "tcp", dial(port), &at(&host)), None))
}

fn tls(world: &World, folder: &Path) -> Tables {
    let authority = Authority::new("benchmarks");
    let (server, own) = (folder.join("server"), folder.join("client"));
    authority.write(&server, Some(&authority.server("localhost", Valid::Now)));
    authority.write(&own, Some(&authority.client()));
    let port = free_port();
    let file = |name: &str| server.join(name).display().to_string();
    let options = format!(
        "--host tcp://127.0.0.1:{port} --tlsverify --tlscacert {} --tlscert {} --tlskey {}",
        file("ca.pem"),
        file("cert.pem"),
        file("key.pem"),
    );
    let engine = OwnEngine::start_as("{}", &options)?;
    let host = format!("tcp://localhost:{port}");
    let ours = DockerEnv {
        verify: true,
        certificates: Some(own.clone()),
        ..at(&host)
    };
    let ping = pings(world, "TLS", bare_tls(port, &own), &ours);
    let secured = [
        ("DOCKER_TLS_VERIFY", OsString::from("1")),
        ("DOCKER_CERT_PATH", own.into_os_string()),
    ];
    let ways = [
        ("over unix", engine.address(), &[][..]),
        ("over TLS", host, &secured),
    ];
    let peers = ways.map(|(name, host, environment)| {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command
            .arg(SERVES)
            .arg(folder.join(name.replace(' ', "-")))
            .env("DOCKER_HOST", host)
            .envs(environment.iter().cloned());
        Peer::start(name, &mut command).expect("this program once more")
    });
    let ways = peers
        .iter()
        .map(|peer| Way::new(peer.name, |times| peer.ask("step", times)));
    let rows = race("one step", world.pick(5, 40), ways.collect());
    let steps = Table::new("one step", Unit::Time, "over unix", rows);
    for peer in &peers {
        peer.ask("end", &mut Times::default());
    }
    Some((ping, Some(steps)))
}

/// A client as in rustls' own documentation.
fn bare_tls(port: u16, certificates: &Path) -> StreamOwned<ClientConnection, TcpStream> {
    let read =
        |name: &str| CertificateDer::from_pem_file(certificates.join(name)).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(read("ca.pem")).expect("an authority");
    let key = PrivateKeyDer::from_pem_file(certificates.join("key.pem")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![read("cert.pem")], key)
        .expect("a client");
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    StreamOwned::new(session, dial(port))
}

fn ssh(world: &World) -> Tables {
    let sshd = Sshd::start()?;
    let path = sshd.path();
    let socket = world.socket.display();
    // A separate process, because the environment determines which `ssh` is used.
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command
        .arg(SERVES)
        .env("PATH", &path)
        .env("DOCKER_HOST", format!("ssh://good{socket}"));
    let ours = Peer::start("docker-store", &mut command)?;
    let far = format!("docker --host=unix://{socket} system dial-stdio");
    let mut bare = Bare::over(Pipes::start(Command::new("ssh").env("PATH", &path).args([
        "-oBatchMode=yes",
        "-T",
        "--",
        "good",
        &far,
    ])));
    let request = bare::request("GET", "/_ping", "");
    let name = bare_name("ssh");
    let ways = vec![
        Way::new(&name, |times: &mut Times| {
            for _ in 0..TURN {
                let status = times.time(|| bare.ask(&request));
                assert_eq!(status, 200);
            }
        }),
        Way::new(ours.name, |times| ours.ask(&format!("ping {TURN}"), times)),
    ];
    let table = table(world, "ssh", ways);
    Some((table, None))
}

/// A child's input and output as one stream.
struct Pipes {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Pipes {
    fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("a child");
        Pipes {
            input: child.stdin.take().expect("piped"),
            output: child.stdout.take().expect("piped"),
            child,
        }
    }
}

impl Read for Pipes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer)
    }
}

impl Write for Pipes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.input.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.flush()
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        // A child of this process, by its own handle.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What this program does as a peer, on the engine that its environment names: `ping N`; or, with a root, `step`, and at last
/// `end`.
pub(crate) fn serve(arguments: &[String]) {
    let store = arguments.first().map(|root| {
        let store = Store::open(root, &Options::new()).expect("an open store");
        let base = std::env::var("DOCKER_STORE_BENCH_BASE").expect("scripts/bench to have run");
        if let Begun::Step(mut step) = store.begin(None, "base", &Limits::none()).expect("begun") {
            let mut tar = std::fs::File::open(base).expect("the base's tar file");
            step.import(&mut tar, &mut |_| Ok(())).expect("imported");
            step.commit().expect("committed");
        }
        store
    });
    let client = client(&DockerEnv::of_process());
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let (mut times, mut words) = (Vec::new(), line.split_whitespace());
        let mut time = |work: &mut dyn FnMut()| {
            let began = Instant::now();
            work();
            times.push(began.elapsed().as_nanos().to_string());
        };
        match (words.next(), &store) {
            (Some("ping"), _) => {
                let count = words.next().and_then(|word| word.parse().ok());
                (0..count.unwrap_or(1)).for_each(|_| time(&mut || ask_ping(&client)));
            }
            (Some("step"), Some(store)) => {
                time(&mut || crate::steps::step_in(store, "base", "made"));
                assert!(store.delete("made").expect("deleted"));
            }
            (Some("end"), Some(store)) => {
                store.delete("base").expect("deleted");
            }
            _ => panic!("not known: {line}"),
        }
        println!("ok {}", times.join(" "));
    }
}
