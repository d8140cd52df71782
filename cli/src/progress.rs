//! The progress of a long call: one line on a terminal, nothing elsewhere.

use std::collections::HashMap;

use docker_store::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// For a transfer in parts, each of which reports its own progress.
pub(crate) struct Bar {
    bar: ProgressBar,
    /// The progress of each part, and its size.
    parts: HashMap<String, (u64, u64)>,
}

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        // If the template were invalid, indicatif's default is used.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {decimal_bytes} {msg} {elapsed}")
        {
            bar.set_style(style);
        }
        Bar {
            bar,
            parts: HashMap::new(),
        }
    }

    /// This many more bytes have passed.
    pub(crate) fn passed(&self, bytes: usize) {
        self.bar.inc(bytes as u64);
    }

    pub(crate) fn told(&mut self, progress: Progress<'_>) {
        if progress.current > 0 || progress.total > 0 {
            let part = (progress.current, progress.total);
            self.parts.insert(progress.item.to_owned(), part);
        }
        let sum = |of: fn(&(u64, u64)) -> u64| self.parts.values().map(of).sum();
        self.bar.set_position(sum(|part| part.0));
        let all: u64 = sum(|part| part.1.max(part.0));
        let status: String = progress
            .status
            .chars()
            .filter(|c| !c.is_control())
            .collect();
        self.bar.set_message(match all {
            0 => status,
            all => format!("of {} {status}", crate::amounts::bytes(all)),
        });
        self.bar.tick();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
