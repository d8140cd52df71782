//! Columns.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

/// A heading, and how its column is aligned.
pub(crate) type Column = (&'static str, CellAlignment);

pub(crate) const LEFT: CellAlignment = CellAlignment::Left;
pub(crate) const RIGHT: CellAlignment = CellAlignment::Right;

/// Returns the lines of a table, starting with its headings. Nothing is truncated or wrapped, because a partial name is
/// useless.
pub(crate) fn lines(columns: &[Column], rows: Vec<Vec<String>>) -> Vec<String> {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(
            columns
                .iter()
                .map(|(name, side)| Cell::new(name).set_alignment(*side)),
        );
    for row in rows {
        table.add_row(
            row.into_iter()
                .zip(columns)
                .map(|(text, (_, side))| Cell::new(text).set_alignment(*side)),
        );
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}
