//! From the model to bytes: folded stacks, flame graphs, tables and JSON. Opens no file, asks no clock, and
//! computes percentages only here.

pub mod audit_tables;
pub mod audit_text;
pub mod audit_words;
mod balance;
mod budget;
pub mod compare;
pub mod diffgraph;
pub mod dump;
pub mod escape;
pub mod flamegraph;
pub mod fleets;
pub mod folded;
#[cfg(test)]
mod golden;
mod grid;
pub mod html;
pub mod idle;
pub mod json;
pub mod label;
mod lives;
pub mod markdown;
pub mod quality;
mod rows;
pub mod shape;
pub mod table;
mod waits;

use crate::model::accounting::StatDelta;

/// The exact numbers as text: the fleets' tables, then the quality.
#[must_use]
pub fn text(stat: &StatDelta, look: table::Look) -> String {
    format!("{}\n{}", table::text(stat, look), quality::text(stat))
}
