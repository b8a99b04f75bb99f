//! The exact numbers of a window: a table and a budget of each fleet, then how good they are; the same as JSON; and the
//! report of what idle processes cost.

mod budget;
pub mod idle;
mod imbalance;
pub mod json;
mod lifecycle;
pub mod quality;
mod rows;
pub mod table;

use crate::{model::accounting::StatDelta, render::term::grid::TableOptions};

/// The exact numbers as text: the fleets' tables, then the quality.
#[must_use]
pub fn text(stat: &StatDelta, options: TableOptions) -> String {
    format!("{}\n{}", table::text(stat, options), quality::text(stat))
}
