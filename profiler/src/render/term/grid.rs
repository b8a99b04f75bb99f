//! A grid of texts as a table on a terminal: no lines but one under the header, numbers to the right.

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

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

/// A column with its text in each row.
#[derive(Clone, Debug)]
pub struct FilledColumn {
    /// What stands above.
    pub column: Column,
    /// A text for each row.
    pub texts: Vec<String>,
}

impl FilledColumn {
    /// A column of words.
    #[must_use]
    pub fn of_words(head: &str, texts: impl Iterator<Item = String>) -> Self {
        Self { column: Column { head: head.to_owned(), gap: 1, is_text: true }, texts: texts.collect() }
    }

    /// A column of numbers.
    #[must_use]
    pub fn of_numbers(head: &str, texts: impl Iterator<Item = String>) -> Self {
        Self { column: Column { head: head.to_owned(), gap: 1, is_text: false }, texts: texts.collect() }
    }

    /// A column of numbers that belongs to the next one.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.column.gap = 0;
        self
    }

    /// The widest of its lines, in characters.
    fn width(&self) -> usize {
        let lines = self.column.head.lines().chain(self.texts.iter().flat_map(|text| text.lines()));
        lines.map(|line| line.chars().count()).max().unwrap_or(0)
    }
}

/// How wide a table is, in characters.
#[must_use]
pub fn width(columns: &[FilledColumn]) -> usize {
    let all: usize = columns.iter().map(|filled| filled.width() + usize::from(filled.column.gap) + 1).sum();
    all.saturating_sub(columns.last().map_or(0, |last| usize::from(last.column.gap) + 1))
}

/// How a table looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableOptions {
    /// Characters of a line; absent where nobody sets a limit, as in a file.
    pub width: Option<usize>,
    /// A table of context switches, too.
    pub switches: bool,
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
    let mut kinds = Vec::new();
    let empty = |column: &Column| FilledColumn { column: column.clone(), texts: Vec::new() };
    let mut filled: Vec<_> = columns.iter().map(empty).collect();
    for (kind, texts) in rows {
        kinds.push(kind);
        filled.iter_mut().zip(texts).for_each(|(filled, text)| filled.texts.push(text));
    }
    side_by_side(filled, &kinds, options)
}

/// Lays columns out side by side, with a kind for each row. What is wider than a line is wrapped in its cells.
#[must_use]
pub fn side_by_side(mut columns: Vec<FilledColumn>, kinds: &[RowKind], options: TableOptions) -> String {
    if let Some(last) = columns.last_mut() {
        last.column.gap = 0;
    }
    let mut table = Table::new();
    table.load_style(STYLE).set_header(columns.iter().map(|filled| filled.column.head.clone()));
    if let Some(line) = options.width.filter(|line| *line < width(&columns)) {
        let line = u16::try_from(line).unwrap_or(u16::MAX);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(line);
    }
    if options.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let (columns, mut texts): (Vec<_>, Vec<_>) =
        columns.into_iter().map(|filled| (filled.column, filled.texts.into_iter())).unzip();
    for kind in kinds {
        let row = texts.iter_mut().map(|column| cell(*kind, column.next().unwrap_or_default()));
        table.add_row(row.collect::<Vec<_>>());
    }
    for (cells, column) in table.column_iter_mut().zip(&columns) {
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
