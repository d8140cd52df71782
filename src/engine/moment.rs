//! Moments as an engine writes them: RFC 3339, to the nanosecond.

use std::time::Duration;

/// The time since 1970 that `2026-11-25T23:27:09.655378366Z` names; `None` for what is no such text, and for years before.
pub(crate) fn since_1970(text: &str) -> Option<Duration> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, offset) = match time.strip_suffix('Z') {
        Some(time) => (time, 0),
        None => with_offset(time)?,
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let nanos = fraction.get(..9.min(fraction.len()))?;
    let nanos: u32 = format!("{nanos:0<9}").parse().ok()?;
    let seconds = days(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(Duration::new(seconds.try_into().ok()?, nanos))
}

/// Cuts `+01:00` off the end, and gives it in seconds.
fn with_offset(time: &str) -> Option<(&str, i64)> {
    let at = time.rfind(['+', '-'])?;
    let (time, offset) = time.split_at(at);
    let (hours, minutes) = offset[1..].split_once(':')?;
    let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
    Some((
        time,
        if offset.starts_with('-') {
            -seconds
        } else {
            seconds
        },
    ))
}

/// Days since 1970-01-01, by the method of Howard Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March, in eras of 400 years.
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_the_engine_writes_it() {
        let at = |text| since_1970(text).map(|at| (at.as_secs(), at.subsec_nanos()));
        assert_eq!(at("1970-01-01T00:00:00Z"), Some((0, 0)));
        assert_eq!(
            at("2026-11-25T23:27:09.655378366Z"),
            Some((1_795_649_229, 655_378_366))
        );
        assert_eq!(
            at("2024-02-29T12:00:00.5Z"),
            Some((1_709_208_000, 500_000_000))
        );
        assert_eq!(
            at("2024-02-29T13:30:00.5+01:30"),
            Some((1_709_208_000, 500_000_000))
        );
        // A container that never ended.
        assert_eq!(at("0001-01-01T00:00:00Z"), None);
        for text in [
            "",
            "T",
            "2026-11-25",
            "2026-11-25T1:2",
            "2026-13-01T00:00:00Z",
            "xT00:00:00Z",
        ] {
            assert_eq!(at(text), None, "{text:?}");
        }
    }
}
