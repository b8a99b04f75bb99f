//! What a hypervisor takes from the machine's CPUs: it is in no thread's books.

use std::fs;

/// A tick, in which the kernel tells what was taken and at least as often looks at its clocks, ns.
pub const TICK_NS: u64 = 10_000_000;

/// What was taken so far, over all CPUs (`/proc/stat`), ticks.
#[derive(Clone, Copy, Debug)]
pub struct Stolen(u64);

impl Stolen {
    /// What was taken until now.
    #[must_use]
    pub fn so_far() -> Self {
        let stat = fs::read_to_string("/proc/stat").expect("the kernel keeps statistics");
        let ticks = stat.lines().next().and_then(|line| line.split_whitespace().nth(8));
        Self(ticks.and_then(|ticks| ticks.parse().ok()).expect("stolen ticks"))
    }

    /// True if something was taken since.
    #[must_use]
    pub fn is_more(self) -> bool {
        Self::so_far().0 > self.0
    }

    /// How much of a thread's time may have been taken since, ns. The kernel tells whole ticks, so one more.
    #[must_use]
    pub fn at_most(self) -> u64 {
        (Self::so_far().0 - self.0 + 1) * TICK_NS
    }
}
