//! From the model to bytes: folded stacks, flame graphs, tables and JSON. Opens no file, asks no clock, and
//! computes percentages only here.

pub mod audit_tables;
pub mod audit_text;
pub mod audit_words;
mod budget;
pub mod compare;
pub mod diffgraph;
pub mod dump;
pub mod escape;
pub mod flamegraph;
pub mod fleets;
pub mod fold;
pub mod folded;
#[cfg(test)]
mod golden;
pub mod grid;
pub mod html;
pub mod idle;
mod imbalance;
pub mod json;
pub mod label;
mod lifecycle;
pub mod markdown;
pub mod quality;
mod rows;
pub mod table;
mod waits;

use crate::model::{accounting::StatDelta, report::Report};

/// The exact numbers as text: the fleets' tables, then the quality.
#[must_use]
pub fn text(stat: &StatDelta, options: grid::TableOptions) -> String {
    format!("{}\n{}", table::text(stat, options), quality::text(stat))
}

/// The texts of all reports of an audit, one below the other.
#[must_use]
pub fn joined(reports: &[Report], text: impl Fn(&Report) -> String) -> String {
    reports.iter().map(text).collect::<Vec<_>>().join("\n")
}
