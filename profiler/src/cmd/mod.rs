//! The verbs, one file each; each `run` reads like a table of contents.

pub mod audit;
pub mod compare;
pub mod doctor;
pub mod dump;
pub mod outputs;
pub mod progress;
pub mod ps;
pub mod record;
pub mod recording_files;
pub mod report;
pub mod runtime;
pub mod snapshots;
pub mod stat;
pub mod target;
