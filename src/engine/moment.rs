//! Times in the form of an engine: RFC 3339, with nanoseconds.

use std::time::Duration;

/// Returns the time since 1970 of `2026-11-25T23:27:09.655378366Z`; `None` for any other text, and for earlier years.
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
    is_of_day(hour, minute, second).then_some(())?;
    let nanos = fraction.get(..9.min(fraction.len()))?;
    let nanos: u32 = format!("{nanos:0<9}").parse().ok()?;
    let seconds = days(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(Duration::new(seconds.try_into().ok()?, nanos))
}

/// Splits `+01:00` off the end, and returns it in seconds.
fn with_offset(time: &str) -> Option<(&str, i64)> {
    let at = time.rfind(['+', '-'])?;
    let (time, offset) = time.split_at(at);
    let (hours, minutes) = offset[1..].split_once(':')?;
    let (hours, minutes) = (hours.parse().ok()?, minutes.parse().ok()?);
    is_of_day(hours, minutes, 0).then_some(())?;
    let seconds = hours * 3600 + minutes * 60;
    Some((
        time,
        if offset.starts_with('-') {
            -seconds
        } else {
            seconds
        },
    ))
}

/// Returns whether it is a valid time of day. The last second may be a leap second.
fn is_of_day(hour: i64, minute: i64, second: i64) -> bool {
    (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second)
}

/// Returns the days since 1970-01-01, by the method of Howard Hinnant, "chrono-compatible low-level date algorithms",
/// `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that start in March, in eras of 400 years.
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            "2026-01-01T9223372036854775807:00:00Z",
            "2026-01-01T00:00:00+9223372036854775807:00",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:-1:00Z",
        ] {
            assert_eq!(at(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_moment_or_none(
            text in "[0-9]{1,4}-[0-9]{1,2}-[0-9]{1,2}T[0-9:+.Z-]{0,30}",
            numbers in prop::collection::vec(any::<i64>(), 8),
            other in ".{0,20}",
        ) {
            let [year, month, day, hour, minute, second, of_hours, of_minutes] = numbers[..] else {
                unreachable!("eight")
            };
            let huge = format!("{year}-{month}-{day}T{hour}:{minute}:{second}{of_hours:+}:{of_minutes}");
            let huge_clock = format!("2026-01-01T{hour}:{minute}:{second}.{day}+{of_hours}:{of_minutes}");
            for text in [&text, &huge, &huge_clock, &other] {
                // Ten thousand years, and a day for the offset.
                prop_assert!(since_1970(text).is_none_or(|at| at.as_secs() < 8030 * 366 * 86_400));
            }
        }

        #[test]
        fn a_moment_that_is_written_is_the_one_that_is_read(
            seconds in 0..200_000_000_000i64,
            nanos in 0..1_000_000_000u32,
        ) {
            let text = format!("{}.{nanos:09}Z", written(seconds));
            prop_assert_eq!(since_1970(&text), Some(Duration::new(seconds as u64, nanos)));
        }
    }

    /// The reverse, by counting days.
    fn written(seconds: i64) -> String {
        let (mut day, second) = (seconds / 86_400, seconds % 86_400);
        let (mut year, mut month) = (1970, 1);
        let is_leap = |year| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        while day >= 365 + i64::from(is_leap(year)) {
            day -= 365 + i64::from(is_leap(year));
            year += 1;
        }
        let lengths = [
            31,
            28 + i64::from(is_leap(year)),
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ];
        for length in lengths {
            if day < length {
                break;
            }
            day -= length;
            month += 1;
        }
        let (hour, minute) = (second / 3600, second / 60 % 60);
        format!(
            "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{:02}",
            day + 1,
            second % 60
        )
    }
}
