//! Times: seconds since 1970 as the engine writes them, and a monotonic clock for measuring ages.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::os;

/// A time on the local machine, in seconds since it was started. The wall clock can be set, so it cannot measure ages: a time
/// may be in the future.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Uptime {
    pub(crate) boot: String,
    pub(crate) seconds: i64,
}

impl Uptime {
    pub(crate) fn now() -> Self {
        Uptime {
            boot: boot(),
            seconds: os::uptime(),
        }
    }

    /// Returns how long before this time `other` was. Returns `None` if that is unknown: `other` is of another boot, or later.
    pub(crate) fn since(&self, other: &Uptime) -> Option<Duration> {
        let seconds = u64::try_from(self.seconds.checked_sub(other.seconds)?).ok()?;
        (self.boot == other.boot).then(|| Duration::from_secs(seconds))
    }
}

/// Returns what identifies the current boot; a fixed word if the system has no name for it.
pub(crate) fn boot() -> String {
    os::boot().unwrap_or_else(|| String::from("unknown"))
}

/// Returns the time that many seconds after the beginning of 1970; the beginning of 1970 if the system's clock cannot represent
/// it (Windows' ends in the year 30828).
pub(crate) fn time(seconds: u64) -> SystemTime {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    time.unwrap_or(UNIX_EPOCH)
}

/// Returns `2026-11-24T07:01:56Z` for a number of seconds since 1970.
///
/// The days are converted to a date by the method of Howard Hinnant, "chrono-compatible low-level date algorithms",
/// `civil_from_days`.
pub(crate) fn rfc3339(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years that start in March, counted from one at the start of a 400-year era.
    let from_era = days + 719_468;
    let (era, day_of_era) = (from_era.div_euclid(146_097), from_era.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_clock_shows_is_no_panic() {
        let day = Duration::from_secs(86_400);
        assert_eq!(time(86_400), UNIX_EPOCH + day);
        assert_eq!(time(u64::MAX), UNIX_EPOCH);
    }

    #[test]
    fn seconds_become_the_date_that_date_u_prints() {
        // date -u -d @N +%FT%TZ
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_795_503_716, "2026-11-24T07:01:56Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }
}
