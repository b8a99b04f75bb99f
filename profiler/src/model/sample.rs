//! Weights: what a sample stands for.
//!
//! How often a stack was sampled only says how a worker's time divides; how much time there was the scheduler
//! knows exactly. So a worker's on-CPU nanoseconds are dealt out over its samples: its flame graph sums to them
//! to the last digit.

use std::collections::HashMap;

use crate::model::{
    accounting::{StatDelta, WorkerDelta},
    profile::Profile,
};

/// The nanoseconds that each of a profile's samples stands for, and those that none stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// On-CPU ns of each sample, in the profile's order.
    pub on_cpu_ns: Vec<u64>,
    /// On-CPU ns of processes that ran but were never hit by a tick, by tgid.
    pub unsampled_ns: Vec<(u32, u64)>,
}

impl Weights {
    /// Deals each process's exact on-CPU time out over its samples, in proportion to their counts.
    #[must_use]
    pub fn new(profile: &Profile, stat: &StatDelta) -> Self {
        Self::of(profile, stat.processes())
    }

    /// Deals the on-CPU time of some processes out; samples of others stand for nothing.
    #[must_use]
    pub fn of<'a>(profile: &Profile, workers: impl Iterator<Item = &'a WorkerDelta>) -> Self {
        let counts = profile.counts_by_tgid();
        let mut shares: HashMap<u32, Remainder> = HashMap::new();
        let mut unsampled_ns = Vec::new();
        for worker in workers {
            let ns = worker.counters.on_cpu_ns;
            match counts.get(&worker.tgid) {
                Some(&count) => {
                    shares.insert(worker.tgid, Remainder { ns, count });
                }
                None if ns != 0 => unsampled_ns.push((worker.tgid, ns)),
                None => {}
            }
        }
        let on_cpu_ns = profile
            .samples
            .iter()
            .map(|sample| shares.get_mut(&sample.tgid).map_or(0, |share| share.take(sample.count)))
            .collect();
        Self { on_cpu_ns, unsampled_ns }
    }
}

/// What is left to deal out over samples.
struct Remainder {
    ns: u64,
    count: u64,
}

impl Remainder {
    /// Takes `count` samples' part of what is left, so that rounding never loses or invents a nanosecond.
    fn take(&mut self, count: u64) -> u64 {
        let part = u128::from(self.ns) * u128::from(count) / u128::from(self.count.max(1));
        let part = u64::try_from(part).unwrap_or(self.ns);
        self.ns -= part;
        self.count -= count;
        part
    }
}
