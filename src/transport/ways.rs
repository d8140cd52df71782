//! Transports that not every system has: a connector, or the reason why there is none.

use std::path::PathBuf;

use super::Connect;
use super::account::Account;

type Way = Result<Box<dyn Connect>, &'static str>;

/// The unix socket at a path.
#[cfg(unix)]
pub(crate) fn unix(path: PathBuf) -> Way {
    Ok(Box::new(super::unix::UnixConnector::new(path)))
}

#[cfg(not(unix))]
pub(crate) fn unix(_path: PathBuf) -> Way {
    Err(
        "unix sockets (unix://) are not supported on Windows; a local engine has a named pipe (npipe:////./pipe/NAME)",
    )
}

/// The named pipe with a name in Windows' form.
#[cfg(windows)]
pub(crate) fn pipe(name: String, address: &str) -> Way {
    Ok(Box::new(super::pipe::PipeConnector::new(&name, address)))
}

#[cfg(not(windows))]
pub(crate) fn pipe(_name: String, _address: &str) -> Way {
    Err("named pipes (npipe://) exist only on Windows")
}

/// Through the user's own `ssh`.
#[cfg(unix)]
pub(crate) fn ssh(account: &Account, address: &str, asks: bool) -> Way {
    let address = address.to_owned();
    Ok(Box::new(super::ssh::SshConnector::new(
        account, address, asks,
    )))
}

#[cfg(not(unix))]
pub(crate) fn ssh(_account: &Account, _address: &str, _asks: bool) -> Way {
    Err(
        "ssh (ssh://) is not supported on Windows; have ssh forward a port to the engine's socket \
         (ssh -N -L 127.0.0.1:2375:/var/run/docker.sock USER@HOST), and use tcp://127.0.0.1:2375",
    )
}
