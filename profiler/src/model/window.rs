//! The parts of a recording, a second each: what the spread of its numbers is told from.

use serde::{Deserialize, Serialize};

use crate::model::{accounting::Counters, waits::Waits};

/// One second, or so, of a recording. The windows of a recording follow each other without a gap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its length by `CLOCK_MONOTONIC`.
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
