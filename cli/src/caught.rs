//! Signals: the first one that asks the program to end cancels the current call, which then cleans up after itself. A second
//! one, or the end of the time that this may take, ends the program immediately; the next open of the root removes what was
//! left.

use docker_store::Cancel;

#[cfg(unix)]
pub(crate) use self::unix::{Caught, end_by_broken_pipe};

#[cfg(unix)]
mod unix {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI32, Ordering};
    use std::thread;
    use std::time::Duration;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    use super::Cancel;

    /// The library needs up to two seconds. Writing to a program that does not read may take longer.
    const PATIENCE: Duration = Duration::from_secs(3);

    pub(crate) struct Caught {
        cancel: Cancel,
        signal: Arc<AtomicI32>,
    }

    impl Caught {
        pub(crate) fn watch() -> Self {
            let caught = Caught {
                cancel: Cancel::new(),
                signal: Arc::default(),
            };
            let (cancel, signal) = (caught.cancel.clone(), caught.signal.clone());
            // If there are no descriptors for it, a signal has its default effect.
            if let Ok(mut signals) = Signals::new(wanted()) {
                thread::spawn(move || {
                    for number in signals.forever() {
                        if signal.swap(number, Ordering::SeqCst) != 0 {
                            let _ = emulate_default_handler(number);
                        }
                        cancel.cancel();
                        thread::spawn(move || {
                            thread::sleep(PATIENCE);
                            let _ = emulate_default_handler(number);
                        });
                    }
                });
            }
            caught
        }

        pub(crate) fn cancel(&self) -> Cancel {
            self.cancel.clone()
        }

        /// Returns the exit status that a shell reports for a program that was killed by the signal.
        pub(crate) fn status(&self) -> Option<u8> {
            match self.signal.load(Ordering::SeqCst) {
                0 => None,
                number => u8::try_from(128 + number).ok(),
            }
        }
    }

    /// A signal that was ignored when this program was started stays ignored: `nohup dstore …`.
    fn wanted() -> Vec<i32> {
        let ignored = std::fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|status| {
                let line = status.lines().find_map(|l| l.strip_prefix("SigIgn:"))?;
                u64::from_str_radix(line.trim(), 16).ok()
            })
            .unwrap_or(0);
        let is_ignored = |number: &i32| ignored >> (number - 1) & 1 == 1;
        let mut wanted = vec![SIGINT, SIGTERM, SIGHUP];
        wanted.retain(|number| !is_ignored(number));
        wanted
    }

    /// Is killed by SIGPIPE like every other program in a pipe, without a message.
    pub(crate) fn end_by_broken_pipe() {
        let _ = emulate_default_handler(SIGPIPE);
    }
}

#[cfg(not(unix))]
pub(crate) use self::elsewhere::{Caught, end_by_broken_pipe};

/// Ctrl-C ends the program immediately; the next open of the root removes what was left.
#[cfg(not(unix))]
mod elsewhere {
    use super::Cancel;

    pub(crate) struct Caught;

    impl Caught {
        pub(crate) fn watch() -> Self {
            Caught
        }

        pub(crate) fn cancel(&self) -> Cancel {
            Cancel::new()
        }

        pub(crate) fn status(&self) -> Option<u8> {
            None
        }
    }

    pub(crate) fn end_by_broken_pipe() {}
}
