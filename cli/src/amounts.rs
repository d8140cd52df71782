//! Bytes and times in human-readable form.

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
        // An amount that would be shown as 1000 is shown in the next unit.
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

/// The reverse: `500MB`, `1.5G`, `10GiB`, `4096`.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "{text:?} is not an amount of bytes: write a number and a unit, as in 500MB or 10GiB"
        )
    };
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim());
    let unit = unit.to_ascii_lowercase();
    let base: f64 = if unit.contains('i') { 1024.0 } else { 1000.0 };
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" if !unit.contains('i') => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(wrong()),
    };
    if unit.matches('b').count() > 1 || unit.matches('i').count() > 1 {
        return Err(wrong());
    }
    if power == 0 {
        return number.parse().map_err(|_| wrong());
    }
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let amount = number * base.powi(power);
    match amount < u64::MAX as f64 {
        true => Ok(amount.round() as u64),
        false => Err(wrong()),
    }
}

/// How much has to be free.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Free {
    Bytes(u64),
    Percent(f64),
}

/// `20GiB`, or `15%`.
pub(crate) fn parse_free(text: &str) -> Result<Free, String> {
    let Some(percent) = text.trim().strip_suffix('%') else {
        return parse_bytes(text).map(Free::Bytes);
    };
    match percent.trim().parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Free::Percent(percent)),
        _ => Err(format!(
            "{text:?} is not a percentage: write one from 0% to 100%"
        )),
    }
}

/// How long ago: one number and one unit.
pub(crate) fn ago(time: SystemTime, now: SystemTime) -> String {
    match now.duration_since(time) {
        Ok(age) if age < Duration::from_secs(1) => "just now".to_owned(),
        Ok(age) => format!("{} ago", length(age)),
        // The engine's clock may be ahead of the local one.
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
    // At least two of a unit: "36 hours" says more than "1 day".
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

/// `2026-11-26T09:30:00Z`, the form in JSON.
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
    fn amounts_are_read_in_both_kinds_of_units() {
        for (text, amount) in [
            ("0", 0),
            ("4096", 4096),
            ("12B", 12),
            ("500MB", 500_000_000),
            ("500 mb", 500_000_000),
            ("1.5G", 1_500_000_000),
            ("10GiB", 10 << 30),
            ("1Ki", 1024),
        ] {
            assert_eq!(parse_bytes(text), Ok(amount), "{text}");
        }
        for text in [
            "", "MB", "-1", "1.5", "1e9", "5 apples", "1iB", "1MBB", "1.2.3k", "99999PB", "iMB",
        ] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_to_be_free_is_bytes_or_a_percentage() {
        assert_eq!(parse_free("15%"), Ok(Free::Percent(15.0)));
        assert_eq!(parse_free("2.5 %"), Ok(Free::Percent(2.5)));
        assert_eq!(parse_free("2GB"), Ok(Free::Bytes(2_000_000_000)));
        for text in ["%", "101%", "-1%", "NaN%", "x"] {
            assert!(parse_free(text).is_err(), "{text}");
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
