//! The list of fleets: a headline each, and a row for each of its processes. Rows come as plain words, which are
//! escaped here.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::json;

use crate::{model::SCHEMA_VERSION, render::term::escape};

/// The rows of one fleet, and its headline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetBlock {
    /// What there is to say of the whole.
    pub headline: Vec<String>,
    /// Processes of the fleet.
    pub rows: Vec<ProcessRow>,
}

/// The row of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessRow {
    /// A word for each column.
    pub words: Vec<String>,
    /// Sentences behind them, one a line.
    pub notes: Vec<String>,
}

/// The fleets as text, an empty line between two; `colour` makes the headlines bold.
#[must_use]
pub fn text(blocks: &[FleetBlock], colour: bool) -> String {
    let blocks: Vec<_> = blocks.iter().map(|one| block(one, colour)).collect();
    blocks.join("\n")
}

/// The fleets, and the processes of Python that are in none, as one JSON document, with a line break at its end.
pub fn json(fleets: &impl Serialize, alone: &impl Serialize) -> anyhow::Result<String> {
    let document = json!({ "schema_version": SCHEMA_VERSION, "fleets": fleets, "alone": alone });
    Ok(escape::json(serde_json::to_string_pretty(&document)?) + "\n")
}

fn block(block: &FleetBlock, colour: bool) -> String {
    let headline: Vec<_> = block.headline.iter().map(|part| escape::visible(part)).collect();
    let headline = headline.join(" · ");
    let headline = if colour { format!("\x1b[1m{headline}\x1b[0m") } else { headline };
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    for ProcessRow { words, notes } in &block.rows {
        let visible = |text: &String| escape::visible(text).into_owned();
        let notes: Vec<_> = notes.iter().map(visible).collect();
        table.add_row(words.iter().map(visible).chain([notes.join("\n")]).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((2, 0));
    }
    format!("{headline}\n{}\n", table.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_headline_and_aligned_rows() {
        let row = |line: &[&str], notes: &[&str]| ProcessRow { words: words(line), notes: words(notes) };
        let block = FleetBlock {
            headline: words(&["gunicorn shop\x1b[2J", "2 workers"]),
            rows: vec![
                row(&["master 7", "", "1 thread"], &["first", "second\n"]),
                row(&["worker 12345", "sync", "1 thread"], &[]),
            ],
        };
        let expected = "gunicorn shop\\x1b[2J · 2 workers\n  \
                        master 7            1 thread  first\n                                \
                        second\\x0a\n  \
                        worker 12345  sync  1 thread\n";
        assert_eq!(text(std::slice::from_ref(&block), false), expected);
        let two = text(&[block.clone(), block], true);
        assert!(two.contains("\n\n\x1b[1mgunicorn"), "{two}");
        assert!(!two.contains("\x1b[2J"));
    }

    #[test]
    fn json_shows_no_character_that_acts() {
        let document = json(&["\u{9b}2J"], &[7]).unwrap();
        let acts = |c: char| c.is_control() && c != '\n';
        assert!(document.contains("\\u009b2J") && !document.contains(acts), "{document}");
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!((&document["fleets"][0], &document["alone"][0]), (&"\u{9b}2J".into(), &7.into()));
    }
}
