//! Bars, drawn as SVG: grey text and colours of medium brightness without a background, so that they are legible on light and
//! dark pages.

use std::fmt::Write;

use crate::race::Series;
use crate::unit::Unit;

pub(crate) struct Plot {
    /// The file's name, without `.svg`.
    pub(crate) file: &'static str,
    pub(crate) title: String,
    pub(crate) unit: Unit,
    /// Each step to the right is a factor of ten.
    pub(crate) logarithmic: bool,
    pub(crate) groups: Vec<(String, Vec<Series>)>,
}

const WIDTH: f64 = 860.0;
/// Where bars start, and how long the longest is; its value comes after it.
const LEFT: f64 = 190.0;
const LENGTH: f64 = 560.0;
const BAR: f64 = 16.0;
const STEP: f64 = 22.0;
const TEXT: &str = "#7a828e";

impl Plot {
    pub(crate) fn svg(&self) -> String {
        let all = || self.groups.iter().flat_map(|(_, rows)| rows);
        let value = |seconds: f64| self.length_of(seconds);
        let most = all().map(|s| value(s.median())).fold(f64::MIN, f64::max);
        let least = all().map(|s| value(s.median())).fold(f64::MAX, f64::min);
        // A logarithmic bar starts a little below the minimum, at a power of ten.
        let start = if self.logarithmic {
            (least.log10() - 0.3).floor()
        } else {
            0.0
        };
        let end = if self.logarithmic { most.log10() } else { most };
        let place = |value: f64| {
            let value = if self.logarithmic {
                value.log10()
            } else {
                value
            };
            LEFT + ((value - start) / (end - start)).clamp(0.0, 1.03) * LENGTH
        };

        let mut body = String::new();
        let mut y = 34.0;
        for (name, rows) in &self.groups {
            y += 14.0;
            text(&mut body, 8.0, y, "start", "bold", name);
            y += 8.0;
            for row in rows {
                let middle = y + BAR / 2.0;
                let (x, color) = (place(value(row.median())), color(&row.name));
                text(
                    &mut body,
                    LEFT - 8.0,
                    middle + 4.0,
                    "end",
                    "normal",
                    &row.name,
                );
                rectangle(&mut body, [LEFT, y, (x - LEFT).max(1.0), BAR], color);
                let (low, high) = (place(value(row.at(0.05))), place(value(row.at(0.95))));
                line(&mut body, [low, middle, high, middle]);
                let behind = x.max(low).max(high) + 6.0;
                text(
                    &mut body,
                    behind,
                    middle + 4.0,
                    "start",
                    "normal",
                    &self.unit.show(row.median()),
                );
                y += STEP;
            }
            y += 6.0;
        }
        if self.logarithmic {
            for power in (start as i32)..=(end.floor() as i32) {
                let x = place(10f64.powi(power));
                let grid = [x, 30.0, x, y];
                let [x1, y1, x2, y2] = grid;
                let dashes = r#"stroke-dasharray="2 4" opacity="0.5""#;
                writeln!(
                    body,
                    r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{TEXT}" {dashes}/>"#
                )
                .expect("in memory");
                text(
                    &mut body,
                    x,
                    y + 14.0,
                    "middle",
                    "normal",
                    &self.tick(10f64.powi(power)),
                );
            }
            y += 20.0;
        }
        let height = y + 8.0;
        let scale = if self.logarithmic {
            ", logarithmic"
        } else {
            ""
        };
        let title = format!(
            "{} (bar: median{scale}; line: nine tenths of all)",
            self.title
        );
        let mut head = String::new();
        text(&mut head, 8.0, 20.0, "start", "bold", &title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<title>{}</title>\n{head}{body}</svg>\n",
            escape(&title)
        )
    }

    /// The length of a bar: rates grow to the right, like times.
    fn length_of(&self, value: f64) -> f64 {
        match self.unit {
            Unit::Rate(..) | Unit::Bytes(_) => 1.0 / value,
            _ => value,
        }
    }

    fn tick(&self, value: f64) -> String {
        match self.unit {
            Unit::Time => match value {
                1.0.. => format!("{value:.0} s"),
                0.000_999.. => format!("{:.0} ms", value * 1e3),
                _ => format!("{:.0} µs", value * 1e6),
            },
            _ => String::new(),
        }
    }
}

/// The colour of each client, the same in all plots.
fn color(name: &str) -> &'static str {
    match name {
        n if n.starts_with("docker-store, copy") => "#7aa7e9",
        n if n.starts_with("docker-store from C") => "#5a9bd8",
        n if n.starts_with("docker-store") => "#2f81f7",
        n if n.starts_with("bare") => "#8b949e",
        n if n.starts_with("bollard") => "#d4873a",
        n if n.starts_with("docker-py") => "#4c9a5b",
        _ => "#cf5b5b",
    }
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, weight: &str, what: &str) {
    let what = escape(what);
    writeln!(
        out,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-weight="{weight}" fill="{TEXT}">{what}</text>"#
    )
    .expect("in memory");
}

fn rectangle(out: &mut String, [x, y, width, height]: [f64; 4], color: &str) {
    writeln!(
        out,
        r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="2" fill="{color}"/>"#
    )
    .expect("in memory");
}

/// From nearly the minimum to nearly the maximum: the one outlier in a thousand is in the tables.
fn line(out: &mut String, [x1, y1, x2, y2]: [f64; 4]) {
    writeln!(
        out,
        r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{TEXT}" stroke-width="1.5"/>"#
    )
    .expect("in memory");
}

fn escape(text: &str) -> String {
    text.replace('`', "")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
}
