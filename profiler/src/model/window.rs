//! Windows of a recording, a second each: the spread of its numbers is computed from them.

use serde::{Deserialize, Serialize};

use crate::model::{accounting::Counters, waits::Waits};

/// One second, or so, of a recording; of a long one several seconds. The windows of a recording follow each other
/// without a gap, and each number of a process sums to that of the whole recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Length of the window by `CLOCK_MONOTONIC`, ns.
    pub duration_ns: u64,
    /// Requests that were answered in it, if somebody counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// What each process did that lived in it, by tgid.
    pub workers: Vec<WorkerWindow>,
}

/// One process's part of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerWindow {
    /// Process id: a `WorkerDelta` of the same recording.
    pub tgid: u32,
    /// Summed over its threads.
    #[serde(flatten)]
    pub counters: Counters,
    /// What `blocked_ns` went to; without histograms.
    #[serde(flatten)]
    pub waits: Waits,
}

impl WorkerWindow {
    /// A process that has done nothing.
    #[must_use]
    pub fn of(tgid: u32) -> Self {
        Self { tgid, ..Self::default() }
    }

    /// Adds what a thread of it did, or all of them.
    pub fn add(&mut self, counters: &Counters, waits: &Waits) {
        self.counters.add(counters);
        self.waits.add(waits);
        self.waits.forget_lengths();
    }

    /// All numbers of the process, in a fixed order.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        self.counters.numbers().into_iter().chain(self.waits.numbers().collect::<Vec<_>>())
    }

    /// All numbers, in the order of [`Self::numbers`], to be changed.
    pub fn numbers_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        self.counters.numbers_mut().into_iter().chain(self.waits.numbers_mut())
    }
}
