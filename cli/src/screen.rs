//! Standard output: human-readable text or one JSON document, with colours if the output supports them.

use std::io::{self, IsTerminal, Stdout, Write};

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::ending::Failure;
use crate::table::{self, Column};

/// The output of a command.
pub(crate) struct Screen {
    out: io::BufWriter<Stdout>,
    colours: bool,
}

const HEADING: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

impl Screen {
    pub(crate) fn new(choice: ColorChoice) -> Self {
        let stdout = io::stdout();
        let choice = match choice {
            ColorChoice::Auto => anstream::AutoStream::choice(&stdout),
            choice => choice,
        };
        Screen {
            out: io::BufWriter::new(stdout),
            colours: !matches!(choice, ColorChoice::Never),
        }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        writeln!(self.out, "{}", text.as_ref()).map_err(Failure::output)
    }

    pub(crate) fn table(
        &mut self,
        columns: &[Column],
        rows: Vec<Vec<String>>,
    ) -> Result<(), Failure> {
        for (n, line) in table::lines(columns, rows).iter().enumerate() {
            match n {
                0 => self.line(self.styled(HEADING, line))?,
                _ => self.line(line)?,
            }
        }
        Ok(())
    }

    /// Prints names and values, one pair in each line.
    pub(crate) fn facts(&mut self, facts: &[(&str, String)]) -> Result<(), Failure> {
        let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, what) in facts {
            let name = self.styled(FAINT, &format!("{name:width$}"));
            self.line(format!("{name}  {what}"))?;
        }
        Ok(())
    }

    /// Prints the one document of a command, for programs.
    pub(crate) fn json(&mut self, document: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer_pretty(&mut self.out, document)
            .map_err(|e| Failure::output(e.into()))?;
        self.line("")
    }

    pub(crate) fn good(&self, text: &str) -> String {
        self.styled(GOOD, text)
    }

    pub(crate) fn bad(&self, text: &str) -> String {
        self.styled(BAD, text)
    }

    pub(crate) fn heading(&self, text: &str) -> String {
        self.styled(HEADING, text)
    }

    fn styled(&self, style: Style, text: &str) -> String {
        match self.colours {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }

    /// Flushes the output; a full disk, or a pipe that is no longer read, is noticed here.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::output)
    }

    /// For output that is not text.
    pub(crate) fn raw(&mut self) -> &mut impl Write {
        &mut self.out
    }
}
