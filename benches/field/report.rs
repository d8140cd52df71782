//! The report: sections with tables and plots, preceded by a table of the targets and the results.

use std::fmt::Write;

use crate::plot::Plot;
use crate::race::Series;
use crate::unit::Unit;

#[derive(Default)]
pub(crate) struct Report {
    sections: Vec<Section>,
    targets: Vec<Target>,
}

pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) text: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) plots: Vec<Plot>,
}

pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) unit: Unit,
    pub(crate) rows: Vec<Series>,
    /// The row that the others are divided by.
    pub(crate) beside: String,
}

struct Target {
    what: String,
    must: String,
    measured: Option<Measured>,
}

struct Measured {
    paired: f64,
    minima: f64,
    reached: bool,
    /// The bare socket's ratio, if even that does not reach the target.
    limit: Option<f64>,
}

/// The target of a ratio, in the median round.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// Ours takes at most this many times as long as the other.
    AtMost(f64),
    /// The other takes at least this many times as long as ours.
    AtLeast(f64),
}

impl Section {
    pub(crate) fn new(title: &'static str, text: &str) -> Self {
        let text = text
            .split('\n')
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("\n");
        Section {
            title,
            text,
            tables: Vec::new(),
            plots: Vec::new(),
        }
    }
}

impl Table {
    pub(crate) fn new(title: &str, unit: Unit, beside: &str, rows: Vec<Series>) -> Self {
        Table {
            title: title.to_owned(),
            unit,
            rows,
            beside: beside.to_owned(),
        }
    }

    pub(crate) fn row(&self, name: &str) -> Option<&Series> {
        self.rows.iter().find(|row| row.name == name)
    }

    fn write(&self, out: &mut String) {
        let [least, most] = self.unit.ends();
        let beside = self.row(&self.beside);
        let mut columns = format!("| {} | {least} | median | {most} | measured |", self.title);
        let mut line = String::from("|---|--:|--:|--:|--:|");
        if beside.is_some() {
            write!(columns, " ÷ {}: minima | rounds |", self.beside).expect("in memory");
            line.push_str("--:|--:|");
        }
        writeln!(out, "{columns}\n{line}").expect("in memory");
        for row in &self.rows {
            let show = |value| self.unit.show(value);
            let cells = [show(row.minimum()), show(row.median()), show(row.maximum())].join(" | ");
            write!(out, "| {} | {cells} | {} × |", row.name, row.count()).expect("in memory");
            if let Some(beside) = beside {
                let minima = ratio(row.minimum() / beside.minimum());
                let rounds = ratio(row.paired(beside));
                write!(out, " {minima} | {rounds} |").expect("in memory");
            }
            out.push('\n');
        }
        out.push('\n');
    }
}

impl Report {
    pub(crate) fn add(&mut self, section: Section) {
        let mut text = String::new();
        section.write(&mut text);
        println!("{text}");
        self.sections.push(section);
    }

    /// Judges `ours` against `other`, both from one table; if one was not measured, the report says so.
    pub(crate) fn judge(&mut self, what: &str, table: &Table, pair: [&str; 2], bound: Bound) {
        let [ours, other] = pair;
        let rows = table.row(ours).zip(table.row(other));
        self.judge_series(what, rows, other, bound);
        let bare = table
            .row(&table.beside)
            .filter(|row| row.name.starts_with("bare"));
        if let (Some((bare, (_, other))), Bound::AtLeast(least)) = (bare.zip(rows), bound) {
            let limit = other.paired(bare);
            let measured = self
                .targets
                .last_mut()
                .and_then(|target| target.measured.as_mut());
            measured.expect("just judged").limit = (limit < least).then_some(limit);
        }
    }

    pub(crate) fn judge_series(
        &mut self,
        what: &str,
        rows: Option<(&Series, &Series)>,
        other: &str,
        bound: Bound,
    ) {
        let measured = rows.map(|(ours, other)| {
            let minima = ours.minimum() / other.minimum();
            let (paired, minima, reached) = match bound {
                Bound::AtMost(most) => {
                    let paired = ours.paired(other);
                    (paired, minima, paired <= most)
                }
                Bound::AtLeast(least) => {
                    let paired = other.paired(ours);
                    (paired, 1.0 / minima, paired >= least)
                }
            };
            Measured {
                paired,
                minima,
                reached,
                limit: None,
            }
        });
        let must = match bound {
            Bound::AtMost(most) => format!("≤ {most} × {other}"),
            Bound::AtLeast(1.0) => format!("faster than {other}"),
            Bound::AtLeast(least) => format!("≥ {least} × faster than {other}"),
        };
        self.targets.push(Target {
            what: what.to_owned(),
            must,
            measured,
        });
    }

    /// Judges a plain number.
    pub(crate) fn judge_value(&mut self, what: &str, must: &str, value: f64, reached: bool) {
        let measured = Some(Measured {
            paired: value,
            minima: value,
            reached,
            limit: None,
        });
        self.targets.push(Target {
            what: what.to_owned(),
            must: must.to_owned(),
            measured,
        });
    }

    pub(crate) fn plots(&self) -> impl Iterator<Item = &Plot> {
        self.sections.iter().flat_map(|section| &section.plots)
    }

    /// The table of the targets.
    pub(crate) fn targets(&self) -> String {
        let mut out = String::from(
            "| what | must be | is, by rounds | by minima | |\n|---|---|--:|--:|---|\n",
        );
        for target in &self.targets {
            let (is, verdict) = match &target.measured {
                None => (String::from("– | –"), String::from("not measured")),
                Some(m) => {
                    let verdict = match (m.reached, m.limit) {
                        (true, _) => String::from("reached"),
                        (false, None) => String::from("**not reached**"),
                        (false, Some(limit)) => {
                            format!(
                                "not reached: the engine's own time; a bare socket is at {}",
                                ratio(limit)
                            )
                        }
                    };
                    (
                        format!("{} | {}", ratio(m.paired), ratio(m.minima)),
                        verdict,
                    )
                }
            };
            writeln!(
                out,
                "| {} | {} | {is} | {verdict} |",
                target.what, target.must
            )
            .expect("in memory");
        }
        out
    }

    pub(crate) fn markdown(&self, preface: &str) -> String {
        let mut out = format!("{preface}\n{}\n", self.targets());
        for section in &self.sections {
            section.write(&mut out);
        }
        out
    }
}

impl Section {
    fn write(&self, out: &mut String) {
        writeln!(out, "## {}\n\n{}\n", self.title, self.text).expect("in memory");
        for plot in &self.plots {
            writeln!(out, "![{}]({}.svg)\n", plot.title, plot.file).expect("in memory");
        }
        for table in &self.tables {
            table.write(out);
        }
    }
}

/// Three digits are more than is known.
pub(crate) fn ratio(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
