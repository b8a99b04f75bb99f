//! The report of an audit as a page, as Markdown and for the terminal: the words and the tables are the same in all three.

pub mod html;
pub mod markdown;
pub mod table;
pub mod tables;
pub mod text;
pub mod words;

use crate::model::report::Report;

/// The texts of all reports of an audit, one below the other.
#[must_use]
pub fn joined(reports: &[Report], text: impl Fn(&Report) -> String) -> String {
    reports.iter().map(text).collect::<Vec<_>>().join("\n")
}
