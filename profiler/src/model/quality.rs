//! What was lost, truncated or unresolved, by cause; and how the numbers compare with the kernel's own.

use std::collections::{BTreeMap, HashSet};

use profiler_common::loss_cause::LossCause;
use serde::{Deserialize, Serialize};

/// The last part of every output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// Losses by cause ([`LossCause::name`]); causes that did not occur are absent.
    pub lost: BTreeMap<String, u64>,
    /// How the user/system split was made.
    pub user_system_split: String,
    /// How long a tick is by which the kernel tells user from system time, ns; 0 if that is not known.
    #[serde(default)]
    pub tick_ns: u64,
    /// The largest on-CPU difference of any thread from `/proc`'s `schedstat`, ns.
    pub largest_on_cpu_difference_ns: u64,
    /// The largest difference of any thread's switches from `/proc`'s `status`.
    pub largest_switch_difference: u64,
    /// Threads that were compared.
    pub threads_compared: u64,
    /// CPU time that punchclock itself used during the window, ns.
    pub own_cpu_ns: u64,
    /// One sentence for each process that could not be seen fully.
    pub notes: Vec<String>,
    /// How complete the samples of a recording are; absent without sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<SampleQuality>,
}

/// What was lost up to an instant, by cause.
pub type Losses = BTreeMap<LossCause, u64>;

/// How the samples of a recording fared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleQuality {
    /// Samples of followed threads.
    pub total: u64,
    /// Samples with all their Python frames.
    pub python_complete: u64,
    /// Samples with some of their Python frames.
    pub python_partial: u64,
    /// Samples of Python threads outside of any Python function, as while an interpreter starts or ends.
    #[serde(default)]
    pub python_outside: u64,
    /// Samples of threads that held the GIL.
    #[serde(default)]
    pub gil_held: u64,
    /// Samples of Python threads that did not hold the GIL.
    #[serde(default)]
    pub gil_released: u64,
    /// Distinct stacks.
    pub stacks: u64,
    /// The clock that ticked: `cpu-clock` or `cpu-cycles`.
    pub event: String,
}

impl Quality {
    /// Adds to a cause; nothing is noted for zero.
    pub fn count_loss(&mut self, cause: LossCause, count: u64) {
        if count != 0 {
            *self.lost.entry(cause.name().to_owned()).or_default() += count;
        }
    }

    /// Leaves each note once, where it first stands.
    pub fn say_once(&mut self) {
        let mut said = HashSet::new();
        self.notes.retain(|note| said.insert(note.clone()));
    }

    /// Adds what was lost between two instants.
    pub fn count_losses_between(&mut self, start: &Losses, end: &Losses) {
        for (cause, count) in end {
            self.count_loss(*cause, count.saturating_sub(start.get(cause).copied().unwrap_or(0)));
        }
    }
}
