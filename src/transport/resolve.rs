//! Resolving a name to its addresses, within a call's time.
//!
//! The system's resolver blocks for as long as its servers are silent, and cannot be interrupted. So it runs on a thread, which
//! is left to finish by itself if the call ends sooner.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use parking_lot::Mutex;

use super::Fault;
use crate::os::Wake;
use crate::wait::Wait;

/// Returns the addresses of `host`, in the order in which the system recommends to try them; at least one.
pub(super) fn addresses(host: &str, port: u16, wait: Wait<'_>) -> Result<Vec<SocketAddr>, Fault> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let name = (host.to_owned(), port);
    let found = within(wait, move || name.to_socket_addrs().map(Vec::from_iter))?;
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Fault::Io(io::Error::new(
            io::ErrorKind::NotFound,
            format!("the name {host:?} has no address"),
        ))),
        Err(error) => Err(Fault::Io(io::Error::new(
            error.kind(),
            format!("looking up the name {host:?}: {error}"),
        ))),
    }
}

/// Returns what `work` returns, on a thread of its own, if it returns before `wait` ends.
fn within<T: Send + 'static>(
    wait: Wait<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    wait.left()?;
    let done = Arc::new((Mutex::new(None), Wake::new()?));
    let rings = Rings(Arc::clone(&done));
    let named = std::thread::Builder::new().name(String::from("docker-store"));
    named.spawn(move || {
        let found = work();
        *rings.0.0.lock() = Some(found);
    })?;
    wait.until(done.1.watched())?;
    let taken = done.0.lock().take();
    taken.ok_or_else(|| Fault::Io(io::Error::other("the lookup of a name failed")))
}

/// Wakes the waiter when the work ends, also if it panics.
struct Rings<T>(Arc<(Mutex<Option<T>>, Wake)>);

impl<T> Drop for Rings<T> {
    fn drop(&mut self) {
        self.0.1.ring();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::cancel::Cancel;
    use crate::wait::Stop;

    fn within_ms(milliseconds: u64) -> Wait<'static> {
        Wait::unbounded().at_most(Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_numeric_address_asks_nobody_and_a_name_gives_all_it_has() {
        for (host, address) in [("127.0.0.1", "127.0.0.1:5"), ("::1", "[::1]:5")] {
            let found = addresses(host, 5, within_ms(20_000)).unwrap();
            assert_eq!(found, [address.parse().unwrap()]);
        }
        let found = addresses("localhost", 5, within_ms(20_000)).unwrap();
        assert!(
            found
                .iter()
                .all(|at| at.ip().is_loopback() && at.port() == 5)
        );
    }

    #[test]
    fn a_name_that_nobody_has_is_named_in_the_error() {
        match addresses("no-such-host.invalid", 5, within_ms(20_000)) {
            Err(Fault::Io(error)) => assert!(error.to_string().contains("no-such-host.invalid")),
            // A resolver without reachable servers may take longer than a test should wait.
            Err(Fault::Stopped(Stop::TimedOut)) => {}
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_resolver_that_is_silent_holds_nobody_beyond_the_wait() {
        let slow = || std::thread::sleep(Duration::from_secs(2));
        let begun = Instant::now();
        let ended = within(within_ms(50), slow);
        assert!(matches!(ended, Err(Fault::Stopped(Stop::TimedOut))));
        let cancel = Cancel::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                cancel.cancel();
            });
            let ended = within(Wait::new(None, Some(&cancel)), slow);
            assert!(matches!(ended, Err(Fault::Stopped(Stop::Cancelled))));
        });
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
    }
}
