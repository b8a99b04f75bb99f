//! How often a process wakes up while it has nothing to do, by the design of its server's main loop.

use serde::Serialize;

/// What an idle process does by its design.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Design {
    /// Fewest wake-ups per second, all threads together.
    pub from_per_second: f64,
    /// Most wake-ups per second, all threads together.
    pub to_per_second: f64,
    /// What the server wakes up for.
    pub why: &'static str,
}
