//! Stacks: folded ones, and flame graphs of one recording or of what differs between two.

pub mod differential;
pub mod flamegraph;
pub mod fold;
pub mod folded;
pub mod imports;
pub mod label;
pub mod palette;
mod svg;
mod wait_times;
mod waits;
