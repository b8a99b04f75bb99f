//! From the model to bytes, by picture: a folder each, or a file where one is enough. Opens no file, asks no clock, and
//! computes percentages only here.
//!
//! All names are of strangers: [`term::escape`] is what every picture puts them through.

pub mod checks;
pub mod compare;
pub mod dump;
pub mod fleets;
#[cfg(test)]
mod golden;
pub mod graph;
pub mod json;
pub mod location;
pub mod markdown;
pub mod reason;
pub mod report;
pub mod stat;
pub mod term;
