//! The meaning of numbers, and their human-readable form.

/// The meaning of a table's values. All except the last two are measured in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Time,
    /// This many of something in that time.
    Rate(f64, &'static str),
    /// This many bytes in that time.
    Bytes(f64),
    /// The value is a number of bytes.
    Size,
    /// The value is a number of things.
    Count,
}

impl Unit {
    /// The names of the smallest and the largest value.
    pub(crate) fn ends(self) -> [&'static str; 2] {
        match self {
            Unit::Rate(..) | Unit::Bytes(_) => ["best", "worst"],
            _ => ["minimum", "maximum"],
        }
    }

    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Unit::Time => time(value),
            Unit::Rate(work, what) => format!("{} {what}/s", grouped(work / value)),
            Unit::Bytes(bytes) => format!("{} MB/s", grouped(bytes / value / 1e6)),
            Unit::Size => match value {
                1e6.. => format!("{:.2} MB", value / 1e6),
                _ => format!("{:.0} kB", value / 1e3),
            },
            Unit::Count => grouped(value),
        }
    }
}

/// Three digits, in the unit that suits.
fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        0.9995.. => (seconds, "s"),
        0.000_999_5.. => (seconds * 1e3, "ms"),
        _ => (seconds * 1e6, "µs"),
    };
    let digits = match value {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}

fn grouped(value: f64) -> String {
    let text = format!("{value:.0}");
    let mut out = String::new();
    for (n, digit) in text.chars().enumerate() {
        if n > 0 && (text.len() - n) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
