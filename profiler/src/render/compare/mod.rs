//! A comparison of recordings as text and as Markdown: what is said of it, the functions that changed, the numbers that
//! did, and what could not be told. A page at most, unless all is asked for.

mod percent;
mod rows;
mod sentence;
#[cfg(test)]
mod tests;

use crate::{
    model::diff::Diff,
    render::{
        compare::{
            rows::Table,
            sentence::{headline, title, verdicts},
        },
        markdown,
        term::{
            self, escape,
            grid::{self, Column, RowKind, TableOptions},
            wrap::{cut, wrapped},
        },
    },
    units,
};

/// The lines of a page.
const PAGE: usize = 25;
/// Characters of a line from which on functions have their total times, too.
const WIDE: usize = 110;
/// The fewest characters of a name.
const NAME: usize = 20;
/// Blanks between two columns.
const GAP: usize = 2;

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub struct PageOptions {
    /// All numbers and functions.
    pub verbose: bool,
    /// Characters of a line.
    pub width: usize,
    /// Bold, for a terminal.
    pub colour: bool,
}

/// For a terminal.
#[must_use]
pub fn text(diff: &Diff, options: PageOptions) -> String {
    let fits = |text: &str| wrapped(text, 0, Some(options.width));
    let mut top: Vec<_> =
        verdicts(diff).iter().map(|verdict| term::bold(&fits(verdict), options.colour)).collect();
    top.push(fits(&headline(diff)));
    if !options.verbose {
        top.extend(subject(diff).map(|subject| fits(&subject)));
    }
    let mut blocks = vec![top.join("\n")];
    blocks.extend(
        rows::functions(diff, options.verbose, options.width >= WIDE).map(|table| block(table, options)),
    );
    blocks.extend(rows::numbers(diff, options.verbose).into_iter().map(|table| block(table, options)));
    if options.verbose {
        blocks.push(fits(&rows::legend(diff)));
    }
    let text = blocks.join("\n\n");
    let notes: Vec<_> =
        diff.notes.iter().map(|note| fits(&format!("note: {}", escape::visible(note)))).collect();
    let notes = if options.verbose { notes } else { notes_that_fit(notes, &text) };
    [&[text], notes.as_slice()].concat().join("\n\n") + "\n"
}

/// For a pull request.
#[must_use]
pub fn markdown(diff: &Diff, verbose: bool) -> String {
    let mut blocks: Vec<_> =
        verdicts(diff).iter().map(|verdict| format!("## {}", markdown::line(verdict))).collect();
    blocks.push(markdown::line(&headline(diff)));
    if !verbose {
        blocks.extend(subject(diff).map(|subject| markdown::line(&subject)));
    }
    let tables = rows::functions(diff, verbose, true).into_iter().chain(rows::numbers(diff, verbose));
    for Table { title, heads, rows, rest } in tables {
        blocks.extend(title.map(|title| format!("### {}", markdown::line(&title))));
        if !rows.is_empty() {
            let heads = heads.into_iter().enumerate().map(|(place, head)| (head, place == 0));
            blocks.push(markdown::table(heads, rows.into_iter().map(|row| row.cells)));
        }
        blocks.extend(rest.map(|rest| markdown::line(&rest)));
    }
    if verbose {
        blocks.push(markdown::line(&rows::legend(diff)));
    }
    blocks.extend(diff.notes.iter().map(|note| markdown::line(&escape::visible(note))));
    blocks.join("\n\n") + "\n"
}

/// Whose numbers come first.
fn subject(diff: &Diff) -> Option<String> {
    diff.groups.first().map(title)
}

/// A table below its title, and what it leaves out.
fn block(table: Table, options: PageOptions) -> String {
    let Table { title, heads, rows, rest } = table;
    let mut parts: Vec<_> = title.map(|title| wrapped(&title, 0, Some(options.width))).into_iter().collect();
    if !rows.is_empty() {
        let widths = (1..heads.len()).map(|column| {
            let cells = rows.iter().map(|row| &row.cells[column]).chain([&heads[column]]);
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(1) + GAP
        });
        // The line below the heads is one longer.
        let name = options.width.saturating_sub(widths.sum::<usize>() + 1).max(NAME);
        let column =
            |(place, head): (usize, String)| Column { head, gap: GAP as u16 - 1, is_text: place == 0 };
        let columns: Vec<_> = heads.into_iter().enumerate().map(column).collect();
        let rows = rows.into_iter().map(|mut row| {
            row.cells[0] = cut(&row.cells[0], name);
            (if row.is_real { RowKind::Sum } else { RowKind::Process }, row.cells)
        });
        let look = TableOptions { colour: options.colour, ..TableOptions::default() };
        parts.push(grid::text(&columns, rows, look));
    }
    parts.extend(rest.map(|rest| wrapped(&rest, 0, Some(options.width))));
    parts.join("\n")
}

/// The notes, an empty line before each, that are left of a page; at least the first.
fn notes_that_fit(mut notes: Vec<String>, text: &str) -> Vec<String> {
    let room = PAGE.saturating_sub(text.lines().count());
    let height = |notes: &[String]| notes.iter().map(|note| note.lines().count() + 1).sum::<usize>();
    if height(&notes) <= room {
        return notes;
    }
    let all = notes.len();
    while notes.len() > 1 && height(&notes) + 2 > room {
        notes.pop();
    }
    if notes.len() < all {
        notes.push(format!("… {}: -v", units::counted((all - notes.len()) as u64, "more note")));
    }
    notes
}
