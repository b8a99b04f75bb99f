//! A grid of texts as a table on a terminal: no lines but one under the header, numbers to the right.

use comfy_table::{Attribute, Cell, CellAlignment, LineStyle, Table, TableStyle};

/// No lines but one under the header.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Name of the column, and its unit below; up to three lines.
    pub head: String,
    /// Blanks that follow it besides the usual one: none between two that belong together.
    pub gap: u16,
    /// True for words, which stand to the left.
    pub is_text: bool,
}

/// What a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// A process.
    Process,
    /// A thread of the process above.
    Thread,
    /// All workers together, or their mean.
    Sum,
}

/// How a table looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableOptions {
    /// A row for each thread, too.
    pub threads: bool,
    /// Bold and dim, for a terminal whose user has not set `NO_COLOR`.
    pub colour: bool,
}

/// Lays rows out under their columns.
#[must_use]
pub fn text(
    columns: &[Column],
    rows: impl IntoIterator<Item = (RowKind, Vec<String>)>,
    options: TableOptions,
) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(columns.iter().map(|column| column.head.clone()));
    if options.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    for (kind, texts) in rows {
        table.add_row(texts.into_iter().map(|text| cell(kind, text)));
    }
    for (cells, column) in table.column_iter_mut().zip(columns) {
        cells.set_padding((0, column.gap));
        if !column.is_text {
            cells.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

fn cell(kind: RowKind, text: String) -> Cell {
    match kind {
        RowKind::Process => Cell::new_owned(text),
        RowKind::Thread => Cell::new_owned(text).add_attribute(Attribute::Dim),
        RowKind::Sum => Cell::new_owned(text).add_attribute(Attribute::Bold),
    }
}
