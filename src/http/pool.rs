//! [`Pool`]: idle connections.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::connection::Connection;

/// The maximum number of idle connections. With 64 threads that alternate between calls and pauses, 94 to 98 in 100 calls find
/// one; with a maximum of eight it was 84 to 90, and 32 gained little more. Each costs the engine one or two goroutines.
const MOST: usize = 16;

/// How long a connection may idle: the same as in Docker's own client. Engines keep idle connections longer; Podman, when it is
/// about to exit, keeps them about this long.
const LONGEST: Duration = Duration::from_secs(30);

/// Idle connections, reused in LIFO order, so that surplus connections reach the idle timeout.
#[derive(Default)]
pub(super) struct Pool {
    /// Oldest first.
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// Returns a connection that was recently usable.
    pub(super) fn take(&self) -> Option<Connection> {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Option<Connection> {
        loop {
            let idle = self.idle.lock().pop()?;
            // Those below are even older; they are closed here, or when their turn comes.
            let mut connection = idle.connection;
            let fresh = now.saturating_duration_since(idle.since) < LONGEST;
            if fresh && connection.stream.is_quiet() {
                return Some(connection);
            }
        }
    }

    /// Keeps `connection`, which has no request in progress.
    pub(super) fn park(&self, connection: Connection) {
        self.park_at(connection, Instant::now());
    }

    fn park_at(&self, mut connection: Connection, now: Instant) {
        connection.shrink();
        let parked = Idle {
            connection,
            since: now,
        };
        let mut idle = self.idle.lock();
        let surplus = match idle.len() {
            MOST.. => Some(idle.remove(0)),
            _ => None,
        };
        idle.push(parked);
        // Closing a connection takes a system call, so not under the lock.
        drop(idle);
        drop(surplus);
    }

    /// Closes all idle connections.
    pub(super) fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        drop(idle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{bytes, soon};
    use crate::transport::Connect;
    use crate::transport::memory::{Memory, Script, Step};

    fn memory(connections: usize) -> Memory {
        Memory::scripts(vec![Script::new([]); connections])
    }

    fn open(memory: &Memory) -> Connection {
        Connection::new(memory.connect(soon()).unwrap())
    }

    /// Returns which connections are open.
    fn held(memory: &Memory) -> Vec<usize> {
        (0..memory.connections())
            .filter(|&n| memory.is_open(n))
            .collect()
    }

    #[test]
    fn the_connection_that_came_back_last_is_taken_first() {
        let memory = memory(3);
        let pool = Pool::default();
        for _ in 0..3 {
            pool.park(open(&memory));
        }
        for still_idle in [&[0, 1][..], &[0], &[]] {
            drop(pool.take());
            assert_eq!(held(&memory), still_idle);
        }
        assert!(pool.take().is_none());
    }

    #[test]
    fn beyond_the_cap_the_oldest_is_closed() {
        let memory = memory(MOST + 2);
        let pool = Pool::default();
        for _ in 0..MOST + 2 {
            pool.park(open(&memory));
        }
        assert_eq!(held(&memory), (2..MOST + 2).collect::<Vec<_>>());
    }

    #[test]
    fn what_has_idled_too_long_is_closed_and_not_used() {
        let memory = memory(3);
        let pool = Pool::default();
        let start = Instant::now();
        pool.park_at(open(&memory), start);
        pool.park_at(open(&memory), start + Duration::from_secs(20));
        pool.park_at(open(&memory), start + LONGEST);
        let later = start + LONGEST + Duration::from_secs(15);
        let kept = pool.take_at(later);
        assert!(kept.is_some());
        assert_eq!(held(&memory), [0, 1, 2]);
        let kept = (kept, pool.take_at(later));
        assert!(kept.1.is_some());
        assert_eq!(held(&memory), [0, 1, 2]);
        assert!(pool.take_at(later).is_none());
        assert_eq!(held(&memory), [1, 2]);
    }

    #[test]
    fn what_has_ended_or_speaks_unasked_is_not_used() {
        for step in [Step::End, Step::Reset, bytes("HTTP/1.1 408 x\r\n\r\n")] {
            let memory = memory(2);
            let pool = Pool::default();
            pool.park(open(&memory));
            pool.park(open(&memory));
            memory.push(1, step);
            assert!(pool.take().is_some());
            assert!(held(&memory).is_empty());
        }
    }

    #[test]
    fn clearing_closes_all() {
        let memory = memory(2);
        let pool = Pool::default();
        pool.park(open(&memory));
        pool.park(open(&memory));
        pool.clear();
        assert!(held(&memory).is_empty());
        assert!(pool.take().is_none());
    }
}
