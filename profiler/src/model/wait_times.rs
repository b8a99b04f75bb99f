//! Times of waits: how many, how long in all, and the longest.

use serde::{Deserialize, Serialize};

/// Waits on one stack, or on several that became equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitTimes {
    /// How long inside the window, exactly.
    pub ns: u64,
    /// How many ended in it.
    pub count: u64,
    /// Length of the longest of them, from its beginning to its end or that of the window, ns; absent if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_ns: Option<u64>,
}

impl WaitTimes {
    /// Adds other waits. The longest is known only if it is of both.
    pub fn add(&mut self, other: &Self) {
        self.ns += other.ns;
        self.count += other.count;
        self.longest_ns = self.longest_ns.zip(other.longest_ns).map(|(mine, theirs)| mine.max(theirs));
    }

    /// True if any wait ended, or took any time.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.ns != 0 || self.count != 0
    }

    /// Takes these waits from what is left of a sum; what is more than that is not theirs.
    pub fn take_from(&mut self, left: &mut Self) {
        (self.ns, self.count) = (self.ns.min(left.ns), self.count.min(left.count));
        (left.ns, left.count) = (left.ns - self.ns, left.count - self.count);
    }
}
