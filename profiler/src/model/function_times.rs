//! Time by function: its own and with what it calls, on a CPU and waiting.

use std::collections::{BTreeMap, BTreeSet};

use profiler_common::wait::Reason;

use crate::model::{
    accounting::FleetDelta,
    plumbing,
    profile::Profile,
    sample::Weights,
    tables::{Frame, FrameKind, StackId, StringId},
};

/// Time of a Python function in a window, over all threads of a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionTimes {
    /// The function's name.
    pub name: String,
    /// The function's file.
    pub file: String,
    /// The function's first line; 0 if it is not known.
    pub line: u32,
    /// On-CPU time of the function and of native code below it, ns.
    pub own_cpu_ns: u64,
    /// On-CPU time with the functions that it calls, ns.
    pub total_cpu_ns: u64,
    /// Time blocked for which the function is responsible ([`plumbing::responsible`]), ns; without waits for work.
    pub own_blocked_ns: u64,
    /// Time blocked with the functions that it calls, ns.
    pub total_blocked_ns: u64,
}

/// The time of all Python functions, those first whose own is the most.
#[must_use]
pub fn of(fleet: &FleetDelta, profile: &Profile) -> Vec<FunctionTimes> {
    let mut sums = FunctionSums { profile, times: BTreeMap::new() };
    let weights = Weights::of(profile, fleet.workers.iter());
    for (sample, ns) in profile.samples.iter().zip(weights.on_cpu_ns) {
        let leaf = |frames: &[&Frame]| frames.last().map(|frame| key(frame));
        sums.add(sample.stack, ns, leaf, |time| [&mut time.own_cpu_ns, &mut time.total_cpu_ns]);
    }
    let processes: BTreeSet<u32> = fleet.workers.iter().map(|worker| worker.tgid).collect();
    for wait in profile.blocked.iter().filter(|wait| processes.contains(&wait.tgid)) {
        if !matches!(wait.reason, Reason::Idle | Reason::Parked) {
            let leaf = |_: &[&Frame]| plumbing::responsible(profile, wait.stack).map(key);
            sums.add(wait.stack, wait.times.ns, leaf, |time| {
                [&mut time.own_blocked_ns, &mut time.total_blocked_ns]
            });
        }
    }
    let mut times: Vec<_> = sums.times.into_values().collect();
    // The sort is stable: what is alike stays in the order of the tables.
    times.sort_by_key(|time| {
        let own = time.own_cpu_ns.saturating_add(time.own_blocked_ns);
        std::cmp::Reverse((own, time.total_cpu_ns.saturating_add(time.total_blocked_ns)))
    });
    times
}

/// What tells functions apart: name, file and first line, by their places in the tables.
type DefinitionKey = (usize, Option<usize>, u32);

fn key(frame: &Frame) -> DefinitionKey {
    (frame.name.index(), frame.file.map(StringId::index), frame.first_line)
}

struct FunctionSums<'a> {
    profile: &'a Profile,
    times: BTreeMap<DefinitionKey, FunctionTimes>,
}

impl FunctionSums<'_> {
    /// Adds a stack's time: to the total of each function once, however often it is on the stack, and to the own of one.
    fn add(
        &mut self,
        stack: Option<StackId>,
        ns: u64,
        leaf: impl Fn(&[&Frame]) -> Option<DefinitionKey>,
        own_and_total: impl Fn(&mut FunctionTimes) -> [&mut u64; 2],
    ) {
        let mut frames = self.profile.frames_of(stack);
        frames.retain(|frame| frame.kind == FrameKind::Python);
        let leaf = leaf(&frames);
        let mut seen = BTreeSet::new();
        for frame in frames {
            let key = key(frame);
            if !seen.insert(key) {
                continue;
            }
            let time = self.times.entry(key).or_insert_with(|| FunctionTimes {
                name: self.profile.string(frame.name).to_owned(),
                file: frame.file.map_or_else(String::new, |file| self.profile.string(file).to_owned()),
                line: frame.first_line,
                ..FunctionTimes::default()
            });
            let [own, total] = own_and_total(time);
            *total += ns;
            if leaf == Some(key) {
                *own += ns;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{fixture, profile::BlockedSample, tables::FrameKind::Python};

    const MS: u64 = 1_000_000;

    #[test]
    fn own_and_total_are_those_of_the_stacks() {
        let recording = fixture::recording();
        let times = of(&recording.stat.fleets[0], &recording.profile);
        let time = |name: &str| times.iter().find(|time| time.name == name).unwrap();
        // Worker 1234's 400 ms and 3 ns are of four samples, worker 1235's 200 ms of two.
        let (loads, application) = (time("loads"), time("application"));
        assert_eq!((loads.own_cpu_ns / MS, loads.total_cpu_ns / MS), (200, 200));
        assert_eq!((application.own_cpu_ns / MS, application.total_cpu_ns / MS), (100 + 200, 300 + 200));
        assert_eq!((application.own_blocked_ns, application.total_blocked_ns), (115 * MS, 115 * MS));
        let handle = time("SyncWorker.handle");
        assert_eq!((handle.own_cpu_ns, handle.total_cpu_ns / MS), (0, 400));
        assert_eq!(times[0].name, "application");
        let waits = time("SyncWorker.run").total_blocked_ns;
        assert_eq!(waits, 115 * MS, "waits for work are nobody's");
    }

    #[test]
    fn a_recursion_counts_once() {
        let mut recording = fixture::recording();
        let profile = &mut recording.profile;
        let again = (Python, "walk", "tree.py", 12);
        let stack = fixture::stack(profile, &[again, again, again]);
        profile.blocked = vec![BlockedSample { stack, ..profile.blocked[0] }];
        let times = of(&recording.stat.fleets[0], profile);
        let walk = times.iter().find(|time| time.name == "walk").unwrap();
        assert_eq!((walk.own_blocked_ns, walk.total_blocked_ns), (45 * MS, 45 * MS));
        assert_eq!((walk.line, walk.file.as_str()), (2, "tree.py"));
    }
}
