//! The quantities that are compared, and the names of their numbers.

use profiler_common::wait::Reason;

use crate::model::{accounting::Counters, waits::Waits};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Time on a CPU.
    Cpu,
    /// Switches out to sleep.
    VoluntarySwitches,
    /// Switches out while still runnable.
    PreemptedSwitches,
    /// Time runnable but waiting for a CPU.
    RunQueue,
    /// Time blocked.
    Blocked(Reason),
}

/// What a number is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// A request.
    Request,
    /// A second of the recording.
    Second,
}

impl Basis {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Request, Self::Second];
}

impl Quantity {
    /// All quantities, in the order of tables.
    pub fn all() -> impl Iterator<Item = Self> {
        let first = [Self::Cpu, Self::VoluntarySwitches, Self::PreemptedSwitches, Self::RunQueue];
        let reasons = Reason::ALL.into_iter().filter(|reason| *reason != Reason::Parked);
        first.into_iter().chain(reasons.map(Self::Blocked))
    }

    /// The name of its number: `cpu_ms_per_request`.
    #[must_use]
    pub fn name(self, by: Basis) -> String {
        let by = match by {
            Basis::Request => "per_request",
            Basis::Second => "per_second",
        };
        match self {
            Self::Cpu => format!("cpu_ms_{by}"),
            Self::VoluntarySwitches => format!("voluntary_switches_{by}"),
            Self::PreemptedSwitches => format!("preempted_switches_{by}"),
            Self::RunQueue => format!("run_queue_ms_{by}"),
            Self::Blocked(reason) => format!("{}_ms_{by}", reason.name()),
        }
    }

    /// How much of it there is: milliseconds, or switches.
    #[must_use]
    pub fn amount(self, counters: &Counters, waits: &Waits) -> f64 {
        match self {
            Self::Cpu => counters.on_cpu_ns as f64 / 1e6,
            Self::VoluntarySwitches => counters.voluntary_switches as f64,
            Self::PreemptedSwitches => counters.preempted_switches as f64,
            Self::RunQueue => counters.run_queue_ns as f64 / 1e6,
            Self::Blocked(reason) => waits.blocked[reason as usize].ns as f64 / 1e6,
        }
    }

    /// Whether it is up to who else uses the host's CPUs as much as to the program: shown, but not judged.
    #[must_use]
    pub const fn is_of_the_host(self) -> bool {
        matches!(self, Self::RunQueue | Self::PreemptedSwitches)
    }

    /// Whether it was looked at, and can be told.
    #[must_use]
    pub const fn is_measured(self, waits: &Waits) -> bool {
        match self {
            Self::Blocked(Reason::Gil) => waits.has_gil,
            Self::Blocked(_) => waits.are_measured,
            _ => true,
        }
    }
}

/// The names of all numbers.
#[must_use]
pub fn names() -> Vec<String> {
    Basis::ALL.into_iter().flat_map(|by| Quantity::all().map(move |quantity| quantity.name(by))).collect()
}
