//! What bends a curve of throughput.

use profiler_common::wait::Reason;
use serde::{Deserialize, Serialize};

use crate::model::profile::reason_name;

/// The limit that is met at a knee. In JSON it is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum KneeCause {
    /// The load generator sets the pace.
    LoadGenerator,
    /// The control group's CPU quota.
    Quota,
    /// All CPUs are in use, or all that the workers can use.
    Cpu,
    /// Others use the CPUs.
    RunQueue,
    /// One worker has the work of all.
    Imbalance,
    /// The workers wait.
    Wait(Reason),
}

impl KneeCause {
    /// The word for it, in JSON and in texts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoadGenerator => "load generator",
            Self::Quota => "quota",
            Self::Cpu => "cpu",
            Self::RunQueue => "run queue",
            Self::Imbalance => "imbalance",
            Self::Wait(reason) => reason.name(),
        }
    }
}

impl From<KneeCause> for &'static str {
    fn from(cause: KneeCause) -> Self {
        cause.name()
    }
}

impl TryFrom<String> for KneeCause {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let limits = [Self::LoadGenerator, Self::Quota, Self::Cpu, Self::RunQueue, Self::Imbalance];
        let wait = || reason_name::parse(&name).map(Self::Wait);
        limits.into_iter().find(|limit| limit.name() == name).or_else(wait).ok_or("unknown cause")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_its_name_in_json() {
        for name in ["load generator", "quota", "cpu", "run queue", "imbalance", "gil", "page_fault"] {
            let cause = KneeCause::try_from(name.to_owned()).unwrap();
            assert_eq!(serde_json::to_value(cause).unwrap(), name);
        }
        assert!(KneeCause::try_from("run_queue".to_owned()).is_err());
    }
}
