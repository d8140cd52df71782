//! Bytes and times: as people read and write them.

use std::time::{Duration, SystemTime};

/// In powers of 1000, as the docker command shows them, with three digits.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64;
    let mut unit = 0;
    loop {
        amount /= 1000.0;
        // What would be shown as 1000 is one of the next unit.
        if amount < 999.5 || unit == UNITS.len() - 1 {
            break;
        }
        unit += 1;
    }
    let digits = match amount {
        a if a < 9.995 => 2,
        a if a < 99.95 => 1,
        _ => 0,
    };
    format!("{amount:.digits$} {}", UNITS[unit])
}

/// How long ago: one number and one unit.
pub(crate) fn ago(time: SystemTime, now: SystemTime) -> String {
    match now.duration_since(time) {
        Ok(age) if age < Duration::from_secs(1) => "just now".to_owned(),
        Ok(age) => format!("{} ago", length(age)),
        // The engine's clock may be ahead of this machine's.
        Err(e) if e.duration() < Duration::from_secs(5) => "just now".to_owned(),
        Err(e) => format!("in {}", length(e.duration())),
    }
}

/// One number and one unit.
pub(crate) fn length(time: Duration) -> String {
    const UNITS: [(u64, &str); 6] = [
        (365 * 86400, "year"),
        (30 * 86400, "month"),
        (7 * 86400, "week"),
        (86400, "day"),
        (3600, "hour"),
        (60, "minute"),
    ];
    let seconds = time.as_secs();
    // Two of a unit at least: "36 hours" says more than "1 day".
    let (size, name) = UNITS
        .into_iter()
        .find(|(size, _)| seconds >= 2 * size)
        .unwrap_or((1, "second"));
    match seconds / size {
        1 => format!("1 {name}"),
        0 => format!("{} ms", time.as_millis()),
        n => format!("{n} {name}s"),
    }
}

/// `2026-11-26T09:30:00Z`, as JSON has it.
pub(crate) fn moment(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits() {
        for (amount, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_994, "9.99 kB"),
            (9_996, "10.0 kB"),
            (99_960, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (1_234_567, "1.23 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(amount), shown);
        }
    }

    #[test]
    fn ages_are_one_number() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let said = |seconds| ago(now - Duration::from_secs(seconds), now);
        for (seconds, shown) in [
            (0, "just now"),
            (1, "1 second ago"),
            (119, "119 seconds ago"),
            (120, "2 minutes ago"),
            (7200, "2 hours ago"),
            (36 * 3600, "36 hours ago"),
            (2 * 86400, "2 days ago"),
            (15 * 86400, "2 weeks ago"),
            (61 * 86400, "2 months ago"),
            (731 * 86400, "2 years ago"),
        ] {
            assert_eq!(said(seconds), shown);
        }
        let ahead = |seconds| ago(now + Duration::from_secs(seconds), now);
        assert_eq!(ahead(2), "just now");
        assert_eq!(ahead(180), "in 3 minutes");
    }
}
