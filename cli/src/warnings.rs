//! Prints the library's warnings on standard error.

use log::{Level, LevelFilter, Log, Metadata, Record};

struct ToStderr;

impl Log for ToStderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let word = match record.level() {
            Level::Error | Level::Warn => "warning",
            _ => "note",
        };
        eprintln!("dstore: {word}: {}", record.args());
    }

    fn flush(&self) {}
}

/// Only warnings, or all messages.
pub(crate) fn to_stderr(verbose: bool) {
    static TO_STDERR: ToStderr = ToStderr;
    if log::set_logger(&TO_STDERR).is_ok() {
        log::set_max_level(match verbose {
            true => LevelFilter::Debug,
            false => LevelFilter::Warn,
        });
    }
}
