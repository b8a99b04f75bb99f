//! The exact numbers of a window: findings and a table of each fleet, then how good they are; the same as JSON; and the
//! report of what idle processes cost.

mod budget;
mod document;
mod findings;
pub mod functions;
pub mod idle;
pub mod imbalance;
pub mod lifecycle;
mod memory;
pub mod quality;
mod rows;
mod switches;
pub mod table;

use crate::{
    model::{accounting::StatDelta, profile::Profile, report::Finding},
    render::{json, stat::document::StatDocument, term::grid::TableOptions},
};

/// The exact numbers as text: the fleets' findings and tables, the functions of a recording, then the quality.
#[must_use]
pub fn text(stat: &StatDelta, profile: &Profile, findings: &[Vec<Finding>], options: TableOptions) -> String {
    // Without samples only waits have functions, and findings name these.
    let functions =
        if profile.samples.is_empty() { String::new() } else { functions::text(stat, profile, options) };
    format!("{}\n{functions}{}", table::text(stat, findings, options), quality::text(stat, options))
}

/// The exact numbers as one JSON document, each fleet with its findings.
pub fn json(stat: &StatDelta, findings: &[Vec<Finding>]) -> anyhow::Result<String> {
    json::document(&StatDocument::of(stat, findings))
}

/// The exact numbers as JSON on a line of its own, for a stream of windows.
pub fn json_line(stat: &StatDelta, findings: &[Vec<Finding>]) -> anyhow::Result<String> {
    json::line(&StatDocument::of(stat, findings))
}
