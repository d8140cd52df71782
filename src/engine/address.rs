//! Addresses of engines in their written form: what each means, and how connections to it are opened. The forms are those of
//! Docker's own client (docker/cli, `opts/hosts.go` and `cli/connhelper/ssh`).

use std::ffi::OsStr;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result};
use crate::os::{bytes_of, text_of};
use crate::transport::account::Account;
use crate::transport::tcp::{Place, TcpConnector};
use crate::transport::trust::Trust;
use crate::transport::{Connect, ways};

/// The ports of an engine, without and with TLS.
const PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// A parsed address of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    /// The name of a pipe in Windows' form, and the address.
    Pipe {
        name: String,
        text: String,
    },
    Tcp {
        place: Place,
        /// With TLS.
        secured: bool,
        /// The address in full, including what was left out.
        text: String,
    },
    Ssh {
        account: Account,
        text: String,
    },
}

impl Address {
    /// Parses `address`. `secured` says whether an address that allows both uses TLS.
    pub(crate) fn parse(address: &OsStr, secured: bool) -> Result<Self> {
        understood(address, secured).map_err(|(kind, why)| {
            Error::new(
                kind,
                format!("cannot use engine address {address:?}: {why}"),
            )
        })
    }

    /// Returns a connector for it. `trust` says which certificates to trust, if it uses TLS; `asks` says whether ssh may prompt
    /// at the terminal.
    pub(crate) fn connector(self, trust: &Trust, asks: bool) -> Result<Box<dyn Connect>> {
        let missing = |text: &str, why| {
            let why = format!("cannot use engine address {text:?}: {why}");
            Error::new(ErrorKind::Unsupported, why)
        };
        match self {
            Address::Unix(path) => {
                let text = format!("unix://{}", path.display());
                ways::unix(path).map_err(|why| missing(&text, why))
            }
            Address::Pipe { name, text } => {
                ways::pipe(name, &text).map_err(|why| missing(&text, why))
            }
            Address::Ssh { account, text } => {
                ways::ssh(&account, &text, asks).map_err(|why| missing(&text, why))
            }
            Address::Tcp {
                place,
                secured: false,
                text,
            } => Ok(Box::new(TcpConnector::new(place, text))),
            Address::Tcp { place, text, .. } => secure(place, text, trust),
        }
    }
}

#[cfg(feature = "tls")]
fn secure(place: Place, text: String, trust: &Trust) -> Result<Box<dyn Connect>> {
    let doing = format!("preparing TLS for the engine at {text}");
    let connector = crate::transport::tls::TlsConnector::new(place, text, trust);
    let connector = connector
        .map_err(|why| Error::new(ErrorKind::InvalidArgument, format!("{doing}: {why}")))?;
    Ok(Box::new(connector))
}

#[cfg(not(feature = "tls"))]
fn secure(_place: Place, text: String, _trust: &Trust) -> Result<Box<dyn Connect>> {
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("cannot use the engine at {text}: this build of docker-store has no TLS"),
    ))
}

#[cfg(not(windows))]
const FORMS: &str = "write it as unix:///path/of/socket, tcp://host:port or ssh://user@host";
#[cfg(windows)]
const FORMS: &str = "write it as npipe:////./pipe/NAME or tcp://host:port";

type Refusal = (ErrorKind, String);

fn refuse<T>(why: impl Into<String>) -> std::result::Result<T, Refusal> {
    Err((ErrorKind::InvalidArgument, why.into()))
}

fn understood(address: &OsStr, secured: bool) -> std::result::Result<Address, Refusal> {
    let bytes = bytes_of(address);
    let bytes = bytes.as_ref();
    let separator = bytes.windows(3).position(|window| window == b"://");
    let (scheme, rest) = match separator {
        Some(at) => (bytes[..at].to_ascii_lowercase(), &bytes[at + 3..]),
        // Only a host and its port, as the docker command accepts. A path is a forgotten unix://, and not a host.
        None if bytes.is_empty() || bytes.contains(&b'/') => return refuse(FORMS),
        None => (b"tcp".to_vec(), bytes),
    };
    if scheme == b"unix" {
        return match rest.first() {
            Some(b'/') => Ok(Address::Unix(PathBuf::from(
                text_of(rest).unwrap_or_default(),
            ))),
            _ => refuse("the path of a unix socket must be absolute, as in unix:///path"),
        };
    }
    let Ok(rest) = std::str::from_utf8(rest) else {
        return refuse("it is not UTF-8");
    };
    if rest.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return refuse("there is a blank or a control character in it");
    }
    match scheme.as_slice() {
        b"tcp" => tcp("tcp", rest, secured),
        b"http" => tcp("http", rest, false),
        b"https" => tcp("https", rest, true),
        b"ssh" => ssh(rest),
        b"npipe" => pipe(rest),
        b"fd" => refuse(
            "fd:// is how an engine gets its own socket from systemd; clients cannot connect to it. Use the address of this socket",
        ),
        scheme => {
            let scheme = String::from_utf8_lossy(scheme);
            refuse(format!("{scheme}:// is not known; {FORMS}"))
        }
    }
}

/// Parses `//./pipe/docker_engine`, or with the name of another machine in place of the dot.
fn pipe(rest: &str) -> std::result::Result<Address, Refusal> {
    let name = rest.replace('/', "\\");
    let mut words = name.split('\\');
    let is_named = |word: Option<&str>| word.is_some_and(|word| !word.is_empty());
    let is_whole = words.next() == Some("")
        && words.next() == Some("")
        && is_named(words.next())
        && words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("pipe"))
        && is_named(words.next());
    match is_whole {
        true => Ok(Address::Pipe {
            name,
            text: format!("npipe://{rest}"),
        }),
        false => refuse("a named pipe is written as npipe:////./pipe/NAME"),
    }
}

fn tcp(scheme: &str, rest: &str, secured: bool) -> std::result::Result<Address, Refusal> {
    if rest.contains(['?', '#', '@']) {
        return refuse("only a host and a port belong there");
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() {
        return refuse(
            "an engine below a path is not supported: only a host and a port belong there",
        );
    }
    let (host, port) = host_and_port(authority)?;
    let host = match host {
        "" => "localhost",
        host => host,
    };
    let port = port.unwrap_or(match secured {
        true => TLS_PORT,
        false => PORT,
    });
    let text = match host.contains(':') {
        true => format!("{scheme}://[{host}]:{port}"),
        false => format!("{scheme}://{host}:{port}"),
    };
    let place = Place {
        host: host.to_owned(),
        port,
    };
    Ok(Address::Tcp {
        place,
        secured,
        text,
    })
}

fn ssh(rest: &str) -> std::result::Result<Address, Refusal> {
    if rest.contains(['?', '#']) {
        return refuse("a query or a fragment has no meaning for ssh");
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, _)) if user.contains(':') => {
            // The password is not shown, because it may be a secret. (Other errors show the whole address.)
            return refuse("ssh takes no password from an address: use a key or an agent");
        }
        Some((user, place)) => (Some(decoded(user)?), place),
        None => (None, authority),
    };
    let (host, port) = host_and_port(place)?;
    if host.is_empty() {
        return refuse("the host is missing");
    }
    // ssh would interpret such a word as an option, and a shell in ssh's configuration (`%h`) might execute it; so it is
    // refused.
    let is_odd = |word: &str| {
        word.starts_with('-')
            || word.contains([
                '\'', '"', '`', '$', '\\', ';', '&', '<', '>', '|', '(', ')', '{', '}', '*', '!',
            ])
    };
    if is_odd(host)
        || user
            .as_deref()
            .is_some_and(|user| user.is_empty() || is_odd(user))
    {
        return refuse("that is no name of a user or a host");
    }
    let path = decoded(path)?;
    let socket = match path.trim_matches('/') {
        "" => None,
        _ => Some(path),
    };
    let account = Account {
        user,
        host: host.to_owned(),
        port,
        socket,
    };
    let text = format!("ssh://{}", rest.trim_end_matches('/'));
    Ok(Address::Ssh { account, text })
}

/// Splits `host:port`, either of which may be missing; returns an IPv6 address without its brackets.
fn host_and_port(text: &str) -> std::result::Result<(&str, Option<u16>), Refusal> {
    let (host, port) = if let Some(inside) = text.strip_prefix('[') {
        let Some((host, after)) = inside.split_once(']') else {
            return refuse("a bracket is open");
        };
        if is_ipv6(host).is_none() {
            return refuse("only an address of IPv6 stands in brackets");
        }
        match after.strip_prefix(':') {
            Some(port) => (host, port),
            None if after.is_empty() => (host, ""),
            None => return refuse("what stands behind a bracket is a colon and a port"),
        }
    } else if is_ipv6(text).is_some() {
        (text, "")
    } else {
        text.split_once(':').unwrap_or((text, ""))
    };
    let is_name = |c: char| c.is_ascii_graphic() && !"[]/:%,".contains(c);
    if is_ipv6(host).is_none() && !host.chars().all(is_name) {
        return refuse(
            "that is no name of a host (those beyond ASCII are written in their ASCII form, xn--)",
        );
    }
    match port {
        "" => Ok((host, None)),
        port if port.starts_with('+') => refuse("the port is not a number"),
        port => match port.parse() {
            Ok(0) => refuse("no engine has port 0"),
            Ok(port) => Ok((host, Some(port))),
            Err(_) => refuse("the port is not a number of up to 65535"),
        },
    }
}

/// With or without a zone: `fe80::1%eth0`.
fn is_ipv6(text: &str) -> Option<Ipv6Addr> {
    let (address, zone) = text.split_once('%').unwrap_or((text, "zone"));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match !zone.is_empty() && zone.chars().all(is_plain) {
        true => address.parse().ok(),
        false => None,
    }
}

/// Replaces each `%2F` by the byte that it stands for.
fn decoded(text: &str) -> std::result::Result<String, Refusal> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_control() => {
                return refuse("there is a control character in it");
            }
            Some(byte) => bytes.push(byte),
            None => return refuse("a % stands for itself only as %25"),
        }
        rest = &after[2..];
    }
    String::from_utf8(bytes).or_else(|_| refuse("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(address: &str) -> Result<Address> {
        Address::parse(OsStr::new(address), false)
    }

    /// Returns the host, the port, whether TLS is used, and the address as it is shown.
    fn tcp_of(address: &str, secured: bool) -> (String, u16, bool, String) {
        match Address::parse(OsStr::new(address), secured) {
            Ok(Address::Tcp {
                place,
                secured,
                text,
            }) => (place.host, place.port, secured, text),
            other => panic!("{address}: {other:?}"),
        }
    }

    #[test]
    fn a_host_and_a_port_are_what_the_docker_command_takes_them_for() {
        for (address, host, port, shown) in [
            ("tcp://far:1", "far", 1, "tcp://far:1"),
            ("tcp://far", "far", 2375, "tcp://far:2375"),
            ("tcp://far:", "far", 2375, "tcp://far:2375"),
            ("tcp://far:1/", "far", 1, "tcp://far:1"),
            ("tcp://", "localhost", 2375, "tcp://localhost:2375"),
            ("tcp://:1", "localhost", 1, "tcp://localhost:1"),
            ("tcp://[::1]", "::1", 2375, "tcp://[::1]:2375"),
            ("tcp://[::1]:5", "::1", 5, "tcp://[::1]:5"),
            ("tcp://[::1]:", "::1", 2375, "tcp://[::1]:2375"),
            ("tcp://::1", "::1", 2375, "tcp://[::1]:2375"),
            (
                "tcp://[fe80::1%eth0]:5",
                "fe80::1%eth0",
                5,
                "tcp://[fe80::1%eth0]:5",
            ),
            ("TCP://Far:1", "Far", 1, "tcp://Far:1"),
            ("127.0.0.1:1", "127.0.0.1", 1, "tcp://127.0.0.1:1"),
            ("far", "far", 2375, "tcp://far:2375"),
        ] {
            let found = tcp_of(address, false);
            assert_eq!(
                found,
                (host.to_owned(), port, false, shown.to_owned()),
                "{address}"
            );
        }
        // If the scheme says whether TLS is used, it decides.
        assert_eq!(tcp_of("tcp://far", true).1, TLS_PORT);
        assert_eq!(tcp_of("https://far", false).1, TLS_PORT);
        assert!(tcp_of("Https://far", false).2 && !tcp_of("HTTP://far", true).2);
        assert_eq!(tcp_of("http://far", true).3, "http://far:2375");
    }

    #[test]
    fn an_account_is_what_the_docker_command_takes_it_for() {
        let account = |address: &str| match parse(address) {
            Ok(Address::Ssh { account, text }) => (account, text),
            other => panic!("{address}: {other:?}"),
        };
        let plain = Account {
            user: None,
            host: String::from("far"),
            port: None,
            socket: None,
        };
        assert_eq!(account("ssh://far").0, plain);
        assert_eq!(account("SSH://far/").0, plain);
        assert_eq!(account("ssh://far/").1, "ssh://far");
        let full = Account {
            user: Some(String::from("me")),
            host: String::from("::1"),
            port: Some(22),
            socket: Some(String::from("/run/my docker.sock")),
        };
        assert_eq!(account("ssh://me@[::1]:22/run/my%20docker.sock").0, full);
        for address in [
            "ssh://",
            "ssh://me@",
            "ssh://@far",
            "ssh://me:secret@far",
            "ssh://-oProxyCommand=x",
            "ssh://-l@far",
            "ssh://far:port",
            "ssh://far/a?b",
            "ssh://far/a#b",
            "ssh://far/a%0ab",
            "ssh://far/%zz",
            "ssh://$(x)",
        ] {
            let error = parse(address).expect_err(address);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
    }

    #[test]
    fn a_pipe_is_what_the_docker_command_takes_it_for() {
        let name = |address: &str| match parse(address) {
            Ok(Address::Pipe { name, .. }) => name,
            other => panic!("{address}: {other:?}"),
        };
        let usual = r"\\.\pipe\docker_engine";
        assert_eq!(name("npipe:////./pipe/docker_engine"), usual);
        assert_eq!(name(r"NPIPE://\\.\pipe\docker_engine"), usual);
        assert_eq!(name("npipe:////far/Pipe/a/b"), r"\\far\Pipe\a\b");
    }

    #[test]
    fn a_way_that_this_system_has_not_got_is_refused_in_words() {
        let here = ["tcp://far:1", "unix:///x", "ssh://far"];
        let windows = ["tcp://far:1", "npipe:////./pipe/x"];
        let there = if cfg!(windows) {
            &windows[..]
        } else {
            &here[..]
        };
        for address in [
            "tcp://far:1",
            "unix:///x",
            "ssh://far",
            "npipe:////./pipe/x",
        ] {
            let found = parse(address).expect("an address");
            match found.connector(&Trust::default(), false) {
                Ok(connector) => {
                    assert!(there.contains(&address), "{address}");
                    assert_eq!(connector.address(), address);
                }
                Err(e) => {
                    assert!(!there.contains(&address), "{address}");
                    assert_eq!(e.kind(), ErrorKind::Unsupported);
                    assert!(
                        e.message().contains(address) && e.message().contains("Windows"),
                        "{e}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_address_of_another_kind_is_refused_with_what_to_write() {
        for (address, kind, says) in [
            (
                "unix://relative",
                ErrorKind::InvalidArgument,
                "unix:///path",
            ),
            ("/var/run/docker.sock", ErrorKind::InvalidArgument, FORMS),
            ("", ErrorKind::InvalidArgument, FORMS),
            ("ftp://x", ErrorKind::InvalidArgument, "ftp:// is not known"),
            ("fd://", ErrorKind::InvalidArgument, "systemd"),
            (
                "npipe://docker_engine",
                ErrorKind::InvalidArgument,
                "npipe:////./pipe/NAME",
            ),
            (
                "npipe:////./pipe/",
                ErrorKind::InvalidArgument,
                "npipe:////./pipe/NAME",
            ),
            ("tcp://far:0", ErrorKind::InvalidArgument, "port 0"),
            ("tcp://far:70000", ErrorKind::InvalidArgument, "port"),
            ("tcp://far:+1", ErrorKind::InvalidArgument, "port"),
            ("tcp://far:1:2", ErrorKind::InvalidArgument, "port"),
            ("tcp://far:1/below", ErrorKind::InvalidArgument, "path"),
            (
                "tcp://me@far",
                ErrorKind::InvalidArgument,
                "host and a port",
            ),
            ("tcp://[far]:1", ErrorKind::InvalidArgument, "IPv6"),
            ("tcp://[::1", ErrorKind::InvalidArgument, "bracket"),
            ("tcp://f ar", ErrorKind::InvalidArgument, "blank"),
            ("tcp://f\u{e4}r", ErrorKind::InvalidArgument, "ASCII"),
        ] {
            let error = parse(address).expect_err(address);
            assert_eq!(error.kind(), kind, "{address}");
            assert!(error.message().contains(says), "{address}: {error}");
            assert!(error.message().contains("engine address"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_address_is_one_place_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            scheme in prop::sample::select(vec!["", "unix://", "tcp://", "ssh://", "https://", "npipe:////"]),
        ) {
            let address = [scheme.as_bytes(), &bytes].concat();
            let Some(address) = text_of(&address) else {
                return Ok(()); // not valid text on this system
            };
            match Address::parse(address, false) {
                Ok(Address::Unix(path)) => prop_assert!(path.to_string_lossy().starts_with('/')),
                Ok(Address::Pipe { name, .. }) => prop_assert!(name.starts_with(r"\\")),
                Ok(Address::Tcp { place, text, .. }) => {
                    prop_assert!(!place.host.is_empty() && place.port > 0);
                    // The shown address parses to the same one.
                    let shown = Address::parse(OsStr::new(&text), false).expect("an address");
                    let is_same = matches!(shown, Address::Tcp { place: shown, .. } if shown == place);
                    prop_assert!(is_same);
                }
                Ok(Address::Ssh { account, .. }) => {
                    prop_assert!(!account.host.is_empty() && !account.host.starts_with('-'));
                }
                Err(error) => prop_assert!(!error.message().is_empty()),
            }
        }
    }
}
