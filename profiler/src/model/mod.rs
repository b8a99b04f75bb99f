//! Data that users can be shown: no input or output, no clocks, no log.

pub mod accounting;
pub mod budget_state;
pub mod check;
pub mod design;
pub mod diff;
pub mod dump;
pub mod estimate;
#[cfg(test)]
pub mod fixture;
pub mod function_times;
pub mod knee_cause;
pub mod load;
pub mod mark;
pub mod memory;
pub mod merge;
pub mod plumbing;
pub mod profile;
pub mod quality;
pub mod recording;
pub mod report;
pub mod sample;
pub mod shown;
pub mod tables;
pub mod wait_site;
pub mod wait_times;
pub mod waits;
pub mod window;
pub mod worker;

/// The version of every JSON document and recording; a reader of one version refuses later ones.
pub const SCHEMA_VERSION: u32 = 2;
