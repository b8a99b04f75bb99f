//! The exact numbers of a window: a table and a budget of each fleet, then how good they are; the same as JSON; and the
//! report of what idle processes cost.

mod budget;
mod document;
pub mod idle;
mod imbalance;
mod lifecycle;
pub mod quality;
mod rows;
pub mod table;

use crate::{
    model::accounting::StatDelta,
    render::{json, stat::document::StatDocument, term::grid::TableOptions},
};

/// The exact numbers as text: the fleets' tables, then the quality.
#[must_use]
pub fn text(stat: &StatDelta, options: TableOptions) -> String {
    format!("{}\n{}", table::text(stat, options), quality::text(stat))
}

/// The exact numbers as one JSON document.
pub fn json(stat: &StatDelta) -> anyhow::Result<String> {
    json::document(&StatDocument::of(stat))
}

/// The exact numbers as JSON on a line of its own, for a stream of windows.
pub fn json_line(stat: &StatDelta) -> anyhow::Result<String> {
    json::line(&StatDocument::of(stat))
}
