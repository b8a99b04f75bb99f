//! What a terminal shows: rows laid out under their heads, and names in which nothing acts.

pub mod escape;
pub mod grid;
