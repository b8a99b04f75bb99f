//! States among which a budget shares the time of threads.

use std::cmp::Ordering;

use profiler_common::wait::Reason;
use serde::{Deserialize, Serialize};

use crate::model::profile::reason_name;

/// What a thread does with its time. In JSON it is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum BudgetState {
    /// It runs.
    OnCpu,
    /// It waits for a CPU.
    RunQueue,
    /// It is blocked.
    Blocked(Reason),
}

impl BudgetState {
    /// All states, in the order in which they are drawn.
    pub const ALL: [Self; 14] = [
        Self::OnCpu,
        Self::RunQueue,
        Self::Blocked(Reason::Gil),
        Self::Blocked(Reason::Lock),
        Self::Blocked(Reason::Socket),
        Self::Blocked(Reason::Pipe),
        Self::Blocked(Reason::Disk),
        Self::Blocked(Reason::Sleep),
        Self::Blocked(Reason::Child),
        Self::Blocked(Reason::PageFault),
        Self::Blocked(Reason::Signal),
        Self::Blocked(Reason::Other),
        Self::Blocked(Reason::Idle),
        Self::Blocked(Reason::Parked),
    ];

    /// The word for it, in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OnCpu => "on_cpu",
            Self::RunQueue => "run_queue",
            Self::Blocked(reason) => reason.name(),
        }
    }
}

/// By name, in which order a budget's states are told.
impl Ord for BudgetState {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl PartialOrd for BudgetState {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<BudgetState> for &'static str {
    fn from(state: BudgetState) -> Self {
        state.name()
    }
}

impl TryFrom<String> for BudgetState {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let blocked = || reason_name::parse(&name).map(Self::Blocked);
        let running = [Self::OnCpu, Self::RunQueue].into_iter().find(|state| state.name() == name);
        running.or_else(blocked).ok_or("unknown state")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_its_name_in_json() {
        for state in BudgetState::ALL {
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(json, format!("\"{}\"", state.name()));
            assert_eq!(serde_json::from_str::<BudgetState>(&json).unwrap(), state);
        }
        let blocked = |reason: &Reason| BudgetState::ALL.contains(&BudgetState::Blocked(*reason));
        assert!(Reason::ALL.iter().all(blocked) && BudgetState::ALL.len() == Reason::ALL.len() + 2);
        assert!(serde_json::from_str::<BudgetState>("\"on CPU\"").is_err());
    }
}
