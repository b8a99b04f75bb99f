//! How often a process wakes up while it has nothing to do, by the design of its server's main loop.

use serde::Serialize;

/// What an idle process does by its design.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Design {
    /// Wake-ups per second, all threads together, at least …
    pub from_per_second: f64,
    /// … and at most.
    pub to_per_second: f64,
    /// What for.
    pub why: &'static str,
}
