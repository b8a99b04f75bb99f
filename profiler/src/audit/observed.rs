//! What one window of the sweep showed, before anything is concluded from it.

use crate::model::{
    accounting::{Counters, StatDelta},
    profile::Profile,
    report::{Run, Setup},
    window::Window,
    worker::Role,
};

/// All that an audit saw.
#[derive(Debug, Default)]
pub struct Observed {
    /// Windows under load, in the order of time.
    pub loaded: Vec<Loaded>,
    /// Idle servers.
    pub idle: Vec<Idling>,
    /// Answers per second while we measured, and in the windows around it while we did not.
    pub controls: Vec<(f64, f64)>,
    /// Sentence that the load generator and the workers share CPUs, if they do.
    pub shared_cpus: Option<String>,
}

/// A window under load.
#[derive(Debug)]
pub struct Loaded {
    /// Row of the window in the report.
    pub run: Run,
    /// Exact numbers of the window.
    pub stat: StatDelta,
    /// Slices of the window, a second or so each.
    pub slices: Vec<WindowSlice>,
}

/// An idle server.
#[derive(Debug)]
pub struct Idling {
    /// Set-up of the idle server.
    pub setup: Setup,
    /// Exact numbers of the idle server.
    pub stat: StatDelta,
    /// Stacks on which the idle server slept, and ran if it did.
    pub profile: Profile,
}

/// A slice of a window, all processes of the fleet together.
#[derive(Clone, Copy, Debug, Default)]
pub struct WindowSlice {
    /// Length of the slice, s.
    pub seconds: f64,
    /// Answers.
    pub requests: f64,
    /// On-CPU time, ms.
    pub cpu_ms: f64,
    /// Voluntary switches.
    pub voluntary: f64,
    /// Preempted switches.
    pub preempted: f64,
}

impl WindowSlice {
    /// A window whose requests were counted; `None` for others.
    #[must_use]
    pub fn of(window: &Window) -> Option<Self> {
        let mut counters = Counters::default();
        window.workers.iter().for_each(|worker| counters.add(&worker.counters));
        Some(Self::new(window.duration_ns, window.requests?, &counters))
    }

    /// A slice from sums.
    #[must_use]
    pub fn new(duration_ns: u64, requests: u64, counters: &Counters) -> Self {
        Self {
            seconds: duration_ns as f64 / 1e9,
            requests: requests as f64,
            cpu_ms: counters.on_cpu_ns as f64 / 1e6,
            voluntary: counters.voluntary_switches as f64,
            preempted: counters.preempted_switches as f64,
        }
    }
}

/// The sum over all processes, masters and helpers too: what the fleet costs.
#[must_use]
pub fn whole(stat: &StatDelta) -> Counters {
    let mut sum = Counters::default();
    for worker in stat.processes() {
        sum.add(&worker.counters);
    }
    sum
}

/// CPUs that each worker kept busy, by slot.
#[must_use]
pub fn busy_by_worker(stat: &StatDelta) -> Vec<f64> {
    let mut workers: Vec<_> = stat.processes().filter(|worker| worker.role == Role::Worker).collect();
    workers.sort_by_key(|worker| (worker.slot, worker.tgid));
    let duration_ns = stat.duration_ns.max(1) as f64;
    workers.iter().map(|worker| worker.counters.on_cpu_ns as f64 / duration_ns).collect()
}
