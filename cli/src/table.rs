//! Columns.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

/// A heading, and on which side its column is even.
pub(crate) type Column = (&'static str, CellAlignment);

pub(crate) const LEFT: CellAlignment = CellAlignment::Left;
pub(crate) const RIGHT: CellAlignment = CellAlignment::Right;

/// The lines of a table, the first of them its headings. Nothing is cut off or wrapped: a name that is not whole is none.
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
